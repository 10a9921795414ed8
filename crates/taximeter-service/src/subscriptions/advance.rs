//! What time brings a subscription: a trial's end, a renewal, its end.
//!
//! There is one job for each subscription, due at the earliest of its next instants. Its handler does
//! all that is due, in order, and puts the job down for what comes next.

use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{DAY_S, HOUR_S, Period, Timestamp};

use super::periods::{in_advance, open};
use super::terms::{MissingPaymentMethod, PauseBehavior, Paused, PausedReason};
use super::thresholds::{self, usage_lines, usage_so_far};
use super::{
    CollectionMethod, Debit, Item, Status, Subscription, TrialAnchor, ending, pending,
    pending_update, resume, sql,
};
use crate::billing_settings::{self, BillingSettings};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::Result;
use crate::invoices::{self, BillingReason, Draft, Invoice, Line, UncollectibleReason};
use crate::jobs::{self, Job};
use crate::outbox;
use crate::subscription_schedules::{self, Coming, Ended, Schedule};

/// How long the first invoice may stay unpaid, in seconds (Stripe's).
const INCOMPLETE_S: i64 = 23 * HOUR_S;
/// How long before a trial ends that is announced, in seconds (Stripe's).
const TRIAL_WILL_END_S: i64 = 3 * DAY_S;

/// What is due at an instant. At the same one, the first of these comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The first invoice was not paid in time.
    Expire,
    /// The invoice of a pending update was not paid in time.
    GiveUpUpdate,
    /// The invoice of a resumption was not paid in time.
    GiveUpResuming,
    /// Invoices are no longer held back.
    ResumeCollection,
    /// A trial will end.
    TellTrialEnds,
    /// The next renewal is near.
    TellUpcoming,
    /// The end of its schedule is near.
    TellExpiring,
    /// Its schedule goes over to the next phase, or leaves it to itself.
    PassPhase,
    /// It ends.
    End,
    /// A trial ends.
    EndTrial,
    /// A period ends, and the next one begins.
    Renew,
    /// What is pending is billed by itself.
    BillPending,
}

/// What is due next of a subscription with its schedule, and when.
fn next(
    sub: &Subscription,
    schedule: Option<&Schedule>,
    settings: &BillingSettings,
) -> Option<(Timestamp, What)> {
    if sub.status == Status::Incomplete {
        return Some((Timestamp(sub.created.0.saturating_add(INCOMPLETE_S)), What::Expire));
    }
    if sub.has_ended() {
        return None;
    }
    let mut all: Vec<(Timestamp, What)> = Vec::new();
    let resumes = sub.terms.pause_collection.and_then(|pause| pause.resumes_at);
    let resuming = sub.terms.resuming.as_ref().filter(|_| sub.status == Status::Paused);
    let update = sub.terms.pending_update.as_ref();
    all.extend(update.map(|update| (Timestamp(update.expires_at), What::GiveUpUpdate)));
    all.extend(resuming.map(|resuming| (Timestamp(resuming.until), What::GiveUpResuming)));
    all.extend(schedule.and_then(Schedule::coming).map(|(at, coming)| match coming {
        Coming::TellExpiring => (at, What::TellExpiring),
        Coming::Pass => (at, What::PassPhase),
    }));
    all.extend(resumes.map(|at| (Timestamp(at), What::ResumeCollection)));
    all.extend(sub.cancel_at.map(|at| (at, What::End)));
    if sub.status == Status::Trialing
        && let Some(end) = sub.trial_end
    {
        if sub.terms.told.trial_will_end != Some(end.0) {
            let at = end.0.saturating_sub(TRIAL_WILL_END_S);
            all.push((Timestamp(at), What::TellTrialEnds));
        }
        all.push((end, What::EndTrial));
    } else if sub.renews()
        && let Some(boundary) = sub.next_boundary()
    {
        all.extend(upcoming(sub, settings, boundary).map(|at| (at, What::TellUpcoming)));
        all.push((boundary, What::Renew));
    }
    let bills = sub.terms.next_pending_invoice.filter(|_| sub.renews());
    all.extend(bills.map(|at| (Timestamp(at), What::BillPending)));
    all.into_iter().min()
}

/// When the renewal at `boundary` is announced, if it is still to be: never before the period began.
fn upcoming(
    sub: &Subscription,
    settings: &BillingSettings,
    boundary: Timestamp,
) -> Option<Timestamp> {
    if settings.upcoming_days == 0
        || sub.terms.told.upcoming == Some(boundary.0)
        || sub.cancel_at.is_some_and(|end| end <= boundary)
    {
        return None;
    }
    let at = boundary.0.saturating_sub(settings.upcoming_days.saturating_mul(DAY_S));
    let start = sub.items.iter().map(|item| item.current_period.start).max()?;
    (at > start.0).then_some(Timestamp(at))
}

