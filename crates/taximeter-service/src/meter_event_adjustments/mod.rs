//! Corrections of recorded usage, one event at a time: Stripe's adjustments, and what goes beyond
//! them.
//!
//! Usage on an invoice that is finalized stays as it was billed: the invoice holds its own figures.

mod correct;
mod events;
mod name;

use serde_json::{Value, json};
use taximeter_kernel::id::{Customer, Id, MeterEventAdjustment};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meters;
use crate::params::Text;
use correct::{Change, correct};
pub use events::{Amend, Cancel, Restore, amend, cancel, restore};
use name::only;
pub use name::{EventName, NOUN, id_of_position};
pub(crate) use name::{event_of_position, of_identifier};

/// The longest reason that is given for a correction, in characters.
pub const REASON_CHARS_MAX: usize = 500;

crate::choice! {
    /// What an adjustment does.
    pub enum Type {
        /// It cancels one event.
        Cancel = "cancel",
    }
}

crate::params! {
    /// Which event to cancel.
    pub struct CancelParams {
        /// Whose event, where several customers have one with the identifier.
        pub customer: Option<Id<Customer>>,
        /// The event's identifier.
        pub identifier: Text<100>,
    }
}

crate::params! {
    /// What a new adjustment is made of.
    pub struct Create {
        /// Which event to cancel.
        pub cancel: CancelParams,
        /// The name that the event was sent under.
        pub event_name: Text<100>,
        /// Why, for the audit trail.
        pub reason: Option<Text<REASON_CHARS_MAX>>,
        /// What to do.
        pub r#type: Type,
    }
}

/// Cancels an event, and answers as v1 does. Canceling it again is no error.
///
/// # Errors
/// A 400 when there is no such event, or it was received too long ago.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Value> {
    apply(ctx, &input).await?;
    Ok(json!({
        "object": "billing.meter_event_adjustment",
        "cancel": { "identifier": &*input.cancel.identifier },
        "event_name": &*input.event_name,
        "livemode": ctx.scope().mode.is_live(),
        "status": "complete",
        "type": "cancel",
    }))
}

/// Cancels an event, and answers as v2 does.
///
/// # Errors
/// As [`create`], with v2's code for it.
pub async fn create_v2(ctx: &mut Ctx, input: Create) -> Result<Value> {
    apply(ctx, &input).await?;
    let id: Id<MeterEventAdjustment> = ctx.new_id();
    Ok(json!({
        "id": id.as_str(),
        "object": "v2.billing.meter_event_adjustment",
        "cancel": { "identifier": &*input.cancel.identifier },
        "created": ctx.now.to_rfc3339(),
        "event_name": &*input.event_name,
        "livemode": ctx.scope().mode.is_live(),
        "status": "complete",
        "type": "cancel",
    }))
}

async fn apply(ctx: &mut Ctx, input: &Create) -> Result<()> {
    let CancelParams { customer, identifier } = &input.cancel;
    let mut found = of_identifier(ctx, customer.as_ref(), identifier)?;
    found.retain(|event| event.event_name == *input.event_name);
    let event = only(found, identifier, "cancel[customer]").map_err(invalid_cancel)?;
    let param = "cancel[identifier]";
    let missing = || invalid_cancel(Error::no_such(NOUN, identifier, param));
    let event = event.ok_or_else(missing)?;
    let meter = meters::named(ctx, event.meter.as_str(), "event_name").await?;
    let reason = input.reason.clone().map(Into::into);
    let canceled = correct(ctx, &meter, &event, Change::Cancel, reason).await;
    canceled.map(|_| ()).map_err(|error| match error.param {
        None => invalid_cancel(error).param(param),
        Some(_) => error,
    })
}

/// v2 has one code for all that is wrong with what is to be canceled.
fn invalid_cancel(error: Error) -> Error {
    match error.kind {
        crate::error::Kind::InvalidRequest => error.v2_code("invalid_cancel_configuration"),
        _ => error,
    }
}
