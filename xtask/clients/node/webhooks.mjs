// Webhooks as npm `stripe` registers, receives and verifies them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { Stripe } from "./harness.mjs";

const ARRIVES_WITHIN_MS = 30_000;

/** An endpoint on this machine that takes what it is told. */
async function receiver() {
  const calls = [];
  const waiting = [];
  const server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      response.writeHead(204).end();
      const call = { body: Buffer.concat(parts), signature: request.headers["stripe-signature"] };
      const taker = waiting.shift();
      if (taker) taker(call);
      else calls.push(call);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const next = () =>
    new Promise((resolve, reject) => {
      if (calls.length > 0) return resolve(calls.shift());
      const late = setTimeout(() => reject(new Error("nothing arrived")), ARRIVES_WITHIN_MS);
      waiting.push((call) => (clearTimeout(late), resolve(call)));
    });
  return { url: `http://127.0.0.1:${server.address().port}/hook`, next, close: () => server.close() };
}

/** Runs on a customer of its own. */
export async function webhooks(suite, { stripe }) {
  const inbox = await receiver();
  let hook;
  let call;

  await suite.check("an event arrives and is verified", async () => {
    hook = await stripe.webhookEndpoints.create({ url: inbox.url, enabled_events: ["customer.created"] });
    const customer = await stripe.customers.create({ name: "Jürgen Told" });
    call = await inbox.next();
    const event = stripe.webhooks.constructEvent(call.body, call.signature, hook.secret);
    assert.equal(event.type, "customer.created");
    assert.equal(event.data.object.id, customer.id);
    assert.equal(event.data.object.name, "Jürgen Told");
    assert.equal((await stripe.events.retrieve(event.id)).type, "customer.created");
  });

  await suite.check("what was changed on the way or is old is not verified", () => {
    const changed = call.body.toString().replace("Told", "Tolt");
    const { StripeSignatureVerificationError } = Stripe.errors;
    const verify = (body, at) => () =>
      stripe.webhooks.constructEvent(body, call.signature, hook.secret, 300, undefined, at);
    assert.throws(verify(changed), StripeSignatureVerificationError);
    assert.throws(verify(call.body, Date.now() + 400_000), StripeSignatureVerificationError);
  });

  await suite.check("both secrets verify while one is rolled", async () => {
    const path = `/v1/webhook_endpoints/${hook.id}/rotate_secret`;
    const rolled = await stripe.rawRequest("POST", path, { expires_in: 3600 });
    await stripe.customers.create({ name: "Both" });
    const { body, signature } = await inbox.next();
    for (const secret of [hook.secret, rolled.secret]) {
      assert.equal(stripe.webhooks.constructEvent(body, signature, secret).type, "customer.created");
    }
    assert.equal((await stripe.webhookEndpoints.del(hook.id)).deleted, true);
  });

  inbox.close();
}
