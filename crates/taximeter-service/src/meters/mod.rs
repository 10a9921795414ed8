//! Meters: how the events of one name become a quantity.

mod sql;
mod wire;

use std::sync::Arc;

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::aggregate::{Aggregation, Formula, Window};
use taximeter_kernel::id::{Id, Kind as _, Meter as MeterKind};
use taximeter_kernel::time::Timestamp;

use crate::catalog::{Counting, Touched};
use crate::ctx::{Ctx, optional_word, word};
use crate::error::{Error, Result};
use crate::outbox;
use crate::page::List as Page;
use crate::params::Text;

/// The payload key that names the customer, unless the meter says otherwise.
pub const CUSTOMER_KEY_DEFAULT: &str = "stripe_customer_id";
/// The payload key that holds the value, unless the meter says otherwise.
pub const VALUE_KEY_DEFAULT: &str = "value";

crate::choice! {
    /// The word that names a formula.
    pub enum FormulaWord {
        /// The number of events.
        Count = "count",
        /// The value of the latest event.
        Last = "last",
        /// The values added up.
        Sum = "sum",
    }
}
crate::choice! { for Window { Day = "day", Hour = "hour" } }

crate::choice! {
    /// How an event names its customer.
    pub enum MappingType {
        /// By the customer's id.
        ById = "by_id",
    }
}

crate::choice! {
    /// Whether a meter takes events.
    pub enum Status {
        /// It does.
        Active = "active",
        /// It does not, and no new price may use it.
        Inactive = "inactive",
    }
}

crate::params! {
    /// The `default_aggregation` of a meter.
    pub struct DefaultAggregation {
        /// How events become a quantity.
        pub formula: FormulaWord,
    }
}

crate::params! {
    /// The `customer_mapping` of a meter.
    pub struct CustomerMapping {
        /// The payload key that names the customer.
        pub event_payload_key: Text<100>,
        /// How it names it.
        pub r#type: MappingType,
    }
}

crate::params! {
    /// The `value_settings` of a meter.
    pub struct ValueSettings {
        /// The payload key that holds the value.
        pub event_payload_key: Text<100>,
    }
}

crate::params! {
    /// What a new meter is made of.
    pub struct Create {
        /// The name in lists and menus. Customers do not see it.
        pub display_name: Text<250>,
        /// The name its events carry.
        pub event_name: Text<100>,
        /// How its events become a quantity.
        pub default_aggregation: DefaultAggregation,
        /// How its events name their customer.
        pub customer_mapping: Option<CustomerMapping>,
        /// Where its events hold their value.
        pub value_settings: Option<ValueSettings>,
        /// The window over which the sender has already aggregated, if any.
        pub event_time_window: Option<Window>,
    }
}

crate::params! {
    /// What of a meter can change.
    pub struct Update {
        /// The name in lists and menus.
        pub display_name: Option<Text<250>>,
    }
}

crate::params! {
    /// A list of meters.
    pub struct List with page {
        /// Only meters of this status.
        pub status: Option<Status>,
    }
}

crate::params! {
    /// Deactivating and reactivating take no parameters.
    pub struct Switch {}
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
    /// The window over which the sender has already aggregated, if any.
    pub event_time_window: Option<Window>,
    /// Whether it takes events.
    pub status: Status,
    /// When it stopped taking them.
    pub deactivated_at: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

const fn formula(word: FormulaWord) -> Formula {
    match word {
        FormulaWord::Count => Formula::Count,
        FormulaWord::Last => Formula::Last,
        FormulaWord::Sum => Formula::Sum,
    }
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
            formula: formula(word(cells, "formula")?),
            customer_key: cells.get("customer_key")?,
            value_key: cells.get("value_key")?,
            event_time_window: optional_word(cells, "event_time_window")?,
            status: word(cells, "status")?,
            deactivated_at: cells.get("deactivated_at")?,
            created: cells.get("created")?,
            updated: cells.get("updated")?,
        })
    }
}

/// Makes a meter.
///
/// # Errors
/// A 400 when another active meter has the event name.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Meter> {
    let meter = Meter {
        id: ctx.new_id(),
        livemode: ctx.scope().mode.is_live(),
        display_name: input.display_name.into(),
        event_name: input.event_name.into(),
        formula: formula(input.default_aggregation.formula),
        customer_key: input
            .customer_mapping
            .map_or_else(|| CUSTOMER_KEY_DEFAULT.to_owned(), |m| m.event_payload_key.into()),
        value_key: input
            .value_settings
            .map_or_else(|| VALUE_KEY_DEFAULT.to_owned(), |s| s.event_payload_key.into()),
        event_time_window: input.event_time_window,
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

/// Changes a meter's name.
///
/// # Errors
/// A 404 when there is none.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Meter> {
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    let mut meter = before.clone();
    if let Some(display_name) = input.display_name {
        meter.display_name = display_name.into();
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
