//! How a subscription goes over to flexible billing, and how its discounts are taken away.

use serde_json::Value;

use super::input::FlexibleInput;
use super::update::only_metadata;
use super::{BillingModeType, ProrationDiscounts, Subscription, held};
use crate::choice;
use crate::ctx::Ctx;
use crate::discounts::{self, Delete, Holder};
use crate::error::{Error, Result};
use crate::invoices;
use crate::subscription_schedules;

choice! {
    /// The rules that a subscription can go over to.
    pub enum MigrateTo {
        /// Those since 2025.
        Flexible = "flexible",
    }
}

crate::params! {
    /// The rules that a subscription goes over to.
    pub struct MigrateModeInput {
        /// Their settings.
        pub flexible: Option<FlexibleInput>,
        /// Which.
        pub r#type: MigrateTo,
    }
}

crate::params! {
    /// How a subscription goes over to other rules.
    pub struct Migrate {
        /// Which.
        pub billing_mode: MigrateModeInput,
    }
}

/// Has a subscription billed by the flexible rules from now on. There is no way back.
///
/// # Errors
/// A 404 when there is none, a 400 when it is over or billed so already.
pub async fn migrate(ctx: &mut Ctx, id: &str, input: Migrate) -> Result<Subscription> {
    let (before, _) = held(ctx, id).await?;
    if before.has_ended() {
        return Err(only_metadata());
    }
    if before.billing_mode == BillingModeType::Flexible {
        return Err(Error::invalid("The billing mode of this subscription is `flexible` already.")
            .param("billing_mode[type]"));
    }
    let MigrateModeInput { flexible, r#type: MigrateTo::Flexible } = input.billing_mode;
    let discounts = flexible.and_then(|flexible| flexible.proration_discounts);
    let mut after = before.clone();
    after.billing_mode = BillingModeType::Flexible;
    after.proration_discounts = Some(discounts.unwrap_or(ProrationDiscounts::Included));
    after.billing_mode_updated_at = Some(ctx.now);
    super::save(ctx, &before, &after).await?;
    subscription_schedules::follow_mode(ctx, &after).await?;
    Ok(after)
}

/// Takes away whatever is taken off a subscription. Invoices that were billed with it keep it.
///
/// # Errors
/// A 404 when there is no such subscription, or nothing is taken off it.
pub async fn delete_discount(ctx: &mut Ctx, id: &str, _: Delete) -> Result<Value> {
    let (before, _) = held(ctx, id).await?;
    if before.has_ended() {
        return Err(only_metadata());
    }
    let mut after = before.clone();
    let mut last = None;
    let ids = invoices::parsed(&std::mem::take(&mut after.terms.discounts))?;
    for discount in discounts::of(ctx, &ids).await? {
        // One that was taken from the customer stays theirs.
        let own = discount.is_of(Holder::Subscription(&before.id));
        last = Some(if own { discounts::remove(ctx, &discount.id).await? } else { discount });
    }
    let Some(removed) = last else {
        return Err(Error::invalid(format!("No active discount for subscription: {id}"))
            .code("resource_missing")
            .not_found());
    };
    super::save(ctx, &before, &after).await?;
    Ok(removed.wire())
}
