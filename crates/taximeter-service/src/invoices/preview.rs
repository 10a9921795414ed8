//! Previews: the invoice a customer would get next, as things stand or as they would after a change.

use taximeter_kernel::id::{Customer as CustomerKind, Kind as _};
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{Period, Timestamp};

use super::items::{line_of, sweep_pending};
use super::preview_input::ItemInput;
pub use super::preview_input::{
    AnchorInput, AnchorType, Create, PreviewMode, ScheduleDetails, SubscriptionDetails, Upcoming,
    UpcomingLines,
};
use super::preview_scheduled::Scheduled;
use super::totals::{self, Used};
use super::wire::preview_id;
use super::{BillingReason, Draft, Invoice, Line, Status};
use crate::billing_settings;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Kind, Result};
use crate::page::List;
use crate::params::{Clear, Text};
use crate::subscription_schedules::{self, Schedule};
use crate::subscriptions::{self, Cancel, CollectionMethod, ProrationBehavior, Subscription};
use crate::test_clocks;
use crate::version::BASIL;

/// The most items that a preview proposes (Stripe's bound).
const ITEMS_MAX: usize = 250;

/// Draws up the next invoice without keeping it. Changes are made as they would be, and undone with
/// all that followed: what the preview shows is what would be billed.
///
/// # Errors
/// A 400 when what is asked for is against the rules, a 404 when there is no next invoice.
pub async fn create(ctx: &mut Ctx, mut input: Create) -> Result<Invoice> {
    let undo = ctx.tx.savepoint().await?;
    ctx.rehearse();
    let of_nobody = is_of_nobody(&input);
    if of_nobody {
        let new = input.subscription_details.as_ref().and_then(|details| details.items.as_ref());
        if new.is_none() && input.schedule_details.is_none() {
            return Err(Error::missing("subscription_details[items]"));
        }
        let stand_in = Box::pin(customers::create(ctx, customers::Create::default())).await?;
        input.customer = Some(Text(stand_in.id.as_str().to_owned()));
    }
    let mut invoice = Box::pin(draw_up(ctx, input, Phases::Followed)).await?;
    invoice.details.of_nobody = of_nobody;
    ctx.tx.rollback_to(undo).await?;
    Ok(invoice)
}

/// Whether a preview is asked for of a customer who is described, and does not exist.
const fn is_of_nobody(input: &Create) -> bool {
    input.customer_details.is_some()
        && input.customer.is_none()
        && input.subscription.is_none()
        && input.schedule.is_none()
}

/// Makes the customer and pending items as they would be, and gives the new items, each with its place
/// in the request.
async fn make_different(ctx: &mut Ctx, input: &mut Create) -> Result<Vec<(usize, ItemInput)>> {
    let items = input.invoice_items.take().unwrap_or_default();
    if items.len() > ITEMS_MAX {
        let message = format!("Invalid array: at most {ITEMS_MAX} elements are accepted");
        return Err(Error::invalid(message).param("invoice_items"));
    }
    let (changed, items): (Vec<_>, Vec<_>) =
        items.into_iter().enumerate().partition(|(_, item)| item.invoiceitem.is_some());
    let different = input.customer_details.take();
    if (different.is_some() || !changed.is_empty())
        && let Some(customer) = customer_of(ctx, input).await?
    {
        // Before its items, as by every other verb.
        let customer = customers::locked_any(ctx, customer.id.as_str()).await?;
        if let Some(details) = different {
            details.put_on(ctx, &customer).await?;
        }
        for (place, item) in changed {
            let changed = item.change(ctx, &customer).await;
            changed.map_err(|error| error.within(&format!("invoice_items[{place}]")))?;
        }
    }
    Ok(items)
}

async fn draw_up(ctx: &mut Ctx, mut input: Create, phases: Phases) -> Result<Invoice> {
    let items = make_different(ctx, &mut input).await?;
    let Create { subscription, customer, subscription_details, currency, .. } = input;
    let mode = input.preview_mode.unwrap_or(PreviewMode::Next);
    let how = How { phases, mode, items, discounts: input.discounts };
    let details = subscription_details.unwrap_or_default();
    if input.schedule.is_some() || input.schedule_details.is_some() {
        if subscription.is_some() || details.says_anything() {
            return Err(Error::invalid(
                "You may only specify one of these parameters: schedule, subscription.",
            )
            .code("parameters_exclusive")
            .param("schedule"));
        }
        let details = input.schedule_details.unwrap_or_default();
        let asked = Scheduled { schedule: input.schedule, customer, details };
        return in_currency(Box::pin(asked.next(ctx, how)).await?, currency);
    }
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
    in_currency(invoice, currency)
}

