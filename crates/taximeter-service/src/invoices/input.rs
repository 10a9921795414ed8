//! What a request may say about an invoice that is made by hand.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;

use crate::customers::CustomFieldInput;
use crate::discounts::DiscountInput;
use crate::invoice_items::{self, PeriodInput, PriceDataInput, PricingInput};
use crate::params::{Clear, MetadataChange, Text};
use crate::products::StatementDescriptor;
use crate::subscriptions::CollectionMethod;

/// The longest number an invoice can be given (Stripe's).
const NUMBER_CHARS_MAX: usize = 26;

crate::choice! {
    /// What becomes of pending items when an invoice is made.
    pub enum PendingItems {
        /// They stay pending.
        Exclude = "exclude",
        /// They go on it.
        Include = "include",
    }
}

crate::choice! {
    /// How an invoice shows tax.
    pub enum TaxDisplay {
        /// Apart from the amounts.
        ExcludeTax = "exclude_tax",
        /// Within the amounts.
        IncludeInclusiveTax = "include_inclusive_tax",
    }
}

crate::choice! {
    /// What paper an invoice is for.
    pub enum PageSize {
        /// 210 by 297 mm.
        A4 = "a4",
        /// As is usual where the customer is.
        Auto = "auto",
        /// 8.5 by 11 inches.
        Letter = "letter",
    }
}

crate::choice! {
    /// What becomes of the item behind a line that is taken off.
    pub enum Removal {
        /// It is deleted.
        Delete = "delete",
        /// It is pending again.
        Unassign = "unassign",
    }
}

crate::params! {
    /// Its paper.
    pub struct PdfInput {
        /// What paper it is for.
        pub page_size: Option<PageSize>,
    }
}

crate::params! {
    /// How it is drawn.
    pub struct RenderingInput {
        /// How it shows taxes.
        pub amount_tax_display: Clear<TaxDisplay>,
        /// Its paper.
        pub pdf: Option<PdfInput>,
    }
}

crate::params! {
    /// How it is paid.
    pub struct PaymentSettingsInput {
        /// With what kinds of payment method.
        pub payment_method_types: Clear<Vec<Text<64>>>,
    }
}

crate::params! {
    /// What a new invoice is made of.
    pub struct Create with said: Update {
        /// What its amounts are in.
        pub currency: Option<Currency>,
        /// Who is billed.
        pub customer: Option<Text<255>>,
        /// What becomes of pending items.
        pub pending_invoice_items_behavior: Option<PendingItems>,
        /// The subscription it is for.
        pub subscription: Option<Text<255>>,
    }
}

crate::params! {
    /// What of an invoice changes.
    pub struct Update {
        /// Whether it moves on by itself.
        pub auto_advance: Option<bool>,
        /// When it is finalized by itself.
        pub automatically_finalizes_at: Option<Timestamp>,
        /// How it is collected.
        pub collection_method: Option<CollectionMethod>,
        /// Fields at its head.
        pub custom_fields: Clear<Vec<CustomFieldInput>>,
        /// How long after it is finalized it must be paid, in days.
        pub days_until_due: Option<i64>,
        /// What pays it.
        pub default_payment_method: Option<Text<255>>,
        /// What its lines are taxed by that have no rates of their own.
        pub default_tax_rates: Clear<Vec<Text<255>>>,
        /// A note to the customer.
        pub description: Clear<Text>,
        /// What is taken off it.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// When it must be paid.
        pub due_date: Option<Timestamp>,
        /// The date that it bears.
        pub effective_at: Clear<Timestamp>,
        /// What it says at its foot.
        pub footer: Clear<Text>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// Its number.
        pub number: Clear<Text<NUMBER_CHARS_MAX>>,
        /// How it is paid.
        pub payment_settings: Option<PaymentSettingsInput>,
        /// How it is drawn.
        pub rendering: Option<RenderingInput>,
        /// What is printed on the customer's statement of account.
        pub statement_descriptor: Option<StatementDescriptor>,
    }
}

impl Update {
    /// The first parameter that is sent of those that a finalized invoice no longer takes.
    pub(super) const fn first_fixed(&self) -> Option<&'static str> {
        let sent: [(bool, &'static str); 13] = [
            (self.automatically_finalizes_at.is_some(), "automatically_finalizes_at"),
            (self.collection_method.is_some(), "collection_method"),
            (!self.custom_fields.is_keep(), "custom_fields"),
            (self.days_until_due.is_some(), "days_until_due"),
            (!self.default_tax_rates.is_keep(), "default_tax_rates"),
            (!self.description.is_keep(), "description"),
            (!self.discounts.is_keep(), "discounts"),
            (self.due_date.is_some(), "due_date"),
            (!self.effective_at.is_keep(), "effective_at"),
            (!self.footer.is_keep(), "footer"),
            (!self.number.is_keep(), "number"),
            (self.rendering.is_some(), "rendering"),
            (self.statement_descriptor.is_some(), "statement_descriptor"),
        ];
        let mut at = 0;
        while at < sent.len() {
            if sent[at].0 {
                return Some(sent[at].1);
            }
            at += 1;
        }
        None
    }
}

crate::params! {
    /// Deleting takes no parameters.
    pub struct Delete {}
}

crate::params! {
    /// A line to put on.
    pub struct LineAdd with said: LineUpdate {
        /// The pending item to put on, instead of a new one.
        pub invoice_item: Option<Text<255>>,
    }
}

crate::params! {
    /// Lines to put on.
    pub struct AddLines {
        /// The invoice's own keys and values.
        pub invoice_metadata: MetadataChange,
        /// Which.
        pub lines: Vec<LineAdd>,
    }
}

crate::params! {
    /// What of a line changes.
    pub struct LineUpdate {
        /// What it comes to, in minor units.
        pub amount: Option<i64>,
        /// What it says.
        pub description: Option<Text>,
        /// Whether discounts of the whole invoice take off it.
        pub discountable: Option<bool>,
        /// What is taken off it alone.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// The span that it is for.
        pub period: Option<PeriodInput>,
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
    }
}

crate::params! {
    /// Which line changes, and what of it.
    pub struct LineChange with said: LineUpdate {
        /// Which.
        pub id: Text<255>,
    }
}

crate::params! {
    /// Lines to change.
    pub struct UpdateLines {
        /// The invoice's own keys and values.
        pub invoice_metadata: MetadataChange,
        /// Which.
        pub lines: Vec<LineChange>,
    }
}

crate::params! {
    /// A line to take off.
    pub struct LineRemove {
        /// What becomes of the item behind it.
        pub behavior: Removal,
        /// Which.
        pub id: Text<255>,
    }
}

crate::params! {
    /// Lines to take off.
    pub struct RemoveLines {
        /// The invoice's own keys and values.
        pub invoice_metadata: MetadataChange,
        /// Which.
        pub lines: Vec<LineRemove>,
    }
}

/// What a line says is what the item behind it says.
impl From<LineUpdate> for invoice_items::Update {
    fn from(line: LineUpdate) -> Self {
        Self {
            amount: line.amount,
            description: line.description,
            discountable: line.discountable,
            discounts: line.discounts,
            metadata: line.metadata,
            period: line.period,
            price_data: line.price_data,
            pricing: line.pricing,
            quantity: line.quantity,
            quantity_decimal: line.quantity_decimal,
            tax_rates: line.tax_rates,
            ..Self::default()
        }
    }
}
