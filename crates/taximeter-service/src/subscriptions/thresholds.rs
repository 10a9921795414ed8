//! Invoices before their time: when as much was used as was agreed to.
//!
//! Usage does not call here, so that an event costs no statement. The subscription's job looks, at
//! every full minute of the world's time and at every full hour of a test clock's, while there are
//! thresholds. What an invoice before its time billed is kept on the item and taken off when its
//! period is billed, from the first unit again: so tiers go on across such invoices.

use serde::{Deserialize, Serialize};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::money::format_amount;
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{DAY_S, HOUR_S, Period, Timestamp};

use super::advance::{note_debits, unbilled_from};
use super::periods::open_all;
use super::prorate::Change;
use super::{Item, ItemThresholds, Status, Subscription, Thresholds};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::discounts::{self, Discount};
use crate::error::{Error, Result};
use crate::invoices::{
    self, BillingReason, Draft, Invoice, Line, LineDetails, ThresholdReason, lines_of_item,
    too_large, whole_amount,
};
use crate::params::Clear;

/// The least amount, in minor units (Stripe's).
const AMOUNT_MINOR_MIN: i64 = 50;
/// So long before a period ends nothing is billed before its time, in seconds (Stripe's).
const QUIET_S: i64 = DAY_S;
/// How often it is looked: by the world's time and by a test clock's, in seconds.
const LOOK_S: i64 = 60;
const LOOK_OF_CLOCK_S: i64 = HOUR_S;

crate::params! {
    /// When a subscription is billed before its time.
    pub struct ThresholdsInput {
        /// From so many minor units on.
        pub amount_gte: Option<i64>,
        /// Whether the periods begin anew with it.
        pub reset_billing_cycle_anchor: Option<bool>,
    }
}

impl From<ThresholdsInput> for Thresholds {
    fn from(input: ThresholdsInput) -> Self {
        Self {
            amount_gte: input.amount_gte,
            reset_billing_cycle_anchor: Some(input.reset_billing_cycle_anchor.unwrap_or(false)),
        }
    }
}

impl From<&Thresholds> for ThresholdsInput {
    fn from(kept: &Thresholds) -> Self {
        Self {
            amount_gte: kept.amount_gte,
            reset_billing_cycle_anchor: kept.reset_billing_cycle_anchor,
        }
    }
}

crate::params! {
    /// When a subscription is billed before its time for the usage of one item.
    pub struct ItemThresholdsInput {
        /// From so many units on.
        pub usage_gte: i64,
    }
}

/// What of an item's period was billed before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledEarly {
    /// In minor units, after discounts.
    pub amount: i64,
    /// What discounts took off, each with its id. What one that is over took off is not taken back.
    #[serde(default)]
    pub off: Vec<(String, i64)>,
    /// How many units, exactly.
    pub quantity: String,
    /// Minor units for each, where that was one amount.
    pub unit_amount: Option<String>,
}

/// Puts a change on when a subscription is billed before its time.
///
/// # Errors
/// A 400 when that is less than 50 minor units, or no more than it costs in any case.
pub(super) fn set(sub: &mut Subscription, input: Clear<ThresholdsInput>) -> Result<()> {
    let input = match input {
        Clear::Keep => return Ok(()),
        Clear::Unset => {
            sub.terms.billing_thresholds = None;
            return Ok(());
        }
        Clear::Set(input) => input,
    };
    let param = "billing_thresholds[amount_gte]";
    let fixed = fixed_minor(sub)?;
    check_least(input.amount_gte)?;
    match input.amount_gte {
        Some(amount) if amount <= fixed => {
            return Err(Error::invalid(format!(
                "Invalid amount_gte: must be more than the {fixed} that the licensed prices of the \
                 subscription cost in a period."
            ))
            .param(param));
        }
        _ => {}
    }
    sub.terms.billing_thresholds = Some(input.into());
    Ok(())
}

/// What the licensed prices of a subscription cost in a period, in minor units before discounts: two
/// seats at 700 are 1400, and usage is nothing.
///
/// # Errors
/// A 400 when that does not fit.
pub(crate) fn fixed_minor(sub: &Subscription) -> Result<i64> {
    let mut fixed = 0_i64;
    for item in &sub.items {
        let amount = whole_amount(sub, item)?.unwrap_or(0);
        fixed = fixed.checked_add(amount).ok_or_else(too_large)?;
    }
    Ok(fixed)
}

/// Holds an amount against the least one.
///
/// # Errors
/// A 400 when it is less.
pub(super) fn check_least(amount_gte: Option<i64>) -> Result<()> {
    if amount_gte.is_none_or(|amount| amount >= AMOUNT_MINOR_MIN) {
        return Ok(());
    }
    let message = format!("Invalid amount_gte: must be at least {AMOUNT_MINOR_MIN}.");
    Err(Error::invalid(message).param("billing_thresholds[amount_gte]"))
}

