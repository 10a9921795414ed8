//! Who may redeem a promotion code, and with what.

use taximeter_kernel::id::{Kind as _, PromotionCode as PromotionCodeKind};
use taximeter_kernel::money::{Currency, format_amount};

use super::{PromotionCode, sql};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Error, Result};

/// What a promotion code is redeemed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purchase {
    /// A subscription or an invoice, whose subtotal is known: held against it by [`check_minimum`].
    Known,
    /// Whatever the customer will buy.
    Open,
}

fn refuse(param: &str, why: &str) -> Error {
    Error::invalid(format!("This promotion code cannot be redeemed because {why}.")).param(param)
}

/// Counts one redemption of the promotion code `id` by a customer. The coupon is counted by its own.
///
/// # Errors
/// A 400 when there is none, or the customer may not redeem it.
pub(crate) async fn redeem(
    ctx: &mut Ctx,
    id: &str,
    customer: &Customer,
    purchase: Purchase,
    param: &str,
) -> Result<PromotionCode> {
    let Some(mut code) = sql::find_locked(ctx, id).await? else {
        return Err(ctx.no_such(PromotionCodeKind::NOUN, id, param).await?);
    };
    if !code.active {
        return Err(refuse(param, "it is not active").code("coupon_expired"));
    }
    if code.customer.as_ref().is_some_and(|only| *only != customer.id) {
        return Err(refuse(param, "it is restricted to another customer"));
    }
    if code.restrictions.first_time_transaction && sql::has_paid(ctx, &customer.id).await? {
        return Err(refuse(param, "the associated customer has prior transactions"));
    }
    if purchase == Purchase::Open && code.restrictions.minimum_amount.is_some() {
        return Err(refuse(param, "it has a minimum amount, which a customer has not"));
    }
    code.times_redeemed = code
        .times_redeemed
        .checked_add(1)
        .ok_or_else(|| Error::internal("a promotion code was redeemed too often"))?;
    sql::update(ctx, &code).await?;
    Ok(code)
}

/// Holds what is bought with a promotion code against the least amount it is for.
///
/// # Errors
/// A 400 when `subtotal_minor` is less, or the code has no least amount in `currency`.
pub async fn check_minimum(
    ctx: &mut Ctx,
    id: &str,
    subtotal_minor: i64,
    currency: Currency,
    param: &str,
) -> Result<()> {
    let Some(code) = sql::find(ctx, id).await? else {
        return Err(ctx.no_such(PromotionCodeKind::NOUN, id, param).await?);
    };
    let restrictions = &code.restrictions;
    let (Some(own), Some(of)) =
        (restrictions.minimum_amount, &restrictions.minimum_amount_currency)
    else {
        return Ok(());
    };
    let least = if of == currency.code() {
        own
    } else {
        match restrictions.currency_options.get(currency.code()) {
            Some(least) => *least,
            None => {
                let why =
                    format!("its minimum amount is in another currency than `{}`", currency.code());
                return Err(refuse(param, &why));
            }
        }
    };
    if subtotal_minor >= least {
        return Ok(());
    }
    let least = format_amount(least.into(), currency);
    Err(refuse(
        param,
        &format!("the subtotal of this purchase does not meet the minimum order value of {least}"),
    ))
}
