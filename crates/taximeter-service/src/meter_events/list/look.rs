//! Looking for the events of a page among all that are recorded.

use taximeter_kernel::id::{Id, Kind as _, Meter as MeterKind, MeterEvent};
use taximeter_usage::{EVENTS_PER_READ_MAX, EVENTS_SCANNED_MAX, Engine, Event, EventQuery, Order};

use super::Status;
use crate::error::{Error, Result};
use crate::meter_usage::unreadable;
use crate::page::{Direction, Page, Slice};

/// The id of the event at a place in the order of arrival.
#[must_use]
pub fn id_of(seq: u64) -> String {
    format!("{}_{seq}", MeterEvent::PREFIX)
}

/// What an event's id says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The event's place in the order of arrival.
    pub(super) seq: u64,
    /// How far a list has looked beyond the event.
    pub(super) looked_to: Option<u64>,
}

impl Place {
    pub(super) fn parse(id: &str) -> Option<Self> {
        let digits = id.strip_prefix(MeterEvent::PREFIX)?.strip_prefix('_')?;
        let (seq, looked_to) = match digits.split_once('.') {
            None => (digits, None),
            Some((seq, to)) => (seq, Some(number(to)?)),
        };
        Some(Self { seq: number(seq)?, looked_to })
    }
}

/// A number as [`id_of`] writes it: no sign, no leading zeros.
fn number(text: &str) -> Option<u64> {
    let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| canonical)
}

/// The events that are asked for.
pub(super) struct Asked {
    /// What the engine is asked for; where the page begins is put in.
    pub(super) query: EventQuery,
    /// Of which this became.
    pub(super) status: Option<Status>,
    /// Of one of these meters, where the engine is not asked for a single one.
    pub(super) meters: Option<Vec<Id<MeterKind>>>,
}

impl Asked {
    fn includes(&self, event: &Event) -> bool {
        self.status.is_none_or(|status| status == Status::from(event.standing))
            && self.meters.as_ref().is_none_or(|meters| meters.contains(&event.meter))
    }

    /// Whether the engine has not to look at any other events than those that are asked for.
    pub(super) const fn is_of_customer_and_meter(&self) -> bool {
        self.is_exact() && self.query.customer.is_some() && self.query.meter.is_some()
    }

    /// Whether the engine finds just the events that are asked for.
    const fn is_exact(&self) -> bool {
        self.status.is_none() && self.meters.is_none()
    }
}

/// Events in the order they were looked for, and how far was looked if not to the end.
pub(super) struct Found {
    /// The events.
    pub(super) events: Vec<Event>,
    /// Where to go on.
    pub(super) looked_to: Option<u64>,
}

/// Looks for the events of a page, and one more. Gives up after `looked_at_max` events.
pub(super) fn look(
    engine: &Engine,
    asked: &Asked,
    after: Option<u64>,
    page: &Page,
    looked_at_max: usize,
) -> Result<Found> {
    let want = usize::try_from(page.rows()).unwrap_or(usize::MAX);
    let mut query = asked.query.clone();
    query.after = after;
    query.order = match page.direction() {
        Direction::Descending => Order::Newest,
        Direction::Ascending => Order::Oldest,
    };
    let mut events = Vec::new();
    let mut looked_at = 0_usize;
    loop {
        query.limit =
            if asked.is_exact() { want.saturating_sub(events.len()) } else { EVENTS_PER_READ_MAX };
        let read = engine.events(&query).map_err(unreadable)?;
        // The engine gives up only after so many events that are not of the query.
        let gave_up = read.events.len() < query.limit;
        looked_at =
            looked_at.saturating_add(if gave_up { EVENTS_SCANNED_MAX } else { read.events.len() });
        events.extend(read.events.into_iter().filter(|event| asked.includes(event)));
        if events.len() >= want || read.next.is_none() {
            events.truncate(want);
            return Ok(Found { events, looked_to: None });
        }
        query.after = read.next;
        if looked_at >= looked_at_max {
            return Ok(Found { events, looked_to: read.next });
        }
    }
}

/// Makes the page, and the ids of its events.
pub(super) fn cut(found: Found, page: &Page) -> Result<Slice<(String, Event)>> {
    let Found { events, looked_to } = found;
    let mut rows: Vec<(String, Event)> =
        events.into_iter().map(|event| (id_of(event.seq), event)).collect();
    if let Some(place) = looked_to {
        let Some((id, _)) = rows.last_mut() else { return Err(none_found(page, place)) };
        id.push_str(&format!(".{place}"));
    }
    let mut slice = page.cut(rows);
    slice.has_more |= looked_to.is_some();
    Ok(slice)
}

/// An empty page that has more would stop a client that follows pages, so it is told.
fn none_found(page: &Page, looked_to: u64) -> Error {
    let param = match page.direction() {
        Direction::Descending => "starting_after",
        Direction::Ascending => "ending_before",
    };
    Error::invalid(format!(
        "None of the events looked at is one you asked for, and there are more. Ask for the events \
         of a customer and a meter, or go on with {param}={}.",
        id_of(looked_to)
    ))
}

#[cfg(test)]
mod tests {
    use taximeter_kernel::aggregate::{Aggregation, Formula, Measure};
    use taximeter_kernel::decimal::Decimal;
    use taximeter_kernel::id::{Mode, Scope};
    use taximeter_kernel::time::Timestamp;
    use taximeter_usage::{Action, Batch, Correction, NewEvent, Options};

