//! Reading recorded events back: what Stripe's API does not offer.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use taximeter_kernel::aggregate::Measure;
use taximeter_kernel::id::{Customer, Id, Kind as _, Meter as MeterKind, MeterEvent};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{
    EVENTS_PER_READ_MAX, EVENTS_SCANNED_MAX, Engine, Event, EventQuery, Order, Standing,
};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_usage::unreadable;
use crate::meters::{self, Meter};
use crate::page::{Direction, List as Wire, Page, Slice};
use crate::params::{Choice as _, Range, Text};
use crate::{choice, customers};

/// The most events that one list looks at.
pub const EVENTS_LOOKED_AT_MAX: usize = EVENTS_SCANNED_MAX;
/// The most meters that may have had one event name, for a list by it.
const METERS_OF_NAME_MAX: usize = 1_000;
/// The last second that a timestamp can be, and one more.
const END: Timestamp = Timestamp(253_402_300_800);

choice! {
    /// What became of an event.
    pub enum Status {
        /// It is in the totals.
        Counted = "counted",
        /// It was canceled.
        Canceled = "canceled",
        /// It was amended: a later version of it is in the totals.
        Amended = "amended",
    }
}

impl From<Standing> for Status {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Counts => Self::Counted,
            Standing::Cancelled => Self::Canceled,
            Standing::Amended => Self::Amended,
        }
    }
}

crate::params! {
    /// Which events to list.
    pub struct List with page {
        /// Only events of this customer.
        pub customer: Option<Text<255>>,
        /// Only events of this name.
        pub event_name: Option<Text<100>>,
        /// Only events that this meter counts.
        pub meter: Option<Text<255>>,
        /// Only events of which this became.
        pub status: Option<Status>,
        /// Only events that happened in this span.
        pub timestamp: Range,
    }
}

crate::params! {
    /// Which event to read, where its identifier does not say enough.
    pub struct Retrieve {
        /// Whose event it is.
        pub customer: Option<Text<255>>,
    }
}

/// Lists events, canceled ones too, those that came in last first.
///
/// A list that has looked at [`EVENTS_LOOKED_AT_MAX`] events answers with those it found. The id of
/// the last one then says how far it has looked (`mevt_1300.7`), so that the next page, which begins
/// after that id, goes on from there and not from the event.
///
/// # Errors
/// A 400 when a cursor names nothing, and when none of the events looked at was one asked for.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Wire> {
    let page = input.page()?;
    let after = cursor(ctx, &page)?;
    let found = match asked(ctx, &input).await? {
        Some(asked) => look(ctx.usage(), &asked, after, &page)?,
        None => Found { events: Vec::new(), looked_to: None },
    };
    let slice = cut(found, &page)?;
    let mut meters = Meters::default();
    let mut data = Vec::with_capacity(slice.rows.len());
    for (id, event) in &slice.rows {
        let meter = meters.of(ctx, &event.meter).await?;
        data.push(wire(id, event, meter));
    }
    Ok(Wire { url: "/v1/billing/meter_events".to_owned(), has_more: slice.has_more, data })
}

/// Reads one event, by its id or by its identifier.
///
/// # Errors
/// A 404 when there is none, a 400 when events of several customers have the identifier.
pub async fn retrieve(ctx: &mut Ctx, id: &str, input: Retrieve) -> Result<Value> {
    let customer = match input.customer.as_deref() {
        Some(customer) => Some(customers::named(ctx, customer, "customer").await?.id),
        None => None,
    };
    let event = find(ctx, id, customer.as_ref())?;
    let mut meters = Meters::default();
    let meter = meters.of(ctx, &event.meter).await?;
    Ok(wire(&id_of(event.seq), &event, meter))
}

/// The event that an id (`mevt_7`) or an identifier in the path names, as it stands now.
///
/// # Errors
/// A 404 when there is none, a 400 when events of several customers have the identifier.
pub fn find(ctx: &Ctx, id: &str, customer: Option<&Id<Customer>>) -> Result<Event> {
    let of_customer = |event: &Event| customer.is_none_or(|customer| event.customer == *customer);
    if let Some(place) = Place::parse(id) {
        let event = ctx.usage().event_at(place.seq).map_err(unreadable)?;
        if let Some(event) = event.filter(|event| event.scope == *ctx.scope() && of_customer(event))
        {
            return Ok(event);
        }
    }
    let found = ctx.usage().events_by_identifier(ctx.scope(), customer, id).map_err(unreadable)?;
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(event), None) => Ok(event),
        (Some(_), Some(_)) => Err(Error::invalid(format!(
            "Events of several customers have the identifier '{id}'. Say whose you mean, or use the \
             event's id."
        ))
        .param("customer")),
        (None, _) => Err(Error::no_such_path(MeterEvent::NOUN, id)),
    }
}

/// The id of the event at a place in the order of arrival.
#[must_use]
pub fn id_of(seq: u64) -> String {
    format!("{}_{seq}", MeterEvent::PREFIX)
}

/// What an event's id says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The event's place in the order of arrival.
    seq: u64,
    /// How far a list has looked beyond the event.
    looked_to: Option<u64>,
}

