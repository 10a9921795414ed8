//! The statements of subscriptions and their items.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Customer, Id, Price, SubscriptionItem};
use taximeter_kernel::time::{Period, Timestamp};

use super::{CancellationDetails, Item, ItemTerms, Subscription};
use crate::ctx::{Ctx, optional_word, word};
use crate::error::Result;
use crate::invoices::parsed;
use crate::page::ListSql;
use crate::params::Choice;
use crate::{list_sql, prices, stored};

pub(super) const SEQ: &str =
    "SELECT seq FROM subscriptions WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM subscriptions AS s WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR collection_method = $6)",
    " AND ($7 IS NULL OR created >= $7) AND ($8 IS NULL OR created <= $8)",
    " AND ($9 IS NULL OR customer = $9)",
    " AND ($10 IS NULL OR EXISTS (SELECT 1 FROM subscription_items AS i",
    " WHERE i.account = $1 AND i.livemode = $2 AND i.subscription = s.id AND i.price = $10))",
    " AND (status = $11 OR $11 = 'all' OR ($11 = 'live' AND status <> 'canceled')",
    " OR ($11 = 'ended' AND status IN ('canceled', 'incomplete_expired')))",
    " AND ($12 IS NULL OR $12 <= (SELECT MAX(i.current_period_start) FROM subscription_items AS i",
    " WHERE i.account = $1 AND i.livemode = $2 AND i.subscription = s.id))",
    " AND ($13 IS NULL OR $13 >= (SELECT MAX(i.current_period_start) FROM subscription_items AS i",
    " WHERE i.account = $1 AND i.livemode = $2 AND i.subscription = s.id))",
    " AND ($14 IS NULL OR $14 <= (SELECT MIN(i.current_period_end) FROM subscription_items AS i",
    " WHERE i.account = $1 AND i.livemode = $2 AND i.subscription = s.id))",
    " AND ($15 IS NULL OR $15 >= (SELECT MIN(i.current_period_end) FROM subscription_items AS i",
    " WHERE i.account = $1 AND i.livemode = $2 AND i.subscription = s.id))",
);

pub(super) const ALL: ListSql =
    list_sql!("SELECT * FROM subscriptions WHERE account = $1 AND livemode = $2");

impl Row for Subscription {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            customer: cells.get("customer")?,
            status: word(cells, "status")?,
            currency: cells.get("currency")?,
            collection_method: word(cells, "collection_method")?,
            days_until_due: cells.get("days_until_due")?,
            billing_mode: word(cells, "billing_mode")?,
            proration_discounts: optional_word(cells, "proration_discounts")?,
            billing_mode_updated_at: cells.get("billing_mode_updated_at")?,
            billing_cycle_anchor: cells.get("billing_cycle_anchor")?,
            start_date: cells.get("start_date")?,
            test_clock: cells.get("test_clock")?,
            trial_start: cells.get("trial_start")?,
            trial_end: cells.get("trial_end")?,
            cancel_at: cells.get("cancel_at")?,
            cancel_at_period_end: cells.get("cancel_at_period_end")?,
            terms: stored::read(cells, "terms")?,
            canceled_at: cells.get("canceled_at")?,
            ended_at: cells.get("ended_at")?,
            cancellation: CancellationDetails {
                comment: cells.get("cancellation_comment")?,
                feedback: optional_word(cells, "cancellation_feedback")?,
                reason: cells.get("cancellation_reason")?,
            },
            description: cells.get("description")?,
            latest_invoice: cells.get("latest_invoice")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
            tax_rates: Vec::new(),
            items: Vec::new(),
            pending_items: None,
        })
    }
}

/// An item without its price, which is read on its own.
struct BareItem {
    id: Id<SubscriptionItem>,
    subscription: Id<taximeter_kernel::id::Subscription>,
    price: Id<Price>,
    quantity: Option<i64>,
    metadata: std::collections::BTreeMap<String, String>,
    current_period: Period,
    created: Timestamp,
    terms: ItemTerms,
}

impl Row for BareItem {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let (start, end) = (cells.get("current_period_start")?, cells.get("current_period_end")?);
        Ok(Self {
            id: cells.get("id")?,
            subscription: cells.get("subscription")?,
            price: cells.get("price")?,
            quantity: cells.get("quantity")?,
            metadata: stored::read(cells, "metadata")?,
            current_period: Period { start, end },
            created: cells.get("created")?,
            terms: stored::read(cells, "terms")?,
        })
    }
}

