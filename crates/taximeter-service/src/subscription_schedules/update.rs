//! How a schedule changes: what is over stays, what is under way changes now, what is to come then.

use std::collections::BTreeMap;

use super::calendar::instant;
use super::enter::settle;
use super::input::PhaseInput;
use super::past::refuse_changed_past;
use super::phases::Common;
use super::settings::set_settings;
use super::terms::{Terms, billing_mode};
use super::{Entry, Held, Phase, Schedule, Status, Update, held, refuse_unless_live, save};
use crate::ctx::{Agreed, Ctx};
use crate::customers::Customer;
use crate::error::{Error, Result};
use crate::params::{Clear, OrWord};
use crate::subscriptions::{self, Now, Subscription};

/// Changes a schedule, and with it its subscription if the phase that is under way changes.
///
/// # Errors
/// A 404 when there is none, a 400 when the change is against the rules.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Schedule> {
    let Held { schedule: before, mut customer, subscription } = held(ctx, id).await?;
    refuse_unless_live(&before, "update", "updated")?;
    let mut after = before.clone();
    input.metadata.apply(&mut after.metadata)?;
    after.outline.end_behavior = input.end_behavior.unwrap_or(before.outline.end_behavior);
    let outline = &before.outline;
    let sets = input.default_settings.is_some();
    if let Some(settings) = input.default_settings {
        set_settings(ctx, &customer, &mut after.outline.settings, settings).await?;
    }
    let settings = after.outline.settings.clone();
    let billing_mode = billing_mode(outline.billing_mode, outline.proration_discounts);
    let known = before.discounts_to_come();
    let metadata = subscription.as_ref().map_or_else(BTreeMap::new, |sub| sub.metadata.clone());
    let common = Common { customer: &customer, settings: &settings, billing_mode, known, metadata };
    match input.phases {
        Some(inputs) => {
            let agreed = ctx.agree(Agreed::These(before.names_to_come()));
            let phases = replaced(ctx, &common, &before, inputs).await;
            ctx.agree(agreed);
            after.outline.phases = phases?;
        }
        None if sets => common.check_kept(ctx, &before).await?,
        None => {}
    }
    save(ctx, &before, &mut after).await?;
    if let Some(subscription) = subscription {
        let change = Changed { before: &before, after: &after, behavior: input.proration_behavior };
        // Whatever is new of it was held against the rules with its phase.
        let agreed = ctx.agree(Agreed::All);
        let made = change.make(ctx, &mut customer, subscription).await;
        ctx.agree(agreed);
        made?;
    }
    let after = if after.status == Status::NotStarted && after.start() <= ctx.now {
        let begun = super::enter::begin(ctx, after.clone(), &customer).await?;
        crate::outbox::push_update(
            ctx,
            "subscription_schedule.updated",
            &after.wire(),
            &begun.wire(),
        )
        .await?;
        begun
    } else {
        after
    };
    settle(ctx, &after).await?;
    super::retrieve(ctx, id).await
}

