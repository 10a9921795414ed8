//! How a schedule is made: for a subscription to come, or for one that is there.

use std::collections::BTreeMap;

use taximeter_kernel::id::{Id, SubscriptionSchedule};

use super::calendar::instant;
use super::enter::{begin, settle};
use super::phases::{Common, currency_of};
use super::settings::set_settings;
use super::terms::billing_mode;
use super::types::{Empty, Named, PhaseItem};
use super::{
    Create, DefaultSettings, EndBehavior, Outline, Phase, PhaseInvoices, Schedule, Status, sql,
};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::outbox;
use crate::params::{Choice as _, MetadataChange};
use crate::subscriptions::{self, InvoiceSettings, ProrationBehavior, Subscription};
use crate::test_clocks;

/// Makes a schedule, and its subscription if its first phase begins now or before.
///
/// # Errors
/// A 400 when what is asked for is against the rules.
pub async fn create(ctx: &mut Ctx, mut input: Create) -> Result<Schedule> {
    if let Some(from) = input.from_subscription.take() {
        refuse_beside_subscription(&input)?;
        return from_subscription(ctx, &from).await;
    }
    let Some(id) = &input.customer else { return Err(Error::missing("customer")) };
    let before = customers::locked(ctx, id, "customer").await?;
    test_clocks::follow(ctx, &before).await?;
    subscriptions::refuse_too_many(ctx, &before).await?;
    let mut customer = before.clone();
    let schedule = asked(ctx, &customer, input).await?;
    sql::insert(ctx, &schedule).await?;
    let schedule = if schedule.start() <= ctx.now {
        begin(ctx, schedule, &customer).await?
    } else {
        if let Some(phase) = schedule.outline.phases.first() {
            customers::bind_currency(ctx, &mut customer, currency_of(phase)?).await?;
            customers::save(ctx, &before, &customer).await?;
        }
        schedule
    };
    let schedule = super::retrieve(ctx, schedule.id.as_str()).await?;
    outbox::push(ctx, "subscription_schedule.created", &schedule.wire()).await?;
    settle(ctx, &schedule).await?;
    super::retrieve(ctx, schedule.id.as_str()).await
}

/// The schedule that a request describes, checked but not kept.
async fn asked(ctx: &mut Ctx, customer: &Customer, input: Create) -> Result<Schedule> {
    let (mode, proration_discounts) = subscriptions::checked_mode(ctx, input.billing_mode)?;
    let mut settings = DefaultSettings::default();
    if let Some(input) = input.default_settings {
        set_settings(ctx, customer, &mut settings, input).await?;
    }
    let start = input.start_date.map_or(ctx.now.0, |date| instant(date, ctx.now));
    let phases = input.phases.ok_or_else(|| Error::missing("phases"))?;
    let phases = phases.into_iter().map(|phase| phase.0).collect();
    let billing_mode = billing_mode(mode, proration_discounts);
    let (known, metadata) = (Vec::new(), BTreeMap::new());
    let common = Common { customer, settings: &settings, billing_mode, known, metadata };
    let phases = common.phases(ctx, phases, start, 0).await?;
    if let Some(first) = phases.first()
        && first.end <= ctx.now.0
    {
        return Err(Error::invalid(
            "Invalid end_date: the first phase must end in the future, even where it starts in the \
             past.",
        )
        .param("phases[0][end_date]"));
    }
    let outline = Outline {
        billing_mode: mode,
        proration_discounts,
        settings,
        end_behavior: input.end_behavior.unwrap_or(EndBehavior::Release),
        phases,
        entered: None,
        told_expiring: None,
    };
    let mut schedule = blank(ctx, customer, outline);
    input.metadata.apply(&mut schedule.metadata)?;
    Ok(schedule)
}

fn blank(ctx: &Ctx, customer: &Customer, outline: Outline) -> Schedule {
    let id: Id<SubscriptionSchedule> = ctx.new_id();
    Schedule {
        seq: 0,
        id,
        livemode: ctx.scope().mode.is_live(),
        customer: customer.id.clone(),
        status: Status::NotStarted,
        subscription: None,
        released_subscription: None,
        test_clock: customer.test_clock.clone(),
        outline,
        metadata: BTreeMap::new(),
        canceled_at: None,
        completed_at: None,
        released_at: None,
        created: ctx.now,
        tax_rates: Vec::new(),
    }
}

/// What a schedule of a subscription that is there takes from it, and so cannot be said.
fn refuse_beside_subscription(input: &Create) -> Result<()> {
    let sent = [
        (input.billing_mode.is_some(), "billing_mode"),
        (input.customer.is_some(), "customer"),
        (input.default_settings.is_some(), "default_settings"),
        (input.end_behavior.is_some(), "end_behavior"),
        (input.metadata != MetadataChange::Keep, "metadata"),
        (input.phases.is_some(), "phases"),
        (input.start_date.is_some(), "start_date"),
    ];
    match sent.iter().find(|(sent, _)| *sent) {
        None => Ok(()),
        Some((_, name)) => {
            let message = format!("You cannot set `{name}` if `from_subscription` is set.");
            Err(Error::invalid(message).param(*name))
        }
    }
}

