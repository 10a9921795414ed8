//! What a schedule makes of its subscription: how it begins, and what each phase changes.

use taximeter_kernel::id::{
    Id, Kind as _, Subscription as SubscriptionKind, SubscriptionItem, SubscriptionSchedule,
};
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{Period, Timestamp};

use super::advance::{Bill, Work, period_of_invoice, unbilled_from};
use super::change::{Sent, change_items};
use super::input::{ItemUpdate, PaymentBehavior, Update};
use super::periods::{open, whole_at};
use super::prorate::Change;
use super::thresholds::{self, ThresholdsInput, usage_lines};
use super::update::{Plan, set_named, set_plain};
use super::{Status, Subscription, Thresholds, additions};
use crate::ctx::{Agreed, Ctx};
use crate::customers::Customer;
use crate::error::{Error, Kind, Result};
use crate::invoices::Line;
use crate::params::Clear;
use crate::subscription_schedules::{self, Entry};
use crate::{billing_settings, jobs};

/// That a subscription is begun by a schedule.
pub(crate) struct Scheduled {
    /// Which.
    pub(crate) schedule: Id<SubscriptionSchedule>,
    /// Whether the customer's own discount is not inherited.
    pub(crate) own_discounts_only: bool,
}

impl Scheduled {
    pub(super) fn set(self, sub: &mut Subscription) {
        sub.terms.schedule = Some(self.schedule.as_str().to_owned());
        sub.terms.own_discounts_only = self.own_discounts_only;
    }
}

/// The error of a subscription that a request names and there is none of.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn no_such(ctx: &mut Ctx, id: &str, param: &str) -> Result<Error> {
    ctx.no_such(SubscriptionKind::NOUN, id, param).await
}

/// Puts on a subscription that is only looked at when it is billed before its time.
///
/// # Errors
/// A 400 when that is less than can be, or no more than it costs in any case.
pub(crate) fn set_thresholds(sub: &mut Subscription, input: ThresholdsInput) -> Result<()> {
    thresholds::set(sub, Clear::Set(input))
}

/// When subscriptions that are not known yet are billed before their time.
///
/// # Errors
/// A 400 when that is less than can be.
pub(crate) fn thresholds_of(input: &ThresholdsInput, at: &str) -> Result<Thresholds> {
    thresholds::check_least(input.amount_gte).map_err(|error| error.within(at))?;
    Ok(input.clone().into())
}

/// Makes a change that a schedule asks for of a subscription that is held with its customer.
///
/// # Errors
/// A 400 when it is against the rules.
pub(crate) async fn change(
    ctx: &mut Ctx,
    customer: &mut Customer,
    before: Subscription,
    entry: Entry,
) -> Result<()> {
    let (after, plan) = changed(ctx, customer, &before, entry).await?;
    Box::pin(plan.carry_out(ctx, customer, before, after)).await?;
    Ok(())
}

/// Takes a subscription that is held with its customer from a schedule that was to end it, and has it
/// go on: what was charged until then only is charged for the rest of its period. A seat for 30.00 in
/// a month of 30 days, charged 15.00 until the 16th, is 15.00 more with the next invoice.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(crate) async fn go_on_for_good(
    ctx: &mut Ctx,
    customer: &mut Customer,
    before: Subscription,
) -> Result<()> {
    let mut after = before.clone();
    after.terms.schedule = None;
    let endless = Update { cancel_at: Clear::Unset, ..Update::default() };
    let (_, plan) = Plan::take(endless);
    Box::pin(plan.carry_out(ctx, customer, before, after)).await?;
    Ok(())
}

/// Takes a subscription to the next phase of its schedule ahead of its time, to look at it and undo
/// it.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(crate) async fn pass_ahead(
    ctx: &mut Ctx,
    mut customer: Customer,
    sub: &Subscription,
    at: Timestamp,
) -> Result<Subscription> {
    let settings = billing_settings::retrieve(ctx).await?;
    let mut work = Work::ahead(at, &settings, &mut customer);
    let world = std::mem::replace(&mut ctx.now, at);
    // Nobody is asked for money by what is only looked at.
    let passed =
        work.pass_or_leave(ctx, sub.clone(), Some(PaymentBehavior::DefaultIncomplete)).await;
    let after = match passed {
        Ok(()) => super::retrieve(ctx, sub.id.as_str()).await,
        Err(error) => Err(error),
    };
    ctx.now = world;
    after
}

