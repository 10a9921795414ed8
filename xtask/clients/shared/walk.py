"""The guide as a user of a command line walks it: the same checks for curl and for the Stripe CLI."""

import time

from .suite import equal, matches, prefixed, true

# The guide's heading of each step, which is also its name in `guide.txt`.
METER = "Create a meter"
PRICE = "Create a pricing model"
CUSTOMER = "Create a customer"
SUBSCRIPTION = "Create a subscription"
EVENT = "Send a test meter event"
PREVIEW = "Create a preview invoice"
USAGE = "Optional: Retrieve usage for a custom time period"


def every_step_of_the_guide_is_walked(w) -> None:
    equal(w.guide.steps(), [METER, PRICE, CUSTOMER, SUBSCRIPTION, EVENT, PREVIEW, USAGE], "steps")


def a_meter_is_created(w) -> None:
    w.started = int(time.time())
    w.meter = w.walk(METER)
    prefixed(w.meter["id"], "mtr_")
    matches(
        w.meter,
        object="billing.meter",
        display_name="Hypernian tokens",
        event_name="hypernian_tokens",
        status="active",
        default_aggregation__formula="sum",
        customer_mapping={"event_payload_key": "stripe_customer_id", "type": "by_id"},
        value_settings__event_payload_key="value",
    )


def a_price_of_four_cents_per_hundred_tokens_is_created(w) -> None:
    w.price = w.walk(PRICE, METER_ID=w.meter["id"])
    prefixed(w.price["id"], "price_")
    matches(
        w.price,
        object="price",
        unit_amount=4,
        unit_amount_decimal="4",
        billing_scheme="per_unit",
        currency="usd",
        transform_quantity={"divide_by": 100, "round": "up"},
        recurring__meter=w.meter["id"],
        recurring__interval="month",
        recurring__usage_type="metered",
    )


def a_customer_is_created(w) -> None:
    w.customer = w.walk(CUSTOMER)
    prefixed(w.customer["id"], "cus_")
    matches(w.customer, object="customer", name="John Doe", livemode=False)


def a_subscription_is_created(w) -> None:
    w.subscription = w.walk(SUBSCRIPTION, CUSTOMER_ID=w.customer["id"], PRICE_ID=w.price["id"])
    prefixed(w.subscription["id"], "sub_")
    matches(w.subscription, object="subscription", status="active", customer=w.customer["id"], latest_invoice=None)
    equal([item["price"]["id"] for item in w.subscription["items"]["data"]], [w.price["id"]], "prices")


def before_any_event_the_preview_is_zero(w) -> None:
    invoice = w.walk(PREVIEW, SUBSCRIPTION_ID=w.subscription["id"])
    matches(invoice, total=0, amount_due=0)
    equal([(line["quantity"], line["amount"]) for line in invoice["lines"]["data"]], [(0, 0)], "lines")


def the_dashboards_event_of_3000_is_recorded(w) -> None:
    event = w.walk(EVENT, {'"payload[value]"=25': '"payload[value]"=3000'}, CUSTOMER_ID=w.customer["id"])
    matches(event, object="billing.meter_event", event_name="hypernian_tokens", payload__value="3000")


def the_guides_event_of_25_is_recorded(w) -> None:
    event = w.walk(EVENT, CUSTOMER_ID=w.customer["id"])
    equal(event["payload"], {"stripe_customer_id": w.customer["id"], "value": "25"}, "payload")
    true(event["identifier"], "the event has no identifier")


def the_invoice_previews_3025_tokens_at_124_cents(w) -> None:
    invoice = w.walk(PREVIEW, SUBSCRIPTION_ID=w.subscription["id"])
    matches(invoice, object="invoice", status="draft", total=124, subtotal=124, amount_due=124)
    equal([(line["quantity"], line["amount"]) for line in invoice["lines"]["data"]], [(3025, 124)], "lines")
    description = invoice["lines"]["data"][0]["description"]
    equal(description, "3025 × Hypernian tokens (at $0.04 per 100 units / month)", "description")


def the_guides_own_period_of_2024_has_no_usage(w) -> None:
    summaries = w.walk(USAGE, METER_ID=w.meter["id"], CUSTOMER_ID=w.customer["id"])
    equal(summaries["object"], "list", "object")
    equal(sum(summary["aggregated_value"] for summary in summaries["data"]), 0, "usage")


def the_usage_of_the_period_of_this_run_is_3025(w) -> None:
    start, end = w.started // 60 * 60, int(time.time()) // 60 * 60 + 60
    period = {"1717249380": str(start), "1717249440": str(end)}
    summaries = w.walk(USAGE, period, METER_ID=w.meter["id"], CUSTOMER_ID=w.customer["id"])
    seen = [(each["start_time"], each["end_time"], each["aggregated_value"]) for each in summaries["data"]]
    equal(seen, [(start, end, 3025)], "summaries")
