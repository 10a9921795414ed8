//! What happened, written in the transaction in which it happened.
//!
//! Each row is one event as Stripe has it: the object as it was after the change, without what is
//! shown only when expanded, and for an update the old values of what changed. With it goes a row
//! for each endpoint that is to be told of it.

use serde_json::{Map, Value};
use taximeter_db::{Arg, Tx, args};
use taximeter_kernel::id::{Event, Id, Scope};
use taximeter_kernel::time::Timestamp;

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::expand::prune;
use crate::version::{self, ApiVersion};
use crate::webhooks;

/// Writes the event `kind` (such as `customer.created`) about `object`.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn push(ctx: &mut Ctx, kind: &'static str, object: &Value) -> Result<()> {
    write(ctx, kind, &shown(object), None).await
}

/// Writes the event `kind` (such as `customer.updated`) when `after` differs from `before`.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn push_update(
    ctx: &mut Ctx,
    kind: &'static str,
    before: &Value,
    after: &Value,
) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let after = shown(after);
    let previous = previous_attributes(&shown(before), &after);
    write(ctx, kind, &after, Some(Value::Object(previous))).await
}

/// An object without what is on the wire only when it is asked for: nobody asks an event.
fn shown(object: &Value) -> Value {
    let mut shown = object.clone();
    prune(&mut shown);
    shown
}

/// Writes an event about an object as it is shown.
async fn write(
    ctx: &mut Ctx,
    kind: &'static str,
    object: &Value,
    previous: Option<Value>,
) -> Result<()> {
    let id: Id<Event> = ctx.new_id();
    let object_id = object["id"].as_str().unwrap_or("").to_owned();
    let object = serde_json::to_string(object).map_err(Error::internal)?;
    let previous = previous.map(|value| value.to_string());
    let args = ctx.args([
        Arg::from(&id),
        Arg::from(kind),
        Arg::from(ctx.now),
        Arg::from(object_id),
        Arg::from(object),
        Arg::Text(previous),
        Arg::Text((!ctx.caller.by_time).then(|| ctx.caller.request.as_str().to_owned())),
        Arg::Text(ctx.caller.idempotency_key.clone()),
        Arg::from(ctx.wall()),
    ]);
    ctx.tx
        .execute(
            "INSERT INTO events (account, livemode, id, type, created, object_id, \
             object, previous_attributes, request, idempotency_key, written) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            args,
        )
        .await?;
    webhooks::queue(ctx, &id, kind).await
}

/// An event that only v2 tells of, and that no request made happen.
#[derive(Debug)]
pub struct Thin<'a> {
    /// Its id, as events of v1 have it.
    pub id: Id<Event>,
    /// What happened, with the `v1.` of thin events: that keeps it out of the lists of v1.
    pub kind: &'static str,
    /// When.
    pub created: Timestamp,
    /// The object it is about; empty when there is none.
    pub object_id: &'a str,
    /// What it says beyond that.
    pub data: Value,
}

/// Writes an event that only v2 tells of.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn push_thin(tx: &mut Tx, scope: &Scope, event: Thin<'_>) -> Result<()> {
    let args = args![
        &scope.account,
        scope.mode,
        event.id,
        event.kind,
        event.created,
        event.object_id,
        event.data.to_string(),
    ];
    let sql = "INSERT INTO events (account, livemode, id, type, created, written, object_id, object) \
               VALUES ($1, $2, $3, $4, $5, $5, $6, $7)";
    tx.execute(sql, args).await?;
    Ok(())
}

/// The old values of what changed, as they are to be read in another version of the API: the object
/// as it was is put together again, shown in that version, and compared anew.
pub(crate) fn previous_in(version: &ApiVersion, after: &Value, previous: &Value) -> Value {
    let mut before = after.clone();
    restore(&mut before, previous);
    let mut after = after.clone();
    version::render(&mut before, version);
    version::render(&mut after, version);
    Value::Object(previous_attributes(&before, &after))
}

/// Puts old values back in their places.
fn restore(object: &mut Value, previous: &Value) {
    let Value::Object(previous) = previous else { return };
    for (name, old) in previous {
        match old {
            Value::Object(members) if object[name].is_object() && !members.is_empty() => {
                restore(&mut object[name], old);
            }
            _ => object[name] = old.clone(),
        }
    }
}

/// The old values of what changed: members of changed maps one by one, changed arrays whole.
fn previous_attributes(before: &Value, after: &Value) -> Map<String, Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return Map::new();
    };
    let mut previous = Map::new();
    for (name, old) in before {
        let new = after.get(name).unwrap_or(&Value::Null);
        if old == new {
            continue;
        }
        let shown = match (old, new) {
            (Value::Object(_), Value::Object(_)) => Value::Object(previous_attributes(old, new)),
            _ => old.clone(),
        };
        previous.insert(name.clone(), shown);
    }
    // A key that is new was null before, as in a map of metadata.
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        previous.insert(name.clone(), Value::Null);
    }
    previous
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn previous_attributes_name_what_changed_and_nothing_else() {
        let before =
            json!({"name": "a", "metadata": {"x": "1", "y": "2"}, "tags": [1], "updated": 1});
        let after =
            json!({"name": "b", "metadata": {"x": "3", "z": "4"}, "tags": [1], "updated": 2});
        assert_eq!(
            Value::Object(previous_attributes(&before, &after)),
            json!({"name": "a", "metadata": {"x": "1", "y": "2", "z": null}, "updated": 1})
        );
    }
}
