//! Issuing invoices: a draft is numbered and settled against the customer's balance.

use taximeter_kernel::invoice::{Settlement, number, settle};
use taximeter_kernel::time::{DAY_S, Timestamp};

use super::{CustomerSnapshot, Invoice, Status, sql, too_large};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Kind, Result};
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

    /// Numbers the invoice and settles it against the customer's balance. With nothing due it is
    /// paid at once. The caller saves the customer.
    ///
    /// # Errors
    /// A 400 when an amount does not fit.
    fn finalize(&mut self, customer: &mut Customer, now: Timestamp) -> Result<()> {
        let settled = self.settlement(customer)?;
        self.number = Some(number(&customer.invoice_prefix, customer.next_invoice_sequence));
        customer.next_invoice_sequence =
            customer.next_invoice_sequence.checked_add(1).ok_or_else(too_large)?;
        customer.balance = settled.ending_balance;
        self.customer_snapshot = CustomerSnapshot::of(customer);
        self.starting_balance = settled.starting_balance;
        self.ending_balance = Some(settled.ending_balance);
        self.amount_due = settled.amount_due;
        self.due_date = due_date(self.days_until_due, now)?;
        self.finalized_at = Some(now);
        self.status = Status::Open;
        if settled.amount_due == 0 {
            self.status = Status::Paid;
            self.paid_at = Some(now);
            self.attempted = true;
        }
        Ok(())
    }
}

/// Writes a new invoice, the customer as it is after it, and the events that tell of both. What is
/// collected automatically is finalized at once; what is to be sent stays a draft. `before` is the
/// customer as it is stored.
///
/// # Errors
/// A 400 when an amount does not fit, or another invoice has the customer's next number.
pub async fn issue(
    ctx: &mut Ctx,
    mut invoice: Invoice,
    before: &Customer,
    mut customer: Customer,
) -> Result<()> {
    let draft = invoice.wire();
    match invoice.collection_method {
        CollectionMethod::ChargeAutomatically => invoice.finalize(&mut customer, ctx.now)?,
        CollectionMethod::SendInvoice => {}
    }
    customers::save(ctx, before, &customer).await?;
    sql::insert(ctx, &invoice).await?;
    outbox::push(ctx, "invoice.created", &draft).await?;
    if invoice.status == Status::Draft {
        return Ok(());
    }
    let issued = invoice.wire();
    outbox::push(ctx, "invoice.finalized", &issued).await?;
    if invoice.status == Status::Paid {
        outbox::push(ctx, "invoice.paid", &issued).await?;
        outbox::push(ctx, "invoice.payment_succeeded", &issued).await?;
    }
    Ok(())
}

/// Stripe's refusal of an invoice that nothing can pay.
pub(crate) fn no_payment_source() -> Error {
    Error::new(
        Kind::InvalidRequest,
        "This customer has no attached payment source or default payment method. Please consider \
         adding a default payment method. For more information, visit \
         https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.",
    )
    .code("resource_missing")
}
