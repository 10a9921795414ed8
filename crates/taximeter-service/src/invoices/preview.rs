//! Previews: the invoice a customer would get next, as things stand or as they would after a change.

use taximeter_kernel::id::{Customer as CustomerKind, Kind as _};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{Period, Timestamp};

use super::items::{line_of, sweep_pending};
use super::wire::preview_id;
use super::{BillingReason, Draft, Invoice, Line, Status, totals};
use crate::billing_settings;
use crate::choice;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Kind, Result};
use crate::invoice_items::{self, InvoiceItem, PeriodInput, PricingInput};
use crate::page::List;
use crate::params::{Clear, OrWord, Text};
use crate::subscription_schedules::{self, Schedule};
use crate::subscriptions::{
    self, AnchorChange, BillingModeInput, Cancel, CollectionMethod, ItemUpdate, Now,
    PaymentBehavior, PeriodEnd, ProrationBehavior, Subscription, Update,
};
use crate::test_clocks;
use crate::version::BASIL;

/// The most items that a preview proposes (Stripe's bound).
const ITEMS_MAX: usize = 250;

/// Whether periods begin anew, or the instant that those of a new subscription are counted from.
pub type Anchor = OrWord<AnchorChange, AnchorInput>;

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
        /// One like every next one: only what recurs. For a subscription that exists this is the
        /// next one, since nothing else goes on it yet.
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
        /// The span that it would be for.
        pub period: Option<PeriodInput>,
        /// Its price.
        pub price: Option<Text<255>>,
        /// How many.
        pub quantity: Option<i64>,
        /// What it would be taxed by.
        pub tax_rates: Clear<Vec<Text<255>>>,
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
        /// How the change would be billed.
        pub proration_behavior: Option<ProrationBehavior>,
        /// As of when it would be reckoned.
        pub proration_date: Option<i64>,
        /// When a new one would have begun, if before now.
        pub start_date: Option<i64>,
        /// When its trial would end.
        pub trial_end: Option<OrWord<Now, i64>>,
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
        /// What would be taken off it.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// What would go on it besides.
        pub invoice_items: Option<Vec<ItemInput>>,
        /// The next one or a typical one.
        pub preview_mode: Option<PreviewMode>,
        /// The schedule whose subscription's next invoice.
        pub schedule: Option<Text<255>>,
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

/// Draws up the next invoice without keeping it. Changes are made as they would be, and undone with
/// all that followed: what the preview shows is what would be billed.
///
/// # Errors
/// A 400 when what is asked for is against the rules, a 404 when there is no next invoice.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Invoice> {
    let undo = ctx.tx.savepoint().await?;
    let invoice = Box::pin(draw_up(ctx, input, Phases::Followed)).await?;
    ctx.tx.rollback_to(undo).await?;
    Ok(invoice)
}

async fn draw_up(ctx: &mut Ctx, input: Create, phases: Phases) -> Result<Invoice> {
    let Create { subscription, customer, subscription_details, currency, schedule, .. } = input;
    let how = How {
        phases,
        mode: input.preview_mode.unwrap_or(PreviewMode::Next),
        items: input.invoice_items.unwrap_or_default(),
        discounts: input.discounts,
    };
    let details = subscription_details.unwrap_or_default();
    let subscription = match schedule {
        None => subscription,
        Some(_) if subscription.is_some() || details.says_anything() => {
            return Err(Error::invalid(
                "You may only specify one of these parameters: schedule, subscription.",
            )
            .code("parameters_exclusive")
            .param("schedule"));
        }
        Some(id) => Some(Text(subscription_schedules::subscription_of(ctx, &id).await?)),
    };
    let invoice = match (subscription, customer) {
        (Some(id), customer) => {
            let subscription = subscriptions::named(ctx, &id).await?;
            refuse_other_customer(&subscription, customer.as_deref())?;
            Box::pin(of_changed(ctx, subscription, details, how)).await?
        }
        (None, Some(id)) if details.items.is_some() => {
            let customer = customers::named(ctx, &id, "customer").await?;
            test_clocks::follow(ctx, &customer).await?;
            return Box::pin(of_new(ctx, customer, details, currency, how)).await;
        }
        (None, Some(id)) => {
            if details.says_anything() {
                return Err(Error::missing("subscription"));
            }
            let customer = customers::named(ctx, &id, "customer").await?;
            test_clocks::follow(ctx, &customer).await?;
            next_of_customer(ctx, &customer, how).await?
        }
        (None, None) => {
            return Err(Error::invalid(
                "You must provide one of the following parameters: customer, subscription.",
            )
            .code("parameter_missing"));
        }
    };
    match currency {
        Some(asked) if asked != invoice.currency => Err(Error::invalid(format!(
            "The subscription is billed in `{}`. This doesn't match the expected currency: `{}`.",
            invoice.currency.code(),
            asked.code()
        ))
        .param("currency")),
        _ => Ok(invoice),
    }
}

