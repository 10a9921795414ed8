//! Whose the events are, and how they are written: for the stream as JSON, for the engine as a batch.

use std::borrow::Cow;

use taximeter_kernel::aggregate::{Aggregation, Formula, Measure};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Customer, Id, Meter, Scope};
use taximeter_kernel::time::{DAY_S, Timestamp};
use taximeter_usage::{Batch, NewEvent};

use super::workload::{
    Draw, IDENTIFIER_BYTES, METERS, MODELS, REGIONS, VALUE_MAX, Workload, has_dimensions,
};

/// The days before the last that events can be of, and one after.
const DAYS: i64 = 80;
/// `2026-11-21T`
const DAY_BYTES: usize = 11;
/// How the payload names the customer.
pub(crate) const CUSTOMER_KEY: &str = "stripe_customer_id";

/// The ids that the events name.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) scope: Scope,
    pub(crate) meters: Vec<Id<Meter>>,
    pub(crate) customers: Vec<Id<Customer>>,
    values: Vec<String>,
    names: Vec<String>,
}

/// An event and its identifier, ready to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) draw: Draw,
    pub(crate) identifier: [u8; IDENTIFIER_BYTES],
    pub(crate) arrival_s: i64,
}

impl Workload {
    /// The event with that number, with its identifier.
    pub(crate) fn ready(&self, number: u64) -> Ready {
        let draw = self.draw(number);
        let identifier = self.identifier(draw.number);
        Ready { draw, identifier, arrival_s: self.arrival_s(number) }
    }
}

/// The name of a meter's events.
pub(crate) fn event_name(meter: usize) -> String {
    format!("bench_usage_{meter}")
}

/// How all the meters count.
pub(crate) const AGGREGATION: Aggregation = Aggregation::new(Formula::Sum);

impl Cast {
    pub(crate) fn new(scope: Scope, meters: Vec<Id<Meter>>, customers: Vec<Id<Customer>>) -> Self {
        let values = (0..=VALUE_MAX).map(|value| value.to_string()).collect();
        Self { scope, meters, customers, values, names: (0..METERS).map(event_name).collect() }
    }

    /// Names for customers and meters that are in no database.
    pub(crate) fn made_up(scope: Scope, customers: usize) -> Result<Self, String> {
        let meters = (0..METERS).map(|it| made_up(&format!("mtr_bench{it:015}")));
        let meters = meters.collect::<Result<_, _>>()?;
        Ok(Self::new(scope, meters, made_up_customers(0, customers)?))
    }

    /// Adds an event to a batch.
    pub(crate) fn push(&self, batch: &mut Batch, ready: &Ready) -> Result<(), String> {
        let draw = &ready.draw;
        let identifier = text(&ready.identifier);
        let customer = &self.customers[draw.customer];
        let (region, model) = (REGIONS[draw.region], MODELS[draw.model]);
        let pair = |key: &'static str, value| (Cow::Borrowed(key), Cow::Borrowed(value));
        let payload = [
            pair(CUSTOMER_KEY, customer.as_str()),
            pair("value", self.values[draw.value].as_str()),
            pair("region", region),
            pair("model", model),
        ];
        let dimensions = [region, model];
        let (members, dimensions) = match has_dimensions(draw.meter) {
            true => (&payload[..], &dimensions[..]),
            false => (&payload[..2], &dimensions[..0]),
        };
        let new = NewEvent {
            meter: &self.meters[draw.meter],
            aggregation: AGGREGATION,
            event_name: &self.names[draw.meter],
            customer,
            identifier,
            timestamp: Timestamp(draw.timestamp_s),
            measure: Measure::Number(Decimal::from_int(whole(draw.value))),
            dimensions,
            payload: members,
            request: None,
            backfill: None,
        };
        batch.push(&new).map_err(|error| error.to_string())
    }

