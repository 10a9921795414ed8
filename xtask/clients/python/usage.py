"""Meter events and their totals: fractions, corrections, formulas, windows, duplicates, refusals."""

import time
from decimal import Decimal

from shared.suite import equal, matches, true
from stripe import InvalidRequestError

from .client import ANY, refused


def fractional_usage_adds_up_exactly(w) -> None:
    meter, subscription = _metered(w, "sum", "gpu_hours", Decimal("0.04"))
    for value in ("0.1", "0.1", "0.1", "249.7"):
        _record(w, "gpu_hours", subscription.customer, value)
    line = w.client.v1.invoices.create_preview({"subscription": subscription.id}).lines.data[0]
    # 250 at 0.04 cents are 10 cents.
    matches(line, quantity=250, quantity_decimal=Decimal("250"), amount=10)
    _record(w, "gpu_hours", subscription.customer, "0.25")
    line = w.client.v1.invoices.create_preview({"subscription": subscription.id}).lines.data[0]
    matches(line, quantity=250, quantity_decimal=Decimal("250.25"), amount=10)
    w.gpu_meter, w.gpu_subscription = meter, subscription


def a_negative_event_corrects_the_total(w) -> None:
    _record(w, "gpu_hours", w.gpu_subscription.customer, "-50.25")
    equal(_total(w, w.gpu_meter.id, w.gpu_subscription.customer), 200, "usage")


def negative_usage_is_billed_as_none(w) -> None:
    _record(w, "gpu_hours", w.gpu_subscription.customer, "-900")
    line = w.client.v1.invoices.create_preview({"subscription": w.gpu_subscription.id}).lines.data[0]
    matches(line, quantity=0, amount=0)


def a_count_ignores_the_values(w) -> None:
    meter, subscription = _metered(w, "count", "logins", Decimal("1"))
    for value in ("7", "13", "101"):
        _record(w, "logins", subscription.customer, value)
    equal(_total(w, meter.id, subscription.customer), 3, "usage")
    equal(w.client.v1.invoices.create_preview({"subscription": subscription.id}).total, 3, "total")


def the_last_value_is_the_one_with_the_latest_timestamp(w) -> None:
    meter, subscription = _metered(w, "last", "seats_in_use", Decimal("1"))
    now = int(time.time())
    _record(w, "seats_in_use", subscription.customer, "13", timestamp=now)
    _record(w, "seats_in_use", subscription.customer, "7", timestamp=now - 60)
    equal(_total(w, meter.id, subscription.customer), 13, "usage")


def a_late_event_lands_in_its_own_hour(w) -> None:
    meter, subscription = _metered(w, "sum", "late", Decimal("1"))
    hour = int(time.time()) // 3600 * 3600
    _record(w, "late", subscription.customer, "7", timestamp=hour - 7200)
    _record(w, "late", subscription.customer, "13", timestamp=hour - 3601)
    _record(w, "late", subscription.customer, "101", timestamp=hour)
    period = {"customer": subscription.customer, "start_time": hour - 10800, "end_time": hour + 3600}
    hours = w.client.v1.billing.meters.event_summaries.list(meter.id, period | {"value_grouping_window": "hour"})
    equal(
        [(summary.start_time, summary.end_time, summary.aggregated_value) for summary in hours.data],
        [(hour, hour + 3600, 101), (hour - 7200, hour - 3600, 20)],
        "hours",
    )
    w.late = (meter, period)


def grouped_summaries_are_paged_by_their_ids(w) -> None:
    meter, period = w.late
    hours = w.client.v1.billing.meters.event_summaries.list(
        meter.id, period | {"value_grouping_window": "hour", "limit": 1}
    )
    equal(hours.has_more, True, "has_more")
    equal([summary.aggregated_value for summary in hours.auto_paging_iter()], [101, 20], "all pages")


def an_event_before_the_subscription_is_not_billed(w) -> None:
    customer = w.client.v1.customers.create({"name": "Early"})
    _record(w, "late", customer.id, "7", timestamp=int(time.time()) - 86400)
    price = w.client.v1.prices.create(_price(w.late[0].id, Decimal("1")))
    subscription = w.client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    equal(w.client.v1.invoices.create_preview({"subscription": subscription.id}).total, 0, "total")


def an_identifier_is_counted_once(w) -> None:
    event = {"event_name": "logins", "identifier": "login-13", "payload": _payload(w.customer.id, "1")}
    matches(w.client.v1.billing.meter_events.create(event), identifier="login-13")
    again = refused(w.client.v1.billing.meter_events.create, event)
    equal(again.user_message, "An event already exists with identifier login-13.", "message")


