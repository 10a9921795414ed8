//! How a subscription changes.

use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{Period, Timestamp};

use super::additions::AddInvoiceItem;
use super::advance::{hold_back, note_debits};
use super::cancel::apply_details;
use super::change::{Sent, Terms, change_items};
use super::create::{checked_days, set_invoice_settings, set_payment_settings};
use super::input::{AnchorChange, AnchorChangeInput, ItemUpdate, Now, PaymentBehavior, Update};
use super::pending_update::{Billed, Made};
use super::periods::{open_all, recurrence_of};
use super::prorate::Change;
use super::thresholds::{self, ThresholdsInput, fixed_minor, usage_so_far};
use super::timing::{after_days, both_ends, checked_trial_end, resolved_end};
use super::{
    BillingModeType, CollectionMethod, Item, PauseCollection, Status, Subscription, TrialSettings,
    held, pending, pending_update, standing,
};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::discounts::{self, Holder};
use crate::error::{Error, Result};
use crate::invoices::{self, BillingReason, Collected, Draft, Invoice, Line, line_of_trial};
use crate::params::{Clear, OrWord};
use crate::{payment_methods, prices, tax_rates};

/// Changes a subscription.
///
/// # Errors
/// A 404 when there is none, a 400 when the change is against the rules, a 402 when it must be paid
/// and is not.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Subscription> {
    let (before, mut customer) = held(ctx, id).await?;
    refuse_by_status(&before, &input)?;
    let mut after = before.clone();
    let (input, plan) = Plan::take(input);
    set_plain(&mut after, &input)?;
    pending::set(&mut after, &input.pending_invoice_item_interval, ctx.now)?;
    set_named(ctx, &customer, &mut after, &input).await?;
    // On the heap: it is large.
    Box::pin(plan.carry_out(ctx, &mut customer, before, after)).await
}

fn refuse_by_status(before: &Subscription, input: &Update) -> Result<()> {
    let items = input.items.is_some()
        || input.proration_behavior.is_some()
        || input.add_invoice_items.is_some();
    let time = input.trial_end.is_some()
        || input.trial_from_plan.is_some()
        || !input.pending_invoice_item_interval.is_keep()
        || input.billing_cycle_anchor.is_some()
        || !input.cancel_at.is_keep()
        || input.cancel_at_period_end.is_some();
    let collection = input.collection_method.is_some()
        || input.days_until_due.is_some()
        || !input.pause_collection.is_keep();
    let terms = !input.billing_thresholds.is_keep()
        || !input.default_tax_rates.is_keep()
        || !input.discounts.is_keep();
    let says = !input.description.is_keep() || !input.default_payment_method.is_keep();
    if let Some(schedule) = before.terms.schedule.as_ref().filter(|_| !before.has_ended())
        && (!input.cancel_at.is_keep() || input.cancel_at_period_end.is_some())
    {
        return Err(managed(schedule));
    }
    if before.has_ended() && (items || time || collection || terms || says) {
        return Err(only_metadata());
    }
    if before.status == Status::Incomplete && (items || time || collection || terms) {
        return Err(not_while_incomplete());
    }
    if before.status == Status::Paused
        && (input.trial_end.is_some()
            || input.trial_from_plan == Some(true)
            || input.billing_cycle_anchor.is_some())
    {
        return Err(Error::invalid(
            "This subscription is `paused`: its periods begin when it is resumed.",
        ));
    }
    if input.trial_from_plan == Some(true) && input.trial_end.is_some() {
        return Err(Error::invalid("You cannot set `trial_end` when `trial_from_plan=true`.")
            .param("trial_from_plan"));
    }
    pending_update::refuse(before, input)
}

/// The refusal of another end than a schedule has.
fn managed(schedule: &str) -> Error {
    Error::invalid(format!(
        "The subscription is managed by the subscription schedule `{schedule}`, and updating any \
         cancelation behavior directly is not allowed. Please update the schedule instead."
    ))
}

/// What may still be said of a subscription that is over.
pub(super) fn only_metadata() -> Error {
    Error::invalid("A canceled subscription can only update its cancellation_details and metadata.")
        .code("invalid_canceled_subscription_fields")
}

/// What may not change before the first invoice is paid.
pub(super) fn not_while_incomplete() -> Error {
    Error::invalid(
        "This subscription is `incomplete`: until its first invoice is paid, only what it says \
         about itself can be updated, such as its `description` and `metadata`.",
    )
}

