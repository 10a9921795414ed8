//! What the wire forms of all objects have in common.

use serde_json::Value;
use taximeter_kernel::time::Timestamp;

/// An instant in seconds, or null.
#[must_use]
pub fn seconds(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| at.0.into())
}

/// Leaves members out that Stripe's types allow to be absent but not to be null.
#[must_use]
pub fn without_nulls(mut object: Value, members: &[&str]) -> Value {
    if let Value::Object(all) = &mut object {
        all.retain(|name, value| !(value.is_null() && members.contains(&name.as_str())));
    }
    object
}
