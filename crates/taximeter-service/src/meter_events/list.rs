//! Reading recorded events back: what Stripe's API does not offer.

mod look;
mod wire;

use std::collections::BTreeMap;

pub use look::id_of;
use look::{Asked, Found, Place, cut, look};
use serde_json::Value;
use taximeter_kernel::id::{Customer, Id, Kind as _, Meter as MeterKind, MeterEvent};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{
    EVENTS_PER_READ_MAX, EVENTS_SCANNED_MAX, Engine, Event, EventQuery, Order, Standing,
};
use wire::wire;

use crate::aside::aside;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::meter_usage::unreadable;
use crate::meters::{self, Meter};
use crate::page::{List as Wire, Page};
use crate::params::{Choice, Range, Text};
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
    let url = url(&input);
    let after = cursor(ctx, &page)?;
    let found = match asked(ctx, &input).await? {
        // Found at once.
        Some(asked) if asked.is_of_customer_and_meter() => {
            look(ctx.usage(), &asked, after, &page, EVENTS_LOOKED_AT_MAX)?
        }
        Some(asked) => {
            let page = page.clone();
            let look =
                move |engine: &Engine| look(engine, &asked, after, &page, EVENTS_LOOKED_AT_MAX);
            aside(ctx.usage(), look).await??
        }
        None => Found { events: Vec::new(), looked_to: None },
    };
    let slice = cut(found, &page)?;
    let mut meters = Meters::default();
    let mut data = Vec::with_capacity(slice.rows.len());
    for (id, event) in &slice.rows {
        let meter = meters.of(ctx, &event.meter).await?;
        data.push(wire(id, event, meter));
    }
    Ok(Wire { url, has_more: slice.has_more, data })
}

/// Where the list lives, with its filters: clients whose SDK knows no such list have only this
/// address to ask for the next page.
fn url(input: &List) -> String {
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let text = |text: Option<&str>| text.map(str::to_owned);
    let filters = [
        ("customer", text(input.customer.as_deref())),
        ("event_name", text(input.event_name.as_deref())),
        ("limit", Some(input.limit.0.to_string())),
        ("meter", text(input.meter.as_deref())),
        ("status", text(input.status.map(Choice::as_str))),
        ("timestamp%5Bgte%5D", number(input.timestamp.min)),
        ("timestamp%5Blte%5D", number(input.timestamp.max)),
    ];
    let mut url = "/v1/billing/meter_events".to_owned();
    for (name, value) in filters {
        let Some(value) = value else { continue };
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.push_str(&percent_encoded(&value));
    }
    url
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
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
    Ok(shown(&event, meter))
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

/// A recorded event as it is read back.
#[must_use]
pub fn shown(event: &Event, meter: &Meter) -> Value {
    wire(&id_of(event.seq), event, meter)
}

/// The place after which a page begins. Whether an event is there does not matter.
fn cursor(ctx: &Ctx, page: &Page) -> Result<Option<u64>> {
    let Some((id, param)) = page.cursor() else { return Ok(None) };
    let end = ctx.usage().position().map_err(unreadable)?;
    let place = Place::parse(id).filter(|place| place.seq <= end);
    let place = place.ok_or_else(|| Error::no_such(MeterEvent::NOUN, id, param))?;
    Ok(Some(place.looked_to.unwrap_or(place.seq)))
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