/// Puts a change on when the usage of an item is billed before its time. `at` is where it was sent.
///
/// # Errors
/// A 400 when the item's price is not metered, or that is no usage.
pub(super) fn set_of_item(
    item: &mut Item,
    input: &Clear<ItemThresholdsInput>,
    at: &str,
) -> Result<()> {
    match input {
        Clear::Keep => {}
        Clear::Unset => item.terms.billing_thresholds = None,
        Clear::Set(ItemThresholdsInput { usage_gte }) => {
            if item.price.usage_type() == UsageType::Licensed {
                return Err(Error::invalid(
                    "You can only specify `billing_thresholds` on an item with a metered price.",
                )
                .param(at));
            }
            let usage_gte = *usage_gte;
            if usage_gte < 1 {
                return Err(Error::invalid("Invalid usage_gte: must be at least 1.")
                    .param(format!("{at}[usage_gte]")));
            }
            item.terms.billing_thresholds = Some(ItemThresholds { usage_gte });
        }
    }
    if item.price.usage_type() == UsageType::Licensed {
        item.terms.billing_thresholds = None;
    }
    Ok(())
}

/// The lines of what was used of a metered item, with what of it was billed before its time taken
/// off.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(crate) async fn usage_lines(
    ctx: &mut Ctx,
    sub: &Subscription,
    item: &Item,
    period: Period,
) -> Result<Vec<Line>> {
    let mut lines = lines_of_item(ctx, sub, item, period).await?;
    let early = item.terms.billed_early.as_ref();
    let Some(early) = early.filter(|_| item.price.usage_type() == UsageType::Metered) else {
        return Ok(lines);
    };
    let mut amount = early.amount;
    let ids: Vec<String> = early.off.iter().map(|(id, _)| id.clone()).collect();
    let discounts = discounts::of(ctx, &invoices::parsed(&ids)?).await?;
    for (id, off) in &early.off {
        let again = |discount: &Discount| discount.id.as_str() == id && discount.active_at(ctx.now);
        if !discounts.iter().any(again) {
            amount = amount.checked_add(*off).ok_or_else(too_large)?;
        }
    }
    let unit = early.unit_amount.as_deref().map(str::parse::<Decimal>).transpose();
    let description = match unit.map_err(Error::internal)? {
        Some(unit) => {
            let each = format_amount(unit, sub.currency);
            format!("Amount previously billed (at {each} per unit)")
        }
        None => "Amount previously billed".to_owned(),
    };
    lines.push(Line {
        id: ctx.new_id(),
        amount: amount.checked_neg().ok_or_else(too_large)?,
        quantity: early.quantity.parse().map_err(Error::internal)?,
        description: Some(description),
        period,
        price: Some(item.price.id.clone()),
        product: Some(item.price.product.clone()),
        unit_amount: None,
        subscription: Some(sub.id.clone()),
        subscription_item: Some(item.id.clone()),
        invoice_item: None,
        details: LineDetails {
            discountable: false,
            tax_rates: item.terms.tax_rates.clone(),
            ..LineDetails::default()
        },
    });
    Ok(lines)
}

/// The lines of what was used of all metered items until `end`, newest item first, as invoices have
/// them.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(super) async fn usage_so_far(
    ctx: &mut Ctx,
    sub: &Subscription,
    end: Timestamp,
) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for item in sub.items.iter().rev() {
        if item.price.usage_type() == UsageType::Metered {
            let period = Period { start: unbilled_from(item), end };
            lines.extend(usage_lines(ctx, sub, item, period).await?);
        }
    }
    Ok(lines)
}

/// Whether a subscription can be billed before its time at an instant.
fn watches(sub: &Subscription, at: Timestamp) -> bool {
    let agreed = sub.terms.billing_thresholds.as_ref().is_some_and(|all| all.amount_gte.is_some())
        || sub.items.iter().any(|item| item.terms.billing_thresholds.is_some());
    let billed = matches!(sub.status, Status::Active | Status::PastDue)
        && sub.terms.pause_collection.is_none()
        // What it bills may be billed already, with the invoice of the update.
        && sub.terms.pending_update.is_none();
    let quiet = sub.next_boundary().is_none_or(|end| at.0 >= end.0.saturating_sub(QUIET_S));
    agreed && billed && !quiet
}

/// When it is looked next whether a subscription is to be billed before its time, if it is.
pub(super) fn next_look(sub: &Subscription, now: Timestamp) -> Option<Timestamp> {
    let every = if sub.test_clock.is_some() { LOOK_OF_CLOCK_S } else { LOOK_S };
    let rest = now.0.rem_euclid(every);
    let at = Timestamp(now.0.saturating_sub(rest).saturating_add(every));
    watches(sub, at).then_some(at)
}

