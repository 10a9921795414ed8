//! Meters: how the events of one name become a quantity.

mod input;
mod sql;
mod wire;

use std::sync::Arc;

pub use input::{
    ADJUSTMENT_WINDOW_S_DEFAULT, Create, DIMENSION_KEYS_MAX, LATE_WINDOW_S_DEFAULT, List, Switch,
    Update, VALUE_DIGITS_DEFAULT, VALUE_DIGITS_MAX, WINDOW_S_MAX, WINDOW_S_MIN,
};
use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::aggregate::{Aggregation, Formula, Percentile, Window};
use taximeter_kernel::id::{Id, Kind as _, Meter as MeterKind};
use taximeter_kernel::time::Timestamp;

use crate::catalog::{Counting, Touched};
use crate::ctx::{Ctx, malformed, optional_word, word};
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::{outbox, stored};

/// The payload key that names the customer, unless the meter says otherwise.
pub const CUSTOMER_KEY_DEFAULT: &str = "stripe_customer_id";
/// The payload key that holds the value, unless the meter says otherwise.
pub const VALUE_KEY_DEFAULT: &str = "value";

crate::choice! {
    /// Whether a meter takes events.
    pub enum Status {
        /// It does.
        Active = "active",
        /// It does not, and no new price may use it.
        Inactive = "inactive",
    }
}

/// How the events of one name become a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Its id.
    pub id: Id<MeterKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// The name in lists and menus.
    pub display_name: String,
    /// The name its events carry.
    pub event_name: String,
    /// How its events become a quantity.
    pub formula: Formula,
    /// The payload key that names the customer.
    pub customer_key: String,
    /// The payload key that holds the value.
    pub value_key: String,
    /// The most digits that a value may have.
    pub value_digits_max: u32,
    /// The payload keys by which its usage can be told apart, in the order that the usage engine
    /// knows them by.
    pub dimension_keys: Vec<String>,
    /// The window over which the sender has already aggregated, if any.
    pub event_time_window: Option<Window>,
    /// How late an event may be, in seconds.
    pub late_window_s: i64,
    /// For how long after its receipt an event can be corrected, in seconds.
    pub adjustment_window_s: i64,
    /// Whether it takes events.
    pub status: Status,
    /// When it stopped taking them.
    pub deactivated_at: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl Meter {
    /// How the usage engine adds up its events.
    #[must_use]
    pub const fn aggregation(&self) -> Aggregation {
        Aggregation { formula: self.formula, window: self.event_time_window }
    }
}

impl Row for Meter {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            display_name: cells.get("display_name")?,
            event_name: cells.get("event_name")?,
            formula: formula(cells)?,
            customer_key: cells.get("customer_key")?,
            value_key: cells.get("value_key")?,
            value_digits_max: digits(cells)?,
            dimension_keys: stored::read_optional(cells, "dimension_keys")?.unwrap_or_default(),
            event_time_window: optional_word(cells, "event_time_window")?,
            late_window_s: cells.get("late_window_s")?,
            adjustment_window_s: cells.get("adjustment_window_s")?,
            status: word(cells, "status")?,
            deactivated_at: cells.get("deactivated_at")?,
            created: cells.get("created")?,
            updated: cells.get("updated")?,
        })
    }
}

fn formula(cells: &Cells<'_>) -> Result<Formula, DbError> {
    let word: String = cells.get("formula")?;
    let percentile: Option<String> = cells.get("percentile")?;
    let percentile = percentile.as_deref().and_then(Percentile::parse);
    Formula::parse(&word, percentile).ok_or_else(|| malformed("formula", "word", &word))
}

fn digits(cells: &Cells<'_>) -> Result<u32, DbError> {
    let digits: i64 = cells.get("value_digits_max")?;
    let column = "value_digits_max";
    u32::try_from(digits).map_err(|_| malformed(column, "small number", &digits.to_string()))
}

/// Makes a meter.
///
/// # Errors
/// A 400 when another active meter has the event name, and when a bound is passed.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Meter> {
    let formula = input::formula(&input.default_aggregation)?;
    let customer_key = input
        .customer_mapping
        .map_or_else(|| CUSTOMER_KEY_DEFAULT.to_owned(), |m| m.event_payload_key.into());
    let (value_key, value_digits_max) = input::value_settings(input.value_settings)?;
    let dimension_keys =
        input::dimension_keys(input.dimension_payload_keys, &customer_key, &value_key)?;
    let late_window_s = input.late_event_window_seconds.unwrap_or(LATE_WINDOW_S_DEFAULT);
    let adjustment_window_s =
        input.adjustment_window_seconds.unwrap_or(ADJUSTMENT_WINDOW_S_DEFAULT);
    let meter = Meter {
        id: ctx.new_id(),
        livemode: ctx.scope().mode.is_live(),
        display_name: input.display_name.into(),
        event_name: input.event_name.into(),
        formula,
        customer_key,
        value_key,
        value_digits_max,
        dimension_keys,
        event_time_window: input.event_time_window,
        late_window_s: input::late_window_s(late_window_s)?,
        adjustment_window_s: input::adjustment_window_s(adjustment_window_s)?,
        status: Status::Active,
        deactivated_at: None,
        created: ctx.now,
        updated: ctx.now,
    };
    refuse_taken_name(ctx, &meter.event_name).await?;
    sql::insert(ctx, &meter).await?;
    ctx.touch(Touched::Meter(meter.event_name.clone()));
    outbox::push(ctx, "billing.meter.created", &meter.wire()).await?;
    Ok(meter)
}

