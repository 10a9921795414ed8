//! Promotion codes: words by which customers redeem coupons.

mod check;
mod sql;
mod wire;

use std::collections::BTreeMap;

pub(crate) use check::redeem;
pub use check::{Purchase, check_minimum};
use taximeter_db::Arg;
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Kind as _, PromotionCode as PromotionCodeKind,
};
use taximeter_kernel::money::{AMOUNT_MINOR_MAX, Currency};
use taximeter_kernel::time::Timestamp;
pub use wire::Restrictions;

use crate::coupons::{self, Coupon};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::params::{Decode as _, Keyed, Metadata, MetadataChange, Node, Path, Range, Text};
use crate::version::CLOVER;
use crate::{customers, outbox};

crate::choice! {
    /// What a promotion code stands for.
    pub enum PromotionType {
        /// A coupon.
        Coupon = "coupon",
    }
}

crate::params! {
    /// What a new promotion code stands for.
    pub struct PromotionInput {
        /// The coupon.
        pub coupon: Option<Text<255>>,
        /// That it is one.
        pub r#type: PromotionType,
    }
}

crate::params! {
    /// The least purchase in another currency.
    pub struct MinimumInput {
        /// Whole minor units.
        pub minimum_amount: Option<i64>,
    }
}

crate::params! {
    /// Who can redeem a new promotion code, and with what.
    pub struct RestrictionsInput {
        /// The least purchase in other currencies.
        pub currency_options: Option<Keyed<MinimumInput>>,
        /// Whether only who has not paid anything yet.
        pub first_time_transaction: Option<bool>,
        /// The least purchase, in whole minor units.
        pub minimum_amount: Option<i64>,
        /// The currency of that.
        pub minimum_amount_currency: Option<Currency>,
    }
}

crate::params! {
    /// What of the restrictions changes.
    pub struct RestrictionsChange {
        /// The least purchase in other currencies.
        pub currency_options: Option<Keyed<MinimumInput>>,
    }
}

crate::params! {
    /// What a new promotion code is made of.
    pub struct Create {
        /// Whether it can be redeemed.
        pub active: Option<bool>,
        /// The word. A random one unless it is said.
        pub code: Option<Text<500>>,
        /// The coupon, as versions before clover say it.
        pub coupon: Option<Text<255>>,
        /// Who alone can redeem it.
        pub customer: Option<Text<255>>,
        /// When it ends.
        pub expires_at: Option<Timestamp>,
        /// How often it can be redeemed.
        pub max_redemptions: Option<i64>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// What it stands for.
        pub promotion: Option<PromotionInput>,
        /// Who can redeem it, and with what.
        pub restrictions: Option<RestrictionsInput>,
    }
}

crate::params! {
    /// What of a promotion code changes.
    pub struct Update {
        /// Whether it can be redeemed.
        pub active: Option<bool>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// Who can redeem it, and with what.
        pub restrictions: Option<RestrictionsChange>,
    }
}

crate::params! {
    /// A list of promotion codes.
    pub struct List with page {
        /// Only those that can, or cannot, be redeemed.
        pub active: Option<bool>,
        /// Only those of this word, in any case.
        pub code: Option<Text<500>>,
        /// Only those of this coupon.
        pub coupon: Option<Text<255>>,
        /// Only those made in this span.
        pub created: Range,
        /// Only those that this customer alone can redeem.
        pub customer: Option<Text<255>>,
    }
}

/// A word by which customers redeem a coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionCode {
    /// Its id.
    pub id: Id<PromotionCodeKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// The word.
    pub code: String,
    /// What it redeems.
    pub coupon: Coupon,
    /// Whether the operator lets it be redeemed.
    pub enabled: bool,
    /// Whether it could be redeemed when it was read.
    pub active: bool,
    /// Who alone can redeem it.
    pub customer: Option<Id<CustomerKind>>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// How often it can be redeemed.
    pub max_redemptions: Option<i64>,
    /// How often it was redeemed.
    pub times_redeemed: i64,
    /// Who can redeem it, and with what.
    pub restrictions: Restrictions,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

impl PromotionCode {
    /// Whether its own bounds and its coupon's let it be redeemed.
    fn is_redeemable(&self, now: Timestamp) -> bool {
        let in_time = self.expires_at.is_none_or(|at| now < at);
        let left = self.max_redemptions.is_none_or(|max| self.times_redeemed < max);
        self.coupon.valid && in_time && left
    }
}

