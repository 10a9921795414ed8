//! The audit trail of usage: who corrected what, when and why.
//!
//! An entry of a single event is written twice: as an intent before the correction goes to the usage
//! engine, and into the trail when the engine has it. Whoever finds an intent that a crash left
//! behind asks the engine what became of it, so no correction is without its entry.

mod sql;
mod wire;

use serde_json::Value;
use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{
    ApiKey, Customer, Id, Kind as _, Meter, MeterEventBackfill, Mode, Request, Scope,
    UsageAuditEntry,
};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Event, Standing};

use crate::ctx::{Caller, Ctx, Services, word};
use crate::error::{Error, Result};
use crate::meter_event_adjustments::{EventName, event_of_position};
use crate::page::List as Page;
use crate::params::Text;
use crate::stored;
use crate::version::ApiVersion;
pub(crate) use wire::state_of;

/// How long an intent is taken for that of a request which is still being answered, in seconds.
pub const INTENT_KEPT_S: i64 = 600;
/// The most intents that one [`settle_all`] looks at.
pub const INTENTS_PER_SETTLE_MAX: i64 = 1_000;

crate::choice! {
    /// What was done.
    pub enum Action {
        /// An event was amended.
        Amend = "amend",
        /// A backfill was applied.
        BackfillApply = "backfill_apply",
        /// A backfill was reverted.
        BackfillRevert = "backfill_revert",
        /// An event was canceled.
        Cancel = "cancel",
        /// A canceled event was restored.
        Restore = "restore",
    }
}

crate::params! {
    /// A list of entries.
    pub struct List with page {
        /// Only entries about a backfill.
        pub backfill: Option<Text<255>>,
        /// Only entries about this customer's usage.
        pub customer: Option<Text<255>>,
        /// Only entries about this event: its id or its identifier.
        pub event: Option<Text<255>>,
        /// Only entries about this meter's usage.
        pub meter: Option<Text<255>>,
    }
}

/// One correction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: Id<UsageAuditEntry>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// What was done.
    pub action: Action,
    /// Whose usage changed.
    pub meter: Id<Meter>,
    /// Of which customer; none for a backfill of several.
    pub customer: Option<Id<Customer>>,
    /// The event that was corrected, by its place in the usage log.
    pub event_position: Option<u64>,
    /// That event's identifier.
    pub identifier: Option<String>,
    /// The backfill that was applied or reverted.
    pub backfill: Option<Id<MeterEventBackfill>>,
    /// What it was before.
    pub before: Value,
    /// What it is since.
    pub after: Value,
    /// Why, in the words of who did it.
    pub reason: Option<String>,
    /// Who: the key that was shown.
    pub api_key: Id<ApiKey>,
    /// The request that did it.
    pub request: Id<Request>,
    /// When.
    pub created: Timestamp,
}

impl Entry {
    /// What the caller does to `event`, which will be `after`.
    pub(crate) fn of_event(
        ctx: &Ctx,
        action: Action,
        event: &Event,
        after: Value,
        reason: Option<String>,
    ) -> Self {
        Self {
            customer: Some(event.customer.clone()),
            event_position: Some(event.seq),
            identifier: Some(event.identifier.clone()),
            before: state_of(event),
            after,
            ..Self::of(ctx, action, event.meter.clone(), reason)
        }
    }

    /// What the caller does to usage of `meter`, as far as it is known so far.
    pub(crate) fn of(ctx: &Ctx, action: Action, meter: Id<Meter>, reason: Option<String>) -> Self {
        Self {
            id: ctx.new_id(),
            livemode: ctx.scope().mode.is_live(),
            action,
            meter,
            customer: None,
            event_position: None,
            identifier: None,
            backfill: None,
            before: Value::Null,
            after: Value::Null,
            reason,
            api_key: ctx.caller.key.clone(),
            request: ctx.caller.request.clone(),
            created: ctx.now,
        }
    }
}

impl Row for Entry {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            action: word(cells, "action")?,
            meter: cells.get("meter")?,
            customer: cells.get("customer")?,
            event_position: cells.get("event_position")?,
            identifier: cells.get("identifier")?,
            backfill: cells.get("backfill")?,
            before: stored::read(cells, "state_before")?,
            after: stored::read(cells, "state_after")?,
            reason: cells.get("reason")?,
            api_key: cells.get("api_key")?,
            request: cells.get("request")?,
            created: cells.get("created")?,
        })
    }
}

/// Writes an entry of something that is done in this very transaction.
pub(crate) async fn record(ctx: &mut Ctx, entry: &Entry) -> Result<()> {
    sql::insert(ctx, entry).await
}

/// Writes down what is about to be done to an event. The caller commits before it does it.
pub(crate) async fn intend(ctx: &mut Ctx, entry: &Entry) -> Result<()> {
    sql::intend(ctx, entry).await
}

/// Moves the caller's intent into the trail: it was done. Nothing is left to do when another request
/// has settled it since.
pub(crate) async fn confirm(ctx: &mut Ctx, intent: &Entry) -> Result<()> {
    hold(ctx, intent).await?;
    confirm_held(ctx, intent).await
}

/// Forgets the caller's intent: it was not done, or by another request.
pub(crate) async fn withdraw(ctx: &mut Ctx, intent: &Entry) -> Result<()> {
    hold(ctx, intent).await?;
    sql::forget(ctx, &intent.id).await
}

/// Intents of one event are closed one after the other: what one request settles, another must see.
async fn hold(ctx: &mut Ctx, intent: &Entry) -> Result<()> {
    match &intent.customer {
        Some(customer) => sql::lock_customer(ctx, customer).await,
        None => Err(Error::internal("an intent is of a customer's event")),
    }
}

