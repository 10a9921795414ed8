//! What the lines of an invoice come to.

use taximeter_kernel::invoice::settle;

use super::{Invoice, too_large};
use crate::ctx::Ctx;
use crate::error::Result;

/// Brings the lines to the invoice's totals.
///
/// # Errors
/// A 400 when the invoice amounts to more than can be billed.
pub(super) async fn add_up(_ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    let sum = invoice.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.amount));
    invoice.subtotal = sum.ok_or_else(too_large)?;
    invoice.total = invoice.subtotal;
    invoice.amount_due = invoice.total.max(0);
    settle(invoice.total, invoice.starting_balance, invoice.currency)
        .map_err(|error| too_large().because(error))?;
    Ok(())
}
