"""The guide, step by step: a meter, a price, a customer, a subscription, usage, the preview of the invoice."""

import time
from decimal import Decimal

import stripe
from shared.suite import equal, matches, prefixed, true


def a_meter_is_created(w) -> None:
    w.started = int(time.time())
    meter = w.client.v1.billing.meters.create(
        {
            "display_name": "Hypernian tokens",
            "event_name": "hypernian_tokens",
            "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
            "value_settings": {"event_payload_key": "value"},
        }
    )
    equal(type(meter), stripe.billing.Meter, "type")
    prefixed(meter.id, "mtr_")
    matches(
        meter,
        object="billing.meter",
        display_name="Hypernian tokens",
        event_name="hypernian_tokens",
        event_time_window=None,
        livemode=False,
        status="active",
        default_aggregation__formula="sum",
        customer_mapping__type="by_id",
        customer_mapping__event_payload_key="stripe_customer_id",
        value_settings__event_payload_key="value",
        status_transitions__deactivated_at=None,
    )
    true(w.started <= meter.created <= time.time(), f"created {meter.created} is not now")
    equal(meter.updated, meter.created, "updated")
    w.meter = meter


def a_price_of_four_cents_per_hundred_tokens_is_created(w) -> None:
    price = w.client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 4,
            "billing_scheme": "per_unit",
            "transform_quantity": {"divide_by": 100, "round": "up"},
            "recurring": {"usage_type": "metered", "interval": "month", "meter": w.meter.id},
            "product_data": {"name": "Hypernian tokens"},
        }
    )
    equal(type(price), stripe.Price, "type")
    prefixed(price.id, "price_")
    prefixed(price.product, "prod_")
    matches(
        price,
        active=True,
        billing_scheme="per_unit",
        currency="usd",
        custom_unit_amount=None,
        livemode=False,
        lookup_key=None,
        nickname=None,
        tax_behavior="unspecified",
        tiers_mode=None,
        type="recurring",
        unit_amount=4,
        unit_amount_decimal=Decimal("4"),
        recurring__interval="month",
        recurring__interval_count=1,
        recurring__meter=w.meter.id,
        recurring__trial_period_days=None,
        recurring__usage_type="metered",
        transform_quantity__divide_by=100,
        transform_quantity__round="up",
    )
    equal(type(price.unit_amount_decimal), Decimal, "type of unit_amount_decimal")
    equal(price.metadata.to_dict(), {}, "metadata")
    true("tiers" not in price, "tiers are shown without being expanded")
    w.price = price


def the_price_brought_its_product_with_it(w) -> None:
    product = w.client.v1.products.retrieve(w.price.product)
    equal(type(product), stripe.Product, "type")
    matches(product, id=w.price.product, name="Hypernian tokens", active=True, type="service", livemode=False)


def a_customer_is_created(w) -> None:
    customer = w.client.v1.customers.create({"name": "John Doe"})
    equal(type(customer), stripe.Customer, "type")
    prefixed(customer.id, "cus_")
    matches(customer, name="John Doe", email=None, balance=0, currency=None, delinquent=False, livemode=False)
    w.customer = customer


def a_subscription_is_created_without_an_invoice(w) -> None:
    subscription = w.client.v1.subscriptions.create({"customer": w.customer.id, "items": [{"price": w.price.id}]})
    equal(type(subscription), stripe.Subscription, "type")
    prefixed(subscription.id, "sub_")
    matches(
        subscription,
        status="active",
        customer=w.customer.id,
        currency="usd",
        collection_method="charge_automatically",
        cancel_at_period_end=False,
        canceled_at=None,
        ended_at=None,
        trial_end=None,
        livemode=False,
        billing_mode__type="flexible",
        # Flexible billing leaves metered items off the first invoice, and nothing else is on it.
        latest_invoice=None,
        start_date=subscription.created,
        billing_cycle_anchor=subscription.created,
    )
    w.subscription = subscription


def the_subscription_has_one_metered_item_for_a_calendar_month(w) -> None:
    items = w.subscription["items"]
    equal((items.object, items.has_more, len(items.data)), ("list", False, 1), "items")
    item = items.data[0]
    equal(type(item), stripe.SubscriptionItem, "type")
    prefixed(item.id, "si_")
    matches(
        item,
        subscription=w.subscription.id,
        price__id=w.price.id,
        plan__id=w.price.id,
        plan__amount=4,
        plan__interval="month",
        current_period_start=w.subscription.created,
    )
    true(getattr(item, "quantity", None) is None, "a metered item has a quantity")
    start, end = time.gmtime(item.current_period_start), time.gmtime(item.current_period_end)
    equal((end.tm_year * 12 + end.tm_mon) - (start.tm_year * 12 + start.tm_mon), 1, "months in the period")
    true(end.tm_mday == start.tm_mday or end.tm_mday < start.tm_mday > 28, "the day of the month moved")
    equal(end[3:6], start[3:6], "time of day")
    w.item = item


