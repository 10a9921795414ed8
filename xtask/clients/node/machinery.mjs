// What every endpoint shares, as npm `stripe` sees it: pages, expansion, search, metadata, retries, refusals.

import assert from "node:assert/strict";
import { Stripe, client } from "./harness.mjs";

const { errors } = Stripe;

/** Runs after the guide, on what it made. */
export async function machinery(suite, w) {
  await reads(suite, w);
  await writes(suite, w);
  await refusals(suite, w);
}

async function reads(suite, { stripe, ...w }) {
  await suite.check("seven customers come newest first over four pages", async () => {
    const email = "crowd@example.com";
    for (const number of [0, 1, 2, 3, 4, 5, 6]) await stripe.customers.create({ email, name: `No ${number}` });
    const customers = await stripe.customers.list({ email, limit: 2 }).autoPagingToArray({ limit: 100 });
    assert.deepEqual(customers.map((each) => each.name), [6, 5, 4, 3, 2, 1, 0].map((number) => `No ${number}`));
  });

  await suite.check("an id is expanded into its object", async () => {
    const expand = ["customer", "items.data.price.product"];
    const subscription = await stripe.subscriptions.retrieve(w.subscription.id, { expand });
    assert.equal(subscription.customer.name, "John Doe");
    assert.equal(subscription.items.data[0].price.product.name, "Hypernian tokens");
  });

  await suite.check("a search finds by name and by metadata, page by page", async () => {
    for (const name of ["Red one", "Red two", "Red three"]) {
      await stripe.customers.create({ name, metadata: { color: "red" } });
    }
    const found = stripe.customers.search({ query: "metadata['color']:'red' AND name~'red'", limit: 2 });
    const names = (await found.autoPagingToArray({ limit: 100 })).map((each) => each.name);
    assert.deepEqual(names, ["Red three", "Red two", "Red one"]);
  });

  await suite.check("every resource of the guide is listed", async () => {
    const subscription = w.subscription.id;
    for (const [list, id] of [
      [stripe.billing.meters.list(), w.meter.id],
      [stripe.products.list(), w.price.product],
      [stripe.prices.list({ product: w.price.product }), w.price.id],
      [stripe.customers.list({ limit: 100 }), w.customer.id],
      [stripe.subscriptions.list({ customer: w.customer.id }), subscription],
      [stripe.subscriptionItems.list({ subscription }), w.subscription.items.data[0].id],
    ]) {
      const page = await list;
      assert.equal(page.object, "list");
      assert.ok(page.data.some((each) => each.id === id), `${id} is not in ${page.url}`);
    }
  });
}

async function writes(suite, { stripe, ...w }) {
  await suite.check("metadata is merged by key and an empty value unsets it", async () => {
    const { id } = await stripe.customers.create({ name: "Meta", metadata: { a: "1", b: "2" } });
    assert.deepEqual((await stripe.customers.update(id, { metadata: { a: "", c: "3" } })).metadata, { b: "2", c: "3" });
    assert.deepEqual((await stripe.customers.update(id, { metadata: "" })).metadata, {});
  });

  await suite.check("a retry with the same key is replayed", async () => {
    const create = () => stripe.customers.create({ name: "Once" }, { idempotencyKey: "node-once" });
    const [first, again] = [await create(), await create()];
    assert.equal(again.id, first.id);
    assert.equal(again.lastResponse.headers["idempotent-replayed"], "true");
    assert.notEqual(again.lastResponse.requestId, first.lastResponse.requestId);
  });

  await suite.check("an amount of a fraction of a cent is kept exactly", async () => {
    const price = await stripe.prices.create({
      currency: "usd",
      unit_amount_decimal: Stripe.Decimal.from("0.000000000007"),
      product: w.price.product,
    });
    assert.equal(price.unit_amount, null);
    assert.ok(price.unit_amount_decimal.eq(Stripe.Decimal.from("0.000000000007")), String(price.unit_amount_decimal));
  });

  await suite.check("a deleted customer reads as a stub", async () => {
    const { id } = await stripe.customers.create({ name: "Gone" });
    assert.equal((await stripe.customers.del(id)).deleted, true);
    assert.equal((await stripe.customers.retrieve(id)).deleted, true);
  });
}

async function refusals(suite, { server, stripe, ...w }) {
  const refused = async (promise, error, expected) => {
    await assert.rejects(promise, (raised) => {
      assert.equal(raised.constructor.name, error.name, raised.message);
      const { statusCode, code, param } = raised;
      assert.deepEqual({ statusCode, code, param }, { code: undefined, param: undefined, ...expected }, raised.message);
      assert.match(raised.requestId, /^req_/);
      return true;
    });
  };

  await suite.check("a wrong key is an authentication error", () =>
    refused(client(server, "sk_test_NobodyKnowsThisKey123wxyz").customers.list(), errors.StripeAuthenticationError, {
      statusCode: 401,
    }));

  await suite.check("an unknown id is not found", () =>
    refused(stripe.customers.retrieve("cus_nobody"), errors.StripeInvalidRequestError, {
      statusCode: 404,
      code: "resource_missing",
      param: "id",
    }));

  await suite.check("an unknown parameter is named by its path", () =>
    refused(
      stripe.subscriptions.create({ customer: w.customer.id, items: [{ price: w.price.id, foo: "bar" }] }),
      errors.StripeInvalidRequestError,
      { statusCode: 400, code: "parameter_unknown", param: "items[0][foo]" },
    ));

  await suite.check("a missing parameter is named", () =>
    refused(stripe.prices.create({ unit_amount: 7, product: w.price.product }), errors.StripeInvalidRequestError, {
      statusCode: 400,
      code: "parameter_missing",
      param: "currency",
    }));

  await suite.check("the same key with other parameters is an idempotency error", () =>
    refused(
      stripe.customers.create({ name: "Twice" }, { idempotencyKey: "node-once" }),
      errors.StripeIdempotencyError,
      { statusCode: 400 },
    ));

  await suite.check("an identifier is counted once", async () => {
    const payload = { stripe_customer_id: w.customer.id, value: "1" };
    const event = { event_name: "hypernian_tokens", identifier: "node-1", payload };
    await stripe.billing.meterEvents.create(event);
    await refused(stripe.billing.meterEvents.create(event), errors.StripeInvalidRequestError, { statusCode: 400 });
  });
}
