//! How a paused subscription is resumed: at once where nothing is to be paid, else once its invoice
//! is.

use taximeter_kernel::id::{Kind as _, Subscription as SubscriptionKind};
use taximeter_kernel::price::UsageType;
use taximeter_kernel::time::{HOUR_S, Period, Timestamp};

use super::input::{AnchorChange, AnchorChangeInput, ProrationBehavior};
use super::periods::{open_all, whole_at};
use super::prorate::Change;
use super::{CollectionMethod, Resuming, Status, Subscription, advance, held, retrieve};
use crate::choice;
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Error, Kind, Result};
use crate::invoices::{self, BillingReason, Collected, Draft, Invoice, Line};
use crate::outbox;
use crate::params::OrWord;

/// How long the invoice of a resumption may stay unpaid, in seconds (Stripe's).
const RESUMING_S: i64 = 23 * HOUR_S;

choice! {
    /// When a subscription is resumed that is to be paid for.
    pub enum ResumeOn {
        /// Once its payment was tried, which is done at once: if it fails, it is past due.
        Attempt = "resume_on_payment_attempt",
        /// Once it is paid, which is left to the client.
        Success = "resume_on_payment_success",
    }
}

crate::params! {
    /// How a subscription is resumed.
    pub struct Resume {
        /// Whether its periods begin anew: they do, if left out.
        pub billing_cycle_anchor: Option<OrWord<AnchorChange, AnchorChangeInput>>,
        /// When it is resumed that is to be paid for.
        pub payment_behavior: Option<ResumeOn>,
        /// How the rest of a period that it comes back to is billed. None is, where periods begin
        /// anew.
        pub proration_behavior: Option<ProrationBehavior>,
        /// As of when that is reckoned.
        pub proration_date: Option<i64>,
    }
}

/// Resumes a paused subscription.
///
/// # Errors
/// A 404 when there is none, or it is over; a 400 when it is not paused, or an amount does not fit.
pub async fn resume(ctx: &mut Ctx, id: &str, input: Resume) -> Result<Subscription> {
    let (before, mut customer) = held(ctx, id).await?;
    refuse(&before)?;
    let anchor = match input.billing_cycle_anchor {
        None => AnchorChange::Now,
        Some(OrWord::Word(word)) => word,
        Some(OrWord::Value(value)) => value.r#type,
    };
    let mut after = before.clone();
    let (lines, at_once) = match anchor {
        AnchorChange::Now => (open_all(ctx, &mut after).await?, true),
        AnchorChange::Unchanged => {
            let behavior = input.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations);
            come_back(ctx, &before, &mut after, behavior, input.proration_date).await?;
            (Vec::new(), behavior == ProrationBehavior::AlwaysInvoice)
        }
    };
    let invoice = if at_once { draw_up(ctx, &customer, &mut after, lines).await? } else { None };
    match invoice {
        None => become_active(ctx, &before, after, Status::Active).await?,
        Some(invoice) => {
            let on = input.payment_behavior.unwrap_or(ResumeOn::Attempt);
            await_payment(ctx, &mut customer, (&before, after), invoice, on).await?;
        }
    }
    let after = retrieve(ctx, id).await?;
    super::put_down(ctx, &after).await?;
    Ok(after)
}

fn refuse(sub: &Subscription) -> Result<()> {
    if sub.has_ended() {
        return Err(Error::no_such_path(SubscriptionKind::NOUN, sub.id.as_str()));
    }
    if sub.status != Status::Paused {
        return Err(Error::invalid("You can only resume a subscription if it is `paused`."));
    }
    if sub.collection_method == CollectionMethod::SendInvoice {
        return Err(Error::invalid(
            "You can only resume a subscription whose collection method is `charge_automatically`.",
        ));
    }
    match &sub.terms.resuming {
        Some(resuming) => Err(Error::invalid(format!(
            "This subscription is resumed once the invoice `{}` is paid. To resume it otherwise, \
             void that invoice first.",
            resuming.invoice
        ))),
        None => Ok(()),
    }
}

/// Goes on with the periods as they were counted, with the rest of those that it is in now.
async fn come_back(
    ctx: &mut Ctx,
    before: &Subscription,
    after: &mut Subscription,
    behavior: ProrationBehavior,
    date: Option<i64>,
) -> Result<()> {
    let billed = behavior != ProrationBehavior::None;
    let change = Change { at: date.map_or(ctx.now, Timestamp), billed };
    let as_it_will_be = after.clone();
    for item in &mut after.items {
        let whole = whole_at(&as_it_will_be, item, ctx.now)?;
        if !whole.contains(change.at) {
            return Err(Error::invalid(
                "Invalid proration_date: it must be within the period that the subscription is \
                 resumed in.",
            )
            .param("proration_date"));
        }
        let period = Period { start: ctx.now, end: whole.end };
        let licensed = item.price.usage_type() == UsageType::Licensed;
        if licensed && change.billed {
            // What was paid for and not given back when it was paused.
            change.give_back(ctx, before, item).await?;
            item.terms.debits.clear();
        }
        item.enter(period, as_it_will_be.ends_within(period));
        change.charge(ctx, &as_it_will_be, item).await?;
    }
    after.end_with_period();
    Ok(())
}

