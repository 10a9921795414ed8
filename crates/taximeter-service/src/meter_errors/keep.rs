//! Keeping what could not be counted.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use taximeter_kernel::id::{Id, Meter, MeterEventError};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::RequestKey;

use super::{ERRORS_OPEN_MAX, sql};
use crate::ctx::{Caller, Ctx, Services};
use crate::error::{Error, Kind, Result};
use crate::idempotency;
use crate::meter_events::{ErrorCode, EventError, Member};
use crate::test_clocks;

/// An event that is to be kept.
#[derive(Debug)]
pub struct Letter<'a> {
    /// The name it was sent under.
    pub event_name: &'a str,
    /// Its name among the customer's.
    pub identifier: &'a str,
    /// When the usage happened; when it came in, if it does not say.
    pub timestamp: Option<Timestamp>,
    /// The payload as sent.
    pub payload: &'a [Member<'a>],
    /// The meter of its name.
    pub meter: Option<&'a Id<Meter>>,
    /// The customer, as the payload names it.
    pub customer: Option<&'a str>,
    /// Why it is not counted.
    pub error: EventError,
    /// What names it among the events of requests with an idempotency key.
    pub request: Option<RequestKey>,
}

impl Letter<'_> {
    /// The payload as it is stored.
    pub(super) fn payload_json(&self) -> Map<String, Value> {
        self.payload.iter().map(|(k, v)| (k.to_string(), Value::from(v.to_string()))).collect()
    }
}

/// Refuses a request that brings more errors than there is room for, before anything of it is done.
///
/// # Errors
/// A 429.
pub(crate) async fn has_room(services: &Services, caller: &Caller, more: usize) -> Result<()> {
    let mut ctx = Ctx::begin_read(services, caller.clone(), Timestamp(0)).await?;
    let open = sql::count_open(&mut ctx).await?;
    let more = i64::try_from(more).map_err(Error::internal)?;
    if open.saturating_add(more) > ERRORS_OPEN_MAX { Err(full()) } else { Ok(()) }
}

/// Keeps what one request brought, in one transaction. When this returns, it is durable.
///
/// An event that an earlier attempt of the request brought is not kept again.
///
/// # Errors
/// A 429 when there is no room; a 500 when the database does not take them. Nothing is kept then.
pub(crate) async fn keep(
    services: &Services,
    caller: &Caller,
    received: Timestamp,
    letters: &[Letter<'_>],
) -> Result<Vec<Id<MeterEventError>>> {
    let mut ctx = Ctx::begin(services, caller.clone(), received).await?;
    let ids = put(&mut ctx, letters).await?.0;
    ctx.commit().await?;
    Ok(ids)
}

/// Keeps one event. When an earlier attempt of the request brought it, the time of that is returned.
///
/// # Errors
/// As [`keep`]; [`idempotency::mismatch`] when the key was used for another event.
pub(crate) async fn keep_one(
    services: &Services,
    caller: &Caller,
    received: Timestamp,
    letter: Letter<'_>,
) -> Result<Option<Timestamp>> {
    let mut ctx = Ctx::begin(services, caller.clone(), received).await?;
    let request = letter.request;
    let (_, kept) = put(&mut ctx, &[letter]).await?;
    if let (0, Some(request)) = (kept, request) {
        let (first, fingerprint) = sql::first_of(&mut ctx, request).await?;
        if fingerprint != sql::fingerprint(request) {
            let key = caller.idempotency_key.as_deref().unwrap_or("");
            return Err(idempotency::mismatch(key));
        }
        return Ok(Some(first));
    }
    ctx.commit().await?;
    Ok(None)
}

async fn put(ctx: &mut Ctx, letters: &[Letter<'_>]) -> Result<(Vec<Id<MeterEventError>>, u64)> {
    let mut ids = Vec::with_capacity(letters.len());
    let mut kept = 0;
    let mut times = BTreeMap::new();
    for chunk in letters.chunks(sql::ROWS_PER_INSERT) {
        let mut rows = Vec::with_capacity(chunk.len());
        for letter in chunk {
            let id: Id<MeterEventError> = ctx.new_id();
            let meter = match (letter.meter, letter.error.code) {
                (Some(meter), _) => Some(meter.as_str().to_owned()),
                (None, ErrorCode::ArchivedMeter) => {
                    sql::archived_meter(ctx, letter.event_name).await?
                }
                (None, _) => None,
            };
            let clock_time = clock_time(ctx, letter, &mut times).await?;
            rows.push(sql::Kept { id: id.clone(), meter, clock_time, letter });
            ids.push(id);
        }
        kept += sql::insert(ctx, &rows).await?;
    }
    if !sql::count_up(ctx, kept).await? {
        return Err(full());
    }
    Ok((ids, kept))
}

/// What the test clock of the event's customer shows, if it has one.
async fn clock_time<'l>(
    ctx: &mut Ctx,
    letter: &Letter<'l>,
    times: &mut BTreeMap<&'l str, Option<Timestamp>>,
) -> Result<Option<Timestamp>> {
    // A customer that is not there has no time of its own.
    let Some(customer) =
        letter.customer.filter(|_| letter.error.code != ErrorCode::CustomerNotFound)
    else {
        return Ok(None);
    };
    if let Some(known) = times.get(customer) {
        return Ok(*known);
    }
    let clock = test_clocks::of_customer(ctx, customer).await?;
    let time = clock.map(|clock| clock.frozen_time);
    times.insert(customer, time);
    Ok(time)
}

fn full() -> Error {
    Error::new(
        Kind::RateLimit,
        format!(
            "There are {ERRORS_OPEN_MAX} open meter event errors, as many as are kept. Replay or \
             dismiss some of them: see /v1/billing/meter_event_errors."
        ),
    )
    .code("rate_limit")
}