/// Sets what is not billed for.
pub(super) fn set_plain(after: &mut Subscription, input: &Update) -> Result<()> {
    if input.collection_method.is_some() || input.days_until_due.is_some() {
        let method = input.collection_method.unwrap_or(after.collection_method);
        let kept = after.days_until_due.filter(|_| method == CollectionMethod::SendInvoice);
        after.collection_method = method;
        after.days_until_due = checked_days(method, input.days_until_due.or(kept))?;
    }
    input.description.clone().apply(&mut after.description);
    input.metadata.clone().apply(&mut after.metadata)?;
    if let Some(details) = input.cancellation_details.clone() {
        apply_details(details, &mut after.cancellation);
    }
    let terms = &mut after.terms;
    if let Some(settings) = input.invoice_settings.clone() {
        set_invoice_settings(&mut terms.invoice_settings, settings)?;
    }
    if let Some(settings) = input.payment_settings.clone() {
        set_payment_settings(&mut terms.payment_settings, settings);
    }
    if let Some(settings) = &input.trial_settings {
        terms.trial_settings = TrialSettings {
            missing_payment_method: settings.end_behavior.missing_payment_method,
            billing_cycle_anchor: settings.end_behavior.billing_cycle_anchor,
        };
    }
    match &input.pause_collection {
        Clear::Keep => {}
        Clear::Unset => terms.pause_collection = None,
        Clear::Set(pause) => {
            terms.pause_collection =
                Some(PauseCollection { behavior: pause.behavior, resumes_at: pause.resumes_at });
        }
    }
    Ok(())
}

/// Sets what names other objects.
pub(super) async fn set_named(
    ctx: &mut Ctx,
    customer: &Customer,
    after: &mut Subscription,
    input: &Update,
) -> Result<()> {
    match &input.default_payment_method {
        Clear::Keep => {}
        Clear::Unset => after.terms.default_payment_method = None,
        Clear::Set(id) => {
            let param = "default_payment_method";
            let method = payment_methods::attached(ctx, id, &customer.id, param).await?;
            after.terms.default_payment_method = Some(method.id.as_str().to_owned());
        }
    }
    match &input.default_tax_rates {
        Clear::Keep => {}
        Clear::Unset => after.tax_rates = Vec::new(),
        Clear::Set(ids) => {
            after.tax_rates = tax_rates::named(ctx, ids, "default_tax_rates").await?;
        }
    }
    after.terms.default_tax_rates =
        after.tax_rates.iter().map(|rate| rate.id.as_str().to_owned()).collect();
    let inputs = match input.discounts.clone() {
        Clear::Keep => return Ok(()),
        Clear::Unset => Vec::new(),
        Clear::Set(inputs) => inputs,
    };
    let held = invoices::parsed(&after.terms.discounts)?;
    let (holder, currency) = (Holder::Subscription(&after.id), after.currency);
    let made =
        discounts::replace(ctx, holder, customer, currency, &held, inputs, "discounts").await?;
    // A schedule has held them against what its phase costs.
    if !ctx.has_agreed_to_all() {
        discounts::check_minimum(ctx, &made, fixed_minor(after)?, currency, "discounts").await?;
    }
    after.terms.discounts = made.iter().map(|made| made.id.as_str().to_owned()).collect();
    Ok(())
}

/// What of a change is billed for, or moves periods.
pub(super) struct Plan {
    pub(super) thresholds: Clear<ThresholdsInput>,
    pub(super) additions: Vec<AddInvoiceItem>,
    pub(super) items: Vec<ItemUpdate>,
    pub(super) sent: Sent,
    pub(super) terms: Terms,
    pub(super) anchor_now: bool,
    pub(super) trial_end: Option<OrWord<Now, i64>>,
    pub(super) trial_from_plan: bool,
    pub(super) cancel_at: Clear<OrWord<super::input::PeriodEnd, i64>>,
    pub(super) cancel_at_period_end: Option<bool>,
    pub(super) behavior: PaymentBehavior,
    pub(super) off_session: bool,
}

