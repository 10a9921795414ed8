//! The one currency that a customer is billed in at a time.

use taximeter_kernel::money::Currency;

use super::{Customer, sql};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::{invoice_items, invoices};

/// The currency that a customer is bound to: while there is a balance in it, a subscription that
/// has not ended, a draft that will be settled in it, or a pending invoice item. After that, what is
/// next may bring another.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn bound_currency(ctx: &mut Ctx, customer: &Customer) -> Result<Option<Currency>> {
    if customer.currency.is_none() {
        return Ok(None);
    }
    let bound = customer.balance != 0
        || sql::has_subscription(ctx, &customer.id).await?
        || invoices::count_drafts(ctx, &customer.id).await? > 0
        || invoice_items::has_pending(ctx, &customer.id).await?;
    Ok(customer.currency.filter(|_| bound))
}

/// Binds a customer to the currency of what it is about to be billed. The caller saves it.
///
/// # Errors
/// A 400 when it is bound to another.
pub async fn bind_currency(
    ctx: &mut Ctx,
    customer: &mut Customer,
    currency: Currency,
) -> Result<()> {
    match bound_currency(ctx, customer).await? {
        Some(bound) if bound != currency => Err(Error::invalid(format!(
            "You cannot combine currencies on a single customer. This customer has an active \
             subscription, subscription schedule, discount, quote, or invoice item with currency \
             {}.",
            bound.code()
        ))),
        _ => {
            customer.currency = Some(currency);
            Ok(())
        }
    }
}
