//! What a request may say about a price.

use taximeter_kernel::calendar::Interval;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Meter as MeterKind, Product as ProductKind};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::{RoundQuantity, TierMode, UsageType};

use super::{BillingScheme, PriceType, TaxBehavior};
use crate::params::{Clear, Keyed, Metadata, MetadataChange, OrWord, Range, Text};
use crate::products::{self, AtMost, ChosenId, StatementDescriptor, TaxCode, TaxDetailsInput};

/// The longest lookup key, in characters (Stripe's).
pub(super) const LOOKUP_KEY_CHARS_MAX: usize = 200;
/// The most lookup keys of one list (Stripe's).
pub(super) const LOOKUP_KEYS_MAX: usize = 10;

/// A name by which a program finds a price without knowing its id.
pub type LookupKey = Text<LOOKUP_KEY_CHARS_MAX>;

crate::choice! {
    /// The end of a tier that has none.
    pub enum Infinity {
        /// No end.
        Inf = "inf",
    }
}

crate::params! {
    /// A span of quantities and what they cost, in minor units.
    pub struct TierInput {
        /// Once, when the tier is reached: 900 is 9.00 in USD.
        pub flat_amount: Option<i64>,
        /// The same as a decimal, which must be whole.
        pub flat_amount_decimal: Option<Decimal>,
        /// For each unit: 5 is 0.05 in USD.
        pub unit_amount: Option<i64>,
        /// For each unit: 0.05 is a twentieth of a cent in USD.
        pub unit_amount_decimal: Option<Decimal>,
        /// The last quantity of the tier, or `inf`.
        pub up_to: OrWord<Infinity, i64>,
    }
}

crate::params! {
    /// Packages of units.
    pub struct TransformQuantityInput {
        /// How many units make a package.
        pub divide_by: i64,
        /// What becomes of a package begun but not filled.
        pub round: RoundQuantity,
    }
}

crate::params! {
    /// The price in another currency.
    pub struct CurrencyOptionInput {
        /// Whether the amounts include tax.
        pub tax_behavior: Option<TaxBehavior>,
        /// The tiers, where the price has tiers.
        pub tiers: Option<Vec<TierInput>>,
        /// Whole minor units.
        pub unit_amount: Option<i64>,
        /// Minor units, with a fraction.
        pub unit_amount_decimal: Option<Decimal>,
    }
}

crate::params! {
    /// How a price recurs.
    pub struct RecurringInput {
        /// The unit of the calendar.
        pub interval: Interval,
        /// How many of them make a period; 1 unless told otherwise.
        pub interval_count: Option<i64>,
        /// The meter that counts the usage.
        pub meter: Option<Id<MeterKind>>,
        /// Days of trial for subscriptions that ask for the price's own trial.
        pub trial_period_days: Option<i64>,
        /// Where the quantity comes from; licensed unless told otherwise.
        pub usage_type: Option<UsageType>,
    }
}

crate::params! {
    /// How a price described inline recurs.
    pub struct InlineRecurring {
        /// The unit of the calendar.
        pub interval: Interval,
        /// How many of them make a period; 1 unless told otherwise.
        pub interval_count: Option<i64>,
    }
}

crate::params! {
    /// A product to make together with a price.
    pub struct ProductData {
        /// Whether it can be bought; it can unless told otherwise.
        pub active: Option<bool>,
        /// Its id, if not a random one.
        pub id: Option<ChosenId>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// The name customers see.
        pub name: Text,
        /// What a card statement shows.
        pub statement_descriptor: Option<StatementDescriptor>,
        /// The tax code.
        pub tax_code: Option<TaxCode>,
        /// The tax code, and the place of the performance.
        pub tax_details: Option<TaxDetailsInput>,
        /// What one unit is called on invoices.
        pub unit_label: Option<Text<{ products::UNIT_LABEL_CHARS_MAX }>>,
    }
}

