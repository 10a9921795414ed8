//! What a request may say about an invoice item.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Customer as CustomerKind, Id, Product as ProductKind};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::UNIT_AMOUNT_DECIMALS_MAX;
use taximeter_kernel::time::{Period, Timestamp};

use crate::discounts::DiscountInput;
use crate::error::{Error, Result};
use crate::params::{Clear, MetadataChange, Range, Text};
use crate::prices::{PriceData, TaxBehavior};
use crate::version::{ApiVersion, BASIL};

crate::params! {
    /// The span that an item is for.
    pub struct PeriodInput {
        /// Its end, not before its start.
        pub end: Timestamp,
        /// Its start.
        pub start: Timestamp,
    }
}

crate::params! {
    /// A price described inline, made for this item.
    pub struct PriceDataInput {
        /// The currency.
        pub currency: Currency,
        /// What it is the price of.
        pub product: Id<ProductKind>,
        /// Whether the amount includes tax.
        pub tax_behavior: Option<TaxBehavior>,
        /// Whole minor units.
        pub unit_amount: Option<i64>,
        /// Minor units with up to 12 decimals.
        pub unit_amount_decimal: Option<Decimal>,
    }
}

crate::params! {
    /// Where an item's amount comes from.
    pub struct PricingInput {
        /// A price of the catalog.
        pub price: Option<Text<255>>,
    }
}

crate::params! {
    /// What a new invoice item is made of.
    pub struct Create with said: Update {
        /// The currency.
        pub currency: Option<Currency>,
        /// Who is billed.
        pub customer: Option<Text<255>>,
        /// The draft that it goes on.
        pub invoice: Option<Text<255>>,
        /// The subscription with whose invoice it goes.
        pub subscription: Option<Text<255>>,
    }
}

crate::params! {
    /// What of an invoice item changes.
    #[derive(Default)]
    pub struct Update {
        /// What it comes to, in minor units.
        pub amount: Option<i64>,
        /// What customers see it called.
        pub description: Option<Text>,
        /// Whether discounts are taken off it.
        pub discountable: Option<bool>,
        /// What is taken off it alone.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// The span that it is for.
        pub period: Option<PeriodInput>,
        /// A price of the catalog, as versions before basil say it.
        pub price: Option<Text<255>>,
        /// A price described inline.
        pub price_data: Option<PriceDataInput>,
        /// A price of the catalog.
        pub pricing: Option<PricingInput>,
        /// How many.
        pub quantity: Option<i64>,
        /// How many, with up to 12 decimals.
        pub quantity_decimal: Option<Decimal>,
        /// The tax rates of it alone.
        pub tax_rates: Clear<Vec<Text<255>>>,
        /// What each costs, in whole minor units, as versions before basil say it.
        pub unit_amount: Option<i64>,
        /// What each costs, in minor units with up to 12 decimals.
        pub unit_amount_decimal: Option<Decimal>,
    }
}

crate::params! {
    /// A list of invoice items.
    pub struct List with page {
        /// Only those made in this span.
        pub created: Range,
        /// Only those of this customer.
        pub customer: Option<Text<255>>,
        /// Only those on this invoice.
        pub invoice: Option<Text<255>>,
        /// Only those that are, or are not, on no invoice yet.
        pub pending: Option<bool>,
    }
}

crate::params! {
    /// Deleting takes no parameters.
    pub struct Delete {}
}

impl PeriodInput {
    pub(crate) fn period(self) -> Result<Period> {
        let Self { start, end } = self;
        if end < start {
            return Err(Error::invalid("Invalid period: `end` must not be before `start`.")
                .param("period[end]"));
        }
        Ok(Period { start, end })
    }
}

impl Create {
    /// A new item of a customer, that says what an update would.
    pub(crate) fn of(
        customer: &Id<CustomerKind>,
        currency: Option<Currency>,
        said: Update,
    ) -> Self {
        let customer = Some(Text(customer.as_str().to_owned()));
        Self { currency, customer, invoice: None, subscription: None, said }
    }
}

