"""A kill without warning right after an answer: what was acknowledged is still there, once."""

import time

from shared.suite import equal, matches


def an_acknowledged_event_survives_a_kill(w) -> None:
    w.before = _usage(w)
    w.last_event = (
        {"event_name": "hypernian_tokens", "payload": {"stripe_customer_id": w.customer.id, "value": "13"}},
        {"idempotency_key": "before-the-kill"},
    )
    w.acknowledged = w.client.v1.billing.meter_events.create(*w.last_event)
    w.server.kill()
    w.server.start()
    equal(_usage(w), w.before + 13, "usage")


def its_retry_after_the_kill_is_not_counted_again(w) -> None:
    again = w.client.v1.billing.meter_events.create(*w.last_event)
    equal(again.to_dict(), w.acknowledged.to_dict(), "the second answer")
    equal(_usage(w), w.before + 13, "usage")


def the_replay_of_a_customer_outlives_the_process(w) -> None:
    again = w.client.v1.customers.create(*w.retry)
    matches(again, id=w.once.id)
    equal(again.last_response.headers["Idempotent-Replayed"], "true", "Idempotent-Replayed")


def everything_else_is_still_there(w) -> None:
    equal(w.client.v1.subscriptions.retrieve(w.seats.id).metadata.to_dict(), {"tier": "gold"}, "metadata")
    equal(w.client.v1.billing.meters.retrieve(w.meter.id).display_name, "Tokens", "meter")
    equal(w.client.v1.prices.retrieve(w.graduated.id).active, False, "price")
    equal(w.client.v1.subscriptions.retrieve(w.classic.id).status, "canceled", "subscription")


def _usage(w) -> float:
    period = {"start_time": w.started // 60 * 60, "end_time": int(time.time()) // 60 * 60 + 60}
    summaries = w.client.v1.billing.meters.event_summaries.list(w.meter.id, period | {"customer": w.customer.id})
    return summaries.data[0].aggregated_value