impl BareItem {
    async fn with_price(self, ctx: &mut Ctx) -> Result<Item> {
        let tax_rates = crate::tax_rates::of(ctx, &parsed(&self.terms.tax_rates)?).await?;
        Ok(Item {
            id: self.id,
            tax_rates,
            subscription: self.subscription,
            price: prices::retrieve(ctx, self.price.as_str()).await?,
            quantity: self.quantity,
            metadata: self.metadata,
            current_period: self.current_period,
            created: self.created,
            terms: self.terms,
        })
    }
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Subscription>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM subscriptions WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT id FROM subscriptions WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.hold(sql, args).await?)
}

pub(super) async fn find_item(ctx: &mut Ctx, id: &str) -> Result<Option<Item>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM subscription_items WHERE account = $1 AND livemode = $2 AND id = $3";
    let bare: Option<BareItem> = ctx.tx.optional(sql, args).await?;
    match bare {
        Some(bare) => Ok(Some(bare.with_price(ctx).await?)),
        None => Ok(None),
    }
}

/// Reads the items of a subscription, oldest first.
pub(super) async fn load_items(ctx: &mut Ctx, subscription: &mut Subscription) -> Result<()> {
    let args = ctx.args([Arg::from(&subscription.id)]);
    let sql = "SELECT * FROM subscription_items \
               WHERE account = $1 AND livemode = $2 AND subscription = $3 ORDER BY seq LIMIT 100";
    let bare: Vec<BareItem> = ctx.tx.rows(sql, args).await?;
    subscription.items = Vec::with_capacity(bare.len());
    for item in bare {
        subscription.items.push(item.with_price(ctx).await?);
    }
    let rates = parsed(&subscription.terms.default_tax_rates)?;
    subscription.tax_rates = crate::tax_rates::of(ctx, &rates).await?;
    drop_discounts_that_are_over(ctx, subscription).await?;
    if let Some(update) = subscription.terms.pending_update.clone() {
        subscription.pending_items = update.items(ctx, subscription).await?;
    }
    Ok(())
}

/// A discount that was used up, or whose time is over, is not shown and takes nothing off.
async fn drop_discounts_that_are_over(ctx: &mut Ctx, sub: &mut Subscription) -> Result<()> {
    let of_items = sub.items.iter().any(|item| !item.terms.discounts.is_empty());
    if !of_items && sub.terms.discounts.is_empty() {
        return Ok(());
    }
    let now = match sub.test_clock {
        Some(_) => crate::test_clocks::time_of(ctx, &sub.customer).await?,
        None => ctx.now,
    };
    let over = async |ctx: &mut Ctx, held: &mut Vec<String>| -> Result<()> {
        if held.is_empty() {
            return Ok(());
        }
        let discounts = crate::discounts::of(ctx, &parsed(held)?).await?;
        let active = discounts.iter().filter(|discount| discount.active_at(now));
        *held = active.map(|discount| discount.id.as_str().to_owned()).collect();
        Ok(())
    };
    over(ctx, &mut sub.terms.discounts).await?;
    for item in &mut sub.items {
        over(ctx, &mut item.terms.discounts).await?;
    }
    Ok(())
}

pub(super) async fn of_customer(ctx: &mut Ctx, customer: &str) -> Result<Vec<Subscription>> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT * FROM subscriptions WHERE account = $1 AND livemode = $2 AND customer = $3 \
               AND status NOT IN ('canceled', 'incomplete_expired') ORDER BY seq DESC LIMIT 1000";
    Ok(ctx.tx.rows(sql, args).await?)
}

pub(super) async fn count_of_customer(ctx: &mut Ctx, customer: &Id<Customer>) -> Result<i64> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT COUNT(*) + (SELECT COUNT(*) FROM subscription_schedules \
               WHERE account = $1 AND livemode = $2 AND customer = $3 \
               AND status = 'not_started') AS n FROM subscriptions \
               WHERE account = $1 AND livemode = $2 AND customer = $3 \
               AND status NOT IN ('canceled', 'incomplete_expired')";
    Ok(ctx.tx.one(sql, args).await?)
}

pub(super) async fn delete_item(ctx: &mut Ctx, id: &Id<SubscriptionItem>) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "DELETE FROM subscription_items WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