crate::params! {
    /// What a new price is made of. Amounts are in minor units of `currency`.
    pub struct Create {
        /// Whether it can be bought; it can unless told otherwise.
        pub active: Option<bool>,
        /// How a quantity becomes an amount; `per_unit` unless told otherwise.
        pub billing_scheme: Option<BillingScheme>,
        /// The currency.
        pub currency: Currency,
        /// The price in other currencies.
        pub currency_options: Option<Keyed<CurrencyOptionInput>>,
        /// A name by which a program finds it.
        pub lookup_key: Option<LookupKey>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// The operator's own name for it.
        pub nickname: Option<Text>,
        /// What it is the price of.
        pub product: Option<Id<ProductKind>>,
        /// What it is the price of, to be made with it.
        pub product_data: Option<ProductData>,
        /// How it recurs, if it does.
        pub recurring: Option<RecurringInput>,
        /// Whether the amounts include tax.
        pub tax_behavior: Option<TaxBehavior>,
        /// The tiers, if it is tiered.
        pub tiers: Option<Vec<TierInput>>,
        /// How the tiers apply.
        pub tiers_mode: Option<TierMode>,
        /// Whether another price that has the lookup key loses it; else it is an error.
        pub transfer_lookup_key: Option<bool>,
        /// Packages, if the price is not for single units.
        pub transform_quantity: Option<TransformQuantityInput>,
        /// Whole minor units: 4 is 0.04 in USD.
        pub unit_amount: Option<i64>,
        /// Minor units with up to 12 decimals: 0.05 is a twentieth of a cent in USD.
        pub unit_amount_decimal: Option<Decimal>,
    }
}

crate::params! {
    /// What of a price changes. What it charges never does.
    pub struct Update {
        /// Whether it can be bought.
        pub active: Option<bool>,
        /// Currencies to add or replace; an empty text leaves only the price's own.
        pub currency_options: Clear<Keyed<CurrencyOptionInput>>,
        /// A name by which a program finds it.
        pub lookup_key: Clear<LookupKey>,
        /// Keys and values to change.
        pub metadata: MetadataChange,
        /// The operator's own name for it.
        pub nickname: Clear<Text>,
        /// Whether the amounts include tax; once said, it stays.
        pub tax_behavior: Option<TaxBehavior>,
        /// Whether another price that has the lookup key loses it; else it is an error.
        pub transfer_lookup_key: Option<bool>,
    }
}

crate::params! {
    /// Which recurring prices to list.
    pub struct ListRecurring {
        /// Only those of this interval.
        pub interval: Option<Interval>,
        /// Only those of this meter.
        pub meter: Option<Id<MeterKind>>,
        /// Only those whose quantity comes from there.
        pub usage_type: Option<UsageType>,
    }
}

crate::params! {
    /// A list of prices.
    pub struct List with page {
        /// Those that can be bought, unless told otherwise.
        pub active: Option<bool>,
        /// Only those made within this range.
        pub created: Range,
        /// Only those of this currency.
        pub currency: Option<Currency>,
        /// Only those with one of these lookup keys.
        pub lookup_keys: Option<AtMost<LookupKey, LOOKUP_KEYS_MAX>>,
        /// Only those of this product.
        pub product: Option<Id<ProductKind>>,
        /// Only those that recur so.
        pub recurring: Option<ListRecurring>,
        /// Only those that recur, or do not.
        pub r#type: Option<PriceType>,
    }
}

crate::params! {
    /// A price described inline, made for one use.
    pub struct PriceData {
        /// The currency.
        pub currency: Currency,
        /// What it is the price of.
        pub product: Id<ProductKind>,
        /// How it recurs, if it does.
        pub recurring: Option<InlineRecurring>,
        /// Whether the amount includes tax.
        pub tax_behavior: Option<TaxBehavior>,
        /// Whole minor units.
        pub unit_amount: Option<i64>,
        /// Minor units with up to 12 decimals.
        pub unit_amount_decimal: Option<Decimal>,
    }
}

crate::params! {
    /// The default price of a product, to be made with it.
    pub struct DefaultPriceData {
        /// The currency.
        pub currency: Currency,
        /// The price in other currencies.
        pub currency_options: Option<Keyed<CurrencyOptionInput>>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// How it recurs, if it does.
        pub recurring: Option<InlineRecurring>,
        /// Whether the amount includes tax.
        pub tax_behavior: Option<TaxBehavior>,
        /// Whole minor units.
        pub unit_amount: Option<i64>,
        /// Minor units with up to 12 decimals.
        pub unit_amount_decimal: Option<Decimal>,
    }
}

impl From<InlineRecurring> for RecurringInput {
    fn from(inline: InlineRecurring) -> Self {
        Self {
            interval: inline.interval,
            interval_count: inline.interval_count,
            meter: None,
            trial_period_days: None,
            usage_type: None,
        }
    }
}

impl From<ProductData> for products::Create {
    fn from(data: ProductData) -> Self {
        Self {
            active: data.active,
            default_price_data: None,
            description: None,
            id: data.id,
            images: None,
            marketing_features: None,
            metadata: data.metadata,
            name: data.name,
            package_dimensions: None,
            shippable: None,
            statement_descriptor: data.statement_descriptor,
            tax_code: data.tax_code,
            tax_details: data.tax_details,
            r#type: None,
            unit_label: data.unit_label,
            url: None,
        }
    }
}