/// An invoice, which must be in the currency that is asked for.
fn in_currency(invoice: Invoice, currency: Option<Currency>) -> Result<Invoice> {
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

/// Whose invoice is asked for; nobody's if the request does not say.
async fn customer_of(ctx: &mut Ctx, input: &Create) -> Result<Option<Customer>> {
    let of_another = match (&input.schedule, &input.subscription) {
        (Some(id), _) => Some(subscription_schedules::named(ctx, id, "schedule").await?.customer),
        (None, Some(id)) => Some(subscriptions::named(ctx, id).await?.customer),
        (None, None) => None,
    };
    match (of_another, &input.customer) {
        (Some(id), _) => customers::retrieve_any(ctx, id.as_str()).await.map(Some),
        (None, Some(id)) => customers::named(ctx, id, "customer").await.map(Some),
        (None, None) => Ok(None),
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
    /// Each with its place in the request.
    items: Vec<(usize, ItemInput)>,
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
    Box::pin(change(ctx, &id, details)).await?;
    let after = subscriptions::retrieve(ctx, &id).await?;
    match &after.latest_invoice {
        Some(made) if after.latest_invoice != before.latest_invoice => {
            made_at_once(ctx, &customer, made.as_str(), how).await
        }
        _ => {
            let customer = customers::retrieve_any(ctx, after.customer.as_str()).await?;
            next_of_subscription(ctx, &customer, &after, how).await
        }
    }
}

/// Changes a subscription as is proposed.
async fn change(ctx: &mut Ctx, id: &str, mut details: SubscriptionDetails) -> Result<()> {
    const DETAILS: &str = "subscription_details";
    if let Some(pause) = details.pause()? {
        let paused = subscriptions::pause(ctx, id, pause).await;
        return paused.map_err(|error| error.within("subscription_details[pause]")).map(drop);
    }
    if details.resume_at.is_some() {
        let resumed = Box::pin(subscriptions::resume(ctx, id, details.resume()?)).await;
        return resumed.map_err(|error| error.within(DETAILS)).map(drop);
    }
    if details.cancel_now == Some(true) {
        let prorate = details.proration_behavior != Some(ProrationBehavior::None);
        let cancel =
            Cancel { cancellation_details: None, invoice_now: Some(true), prorate: Some(prorate) };
        return subscriptions::cancel(ctx, id, cancel).await.map(drop);
    }
    let updated = subscriptions::update(ctx, id, details.update()?).await;
    updated.map_err(|error| error.within(DETAILS)).map(drop)
}

/// The invoice that a change made at once. It is settled already, and is added up anew only for what
/// goes on it besides.
pub(super) async fn made_at_once(
    ctx: &mut Ctx,
    customer: &Customer,
    made: &str,
    how: How,
) -> Result<Invoice> {
    let mut invoice = super::retrieve(ctx, made).await?;
    invoice.as_preview(ctx);
    if how.adds_anything() {
        how.put_on(ctx, customer, &mut invoice).await?;
    }
    Ok(invoice)
}

impl Invoice {
    /// Names no subscription: it does not exist.
    pub(super) fn forget_subscription(&mut self) {
        self.subscription = None;
        for line in &mut self.lines {
            line.subscription = None;
        }
    }

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
        customer_details: None,
        discounts: Clear::Keep,
        invoice_items: None,
        preview_mode: None,
        schedule: None,
        schedule_details: None,
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
            made_at_once(ctx, customer, made.as_str(), how).await?
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
    invoice.forget_subscription();
    Ok(invoice)
}

/// The drafts of a subscription, which are billed before its next invoice.
async fn drafts_of(ctx: &mut Ctx, sub: &Subscription) -> Result<Vec<Invoice>> {
    const LOOKED_AT: i64 = 10;
    let mut latest = super::of_subscription(ctx, &sub.id, LOOKED_AT).await?;
    latest.retain(|invoice| invoice.status == Status::Draft && invoice.auto_advance);
    Ok(latest)
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
    let used = match how.mode {
        PreviewMode::Next => {
            sweep_pending(ctx, &mut invoice).await?;
            Used::ByDrafts(drafts_of(ctx, subscription).await?)
        }
        PreviewMode::Recurring => Used::All,
    };
    totals::forget_single_use(ctx, &mut invoice, &used).await?;
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
    const fn adds_anything(&self) -> bool {
        !self.items.is_empty() || !self.discounts.is_keep()
    }

    /// Puts on a preview what would go on it besides, and adds it up.
    async fn put_on(self, ctx: &mut Ctx, customer: &Customer, invoice: &mut Invoice) -> Result<()> {
        let mut made = Vec::new();
        for (place, item) in self.items {
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
        totals::add_up_with_taken(ctx, invoice).await?;
        invoice.amount_due = invoice.settlement(customer)?.amount_due;
        Ok(())
    }
}