/// Whether a schedule's next phase is entered to see what it bills, which is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phases {
    /// It is.
    Followed,
    /// It is not: nothing can be written.
    Ignored,
}

/// What of a preview is not its subscription.
pub(crate) struct How {
    phases: Phases,
    mode: PreviewMode,
    items: Vec<ItemInput>,
    discounts: Clear<Vec<DiscountInput>>,
}

impl How {
    /// Of the next invoice as things stand.
    pub(crate) const fn plain() -> Self {
        let phases = Phases::Followed;
        Self { phases, mode: PreviewMode::Next, items: Vec::new(), discounts: Clear::Keep }
    }
}

fn refuse_other_customer(subscription: &Subscription, customer: Option<&str>) -> Result<()> {
    match customer {
        Some(id) if id != subscription.customer.as_str() => {
            let message =
                format!("The subscription {} is not one of customer {id}.", subscription.id);
            Err(Error::invalid(message).param("subscription"))
        }
        _ => Ok(()),
    }
}

impl SubscriptionDetails {
    /// Whether it proposes anything.
    fn says_anything(&self) -> bool {
        self.billing_cycle_anchor.is_some()
            || self.billing_mode.is_some()
            || !self.cancel_at.is_keep()
            || self.cancel_at_period_end.is_some()
            || self.cancel_now.is_some()
            || !self.default_tax_rates.is_keep()
            || self.items.is_some()
            || self.proration_behavior.is_some()
            || self.proration_date.is_some()
            || self.start_date.is_some()
            || self.trial_end.is_some()
    }
}

