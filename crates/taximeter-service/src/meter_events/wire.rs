//! A meter event as clients see it.
//!
//! Answers to events are written by hand: there are more of them than of anything else.

use std::fmt::{Arguments, Write as _};

use super::Recorded;
use super::params::Member;

/// The text of the object `billing.meter_event`.
#[must_use]
pub fn v1_text(event: &Recorded<'_>) -> String {
    object(
        "billing.meter_event",
        event,
        format_args!("{}", event.created.0),
        format_args!("{}", event.timestamp.0),
    )
}

/// The text of the object `v2.billing.meter_event`.
#[must_use]
pub fn v2_text(event: &Recorded<'_>) -> String {
    let (created, timestamp) = (event.created.to_rfc3339(), event.timestamp.to_rfc3339());
    let object_name = "v2.billing.meter_event";
    object(object_name, event, format_args!("\"{created}\""), format_args!("\"{timestamp}\""))
}

/// Indented as all answers are.
fn object(
    object: &str,
    event: &Recorded<'_>,
    created: Arguments<'_>,
    timestamp: Arguments<'_>,
) -> String {
    let mut out = String::with_capacity(512);
    out.extend(["{\n  \"object\": \"", object, "\",\n  \"created\": "]);
    put(&mut out, created);
    out.push_str(",\n  \"event_name\": ");
    string(&mut out, &event.event_name);
    out.push_str(",\n  \"identifier\": ");
    string(&mut out, &event.identifier);
    let livemode = if event.livemode { "true" } else { "false" };
    out.extend([",\n  \"livemode\": ", livemode, ",\n  \"payload\": "]);
    payload(&mut out, &event.payload);
    out.push_str(",\n  \"timestamp\": ");
    put(&mut out, timestamp);
    out.push_str("\n}");
    out
}

fn put(out: &mut String, what: Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = out.write_fmt(what);
}

fn payload(out: &mut String, members: &[Member<'_>]) {
    out.push('{');
    for (place, (key, value)) in members.iter().enumerate() {
        out.push_str(if place == 0 { "\n    " } else { ",\n    " });
        string(out, key);
        out.push_str(": ");
        string(out, value);
    }
    out.push_str(if members.is_empty() { "}" } else { "\n  }" });
}

/// A JSON string: what must be escaped is, and nothing else.
fn string(out: &mut String, text: &str) {
    out.push('"');
    // Without a way out of the loop, many bytes are looked at in one step.
    let escapes = text.bytes().fold(false, |any, byte| any | is_escaped(byte));
    if !escapes {
        out.push_str(text);
    } else {
        text.chars().for_each(|letter| escaped(out, letter));
    }
    out.push('"');
}

const fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn escaped(out: &mut String, letter: char) {
    match letter {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        control if control < ' ' => {
            put(out, format_args!("\\u{:04x}", u32::from(control)));
        }
        plain => out.push(plain),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};
    use taximeter_kernel::time::Timestamp;

    /// The object as it was first written, and as it reads in the contract.
    fn v1(event: &Recorded<'_>) -> Value {
        json!({
            "object": "billing.meter_event",
            "created": event.created.0,
            "event_name": event.event_name,
            "identifier": event.identifier,
            "livemode": event.livemode,
            "payload": members(event),
            "timestamp": event.timestamp.0,
        })
    }

    fn v2(event: &Recorded<'_>) -> Value {
        json!({
            "object": "v2.billing.meter_event",
            "created": event.created.to_rfc3339(),
            "event_name": event.event_name,
            "identifier": event.identifier,
            "livemode": event.livemode,
            "payload": members(event),
            "timestamp": event.timestamp.to_rfc3339(),
        })
    }

    fn members(event: &Recorded<'_>) -> Value {
        let members = event.payload.iter().map(|(k, v)| (k.to_string(), Value::from(v.as_ref())));
        Value::Object(members.collect::<Map<_, _>>())
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof!["[\u{0}-\u{7f}]{0,9}", ".{0,9}", "[a-z0-9_]{0,9}"]
    }

    proptest! {
        #[test]
        fn the_text_is_byte_for_byte_that_of_the_object(
            names in (any_text(), any_text()),
            members in prop::collection::btree_map(any_text(), any_text(), 0..4),
            times in (0_i64..=253_402_300_799, 0_i64..=253_402_300_799),
            livemode in any::<bool>(),
        ) {
            let event = Recorded {
                created: Timestamp(times.0),
                event_name: Cow::Owned(names.0),
                identifier: Cow::Owned(names.1),
                livemode,
                payload: members.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
                timestamp: Timestamp(times.1),
                replayed: false,
            };
            prop_assert_eq!(v1_text(&event), format!("{:#}", v1(&event)));
            prop_assert_eq!(v2_text(&event), format!("{:#}", v2(&event)));
        }
    }
}
