//! Finding recorded events by their names.

use std::sync::Arc;

use taximeter_kernel::id::{Customer, Id, Scope};

use crate::error::ReadError;
use crate::event::{Event, Standing};
use crate::index::Run;
use crate::log::LogReader;
use crate::state::{NameLayers, State};
use crate::totals::rows::{name_hash, name_prefix, scope_hash};

/// The places of the events that may have a name.
pub(crate) fn candidates(
    names: &NameLayers,
    runs: &[Arc<Run>],
    hash: u64,
) -> Result<Vec<u64>, ReadError> {
    let mut seqs: Vec<u64> = names.active.get(hash).collect();
    if let Some(frozen) = &names.frozen {
        seqs.extend(frozen.get(hash));
    }
    for run in runs.iter().filter(|run| run.may_hold(hash)) {
        seqs.extend(run.names_get(hash)?);
    }
    Ok(seqs)
}

/// The same for an identifier of whichever customer.
fn candidates_of_any(
    names: &NameLayers,
    runs: &[Arc<Run>],
    prefix: u32,
) -> Result<Vec<u64>, ReadError> {
    let mut seqs: Vec<u64> = names.active.with_prefix(prefix).collect();
    if let Some(frozen) = &names.frozen {
        seqs.extend(frozen.with_prefix(prefix));
    }
    for run in runs {
        seqs.extend(run.names_prefix(prefix)?.into_iter().map(|(_, seq)| seq));
    }
    Ok(seqs)
}

/// The events with an identifier, each in its latest version: at most one for a customer. Their
/// standing is filled in.
pub(crate) fn by_identifier(
    state: &State,
    log: &LogReader,
    scope: &Scope,
    customer: Option<&Id<Customer>>,
    identifier: &str,
) -> Result<Vec<Event>, ReadError> {
    let hash = scope_hash(scope);
    let mut seqs = {
        let names = state.names();
        // Asked for behind the names, the runs hold what left them.
        let runs = state.index.runs();
        match customer {
            Some(customer) => {
                candidates(&names, &runs, name_hash(hash, customer.as_str(), identifier))?
            }
            None => candidates_of_any(&names, &runs, name_prefix(hash, identifier))?,
        }
    };
    let published = state.published()?.seq;
    seqs.retain(|seq| *seq <= published && *seq >= log.first_seq());
    seqs.sort_unstable();
    seqs.dedup();
    let mut found: Vec<Event> = Vec::new();
    for seq in seqs {
        let Some(event) = log.event(seq)? else { continue };
        let is_it = event.identifier == identifier
            && event.scope == *scope
            && customer.is_none_or(|customer| event.customer == *customer);
        if is_it {
            // A later version takes the place of an earlier one.
            found.retain(|earlier| earlier.customer != event.customer);
            found.push(event);
        }
    }
    for event in &mut found {
        event.standing = state.standing(event.seq)?;
    }
    Ok(found)
}

/// Fills in how events stand.
pub(crate) fn with_standing(state: &State, mut event: Event) -> Result<Event, ReadError> {
    event.standing = state.standing(event.seq)?;
    debug_assert!(matches!(
        event.standing,
        Standing::Counts | Standing::Cancelled | Standing::Amended
    ));
    Ok(event)
}
