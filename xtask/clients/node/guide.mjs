// The guide, step by step: a meter, a price, a customer, a subscription, usage, the preview of the invoice.

import assert from "node:assert/strict";
import { Stripe } from "./harness.mjs";

const now = () => Math.floor(Date.now() / 1000);

/** Runs the guide; leaves what it made in `w`. */
export async function guide(suite, w) {
  const { stripe, server } = w;
  const preview = () => stripe.invoices.createPreview({ subscription: w.subscription.id });
  const started = now();

  await suite.check("a meter is created", async () => {
    w.meter = await stripe.billing.meters.create({
      display_name: "Hypernian tokens",
      event_name: "hypernian_tokens",
      default_aggregation: { formula: "sum" },
      customer_mapping: { event_payload_key: "stripe_customer_id", type: "by_id" },
      value_settings: { event_payload_key: "value" },
    });
    assert.match(w.meter.id, /^mtr_\w+$/);
    assert.equal(w.meter.object, "billing.meter");
    assert.equal(w.meter.status, "active");
    assert.equal(w.meter.livemode, false);
    assert.deepEqual(w.meter.default_aggregation, { formula: "sum" });
    assert.deepEqual(w.meter.customer_mapping, { event_payload_key: "stripe_customer_id", type: "by_id" });
    assert.equal(w.meter.value_settings.event_payload_key, "value");
    assert.deepEqual(w.meter.status_transitions, { deactivated_at: null });
  });

  await suite.check("a price of four cents per hundred tokens is created", async () => {
    w.price = await stripe.prices.create({
      currency: "usd",
      unit_amount: 4,
      billing_scheme: "per_unit",
      transform_quantity: { divide_by: 100, round: "up" },
      recurring: { usage_type: "metered", interval: "month", meter: w.meter.id },
      product_data: { name: "Hypernian tokens" },
    });
    assert.match(w.price.id, /^price_\w+$/);
    assert.equal(w.price.unit_amount, 4);
    assert.ok(w.price.unit_amount_decimal.eq(Stripe.Decimal.from("4")), String(w.price.unit_amount_decimal));
    assert.deepEqual(w.price.transform_quantity, { divide_by: 100, round: "up" });
    assert.deepEqual(w.price.recurring, {
      interval: "month",
      interval_count: 1,
      meter: w.meter.id,
      trial_period_days: null,
      usage_type: "metered",
    });
    assert.equal((await stripe.products.retrieve(w.price.product)).name, "Hypernian tokens");
  });

  await suite.check("a customer is created", async () => {
    w.customer = await stripe.customers.create({ name: "John Doe" });
    assert.match(w.customer.id, /^cus_\w+$/);
    assert.equal(w.customer.name, "John Doe");
  });

  await suite.check("a subscription is created without an invoice", async () => {
    w.subscription = await stripe.subscriptions.create({ customer: w.customer.id, items: [{ price: w.price.id }] });
    assert.match(w.subscription.id, /^sub_\w+$/);
    assert.equal(w.subscription.status, "active");
    assert.equal(w.subscription.billing_mode.type, "flexible");
    assert.equal(w.subscription.latest_invoice, null);
    assert.deepEqual(w.subscription.items.data.map((item) => item.price.id), [w.price.id]);
  });

  await suite.check("before any event the preview is zero", async () => {
    const invoice = await preview();
    assert.equal(invoice.total, 0);
    assert.deepEqual(invoice.lines.data.map((line) => [line.quantity, line.amount]), [[0, 0]]);
  });

  await suite.check("the dashboard's event of 3000 is recorded", async () => {
    const payload = { stripe_customer_id: w.customer.id, value: "3000" };
    const event = await stripe.billing.meterEvents.create({ event_name: "hypernian_tokens", payload });
    assert.deepEqual(event.payload, payload);
    assert.ok(event.timestamp >= started && event.timestamp <= now(), `timestamp ${event.timestamp} is not now`);
  });

  await suite.check("a restart keeps everything", async () => {
    await server.stop();
    await server.start();
    assert.deepEqual({ ...(await stripe.billing.meters.retrieve(w.meter.id)) }, { ...w.meter });
    assert.equal((await stripe.subscriptions.retrieve(w.subscription.id)).status, "active");
    assert.equal((await preview()).total, 120);
  });

  await suite.check("the guide's event of 25 is recorded", async () => {
    const event = await stripe.billing.meterEvents.create({
      event_name: "hypernian_tokens",
      payload: { stripe_customer_id: w.customer.id, value: "25" },
    });
    assert.equal(event.payload.value, "25");
  });

  await suite.check("the invoice previews 3025 tokens at 124 cents", async () => {
    const invoice = await preview();
    assert.match(invoice.id, /^upcoming_in_\w+$/);
    assert.equal(invoice.status, "draft");
    assert.deepEqual([invoice.subtotal, invoice.total, invoice.amount_due], [124, 124, 124]);
    assert.equal(invoice.lines.data.length, 1);
    const [line] = invoice.lines.data;
    assert.equal(line.quantity, 3025);
    assert.ok(line.quantity_decimal.eq(Stripe.Decimal.from("3025")), String(line.quantity_decimal));
    assert.equal(line.amount, 124);
    assert.equal(line.description, "3025 × Hypernian tokens (at $0.04 per 100 units / month)");
    assert.deepEqual(line.pricing.price_details, { price: w.price.id, product: w.price.product });
    assert.equal(line.parent.subscription_item_details.subscription_item, w.subscription.items.data[0].id);
  });

  await suite.check("the usage of a custom period is 3025", async () => {
    const [start_time, end_time] = [Math.floor(started / 60) * 60, Math.floor(now() / 60) * 60 + 60];
    const customer = w.customer.id;
    const summaries = await stripe.billing.meters.listEventSummaries(w.meter.id, { customer, start_time, end_time });
    assert.equal(summaries.has_more, false);
    assert.deepEqual(
      summaries.data.map((each) => [each.meter, each.start_time, each.end_time, each.aggregated_value]),
      [[w.meter.id, start_time, end_time, 3025]],
    );
  });

  await suite.check("the guide's own period of 2024 has no usage", async () => {
    const period = { customer: w.customer.id, start_time: 1717249380, end_time: 1717249440 };
    const summaries = await stripe.billing.meters.listEventSummaries(w.meter.id, period);
    assert.equal(summaries.data.reduce((sum, each) => sum + each.aggregated_value, 0), 0);
  });
}
