//! Corrections of recorded usage, one event at a time: Stripe's adjustments, and what goes beyond
//! them.
//!
//! Usage on an invoice that is finalized stays as it was billed: the invoice holds its own figures.

mod correct;
mod events;
mod name;

use serde_json::{Value, json};
use taximeter_kernel::id::{Customer, Id, Kind as _, MeterEvent, MeterEventAdjustment};

use crate::ctx::Ctx;
use crate::error::{Error, Kind, Result};
use crate::meters;
use crate::params::Text;
use correct::{Change, correct};
pub use events::{Amend, Cancel, Restore, amend, cancel, restore};
pub(crate) use name::{EventName, event_of_position, of_identifier};

/// What v2 says of all that is wrong with what is to be canceled.
const INVALID_CANCEL: &str = "invalid_cancel_configuration";

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
    let identifier = &**identifier;
    let mut found = of_identifier(ctx, customer.as_ref(), identifier)?;
    found.retain(|event| event.event_name == *input.event_name);
    if found.len() > 1 {
        let message = format!(
            "Several customers have a meter event with identifier '{identifier}'. Name the \
             customer in cancel[customer]."
        );
        return Err(Error::invalid(message).v2_code(INVALID_CANCEL).param("cancel[customer]"));
    }
    let param = "cancel[identifier]";
    let missing = || Error::no_such(MeterEvent::NOUN, identifier, param).v2_code(INVALID_CANCEL);
    let event = found.pop().ok_or_else(missing)?;
    let meter = meters::named(ctx, event.meter.as_str(), "event_name").await?;
    let reason = input.reason.clone().map(Into::into);
    match correct(ctx, &meter, &event, Change::Cancel, reason).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind == Kind::InvalidRequest => {
            Err(error.v2_code(INVALID_CANCEL).param(param))
        }
        Err(error) => Err(error),
    }
}
