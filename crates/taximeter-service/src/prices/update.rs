//! Changing prices. What they charge never changes.

use taximeter_kernel::id::{Kind as _, Price as PriceKind};

use super::amounts::Shape;
use super::{Price, Update, check, sql};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::params::{Clear, Path};
use crate::{outbox, products};

/// Changes what of a price can change; what it charges never does.
///
/// # Errors
/// A 404 when there is none, a 400 when what is asked for is against the rules.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<Price> {
    let Some(before) = sql::find_locked(ctx, id).await? else {
        return Err(ctx.no_such_path(PriceKind::NOUN, id).await?);
    };
    let mut price = before.clone();
    let transfer = input.transfer_lookup_key.unwrap_or(false);
    input.apply(&mut price)?;
    if before.active && !price.active {
        refuse_default_price(ctx, &price).await?;
    }
    if price.currency_options.len() < before.currency_options.len() {
        refuse_currencies_in_use(ctx, &price).await?;
    }
    if let Some(key) = &price.lookup_key
        && before.lookup_key.as_ref() != Some(key)
    {
        claim_lookup_key(ctx, key, transfer).await?;
    }
    save(ctx, &before, &price).await?;
    Ok(price)
}

impl Update {
    /// Puts the change on a price.
    pub(super) fn apply(self, price: &mut Price) -> Result<()> {
        if let Some(active) = self.active {
            price.active = active;
        }
        match self.currency_options {
            Clear::Keep => {}
            Clear::Unset => price.currency_options.clear(),
            Clear::Set(changes) => {
                let base = (price.currency, Shape::from(&price.scheme));
                check::merge_options(&mut price.currency_options, changes, base, Path::ROOT)?;
            }
        }
        self.lookup_key.apply(&mut price.lookup_key);
        self.nickname.apply(&mut price.nickname);
        price.tax_behavior =
            check::changed_tax_behavior(price.tax_behavior, self.tax_behavior, Path::ROOT)?;
        self.metadata.apply(&mut price.metadata)
    }
}

/// A product's default price stays one that can be bought.
async fn refuse_default_price(ctx: &mut Ctx, price: &Price) -> Result<()> {
    let product = products::retrieve_locked(ctx, price.product.as_str()).await?;
    if product.default_price.as_ref() == Some(&price.id) {
        return Err(Error::invalid(
            "This price cannot be archived because it is the default price of its product.",
        ));
    }
    Ok(())
}

/// A currency in which subscriptions are billed stays: else there were nothing to bill them.
async fn refuse_currencies_in_use(ctx: &mut Ctx, price: &Price) -> Result<()> {
    match sql::find_subscription_in_another_currency(ctx, price).await? {
        None => Ok(()),
        Some(subscription) => Err(Error::invalid(format!(
            "The currency options of this price cannot be removed because the subscription \
             `{subscription}` is billed in one of them."
        ))
        .param("currency_options")),
    }
}

/// Writes a changed price, and the events that tell of it.
async fn save(ctx: &mut Ctx, before: &Price, price: &Price) -> Result<()> {
    if before == price {
        return Ok(());
    }
    sql::update(ctx, price).await?;
    outbox::push_update(ctx, "price.updated", &before.wire(), &price.wire()).await?;
    outbox::push_update(ctx, "plan.updated", &before.plan_wire(), &price.plan_wire()).await
}

/// Takes a lookup key from the price that holds it, or refuses where that is not wanted.
pub(super) async fn claim_lookup_key(ctx: &mut Ctx, key: &str, transfer: bool) -> Result<()> {
    let Some(holder) = sql::find_locked_by_lookup_key(ctx, key).await? else { return Ok(()) };
    if !transfer {
        return Err(Error::invalid(format!(
            "A price (`{}`) already uses that lookup key.",
            holder.id
        ))
        .param("lookup_key"));
    }
    let released = Price { lookup_key: None, ..holder.clone() };
    save(ctx, &holder, &released).await
}
