//! Tax rates: so many per cent, by the account's own decision.

mod sql;
mod wire;

use std::collections::BTreeMap;

use taximeter_db::Arg;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Kind as _, TaxRate as TaxRateKind};
use taximeter_kernel::tax::Behavior;
use taximeter_kernel::time::Timestamp;
use taximeter_kernel::totals;
pub use wire::Details;

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::outbox;
use crate::page::List as Page;
use crate::params::{
    Choice as _, Decode, Metadata, MetadataChange, Node, Path, Range, Schema, Text,
};

/// The most digits after the point of a percentage (Stripe's).
pub const PERCENT_DECIMALS_MAX: u8 = 4;
/// The most rates of one line or invoice (Stripe's).
pub const RATES_MAX: usize = 5;

crate::choice! {
    /// The kind of a tax.
    pub enum TaxType {
        /// On admissions.
        AdmissionsTax = "admissions_tax",
        /// On amusement.
        AmusementTax = "amusement_tax",
        /// On attendance.
        AttendanceTax = "attendance_tax",
        /// On communications.
        CommunicationsTax = "communications_tax",
        /// An excise on what is digital.
        DigitalExciseTax = "digital_excise_tax",
        /// On entertainment.
        EntertainmentTax = "entertainment_tax",
        /// Ghana Education Trust Fund levy.
        GetFund = "get_fund",
        /// On gross receipts.
        GrossReceiptsTax = "gross_receipts_tax",
        /// Goods and services tax.
        Gst = "gst",
        /// On hospitality.
        HospitalityTax = "hospitality_tax",
        /// Harmonized sales tax.
        Hst = "hst",
        /// Integrated goods and services tax.
        Igst = "igst",
        /// Japanese consumption tax.
        Jct = "jct",
        /// On leases.
        LeaseTax = "lease_tax",
        /// On luxury.
        LuxuryTax = "luxury_tax",
        /// On parking, for mass transit.
        MassTransitParkingTax = "mass_transit_parking_tax",
        /// Ghana National Health Insurance levy.
        Nhil = "nhil",
        /// On parking.
        ParkingTax = "parking_tax",
        /// Provincial sales tax.
        Pst = "pst",
        /// Quebec sales tax.
        Qst = "qst",
        /// On resorts.
        ResortTax = "resort_tax",
        /// A fee on deliveries.
        RetailDeliveryFee = "retail_delivery_fee",
        /// Retail sales tax.
        Rst = "rst",
        /// Sales tax.
        SalesTax = "sales_tax",
        /// On services.
        ServiceTax = "service_tax",
        /// On tourism.
        TourismTax = "tourism_tax",
        /// On users of utilities.
        UtilityUsersTax = "utility_users_tax",
        /// Value added tax.
        Vat = "vat",
    }
}

/// So many per cent of a tax, as a request says it: 0 to 100, exactly as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub Decimal);

impl Decode for Percent {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let percent = Decimal::decode(node, path)?;
        let above = Decimal::from(100).checked_sub(percent).is_ok_and(|rest| !rest.is_negative());
        if percent.is_negative() || !above || percent.scale() > PERCENT_DECIMALS_MAX {
            return Err(Error::invalid(format!(
                "Invalid percentage: must be from 0 to 100, with at most {PERCENT_DECIMALS_MAX} \
                 digits after the point."
            ))
            .param(path.to_string()));
        }
        Ok(Self(percent))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

crate::params! {
    /// What a new tax rate is made of.
    pub struct Create {
        /// Whether it can be applied.
        pub active: Option<bool>,
        /// Two-letter country code.
        pub country: Option<Text>,
        /// A note of the operator's.
        pub description: Option<Text>,
        /// What customers see it called.
        pub display_name: Text<50>,
        /// Whether amounts have it in them.
        pub inclusive: bool,
        /// Where it is levied, as invoices show it.
        pub jurisdiction: Option<Text<50>>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// How many per cent.
        pub percentage: Percent,
        /// The state, without the country.
        pub state: Option<Text>,
        /// The kind of tax.
        pub tax_type: Option<TaxType>,
    }
}

crate::params! {
    /// What of a tax rate changes: never how much it is.
    pub struct Update {
        /// Whether it can be applied.
        pub active: Option<bool>,
        /// Two-letter country code.
        pub country: Option<Text>,
        /// A note of the operator's.
        pub description: Option<Text>,
        /// What customers see it called.
        pub display_name: Option<Text<50>>,
        /// Where it is levied, as invoices show it.
        pub jurisdiction: Option<Text<50>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// The state, without the country.
        pub state: Option<Text>,
        /// The kind of tax.
        pub tax_type: Option<TaxType>,
    }
}

crate::params! {
    /// A list of tax rates.
    pub struct List with page {
        /// Only those that can, or cannot, be applied.
        pub active: Option<bool>,
        /// Only those made in this span.
        pub created: Range,
        /// Only those that amounts have, or have not, in them.
        pub inclusive: Option<bool>,
    }
}

/// So many per cent of tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxRate {
    /// Its id.
    pub id: Id<TaxRateKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Whether it can be applied. What has it already keeps it.
    pub active: bool,
    /// On top of amounts or within them.
    pub behavior: Behavior,
    /// How many per cent.
    pub percentage: Decimal,
    /// What it is called and where it is levied.
    pub details: Details,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

impl TaxRate {
    /// The rate as the totals of an invoice take it: `lines` says of each line whether it is taxed.
    #[must_use]
    pub const fn of_lines(&self, lines: Vec<bool>) -> totals::Rate {
        totals::Rate { percent: self.percentage, behavior: self.behavior, lines }
    }
}

/// Makes a tax rate.
///
/// # Errors
/// A 400 when the country is none.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<TaxRate> {
    let country = input.country.map(checked_country).transpose()?;
    let rate = TaxRate {
        id: ctx.new_id(),
        livemode: ctx.scope().mode.is_live(),
        active: input.active.unwrap_or(true),
        behavior: if input.inclusive { Behavior::Inclusive } else { Behavior::Exclusive },
        percentage: input.percentage.0,
        details: Details {
            display_name: input.display_name.into(),
            country,
            description: input.description.map(Into::into),
            jurisdiction: input.jurisdiction.map(Into::into),
            state: input.state.map(Into::into),
            tax_type: input.tax_type.map(|kind| kind.as_str().to_owned()),
        },
        metadata: input.metadata.0,
        created: ctx.now,
    };
    sql::insert(ctx, &rate).await?;
    outbox::push(ctx, "tax_rate.created", &rate.wire()).await?;
    Ok(rate)
}