/// Makes a schedule of a subscription that is there: its first phase is the period that it is in.
async fn from_subscription(ctx: &mut Ctx, id: &str) -> Result<Schedule> {
    const PARAM: &str = "from_subscription";
    let Some(seen) = subscriptions::find(ctx, id).await? else {
        return Err(subscriptions::no_such(ctx, id, PARAM).await?);
    };
    let customer = customers::locked_any(ctx, seen.customer.as_str()).await?;
    test_clocks::follow(ctx, &customer).await?;
    let (before, _) = subscriptions::held(ctx, id).await?;
    let incomplete = before.status == subscriptions::Status::Incomplete;
    if before.has_ended() || incomplete {
        return Err(Error::invalid(format!(
            "You cannot migrate a subscription that is currently in the `{}` status.",
            before.status.as_str()
        ))
        .param(PARAM));
    }
    if let Some(schedule) = &before.terms.schedule {
        return Err(Error::invalid(format!(
            "You cannot migrate a subscription that is already attached to a schedule: \
             `{schedule}`."
        ))
        .param(PARAM));
    }
    let phase = phase_of(&before);
    let ends = before.cancel_at.is_some();
    let outline = Outline {
        billing_mode: before.billing_mode,
        proration_discounts: before.proration_discounts,
        settings: settings_of(&before),
        end_behavior: if ends { EndBehavior::Cancel } else { EndBehavior::Release },
        entered: Some(phase.start),
        phases: vec![phase],
        told_expiring: None,
    };
    let mut schedule = blank(ctx, &customer, outline);
    schedule.status = Status::Active;
    schedule.subscription = Some(before.id.clone());
    sql::insert(ctx, &schedule).await?;
    let schedule = super::retrieve(ctx, schedule.id.as_str()).await?;
    outbox::push(ctx, "subscription_schedule.created", &schedule.wire()).await?;
    let mut after = before.clone();
    after.terms.schedule = Some(schedule.id.as_str().to_owned());
    subscriptions::save(ctx, &before, &after).await?;
    settle(ctx, &schedule).await?;
    super::retrieve(ctx, schedule.id.as_str()).await
}

fn settings_of(sub: &Subscription) -> DefaultSettings {
    let InvoiceSettings { custom_fields, description, footer } = sub.terms.invoice_settings.clone();
    DefaultSettings {
        collection_method: Some(sub.collection_method),
        default_payment_method: sub.terms.default_payment_method.clone(),
        description: sub.description.clone(),
        thresholds: sub.terms.billing_thresholds.clone(),
        invoices: PhaseInvoices {
            custom_fields,
            days_until_due: sub.days_until_due,
            description,
            footer,
        },
        ..DefaultSettings::default()
    }
}

/// The period that a subscription is in, as a phase.
fn phase_of(sub: &Subscription) -> Phase {
    let held = |ids: &[String]| -> Vec<Named> {
        let held = ids.iter().cloned();
        held.map(|id| Named { discount: Some(id), ..Named::default() }).collect()
    };
    let item = |item: &subscriptions::Item| PhaseItem {
        price: item.price.id.as_str().to_owned(),
        product: item.price.product.as_str().to_owned(),
        quantity: item.quantity,
        thresholds: item.terms.billing_thresholds,
        discounts: held(&item.terms.discounts),
        metadata: item.metadata.clone(),
        tax_rates: item.terms.tax_rates.clone(),
    };
    let start = sub.items.iter().map(|item| item.current_period.start.0).max();
    let start = start.unwrap_or(sub.start_date.0);
    let end = sub.cancel_at.or_else(|| sub.next_boundary());
    let trialing = sub.status == subscriptions::Status::Trialing;
    Phase {
        start,
        end: end.map_or(start, |end| end.0).max(start.saturating_add(1)),
        items: sub.items.iter().map(item).collect(),
        additions: Vec::new(),
        anchor: None,
        thresholds: None,
        collection_method: None,
        currency: sub.currency.code().to_owned(),
        default_payment_method: None,
        default_tax_rates: sub.terms.default_tax_rates.clone(),
        description: None,
        discounts: held(&sub.terms.discounts),
        invoices: None,
        metadata: BTreeMap::new(),
        proration_behavior: ProrationBehavior::CreateProrations,
        trial: false,
        trial_end: sub.trial_end.filter(|_| trialing).map(|end| end.0),
        empty: Empty::default(),
    }
}
