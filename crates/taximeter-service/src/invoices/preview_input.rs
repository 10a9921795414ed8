//! What a request may say about the invoice that it wants to see.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{InvoiceItem as InvoiceItemKind, Kind as _};
use taximeter_kernel::money::Currency;

use crate::choice;
use crate::ctx::Ctx;
use crate::customers::{self, AddressInput, Customer, ShippingInput, TaxExempt};
use crate::discounts::DiscountInput;
use crate::error::{Error, Kind, Result};
use crate::invoice_items::{self, InvoiceItem, PeriodInput, PriceDataInput, PricingInput};
use crate::params::{Clear, MetadataChange, OrWord, Text};
use crate::subscription_schedules::{self, EndBehavior, NewPhaseInput, PreviewedPhase};
use crate::subscriptions::{
    AnchorChange, BillingModeInput, Invoicing, ItemUpdate, Now, Pause, PaymentBehavior, PeriodEnd,
    ProrationBehavior, Resume, Update,
};
use crate::version::BASIL;

/// Whether periods begin anew, or the instant that those of a new subscription are counted from.
pub(super) type Anchor = OrWord<AnchorChange, AnchorInput>;

crate::params! {
    /// The same as newer versions have it, or the instant.
    pub struct AnchorInput {
        /// The instant, for a new subscription.
        pub timestamp: Option<i64>,
        /// What becomes of it.
        pub r#type: AnchorType,
    }
}

choice! {
    /// What becomes of the instant that periods are counted from.
    pub enum AnchorType {
        /// They begin anew.
        Now = "now",
        /// They are counted from an instant.
        Timestamp = "timestamp",
        /// Nothing.
        Unchanged = "unchanged",
    }
}

choice! {
    /// Which invoice to preview.
    pub enum PreviewMode {
        /// The next one, as it will be.
        Next = "next",
        /// One like every next one: only what recurs, without pending items and without discounts of
        /// a single use.
        Recurring = "recurring",
    }
}

crate::params! {
    /// What an invoice item would be.
    pub struct ItemInput {
        /// What it would come to, in minor units.
        pub amount: Option<i64>,
        /// The currency of that.
        pub currency: Option<Currency>,
        /// What customers would see it called.
        pub description: Option<Text>,
        /// Whether discounts would be taken off it.
        pub discountable: Option<bool>,
        /// What would be taken off it alone.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// The pending item that would say this, instead of a new one.
        pub invoiceitem: Option<Text<255>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// The span that it would be for.
        pub period: Option<PeriodInput>,
        /// Its price.
        pub price: Option<Text<255>>,
        /// A price described inline.
        pub price_data: Option<PriceDataInput>,
        /// How many.
        pub quantity: Option<i64>,
        /// How many, with up to 12 decimals.
        pub quantity_decimal: Option<Decimal>,
        /// What it would be taxed by.
        pub tax_rates: Clear<Vec<Text<255>>>,
        /// What each would cost, in whole minor units.
        pub unit_amount: Option<i64>,
        /// What each would cost, in minor units with up to 12 decimals.
        pub unit_amount_decimal: Option<Decimal>,
    }
}

crate::params! {
    /// What would be different about the customer.
    pub struct CustomerDetails {
        /// Billing address.
        pub address: Clear<AddressInput>,
        /// Where goods would go.
        pub shipping: Clear<ShippingInput>,
        /// How it would be taxed.
        pub tax_exempt: Clear<TaxExempt>,
    }
}