    /// Adds an event to a text, as the stream takes it.
    pub(crate) fn write(&self, out: &mut Vec<u8>, ready: &Ready, days: &Days) {
        let draw = &ready.draw;
        for part in [
            r#"{"event_name":""#,
            &self.names[draw.meter],
            r#"","identifier":""#,
            text(&ready.identifier),
            r#"","payload":{"stripe_customer_id":""#,
            self.customers[draw.customer].as_str(),
            r#"","value":""#,
            &self.values[draw.value],
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        if has_dimensions(draw.meter) {
            let (region, model) = (REGIONS[draw.region], MODELS[draw.model]);
            for part in [r#"","region":""#, region, r#"","model":""#, model] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.extend_from_slice(br#""},"timestamp":""#);
        days.write(out, draw.timestamp_s);
        out.extend_from_slice(br#"Z"}"#);
    }
}

/// Customers with names of one length, from a place on.
pub(crate) fn made_up_customers(first: usize, end: usize) -> Result<Vec<Id<Customer>>, String> {
    (first..end).map(|it| made_up(&format!("cus_bench{it:09}"))).collect()
}

fn made_up<K: taximeter_kernel::id::Kind>(text: &str) -> Result<Id<K>, String> {
    Id::parse(text).map_err(|error| error.to_string())
}

fn text(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).unwrap_or_default()
}

fn whole(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(0)
}

/// The texts of days, since writing instants from scratch would take the load's time.
#[derive(Debug)]
pub(crate) struct Days {
    first: i64,
    texts: Vec<String>,
}

impl Days {
    /// The days around an instant.
    pub(crate) fn around(now_s: i64) -> Self {
        let first = now_s.div_euclid(DAY_S) - DAYS + 2;
        let texts = (first..first + DAYS).map(|day| {
            let mut text = Timestamp(day * DAY_S).to_rfc3339();
            text.truncate(DAY_BYTES);
            text
        });
        Self { first, texts: texts.collect() }
    }

    /// `2026-11-21T10:20:30`
    fn write(&self, out: &mut Vec<u8>, at_s: i64) {
        let day = usize::try_from(at_s.div_euclid(DAY_S) - self.first).unwrap_or(0);
        out.extend_from_slice(self.texts[day].as_bytes());
        let second = at_s.rem_euclid(DAY_S);
        for (place, number) in [second / 3_600, second / 60 % 60, second % 60].iter().enumerate() {
            if place > 0 {
                out.push(b':');
            }
            let number = u8::try_from(*number).unwrap_or(0);
            out.extend_from_slice(&[b'0' + number / 10, b'0' + number % 10]);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use taximeter_kernel::id::Mode;

    use super::*;

    #[test]
    fn an_event_is_written_as_the_stream_takes_it() {
        let scope = Scope { account: Id::parse("acct_7").unwrap(), mode: Mode::Test };
        let cast = Cast::made_up(scope, 13).unwrap();
        let draw = Draw {
            number: 7,
            meter: 3,
            customer: 12,
            timestamp_s: 1_717_243_800,
            value: 101,
            region: 1,
            model: 6,
        };
        let identifier = *b"01234567-89ab-4cde-8f01-23456789abcd";
        let mut ready = Ready { draw, identifier, arrival_s: 0 };
        let mut check = |meter, expected: Value| {
            ready.draw.meter = meter;
            let mut out = Vec::new();
            cast.write(&mut out, &ready, &Days::around(1_717_243_807));
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected);
        };
        let customer = "cus_bench000000012";
        let payload = json!({
            "stripe_customer_id": customer, "value": "101", "region": "eu-west", "model": "huge"
        });
        let mut event = json!({
            "event_name": "bench_usage_3", "identifier": "01234567-89ab-4cde-8f01-23456789abcd",
            "payload": payload, "timestamp": "2024-06-01T12:10:00Z"
        });
        check(3, event.clone());
        event["event_name"] = json!("bench_usage_4");
        event["payload"] = json!({ "stripe_customer_id": customer, "value": "101" });
        check(4, event);
    }
}
