"""Corrections: adjustments of both dialects, and ours through the client's raw requests."""

import time

from shared.suite import equal, matches, prefixed, true

from .client import refused


def an_event_is_canceled_and_again(w) -> None:
    meter = {"display_name": "Calls", "event_name": "corrected", "default_aggregation": {"formula": "sum"}}
    w.corrected = w.client.v1.billing.meters.create(meter)
    w.mistaken = w.client.v1.customers.create({"name": "Mistaken"})
    for identifier, value in (("wrong-7", "7"), ("right-13", "13"), ("wrong-101", "101")):
        _record(w, w.mistaken.id, value, identifier)
    equal(_total(w), 121, "usage")
    adjustment = {"event_name": "corrected", "type": "cancel", "cancel": {"identifier": "wrong-7"}}
    for _ in range(2):
        done = w.client.v1.billing.meter_event_adjustments.create(adjustment)
        matches(done, status="complete", type="cancel", event_name="corrected", cancel__identifier="wrong-7")
        equal(_total(w), 114, "usage")


def an_event_is_canceled_through_v2(w) -> None:
    adjustment = {"event_name": "corrected", "type": "cancel", "cancel": {"identifier": "wrong-101"}}
    done = w.client.v2.billing.meter_event_adjustments.create(adjustment)
    prefixed(done.id, "mtr_event_adj_")
    matches(done, status="complete", cancel__identifier="wrong-101", object="v2.billing.meter_event_adjustment")
    equal(_total(w), 13, "usage")


def an_event_that_is_not_there_is_not_canceled(w) -> None:
    adjustment = {"event_name": "corrected", "type": "cancel", "cancel": {"identifier": "nobody"}}
    v1 = w.client.v1.billing.meter_event_adjustments.create
    refused(v1, adjustment, code="resource_missing", param="cancel[identifier]")
    refused(w.client.v2.billing.meter_event_adjustments.create, adjustment, code="invalid_cancel_configuration")


def an_event_is_amended_and_restored_at_its_own_address(w) -> None:
    path = "/v1/billing/meter_events/right-13/amend"
    payload = {"stripe_customer_id": w.mistaken.id, "value": "13.5"}
    amended = _raw(w, "post", path, payload=payload, reason="Half was missing")
    matches(amended, identifier="right-13", payload__value="13.5")
    equal(_total(w), 13.5, "usage")
    _raw(w, "post", "/v1/billing/meter_events/wrong-7/restore")
    equal(_total(w), 20.5, "usage")


def a_past_span_is_filled_looked_at_and_put_back(w) -> None:
    now = int(time.time())
    timeframe = {"timeframe_start": now - 3600, "timeframe_end": now}
    backfill = _raw(w, "post", "/v1/billing/meter_event_backfills", meter=w.corrected.id, **timeframe)
    path = f"/v1/billing/meter_event_backfills/{backfill['id']}"
    payload = {"stripe_customer_id": w.mistaken.id, "value": "0.5"}
    _raw(w, "post", f"{path}/events", events=[{"timestamp": now - 60 - each, "payload": payload} for each in range(3)])
    row = _raw(w, "get", f"{path}/preview")["data"][0]
    equal((row["usage_after"], row["difference"]), (22, 1.5), "the preview")
    matches(_raw(w, "post", f"{path}/apply"), status="applied")
    equal(_total(w), 22, "usage")
    matches(_raw(w, "post", f"{path}/revert"), status="reverted")
    equal(_total(w), 20.5, "usage")


def every_correction_is_in_the_audit_trail(w) -> None:
    trail = _raw(w, "get", "/v1/billing/usage_audit", meter=w.corrected.id, limit=100)["data"]
    expected = [*["backfill_revert"] * 2, *["backfill_apply"] * 2, "restore", "amend", "cancel", "cancel"]
    equal([entry["action"] for entry in trail], expected, "the trail")
    equal(trail[5]["reason"], "Half was missing", "the reason")
    true(all(entry["request"].startswith("req_") for entry in trail), "an entry without its request")


def _record(w, customer: str, value: str, identifier: str) -> None:
    payload = {"stripe_customer_id": customer, "value": value}
    # Well before any timeframe of the checks ends.
    timestamp = int(time.time()) - 600
    event = {"event_name": "corrected", "payload": payload, "identifier": identifier, "timestamp": timestamp}
    w.client.v1.billing.meter_events.create(event)


def _raw(w, method: str, path: str, **params: object) -> dict:
    answer = w.client.raw_request(method, path, **params)
    return answer.data


def _total(w) -> float:
    period = {"start_time": w.started // 60 * 60 - 7200, "end_time": int(time.time()) // 60 * 60 + 60}
    summaries = w.client.v1.billing.meters.event_summaries.list(
        w.corrected.id, period | {"customer": w.mistaken.id}
    )
    return summaries.data[0].aggregated_value