/// Makes a promotion code.
///
/// # Errors
/// A 400 when a rule of promotion codes is broken, the coupon or the customer does not exist, or
/// another active one has the code.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<PromotionCode> {
    let coupon = coupon_of(ctx, input.coupon, input.promotion).await?;
    let customer = match input.customer {
        Some(id) => Some(customers::named(ctx, &id, "customer").await?.id),
        None => None,
    };
    let max_redemptions = coupons::checked_redemptions(input.max_redemptions)?;
    check_within_coupon(&coupon, input.expires_at, max_redemptions, ctx.now)?;
    let enabled = input.active.unwrap_or(true);
    let promotion_code = PromotionCode {
        id: ctx.new_id(),
        livemode: ctx.scope().mode.is_live(),
        code: match input.code {
            Some(code) => checked_code(code)?,
            None => random_code(&ctx.entropy()),
        },
        coupon,
        enabled,
        active: enabled,
        customer,
        expires_at: input.expires_at,
        max_redemptions,
        times_redeemed: 0,
        restrictions: restrictions(input.restrictions)?,
        metadata: input.metadata.0,
        created: ctx.now,
    };
    if enabled {
        check_code_is_free(ctx, &promotion_code).await?;
    }
    sql::insert(ctx, &promotion_code).await?;
    outbox::push(ctx, "promotion_code.created", &promotion_code.wire()).await?;
    Ok(promotion_code)
}

/// The coupon that a request names, as its version names it.
async fn coupon_of(
    ctx: &mut Ctx,
    older: Option<Text<255>>,
    newer: Option<PromotionInput>,
) -> Result<Coupon> {
    let (id, param) = match (older, newer) {
        (Some(id), None) if ctx.caller.version.is_before(CLOVER) => (Some(id), "coupon"),
        (Some(_), _) => {
            return Err(Error::invalid(
                "Received unknown parameter: coupon. Did you mean promotion[coupon]?",
            )
            .code("parameter_unknown")
            .param("coupon"));
        }
        (None, Some(promotion)) => (promotion.coupon, "promotion[coupon]"),
        (None, None) if ctx.caller.version.is_before(CLOVER) => (None, "coupon"),
        (None, None) => (None, "promotion"),
    };
    let id = id.ok_or_else(|| Error::missing(param))?;
    let coupon = coupons::named_locked(ctx, &id, param).await?;
    if !coupon.valid {
        return Err(Error::invalid(format!("Coupon expired: {id}", id = coupon.id))
            .code("coupon_expired")
            .param(param));
    }
    Ok(coupon)
}

fn check_within_coupon(
    coupon: &Coupon,
    expires_at: Option<Timestamp>,
    max_redemptions: Option<i64>,
    now: Timestamp,
) -> Result<()> {
    let refuse = |param: &str, message: &str| Err(Error::invalid(message).param(param));
    if expires_at.is_some_and(|at| at <= now) {
        return refuse("expires_at", "Invalid timestamp: must be in the future.");
    }
    if expires_at.zip(coupon.redeem_by).is_some_and(|(at, by)| at > by) {
        return refuse("expires_at", "`expires_at` cannot be after the coupon's `redeem_by`.");
    }
    if max_redemptions.zip(coupon.max_redemptions).is_some_and(|(own, coupons)| own > coupons) {
        return refuse(
            "max_redemptions",
            "`max_redemptions` cannot be greater than the coupon's `max_redemptions`.",
        );
    }
    Ok(())
}

fn checked_code(code: Text<500>) -> Result<String> {
    let text = String::from(code);
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Ok(text);
    }
    Err(Error::invalid(
        "Invalid code: valid characters are letters (a-z, A-Z), digits (0-9) and dashes (-).",
    )
    .param("code"))
}

/// Eight characters of the 32 that are hard to misread, 40 bits.
fn random_code(random: &[u8; 32]) -> String {
    const READABLE: &[u8; 32] = b"0123456789ABCDEFGHJKLMNPQRTUVWXY";
    random.iter().take(8).map(|b| char::from(READABLE[usize::from(b % 32)])).collect()
}

fn minimum(minor: i64, param: &str) -> Result<i64> {
    if (1..=AMOUNT_MINOR_MAX).contains(&minor) {
        return Ok(minor);
    }
    Err(Error::invalid(format!(
        "Invalid minimum_amount: must be between 1 and {AMOUNT_MINOR_MAX}."
    ))
    .param(param))
}

fn restrictions(input: Option<RestrictionsInput>) -> Result<Restrictions> {
    let mut restrictions = Restrictions::default();
    let Some(input) = input else { return Ok(restrictions) };
    restrictions.first_time_transaction = input.first_time_transaction.unwrap_or(false);
    let at = Path::ROOT.child("restrictions");
    match (input.minimum_amount, input.minimum_amount_currency) {
        (None, None) => {}
        (Some(minor), Some(currency)) => {
            let param = at.child("minimum_amount").to_string();
            restrictions.minimum_amount = Some(minimum(minor, &param)?);
            restrictions.minimum_amount_currency = Some(currency.code().to_owned());
        }
        (Some(_), None) => {
            return Err(Error::missing(at.child("minimum_amount_currency").to_string()));
        }
        (None, Some(_)) => return Err(Error::missing(at.child("minimum_amount").to_string())),
    }
    set_options(&mut restrictions, input.currency_options)?;
    Ok(restrictions)
}

