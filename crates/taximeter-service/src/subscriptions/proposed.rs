//! Subscriptions that are only looked at: what one would be, and what it would be billed at first.

use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;

use super::input::{Create, ItemInput, ItemUpdate};
use super::propose::propose;
use super::timing::Timing;
use super::{AnchorChange, Subscription, first, periods};
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::error::{Error, Result};
use crate::invoices::Line;
use crate::invoices::preview::{AnchorType, SubscriptionDetails};
use crate::params::{Clear, Metadata, MetadataChange, OrWord, Text};
use crate::tax_rates;

const ITEMS: &str = "subscription_details[items]";

/// A subscription as it would be made, and the lines of its first invoice.
pub(crate) struct Proposed {
    pub(crate) subscription: Subscription,
    first: Vec<Line>,
}

impl Proposed {
    /// The lines of its first invoice.
    pub(crate) fn take_first_lines(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.first)
    }
}

/// What can only be proposed of a subscription that exists.
fn refuse_of_one_that_exists(details: &SubscriptionDetails) -> Result<()> {
    let of_one_that_exists = [
        (details.cancel_now.is_some(), "cancel_now"),
        (details.pause.is_some(), "pause"),
        (details.proration_date.is_some(), "proration_date"),
        (details.resume_at.is_some(), "resume_at"),
    ];
    if let Some((_, name)) = of_one_that_exists.into_iter().find(|(given, _)| *given) {
        let full = format!("subscription_details[{name}]");
        let message = format!("You can only specify `{full}` with `subscription`.");
        return Err(Error::invalid(message).param(full));
    }
    Ok(())
}

/// A subscription as a preview proposes it.
///
/// # Errors
/// A 400 when it is against the rules.
pub(crate) async fn propose_preview(
    ctx: &mut Ctx,
    customer: &Customer,
    details: SubscriptionDetails,
    currency: Option<Currency>,
) -> Result<Proposed> {
    refuse_of_one_that_exists(&details)?;
    let anchor = match details.billing_cycle_anchor {
        None | Some(OrWord::Word(AnchorChange::Now | AnchorChange::Unchanged)) => None,
        Some(OrWord::Value(input)) => match input.r#type {
            AnchorType::Now | AnchorType::Unchanged => None,
            AnchorType::Timestamp => {
                let path = "subscription_details[billing_cycle_anchor][timestamp]";
                Some(input.timestamp.ok_or_else(|| Error::missing(path))?)
            }
        },
    };
    let cancel_at = match details.cancel_at {
        Clear::Set(end) => Some(end),
        Clear::Keep | Clear::Unset => None,
    };
    let items = details.items.unwrap_or_default().into_iter().enumerate();
    let items = items.map(|(place, item)| new_item(place, item)).collect::<Result<_>>()?;
    let mut asked = Create {
        add_invoice_items: None,
        backdate_start_date: details.start_date,
        billing_cycle_anchor: anchor,
        billing_cycle_anchor_config: None,
        cancel_at,
        cancel_at_period_end: details.cancel_at_period_end,
        collection_method: None,
        currency,
        customer: Text(customer.id.as_str().to_owned()),
        days_until_due: None,
        default_payment_method: None,
        default_tax_rates: Clear::Keep,
        description: None,
        discounts: Clear::Keep,
        billing_mode: None,
        billing_thresholds: Clear::Keep,
        invoice_settings: None,
        items: Vec::new(),
        metadata: Metadata::default(),
        off_session: None,
        payment_behavior: None,
        payment_settings: None,
        pending_invoice_item_interval: Clear::Keep,
        proration_behavior: details.proration_behavior,
        trial_end: details.trial_end,
        trial_from_plan: None,
        trial_period_days: None,
        trial_settings: None,
    };
    let timing = Timing::take(&mut asked);
    let mut sub = propose(ctx, customer, items, details.billing_mode, currency, ITEMS).await?;
    if let Clear::Set(ids) = details.default_tax_rates {
        let path = "subscription_details[default_tax_rates]";
        sub.tax_rates = tax_rates::named(ctx, &ids, path).await?;
        sub.terms.default_tax_rates =
            sub.tax_rates.iter().map(|rate| rate.id.as_str().to_owned()).collect();
    }
    let labelled = details.metadata.apply(&mut sub.metadata);
    labelled.map_err(|error| error.within("subscription_details"))?;
    let timed = timing.set(&mut sub, ctx.now);
    timed.map_err(|error| error.within("subscription_details"))?;
    let first = first::lines(ctx, &sub, timing.charged).await?;
    Ok(Proposed { subscription: sub, first })
}

fn new_item(place: usize, item: ItemUpdate) -> Result<ItemInput> {
    for (given, name) in [
        (item.id.is_some(), "id"),
        (item.deleted.is_some(), "deleted"),
        (item.clear_usage.is_some(), "clear_usage"),
    ] {
        if given {
            let full = format!("{ITEMS}[{place}][{name}]");
            let message = format!("You can only specify `{full}` with `subscription`.");
            return Err(Error::invalid(message).param(full));
        }
    }
    let mut metadata = std::collections::BTreeMap::new();
    MetadataChange::apply(item.metadata, &mut metadata)?;
    Ok(ItemInput {
        billing_thresholds: item.billing_thresholds,
        discounts: item.discounts,
        metadata: Metadata(metadata),
        plan: item.plan,
        price: item.price,
        price_data: item.price_data,
        quantity: item.quantity,
        tax_rates: item.tax_rates,
    })
}

/// What an item would be charged for its first period from an instant.
///
/// # Errors
/// A 400 when an amount does not fit.
pub(crate) async fn first_charge(
    ctx: &mut Ctx,
    sub: &Subscription,
    place: usize,
    at: Timestamp,
) -> Result<Vec<Line>> {
    Ok(periods::begin(ctx, sub, place, at).await?.1)
}