/// The invoice of a resumption, as a draft, with what is pending; none where it would be empty.
async fn draw_up(
    ctx: &mut Ctx,
    customer: &Customer,
    after: &mut Subscription,
    lines: Vec<Line>,
) -> Result<Option<Invoice>> {
    let draft = Draft {
        customer,
        subscription: after,
        billing_reason: BillingReason::SubscriptionUpdate,
        period: Period { start: ctx.now, end: ctx.now },
        created: ctx.now,
        lines,
    };
    let mut invoice = draft.invoice(ctx.new_id())?;
    invoices::sweep_pending(ctx, &mut invoice).await?;
    if invoice.lines.is_empty() {
        return Ok(None);
    }
    invoices::keep_draft(ctx, &mut invoice).await?;
    advance::note_debits(after, &invoice);
    after.latest_invoice = Some(invoice.id.clone());
    Ok(Some(invoice))
}

/// Finalizes the invoice of a resumption, and tries to collect it if that is asked for. The
/// subscription stays paused until it is paid.
async fn await_payment(
    ctx: &mut Ctx,
    customer: &mut Customer,
    (before, mut after): (&Subscription, Subscription),
    mut invoice: Invoice,
    on: ResumeOn,
) -> Result<()> {
    let until = ctx.now.0.saturating_add(RESUMING_S);
    let debits = before.items.iter();
    let debits = debits.map(|item| (item.id.as_str().to_owned(), item.terms.debits.clone()));
    let id = invoice.id.as_str().to_owned();
    after.terms.resuming = Some(Resuming { invoice: id, until, debits: debits.collect() });
    super::save(ctx, before, &after).await?;
    let default = after.terms.default_payment_method.as_deref();
    let tried = on == ResumeOn::Attempt && invoices::can_be_charged(ctx, customer, default).await?;
    invoice.auto_advance = tried;
    invoices::finalize_held(ctx, &mut invoice, customer).await?;
    if invoice.status == invoices::Status::Paid {
        return invoice_settled(ctx, after, &invoice).await;
    }
    if !tried {
        return Ok(());
    }
    match invoices::collect(ctx, &mut invoice, customer, None, true).await? {
        Collected::NotPaid(error) if error.kind == Kind::Card && !needs_the_customer(&error) => {
            let sub = retrieve(ctx, before.id.as_str()).await?;
            let mut after = sub.clone();
            after.terms.resuming = None;
            become_active(ctx, &sub, after, Status::PastDue).await
        }
        Collected::Paid | Collected::NotPaid(_) => Ok(()),
    }
}

/// Whether a payment was not refused, but waits for the customer.
fn needs_the_customer(error: &Error) -> bool {
    error.code == Some("invoice_payment_intent_requires_action")
}

/// The invoice of a resumption was paid or given up: the subscription is active.
///
/// # Errors
/// A 500 when the database does not take it.
pub(super) async fn invoice_settled(
    ctx: &mut Ctx,
    before: Subscription,
    invoice: &Invoice,
) -> Result<()> {
    let mut after = before.clone();
    if after.terms.resuming.take_if(|resuming| resuming.invoice == invoice.id.as_str()).is_none() {
        return Ok(());
    }
    become_active(ctx, &before, after, Status::Active).await
}

/// The invoice of a resumption was taken back: the subscription stays paused, and can be resumed
/// again.
///
/// # Errors
/// A 500 when the database does not take it.
pub(super) async fn invoice_void(
    ctx: &mut Ctx,
    before: Subscription,
    invoice: &Invoice,
) -> Result<()> {
    let mut after = before.clone();
    match after.terms.resuming.take_if(|resuming| resuming.invoice == invoice.id.as_str()) {
        Some(resuming) => stay_paused(ctx, &before, after, &resuming).await,
        None => Ok(()),
    }
}

/// The invoice of a resumption was not paid in time: it is taken back.
///
/// # Errors
/// A 500 when the database does not take it.
pub(super) async fn give_up(
    ctx: &mut Ctx,
    before: Subscription,
    customer: &mut Customer,
) -> Result<()> {
    let mut after = before.clone();
    let Some(resuming) = after.terms.resuming.take() else { return Ok(()) };
    stay_paused(ctx, &before, after, &resuming).await?;
    let held = invoices::locked_with_customer(ctx, &resuming.invoice).await?;
    let Some((mut invoice, mut held)) = held else { return Ok(()) };
    if invoice.status == invoices::Status::Open {
        invoices::void_held(ctx, &mut invoice, &mut held).await?;
    }
    *customer = held;
    Ok(())
}

/// The periods that were to begin do not.
async fn stay_paused(
    ctx: &mut Ctx,
    before: &Subscription,
    mut after: Subscription,
    resuming: &Resuming,
) -> Result<()> {
    for item in &mut after.items {
        item.current_period.end = item.current_period.start;
        let had = resuming.debits.iter().find(|(id, _)| id == item.id.as_str());
        item.terms.debits = had.map(|(_, debits)| debits.clone()).unwrap_or_default();
    }
    super::save(ctx, before, &after).await?;
    super::put_down(ctx, &after).await
}

async fn become_active(
    ctx: &mut Ctx,
    before: &Subscription,
    mut after: Subscription,
    status: Status,
) -> Result<()> {
    after.status = status;
    after.terms.paused = None;
    super::save(ctx, before, &after).await?;
    super::put_down(ctx, &after).await?;
    outbox::push(ctx, "customer.subscription.resumed", &after.wire()).await
}