/// Puts down when time next brings something to a subscription.
///
/// # Errors
/// A 500 when the database does not take it.
pub async fn put_down(ctx: &mut Ctx, sub: &Subscription) -> Result<()> {
    let settings = billing_settings::retrieve(ctx).await?;
    let schedule = subscription_schedules::of_subscription(ctx, sub).await?;
    let due = next(sub, schedule.as_ref(), &settings).map(|(at, _)| at);
    let due = due.into_iter().chain(thresholds::next_look(sub, ctx.now)).min();
    let (subject, clock) = (sub.id.as_str(), sub.test_clock.as_ref());
    let job = Job { kind: jobs::Kind::Subscription, subject, clock };
    jobs::schedule(ctx, job, due).await
}

/// Does all that time has brought a subscription.
///
/// # Errors
/// A 500 when the database cannot be used.
pub async fn advance(ctx: &mut Ctx, id: &str) -> Result<()> {
    let kind = jobs::Kind::Subscription;
    let Some(seen) = sql::find(ctx, id).await? else {
        return jobs::take(ctx, kind, id).await.map(drop);
    };
    let mut customer = customers::locked_any(ctx, seen.customer.as_str()).await?;
    sql::lock(ctx, id).await?;
    match jobs::take(ctx, kind, id).await? {
        true => go_on_held(ctx, id, &mut customer).await,
        false => Ok(()),
    }
}

/// Does all that time has brought a subscription that somebody changed, and puts down what comes next.
///
/// # Errors
/// A 500 when the database cannot be used.
pub(crate) async fn go_on(ctx: &mut Ctx, id: &str) -> Result<()> {
    let Some(seen) = sql::find(ctx, id).await? else { return Ok(()) };
    let mut customer = customers::locked_any(ctx, seen.customer.as_str()).await?;
    sql::lock(ctx, id).await?;
    go_on_held(ctx, id, &mut customer).await
}

async fn go_on_held(ctx: &mut Ctx, id: &str, customer: &mut Customer) -> Result<()> {
    let Some(sub) = catch_up(ctx, id, customer).await? else { return Ok(()) };
    let sub = thresholds::look(ctx, sub, customer).await?;
    put_down(ctx, &sub).await
}

/// Does all that time has brought a subscription, which is held with its customer, and reads it as it
/// is then. Whoever changes it begins so, too: else what a change charges for the period that it finds
/// would be charged again when that period is renewed.
///
/// # Errors
/// A 500 when the database cannot be used.
pub(super) async fn catch_up(
    ctx: &mut Ctx,
    id: &str,
    customer: &mut Customer,
) -> Result<Option<Subscription>> {
    let settings = billing_settings::retrieve(ctx).await?;
    loop {
        // Read anew: what an invoice brings about is written by it.
        let Some(sub) = super::find(ctx, id).await? else { return Ok(None) };
        let schedule = subscription_schedules::of_subscription(ctx, &sub).await?;
        match next(&sub, schedule.as_ref(), &settings) {
            Some((at, what)) if at <= ctx.now => {
                let mut work = Work { at, settings: &settings, customer };
                Box::pin(work.perform(ctx, sub, what)).await?;
            }
            _ => return Ok(Some(sub)),
        }
    }
}

/// What an invoice that time brings is drawn up from.
pub(super) struct Bill {
    reason: BillingReason,
    period: Period,
    lines: Vec<Line>,
}

impl Bill {
    pub(super) const fn of_cycle(period: Period, lines: Vec<Line>) -> Self {
        Self { reason: BillingReason::SubscriptionCycle, period, lines }
    }
}

/// One thing that is due, at the instant it was due.
pub(super) struct Work<'a> {
    pub(super) at: Timestamp,
    settings: &'a BillingSettings,
    pub(super) customer: &'a mut Customer,
}

impl<'a> Work<'a> {
    /// Work at an instant that is still to come, to be undone.
    pub(super) const fn ahead(
        at: Timestamp,
        settings: &'a BillingSettings,
        customer: &'a mut Customer,
    ) -> Self {
        Self { at, settings, customer }
    }
}