impl From<PriceDataInput> for PriceData {
    fn from(data: PriceDataInput) -> Self {
        Self {
            currency: data.currency,
            product: data.product,
            recurring: None,
            tax_behavior: data.tax_behavior,
            unit_amount: data.unit_amount,
            unit_amount_decimal: data.unit_amount_decimal,
        }
    }
}

/// Where an amount comes from, as a request says it.
#[derive(Debug)]
pub(super) enum Source {
    /// It is the amount.
    Amount(i64),
    /// What each costs, and the parameter that says so.
    Unit(Decimal, &'static str),
    /// A price of the catalog, and the parameter that names it.
    Price(Text<255>, &'static str),
    /// A price to make.
    Data(PriceDataInput),
}

/// What a request says of an amount.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) amount: Option<i64>,
    pub(super) price: Option<Text<255>>,
    pub(super) price_data: Option<PriceDataInput>,
    pub(super) pricing: Option<PricingInput>,
    pub(super) quantity: Option<i64>,
    pub(super) quantity_decimal: Option<Decimal>,
    pub(super) unit_amount: Option<i64>,
    pub(super) unit_amount_decimal: Option<Decimal>,
}

impl Update {
    /// What it says of the amount, taken out of the rest.
    pub(super) fn take_asked(&mut self) -> Asked {
        Asked {
            amount: self.amount,
            price: self.price.take(),
            price_data: self.price_data.take(),
            pricing: self.pricing.take(),
            quantity: self.quantity,
            quantity_decimal: self.quantity_decimal,
            unit_amount: self.unit_amount,
            unit_amount_decimal: self.unit_amount_decimal,
        }
    }
}

fn exclusive(one: &str, other: &str) -> Error {
    Error::invalid(format!("You may only specify one of these parameters: {one}, {other}."))
        .code("parameters_exclusive")
        .param(one)
}

impl Asked {
    /// How many, if the request says so.
    pub(super) fn quantity(&self) -> Result<Option<Decimal>> {
        let (quantity, param) = match (self.quantity, self.quantity_decimal) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(exclusive("quantity", "quantity_decimal")),
            (Some(whole), None) => (Decimal::from(whole), "quantity"),
            (None, Some(exact)) => (exact, "quantity_decimal"),
        };
        if quantity.is_negative() || quantity.scale() > UNIT_AMOUNT_DECIMALS_MAX {
            return Err(Error::invalid(format!(
                "Invalid {param}: must not be negative, and have at most \
                 {UNIT_AMOUNT_DECIMALS_MAX} digits after the point."
            ))
            .param(param));
        }
        if self.amount.is_some() {
            return Err(exclusive("amount", param));
        }
        Ok(Some(quantity))
    }

    /// Where the amount comes from, if the request says so.
    pub(super) fn source(self, version: &ApiVersion) -> Result<Option<Source>> {
        let older = [("price", self.price.is_some()), ("unit_amount", self.unit_amount.is_some())];
        for (param, sent) in older {
            if sent && !version.is_before(BASIL) {
                return Err(Error::invalid(format!("Received unknown parameter: {param}"))
                    .code("parameter_unknown")
                    .param(param));
            }
        }
        let mut sources: Vec<(&'static str, Source)> = Vec::new();
        if let Some(amount) = self.amount {
            sources.push(("amount", Source::Amount(amount)));
        }
        if let Some(price) = self.price {
            sources.push(("price", Source::Price(price, "price")));
        }
        if let Some(data) = self.price_data {
            sources.push(("price_data", Source::Data(data)));
        }
        if let Some(pricing) = self.pricing {
            const PARAM: &str = "pricing[price]";
            let price = pricing.price.ok_or_else(|| Error::missing(PARAM))?;
            sources.push(("pricing", Source::Price(price, PARAM)));
        }
        if let Some(unit) = self.unit_amount {
            sources.push(("unit_amount", Source::Unit(unit.into(), "unit_amount")));
        }
        if let Some(unit) = self.unit_amount_decimal {
            let source = Source::Unit(unit, "unit_amount_decimal");
            sources.push(("unit_amount_decimal", source));
        }
        if let [(one, _), (other, _), ..] = sources.as_slice() {
            return Err(exclusive(one, other));
        }
        Ok(sources.pop().map(|(_, source)| source))
    }
}