impl Place {
    fn parse(id: &str) -> Option<Self> {
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

/// The place after which a page begins. Whether an event is there does not matter.
fn cursor(ctx: &Ctx, page: &Page) -> Result<Option<u64>> {
    let Some((id, param)) = page.cursor() else { return Ok(None) };
    let end = ctx.usage().position().map_err(unreadable)?;
    let place = Place::parse(id).filter(|place| place.seq <= end);
    let place = place.ok_or_else(|| Error::no_such(MeterEvent::NOUN, id, param))?;
    Ok(Some(place.looked_to.unwrap_or(place.seq)))
}

/// The events that are asked for.
struct Asked {
    query: EventQuery,
    status: Option<Status>,
    /// Of one of these meters, where the engine is not asked for a single one.
    meters: Option<Vec<Id<MeterKind>>>,
}

impl Asked {
    fn includes(&self, event: &Event) -> bool {
        self.status.is_none_or(|status| status == Status::from(event.standing))
            && self.meters.as_ref().is_none_or(|meters| meters.contains(&event.meter))
    }

    /// Whether the engine finds just the events that are asked for.
    const fn is_exact(&self) -> bool {
        self.status.is_none() && self.meters.is_none()
    }
}

/// What to ask the engine for; nothing when there can be no such event.
async fn asked(ctx: &mut Ctx, input: &List) -> Result<Option<Asked>> {
    let mut meters = None;
    if let Some(name) = &input.event_name {
        let named = meters::ever_of_event_name(ctx, name, METERS_OF_NAME_MAX).await?;
        meters = Some(named.into_iter().map(|meter| meter.id).collect::<Vec<_>>());
    }
    if let Some(meter) = &input.meter {
        let Ok(meter) = Id::parse(meter) else { return Ok(None) };
        if meters.is_some_and(|named| !named.contains(&meter)) {
            return Ok(None);
        }
        meters = Some(vec![meter]);
    }
    let Ok(customer) = input.customer.as_deref().map(Id::parse).transpose() else {
        return Ok(None);
    };
    let meter = match meters.as_deref() {
        None => None,
        Some([]) => return Ok(None),
        Some([only]) => Some(only.clone()),
        Some(_) => None,
    };
    let (min, max) = (input.timestamp.min, input.timestamp.max);
    let period = (min.is_some() || max.is_some()).then(|| Period {
        start: Timestamp(min.unwrap_or(0)),
        end: max.map_or(END, |max| Timestamp(max.saturating_add(1))),
    });
    if period.is_some_and(|period| period.start >= period.end) {
        return Ok(None);
    }
    let query = EventQuery {
        scope: ctx.scope().clone(),
        customer,
        meter: meter.clone(),
        period,
        order: Order::Newest,
        after: None,
        limit: EVENTS_PER_READ_MAX,
    };
    Ok(Some(Asked { query, status: input.status, meters: meters.filter(|_| meter.is_none()) }))
}

/// Events in the order they were looked for, and how far was looked if not to the end.
struct Found {
    events: Vec<Event>,
    looked_to: Option<u64>,
}

/// Looks for the events of a page, and one more.
fn look(engine: &Engine, asked: &Asked, after: Option<u64>, page: &Page) -> Result<Found> {
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
        if looked_at >= EVENTS_LOOKED_AT_MAX {
            return Ok(Found { events, looked_to: read.next });
        }
    }
}

/// Makes the page, and the ids of its events.
fn cut(found: Found, page: &Page) -> Result<Slice<(String, Event)>> {
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
        "None of {EVENTS_LOOKED_AT_MAX} events looked at is one you asked for. Ask for the events of \
         a customer and a meter, or go on with {param}={}.",
        id_of(looked_to)
    ))
}

/// The meters of a page's events, each read once.
#[derive(Default)]
struct Meters(BTreeMap<String, Meter>);

impl Meters {
    async fn of(&mut self, ctx: &mut Ctx, id: &Id<MeterKind>) -> Result<&Meter> {
        if !self.0.contains_key(id.as_str()) {
            let meter = meters::retrieve(ctx, id.as_str()).await?;
            self.0.insert(id.to_string(), meter);
        }
        self.0.get(id.as_str()).ok_or_else(|| Error::internal("a meter that was just read is gone"))
    }
}

/// The object `billing.meter_event` with what Stripe's lacks.
fn wire(id: &str, event: &Event, meter: &Meter) -> Value {
    let payload = event.payload.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str())));
    let keys = meter.dimension_keys.iter().zip(&event.dimensions);
    let dimensions: Map<_, _> = keys.map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    let value = match event.measure {
        Measure::Number(value) if meter.formula.needs_value() => Value::from(value.to_string()),
        Measure::Number(_) | Measure::Member(_) => Value::Null,
    };
    json!({
        "id": id,
        "object": "billing.meter_event",
        "backfill": event.backfill,
        "created": event.received.0,
        "customer": event.customer.as_str(),
        "dimensions": if meter.dimension_keys.is_empty() { Value::Null } else { dimensions.into() },
        "event_name": event.event_name,
        "identifier": event.identifier,
        "livemode": event.scope.mode.is_live(),
        "meter": event.meter.as_str(),
        "payload": payload.collect::<Map<_, _>>(),
        "status": Status::from(event.standing).as_str(),
        "timestamp": event.timestamp.0,
        "value": value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