impl Plan {
    pub(super) fn take(mut input: Update) -> (Update, Self) {
        let anchor_now = matches!(
            input.billing_cycle_anchor.take(),
            Some(
                OrWord::Word(AnchorChange::Now)
                    | OrWord::Value(AnchorChangeInput { r#type: AnchorChange::Now })
            )
        );
        let plan = Self {
            thresholds: input.billing_thresholds.take(),
            additions: input.add_invoice_items.take().unwrap_or_default(),
            items: input.items.take().unwrap_or_default(),
            sent: Sent::Listed,
            terms: Terms { behavior: input.proration_behavior, date: input.proration_date },
            anchor_now,
            trial_end: input.trial_end.take(),
            trial_from_plan: input.trial_from_plan == Some(true),
            cancel_at: std::mem::take(&mut input.cancel_at),
            cancel_at_period_end: input.cancel_at_period_end,
            behavior: input.payment_behavior.unwrap_or(PaymentBehavior::AllowIncomplete),
            off_session: input.off_session.unwrap_or(false),
        };
        (input, plan)
    }

    /// Changes items and periods, writes the subscription, and bills what is billed at once; or lets
    /// that wait for its payment.
    pub(super) async fn carry_out(
        self,
        ctx: &mut Ctx,
        customer: &mut Customer,
        before: Subscription,
        mut after: Subscription,
    ) -> Result<Subscription> {
        let before = if self.is_billed() {
            pending_update::give_up(ctx, before, customer).await?
        } else {
            before
        };
        after.terms.pending_update.clone_from(&before.terms.pending_update);
        after.pending_items.clone_from(&before.pending_items);
        let pay = Pay { behavior: self.behavior, off_session: self.off_session };
        let tried = pay.begin(ctx, &before).await?;
        let made = Made { tried, ..self.make(ctx, customer, &before, after).await? };
        pay.finish(ctx, customer, &before, made).await
    }

    /// Whether it changes what an update changes that waits for its payment.
    fn is_billed(&self) -> bool {
        self.items.iter().any(ItemUpdate::is_billed)
            || self.anchor_now
            || self.trial_end.is_some()
            || self.trial_from_plan
            || !self.cancel_at.is_keep()
            || self.cancel_at_period_end.is_some()
    }

    /// Changes items and periods, and writes which items there are.
    async fn make(
        self,
        ctx: &mut Ctx,
        customer: &Customer,
        before: &Subscription,
        mut after: Subscription,
    ) -> Result<Made> {
        let trial = match self.trial_end {
            Some(end) => Some(checked_trial_end(end, ctx.now)?),
            None if self.trial_from_plan => trial_of_prices(ctx, before, &self.items).await?,
            None => None,
        };
        let (change, at_once) = self.terms.change(before, ctx.now)?;
        let ends_trial = trial == Some(None) && before.status == Status::Trialing;
        if ends_trial {
            refuse_without_method(ctx, customer, &after).await?;
        }
        let begins_trial = matches!(trial, Some(Some(_))) && before.status != Status::Trialing;
        // In classic mode an invoice of periods that begin anew is of nothing else.
        let alone = self.anchor_now && at_once && before.billing_mode == BillingModeType::Classic;
        let left = if alone { pending_update::pending_now(ctx, before).await? } else { Vec::new() };
        let unpriced = Change { billed: false, ..change };
        let asked = self.anchor_now || ends_trial || begins_trial;
        let anew = asked || self.resets_anchor(ctx, customer, before, &after).await?;
        let mut lines = Vec::new();
        if anew {
            lines.extend(close_periods(ctx, before, change).await?);
        }
        // Periods that begin now are charged until an end that is known by now; one that is said in
        // words follows from them.
        let (by_date, by_word) = match self.cancel_at {
            Clear::Set(OrWord::Word(_)) => (Clear::Keep, self.cancel_at),
            by_date => (by_date, Clear::Keep),
        };
        let dated = matches!(by_date, Clear::Set(_));
        if dated && self.cancel_at_period_end == Some(true) {
            return Err(both_ends());
        }
        // While it is paused there is no period that its end could go with: one that is known stays.
        let paused = before.status == Status::Paused;
        let stays = |with: &bool| *with && paused && before.cancel_at_period_end;
        let with_period = self.cancel_at_period_end.filter(|with| !dated && !stays(with));
        set_end(&mut after, by_date, None, ctx.now)?;
        let of_items = if anew { unpriced } else { change };
        let items = (self.sent, self.items);
        let changed = change_items(ctx, customer, before, &mut after, items, of_items).await?;
        let fresh = anew || matches!(trial, Some(Some(_)));
        if let Some(Some(end)) = trial {
            lines.extend(set_trial(ctx, &mut after, end).await?);
        } else if anew {
            lines.extend(open_all(ctx, &mut after).await?);
        }
        set_end(&mut after, by_word, with_period, ctx.now)?;
        if !paused {
            after.end_with_period();
        }
        let ends = !fresh && change.follow_end(ctx, before, &mut after).await?;
        thresholds::set(&mut after, self.thresholds)?;
        Ok(Made {
            after,
            additions: self.additions,
            billed: Billed { lines, at: change.at, left },
            invoiced: anew || (at_once && (changed || ends)),
            trial_from_plan: self.trial_from_plan,
            tried: None,
        })
    }

    /// Whether the change of items makes all periods begin anew: in classic mode, when prices recur at
    /// another interval, or cost something in advance where nothing cost anything. The change is made
    /// and undone to see that, since it may make prices of its own.
    async fn resets_anchor(
        &self,
        ctx: &mut Ctx,
        customer: &Customer,
        before: &Subscription,
        after: &Subscription,
    ) -> Result<bool> {
        let flexible = before.billing_mode == BillingModeType::Flexible;
        let free = matches!(before.status, Status::Trialing | Status::Paused);
        if flexible || free || !self.items.iter().any(ItemUpdate::is_billed) {
            return Ok(false);
        }
        let undo = ctx.tx.savepoint().await?;
        let unbilled = Change { at: ctx.now, billed: false };
        let mut tried = after.clone();
        let items = (self.sent, self.items.clone());
        Box::pin(change_items(ctx, customer, before, &mut tried, items, unbilled)).await?;
        ctx.tx.rollback_to(undo).await?;
        let (Some(old), Some(new)) = (before.items.first(), tried.items.first()) else {
            return Ok(false);
        };
        if recurrence_of(old)? != recurrence_of(new)? {
            return Ok(true);
        }
        let by_usage = |item: &Item| item.price.usage_type() == UsageType::Metered;
        let was_free = !before.items.iter().any(by_usage) && fixed_minor(before)? == 0;
        Ok(was_free && fixed_minor(&tried)? != 0)
    }
}

/// A trial that is ended by hand must have something that pays, if it is charged.
async fn refuse_without_method(
    ctx: &mut Ctx,
    customer: &Customer,
    sub: &Subscription,
) -> Result<()> {
    let automatic = sub.collection_method == CollectionMethod::ChargeAutomatically;
    let default = sub.terms.default_payment_method.as_deref();
    if !automatic || fixed_minor(sub)? == 0 {
        return Ok(());
    }
    match invoices::can_be_charged(ctx, customer, default).await? {
        true => Ok(()),
        false => Err(invoices::no_payment_source()),
    }
}

/// The trial that the prices of a subscription have, as they will be.
async fn trial_of_prices(
    ctx: &mut Ctx,
    before: &Subscription,
    changes: &[ItemUpdate],
) -> Result<Option<Option<Timestamp>>> {
    let mut longest = None;
    let goes = |id: &str| {
        let mut own = changes.iter().filter(|change| change.id.as_deref() == Some(id));
        own.any(|change| {
            change.deleted == Some(true)
                || change.price.is_some()
                || change.plan.is_some()
                || change.price_data.is_some()
        })
    };
    for item in before.items.iter().filter(|item| !goes(item.id.as_str())) {
        let recurring = item.price.recurring.as_ref();
        longest = longest.max(recurring.and_then(|recurring| recurring.trial_period_days));
    }
    for (place, change) in changes.iter().enumerate() {
        if let Some(id) = change.price.as_ref().or(change.plan.as_ref()) {
            let price = prices::named(ctx, id, &format!("items[{place}][price]")).await?;
            let recurring = price.recurring.as_ref();
            longest = longest.max(recurring.and_then(|recurring| recurring.trial_period_days));
        }
    }
    let Some(days) = longest else { return Ok(None) };
    Ok(after_days(days, ctx.now)?.map(Some))
}

/// Gives back what was charged for the rest of all periods, and bills what was used in them.
async fn close_periods(ctx: &mut Ctx, before: &Subscription, change: Change) -> Result<Vec<Line>> {
    for item in &before.items {
        change.give_back(ctx, before, item).await?;
    }
    if before.status == Status::Trialing {
        return Ok(Vec::new());
    }
    usage_so_far(ctx, before, ctx.now).await
}

/// Gives a subscription a trial until `end`, or another end of the one it is in.
async fn set_trial(ctx: &mut Ctx, after: &mut Subscription, end: Timestamp) -> Result<Vec<Line>> {
    let extended = after.status == Status::Trialing;
    if !extended {
        let first = after.billing_mode == BillingModeType::Classic;
        after.trial_start = after.trial_start.filter(|_| first).or(Some(ctx.now));
    }
    after.status = Status::Trialing;
    after.trial_end = Some(end);
    after.billing_cycle_anchor = end;
    let mut lines = Vec::new();
    for place in (0..after.items.len()).rev() {
        if let Some(item) = after.items.get_mut(place) {
            let start = if extended { item.current_period.start } else { ctx.now };
            // Nothing is paid for it, so no end within it is of interest.
            item.enter(Period { start, end }, None);
            item.terms.debits.clear();
        }
        if let Some(item) = after.items.get(place)
            && !extended
            && item.price.usage_type() == UsageType::Licensed
        {
            lines.push(line_of_trial(ctx, after, item, item.current_period).await?);
        }
    }
    Ok(lines)
}

pub(super) fn set_end(
    after: &mut Subscription,
    cancel_at: Clear<OrWord<super::input::PeriodEnd, i64>>,
    at_period_end: Option<bool>,
    now: Timestamp,
) -> Result<()> {
    let asked = match (cancel_at, at_period_end) {
        (Clear::Set(_), Some(true)) => return Err(both_ends()),
        (Clear::Set(end), _) => Some((Some(resolved_end(after, end, now)?), false)),
        (_, Some(true)) => Some((after.next_boundary(), true)),
        (Clear::Unset, _) | (Clear::Keep, Some(false)) => Some((None, false)),
        (Clear::Keep, None) => None,
    };
    let Some((end, with_period)) = asked else { return Ok(()) };
    after.cancel_at = end;
    after.cancel_at_period_end = with_period;
    if end.is_some() {
        after.canceled_at = Some(now);
        after.cancellation.reason = Some("cancellation_requested".to_owned());
    } else {
        after.canceled_at = None;
        after.cancellation.reason = None;
    }
    Ok(())
}

/// How the invoice of a change is paid.
pub(super) struct Pay {
    pub(super) behavior: PaymentBehavior,
    pub(super) off_session: bool,
}

impl Pay {
    /// Draws up the invoice of a change with what is pending, as a draft; none where it would be
    /// empty.
    pub(super) async fn draw_up(
        ctx: &mut Ctx,
        customer: &Customer,
        sub: &Subscription,
        billed: Billed,
    ) -> Result<Option<Invoice>> {
        let Billed { lines, at, left } = billed;
        let draft = Draft {
            customer,
            subscription: sub,
            billing_reason: BillingReason::SubscriptionUpdate,
            period: Period { start: ctx.now, end: ctx.now },
            created: ctx.now,
            lines,
        };
        let mut invoice = draft.invoice(ctx.new_id())?;
        invoice.details.proration_date = Some(at.0);
        invoices::sweep_pending(ctx, &mut invoice).await?;
        let stays = |line: &Line| {
            let item = line.invoice_item.as_deref();
            item.is_some_and(|item| left.iter().any(|left| left.as_str() == item))
        };
        invoice.lines.retain(|line| !stays(line));
        if invoice.lines.is_empty() {
            return Ok(None);
        }
        invoices::keep_draft(ctx, &mut invoice).await?;
        Ok(Some(invoice))
    }

    /// Draws up the invoice of a change with what is pending, finalizes and collects it.
    pub(super) async fn bill(
        &self,
        ctx: &mut Ctx,
        customer: &mut Customer,
        mut sub: Subscription,
        billed: Billed,
    ) -> Result<()> {
        let drawn_up = Self::draw_up(ctx, customer, &sub, billed).await?;
        let Some(mut invoice) = drawn_up else { return Ok(()) };
        let before = sub.clone();
        sub.latest_invoice = Some(invoice.id.clone());
        note_debits(&mut sub, &invoice);
        super::save(ctx, &before, &sub).await?;
        if let Some(pause) = sub.terms.pause_collection {
            return hold_back(ctx, &mut invoice, customer, pause.behavior).await;
        }
        if invoice.collection_method == CollectionMethod::SendInvoice {
            return invoices::go_on_by_itself(ctx, &mut invoice).await;
        }
        invoice.auto_advance = true;
        invoices::finalize_held(ctx, &mut invoice, customer).await?;
        if invoice.status != invoices::Status::Open {
            return Ok(());
        }
        if self.behavior == PaymentBehavior::DefaultIncomplete {
            return standing::invoice_not_paid(ctx, &invoice, false).await;
        }
        match invoices::collect(ctx, &mut invoice, customer, None, self.off_session).await? {
            Collected::NotPaid(error) if self.behavior == PaymentBehavior::ErrorIfIncomplete => {
                Err(error)
            }
            Collected::Paid | Collected::NotPaid(_) => Ok(()),
        }
    }
}
