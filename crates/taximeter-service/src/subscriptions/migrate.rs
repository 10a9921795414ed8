//! How a subscription goes over to flexible billing, and how its discounts are taken away.

use serde_json::Value;

use super::input::FlexibleInput;
use super::update::only_metadata;
use super::{BillingModeType, ProrationDiscounts, Subscription, retrieve, sql};
use crate::choice;
use crate::ctx::Ctx;
use crate::customers;
use crate::discounts::{self, Delete};
use crate::error::{Error, Result};
use crate::invoices;
use crate::subscription_schedules;
use crate::test_clocks;

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
    let before = held(ctx, id).await?;
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
    let before = held(ctx, id).await?;
    if before.has_ended() {
        return Err(only_metadata());
    }
    let mut after = before.clone();
    let mut last = None;
    for discount in invoices::parsed(&std::mem::take(&mut after.terms.discounts))? {
        last = Some(discounts::remove(ctx, &discount).await?);
    }
    let Some(removed) = last else {
        return Err(Error::invalid(format!("No active discount for subscription: {id}"))
            .code("resource_missing")
            .not_found());
    };
    super::save(ctx, &before, &after).await?;
    Ok(removed.wire())
}

async fn held(ctx: &mut Ctx, id: &str) -> Result<Subscription> {
    let seen = retrieve(ctx, id).await?;
    let customer = customers::locked_any(ctx, seen.customer.as_str()).await?;
    test_clocks::follow(ctx, &customer).await?;
    sql::lock(ctx, id).await?;
    retrieve(ctx, id).await
}
