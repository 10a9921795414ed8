//! How a recorded event is named: by its place in the usage log, or by its identifier.

use taximeter_kernel::id::{Customer, Id};
use taximeter_usage::{Event, Standing};

use crate::ctx::Ctx;
use crate::error::{Error, Result};

/// What a message calls an event.
pub const NOUN: &str = "meter event";
const PREFIX: &str = "mevt_";

/// What may stand where an event is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventName<'a> {
    /// Its id, `mevt_7`: its place in the usage log.
    Position(u64),
    /// Its identifier.
    Identifier(&'a str),
}

impl<'a> EventName<'a> {
    /// Reads `mevt_7` as a place and everything else as an identifier.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let digits = text.strip_prefix(PREFIX).filter(|digits| {
            !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        let position = digits.and_then(|digits| digits.parse().ok());
        position.map_or(Self::Identifier(text), Self::Position)
    }
}

/// The id of the event at a place: `mevt_7`.
#[must_use]
pub fn id_of_position(position: u64) -> String {
    format!("{PREFIX}{position}")
}

/// The event at a place, if it is one of the caller's.
pub(crate) fn event_of_position(ctx: &Ctx, position: u64) -> Result<Option<Event>> {
    let event = ctx.usage().event_at(position).map_err(Error::internal)?;
    Ok(event.filter(|event| event.scope == *ctx.scope()))
}

/// The version that stands for the event now: it is not superseded by an amendment.
pub(crate) fn current(ctx: &Ctx, event: &Event) -> Result<Option<Event>> {
    Ok(of_identifier(ctx, Some(&event.customer), &event.identifier)?.into_iter().next())
}

/// The events with an identifier, each in its current version: one for a customer at most.
pub(crate) fn of_identifier(
    ctx: &Ctx,
    customer: Option<&Id<Customer>>,
    identifier: &str,
) -> Result<Vec<Event>> {
    let found = ctx.usage().events_by_identifier(ctx.scope(), customer, identifier);
    let mut found = found.map_err(Error::internal)?;
    found.retain(|event| event.standing != Standing::Amended);
    Ok(found)
}

/// The current version of the event that a path names, and which the customer must have if one is
/// named.
pub(crate) fn named_in_path(
    ctx: &Ctx,
    name: &str,
    customer: Option<&Id<Customer>>,
) -> Result<Event> {
    if let EventName::Position(position) = EventName::parse(name)
        && let Some(event) = event_of_position(ctx, position)?
        && customer.is_none_or(|customer| event.customer == *customer)
        && let Some(event) = current(ctx, &event)?
    {
        return Ok(event);
    }
    let found = of_identifier(ctx, customer, name)?;
    only(found, name, "customer")?.ok_or_else(|| Error::no_such_path(NOUN, name))
}

/// The one event of those found.
///
/// # Errors
/// A 400 when there are several, which `param` could tell apart.
pub(crate) fn only(found: Vec<Event>, identifier: &str, param: &str) -> Result<Option<Event>> {
    let mut found = found.into_iter();
    let event = found.next();
    if found.next().is_none() {
        return Ok(event);
    }
    Err(Error::invalid(format!(
        "Several customers have a meter event with identifier '{identifier}'. Name the customer in \
         {param}."
    ))
    .param(param))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_an_identifier() {
        assert_eq!(EventName::parse(&id_of_position(13)), EventName::Position(13));
        for text in ["13", "mevt_", "mevt_0", "mevt_013", "mevt_+1", "mevt_1x", "order-7", ""] {
            assert_eq!(EventName::parse(text), EventName::Identifier(text));
        }
        let beyond = "mevt_99999999999999999999";
        assert_eq!(EventName::parse(beyond), EventName::Identifier(beyond));
    }
}