/// Puts the least purchases in other currencies on the restrictions.
fn set_options(
    restrictions: &mut Restrictions,
    options: Option<Keyed<MinimumInput>>,
) -> Result<()> {
    let at = Path::ROOT.child("restrictions");
    let at = at.child("currency_options");
    for (code, option) in options.map(|options| options.0).unwrap_or_default() {
        let here = at.child(&code);
        let currency = Currency::decode(Some(Node::Text(code.clone())), here)?.code().to_owned();
        let param = here.child("minimum_amount").to_string();
        let Some(minor) = option.minimum_amount else { return Err(Error::missing(param)) };
        let Some(own) = &restrictions.minimum_amount_currency else {
            return Err(Error::invalid(
                "`currency_options` is only supported with `minimum_amount`.",
            )
            .param(at.to_string()));
        };
        if *own == currency {
            return Err(Error::invalid(
                "Each currency must be different from the `minimum_amount_currency`.",
            )
            .param(here.to_string()));
        }
        restrictions.currency_options.insert(currency, minimum(minor, &param)?);
    }
    Ok(())
}

/// Refuses a code that an active promotion code of the same customers has. One that is over lets go
/// of it.
async fn check_code_is_free(ctx: &mut Ctx, wanted: &PromotionCode) -> Result<()> {
    for other in sql::enabled_of_code(ctx, &wanted.code).await? {
        let meets = other.customer.is_none()
            || wanted.customer.is_none()
            || other.customer == wanted.customer;
        if other.id == wanted.id || !meets {
            continue;
        }
        if other.active {
            return Err(code_taken(&wanted.code));
        }
        let over = PromotionCode { enabled: false, ..other };
        sql::update(ctx, &over).await?;
    }
    Ok(())
}

fn code_taken(code: &str) -> Error {
    Error::invalid(format!("An active promotion code with `code: {code}` already exists."))
        .code("resource_already_exists")
        .param("code")
}

/// Reads a promotion code whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<PromotionCode> {
    match sql::find(ctx, id).await? {
        Some(promotion_code) => Ok(promotion_code),
        None => Err(ctx.no_such_path(PromotionCodeKind::NOUN, id).await?),
    }
}

/// Changes a promotion code.
///
/// # Errors
/// A 404 when there is none, a 400 when what is asked for is against the rules.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<PromotionCode> {
    let Some(before) = sql::find_locked(ctx, id).await? else {
        return Err(ctx.no_such_path(PromotionCodeKind::NOUN, id).await?);
    };
    let mut promotion_code = before.clone();
    if let Some(active) = input.active {
        promotion_code.enabled = active;
        promotion_code.active = active && promotion_code.is_redeemable(ctx.now);
        if active && !promotion_code.active {
            return Err(Error::invalid(
                "This promotion code cannot be activated because it or its coupon cannot be \
                 redeemed any more.",
            )
            .param("active"));
        }
        if active && !before.enabled {
            check_code_is_free(ctx, &promotion_code).await?;
        }
    }
    if let Some(restrictions) = input.restrictions {
        set_options(&mut promotion_code.restrictions, restrictions.currency_options)?;
    }
    input.metadata.apply(&mut promotion_code.metadata)?;
    if promotion_code != before {
        sql::update(ctx, &promotion_code).await?;
        let (old, new) = (before.wire(), promotion_code.wire());
        outbox::push_update(ctx, "promotion_code.updated", &old, &new).await?;
    }
    Ok(promotion_code)
}

/// Lists promotion codes, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::from(ctx.now),
        Arg::Bool(input.active),
        Arg::Text(input.code.as_ref().map(|code| code.to_ascii_uppercase())),
        Arg::from(input.coupon.as_deref()),
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.customer.as_deref()),
    ];
    let page = input.page()?;
    let slice = ctx.page(&page, PromotionCodeKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    let mut data = Vec::with_capacity(slice.rows.len());
    for bare in slice.rows {
        data.push(sql::complete(ctx, bare).await?.wire());
    }
    Ok(Page { url: "/v1/promotion_codes".to_owned(), has_more: slice.has_more, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_code_is_eight_readable_characters() {
        assert_eq!(random_code(&[0; 32]), "00000000");
        assert_eq!(random_code(&[255; 32]), "YYYYYYYY");
    }
}
