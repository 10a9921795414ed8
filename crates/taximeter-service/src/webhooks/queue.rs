//! Who wants an event, and the deliveries that are written with it.

use taximeter_db::Arg;
use taximeter_kernel::id::{Event, Id};

use super::{EVERYTHING, sql};
use crate::ctx::Ctx;
use crate::error::Result;

/// What the endpoints of a transaction's account and mode want, read once for all its events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted(Vec<Vec<String>>);

impl Wanted {
    /// Reads what is wanted.
    pub(crate) async fn read(ctx: &mut Ctx) -> Result<Self> {
        let args = ctx.args([]);
        let sql = "SELECT enabled_events FROM webhook_endpoints \
                   WHERE account = $1 AND livemode = $2 AND NOT disabled AND NOT deleted \
                   ORDER BY seq LIMIT 100";
        let joined: Vec<String> = ctx.tx.rows(sql, args).await?;
        Ok(Self(joined.iter().map(|joined| sql::split(joined)).collect()))
    }

    fn has(&self, kind: &str) -> bool {
        self.0.iter().flatten().any(|wanted| wanted == kind || wanted == EVERYTHING)
    }
}

/// Writes a delivery of an event for each endpoint that wants its kind. The event is written.
///
/// Costs nothing where no endpoint wants it, but for a look at the endpoints once in a transaction.
pub(crate) async fn queue(ctx: &mut Ctx, event: &Id<Event>, kind: &str) -> Result<()> {
    if !ctx.wanted().await?.has(kind) {
        return Ok(());
    }
    let args = ctx.args([Arg::from(event), Arg::from(kind), Arg::from(ctx.wall())]);
    let sql = "INSERT INTO webhook_deliveries (account, livemode, endpoint, event, status, due, \
               claimed, claims, tries, attempts, created) \
               SELECT e.account, e.livemode, e.seq, v.seq, 'pending', $5, FALSE, 0, 0, '[]', $5 \
               FROM webhook_endpoints AS e CROSS JOIN events AS v \
               WHERE e.account = $1 AND e.livemode = $2 AND NOT e.disabled AND NOT e.deleted \
               AND v.account = $1 AND v.livemode = $2 AND v.id = $3 \
               AND (e.enabled_events = ',*,' \
               OR REPLACE(e.enabled_events, ',' || $4 || ',', '') <> e.enabled_events) \
               ORDER BY e.seq";
    ctx.tx.execute(sql, args).await?;
    ctx.tell();
    Ok(())
}