crate::params! {
    /// A subscription that does not exist yet, or changes of one that does.
    #[derive(Default)]
    pub struct SubscriptionDetails {
        /// Whether its periods would begin anew; for a new one, what they would be counted from.
        pub billing_cycle_anchor: Option<Anchor>,
        /// How it would be billed, for a new one.
        pub billing_mode: Option<BillingModeInput>,
        /// When it would end.
        pub cancel_at: Clear<OrWord<PeriodEnd, i64>>,
        /// Whether it would end with its period.
        pub cancel_at_period_end: Option<bool>,
        /// Whether it would end now.
        pub cancel_now: Option<bool>,
        /// What it would be taxed by.
        pub default_tax_rates: Clear<Vec<Text<255>>>,
        /// Its items, or changes of them.
        pub items: Option<Vec<ItemUpdate>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// How it would be paused.
        pub pause: Option<Pause>,
        /// How the change would be billed.
        pub proration_behavior: Option<ProrationBehavior>,
        /// As of when it would be reckoned.
        pub proration_date: Option<i64>,
        /// Whether it would be resumed, if it is paused.
        pub resume_at: Option<Now>,
        /// When a new one would have begun, if before now.
        pub start_date: Option<i64>,
        /// When its trial would end.
        pub trial_end: Option<OrWord<Now, i64>>,
    }
}

crate::params! {
    /// A schedule that does not exist yet, or changes of one that does.
    #[derive(Default)]
    pub struct ScheduleDetails {
        /// Which rules its subscription would be billed by, for a new one.
        pub billing_mode: Option<BillingModeInput>,
        /// What would become of the subscription after the last phase.
        pub end_behavior: Option<EndBehavior>,
        /// What the subscription would be, one time after another.
        pub phases: Option<Vec<PreviewedPhase>>,
        /// How a change of the phase that is under way would be billed.
        pub proration_behavior: Option<ProrationBehavior>,
    }
}

crate::params! {
    /// Which invoice to preview.
    pub struct Create {
        /// The currency of the invoice: for a subscription that does not exist yet, what it is
        /// billed in if its prices have several; else it must be the subscription's.
        pub currency: Option<Currency>,
        /// Whose next invoice.
        pub customer: Option<Text<255>>,
        /// What would be different about the customer.
        pub customer_details: Option<CustomerDetails>,
        /// What would be taken off it.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// What would go on it besides.
        pub invoice_items: Option<Vec<ItemInput>>,
        /// The next one or a typical one.
        pub preview_mode: Option<PreviewMode>,
        /// The schedule whose subscription's next invoice.
        pub schedule: Option<Text<255>>,
        /// A schedule that does not exist yet, or changes of one that does.
        pub schedule_details: Option<ScheduleDetails>,
        /// The subscription whose next invoice.
        pub subscription: Option<Text<255>>,
        /// A subscription that does not exist yet, or changes of one that does.
        pub subscription_details: Option<SubscriptionDetails>,
    }
}

crate::params! {
    /// Which invoice to preview, in the words of clients before 2025-03-31.
    pub struct Upcoming {
        /// Whose next invoice.
        pub customer: Option<Text<255>>,
        /// The subscription whose next invoice.
        pub subscription: Option<Text<255>>,
    }
}

crate::params! {
    /// The lines of a preview.
    pub struct UpcomingLines with page {
        /// Whose next invoice.
        pub customer: Option<Text<255>>,
        /// The subscription whose next invoice.
        pub subscription: Option<Text<255>>,
    }
}

impl SubscriptionDetails {
    /// Whether it proposes anything.
    pub(super) fn says_anything(&self) -> bool {
        self.billing_cycle_anchor.is_some()
            || self.billing_mode.is_some()
            || !self.cancel_at.is_keep()
            || self.cancel_at_period_end.is_some()
            || self.cancel_now.is_some()
            || !self.default_tax_rates.is_keep()
            || self.items.is_some()
            || self.metadata != MetadataChange::Keep
            || self.pause.is_some()
            || self.proration_behavior.is_some()
            || self.proration_date.is_some()
            || self.resume_at.is_some()
            || self.start_date.is_some()
            || self.trial_end.is_some()
    }

