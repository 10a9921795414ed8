//! Applying coupons: who may, and what comes of it.

use taximeter_kernel::id::{Discount as DiscountKind, Id, Kind as _, PromotionCode};
use taximeter_kernel::money::Currency;

use super::{Discount, DiscountInput, Holder, HolderKind, remove, sql};
use crate::coupons::{self, Coupon, Off};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Error, Result};
use crate::outbox;
use crate::params::Text;
use crate::promotion_codes::{self, Purchase};

/// The most discounts of one object (Stripe's).
pub const DISCOUNTS_MAX: usize = 20;

enum Asked {
    Coupon(Text<255>),
    Discount(Text<255>),
    PromotionCode(Text<255>),
}

impl DiscountInput {
    fn asked(self, path: &str) -> Result<Asked> {
        match (self.coupon, self.discount, self.promotion_code) {
            (Some(id), None, None) => Ok(Asked::Coupon(id)),
            (None, Some(id), None) => Ok(Asked::Discount(id)),
            (None, None, Some(id)) => Ok(Asked::PromotionCode(id)),
            (None, None, None) => Err(Error::invalid(format!(
                "You must specify one of `coupon`, `discount` or `promotion_code` in `{path}`."
            ))
            .code("parameter_missing")
            .param(path)),
            _ => Err(Error::invalid(
                "You may only specify one of these parameters: coupon, discount, promotion_code.",
            )
            .code("parameters_exclusive")
            .param(path)),
        }
    }
}

/// Makes the discounts that a request at `path` asks for, in its order, and counts each redemption.
/// One that is there already is used as it is. What held others before removes them, or calls
/// [`replace`].
///
/// # Errors
/// A 400 when a coupon, promotion code or discount does not exist, is over, is another customer's or
/// of another currency, or there are too many.
pub async fn apply(
    ctx: &mut Ctx,
    holder: Holder<'_>,
    customer: &Customer,
    currency: impl Into<Option<Currency>>,
    inputs: Vec<DiscountInput>,
    path: &str,
) -> Result<Vec<Discount>> {
    if inputs.len() > DISCOUNTS_MAX {
        return Err(Error::invalid(format!(
            "Invalid array: at most {DISCOUNTS_MAX} elements are accepted"
        ))
        .param(path));
    }
    let currency = currency.into();
    let mut discounts: Vec<Discount> = Vec::with_capacity(inputs.len());
    for (place, input) in inputs.into_iter().enumerate() {
        let here = format!("{path}[{place}]");
        let wanted = Wanted { holder, customer, currency };
        let discount = match input.asked(&here)? {
            Asked::Coupon(id) => {
                let param = format!("{here}[coupon]");
                let coupon = coupons::named_locked(ctx, &id, &param).await?;
                wanted.make(ctx, coupon, None, &param).await?
            }
            Asked::PromotionCode(id) => {
                wanted.redeem(ctx, &id, &format!("{here}[promotion_code]")).await?
            }
            Asked::Discount(id) => wanted.existing(ctx, &id, &format!("{here}[discount]")).await?,
        };
        if discounts.iter().any(|other| other.coupon.seq == discount.coupon.seq) {
            let id = &discount.coupon.id;
            let message = format!("The coupon `{id}` cannot be applied twice to the same object.");
            return Err(Error::invalid(message).param(here));
        }
        discounts.push(discount);
    }
    Ok(discounts)
}

/// As [`apply`], for an object that has discounts: those in `held` that are not asked for again are
/// removed.
///
/// # Errors
/// As [`apply`].
#[expect(clippy::too_many_arguments, reason = "those of `apply`, and what was held before")]
pub async fn replace(
    ctx: &mut Ctx,
    holder: Holder<'_>,
    customer: &Customer,
    currency: impl Into<Option<Currency>>,
    held: &[Id<DiscountKind>],
    inputs: Vec<DiscountInput>,
    path: &str,
) -> Result<Vec<Discount>> {
    let discounts = apply(ctx, holder, customer, currency, inputs, path).await?;
    for id in held {
        let kept = discounts.iter().any(|discount| discount.id == *id);
        if kept {
            continue;
        }
        // One that was taken from the customer or the subscription stays theirs.
        let own = sql::find(ctx, id.as_str()).await?;
        if own.is_some_and(|own| own.is_of(holder)) {
            remove(ctx, id).await?;
        }
    }
    Ok(discounts)
}