def a_retry_with_the_same_key_is_answered_alike_and_counted_once(w) -> None:
    event = {"event_name": "hypernian_tokens", "payload": _payload(w.buyer.id, "7")}
    first = w.client.v1.billing.meter_events.create(event, {"idempotency_key": "retry-of-7"})
    again = w.client.v1.billing.meter_events.create(event, {"idempotency_key": "retry-of-7"})
    equal(again.to_dict(), first.to_dict(), "the second answer")
    equal(_total(w, w.meter.id, w.buyer.id), 7, "usage")


def an_event_without_a_meter_is_refused(w) -> None:
    refusal = _refused_event(w, event_name="unheard_of")
    true(refusal.user_message.startswith("No active meter found for event name"), refusal.user_message)


def an_event_without_its_customer_or_value_is_refused(w) -> None:
    _refused_event(w, payload={"value": "1"})
    _refused_event(w, payload={"stripe_customer_id": w.customer.id})


def a_value_that_is_no_decimal_is_refused(w) -> None:
    for value in ("", "abc", "1,000", "NaN", "1e5", "0x10", "1234567890123456"):
        _refused_event(w, payload=_payload(w.customer.id, value))


def an_event_of_more_than_35_days_ago_or_5_minutes_ahead_is_refused(w) -> None:
    now = int(time.time())
    old = _refused_event(w, timestamp=now - 35 * 86400 - 60).user_message
    true("more than 35 days" in old, old)
    ahead = _refused_event(w, timestamp=now + 330).user_message
    true("more than 5 minutes" in ahead, ahead)
    w.client.v1.billing.meter_events.create(
        {"event_name": "late", "payload": _payload(w.customer.id, "1"), "timestamp": now - 35 * 86400 + 60}
    )


def summaries_start_and_end_on_a_minute(w) -> None:
    period = {"customer": w.customer.id, "start_time": 1717249381, "end_time": 1717249440}
    refused(w.client.v1.billing.meters.event_summaries.list, w.meter.id, period, code=ANY, param="start_time")


def one_event_name_belongs_to_one_active_meter(w) -> None:
    meter = {"display_name": "Again", "event_name": "logins", "default_aggregation": {"formula": "sum"}}
    refused(w.client.v1.billing.meters.create, meter, code=ANY, param=ANY)


def a_deactivated_meter_takes_no_events_until_it_is_reactivated(w) -> None:
    meter = w.client.v1.billing.meters.deactivate(w.gpu_meter.id)
    equal(meter.status, "inactive", "status")
    true(meter.status_transitions.deactivated_at, "deactivated_at is empty")
    _refused_event(w, event_name="gpu_hours")
    price = _price(w.gpu_meter.id, Decimal("1"))
    refused(w.client.v1.prices.create, price, code=ANY, param="recurring[meter]")
    meter = w.client.v1.billing.meters.reactivate(w.gpu_meter.id)
    matches(meter, status="active", status_transitions__deactivated_at=None)
    _record(w, "gpu_hours", w.customer.id, "1")


def only_the_name_shown_of_a_meter_changes(w) -> None:
    matches(w.client.v1.billing.meters.update(w.meter.id, {"display_name": "Tokens"}), display_name="Tokens")
    change = {"event_name": "other"}
    refused(w.client.v1.billing.meters.update, w.meter.id, change, code="parameter_unknown", param="event_name")


def _payload(customer: str, value: str) -> dict[str, str]:
    return {"stripe_customer_id": customer, "value": value}


def _record(w, event_name: str, customer: str, value: str, **more: object) -> None:
    event = {"event_name": event_name, "payload": _payload(customer, value), **more}
    equal(w.client.v1.billing.meter_events.create(event).payload["value"], value, "value")


def _refused_event(w, **changes: object) -> InvalidRequestError:
    event = {"event_name": "hypernian_tokens", "payload": _payload(w.customer.id, "1")} | changes
    return refused(w.client.v1.billing.meter_events.create, event, code=ANY, param=ANY)


def _price(meter: str, unit_amount: Decimal) -> dict:
    return {
        "currency": "usd",
        "unit_amount_decimal": unit_amount,
        "recurring": {"interval": "month", "usage_type": "metered", "meter": meter},
        "product": "tokens_gold",
    }


def _metered(w, formula: str, event_name: str, unit_amount: Decimal):
    """A meter, and a subscription of a customer of its own to a price on it."""
    meter = w.client.v1.billing.meters.create(
        {"display_name": event_name, "event_name": event_name, "default_aggregation": {"formula": formula}}
    )
    price = w.client.v1.prices.create(_price(meter.id, unit_amount))
    customer = w.client.v1.customers.create({"name": event_name})
    return meter, w.client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})


def _total(w, meter: str, customer: str) -> float:
    """The usage since an hour before the run, by one summary."""
    period = {"start_time": w.started // 60 * 60 - 3600, "end_time": int(time.time()) // 60 * 60 + 60}
    summaries = w.client.v1.billing.meters.event_summaries.list(meter, period | {"customer": customer})
    equal(len(summaries.data), 1, "summaries")
    return summaries.data[0].aggregated_value
