"""Usage read back: formulas and dimensions of ours, calendars, and the events themselves."""

import json
import time
from decimal import Decimal

from shared.suite import equal, matches, true
from stripe.billing import MeterEvent

from .client import refused

METER = {"display_name": "Requests", "event_name": "requests"}


def a_meter_takes_dimensions_and_formulas_of_ours(w) -> None:
    meter = {
        **METER,
        "default_aggregation": {"formula": "percentile", "percentile": "95"},
        "dimension_payload_keys": ["region", "model"],
        "late_event_window_seconds": 86400 * 60,
        "value_settings": {"event_payload_key": "ms", "max_digits": 20},
    }
    w.requests = w.client.v1.billing.meters.create(meter)
    matches(w.requests, default_aggregation__formula="percentile", default_aggregation__percentile="95")
    equal(w.requests.dimension_payload_keys, ["region", "model"], "dimension_payload_keys")
    matches(w.requests, late_event_window_seconds=86400 * 60, value_settings__max_digits=20)
    w.reader = w.client.v1.customers.create({"name": "Reader"})


def usage_is_told_apart_by_dimension(w) -> None:
    w.hour = int(time.time()) // 3600 * 3600
    for place, (region, model, ms) in enumerate(
        [("eu", "large", "7"), ("eu", "small", "13"), ("us", "large", "0.5"), ("us", "large", "101")]
    ):
        payload = {"stripe_customer_id": w.reader.id, "ms": ms, "region": region, "model": model}
        event = {"event_name": "requests", "identifier": f"request-{place}", "payload": payload}
        w.client.v1.billing.meter_events.create({**event, "timestamp": w.hour + place})
    w.span = {"customer": w.reader.id, "start_time": w.hour, "end_time": w.hour + 3600}
    by_region = w.client.v1.billing.meters.event_summaries.list(
        w.requests.id, w.span | {"dimension_group_by_keys": ["region"], "value_grouping_window": "hour"}
    )
    equal([(row.dimensions["region"], row.aggregated_value) for row in by_region.data], [("eu", 13), ("us", 101)])
    large = w.client.v1.billing.meters.event_summaries.list(
        w.requests.id, w.span | {"dimension_filters": {"region": "us", "model": "large"}}
    )
    equal([row.aggregated_value for row in large.data], [101], "filtered")


def groups_are_paged_by_their_ids(w) -> None:
    groups = w.client.v1.billing.meters.event_summaries.list(
        w.requests.id, w.span | {"dimension_group_by_keys": ["region", "model"], "limit": 1}
    )
    rows = [(row.dimensions["region"], row.dimensions["model"]) for row in groups.auto_paging_iter()]
    equal(rows, [("eu", "large"), ("eu", "small"), ("us", "large")], "groups")


def a_dimension_that_a_meter_lacks_is_refused(w) -> None:
    span = w.span | {"dimension_filters": {"colour": "red"}}
    refused(w.client.v1.billing.meters.event_summaries.list, w.requests.id, span, param="dimension_filters[colour]")


def usage_is_read_by_the_months_of_a_zone(w) -> None:
    answer = w.client.raw_request(
        "get",
        "/v1/billing/analytics/meter_usage",
        customer=w.reader.id,
        starts_at=w.hour,
        ends_at=w.hour + 3600,
        timezone="America/New_York",
        value_grouping_window="month",
        meters=[{"meter": w.requests.id, "dimension_filters": {"region": ["eu", "us"]}}],
    )
    usage = w.client.deserialize(answer, api_mode="V1")
    equal([(row.meter, row.value) for row in usage.rows.data], [(w.requests.id, 101)], "rows")


def recorded_events_are_listed_and_followed_page_by_page(w) -> None:
    answer = w.client.raw_request("get", "/v1/billing/meter_events", customer=w.reader.id, limit=2)
    events = w.client.deserialize(answer, api_mode="V1")
    equal(events.has_more, True, "has_more")
    true(all(isinstance(event, MeterEvent) for event in events.data), "an event of another class")
    seen = [event.identifier for event in events.auto_paging_iter()]
    equal(seen, ["request-3", "request-2", "request-1", "request-0"], "all pages")


def a_recorded_event_is_read_by_its_identifier(w) -> None:
    answer = w.client.raw_request("get", "/v1/billing/meter_events/request-1", customer=w.reader.id)
    event = w.client.deserialize(answer, api_mode="V1")
    matches(event, status="counted", value="13", meter=w.requests.id, customer=w.reader.id)
    equal(event.dimensions.to_dict(), {"region": "eu", "model": "small"}, "dimensions")
    equal(json.loads(answer.body)["value"], "13", "value as sent")
    equal(Decimal(event.value), Decimal("13"), "value")