    /// Whether the periods of a subscription that exists would begin anew, if that is said.
    fn anchor(&self) -> Result<Option<AnchorChange>> {
        Ok(match &self.billing_cycle_anchor {
            None => None,
            Some(OrWord::Word(word)) => Some(*word),
            Some(OrWord::Value(input)) => match input.r#type {
                AnchorType::Now => Some(AnchorChange::Now),
                AnchorType::Unchanged => Some(AnchorChange::Unchanged),
                AnchorType::Timestamp => {
                    return Err(Error::invalid(
                        "The periods of a subscription that exists can only begin anew `now`.",
                    )
                    .param("subscription_details[billing_cycle_anchor]"));
                }
            },
        })
    }

    /// The pause that is proposed, and nothing else. Its invoice is shown as if it were made at once,
    /// though what it bills may wait for the next one.
    pub(super) fn pause(&mut self) -> Result<Option<Pause>> {
        let Some(mut pause) = self.pause.take() else { return Ok(None) };
        if self.says_anything() {
            return Err(Error::invalid(
                "You cannot pause a subscription and change it in another way at once.",
            )
            .code("parameters_exclusive")
            .param("subscription_details[pause]"));
        }
        pause.invoicing_behavior = Some(Invoicing::Invoice);
        Ok(Some(pause))
    }

    /// How a subscription would be resumed.
    pub(super) fn resume(&self) -> Result<Resume> {
        let says_more = self.cancel_now.is_some()
            || self.cancel_at_period_end.is_some()
            || !self.cancel_at.is_keep()
            || !self.default_tax_rates.is_keep()
            || self.items.is_some()
            || self.metadata != MetadataChange::Keep
            || self.trial_end.is_some();
        if says_more {
            return Err(Error::invalid(
                "You cannot resume a subscription and change it in another way at once.",
            )
            .code("parameters_exclusive")
            .param("subscription_details[resume_at]"));
        }
        Ok(Resume {
            billing_cycle_anchor: self.anchor()?.map(OrWord::Word),
            payment_behavior: None,
            proration_behavior: self.proration_behavior,
            proration_date: self.proration_date,
        })
    }

    /// The update that would change a subscription so. Nobody is asked for money by it.
    pub(super) fn update(self) -> Result<Update> {
        let anchor = self.anchor()?.map(OrWord::Word);
        Ok(Update {
            billing_cycle_anchor: anchor,
            cancel_at: self.cancel_at,
            cancel_at_period_end: self.cancel_at_period_end,
            default_tax_rates: self.default_tax_rates,
            items: self.items,
            metadata: self.metadata,
            payment_behavior: Some(PaymentBehavior::DefaultIncomplete),
            proration_behavior: self.proration_behavior,
            proration_date: self.proration_date,
            trial_end: self.trial_end,
            ..Update::default()
        })
    }
}

impl ScheduleDetails {
    /// The change that it proposes of a schedule that exists.
    pub(super) fn update(self) -> Result<Option<subscription_schedules::Update>> {
        if self.billing_mode.is_some() {
            let full = "schedule_details[billing_mode]";
            let message = format!("You can only specify `{full}` for a new schedule.");
            return Err(Error::invalid(message).param(full));
        }
        let Self { billing_mode: _, end_behavior, phases, proration_behavior } = self;
        let says = end_behavior.is_some() || phases.is_some() || proration_behavior.is_some();
        Ok(says.then_some(subscription_schedules::Update {
            default_settings: None,
            end_behavior,
            metadata: MetadataChange::Keep,
            phases: phases.map(|phases| phases.into_iter().map(|phase| phase.0).collect()),
            proration_behavior,
        }))
    }

    /// The new schedule that it proposes, which begins when its first phase says.
    pub(super) fn create(self, customer: &Customer) -> Result<subscription_schedules::Create> {
        const PHASES: &str = "schedule_details[phases]";
        if self.proration_behavior.is_some() {
            let full = "schedule_details[proration_behavior]";
            let message = format!("You can only specify `{full}` for a schedule that exists.");
            return Err(Error::invalid(message).param(full));
        }
        let mut phases = self.phases.ok_or_else(|| Error::missing(PHASES))?;
        let start_date = phases.first_mut().and_then(|first| first.0.start_date.take());
        let start_date =
            start_date.ok_or_else(|| Error::missing(format!("{PHASES}[0][start_date]")))?;
        if let Some(place) = phases.iter().position(|phase| phase.0.start_date.is_some()) {
            let full = format!("{PHASES}[{place}][start_date]");
            let message = "A phase begins when the one before ends.";
            return Err(Error::invalid(message).param(full));
        }
        Ok(subscription_schedules::Create {
            billing_mode: self.billing_mode,
            customer: Some(Text(customer.id.as_str().to_owned())),
            default_settings: None,
            end_behavior: self.end_behavior,
            from_subscription: None,
            metadata: MetadataChange::Keep,
            phases: Some(phases.into_iter().map(|phase| NewPhaseInput(phase.0)).collect()),
            start_date: Some(start_date),
        })
    }
}

