//! Stripe's search query language: clauses over a resource's fields, joined by AND or by OR.
//!
//! `name:"Jane" AND metadata["tier"]:"gold"`. Rows are read newest first in batches and each is
//! held against the query, so a search sees every committed row at once. Its cost is that of
//! reading the account's rows until the page is full.

mod query;

pub use query::{Field, FieldKind, FieldValue, Query};

use serde_json::{Map, Value, json};
use taximeter_db::{Arg, Row};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::page::{ListSql, open_token, seal_token};
use crate::params::{Limit, Text};

/// How many rows are read at a time.
const BATCH_ROWS: i64 = 500;
/// The count beyond which `total_count` is not carried on (Stripe's bound).
const TOTAL_COUNT_MAX: usize = 10_000;
const QUERY_CHARS_MAX: usize = 5_000;

crate::params! {
    /// A search of any resource.
    pub struct Search {
        /// The query.
        pub query: Text<QUERY_CHARS_MAX>,
        /// How many objects to return.
        pub limit: Limit,
        /// `next_page` of the page before.
        pub page: Option<Text<255>>,
    }
}

/// A row that a search can hold against a query.
pub trait Searchable: Row {
    /// The fields a query may name.
    const FIELDS: &'static [Field];
    /// Its place in the order of creation.
    fn seq(&self) -> i64;
    /// The value of one of [`Searchable::FIELDS`].
    fn field(&self, name: &str) -> FieldValue<'_>;
}

/// One page of what a search found.
#[derive(Debug)]
pub struct Found<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    next_page: Option<String>,
    total_count: usize,
}

/// Runs a search over the rows of `sql` (a list without filters).
///
/// # Errors
/// A 400 when the query or the page token is malformed.
pub async fn run<T: Searchable>(ctx: &mut Ctx, search: &Search, sql: ListSql) -> Result<Found<T>> {
    let query = Query::parse(&search.query, T::FIELDS)?;
    let limit = usize::try_from(search.limit.0).map_err(Error::internal)?;
    let after = search.page.as_deref().map(|token| open_token(token, "page")).transpose()?;
    let mut below = None;
    let mut rows: Vec<T> = Vec::new();
    let (mut more, mut total_count) = (false, 0_usize);
    loop {
        let args = ctx.args([Arg::Int(below), Arg::Int(None), Arg::from(BATCH_ROWS)]);
        let batch: Vec<T> = ctx.tx.rows(sql.descending, args).await?;
        let full = i64::try_from(batch.len()).is_ok_and(|n| n == BATCH_ROWS);
        below = batch.last().map(T::seq);
        for row in batch {
            if !query.matches(&row) {
                continue;
            }
            total_count = total_count.saturating_add(1).min(TOTAL_COUNT_MAX);
            if after.is_some_and(|seq| row.seq() >= seq) {
                continue;
            }
            if rows.len() < limit {
                rows.push(row);
            } else {
                more = true;
            }
        }
        // Beyond the count that is shown, only the page itself has to be filled.
        if !full || (more && total_count >= TOTAL_COUNT_MAX) {
            break;
        }
    }
    let next_page = rows.last().filter(|_| more).map(|row| seal_token(row.seq()));
    Ok(Found { rows, next_page, total_count })
}

impl<T> Found<T> {
    /// The page as the wire has it; `total_count` is shown only when expanded.
    #[must_use]
    pub fn wire(&self, url: &str, wire: impl Fn(&T) -> Value) -> Value {
        let mut out = Map::new();
        out.insert("object".into(), "search_result".into());
        out.insert("data".into(), self.rows.iter().map(wire).collect());
        out.insert("has_more".into(), self.next_page.is_some().into());
        out.insert("next_page".into(), json!(self.next_page));
        out.insert("total_count".into(), json!(self.total_count));
        out.insert("url".into(), url.into());
        Value::Object(out)
    }
}
