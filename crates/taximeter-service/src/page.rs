//! Lists: newest first, in pages cut by cursors.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use taximeter_db::Arg;

use crate::error::{Error, Result};
use crate::params::Limit;

/// Which part of a list is asked for.
#[derive(Debug, Clone)]
pub struct Page {
    /// The most objects to return, 1 to 100.
    pub limit: i64,
    cursor: Cursor,
}

#[derive(Debug, Clone)]
enum Cursor {
    /// The newest objects.
    Start,
    /// What is older than the object with this id.
    After(String),
    /// What is newer than the object with this id.
    Before(String),
}

/// Which way a page's rows are read: the SQL of the two differs only in its ORDER BY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Newest first.
    Descending,
    /// Oldest first: the page before a cursor is read from the cursor upwards, then turned round.
    Ascending,
}

impl Page {
    /// The page that `starting_after` or `ending_before` cuts out.
    ///
    /// # Errors
    /// A 400 when both are given.
    pub fn new(limit: Limit, after: Option<&str>, before: Option<&str>) -> Result<Self> {
        let cursor = match (after, before) {
            (None, None) => Cursor::Start,
            (Some(id), None) => Cursor::After(id.to_owned()),
            (None, Some(id)) => Cursor::Before(id.to_owned()),
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "You may only specify one of these parameters: starting_after, ending_before.",
                )
                .code("parameters_exclusive")
                .param("starting_after"));
            }
        };
        Ok(Self { limit: limit.0, cursor })
    }

    /// The id of the cursor and the name of the parameter that carries it.
    #[must_use]
    pub fn cursor(&self) -> Option<(&str, &'static str)> {
        match &self.cursor {
            Cursor::Start => None,
            Cursor::After(id) => Some((id, "starting_after")),
            Cursor::Before(id) => Some((id, "ending_before")),
        }
    }

    /// Which way to read.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        match self.cursor {
            Cursor::Before(_) => Direction::Ascending,
            Cursor::Start | Cursor::After(_) => Direction::Descending,
        }
    }

    /// The bounds on a row's `seq`, given that of the cursor's row: below the first, above the
    /// second.
    #[must_use]
    pub fn seq_bounds(&self, cursor_seq: Option<i64>) -> (Arg, Arg) {
        match self.direction() {
            Direction::Descending => (Arg::Int(cursor_seq), Arg::Int(None)),
            Direction::Ascending => (Arg::Int(None), Arg::Int(cursor_seq)),
        }
    }

    /// How many rows to read: one more than the limit tells whether there are more.
    #[must_use]
    pub const fn rows(&self) -> i64 {
        self.limit.saturating_add(1)
    }

    /// Makes the page out of the rows read in [`Page::direction`], at most [`Page::rows`] of them.
    #[must_use]
    pub fn cut<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        if self.direction() == Direction::Ascending {
            rows.reverse();
        }
        Slice { rows, has_more }
    }
}

impl Page {
    /// Cuts the page out of a whole list that is in memory, in the list's own order.
    ///
    /// # Errors
    /// A 400 when the cursor names none of the rows.
    pub fn cut_from<T>(
        &self,
        mut rows: Vec<T>,
        noun: &str,
        id: impl Fn(&T) -> &str,
    ) -> Result<Slice<T>> {
        if let Some((cursor, param)) = self.cursor() {
            let at = rows
                .iter()
                .position(|row| id(row) == cursor)
                .ok_or_else(|| Error::no_such(noun, cursor, param))?;
            match self.direction() {
                Direction::Descending => rows.drain(..=at),
                Direction::Ascending => rows.drain(at..),
            };
        }
        if self.direction() == Direction::Ascending {
            rows.reverse();
        }
        Ok(self.cut(rows))
    }
}

/// The rows of one page, newest first.
#[derive(Debug, Clone)]
pub struct Slice<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether the list goes on in the direction it was read.
    pub has_more: bool,
}

/// A page as the wire has it.
#[derive(Debug, Clone)]
pub struct List {
    /// Where the list lives: `/v1/customers`. Clients ask it for the next page.
    pub url: String,
    /// Whether there is a next page.
    pub has_more: bool,
    /// The objects.
    pub data: Vec<Value>,
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        json!({
            "object": "list",
            "data": list.data,
            "has_more": list.has_more,
            "url": list.url,
        })
    }
}

/// The two statements of a list: the same but for the order.
#[derive(Debug, Clone, Copy)]
pub struct ListSql {
    /// Newest first.
    pub descending: &'static str,
    /// Oldest first.
    pub ascending: &'static str,
}

impl ListSql {
    /// The statement that reads in `direction`.
    #[must_use]
    pub const fn of(&self, direction: Direction) -> &'static str {
        match direction {
            Direction::Descending => self.descending,
            Direction::Ascending => self.ascending,
        }
    }
}

/// A page token that stands for the last row of a page.
#[must_use]
pub fn seal_token(seq: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("seq:{seq}"))
}

/// The row a page token stands for.
///
/// # Errors
/// A 400 when the text is no token.
pub fn open_token(token: &str, param: &str) -> Result<i64> {
    let refuse = || Error::invalid("Invalid pagination cursor").param(param);
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refuse())?;
    let text = String::from_utf8(bytes).map_err(|_| refuse())?;
    text.strip_prefix("seq:").and_then(|seq| seq.parse().ok()).ok_or_else(refuse)
}

/// Builds a [`ListSql`] out of literals. `$1` and `$2` are the account and mode, `$3` and `$4` the
/// bounds on `seq`, `$5` the number of rows; the filters continue from `$6`.
#[macro_export]
macro_rules! list_sql {
    ($($part:literal),+ $(,)?) => {
        $crate::page::ListSql {
            descending: concat!(
                $($part,)+
                " AND ($3 IS NULL OR seq < $3) AND ($4 IS NULL OR seq > $4)",
                " ORDER BY seq DESC LIMIT $5",
            ),
            ascending: concat!(
                $($part,)+
                " AND ($3 IS NULL OR seq < $3) AND ($4 IS NULL OR seq > $4)",
                " ORDER BY seq ASC LIMIT $5",
            ),
        }
    };
}