impl Work<'_> {
    async fn perform(&mut self, ctx: &mut Ctx, sub: Subscription, what: What) -> Result<()> {
        match what {
            What::Expire => Box::pin(ending::expire(ctx, sub, self.customer)).await,
            What::GiveUpUpdate => {
                pending_update::give_up(ctx, sub, self.customer).await?;
                Ok(())
            }
            What::GiveUpResuming => resume::give_up(ctx, sub, self.customer).await,
            What::ResumeCollection => {
                let mut after = sub.clone();
                after.terms.pause_collection = None;
                super::save(ctx, &sub, &after).await
            }
            What::TellTrialEnds => {
                let mut after = sub;
                after.terms.told.trial_will_end = after.trial_end.map(|at| at.0);
                sql::update(ctx, &after).await?;
                outbox::push(ctx, "customer.subscription.trial_will_end", &after.wire()).await
            }
            What::TellUpcoming => self.tell_upcoming(ctx, sub).await,
            What::TellExpiring => subscription_schedules::tell_expiring(ctx, &sub).await,
            What::PassPhase => self.pass_phase(ctx, sub).await,
            What::End => self.end(ctx, sub).await,
            What::EndTrial => self.end_trial(ctx, sub).await,
            What::Renew => self.renew(ctx, sub).await,
            What::BillPending => self.bill_pending(ctx, sub).await,
        }
    }

    async fn tell_upcoming(&self, ctx: &mut Ctx, sub: Subscription) -> Result<()> {
        let mut after = sub;
        after.terms.told.upcoming = after.next_boundary().map(|at| at.0);
        sql::update(ctx, &after).await?;
        let invoice = invoices::preview::next_of_subscription(
            ctx,
            self.customer,
            &after,
            invoices::preview::How::plain(),
        )
        .await?;
        outbox::push(ctx, "invoice.upcoming", &invoice.wire()).await
    }

    /// The end of a period: what was used in it is billed, and licensed items for the next one.
    async fn renew(&mut self, ctx: &mut Ctx, sub: Subscription) -> Result<()> {
        let mut after = sub.clone();
        let mut lines = Vec::new();
        // Newest item first, as invoices have them.
        for item in after.items.iter_mut().rev() {
            if item.current_period.end <= self.at {
                lines.extend(roll(ctx, &sub, item).await?);
            }
        }
        let bill = Bill::of_cycle(period_of_invoice(&sub, self.at), lines);
        self.bill(ctx, &sub, after, bill).await
    }

    /// What is pending is billed, between renewals.
    async fn bill_pending(&mut self, ctx: &mut Ctx, sub: Subscription) -> Result<()> {
        let mut after = sub.clone();
        let period = pending::pass(ctx, &mut after, self.at)?;
        let reason = BillingReason::AutomaticPendingInvoiceItemInvoice;
        let bill = Bill { reason, period, lines: Vec::new() };
        self.bill(ctx, &sub, after, bill).await
    }

    /// The end of a trial, of which nothing is billed: the first period begins.
    async fn end_trial(&mut self, ctx: &mut Ctx, sub: Subscription) -> Result<()> {
        let automatic = sub.collection_method == CollectionMethod::ChargeAutomatically;
        let default = sub.terms.default_payment_method.as_deref();
        if automatic && !invoices::can_be_charged(ctx, self.customer, default).await? {
            match sub.terms.trial_settings.missing_payment_method {
                MissingPaymentMethod::CreateInvoice => {}
                MissingPaymentMethod::Cancel => {
                    return ending::end_at(ctx, sub, self.at, "payment_failed").await;
                }
                MissingPaymentMethod::Pause => return self.pause(ctx, sub).await,
            }
        }
        let mut after = sub.clone();
        after.status = Status::Active;
        let counted_on =
            sub.terms.trial_settings.billing_cycle_anchor == Some(TrialAnchor::Unchanged);
        if !counted_on && after.billing_cycle_anchor <= self.at {
            after.billing_cycle_anchor = self.at;
        }
        let mut lines = Vec::new();
        for place in (0..after.items.len()).rev() {
            lines.extend(open(ctx, &mut after, place, self.at).await?);
        }
        let bill = Bill::of_cycle(period_of_invoice(&sub, self.at), lines);
        self.bill(ctx, &sub, after, bill).await
    }

    async fn pause(&self, ctx: &mut Ctx, sub: Subscription) -> Result<()> {
        let mut after = sub.clone();
        after.status = Status::Paused;
        let reason = PausedReason::TrialEndWithoutPaymentMethod;
        after.terms.paused = Some(Paused { reason, transitioned_at: self.at.0 });
        super::save(ctx, &sub, &after).await?;
        outbox::push(ctx, "customer.subscription.paused", &after.wire()).await
    }

    /// The end: what was used is billed, and nothing in advance.
    async fn end(&mut self, ctx: &mut Ctx, sub: Subscription) -> Result<()> {
        let sub = pending_update::give_up(ctx, sub, self.customer).await?;
        let free = matches!(sub.status, Status::Trialing | Status::Paused);
        let lines = if free { Vec::new() } else { usage_so_far(ctx, &sub, self.at).await? };
        let ended = period_of_invoice(&sub, self.at);
        // Drawn up as it stands: what is held back before the end is held back at it.
        let bill = Bill::of_cycle(ended, lines);
        let (invoice, mut after) = self.draw_up(ctx, sub, bill).await?;
        ending::set_ended(&mut after, self.at);
        sql::update(ctx, &after).await?;
        ending::stop_collecting(ctx, &after, invoice.as_ref()).await?;
        outbox::push(ctx, "customer.subscription.deleted", &after.wire()).await?;
        subscription_schedules::subscription_ended(ctx, &after, Ended::Over).await
    }

    /// Draws up the invoice of a period, keeps the subscription as it is after it, and tells of both.
    pub(super) async fn bill(
        &mut self,
        ctx: &mut Ctx,
        before: &Subscription,
        after: Subscription,
        bill: Bill,
    ) -> Result<()> {
        let (_, after) = self.draw_up(ctx, after, bill).await?;
        super::save(ctx, before, &after).await
    }

    /// Draws up the draft of an invoice that will go on by itself, unless invoices are held back or
    /// there is nothing to go on it.
    async fn draw_up(
        &mut self,
        ctx: &mut Ctx,
        mut after: Subscription,
        bill: Bill,
    ) -> Result<(Option<Invoice>, Subscription)> {
        let Bill { reason: billing_reason, period, lines } = bill;
        let created = ctx.now;
        let customer = &*self.customer;
        let subscription = &after;
        let draft = Draft { customer, subscription, billing_reason, period, created, lines };
        let mut invoice = draft.invoice(ctx.new_id())?;
        invoices::sweep_pending(ctx, &mut invoice).await?;
        if invoice.lines.is_empty() {
            return Ok((None, after));
        }
        let pause = after.terms.pause_collection.map(|pause| pause.behavior);
        let held_back = pause.is_some() || after.status == Status::Unpaid;
        if !held_back {
            invoice.set_going(ctx.now, self.settings.draft_grace_s);
        }
        invoices::keep_draft(ctx, &mut invoice).await?;
        note_debits(&mut after, &invoice);
        after.latest_invoice = Some(invoice.id.clone());
        if let Some(pause) = pause {
            hold_back(ctx, &mut invoice, self.customer, pause).await?;
        }
        Ok((Some(invoice), after))
    }
}

