//! Discounts: coupons as they were applied to customers, subscriptions, items and invoices.
//!
//! A discount has no address of its own. What holds it lists its id, and shows it whole where
//! `expand` asks.

mod apply;
mod sql;
mod wire;

pub(crate) use apply::of_customer;
pub use apply::{DISCOUNTS_MAX, apply, replace};
use serde_json::Value;
use taximeter_kernel::id::{
    Customer as CustomerKind, Discount as DiscountKind, Id, Invoice, InvoiceItem, Kind as _,
    PromotionCode, Subscription, SubscriptionItem,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;
use taximeter_kernel::totals::{Level, Reduction};

use crate::coupons::{Coupon, Duration};
use crate::ctx::Ctx;
use crate::customers;
use crate::error::{Error, Result};
use crate::outbox;
use crate::params::Text;
use crate::promotion_codes;
use crate::test_clocks;

crate::params! {
    /// What is to be taken off: exactly one of the three.
    pub struct DiscountInput {
        /// A coupon to redeem.
        pub coupon: Option<Text<255>>,
        /// A discount that is there already, to keep or to use again.
        pub discount: Option<Text<255>>,
        /// A promotion code to redeem.
        pub promotion_code: Option<Text<255>>,
    }
}

crate::params! {
    /// Removing takes no parameters.
    pub struct Delete {}
}

crate::choice! {
    /// What a discount is taken off.
    pub enum HolderKind {
        /// All that a customer is billed.
        Customer = "customer",
        /// A subscription.
        Subscription = "subscription",
        /// One item of a subscription.
        SubscriptionItem = "subscription_item",
        /// An invoice.
        Invoice = "invoice",
        /// An invoice item.
        InvoiceItem = "invoice_item",
    }
}

/// What a discount is applied to.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    /// All that the customer is billed.
    Customer,
    /// A subscription.
    Subscription(&'a Id<Subscription>),
    /// One item of a subscription.
    SubscriptionItem(&'a Id<SubscriptionItem>),
    /// An invoice.
    Invoice(&'a Id<Invoice>),
    /// An invoice item.
    InvoiceItem(&'a Id<InvoiceItem>),
}

impl Holder<'_> {
    const fn kind(&self) -> HolderKind {
        match self {
            Self::Customer => HolderKind::Customer,
            Self::Subscription(_) => HolderKind::Subscription,
            Self::SubscriptionItem(_) => HolderKind::SubscriptionItem,
            Self::Invoice(_) => HolderKind::Invoice,
            Self::InvoiceItem(_) => HolderKind::InvoiceItem,
        }
    }

    fn id<'b>(&'b self, customer: &'b Id<CustomerKind>) -> &'b str {
        match self {
            Self::Customer => customer.as_str(),
            Self::Subscription(id) => id.as_str(),
            Self::SubscriptionItem(id) => id.as_str(),
            Self::Invoice(id) => id.as_str(),
            Self::InvoiceItem(id) => id.as_str(),
        }
    }
}

/// A coupon as it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discount {
    /// Its id.
    pub id: Id<DiscountKind>,
    /// What it takes off, how long and of what.
    pub coupon: Coupon,
    /// The promotion code that it was redeemed by.
    pub promotion_code: Option<Id<PromotionCode>>,
    /// Who gets it.
    pub customer: Id<CustomerKind>,
    /// What it is taken off.
    pub kind: HolderKind,
    /// The id of that.
    pub holder: String,
    /// When it was applied.
    pub start: Timestamp,
    /// When it ends by itself.
    pub end: Option<Timestamp>,
    /// When the one invoice was billed that a discount of a single use is for.
    pub spent_at: Option<Timestamp>,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
}

impl Discount {
    /// Whether something is taken off what is billed at `t`.
    #[must_use]
    pub fn active_at(&self, t: Timestamp) -> bool {
        let lasts = match self.coupon.duration {
            Duration::Once => self.spent_at.is_none(),
            Duration::Repeating { .. } => self.end.is_none_or(|end| t < end),
            Duration::Forever => true,
        };
        lasts && self.removed_at.is_none()
    }

    /// The discount as the totals of an invoice in `currency` take it: `lines` says of each line
    /// whether it is this holder's and of a product that the coupon covers. Nothing when the coupon
    /// takes nothing off that currency.
    #[must_use]
    pub fn of_lines(
        &self,
        currency: Currency,
        level: Level,
        lines: Vec<bool>,
    ) -> Option<Reduction> {
        let discount = self.coupon.taken_off(currency)?;
        Some(Reduction { discount, level, lines })
    }

    /// Whether a customer's webhooks tell of it: those of single invoices they do not.
    const fn is_told_of(&self) -> bool {
        match self.kind {
            HolderKind::Customer | HolderKind::Subscription | HolderKind::SubscriptionItem => true,
            HolderKind::Invoice | HolderKind::InvoiceItem => false,
        }
    }
}

/// Reads discounts with their coupons, in the order of their ids: those that are over, too.
///
/// # Errors
/// A 500 when one does not exist: discounts are never deleted.
pub async fn of(ctx: &mut Ctx, ids: &[Id<DiscountKind>]) -> Result<Vec<Discount>> {
    let mut discounts = Vec::with_capacity(ids.len());
    for id in ids {
        let found = sql::find(ctx, id.as_str()).await?;
        let found = found.ok_or_else(|| Error::internal(format!("no discount is called {id}")))?;
        discounts.push(found);
    }
    Ok(discounts)
}

/// Reads a discount that something names, to show it whole.
///
/// # Errors
/// A 404 when there is none.
pub(crate) async fn retrieve_any(ctx: &mut Ctx, id: &str) -> Result<Discount> {
    match sql::find(ctx, id).await? {
        Some(discount) => Ok(discount),
        None => Err(ctx.no_such_path(DiscountKind::NOUN, id).await?),
    }
}

/// Removes a discount from what holds it. Invoices that were billed with it keep it. The holder
/// forgets the id by itself.
///
/// # Errors
/// A 500 when it does not exist.
pub async fn remove(ctx: &mut Ctx, id: &Id<DiscountKind>) -> Result<Discount> {
    let found = sql::find_locked(ctx, id.as_str()).await?;
    let mut discount =
        found.ok_or_else(|| Error::internal(format!("no discount is called {id}")))?;
    if discount.removed_at.is_some() {
        return Ok(discount);
    }
    discount.removed_at = Some(ctx.now);
    sql::update(ctx, &discount).await?;
    if discount.is_told_of() {
        outbox::push(ctx, "customer.discount.deleted", &discount.wire()).await?;
    }
    Ok(discount)
}

/// Notes that an invoice was billed with these discounts: those of a single use are over.
///
/// # Errors
/// A 500 when one does not exist.
pub async fn spend(ctx: &mut Ctx, ids: &[Id<DiscountKind>]) -> Result<()> {
    for mut discount in of(ctx, ids).await? {
        if discount.coupon.duration == Duration::Once && discount.spent_at.is_none() {
            discount.spent_at = Some(ctx.now);
            sql::update(ctx, &discount).await?;
        }
    }
    Ok(())
}

impl Discount {
    /// Whether it was made for this, and not taken from something else.
    #[must_use]
    pub fn is_of(&self, holder: Holder<'_>) -> bool {
        self.kind == holder.kind() && self.holder == holder.id(&self.customer)
    }
}

/// Holds a purchase against the least amounts of the promotion codes that it was made with. To be
/// called once its subtotal is known; `path` is the parameter that named them.
///
/// # Errors
/// A 400 when it is too small for one.
pub async fn check_minimum(
    ctx: &mut Ctx,
    discounts: &[Discount],
    subtotal_minor: i64,
    currency: Currency,
    path: &str,
) -> Result<()> {
    for code in discounts.iter().filter_map(|discount| discount.promotion_code.as_ref()) {
        promotion_codes::check_minimum(ctx, code.as_str(), subtotal_minor, currency, path).await?;
    }
    Ok(())
}

/// Removes the discount of a customer whose id is in the path.
///
/// # Errors
/// A 404 when there is no such customer, or it has none.
pub async fn delete_of_customer(ctx: &mut Ctx, id: &str, _: Delete) -> Result<Value> {
    let before = customers::retrieve_locked(ctx, id).await?;
    test_clocks::follow(ctx, &before).await?;
    let Some(discount) = before.discount.clone() else {
        return Err(Error::invalid(format!("No active discount for customer: {id}"))
            .code("resource_missing")
            .not_found());
    };
    let mut customer = before.clone();
    customer.discount = None;
    let removed = remove(ctx, &discount.id).await?;
    customers::save(ctx, &before, &customer).await?;
    Ok(removed.wire())
}
