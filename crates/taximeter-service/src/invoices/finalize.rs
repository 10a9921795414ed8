//! Issuing invoices: a draft is counted for the last time, numbered and settled against the
//! customer's balance.

use taximeter_kernel::invoice::{Settlement, number, settle};
use taximeter_kernel::time::{DAY_S, Timestamp};

use super::{CustomerSnapshot, Invoice, Status, build, collect, items, sql, too_large, totals};
use crate::balance_transactions::{self, BalanceChange};
use crate::billing_settings;
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Result};
use crate::jobs::{self, Job};
use crate::outbox;
use crate::subscriptions::CollectionMethod;

/// When an invoice must be paid that is `days` after `from`. Nothing where nothing is sent.
///
/// # Errors
/// A 400 when that is beyond every calendar.
pub(super) fn due_date(days: Option<i64>, from: Timestamp) -> Result<Option<Timestamp>> {
    let Some(days) = days else { return Ok(None) };
    let due = days.checked_mul(DAY_S).and_then(|s| from.0.checked_add(s));
    due.map(|at| Some(Timestamp(at))).ok_or_else(too_large)
}

impl Invoice {
    /// What would be due, and what would become of the customer's balance, if the invoice were
    /// finalized now.
    ///
    /// # Errors
    /// A 400 when an amount does not fit.
    pub fn settlement(&self, customer: &Customer) -> Result<Settlement> {
        settle(self.total, customer.balance, self.currency)
            .map_err(|error| too_large().because(error))
    }

    /// Lets a draft go on by itself after `grace_s` seconds.
    pub(crate) fn set_going(&mut self, now: Timestamp, grace_s: i64) {
        let at = now.0.saturating_add(grace_s);
        self.auto_advance = true;
        self.automatically_finalizes_at = Some(Timestamp(at));
        let automatic = self.collection_method == CollectionMethod::ChargeAutomatically;
        self.details.next_payment_attempt = automatic.then_some(at);
    }

    /// The next instant at which time brings it something.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        match self.status {
            Status::Draft if self.auto_advance => self.automatically_finalizes_at,
            Status::Open => {
                let attempt = self.details.next_payment_attempt.map(Timestamp);
                let attempt = attempt.filter(|_| self.auto_advance);
                let overdue = self.due_date.filter(|_| {
                    self.collection_method == CollectionMethod::SendInvoice
                        && !self.details.overdue_told
                });
                attempt.into_iter().chain(overdue).min()
            }
            Status::Draft | Status::Paid | Status::Uncollectible | Status::Void => None,
        }
    }
}

/// When the day is announced on which a sent invoice is due, if it is still to be: never before the
/// invoice was finalized.
pub(super) async fn announced_at(ctx: &mut Ctx, invoice: &Invoice) -> Result<Option<Timestamp>> {
    let sent = invoice.status == Status::Open
        && invoice.collection_method == CollectionMethod::SendInvoice
        && !invoice.details.will_be_due_told;
    let (true, Some(due), Some(since)) = (sent, invoice.due_date, invoice.finalized_at) else {
        return Ok(None);
    };
    let days = billing_settings::retrieve(ctx).await?.will_be_due_days;
    let at = Timestamp(due.0.saturating_sub(days.saturating_mul(DAY_S)));
    Ok((days > 0 && at > since && ctx.now < due).then_some(at))
}

/// Puts down when time next brings something to an invoice.
pub(super) async fn put_down(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    let subject = invoice.id.as_str();
    let job = Job { kind: jobs::Kind::Invoice, subject, clock: invoice.test_clock.as_ref() };
    let announced = announced_at(ctx, invoice).await?;
    jobs::schedule(ctx, job, invoice.next_due().into_iter().chain(announced).min()).await
}

/// Forgets what time would bring to an invoice that is deleted.
pub(super) async fn take_up(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    let subject = invoice.id.as_str();
    let job = Job { kind: jobs::Kind::Invoice, subject, clock: invoice.test_clock.as_ref() };
    jobs::schedule(ctx, job, None).await
}

/// Keeps a new draft, and tells of it.
///
/// # Errors
/// A 400 when the invoice amounts to more than can be billed.
pub async fn keep_draft(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    totals::add_up(ctx, invoice).await?;
    sql::insert(ctx, invoice).await?;
    items::claim(ctx, invoice).await?;
    outbox::push(ctx, "invoice.created", &invoice.wire()).await?;
    put_down(ctx, invoice).await
}