/// Makes the one discount of a customer, as versions before basil ask for it.
///
/// # Errors
/// As [`apply`].
pub(crate) async fn of_customer(
    ctx: &mut Ctx,
    customer: &Customer,
    coupon: Option<Text<255>>,
    promotion_code: Option<Text<255>>,
) -> Result<Option<Discount>> {
    let wanted = Wanted { holder: Holder::Customer, customer, currency: customer.currency };
    match (coupon, promotion_code) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Error::invalid(
            "You may only specify one of these parameters: coupon, promotion_code.",
        )
        .code("parameters_exclusive")
        .param("coupon")),
        (Some(id), None) => {
            let coupon = coupons::named_locked(ctx, &id, "coupon").await?;
            wanted.make(ctx, coupon, None, "coupon").await.map(Some)
        }
        (None, Some(id)) => wanted.redeem(ctx, &id, "promotion_code").await.map(Some),
    }
}

/// What a coupon is to be applied to.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    holder: Holder<'a>,
    customer: &'a Customer,
    currency: Option<Currency>,
}

impl Wanted<'_> {
    async fn redeem(&self, ctx: &mut Ctx, id: &str, param: &str) -> Result<Discount> {
        let purchase = match self.holder.kind() {
            HolderKind::Customer => Purchase::Open,
            HolderKind::Subscription
            | HolderKind::SubscriptionItem
            | HolderKind::Invoice
            | HolderKind::InvoiceItem => Purchase::Known,
        };
        let code = promotion_codes::redeem(ctx, id, self.customer, purchase, param).await?;
        let coupon = coupons::of_row_locked(ctx, code.coupon.seq).await?;
        self.make(ctx, coupon, Some(code.id), param).await
    }

    async fn make(
        &self,
        ctx: &mut Ctx,
        mut coupon: Coupon,
        promotion_code: Option<Id<PromotionCode>>,
        param: &str,
    ) -> Result<Discount> {
        self.check_currency(&coupon, param)?;
        coupons::redeem(ctx, &mut coupon, param).await?;
        let discount = Discount {
            id: ctx.new_id(),
            end: coupon.duration.end(ctx.now).map_err(Error::internal)?,
            coupon,
            promotion_code,
            customer: self.customer.id.clone(),
            kind: self.holder.kind(),
            holder: self.holder.id(&self.customer.id).to_owned(),
            start: ctx.now,
            spent_at: None,
            removed_at: None,
        };
        sql::insert(ctx, &discount).await?;
        if discount.is_told_of() {
            outbox::push(ctx, "customer.discount.created", &discount.wire()).await?;
        }
        Ok(discount)
    }

    fn check_currency(&self, coupon: &Coupon, param: &str) -> Result<()> {
        let (Some(billed), Off::Amounts { currency, amounts }) = (self.currency, &coupon.off)
        else {
            return Ok(());
        };
        if amounts.contains_key(&billed) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "The coupon `{}` takes off an amount in `{}` and cannot be applied to what is billed in \
             `{}`.",
            coupon.id,
            currency.code(),
            billed.code()
        ))
        .param(param))
    }

    /// A discount of this customer that is not over.
    async fn existing(&self, ctx: &mut Ctx, id: &str, param: &str) -> Result<Discount> {
        let found = sql::find(ctx, id).await?;
        match found.filter(|found| found.customer == self.customer.id) {
            Some(found) if found.active_at(ctx.now) => {
                self.check_currency(&found.coupon, param)?;
                Ok(found)
            }
            Some(_) => Err(Error::invalid(format!("The discount `{id}` is over.")).param(param)),
            None => Err(Error::no_such(DiscountKind::NOUN, id, param)),
        }
    }
}