fn checked_country(country: Text) -> Result<String> {
    let text = String::from(country);
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Error::invalid("Invalid country: must be a two-letter country code.").param("country"))
}

/// Reads a tax rate whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<TaxRate> {
    match sql::find(ctx, id).await? {
        Some(rate) => Ok(rate),
        None => Err(ctx.no_such_path(TaxRateKind::NOUN, id).await?),
    }
}

/// Reads the rates that a request at `path` wants applied: `default_tax_rates`, `items[0][tax_rates]`.
///
/// # Errors
/// A 400 when one does not exist or is inactive, one is named twice, there are too many, or some are
/// inclusive and some are not.
pub async fn named(ctx: &mut Ctx, ids: &[Text<255>], path: &str) -> Result<Vec<TaxRate>> {
    let refuse = |message: String| Err(Error::invalid(message).param(path));
    if ids.len() > RATES_MAX {
        return refuse(format!("Invalid array: at most {RATES_MAX} elements are accepted"));
    }
    let mut rates: Vec<TaxRate> = Vec::with_capacity(ids.len());
    for (place, id) in ids.iter().enumerate() {
        let Some(rate) = sql::find(ctx, id).await? else {
            return Err(ctx.no_such(TaxRateKind::NOUN, id, format!("{path}[{place}]")).await?);
        };
        if !rate.active && !ctx.has_agreed_to(rate.id.as_str()) {
            return refuse(format!(
                "The tax rate `{}` is inactive and cannot be applied.",
                rate.id
            ));
        }
        if rates.iter().any(|other| other.id == rate.id) {
            return refuse(format!("The tax rate `{}` is named twice.", rate.id));
        }
        if rates.first().is_some_and(|first| first.behavior != rate.behavior) {
            return refuse("You cannot combine inclusive and exclusive tax rates.".to_owned());
        }
        rates.push(rate);
    }
    Ok(rates)
}

/// Reads rates that were applied before, in the order of their ids.
///
/// # Errors
/// A 500 when one does not exist: rates are never deleted.
pub async fn of(ctx: &mut Ctx, ids: &[Id<TaxRateKind>]) -> Result<Vec<TaxRate>> {
    let mut rates = Vec::with_capacity(ids.len());
    for id in ids {
        let found = sql::find(ctx, id.as_str()).await?;
        rates.push(found.ok_or_else(|| Error::internal(format!("no tax rate is called {id}")))?);
    }
    Ok(rates)
}

/// Changes a tax rate.
///
/// # Errors
/// A 404 when there is none, a 400 when the country is none.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<TaxRate> {
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    let mut rate = before.clone();
    rate.active = input.active.unwrap_or(rate.active);
    let set = |field: &mut Option<String>, value: Option<String>| {
        if value.is_some() {
            *field = value;
        }
    };
    set(&mut rate.details.country, input.country.map(checked_country).transpose()?);
    set(&mut rate.details.description, input.description.map(Into::into));
    set(&mut rate.details.jurisdiction, input.jurisdiction.map(Into::into));
    set(&mut rate.details.state, input.state.map(Into::into));
    set(&mut rate.details.tax_type, input.tax_type.map(|kind| kind.as_str().to_owned()));
    if let Some(name) = input.display_name {
        rate.details.display_name = name.into();
    }
    input.metadata.apply(&mut rate.metadata)?;
    if rate != before {
        sql::update(ctx, &rate).await?;
        outbox::push_update(ctx, "tax_rate.updated", &before.wire(), &rate.wire()).await?;
    }
    Ok(rate)
}

/// Lists tax rates, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::Bool(input.active),
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::Bool(input.inclusive),
    ];
    let page = input.page()?;
    let slice = ctx.page(&page, TaxRateKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    Ok(Page {
        url: "/v1/tax_rates".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(TaxRate::wire).collect(),
    })
}
