//! What events name, looked up in the catalog and, where it does not know, in the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use taximeter_kernel::id::{Customer, Id, Kind as _};
use taximeter_kernel::time::Timestamp;

use super::check::EventError;
use crate::catalog::{Counting, Presence};
use crate::ctx::{Caller, Ctx, Services};
use crate::error::{Error, Result};
use crate::meters::Meter;
use crate::{customers, meters};

/// What becomes of events of this name.
pub(super) async fn counting(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    event_name: &str,
) -> Result<Counting> {
    let catalog = &services.catalog;
    if let Some(known) = catalog.meter(&caller.scope, event_name, now) {
        return Ok(known);
    }
    let ticket = catalog.ticket();
    let mut ctx = Ctx::begin_read(services, caller.clone(), now).await?;
    let read = meters::counting(&mut ctx, event_name).await?;
    catalog.keep_meter(ticket, &caller.scope, event_name, read.clone(), now);
    Ok(read)
}

/// The meter that counts events of this name, or why none does.
pub(crate) fn meter_of(counting: Counting, event_name: &str) -> Result<Arc<Meter>, EventError> {
    match counting {
        Counting::By(meter) => Ok(meter),
        Counting::NoMore => Err(EventError::archived_meter(event_name)),
        Counting::Never => Err(EventError::no_meter(event_name)),
    }
}

/// The meter that counts events of this name.
///
/// # Errors
/// A 400 when none does.
pub(super) async fn meter(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    event_name: &str,
) -> Result<Arc<Meter>> {
    let counting = counting(services, caller, now, event_name).await?;
    Ok(meter_of(counting, event_name)?)
}

/// The customer that an event of `meter` names, or that there is none; and what time it is for it.
pub(super) async fn customer(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    meter: &Meter,
    named: &str,
) -> Result<(Result<Id<Customer>, EventError>, Timestamp)> {
    // What cannot be an id costs no look at the database.
    let Ok(id) = Id::parse(named) else {
        return Ok((Err(absent(caller, meter, named, Presence::Nowhere)), now));
    };
    let catalog = &services.catalog;
    let presence = match catalog.customer(&caller.scope, named, now) {
        Some(known) => known,
        None => {
            let ticket = catalog.ticket();
            let mut ctx = Ctx::begin_read(services, caller.clone(), now).await?;
            let presence = customers::presence(&mut ctx, named).await?;
            catalog.keep_customer(ticket, &caller.scope, &id, presence, now);
            presence
        }
    };
    Ok(match presence.time(now) {
        Some(time) => (Ok(id), time),
        None => (Err(absent(caller, meter, named, presence)), now),
    })
}

/// The error of an event whose customer is not here.
pub(crate) fn absent(caller: &Caller, meter: &Meter, named: &str, at: Presence) -> EventError {
    let elsewhere = at == Presence::InOtherMode;
    let refusal = Error::no_such(Customer::NOUN, named, "");
    EventError::no_customer(meter, refusal.in_other_mode(elsewhere, caller.scope.mode))
}

/// Customers by their ids, and where they are.
pub(super) type Found = BTreeMap<String, (Id<Customer>, Presence)>;

/// Looks up customers that the catalog does not know, tells it, and adds them to `found`.
pub(super) async fn customers(
    services: &Services,
    caller: &Caller,
    now: Timestamp,
    named: &[&str],
    found: &mut Found,
) -> Result<()> {
    let catalog = &services.catalog;
    let ticket = catalog.ticket();
    let mut ctx = Ctx::begin_read(services, caller.clone(), now).await?;
    for text in named {
        let Ok(id) = Id::parse(text) else { continue };
        if !found.contains_key(*text) {
            let presence = customers::presence(&mut ctx, text).await?;
            catalog.keep_customer(ticket, &caller.scope, &id, presence, now);
            found.insert((*text).to_owned(), (id, presence));
        }
    }
    Ok(())
}