async fn confirm_held(ctx: &mut Ctx, intent: &Entry) -> Result<()> {
    sql::copy_into_trail(ctx, &intent.id).await?;
    sql::forget(ctx, &intent.id).await
}

/// Decides what a crash left undecided about one event, and holds its customer until the
/// transaction ends, so that two requests do not correct one event at once.
pub(crate) async fn settle_event(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
    identifier: &str,
) -> Result<()> {
    sql::lock_customer(ctx, customer).await?;
    for intent in sql::intents_of_event(ctx, customer, identifier).await? {
        settle(ctx, &intent).await?;
    }
    Ok(())
}

/// Where in the usage log an event stood when it was first corrected, if it ever was.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn first_position(
    ctx: &mut Ctx,
    customer: &Id<Customer>,
    identifier: &str,
) -> Result<Option<u64>> {
    sql::first_position(ctx, customer, identifier).await
}

/// Decides everything that a crash left undecided, in all accounts: at the start of a process, and
/// from time to time. Returns how many corrections got their entry late.
///
/// # Errors
/// A 500 when the database or the usage engine cannot be read.
pub async fn settle_all(services: &Services, now: Timestamp) -> Result<usize> {
    let mut late = 0;
    let mut tx = services.db.begin_read().await?;
    let owners = sql::all_intents(&mut tx, now.0.saturating_sub(INTENT_KEPT_S)).await?;
    drop(tx);
    for owner in owners {
        let caller = owner.caller();
        let mut ctx = Ctx::begin(services, caller, now).await?;
        let Some(intent) = sql::find_intent(&mut ctx, &owner.id).await? else { continue };
        hold(&mut ctx, &intent).await?;
        // Read again: it is held now.
        let Some(intent) = sql::find_intent(&mut ctx, &owner.id).await? else { continue };
        late += usize::from(settle(&mut ctx, &intent).await?);
        ctx.commit().await?;
    }
    Ok(late)
}

/// An intent of any account.
#[derive(Debug)]
struct Owner {
    scope: Scope,
    id: Id<UsageAuditEntry>,
    key: Id<ApiKey>,
    request: Id<Request>,
}

impl Owner {
    fn caller(&self) -> Caller {
        Caller {
            scope: self.scope.clone(),
            key: self.key.clone(),
            version: ApiVersion::newest(),
            request: self.request.clone(),
            idempotency_key: None,
            by_time: false,
        }
    }
}

impl Row for Owner {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let mode: Mode = cells.get("livemode")?;
        Ok(Self {
            scope: Scope { account: cells.get("account")?, mode },
            id: cells.get("id")?,
            key: cells.get("api_key")?,
            request: cells.get("request")?,
        })
    }
}

/// Asks the engine whether what was intended was done. Says whether that had no entry yet.
///
/// Requests that came at once have an intent each for the one correction that was made: the first to
/// be settled gets the entry. An event is not corrected twice alike without something in between, so
/// an entry that says the same of the same version is of that one correction.
async fn settle(ctx: &mut Ctx, intent: &Entry) -> Result<bool> {
    let wanted = match intent.action {
        Action::Cancel => Standing::Cancelled,
        Action::Restore => Standing::Counts,
        Action::Amend => Standing::Amended,
        Action::BackfillApply | Action::BackfillRevert => {
            return Err(Error::internal("a backfill has no intents"));
        }
    };
    let position = intent.event_position.unwrap_or(0);
    let event = event_of_position(ctx, position)?;
    let done = event.is_some_and(|event| event.standing == wanted);
    if !done {
        if intent.created.0 <= ctx.now.0.saturating_sub(INTENT_KEPT_S) {
            sql::forget(ctx, &intent.id).await?;
        }
        return Ok(false);
    }
    let latest = sql::latest_of_event(ctx, intent).await?;
    let told = latest.is_some_and(|entry| {
        entry.action == intent.action && entry.event_position == intent.event_position
    });
    if told {
        sql::forget(ctx, &intent.id).await?;
    } else {
        confirm_held(ctx, intent).await?;
    }
    Ok(!told)
}

/// Lists entries, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let page = input.page()?;
    let (mut customer, mut identifier) = (input.customer.map(String::from), None);
    if let Some(event) = input.event {
        match EventName::parse(&event) {
            EventName::Position(position) => match event_of_position(ctx, position)? {
                Some(event) if customer.as_ref().is_none_or(|c| c == event.customer.as_str()) => {
                    customer = Some(event.customer.to_string());
                    identifier = Some(event.identifier);
                }
                // An identifier that looks like an id; or nothing, of which there are no entries.
                _ => identifier = Some(event.into()),
            },
            EventName::Identifier(_) => identifier = Some(event.into()),
        }
    }
    let filters = [
        Arg::Text(input.meter.map(Into::into)),
        Arg::Text(customer),
        Arg::Text(identifier),
        Arg::Text(input.backfill.map(Into::into)),
    ];
    let noun = UsageAuditEntry::NOUN;
    let slice = ctx.page(&page, noun, (sql::SEQ, sql::LIST), filters).await?;
    Ok(Page {
        url: "/v1/billing/usage_audit".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Entry::wire).collect(),
    })
}

/// Reads an entry whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<Entry> {
    match sql::find(ctx, id).await? {
        Some(entry) => Ok(entry),
        None => Err(ctx.no_such_path(UsageAuditEntry::NOUN, id).await?),
    }
}
