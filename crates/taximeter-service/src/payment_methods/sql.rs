//! The statements of payment methods.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Customer, Id};

use super::PaymentMethod;
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::list_sql;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::stored;

/// How many payment methods of a customer are detached when it is deleted.
pub(super) const OF_CUSTOMER_MAX: usize = 500;

pub(super) const SEQ: &str =
    "SELECT seq FROM payment_methods WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM payment_methods WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR allow_redisplay = $6)",
    " AND ($7 IS NULL OR customer = $7)",
    " AND ($8 IS NULL OR type = $8)",
);

impl Row for PaymentMethod {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            customer: cells.get("customer")?,
            kind: word(cells, "type")?,
            card: stored::read(cells, "card")?,
            test: word(cells, "test")?,
            set_up: cells.get("set_up")?,
            spent: cells.get("spent")?,
            allow_redisplay: word(cells, "allow_redisplay")?,
            billing_details: stored::read(cells, "billing_details")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
        })
    }
}

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<PaymentMethod>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM payment_methods WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// Reads a payment method that is to be written back.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<Option<PaymentMethod>> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT * FROM payment_methods WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional_for_update(sql, args).await?)
}

/// A customer's payment methods, to be detached.
pub(super) async fn lock_of_customer(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
) -> Result<Vec<PaymentMethod>> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT * FROM payment_methods WHERE account = $1 AND livemode = $2 \
               AND customer = $3 ORDER BY seq LIMIT 500";
    Ok(ctx.tx.rows_for_update(sql, args).await?)
}

/// How many payment methods a customer has.
pub(super) async fn count_of_customer(ctx: &mut Ctx, customer: &Id<Customer>) -> Result<usize> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT COUNT(*) AS n FROM payment_methods WHERE account = $1 AND livemode = $2 \
               AND customer = $3";
    Ok(ctx.tx.one(sql, args).await?)
}

/// The columns that can change, in the order of both statements below.
fn columns(method: &PaymentMethod) -> Result<[Arg; 8]> {
    Ok([
        Arg::from(method.customer.as_ref()),
        stored::write(&method.card)?,
        Arg::from(method.set_up),
        Arg::from(method.spent),
        Arg::from(method.allow_redisplay.as_str()),
        stored::write(&method.billing_details)?,
        stored::write(&method.metadata)?,
        Arg::from(method.created),
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, method: &PaymentMethod) -> Result<()> {
    let mut args = ctx.args([Arg::from(&method.id)]);
    args.extend(columns(method)?);
    args.extend([Arg::from(method.kind.as_str()), Arg::from(method.test.as_str())]);
    let sql = "INSERT INTO payment_methods (account, livemode, id, customer, card, set_up, spent, \
               allow_redisplay, billing_details, metadata, created, type, test) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, method: &PaymentMethod) -> Result<()> {
    let mut args = ctx.args([Arg::from(&method.id)]);
    args.extend(columns(method)?);
    let sql = "UPDATE payment_methods SET customer = $4, card = $5, set_up = $6, spent = $7, \
               allow_redisplay = $8, billing_details = $9, metadata = $10, created = $11 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