/// A subscription with all of a change on it that is not billed for, and the rest as a plan.
async fn changed(
    ctx: &mut Ctx,
    customer: &Customer,
    before: &Subscription,
    entry: Entry,
) -> Result<(Subscription, Plan)> {
    let mut after = before.clone();
    let (input, plan) = Plan::take(entry.update);
    set_plain(&mut after, &input)?;
    set_named(ctx, customer, &mut after, &input).await?;
    if let Some(own_only) = entry.own_discounts_only {
        after.terms.own_discounts_only = own_only;
    }
    Ok((after, plan))
}

impl Work<'_> {
    /// Takes the subscription to the next phase of its schedule, as of the instant at which that
    /// begins, or from its schedule.
    ///
    /// What a phase asks for was held against the rules when it was asked for. If it is against them
    /// by now all the same, the schedule leaves the subscription to itself, so that time goes on.
    pub(super) async fn pass_phase(&mut self, ctx: &mut Ctx, sub: Subscription) -> Result<()> {
        let world = std::mem::replace(&mut ctx.now, self.at);
        let passed = self.pass_or_leave(ctx, sub, None).await;
        ctx.now = world;
        passed
    }

    async fn pass_or_leave(
        &mut self,
        ctx: &mut Ctx,
        sub: Subscription,
        behavior: Option<PaymentBehavior>,
    ) -> Result<()> {
        let customer = self.customer.clone();
        let undo = ctx.tx.savepoint().await?;
        match self.pass(ctx, sub.clone(), behavior).await {
            Ok(()) => Ok(ctx.tx.release(undo).await?),
            Err(error) if error.kind == Kind::InvalidRequest => {
                ctx.tx.rollback_to(undo).await?;
                *self.customer = customer;
                tracing::warn!(
                    subscription.id = sub.id.as_str(),
                    error = jobs::told(&error),
                    "a phase cannot begin, and its schedule is released"
                );
                subscription_schedules::give_up(ctx, &sub).await
            }
            Err(error) => Err(error),
        }
    }

    async fn pass(
        &mut self,
        ctx: &mut Ctx,
        sub: Subscription,
        behavior: Option<PaymentBehavior>,
    ) -> Result<()> {
        let agreed = ctx.agree(Agreed::All);
        let passed = self.make_phase(ctx, sub, behavior).await;
        ctx.agree(agreed);
        passed
    }

    async fn make_phase(
        &mut self,
        ctx: &mut Ctx,
        sub: Subscription,
        behavior: Option<PaymentBehavior>,
    ) -> Result<()> {
        let entry = subscription_schedules::pass(ctx, &sub, self.customer, self.at).await?;
        let Some(mut entry) = entry else { return Ok(()) };
        entry.update.payment_behavior = behavior;
        let (after, plan) = changed(ctx, self.customer, &sub, entry).await?;
        let over = |end: Timestamp| end <= self.at;
        // What is free begins its periods when the trial ends, which is the next thing due.
        let renews = sub.renews()
            && sub.status != Status::Trialing
            && plan.trial_end.is_none()
            && sub.items.iter().any(|item| over(item.current_period.end));
        if renews {
            return Box::pin(self.renew_changed(ctx, sub, after, plan)).await;
        }
        Box::pin(plan.carry_out(ctx, self.customer, sub, after)).await?;
        Ok(())
    }

    /// A phase that begins with a period: what was used in the one before is billed at the price it
    /// had, and the next one as the phase has it, in one renewal.
    async fn renew_changed(
        &mut self,
        ctx: &mut Ctx,
        sub: Subscription,
        mut after: Subscription,
        plan: Plan,
    ) -> Result<()> {
        let at = self.at;
        let (change, _) = plan.terms.change(&sub, at)?;
        let closing = Closing::of(&sub, at, plan.anchor_now);
        let mut lines = closing.close(ctx, &sub, change).await?;
        closing.empty(&mut after);
        let (of_closed, of_others) = closing.sort(plan.items);
        let (of_closed, of_others) = ((Sent::Listed, of_closed), (Sent::Listed, of_others));
        let free = Change { billed: false, ..change };
        change_items(ctx, self.customer, &sub, &mut after, of_others, change).await?;
        change_items(ctx, self.customer, &sub, &mut after, of_closed, free).await?;
        let opened = closing.opened(&after);
        if plan.anchor_now || none_begins(&after, &opened, at)? {
            after.billing_cycle_anchor = at;
            after.terms.anchor_config = None;
        }
        for place in opened.into_iter().rev() {
            lines.extend(open(ctx, &mut after, place, at).await?);
        }
        thresholds::set(&mut after, plan.thresholds)?;
        additions::add(ctx, self.customer, &after, plan.additions).await?;
        let bill = Bill::of_cycle(period_of_invoice(&sub, at), lines);
        self.bill(ctx, &sub, after, bill).await
    }
}