def before_any_event_the_preview_is_zero(w) -> None:
    invoice = _preview(w)
    matches(invoice, total=0, subtotal=0, amount_due=0, amount_remaining=0)
    equal([(line.quantity, line.amount) for line in invoice.lines.data], [(0, 0)], "lines")


def the_dashboards_event_of_3000_is_recorded(w) -> None:
    event = w.client.v1.billing.meter_events.create(
        {"event_name": "hypernian_tokens", "payload": {"stripe_customer_id": w.customer.id, "value": "3000"}}
    )
    equal(type(event), stripe.billing.MeterEvent, "type")
    matches(event, object="billing.meter_event", event_name="hypernian_tokens", livemode=False)
    equal(event.payload.to_dict(), {"stripe_customer_id": w.customer.id, "value": "3000"}, "payload")
    true(event.identifier, "the event has no identifier")
    true(w.started <= event.timestamp <= time.time(), f"timestamp {event.timestamp} is not now")


def the_very_next_preview_has_30_packages(w) -> None:
    invoice = _preview(w)
    equal([(line.quantity, line.amount) for line in invoice.lines.data], [(3000, 120)], "lines")
    equal(invoice.total, 120, "total")


def a_restart_keeps_everything(w) -> None:
    w.server.stop()
    w.server.start()
    equal(w.client.v1.billing.meters.retrieve(w.meter.id).to_dict(), w.meter.to_dict(), "meter")
    equal(w.client.v1.prices.retrieve(w.price.id).to_dict(), w.price.to_dict(), "price")
    equal(w.client.v1.customers.retrieve(w.customer.id).name, "John Doe", "customer")
    equal(w.client.v1.subscriptions.retrieve(w.subscription.id).to_dict(), w.subscription.to_dict(), "subscription")
    equal(_preview(w).total, 120, "total of the preview")


def the_guides_event_of_25_is_recorded(w) -> None:
    event = w.client.v1.billing.meter_events.create(
        {"event_name": "hypernian_tokens", "payload": {"stripe_customer_id": w.customer.id, "value": "25"}}
    )
    equal(event.payload["value"], "25", "value")


def the_invoice_previews_at_124_cents(w) -> None:
    invoice = _preview(w)
    equal(type(invoice), stripe.Invoice, "type")
    prefixed(invoice.id, "upcoming_in_")
    matches(
        invoice,
        status="draft",
        billing_reason="upcoming",
        currency="usd",
        customer=w.customer.id,
        customer_name="John Doe",
        number=None,
        hosted_invoice_url=None,
        livemode=False,
        subtotal=124,
        subtotal_excluding_tax=124,
        total=124,
        total_excluding_tax=124,
        amount_due=124,
        amount_paid=0,
        amount_remaining=124,
        parent__type="subscription_details",
        parent__subscription_details__subscription=w.subscription.id,
    )
    w.invoice = invoice


def its_one_line_bills_3025_tokens_as_31_packages(w) -> None:
    equal((w.invoice.lines.object, w.invoice.lines.has_more, len(w.invoice.lines.data)), ("list", False, 1), "lines")
    line = w.invoice.lines.data[0]
    equal(type(line), stripe.InvoiceLineItem, "type")
    prefixed(line.id, "il_")
    matches(
        line,
        object="line_item",
        amount=124,
        subtotal=124,
        currency="usd",
        quantity=3025,
        quantity_decimal=Decimal("3025"),
        description="3025 × Hypernian tokens (at $0.04 per 100 units / month)",
        period__start=w.item.current_period_start,
        period__end=w.item.current_period_end,
        pricing__type="price_details",
        pricing__price_details__price=w.price.id,
        pricing__price_details__product=w.price.product,
        pricing__unit_amount_decimal=Decimal("4"),
        parent__type="subscription_item_details",
        parent__subscription_item_details__proration=False,
        parent__subscription_item_details__subscription=w.subscription.id,
        parent__subscription_item_details__subscription_item=w.item.id,
        subscription=w.subscription.id,
    )
    equal(type(line.quantity_decimal), Decimal, "type of quantity_decimal")


def the_usage_of_a_custom_period_is_3025(w) -> None:
    start = w.started // 60 * 60
    end = int(time.time()) // 60 * 60 + 60
    summaries = w.client.v1.billing.meters.event_summaries.list(
        w.meter.id, {"customer": w.customer.id, "start_time": start, "end_time": end}
    )
    equal((len(summaries.data), summaries.has_more), (1, False), "summaries")
    summary = summaries.data[0]
    equal(type(summary), stripe.billing.MeterEventSummary, "type")
    matches(summary, aggregated_value=3025, meter=w.meter.id, start_time=start, end_time=end, livemode=False)
    true(summary.id, "the summary has no id")


def the_guides_own_period_of_2024_has_no_usage(w) -> None:
    summaries = w.client.v1.billing.meters.event_summaries.list(
        w.meter.id, {"customer": w.customer.id, "start_time": 1717249380, "end_time": 1717249440}
    )
    equal(sum(summary.aggregated_value for summary in summaries.data), 0, "usage")


def _preview(w) -> stripe.Invoice:
    return w.client.v1.invoices.create_preview({"subscription": w.subscription.id})