/// The phases as a request has them: those that are over as they were, and of the one that is under
/// way the start.
async fn replaced(
    ctx: &mut Ctx,
    common: &Common<'_>,
    before: &Schedule,
    inputs: Vec<PhaseInput>,
) -> Result<Vec<Phase>> {
    let Some(first) = inputs.first() else { return Err(Error::missing("phases")) };
    let asked = first.start_date.map(|date| instant(date, ctx.now));
    let asked = asked.ok_or_else(|| Error::missing("phases[0][start_date]"))?;
    let Some(current) = before.current() else {
        return replaced_before_start(ctx, common, inputs, asked).await;
    };
    let over = before.outline.phases.iter().filter(|phase| phase.end <= current.start);
    let over: Vec<Phase> = over.cloned().collect();
    let named = over.iter().position(|phase| phase.start == asked);
    let given = match named {
        Some(place) => over.len().saturating_sub(place),
        None if asked == current.start => 0,
        None => {
            return Err(Error::invalid("You can not modify the start date of the current phase.")
                .param("phases[0][start_date]"));
        }
    };
    let mut inputs = inputs;
    let rest = inputs.split_off(given.min(inputs.len()));
    let was = over.iter().skip(over.len().saturating_sub(given));
    for (place, (input, phase)) in inputs.iter().zip(was).enumerate() {
        refuse_changed_past(input, phase, ctx.now, place)?;
    }
    if rest.is_empty() {
        return Err(Error::missing(format!("phases[{given}]")));
    }
    let phases = common.phases(ctx, rest, current.start, given).await?;
    if let Some(under_way) = phases.first()
        && under_way.end < ctx.now.0
    {
        return Err(Error::invalid("Invalid end_date: the current phase cannot end in the past.")
            .param(format!("phases[{given}][end_date]")));
    }
    let mut all = over;
    all.extend(phases);
    Ok(all)
}

async fn replaced_before_start(
    ctx: &mut Ctx,
    common: &Common<'_>,
    inputs: Vec<PhaseInput>,
    start: i64,
) -> Result<Vec<Phase>> {
    let phases = common.phases(ctx, inputs, start, 0).await?;
    if phases.first().is_some_and(|first| first.end <= ctx.now.0) {
        return Err(Error::invalid("Invalid end_date: the first phase must end in the future.")
            .param("phases[0][end_date]"));
    }
    Ok(phases)
}

/// A change of a schedule that has begun.
struct Changed<'a> {
    before: &'a Schedule,
    after: &'a Schedule,
    behavior: Option<subscriptions::ProrationBehavior>,
}

impl Changed<'_> {
    /// Makes of the subscription what changed of the phase that is under way, and of its end.
    async fn make(&self, ctx: &mut Ctx, customer: &mut Customer, sub: Subscription) -> Result<()> {
        let mut entry = self.of_phase(ctx, customer, &sub).await?;
        let ends = self.after.ends_subscription();
        if ends != self.before.ends_subscription() {
            let update = &mut entry.get_or_insert_with(Entry::none).update;
            update.cancel_at = ends.map_or(Clear::Unset, |at| Clear::Set(OrWord::Value(at.0)));
            update.proration_behavior = self.behavior;
        }
        let Some(entry) = entry else { return Ok(()) };
        Box::pin(subscriptions::change(ctx, customer, sub, entry)).await
    }

    async fn of_phase(
        &self,
        ctx: &mut Ctx,
        customer: &Customer,
        sub: &Subscription,
    ) -> Result<Option<Entry>> {
        let (Some(was), Some(is)) = (self.before.current(), self.after.current()) else {
            return Ok(None);
        };
        let new = is.additions.iter().filter(|addition| !was.additions.contains(addition));
        let new: Vec<_> = new.cloned().collect();
        let same_settings = self.before.outline.settings == self.after.outline.settings;
        if was.is_like(is) && same_settings && new.is_empty() {
            return Ok(None);
        }
        let terms = Terms { schedule: self.after, phase: is, was: Some(was), customer };
        let mut update = terms.update(ctx, sub).await?;
        update.add_invoice_items = Some(terms.additions(ctx, &new).await?);
        // Periods are counted from the start of a phase when it begins, and not again.
        update.billing_cycle_anchor = None;
        update.off_session = None;
        update.proration_behavior = self.behavior;
        if was.trial_end == is.trial_end {
            update.trial_end = None;
        } else if update.trial_end.is_none() && sub.status == subscriptions::Status::Trialing {
            update.trial_end = Some(OrWord::Word(Now::Now));
        }
        Ok(Some(Entry { update, own_discounts_only: Some(is.empty.discounts) }))
    }
}

impl Entry {
    /// No change.
    fn none() -> Self {
        Self { update: subscriptions::Update::default(), own_discounts_only: None }
    }
}
