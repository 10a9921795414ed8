//! The statements of webhook endpoints, and how a row becomes one.

use taximeter_db::{Arg, Cells, DbError, Row};

use super::WebhookEndpoint;
use crate::ctx::{Ctx, malformed};
use crate::error::Result;
use crate::page::ListSql;
use crate::version::ApiVersion;
use crate::{list_sql, stored};

impl Row for WebhookEndpoint {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let enabled_events: String = cells.get("enabled_events")?;
        let version: Option<String> = cells.get("api_version")?;
        let version = version.map(|text| {
            ApiVersion::parse(&text).map_err(|_| malformed("api_version", "version", &text))
        });
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            url: cells.get("url")?,
            enabled_events: split(&enabled_events),
            api_version: version.transpose()?,
            description: cells.get("description")?,
            metadata: stored::read(cells, "metadata")?,
            disabled: cells.get("disabled")?,
            secret: cells.get("secret")?,
            old_secret: match (cells.get("old_secret")?, cells.get("old_secret_expires_at")?) {
                (Some(secret), Some(until)) => Some((secret, until)),
                (None, _) | (_, None) => None,
            },
            created: cells.get("created")?,
        })
    }
}

/// `,customer.created,,invoice.paid,`: a type is wanted when taking it out between its commas
/// changes the text.
pub(super) fn join(types: &[String]) -> String {
    types.iter().map(|kind| format!(",{kind},")).collect()
}

/// The types of a text that [`join`] made.
pub(super) fn split(joined: &str) -> Vec<String> {
    joined.split(',').filter(|kind| !kind.is_empty()).map(str::to_owned).collect()
}

pub(super) const SEQ: &str = "SELECT seq FROM webhook_endpoints \
     WHERE account = $1 AND livemode = $2 AND id = $3 AND NOT deleted";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM webhook_endpoints WHERE account = $1 AND livemode = $2 AND NOT deleted",
);

const FIND: &str = "SELECT * FROM webhook_endpoints \
     WHERE account = $1 AND livemode = $2 AND id = $3 AND NOT deleted";

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<WebhookEndpoint>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional(FIND, args).await?)
}

pub(super) async fn find_locked(ctx: &mut Ctx, id: &str) -> Result<Option<WebhookEndpoint>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional_for_update(FIND, args).await?)
}

/// Holds the account, so that two requests cannot both make the last endpoint there may be.
pub(super) async fn lock_account(ctx: &mut Ctx) -> Result<()> {
    let args = vec![Arg::from(&ctx.scope().account)];
    let sql = "SELECT id FROM accounts WHERE id = $1";
    Ok(ctx.tx.hold(sql, args).await?)
}

pub(super) async fn count(ctx: &mut Ctx) -> Result<i64> {
    let args = ctx.args([]);
    let sql = "SELECT COUNT(*) AS n FROM webhook_endpoints \
               WHERE account = $1 AND livemode = $2 AND NOT deleted";
    Ok(ctx.tx.one(sql, args).await?)
}

/// The columns that can change, in the order of both statements below.
fn columns(endpoint: &WebhookEndpoint) -> Result<[Arg; 8]> {
    let old = endpoint.old_secret.as_ref();
    Ok([
        Arg::from(endpoint.url.as_str()),
        Arg::from(join(&endpoint.enabled_events)),
        Arg::Text(endpoint.description.clone()),
        stored::write(&endpoint.metadata)?,
        Arg::from(endpoint.disabled),
        Arg::from(endpoint.secret.expose()),
        Arg::from(old.map(|(secret, _)| secret.expose())),
        Arg::from(old.map(|(_, until)| *until)),
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, endpoint: &WebhookEndpoint) -> Result<()> {
    let mut args = ctx.args([Arg::from(&endpoint.id)]);
    args.extend(columns(endpoint)?);
    args.push(Arg::from(endpoint.api_version.as_ref().map(ApiVersion::as_str)));
    args.push(Arg::from(endpoint.created));
    let sql = "INSERT INTO webhook_endpoints (account, livemode, id, url, enabled_events, \
               description, metadata, disabled, secret, old_secret, old_secret_expires_at, \
               api_version, created, deleted) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, FALSE)";
    ctx.tx.execute(sql, args).await?;
    ctx.known().wanted = None;
    Ok(())
}

pub(super) async fn update(ctx: &mut Ctx, endpoint: &WebhookEndpoint) -> Result<()> {
    let mut args = ctx.args([Arg::from(&endpoint.id)]);
    args.extend(columns(endpoint)?);
    let sql = "UPDATE webhook_endpoints SET url = $4, enabled_events = $5, description = $6, \
               metadata = $7, disabled = $8, secret = $9, old_secret = $10, \
               old_secret_expires_at = $11 WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    ctx.known().wanted = None;
    Ok(())
}

pub(super) async fn delete(ctx: &mut Ctx, endpoint: &WebhookEndpoint) -> Result<()> {
    let args = ctx.args([Arg::from(&endpoint.id)]);
    let sql = "UPDATE webhook_endpoints SET deleted = TRUE \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    ctx.known().wanted = None;
    Ok(())
}