/// The next invoice of a subscription after the changes that are proposed: the one that they would
/// make at once, if they would.
async fn of_changed(
    ctx: &mut Ctx,
    before: Subscription,
    details: SubscriptionDetails,
    how: How,
) -> Result<Invoice> {
    for (given, name) in [
        (details.billing_mode.is_some(), "billing_mode"),
        (details.start_date.is_some(), "start_date"),
    ] {
        if given {
            let full = format!("subscription_details[{name}]");
            let message = format!("You can only specify `{full}` for a new subscription.");
            return Err(Error::invalid(message).param(full));
        }
    }
    let id = before.id.as_str().to_owned();
    let customer = customers::retrieve_any(ctx, before.customer.as_str()).await?;
    test_clocks::follow(ctx, &customer).await?;
    if !details.says_anything() {
        return next_of_subscription(ctx, &customer, &before, how).await;
    }
    if details.cancel_now == Some(true) {
        let prorate = details.proration_behavior != Some(ProrationBehavior::None);
        let cancel =
            Cancel { cancellation_details: None, invoice_now: Some(true), prorate: Some(prorate) };
        Box::pin(subscriptions::cancel(ctx, &id, cancel)).await?;
    } else {
        let anchor = match details.billing_cycle_anchor {
            None => None,
            Some(OrWord::Word(word)) => Some(OrWord::Word(word)),
            Some(OrWord::Value(AnchorInput { r#type: AnchorType::Now, .. })) => {
                Some(OrWord::Word(AnchorChange::Now))
            }
            Some(OrWord::Value(AnchorInput { r#type: AnchorType::Unchanged, .. })) => {
                Some(OrWord::Word(AnchorChange::Unchanged))
            }
            Some(OrWord::Value(AnchorInput { r#type: AnchorType::Timestamp, .. })) => {
                return Err(Error::invalid(
                    "The periods of a subscription that exists can only begin anew `now`.",
                )
                .param("subscription_details[billing_cycle_anchor]"));
            }
        };
        let update = Update {
            billing_cycle_anchor: anchor,
            cancel_at: details.cancel_at,
            cancel_at_period_end: details.cancel_at_period_end,
            default_tax_rates: details.default_tax_rates,
            items: details.items,
            // Nobody is asked for money by a preview.
            payment_behavior: Some(PaymentBehavior::DefaultIncomplete),
            proration_behavior: details.proration_behavior,
            proration_date: details.proration_date,
            trial_end: details.trial_end,
            ..Update::default()
        };
        let updated = Box::pin(subscriptions::update(ctx, &id, update)).await;
        updated.map_err(|error| error.within("subscription_details"))?;
    }
    let after = subscriptions::retrieve(ctx, &id).await?;
    match &after.latest_invoice {
        Some(made) if after.latest_invoice != before.latest_invoice => {
            let mut invoice = super::retrieve(ctx, made.as_str()).await?;
            invoice.as_preview(ctx);
            how.put_on(ctx, &customer, &mut invoice).await?;
            Ok(invoice)
        }
        _ => {
            let customer = customers::retrieve_any(ctx, after.customer.as_str()).await?;
            next_of_subscription(ctx, &customer, &after, how).await
        }
    }
}

impl Invoice {
    /// Makes an invoice that was drawn up to be undone look like what it is.
    fn as_preview(&mut self, ctx: &Ctx) {
        self.id = preview_id("upcoming_in_", ctx.entropy());
        for line in &mut self.lines {
            line.id = preview_id("il_tmp", ctx.entropy());
        }
        self.status = Status::Draft;
        self.billing_reason = BillingReason::Upcoming;
        self.number = None;
        self.ending_balance = None;
        self.finalized_at = None;
        self.paid_at = None;
        self.attempted = false;
        self.amount_paid = 0;
        self.auto_advance = true;
        self.details.effective_at = None;
        self.details.attempt_count = 0;
    }
}

/// `GET /v1/invoices/upcoming`, which versions from 2025-03-31 on no longer have.
///
/// # Errors
/// A 404 for newer clients, else as [`create`].
pub async fn upcoming(ctx: &mut Ctx, input: Upcoming) -> Result<Invoice> {
    if !ctx.caller.version.is_before(BASIL) {
        return Err(Error::new(
            Kind::NotFound,
            "The upcoming invoice endpoint is deprecated. Use POST /v1/invoices/create_preview \
             instead.",
        ));
    }
    let Upcoming { customer, subscription } = input;
    let input = Create {
        currency: None,
        customer,
        discounts: Clear::Keep,
        invoice_items: None,
        preview_mode: None,
        schedule: None,
        subscription,
        subscription_details: None,
    };
    Box::pin(draw_up(ctx, input, Phases::Ignored)).await
}

/// `GET /v1/invoices/upcoming/lines`
///
/// # Errors
/// As [`upcoming`].
pub async fn upcoming_lines(ctx: &mut Ctx, input: UpcomingLines) -> Result<List> {
    let page = input.page()?;
    let UpcomingLines { customer, subscription, .. } = input;
    let invoice = upcoming(ctx, Upcoming { customer, subscription }).await?;
    invoice.page_of_lines(&page)
}

/// The next invoice of a subscription as things stand: at the end of a period, of a trial, or of it
/// all.
pub(crate) async fn next_of_subscription(
    ctx: &mut Ctx,
    customer: &Customer,
    sub: &Subscription,
    how: How,
) -> Result<Invoice> {
    let boundary = sub.next_boundary().filter(|_| sub.renews());
    let boundary = boundary.ok_or_else(|| none_upcoming(customer))?;
    if sub.terms.schedule.is_some() && how.phases == Phases::Followed {
        let schedule = subscription_schedules::of_subscription(ctx, sub).await?;
        let phase = schedule.as_ref().and_then(Schedule::following);
        if let Some(phase) = phase.filter(|phase| phase.start <= boundary.0) {
            let at = Timestamp(phase.start);
            return Box::pin(next_with_phase(ctx, customer, sub, at, how)).await;
        }
    }
    let end = sub.cancel_at.filter(|end| *end <= boundary);
    let at = end.unwrap_or(boundary);
    let trial = sub.status == subscriptions::Status::Trialing;
    let mut begun = sub.clone();
    if trial && begun.billing_cycle_anchor <= at {
        begun.billing_cycle_anchor = at;
    }
    let mut lines = Vec::new();
    // Newest item first, as invoices have them.
    for place in (0..sub.items.len()).rev() {
        let Some(item) = sub.items.get(place) else { continue };
        let metered = item.price.usage_type() == UsageType::Metered;
        if trial && end.is_none() {
            lines.extend(subscriptions::first_charge(ctx, &begun, place, at).await?);
        } else if metered && !trial && (item.current_period.end == at || end.is_some()) {
            let period = Period { start: subscriptions::unbilled_from(item), end: at };
            lines.extend(subscriptions::usage_lines(ctx, sub, item, period).await?);
        } else if !metered && end.is_none() && item.current_period.end == at {
            let next = subscriptions::next_period(sub, item)?;
            lines.extend(subscriptions::in_advance(ctx, sub, item, next).await?);
        }
    }
    let start = sub.items.iter().map(|item| item.current_period.start).max();
    let period = Period { start: start.unwrap_or(at).min(at), end: at };
    let invoice = preview(ctx, customer, sub, (period, lines), how).await?;
    if end.is_some() && invoice.lines.is_empty() {
        return Err(none_upcoming(customer));
    }
    Ok(invoice)
}

/// The next invoice of a subscription whose schedule goes over to another phase before or with it:
/// that is done, and undone.
async fn next_with_phase(
    ctx: &mut Ctx,
    customer: &Customer,
    sub: &Subscription,
    at: Timestamp,
    how: How,
) -> Result<Invoice> {
    let undo = ctx.tx.savepoint().await?;
    let after = subscriptions::pass_ahead(ctx, customer.clone(), sub, at).await?;
    let invoice = match &after.latest_invoice {
        Some(made) if after.latest_invoice != sub.latest_invoice => {
            let mut invoice = super::retrieve(ctx, made.as_str()).await?;
            invoice.as_preview(ctx);
            how.put_on(ctx, customer, &mut invoice).await?;
            invoice
        }
        _ => next_of_subscription(ctx, customer, &after, how).await?,
    };
    ctx.tx.rollback_to(undo).await?;
    Ok(invoice)
}

/// The next invoice among all of a customer's subscriptions; the oldest one's of those that are due
/// together.
async fn next_of_customer(ctx: &mut Ctx, customer: &Customer, how: How) -> Result<Invoice> {
    let subscriptions = subscriptions::of_customer(ctx, customer.id.as_str()).await?;
    let next = subscriptions
        .iter()
        .rev()
        .filter(|subscription| subscription.renews())
        .min_by_key(|subscription| subscription.next_boundary());
    match next {
        Some(subscription) => next_of_subscription(ctx, customer, subscription, how).await,
        None => Err(none_upcoming(customer)),
    }
}

fn none_upcoming(customer: &Customer) -> Error {
    let message = format!("No upcoming invoices for {}: {}", CustomerKind::NOUN, customer.id);
    Error::new(Kind::NotFound, message).code("invoice_upcoming_none")
}

/// The invoice of a subscription that does not exist yet, which it does not name: the first one or
/// one like every next one. Where nothing is billed in advance the two are the same, at the end of a
/// period.
async fn of_new(
    ctx: &mut Ctx,
    customer: Customer,
    details: SubscriptionDetails,
    currency: Option<Currency>,
    how: How,
) -> Result<Invoice> {
    let mut new = subscriptions::propose_preview(ctx, &customer, details, currency).await?;
    let first = match how.mode {
        PreviewMode::Next => new.take_first_lines(),
        PreviewMode::Recurring => Vec::new(),
    };
    let subscription = new.subscription;
    let mut invoice = if first.is_empty() {
        next_of_subscription(ctx, &customer, &subscription, how).await?
    } else {
        let period = Period { start: ctx.now, end: ctx.now };
        preview(ctx, &customer, &subscription, (period, first), how).await?
    };
    invoice.subscription = None;
    for line in &mut invoice.lines {
        line.subscription = None;
    }
    Ok(invoice)
}

async fn preview(
    ctx: &mut Ctx,
    customer: &Customer,
    subscription: &Subscription,
    (period, lines): (Period, Vec<Line>),
    how: How,
) -> Result<Invoice> {
    let draft = Draft {
        customer,
        subscription,
        billing_reason: BillingReason::Upcoming,
        period,
        created: period.end,
        lines,
    };
    let mut invoice = draft.invoice(preview_id("upcoming_in_", ctx.entropy()))?;
    if how.mode == PreviewMode::Next {
        sweep_pending(ctx, &mut invoice).await?;
    }
    for line in &mut invoice.lines {
        line.id = preview_id("il_tmp", ctx.entropy());
    }
    how.put_on(ctx, customer, &mut invoice).await?;
    invoice.auto_advance = true;
    if invoice.collection_method == CollectionMethod::ChargeAutomatically {
        let grace = billing_settings::retrieve(ctx).await?.draft_grace_s;
        invoice.details.next_payment_attempt = Some(invoice.created.0.saturating_add(grace));
    }
    Ok(invoice)
}

impl How {
    /// Puts on a preview what would go on it besides, and adds it up.
    async fn put_on(self, ctx: &mut Ctx, customer: &Customer, invoice: &mut Invoice) -> Result<()> {
        if self.items.len() > ITEMS_MAX {
            let message = format!("Invalid array: at most {ITEMS_MAX} elements are accepted");
            return Err(Error::invalid(message).param("invoice_items"));
        }
        let mut made = Vec::new();
        for (place, item) in self.items.into_iter().enumerate() {
            let item = item.make(ctx, customer, invoice.currency).await;
            let item = item.map_err(|error| error.within(&format!("invoice_items[{place}]")))?;
            let mut line = line_of(ctx, &item);
            line.id = preview_id("il_tmp", ctx.entropy());
            made.push(line);
        }
        made.append(&mut invoice.lines);
        invoice.lines = made;
        let inputs = match self.discounts {
            Clear::Keep => None,
            Clear::Unset => Some(Vec::new()),
            Clear::Set(inputs) => Some(inputs),
        };
        if let Some(inputs) = inputs {
            let holder = Holder::Invoice(&invoice.id);
            let currency = invoice.currency;
            let made =
                discounts::apply(ctx, holder, customer, currency, inputs, "discounts").await?;
            invoice.details.discounts =
                made.iter().map(|made| made.id.as_str().to_owned()).collect();
        }
        totals::add_up(ctx, invoice).await?;
        invoice.amount_due = invoice.settlement(customer)?.amount_due;
        Ok(())
    }
}

impl ItemInput {
    /// Makes the item, to be undone.
    async fn make(
        self,
        ctx: &mut Ctx,
        customer: &Customer,
        currency: Currency,
    ) -> Result<InvoiceItem> {
        let tax_rates = match self.tax_rates {
            Clear::Set(rates) => Some(rates),
            Clear::Keep | Clear::Unset => None,
        };
        let older = ctx.caller.version.is_before(BASIL);
        let input = invoice_items::Create {
            amount: self.amount,
            currency: self.currency.or_else(|| self.amount.map(|_| currency)),
            customer: Some(Text(customer.id.as_str().to_owned())),
            description: self.description,
            discountable: self.discountable,
            discounts: self.discounts,
            period: self.period,
            price: self.price.clone().filter(|_| older),
            pricing: self.price.filter(|_| !older).map(|price| PricingInput { price: Some(price) }),
            quantity: self.quantity,
            tax_rates,
            ..invoice_items::Create::default()
        };
        Box::pin(invoice_items::create(ctx, input)).await
    }
}
