//! The statements of customers.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Customer as CustomerKind, Id};
use taximeter_kernel::time::Timestamp;

use super::Customer;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::{discounts, stored};

pub(super) const SEQ: &str =
    "SELECT seq FROM customers WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM customers WHERE account = $1 AND livemode = $2 AND NOT deleted",
    " AND ($6 IS NULL OR email = $6)",
    " AND ($7 IS NULL OR created >= $7) AND ($8 IS NULL OR created <= $8)",
    // What is told by a test clock is not in the list of all.
    " AND (($9 IS NULL AND test_clock IS NULL) OR test_clock = $9)",
);

pub(super) const ALL: ListSql = list_sql!(
    "SELECT * FROM customers WHERE account = $1 AND livemode = $2 AND NOT deleted",
    " AND test_clock IS NULL",
);

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Customer>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM customers WHERE account = $1 AND livemode = $2 AND id = $3";
    let mut found: Option<Customer> = ctx.tx.optional(sql, args).await?;
    if let Some(customer) = &mut found {
        complete(ctx, customer).await?;
    }
    Ok(found)
}

/// What an event needs to know of its customer.
#[derive(Debug, Clone, Copy)]
pub(super) struct There {
    pub(super) deleted: bool,
    /// What its test clock shows.
    pub(super) clock_time: Option<Timestamp>,
}

impl Row for There {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self { deleted: cells.get("deleted")?, clock_time: cells.get("clock_time")? })
    }
}

pub(super) async fn there(ctx: &mut Ctx, id: &str) -> Result<Option<There>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT c.deleted AS deleted, t.frozen_time AS clock_time \
               FROM customers AS c LEFT JOIN test_clocks AS t \
               ON t.account = c.account AND t.livemode = c.livemode AND t.id = c.test_clock \
               WHERE c.account = $1 AND c.livemode = $2 AND c.id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Reads the discount of a customer that has one, unless it is over.
pub(super) async fn complete(ctx: &mut Ctx, customer: &mut Customer) -> Result<()> {
    let Some(id) = customer.discount_id.take() else { return Ok(()) };
    let discount = discounts::of(ctx, &[id]).await?.pop();
    let mut now = ctx.now;
    if let Some(clock) = &customer.test_clock {
        let args = ctx.args([Arg::from(clock)]);
        let sql = "SELECT frozen_time FROM test_clocks \
                   WHERE account = $1 AND livemode = $2 AND id = $3";
        now = ctx.tx.optional(sql, args).await?.unwrap_or(now);
    }
    customer.discount = discount.filter(|discount| discount.active_at(now));
    Ok(())
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT id FROM customers WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.hold(sql, args).await?)
}

/// Whether a customer has a subscription that has not ended.
pub(super) async fn has_subscription(ctx: &mut Ctx, customer: &Id<CustomerKind>) -> Result<bool> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT id FROM subscriptions \
               WHERE account = $1 AND livemode = $2 AND customer = $3 \
               AND status NOT IN ('canceled', 'incomplete_expired') \
               UNION ALL SELECT id FROM subscription_schedules \
               WHERE account = $1 AND livemode = $2 AND customer = $3 \
               AND status = 'not_started' ORDER BY id LIMIT 1";
    let found: Option<String> = ctx.tx.optional(sql, args).await?;
    Ok(found.is_some())
}

/// The columns that can change, in the order of both statements below.
fn columns(customer: &Customer) -> Result<[Arg; 21]> {
    Ok([
        Arg::from(customer.deleted),
        Arg::Text(customer.name.clone()),
        Arg::Text(customer.email.clone()),
        Arg::Text(customer.phone.clone()),
        Arg::Text(customer.description.clone()),
        Arg::Text(customer.business_name.clone()),
        Arg::Text(customer.individual_name.clone()),
        stored::write_optional(customer.address.as_ref())?,
        stored::write_optional(customer.shipping.as_ref())?,
        Arg::from(customer.balance),
        Arg::from(customer.currency),
        Arg::from(customer.delinquent),
        Arg::from(customer.invoice_prefix.as_str()),
        Arg::from(customer.next_invoice_sequence),
        stored::write(&customer.invoice_settings)?,
        stored::write(&customer.preferred_locales)?,
        Arg::from(customer.tax_exempt.as_str()),
        stored::write(&customer.metadata)?,
        Arg::from(customer.created),
        Arg::from(customer.discount.as_ref().map(|discount| &discount.id)),
        Arg::from(customer.test_clock.as_ref()),
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, customer: &Customer) -> Result<()> {
    let mut args = ctx.args([Arg::from(&customer.id)]);
    args.extend(columns(customer)?);
    let sql = "INSERT INTO customers (account, livemode, id, deleted, name, email, phone, \
               description, business_name, individual_name, address, shipping, balance, currency, \
               delinquent, invoice_prefix, next_invoice_sequence, invoice_settings, \
               preferred_locales, tax_exempt, metadata, created, discount, test_clock) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
               $17, $18, $19, $20, $21, $22, $23, $24)";
    ctx.tx.execute(sql, args).await.map_err(prefix_taken)?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, customer: &Customer) -> Result<()> {
    let mut args = ctx.args([Arg::from(&customer.id)]);
    args.extend(columns(customer)?);
    let sql = "UPDATE customers SET deleted = $4, name = $5, email = $6, phone = $7, \
               description = $8, business_name = $9, individual_name = $10, address = $11, \
               shipping = $12, balance = $13, currency = $14, delinquent = $15, \
               invoice_prefix = $16, next_invoice_sequence = $17, invoice_settings = $18, \
               preferred_locales = $19, tax_exempt = $20, metadata = $21, created = $22, \
               discount = $23, test_clock = $24 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await.map_err(prefix_taken)?;
    Ok(())
}

fn prefix_taken(error: DbError) -> Error {
    if error.is_unique() {
        return Error::invalid("Another customer already uses this invoice prefix.")
            .param("invoice_prefix");
    }
    error.into()
}