/// Whether no period would begin where a phase does, counted as they were: then they are counted from
/// there. From 31 January, a year from 31 March on is one, and not the rest of the year from January.
fn none_begins(after: &Subscription, opened: &[usize], at: Timestamp) -> Result<bool> {
    for place in opened {
        if let Some(item) = after.items.get(*place)
            && whole_at(after, item, at)?.start == at
        {
            return Ok(false);
        }
    }
    Ok(!opened.is_empty() && opened.len() == after.items.len())
}

/// The items whose periods end where a phase begins.
struct Closing {
    at: Timestamp,
    closed: Vec<Id<SubscriptionItem>>,
    others: Vec<Id<SubscriptionItem>>,
}

impl Closing {
    /// Those that end by themselves, or all of them.
    fn of(sub: &Subscription, at: Timestamp, all: bool) -> Self {
        let is_over = |item: &&super::Item| all || item.current_period.end <= at;
        let (closed, others): (Vec<_>, Vec<_>) = sub.items.iter().partition(is_over);
        let ids = |items: Vec<&super::Item>| items.iter().map(|item| item.id.clone()).collect();
        Self { at, closed: ids(closed), others: ids(others) }
    }

    /// The lines of what was used in the periods that end, and what is given back of those that are
    /// cut short.
    async fn close(&self, ctx: &mut Ctx, sub: &Subscription, change: Change) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        for item in sub.items.iter().rev().filter(|item| self.closed.contains(&item.id)) {
            if item.current_period.end > self.at {
                change.give_back(ctx, sub, item).await?;
            }
            if item.price.usage_type() == UsageType::Metered {
                let end = item.current_period.end.min(self.at);
                let period = Period { start: unbilled_from(item), end };
                lines.extend(usage_lines(ctx, sub, item, period).await?);
            }
        }
        Ok(lines)
    }

    /// Leaves nothing on the items to be given back or billed again.
    fn empty(&self, after: &mut Subscription) {
        for item in after.items.iter_mut().filter(|item| self.closed.contains(&item.id)) {
            item.current_period = Period { start: self.at, end: self.at };
            item.terms.usage_from = None;
            item.terms.billed_early = None;
            item.terms.debits.clear();
        }
    }

    /// The changes of items that end or are new, and those of others.
    fn sort(&self, updates: Vec<ItemUpdate>) -> (Vec<ItemUpdate>, Vec<ItemUpdate>) {
        updates.into_iter().partition(|update| {
            let of = |id: &Id<SubscriptionItem>| update.id.as_deref() == Some(id.as_str());
            !self.others.iter().any(of)
        })
    }

    /// The places of the items that begin a period: those that ended one, and new ones.
    fn opened(&self, after: &Subscription) -> Vec<usize> {
        let items = after.items.iter().enumerate();
        let opened = items.filter(|(_, item)| !self.others.contains(&item.id));
        opened.map(|(place, _)| place).collect()
    }
}
