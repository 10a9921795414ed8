//! What became of the events of a span, as of a place in the order.

use std::collections::BTreeMap;

use taximeter_kernel::time::{Period, Timestamp};

use super::keys::{hour_of, series_key, start_of};
use super::layers::{Layers, Needs};
use crate::error::ReadError;
use crate::event::{Series, Standing};
use crate::memtable::postings::{Posting, counted};

/// What is to be read; `None` when the span is empty.
pub(crate) fn needs(series: &Series, period: Period) -> Option<Needs> {
    let last = Timestamp(period.end.0.checked_sub(1)?);
    if period.start > last {
        return None;
    }
    let hours = hour_of(period.start)..=hour_of(last);
    Some(Needs { series: series_key(series), cells: None, by_values: false, postings: vec![hours] })
}

/// The events of the span by their place, and how each stood.
pub(crate) fn standings(
    needs: &Needs,
    layers: &Layers<'_>,
    period: Period,
    as_of: u64,
) -> Result<BTreeMap<u64, Standing>, ReadError> {
    let mut found = BTreeMap::new();
    let mut marks: BTreeMap<u64, (u64, Standing)> = BTreeMap::new();
    for hours in &needs.postings {
        layers.postings(&needs.series, hours, &mut |hour, _, posting| {
            if posting.seq() > as_of {
                return Ok(());
            }
            match posting {
                Posting::Event { seq, second, measure } => {
                    let event = counted(start_of(hour), seq, second, measure);
                    if period.contains(event.timestamp) {
                        found.insert(seq, Standing::Counts);
                    }
                }
                Posting::Mark { seq, event, standing } => {
                    let mark = marks.entry(event).or_insert((seq, standing));
                    if seq >= mark.0 {
                        *mark = (seq, standing);
                    }
                }
            }
            Ok(())
        })?;
    }
    for (event, (_, standing)) in marks {
        if let Some(stands) = found.get_mut(&event) {
            *stands = standing;
        }
    }
    Ok(found)
}
