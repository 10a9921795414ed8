"""The stream of meter events as the SDK sends it: a session, its token, and what becomes of events at fault."""

import time

import stripe
from shared.suite import equal, matches, prefixed, true

from .client import refused


def a_session_has_a_token_for_a_quarter_of_an_hour(w) -> None:
    session = w.client.v2.billing.meter_event_session.create()
    matches(session, object="v2.billing.meter_event_session", livemode=False)
    prefixed(session.id, "mes_")
    true(session.authentication_token, "there is no token")
    w.stream = w.clients.of_stream(session.authentication_token)


def the_stream_takes_events_with_the_token(w) -> None:
    meter = w.client.v1.billing.meters.create(
        {"display_name": "Streamed", "event_name": "streamed", "default_aggregation": {"formula": "sum"}}
    )
    w.streamed = (meter, w.client.v1.customers.create({"name": "Streamer"}))
    answer = w.stream.v2.billing.meter_event_stream.create({"events": [_event(w, "7"), _event(w, "13.5")]})
    equal(answer, None, "the answer")
    equal(_total(w), 20.5, "usage")


def an_identifier_is_counted_once_on_the_stream(w) -> None:
    event = _event(w, "1", identifier="streamed-1")
    for _ in range(2):
        w.stream.v2.billing.meter_event_stream.create({"events": [event, event]})
    equal(_total(w), 21.5, "usage")


def a_hundred_events_are_one_request_and_no_more(w) -> None:
    w.stream.v2.billing.meter_event_stream.create({"events": [_event(w, "1")] * 100})
    equal(_total(w), 121.5, "usage")
    many = {"events": [_event(w, "1")] * 101}
    refused(w.stream.v2.billing.meter_event_stream.create, many, code="invalid_request")
    equal(_total(w), 121.5, "usage")


def what_is_at_fault_is_accepted_and_reported(w) -> None:
    bad = [_event(w, "seven", identifier="bad-7"), {"event_name": "unheard_of", "payload": {"value": "1"}}]
    w.stream.v2.billing.meter_event_stream.create({"events": bad})
    equal(_total(w), 121.5, "usage")
    found = _wait_for(w, "v1.billing.meter.error_report_triggered", w.streamed[0].id)
    event = w.client.v2.core.events.retrieve(found.id)
    equal(type(event), stripe.events.V1BillingMeterErrorReportTriggeredEvent, "type")
    equal(event.data.developer_message_summary, "There is 1 invalid event", "summary")
    kind = event.data.reason.error_types[0]
    matches(kind, code="meter_event_invalid_value", error_count=1)
    equal(kind.sample_errors[0].request.identifier, "bad-7", "identifier")
    equal(event.fetch_related_object().id, w.streamed[0].id, "meter")
    missing = _wait_for(w, "v1.billing.meter.no_meter_found", None)
    event = w.client.v2.core.events.retrieve(missing.id)
    equal(type(event), stripe.events.V1BillingMeterNoMeterFoundEvent, "type")
    equal(event.data.reason.error_types[0].code, "no_meter", "code")


def a_secret_key_does_not_open_the_stream(w) -> None:
    stranger = w.clients.of_stream(w.client._requestor.api_key)
    events = {"events": []}
    create = stranger.v2.billing.meter_event_stream.create
    # The SDK keeps the code of a 401 to itself.
    refused(create, events, error=stripe.AuthenticationError, status=401)


def a_single_event_of_v2_is_refused_with_its_code(w) -> None:
    create = w.client.v2.billing.meter_events.create
    event = _event(w, "1", identifier="v2-1")
    matches(create(event), object="v2.billing.meter_event", identifier="v2-1")
    refused(create, event, code="duplicate_meter_event")
    refused(create, _event(w, "1") | {"event_name": "unheard_of"}, code="no_meter")
    refused(create, _event(w, "seven"), code="payload_invalid_value")
    refused(create, {"event_name": "streamed", "payload": {"value": "1"}}, code="payload_no_customer_defined")
    nobody = {"stripe_customer_id": w.streamed[1].id}
    refused(create, {"event_name": "streamed", "payload": nobody}, code="payload_no_value_defined")


def a_single_event_of_an_unknown_customer_is_accepted(w) -> None:
    for create in (w.client.v1.billing.meter_events.create, w.client.v2.billing.meter_events.create):
        event = {"event_name": "streamed", "payload": {"stripe_customer_id": "cus_nobody", "value": "1"}}
        equal(create(event).payload["stripe_customer_id"], "cus_nobody", "customer")


def _event(w, value: str, **more: object) -> dict:
    payload = {"stripe_customer_id": w.streamed[1].id, "value": value}
    return {"event_name": "streamed", "payload": payload, **more}


def _total(w) -> float:
    period = {"start_time": w.started // 60 * 60 - 3600, "end_time": int(time.time()) // 60 * 60 + 60}
    meter, customer = w.streamed
    summaries = w.client.v1.billing.meters.event_summaries.list(meter.id, period | {"customer": customer.id})
    return summaries.data[0].aggregated_value


def _wait_for(w, kind: str, meter: str | None):
    """Waits for a report: they come once their ten seconds are over."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        query = {"types": [kind]} | ({"object_id": meter} if meter else {})
        found = w.client.v2.core.events.list(query).data
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"there is no {kind} after 30 s")