/// Reads a meter whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Meter> {
    match sql::find(ctx, id).await? {
        Some(meter) => Ok(meter),
        None => Err(ctx.no_such_path(MeterKind::NOUN, id).await?),
    }
}

/// Reads a meter whose id came as a parameter.
///
/// # Errors
/// A 400 when there is none.
pub async fn named(ctx: &mut Ctx, id: &str, param: &str) -> Result<Meter> {
    match sql::find(ctx, id).await? {
        Some(meter) => Ok(meter),
        None => Err(ctx.no_such(MeterKind::NOUN, id, param).await?),
    }
}

/// The active meter that counts events of this name.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn of_event_name(ctx: &mut Ctx, event_name: &str) -> Result<Option<Meter>> {
    sql::find_active_by_event_name(ctx, event_name).await
}

/// What becomes of events of this name.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn counting(ctx: &mut Ctx, event_name: &str) -> Result<Counting> {
    if let Some(meter) = of_event_name(ctx, event_name).await? {
        return Ok(Counting::By(Arc::new(meter)));
    }
    let archived = sql::has_any_of_event_name(ctx, event_name).await?;
    Ok(if archived { Counting::NoMore } else { Counting::Never })
}

/// Changes a meter's name and its bounds.
///
/// # Errors
/// A 404 when there is none, a 400 when a bound is passed.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Meter> {
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    let mut meter = before.clone();
    if let Some(display_name) = input.display_name {
        meter.display_name = display_name.into();
    }
    if let Some(settings) = input.value_settings {
        meter.value_digits_max = input::value_digits(settings.max_digits)?;
    }
    if let Some(seconds) = input.late_event_window_seconds {
        meter.late_window_s = input::late_window_s(seconds)?;
    }
    if let Some(seconds) = input.adjustment_window_seconds {
        meter.adjustment_window_s = input::adjustment_window_s(seconds)?;
    }
    if before == meter {
        return Ok(meter);
    }
    save(ctx, &mut meter).await?;
    outbox::push_update(ctx, "billing.meter.updated", &before.wire(), &meter.wire()).await?;
    Ok(meter)
}

/// Stops a meter: it takes no more events, and no new price may use it.
///
/// # Errors
/// A 404 when there is none, a 400 when it is stopped already.
pub async fn deactivate(ctx: &mut Ctx, id: &str, _: Switch) -> Result<Meter> {
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    if before.status == Status::Inactive {
        return Err(Error::invalid("This billing meter is already inactive."));
    }
    let mut meter = Meter { status: Status::Inactive, deactivated_at: Some(ctx.now), ..before };
    save(ctx, &mut meter).await?;
    outbox::push(ctx, "billing.meter.deactivated", &meter.wire()).await?;
    Ok(meter)
}

/// Starts a stopped meter again.
///
/// # Errors
/// A 404 when there is none, a 400 when it is active already or its event name was taken since.
pub async fn reactivate(ctx: &mut Ctx, id: &str, _: Switch) -> Result<Meter> {
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    if before.status == Status::Active {
        return Err(Error::invalid("This billing meter is already active."));
    }
    refuse_taken_name(ctx, &before.event_name).await?;
    let mut meter = Meter { status: Status::Active, deactivated_at: None, ..before };
    save(ctx, &mut meter).await?;
    outbox::push(ctx, "billing.meter.reactivated", &meter.wire()).await?;
    Ok(meter)
}

/// Lists meters, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let status = input.status.map(|s| crate::params::Choice::as_str(s).to_owned());
    let slice = ctx
        .page(&input.page()?, MeterKind::NOUN, (sql::SEQ, sql::LIST), [Arg::Text(status)])
        .await?;
    Ok(Page {
        url: "/v1/billing/meters".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Meter::wire).collect(),
    })
}

/// All meters, active or not, oldest first, and at most `max` of them.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn all(ctx: &mut Ctx, max: usize) -> Result<Vec<Meter>> {
    sql::all(ctx, max).await
}

/// The meters that count or counted events of this name, oldest first, and at most `max` of them.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn ever_of_event_name(ctx: &mut Ctx, event_name: &str, max: usize) -> Result<Vec<Meter>> {
    sql::find_all_by_event_name(ctx, event_name, max).await
}

async fn save(ctx: &mut Ctx, meter: &mut Meter) -> Result<()> {
    meter.updated = ctx.now;
    sql::update(ctx, meter).await?;
    ctx.touch(Touched::Meter(meter.event_name.clone()));
    Ok(())
}

async fn refuse_taken_name(ctx: &mut Ctx, event_name: &str) -> Result<()> {
    match of_event_name(ctx, event_name).await? {
        None => Ok(()),
        Some(meter) => Err(name_taken(event_name, meter.id.as_str())),
    }
}

fn name_taken(event_name: &str, by: &str) -> Error {
    Error::invalid(format!("An active meter with event name '{event_name}' already exists: {by}."))
        .param("event_name")
}
