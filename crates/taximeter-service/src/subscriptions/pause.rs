//! How a subscription is paused: it has no periods and no invoices until it is resumed.

use taximeter_kernel::id::{Kind as _, Subscription as SubscriptionKind};

use super::input::PaymentBehavior;
use super::pending_update::Billed;
use super::prorate::Change;
use super::update::Pay;
use super::{
    BillingModeType, CollectionMethod, Paused, PausedReason, Status, Subscription, held,
    pending_update, retrieve,
};
use crate::choice;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::outbox;

choice! {
    /// Until when usage is billed.
    pub enum UsageThrough {
        /// It is not.
        None = "none",
        /// Until the pause.
        Now = "now",
    }
}

choice! {
    /// From when time that was paid for is given back.
    pub enum UnusedFrom {
        /// From the start of the period that an item is in: all of it.
        ItemCurrentPeriodStart = "item_current_period_start",
        /// It is not.
        None = "none",
        /// From the pause.
        Now = "now",
    }
}

choice! {
    /// What becomes of that.
    pub enum Invoicing {
        /// An invoice, at once.
        Invoice = "invoice",
        /// Items that wait for the next invoice.
        PendingInvoiceItem = "pending_invoice_item",
    }
}

choice! {
    /// What is paused.
    pub enum PauseType {
        /// All of the subscription.
        Subscription = "subscription",
    }
}

crate::params! {
    /// Until when usage is billed.
    pub struct UsageThroughInput {
        /// Until when.
        pub r#type: UsageThrough,
    }
}

crate::params! {
    /// From when time that was paid for is given back.
    pub struct UnusedFromInput {
        /// From when.
        pub r#type: UnusedFrom,
    }
}

crate::params! {
    /// What a pause bills.
    pub struct BillForInput {
        /// Until when usage is billed: until now, if left out.
        pub outstanding_usage_through: Option<UsageThroughInput>,
        /// From when time that was paid for is given back: from now, if left out.
        pub unused_time_from: Option<UnusedFromInput>,
    }
}

crate::params! {
    /// How a subscription is paused.
    pub struct Pause {
        /// What it bills.
        pub bill_for: Option<BillForInput>,
        /// What becomes of that: it waits for the next invoice, if left out.
        pub invoicing_behavior: Option<Invoicing>,
        /// What is paused.
        pub r#type: Option<PauseType>,
    }
}

/// Pauses a subscription, now: its periods end, what was used in them is billed, and what of them was
/// paid for and is not used is given back.
///
/// # Errors
/// A 404 when there is none, or it is over; a 400 when it cannot be paused.
pub async fn pause(ctx: &mut Ctx, id: &str, input: Pause) -> Result<Subscription> {
    let (before, mut customer) = held(ctx, id).await?;
    refuse(&before)?;
    let before = pending_update::give_up(ctx, before, &mut customer).await?;
    let (usage, unused) = match input.bill_for {
        Some(bill) => (bill.outstanding_usage_through, bill.unused_time_from),
        None => (None, None),
    };
    let usage = usage.map_or(UsageThrough::Now, |input| input.r#type);
    let unused = unused.map_or(UnusedFrom::Now, |input| input.r#type);
    let mut after = before.clone();
    for item in &mut after.items {
        let at = match unused {
            UnusedFrom::Now => Some(ctx.now),
            UnusedFrom::ItemCurrentPeriodStart => Some(item.current_period.start),
            UnusedFrom::None => None,
        };
        if let Some(at) = at {
            Change { at, billed: true }.give_back(ctx, &before, item).await?;
            item.terms.debits.clear();
        }
        if usage == UsageThrough::Now {
            Change { at: ctx.now, billed: true }.bill_usage(ctx, &before, item).await?;
        }
        item.current_period.end = ctx.now;
        item.terms.usage_from = None;
        item.terms.billed_early = None;
        item.terms.paid_until = None;
    }
    after.status = Status::Paused;
    let reason = PausedReason::PauseRequested;
    after.terms.paused = Some(Paused { reason, transitioned_at: ctx.now.0 });
    super::save(ctx, &before, &after).await?;
    outbox::push(ctx, "customer.subscription.paused", &after.wire()).await?;
    if input.invoicing_behavior == Some(Invoicing::Invoice) {
        let pay = Pay { behavior: PaymentBehavior::AllowIncomplete, off_session: true };
        let billed = Billed { lines: Vec::new(), at: ctx.now, left: Vec::new() };
        Box::pin(pay.bill(ctx, &mut customer, after, billed)).await?;
    }
    let after = retrieve(ctx, id).await?;
    super::put_down(ctx, &after).await?;
    Ok(after)
}

fn refuse(sub: &Subscription) -> Result<()> {
    if sub.has_ended() {
        return Err(Error::no_such_path(SubscriptionKind::NOUN, sub.id.as_str()));
    }
    if matches!(sub.status, Status::Trialing | Status::Incomplete | Status::Paused) {
        let status = crate::params::Choice::as_str(sub.status);
        return Err(Error::invalid(format!("You can't pause a subscription that is `{status}`.")));
    }
    if sub.billing_mode == BillingModeType::Classic {
        return Err(Error::invalid(
            "You can only pause a subscription whose billing mode is `flexible`. Migrate it first.",
        ));
    }
    if sub.collection_method == CollectionMethod::SendInvoice {
        return Err(Error::invalid(
            "You can only pause a subscription whose collection method is `charge_automatically`.",
        ));
    }
    match &sub.terms.schedule {
        Some(schedule) => Err(Error::invalid(format!(
            "You can't pause a subscription that is managed by the subscription schedule \
             `{schedule}`."
        ))),
        None => Ok(()),
    }
}