/// Does with a draft what was agreed for invoices that are not collected for now.
pub(super) async fn hold_back(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
    pause: PauseBehavior,
) -> Result<()> {
    if pause == PauseBehavior::KeepAsDraft {
        return Ok(());
    }
    invoices::finalize_held(ctx, invoice, customer).await?;
    match pause {
        _ if invoice.status != invoices::Status::Open => Ok(()),
        PauseBehavior::KeepAsDraft => Ok(()),
        PauseBehavior::MarkUncollectible => {
            let reason = UncollectibleReason::SubscriptionPaused;
            invoices::give_up(ctx, invoice, reason).await
        }
        PauseBehavior::Void => invoices::void_held(ctx, invoice, customer).await,
    }
}

/// The span that an invoice at a boundary bears: the period that was gone through.
pub(super) fn period_of_invoice(sub: &Subscription, at: Timestamp) -> Period {
    let start = sub.items.iter().map(|item| item.current_period.start).max();
    Period { start: start.unwrap_or(at).min(at), end: at }
}

/// From when the usage of an item is still to be billed.
pub(crate) fn unbilled_from(item: &Item) -> Timestamp {
    item.terms.usage_from.map_or(item.current_period.start, Timestamp)
}

/// Takes an item to its next period, and gives the lines of that: the usage of the period that ended,
/// or the quantity for the one that begins.
async fn roll(ctx: &mut Ctx, sub: &Subscription, item: &mut Item) -> Result<Vec<Line>> {
    let next = super::next_period(sub, item)?;
    let lines = match item.price.usage_type() {
        UsageType::Metered => {
            let used = Period { start: unbilled_from(item), end: item.current_period.end };
            usage_lines(ctx, sub, item, used).await?
        }
        UsageType::Licensed => in_advance(ctx, sub, item, next).await?,
    };
    item.enter(next, sub.ends_within(next));
    Ok(lines)
}

/// Notes on licensed items what their lines of an invoice charge, so that it can be given back.
pub(super) fn note_debits(sub: &mut Subscription, invoice: &Invoice) {
    for item in &mut sub.items {
        let lines = invoice.lines.iter().filter(|line| {
            line.subscription_item.as_ref() == Some(&item.id)
                && line.invoice_item.is_none()
                && !line.details.metered
                && line.amount > 0
        });
        let debits: Vec<Debit> = lines
            .map(|line| {
                let taken = line.details.discount_amounts.iter().filter(|taken| taken.amount != 0);
                let discounts: Vec<(String, i64)> =
                    taken.map(|taken| (taken.discount.clone(), taken.amount)).collect();
                let span = (line.period.start, line.period.end);
                let debit = Debit::of_line(invoice.id.as_str(), &line.id, line.net(), span);
                Debit { discounts, ..debit }
            })
            .collect();
        if !debits.is_empty() {
            item.terms.debits = debits;
        }
    }
}
