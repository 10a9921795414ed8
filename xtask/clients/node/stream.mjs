// The stream of meter events, as npm `stripe` sends it. A client with a host of its own sends it there, too.

import assert from "node:assert/strict";
import { Stripe, client } from "./harness.mjs";

const { errors } = Stripe;

/** Runs on a meter and a customer of its own. */
export async function stream(suite, { server, stripe }) {
  const event_name = "node_streamed";
  let meter;
  let customer;
  let streaming;
  const event = (value, more) => ({ event_name, payload: { stripe_customer_id: customer.id, value }, ...more });
  const total = async () => {
    const now = Math.floor(Date.now() / 60_000) * 60;
    const period = { customer: customer.id, start_time: now - 3600, end_time: now + 60 };
    return (await stripe.billing.meters.listEventSummaries(meter.id, period)).data[0].aggregated_value;
  };

  await suite.check("a session's token opens the stream", async () => {
    const default_aggregation = { formula: "sum" };
    meter = await stripe.billing.meters.create({ display_name: "Streamed", event_name, default_aggregation });
    customer = await stripe.customers.create({ name: "Streamer" });
    const session = await stripe.v2.billing.meterEventSession.create();
    assert.equal(session.object, "v2.billing.meter_event_session");
    assert.equal(Date.parse(session.expires_at) - Date.parse(session.created), 15 * 60_000);
    streaming = client(server, session.authentication_token);
    await streaming.v2.billing.meterEventStream.create({ events: [event("7"), event("13.5")] });
    assert.equal(await total(), 20.5);
  });

  await suite.check("what is at fault or was sent before is accepted and not counted", async () => {
    const once = event("1", { identifier: "node-1" });
    const nobody = { event_name, payload: { stripe_customer_id: "cus_nobody", value: "1" } };
    await streaming.v2.billing.meterEventStream.create({ events: [once, once, event("seven"), nobody] });
    assert.equal(await total(), 21.5);
  });

  await suite.check("a secret key does not open the stream", async () => {
    await assert.rejects(stripe.v2.billing.meterEventStream.create({ events: [] }), (error) => {
      assert.ok(error instanceof errors.StripeAuthenticationError, error.constructor.name);
      assert.equal(error.statusCode, 401);
      return true;
    });
  });

  await suite.check("a single event of v2 is refused with its code", async () => {
    for (const [bad, code] of [
      [{ ...event("1"), event_name: "unheard_of" }, "no_meter"],
      [event("seven"), "payload_invalid_value"],
      [event("1", { identifier: "node-1" }), "duplicate_meter_event"],
    ]) {
      await assert.rejects(stripe.v2.billing.meterEvents.create(bad), (error) => {
        assert.equal(error.statusCode, 400);
        assert.equal(error.code, code);
        return true;
      });
    }
  });
}