/// Bills a subscription before its time, if as much was used as was agreed to, and gives it as it is
/// then. It is held with its customer.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(super) async fn look(
    ctx: &mut Ctx,
    before: Subscription,
    customer: &mut Customer,
) -> Result<Subscription> {
    if !watches(&before, ctx.now) {
        return Ok(before);
    }
    let mut lines = usage_so_far(ctx, &before, ctx.now).await?;
    if lines.iter().all(|line| line.quantity.is_zero()) {
        return Ok(before);
    }
    for line in &mut lines {
        // It is not counted anew.
        line.details.metered = false;
    }
    let mut invoice = draft(ctx, customer, &before, lines).await?;
    let Some(reason) = reached(&before, &invoice)? else { return Ok(before) };
    let mut after = before.clone();
    let terms = before.terms.billing_thresholds.as_ref();
    if terms.and_then(|terms| terms.reset_billing_cycle_anchor) == Some(true) {
        let change = Change { at: ctx.now, billed: true };
        for item in &before.items {
            change.give_back(ctx, &before, item).await?;
        }
        let mut lines = open_all(ctx, &mut after).await?;
        lines.extend(invoice.lines.into_iter().filter(|line| line.invoice_item.is_none()));
        invoice = draft(ctx, customer, &before, lines).await?;
    } else {
        for item in &mut after.items {
            if item.price.usage_type() == UsageType::Metered {
                item.terms.billed_early = billed_by(&invoice, item)?;
            }
        }
    }
    invoice.details.threshold_reason = Some(reason);
    invoices::keep_draft(ctx, &mut invoice).await?;
    note_debits(&mut after, &invoice);
    after.latest_invoice = Some(invoice.id.clone());
    super::save(ctx, &before, &after).await?;
    invoice.auto_advance = true;
    invoices::finalize_held(ctx, &mut invoice, customer).await?;
    invoices::after_finalizing(ctx, &mut invoice, customer).await?;
    // Read anew: what its invoice brought about was written by that.
    super::retrieve(ctx, before.id.as_str()).await
}

async fn draft(
    ctx: &mut Ctx,
    customer: &Customer,
    subscription: &Subscription,
    lines: Vec<Line>,
) -> Result<Invoice> {
    let draft = Draft {
        customer,
        subscription,
        billing_reason: BillingReason::SubscriptionThreshold,
        period: Period { start: ctx.now, end: ctx.now },
        created: ctx.now,
        lines,
    };
    let mut invoice = draft.invoice(ctx.new_id())?;
    invoices::sweep_pending(ctx, &mut invoice).await?;
    invoices::add_up(ctx, &mut invoice).await?;
    Ok(invoice)
}

/// What of a threshold invoice is of the usage of an item: not what was billed before.
fn used<'a>(invoice: &'a Invoice, item: &'a Item) -> impl Iterator<Item = &'a Line> {
    invoice.lines.iter().filter(|line| {
        line.subscription_item.as_ref() == Some(&item.id)
            && line.invoice_item.is_none()
            && line.details.discountable
    })
}

fn quantity_of<'a>(lines: impl Iterator<Item = &'a Line>) -> Result<Decimal> {
    let mut sum = Decimal::ZERO;
    for line in lines {
        sum = sum.checked_add(line.quantity).map_err(|error| too_large().because(error))?;
    }
    Ok(sum)
}

/// Which thresholds an invoice reaches, if it reaches any.
fn reached(sub: &Subscription, invoice: &Invoice) -> Result<Option<ThresholdReason>> {
    let mut item_reasons = Vec::new();
    for item in &sub.items {
        let Some(ItemThresholds { usage_gte }) = item.terms.billing_thresholds else { continue };
        let early = item.terms.billed_early.as_ref();
        let early = early.map_or(Ok(Decimal::ZERO), |early| early.quantity.parse());
        let new = quantity_of(used(invoice, item))?
            .checked_sub(early.map_err(Error::internal)?)
            .map_err(|error| too_large().because(error))?;
        if new >= Decimal::from(usage_gte) {
            let lines = used(invoice, item).map(|line| line.id.as_str().to_owned());
            item_reasons.push((lines.collect(), usage_gte));
        }
    }
    let least = sub.terms.billing_thresholds.as_ref().and_then(|terms| terms.amount_gte);
    let amount = invoice.details.total_excluding_tax.unwrap_or(invoice.total);
    let amount_gte = least.filter(|least| amount >= *least);
    let any = amount_gte.is_some() || !item_reasons.is_empty();
    Ok(any.then_some(ThresholdReason { amount_gte, item_reasons }))
}

/// What of an item's period is billed with a threshold invoice.
fn billed_by(invoice: &Invoice, item: &Item) -> Result<Option<BilledEarly>> {
    let mut amount = 0_i64;
    let (mut off, mut units) = (Vec::new(), Vec::new());
    for line in used(invoice, item) {
        let mut net = line.details.gross.unwrap_or(line.amount);
        for discount in line.details.discount_amounts.iter().filter(|off| off.amount != 0) {
            net = net.checked_sub(discount.amount).ok_or_else(too_large)?;
            off.push((discount.discount.clone(), discount.amount));
        }
        amount = amount.checked_add(net).ok_or_else(too_large)?;
        units.push(line.unit_amount);
    }
    let unit_amount = match units.as_slice() {
        [only] => only.map(|unit| unit.to_string()),
        _ => None,
    };
    let quantity = quantity_of(used(invoice, item))?.to_string();
    Ok((!units.is_empty()).then_some(BilledEarly { amount, off, quantity, unit_amount }))
}