/// The columns that can change, in the order of both statements below.
fn columns(subscription: &Subscription) -> Result<[Arg; 25]> {
    Ok([
        Arg::from(subscription.status.as_str()),
        Arg::from(subscription.currency),
        Arg::from(subscription.collection_method.as_str()),
        Arg::from(subscription.days_until_due),
        Arg::from(subscription.billing_mode.as_str()),
        Arg::from(subscription.proration_discounts.map(Choice::as_str)),
        Arg::from(subscription.billing_mode_updated_at),
        Arg::from(subscription.billing_cycle_anchor),
        Arg::from(subscription.start_date),
        Arg::from(subscription.canceled_at),
        Arg::from(subscription.ended_at),
        Arg::from(subscription.cancellation.reason.as_deref()),
        Arg::from(subscription.cancellation.feedback.map(Choice::as_str)),
        Arg::from(subscription.cancellation.comment.as_deref()),
        Arg::from(subscription.description.as_deref()),
        Arg::from(subscription.latest_invoice.as_ref()),
        stored::write(&subscription.metadata)?,
        Arg::from(subscription.created),
        Arg::from(&subscription.customer),
        Arg::from(subscription.test_clock.as_ref()),
        Arg::from(subscription.trial_start),
        Arg::from(subscription.trial_end),
        Arg::from(subscription.cancel_at),
        Arg::from(subscription.cancel_at_period_end),
        stored::write(&subscription.terms)?,
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, subscription: &Subscription) -> Result<()> {
    let mut args = ctx.args([Arg::from(&subscription.id)]);
    args.extend(columns(subscription)?);
    let sql = "INSERT INTO subscriptions (account, livemode, id, status, currency, \
               collection_method, days_until_due, billing_mode, proration_discounts, \
               billing_mode_updated_at, billing_cycle_anchor, start_date, canceled_at, ended_at, \
               cancellation_reason, cancellation_feedback, cancellation_comment, description, \
               latest_invoice, metadata, created, customer, test_clock, trial_start, trial_end, \
               cancel_at, cancel_at_period_end, terms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
               $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, \
               $25, $26, $27, $28)";
    ctx.tx.execute(sql, args).await?;
    for item in &subscription.items {
        insert_item(ctx, item).await?;
    }
    Ok(())
}

pub(super) async fn insert_item(ctx: &mut Ctx, item: &Item) -> Result<()> {
    let args = ctx.args([
        Arg::from(&item.id),
        Arg::from(&item.subscription),
        Arg::from(&item.price.id),
        Arg::from(item.quantity),
        stored::write(&item.metadata)?,
        Arg::from(item.current_period.start),
        Arg::from(item.current_period.end),
        Arg::from(item.created),
        stored::write(&item.terms)?,
    ]);
    let sql = "INSERT INTO subscription_items (account, livemode, id, subscription, price, \
               quantity, metadata, current_period_start, current_period_end, created, terms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, subscription: &Subscription) -> Result<()> {
    let mut args = ctx.args([Arg::from(&subscription.id)]);
    args.extend(columns(subscription)?);
    let sql = "UPDATE subscriptions SET status = $4, currency = $5, collection_method = $6, \
               days_until_due = $7, billing_mode = $8, proration_discounts = $9, \
               billing_mode_updated_at = $10, billing_cycle_anchor = $11, start_date = $12, \
               canceled_at = $13, ended_at = $14, cancellation_reason = $15, \
               cancellation_feedback = $16, cancellation_comment = $17, description = $18, \
               latest_invoice = $19, metadata = $20, created = $21, customer = $22, \
               test_clock = $23, trial_start = $24, trial_end = $25, cancel_at = $26, \
               cancel_at_period_end = $27, terms = $28 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update_item(ctx: &mut Ctx, item: &Item) -> Result<()> {
    let args = ctx.args([
        Arg::from(&item.id),
        Arg::from(item.quantity),
        stored::write(&item.metadata)?,
        Arg::from(item.current_period.start),
        Arg::from(item.current_period.end),
        Arg::from(&item.price.id),
        stored::write(&item.terms)?,
    ]);
    let sql = "UPDATE subscription_items SET quantity = $4, metadata = $5, \
               current_period_start = $6, current_period_end = $7, price = $8, terms = $9 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
