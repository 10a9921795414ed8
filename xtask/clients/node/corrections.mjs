// Corrections, as npm `stripe` sees them: adjustments of both dialects.

import assert from "node:assert/strict";
import { Stripe } from "./harness.mjs";

const { errors } = Stripe;

/** Runs on a meter and a customer of its own. */
export async function corrections(suite, { stripe }) {
  const cancel = (identifier) => ({ event_name: "corrected", type: "cancel", cancel: { identifier } });
  let meter;
  let customer;
  const total = async () => {
    const now = Math.floor(Date.now() / 60_000) * 60;
    const period = { customer: customer.id, start_time: now - 3600, end_time: now + 60 };
    return (await stripe.billing.meters.listEventSummaries(meter.id, period)).data[0].aggregated_value;
  };

  await suite.check("an event is canceled, and again", async () => {
    const formula = "sum";
    meter = await stripe.billing.meters.create({
      display_name: "Corrected",
      event_name: "corrected",
      default_aggregation: { formula },
    });
    customer = await stripe.customers.create({ name: "Mistaken" });
    for (const [identifier, value] of [["wrong-7", "7"], ["right-13", "13"], ["wrong-101", "101"]]) {
      const payload = { stripe_customer_id: customer.id, value };
      await stripe.billing.meterEvents.create({ event_name: "corrected", identifier, payload });
    }
    for (let times = 0; times < 2; times += 1) {
      const done = await stripe.billing.meterEventAdjustments.create(cancel("wrong-7"));
      assert.equal(done.status, "complete");
      assert.equal(await total(), 114);
    }
  });

  await suite.check("an event is canceled through v2", async () => {
    const done = await stripe.v2.billing.meterEventAdjustments.create(cancel("wrong-101"));
    assert.match(done.id, /^mtr_event_adj_/);
    assert.equal(done.status, "complete");
    assert.equal(await total(), 13);
  });

  await suite.check("an event that is not there is not canceled", async () => {
    await assert.rejects(stripe.billing.meterEventAdjustments.create(cancel("nobody")), (error) => {
      assert.ok(error instanceof errors.StripeInvalidRequestError);
      assert.equal(error.param, "cancel[identifier]");
      return true;
    });
    await assert.rejects(stripe.v2.billing.meterEventAdjustments.create(cancel("nobody")), (error) => {
      assert.equal(error.code, "invalid_cancel_configuration");
      return true;
    });
  });
}