/// Finalizes a draft that is kept: it is counted for the last time, numbered and settled against the
/// customer's balance. With nothing due it is paid at once. The customer is held and is saved.
///
/// # Errors
/// A 400 when an amount does not fit or another invoice has the customer's next number.
pub async fn finalize(ctx: &mut Ctx, invoice: &mut Invoice, customer: &mut Customer) -> Result<()> {
    // On the heap: many verbs end in it.
    Box::pin(finalize_draft(ctx, invoice, customer)).await
}

async fn finalize_draft(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
) -> Result<()> {
    if invoice.status != Status::Draft {
        return Err(Error::invalid(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
        ));
    }
    let before = customer.clone();
    if invoice.lines.iter().any(|line| line.details.metered) {
        let position = ctx.usage().position().map_err(Error::internal)?;
        build::recount(ctx, invoice, Some(position)).await?;
        invoice.details.usage_position = Some(position);
    }
    invoice.starting_balance = customer.balance;
    totals::add_up(ctx, invoice).await?;
    settle_and_number(ctx, invoice, customer).await?;
    totals::spend(ctx, invoice).await?;
    customers::save(ctx, &before, customer).await?;
    sql::update(ctx, invoice).await?;
    sql::replace_lines(ctx, invoice).await?;
    let issued = invoice.wire();
    outbox::push(ctx, "invoice.finalized", &issued).await?;
    if invoice.status == Status::Paid {
        outbox::push(ctx, "invoice.paid", &issued).await?;
        outbox::push(ctx, "invoice.payment_succeeded", &issued).await?;
    } else {
        collect::open(ctx, invoice, customer).await?;
    }
    put_down(ctx, invoice).await
}

/// Writes into the ledger what an invoice does to the customer's balance: what it took from it or
/// gave to it, and what was too little to be paid.
async fn note_balance(
    ctx: &mut Ctx,
    invoice: &Invoice,
    customer: &mut Customer,
    settled: &Settlement,
) -> Result<()> {
    let credit = settled.starting_balance.saturating_neg().max(0).min(invoice.total);
    let applied = if invoice.total < 0 {
        invoice.total
    } else {
        credit.saturating_sub(settled.starting_balance.max(0))
    };
    let change = settled.ending_balance.checked_sub(settled.starting_balance);
    let too_small = change.and_then(|change| change.checked_sub(applied)).ok_or_else(too_large)?;
    for (amount, kind) in
        [(applied, BalanceChange::AppliedToInvoice), (too_small, BalanceChange::InvoiceTooSmall)]
    {
        let invoice = Some(&invoice.id);
        balance_transactions::record(ctx, customer, amount, kind, invoice, None, None).await?;
    }
    Ok(())
}

async fn settle_and_number(
    ctx: &mut Ctx,
    invoice: &mut Invoice,
    customer: &mut Customer,
) -> Result<()> {
    let settled = invoice.settlement(customer)?;
    if invoice.number.is_none() {
        invoice.number = Some(number(&customer.invoice_prefix, customer.next_invoice_sequence));
        customer.next_invoice_sequence =
            customer.next_invoice_sequence.checked_add(1).ok_or_else(too_large)?;
    }
    customer.currency = Some(invoice.currency);
    note_balance(ctx, invoice, customer, &settled).await?;
    invoice.customer_snapshot = CustomerSnapshot::of(customer);
    invoice.starting_balance = settled.starting_balance;
    invoice.ending_balance = Some(settled.ending_balance);
    invoice.amount_due = settled.amount_due;
    if invoice.days_until_due.is_some() {
        invoice.due_date = due_date(invoice.days_until_due, ctx.now)?;
    }
    invoice.finalized_at = Some(ctx.now);
    invoice.automatically_finalizes_at = None;
    invoice.details.last_finalization_error = None;
    invoice.status = Status::Open;
    if settled.amount_due == 0 {
        invoice.status = Status::Paid;
        invoice.paid_at = Some(ctx.now);
        invoice.attempted = true;
        invoice.details.next_payment_attempt = None;
    }
    Ok(())
}
