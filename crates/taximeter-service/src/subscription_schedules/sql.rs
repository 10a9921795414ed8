//! The statements of schedules.

use std::collections::BTreeSet;

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Customer, Id};

use super::Schedule;
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::invoices::parsed;
use crate::page::ListSql;
use crate::params::Choice as _;
use crate::{list_sql, stored};

pub(super) const SEQ: &str =
    "SELECT seq FROM subscription_schedules WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM subscription_schedules WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR canceled_at >= $6) AND ($7 IS NULL OR canceled_at <= $7)",
    " AND ($8 IS NULL OR completed_at >= $8) AND ($9 IS NULL OR completed_at <= $9)",
    " AND ($10 IS NULL OR created >= $10) AND ($11 IS NULL OR created <= $11)",
    " AND ($12 IS NULL OR released_at >= $12) AND ($13 IS NULL OR released_at <= $13)",
    " AND (customer = $14 OR ($14 IS NULL AND test_clock IS NULL))",
    " AND ($15 IS NULL OR status = $15)",
);

impl Row for Schedule {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            customer: cells.get("customer")?,
            status: word(cells, "status")?,
            subscription: cells.get("subscription")?,
            released_subscription: cells.get("released_subscription")?,
            test_clock: cells.get("test_clock")?,
            outline: stored::read(cells, "terms")?,
            metadata: stored::read(cells, "metadata")?,
            canceled_at: cells.get("canceled_at")?,
            completed_at: cells.get("completed_at")?,
            released_at: cells.get("released_at")?,
            created: cells.get("created")?,
            tax_rates: Vec::new(),
        })
    }
}

/// Reads a schedule without its tax rates, which are only shown.
pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Schedule>> {
    let args = ctx.args([Arg::from(id)]);
    let sql =
        "SELECT * FROM subscription_schedules WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.optional(sql, args).await?)
}

/// As [`find`], with the tax rates that its phases name, to be shown.
pub(super) async fn find_whole(ctx: &mut Ctx, id: &str) -> Result<Option<Schedule>> {
    let Some(mut schedule) = find(ctx, id).await? else { return Ok(None) };
    load_rates(ctx, &mut schedule).await?;
    Ok(Some(schedule))
}

/// Reads the tax rates that the phases of a schedule name.
pub(super) async fn load_rates(ctx: &mut Ctx, schedule: &mut Schedule) -> Result<()> {
    let mut ids = BTreeSet::new();
    for phase in &schedule.outline.phases {
        ids.extend(&phase.default_tax_rates);
        ids.extend(phase.items.iter().flat_map(|item| &item.tax_rates));
        ids.extend(phase.additions.iter().flat_map(|addition| &addition.tax_rates));
    }
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    schedule.tax_rates = crate::tax_rates::of(ctx, &parsed(&ids)?).await?;
    Ok(())
}

/// Holds the row, so that what is read of it next stays true until the transaction ends.
pub(super) async fn lock(ctx: &mut Ctx, id: &str) -> Result<()> {
    let args = ctx.args([Arg::from(id)]);
    let sql =
        "SELECT id FROM subscription_schedules WHERE account = $1 AND livemode = $2 AND id = $3";
    Ok(ctx.tx.hold(sql, args).await?)
}

/// The schedules of a customer whose first phase is still to come.
pub(super) async fn not_started(ctx: &mut Ctx, customer: &Id<Customer>) -> Result<Vec<String>> {
    let args = ctx.args([Arg::from(customer)]);
    let sql = "SELECT id FROM subscription_schedules WHERE account = $1 AND livemode = $2 \
               AND customer = $3 AND status = 'not_started' ORDER BY seq LIMIT 1000";
    Ok(ctx.tx.rows(sql, args).await?)
}

/// The columns that can change, in the order of both statements below.
fn columns(schedule: &Schedule) -> Result<[Arg; 8]> {
    Ok([
        Arg::from(schedule.status.as_str()),
        Arg::from(schedule.subscription.as_ref()),
        Arg::from(schedule.released_subscription.as_ref()),
        stored::write(&schedule.outline)?,
        stored::write(&schedule.metadata)?,
        Arg::from(schedule.canceled_at),
        Arg::from(schedule.completed_at),
        Arg::from(schedule.released_at),
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, schedule: &Schedule) -> Result<()> {
    let mut args = ctx.args([Arg::from(&schedule.id)]);
    args.extend(columns(schedule)?);
    args.extend([
        Arg::from(&schedule.customer),
        Arg::from(schedule.test_clock.as_ref()),
        Arg::from(schedule.created),
    ]);
    let sql = "INSERT INTO subscription_schedules (account, livemode, id, status, subscription, \
               released_subscription, terms, metadata, canceled_at, completed_at, released_at, \
               customer, test_clock, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, schedule: &Schedule) -> Result<()> {
    let mut args = ctx.args([Arg::from(&schedule.id)]);
    args.extend(columns(schedule)?);
    let sql = "UPDATE subscription_schedules SET status = $4, subscription = $5, \
               released_subscription = $6, terms = $7, metadata = $8, canceled_at = $9, \
               completed_at = $10, released_at = $11 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}
