//! How a recorded event is named: by its place in the usage log, or by its identifier.

use taximeter_kernel::id::{Customer, Id, Kind as _, MeterEvent};
use taximeter_usage::{Event, Standing};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_events;

/// What may stand where an event is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventName<'a> {
    /// Its id, `mevt_7`: its place in the usage log.
    Position(u64),
    /// Its identifier.
    Identifier(&'a str),
}

impl<'a> EventName<'a> {
    /// Reads `mevt_7` as a place and everything else as an identifier.
    pub(crate) fn parse(text: &'a str) -> Self {
        let digits = text.strip_prefix(MeterEvent::PREFIX).and_then(|rest| rest.strip_prefix('_'));
        let position = digits.and_then(|digits| digits.parse().ok());
        // The first place is 1, and there is one way to write it.
        let is_one = |at: &u64| *at > 0 && meter_events::id_of(*at) == text;
        let position = position.filter(is_one);
        position.map_or(Self::Identifier(text), Self::Position)
    }
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
    let event = meter_events::find(ctx, name, customer)?;
    current(ctx, &event)?.ok_or_else(|| Error::no_such_path(MeterEvent::NOUN, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_an_identifier() {
        assert_eq!(EventName::parse(&meter_events::id_of(13)), EventName::Position(13));
        for text in ["13", "mevt_", "mevt_0", "mevt_013", "mevt_+1", "mevt_1x", "order-7", ""] {
            assert_eq!(EventName::parse(text), EventName::Identifier(text));
        }
        let beyond = "mevt_99999999999999999999";
        assert_eq!(EventName::parse(beyond), EventName::Identifier(beyond));
    }
}