    use super::*;
    use crate::params::Limit;

    #[test]
    fn an_id_is_read_in_the_one_way_it_is_written() {
        let place = |seq, looked_to| Some(Place { seq, looked_to });
        assert_eq!(Place::parse(&id_of(7)), place(7, None));
        assert_eq!(Place::parse("mevt_1300.7"), place(1_300, Some(7)));
        assert_eq!(Place::parse("mevt_18446744073709551615"), place(u64::MAX, None));
        for text in [
            "mevt_",
            "mevt_0",
            "mevt_07",
            "mevt_+7",
            "mevt_7.",
            "mevt_.7",
            "mevt_7.0",
            "7",
            "mevt7",
            "mevt_18446744073709551616",
            "evt_7",
        ] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    /// An engine of 2,500 events, of which those at these places are canceled.
    async fn engine(dir: &std::path::Path, canceled: &[u64]) -> (Engine, Asked) {
        let engine = Engine::open(dir, Options::default()).unwrap();
        let scope = Scope { account: Id::parse("acct_1").unwrap(), mode: Mode::Test };
        let (meter, customer) = (Id::parse("mtr_1").unwrap(), Id::parse("cus_1").unwrap());
        let mut batch = Batch::new(scope.clone(), Timestamp(13));
        for n in 1..=2_500 {
            let identifier = format!("i{n}");
            let event = NewEvent {
                meter: &meter,
                aggregation: Aggregation { formula: Formula::Sum, window: None },
                event_name: "e",
                customer: &customer,
                identifier: &identifier,
                timestamp: Timestamp(7),
                measure: Measure::Number(Decimal::ONE),
                dimensions: &[],
                payload: &[],
                request: None,
                backfill: None,
            };
            batch.push(&event).unwrap();
        }
        engine.append(batch).await.unwrap();
        let cancel = |n: &u64| Correction {
            scope: scope.clone(),
            event_name: "e".to_owned(),
            identifier: format!("i{n}"),
            customer: None,
            now: Timestamp(13),
            window_s: None,
            action: Action::Cancel,
        };
        engine.correct(canceled.iter().map(cancel).collect()).await.unwrap();
        let query = EventQuery {
            scope: scope.clone(),
            customer: None,
            meter: None,
            period: None,
            order: Order::Newest,
            after: None,
            limit: 0,
        };
        (engine, Asked { query, status: Some(Status::Canceled), meters: None })
    }

    /// The ids of a page of at most two, and whether there are more.
    fn page(
        engine: &Engine,
        asked: &Asked,
        after: Option<&str>,
        before: Option<&str>,
    ) -> Result<(Vec<String>, bool)> {
        let page = Page::new(Limit(2), after, before).unwrap();
        let place = page.cursor().map(|(id, _)| Place::parse(id).unwrap());
        let from = place.map(|place| place.looked_to.unwrap_or(place.seq));
        let slice = cut(look(engine, asked, from, &page, 1_000)?, &page)?;
        Ok((slice.rows.into_iter().map(|(id, _)| id).collect(), slice.has_more))
    }

    #[tokio::test]
    async fn a_list_that_gives_up_goes_on_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, asked) = engine(dir.path(), &[2_400, 700, 600, 13]).await;
        // A thousand at once: down to 1501, to 501, to the first.
        let mut pages = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let (ids, has_more) = page(&engine, &asked, after.as_deref(), None).unwrap();
            after = ids.last().cloned();
            pages.push((ids, has_more));
            if !has_more {
                break;
            }
        }
        let (ids, more): (Vec<_>, Vec<_>) = pages.into_iter().unzip();
        assert_eq!(ids[0], ["mevt_2400.1501"]);
        assert_eq!(ids[1].len(), 2);
        assert_eq!(Place::parse(&ids[1][0]).unwrap().seq, 700);
        assert_eq!(Place::parse(&ids[1][1]).unwrap().seq, 600);
        assert_eq!(ids.last().unwrap(), &["mevt_13"]);
        assert_eq!(more.last(), Some(&false));
        // And upwards: the first id of the page says how far it went.
        let (ids, has_more) = page(&engine, &asked, None, Some("mevt_500")).unwrap();
        assert_eq!((ids.len(), has_more), (2, true));
        assert_eq!(Place::parse(&ids[0]).unwrap(), Place { seq: 700, looked_to: Some(1_500) });
        assert_eq!(Place::parse(&ids[1]).unwrap().seq, 600);
    }

    #[tokio::test]
    async fn a_page_of_nothing_is_an_error_where_there_is_more_to_look_at() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, asked) = engine(dir.path(), &[13]).await;
        let error = page(&engine, &asked, None, None).unwrap_err();
        assert!(error.message.ends_with("or go on with starting_after=mevt_1501."), "{error}");
        let error = page(&engine, &asked, Some("mevt_1501"), None).unwrap_err();
        assert!(error.message.ends_with("or go on with starting_after=mevt_501."), "{error}");
        let (ids, has_more) = page(&engine, &asked, Some("mevt_501"), None).unwrap();
        assert_eq!((ids, has_more), (vec!["mevt_13".to_owned()], false));
        let error = page(&engine, &asked, None, Some("mevt_14")).unwrap_err();
        assert!(error.message.ends_with("or go on with ending_before=mevt_1014."), "{error}");
    }
}