impl CustomerDetails {
    /// Makes the customer so, to be undone.
    pub(super) async fn put_on(self, ctx: &mut Ctx, customer: &Customer) -> Result<()> {
        let Self { address, shipping, tax_exempt } = self;
        let input = customers::Update { address, shipping, tax_exempt, ..Default::default() };
        let changed = Box::pin(customers::update(ctx, customer.id.as_str(), input)).await;
        changed.map_err(|error| error.within("customer_details")).map(drop)
    }
}

impl ItemInput {
    /// Makes the item, to be undone.
    pub(super) async fn make(
        self,
        ctx: &mut Ctx,
        customer: &Customer,
        currency: Currency,
    ) -> Result<InvoiceItem> {
        let own = self.amount.is_some()
            || self.unit_amount.is_some()
            || self.unit_amount_decimal.is_some();
        let currency = self.currency.or_else(|| own.then_some(currency));
        let input = invoice_items::Create::of(&customer.id, currency, self.said(ctx)?);
        Box::pin(invoice_items::create(ctx, input)).await
    }

    /// What it says of the item.
    fn said(self, ctx: &Ctx) -> Result<invoice_items::Update> {
        let (price, pricing) = price_of(ctx, self.price);
        Ok(invoice_items::Update {
            amount: self.amount,
            description: self.description,
            discountable: self.discountable,
            discounts: self.discounts,
            metadata: self.metadata,
            period: self.period,
            price,
            price_data: self.price_data,
            pricing,
            quantity: self.quantity,
            quantity_decimal: self.quantity_decimal,
            tax_rates: self.tax_rates,
            unit_amount: None,
            unit_amount_decimal: unit_amount(self.unit_amount, self.unit_amount_decimal)?,
        })
    }

    /// Changes the pending item that is named, to be undone.
    pub(super) async fn change(self, ctx: &mut Ctx, customer: &Customer) -> Result<()> {
        let Some(id) = self.invoiceitem.clone() else { return Ok(()) };
        if self.currency.is_some() {
            let message = "You can only specify `currency` for a new item.";
            return Err(Error::invalid(message).param("currency"));
        }
        let input = self.said(ctx)?;
        let changed = Box::pin(invoice_items::update(ctx, &id, input)).await;
        let changed = changed.map_err(|error| match error.kind {
            Kind::NotFound => Error::no_such(InvoiceItemKind::NOUN, &id, "invoiceitem"),
            _ => error,
        })?;
        if changed.customer != customer.id {
            return Err(Error::no_such(InvoiceItemKind::NOUN, &id, "invoiceitem"));
        }
        Ok(())
    }
}

/// Where versions before basil and those after have the price of an item.
fn price_of(ctx: &Ctx, price: Option<Text<255>>) -> (Option<Text<255>>, Option<PricingInput>) {
    if ctx.caller.version.is_before(BASIL) {
        (price, None)
    } else {
        (None, price.map(|price| PricingInput { price: Some(price) }))
    }
}

fn unit_amount(whole: Option<i64>, exact: Option<Decimal>) -> Result<Option<Decimal>> {
    match (whole, exact) {
        (Some(_), Some(_)) => Err(Error::invalid(
            "You may only specify one of these parameters: unit_amount, unit_amount_decimal.",
        )
        .param("unit_amount")),
        (whole, exact) => Ok(whole.map(Decimal::from).or(exact)),
    }
}
