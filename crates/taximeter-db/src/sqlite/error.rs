//! What SQLite says went wrong, in our words.

use rusqlite::Connection;
use rusqlite::ffi;

use crate::error::DbError;

/// What the database said, if it is the database that spoke: its extended result code and its message.
fn said(error: &rusqlite::Error) -> Option<(i32, &str)> {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => {
            Some((code.extended_code, message.as_deref().unwrap_or_default()))
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => Some((error.extended_code, msg)),
        _ => None,
    }
}

/// What follows the colon: `customers.key` in "NOT NULL constraint failed: customers.key".
fn subject(message: &str) -> Option<&str> {
    message.split_once("constraint failed: ").map(|(_, subject)| subject)
}

/// An error in our words, with all that can be said without asking the database.
pub(super) fn plain(error: rusqlite::Error) -> DbError {
    let Some((code, message)) = said(&error) else {
        return DbError::Other { source: error.into() };
    };
    let subject = subject(message).map(str::to_owned);
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => DbError::Unique { constraint: None },
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => DbError::ForeignKey { constraint: None },
        ffi::SQLITE_CONSTRAINT_CHECK => DbError::Check { constraint: subject },
        ffi::SQLITE_CONSTRAINT_NOTNULL => DbError::NotNull {
            column: subject.and_then(|name| Some(name.rsplit_once('.')?.1.to_owned())),
        },
        ffi::SQLITE_CONSTRAINT_DATATYPE => DbError::Mismatch { source: error.into() },
        ffi::SQLITE_ERROR if message == "integer overflow" => DbError::Overflow,
        code => match code & 0xff {
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => DbError::Busy { source: error.into() },
            ffi::SQLITE_READONLY => DbError::ReadOnly,
            ffi::SQLITE_IOERR
            | ffi::SQLITE_CORRUPT
            | ffi::SQLITE_FULL
            | ffi::SQLITE_CANTOPEN
            | ffi::SQLITE_NOTADB => DbError::Storage { source: error.into() },
            _ => DbError::Other { source: error.into() },
        },
    }
}

/// An error in our words, with the name of a violated unique index, which SQLite does not say.
pub(super) fn full(connection: &Connection, error: rusqlite::Error) -> DbError {
    let subject = said(&error).and_then(|(_, message)| subject(message)).map(str::to_owned);
    match (plain(error), subject) {
        (DbError::Unique { .. }, Some(subject)) => {
            let indexes = match subject.split_once('.') {
                Some((table, _)) => unique_indexes(connection, table).unwrap_or_default(),
                None => Vec::new(),
            };
            DbError::Unique { constraint: constraint(&subject, &indexes) }
        }
        (error, _) => error,
    }
}

/// A unique index as `pragma_index_list` has it.
#[derive(Debug)]
struct UniqueIndex {
    name: String,
    /// `c`: made by CREATE INDEX; `u`: by UNIQUE in a table; `pk`: by PRIMARY KEY.
    origin: String,
    columns: Vec<String>,
}

fn unique_indexes(connection: &Connection, table: &str) -> rusqlite::Result<Vec<UniqueIndex>> {
    let mut statement = connection.prepare(
        "SELECT l.name AS name, l.origin AS origin, i.name AS column_name \
         FROM pragma_index_list($1) AS l, pragma_index_info(l.name) AS i \
         WHERE l.\"unique\" = 1 ORDER BY l.seq, i.seqno",
    )?;
    let mut rows = statement.query([table])?;
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, column): (String, Option<String>) = (row.get("name")?, row.get("column_name")?);
        match indexes.last_mut() {
            Some(last) if last.name == name => last.columns.extend(column),
            _ => indexes.push(UniqueIndex {
                name,
                origin: row.get("origin")?,
                columns: column.into_iter().collect(),
            }),
        }
    }
    Ok(indexes)
}

/// The name PostgreSQL would give. `subject` is `t.a, t.b`, or `index 'name'` for one over
/// expressions.
fn constraint(subject: &str, indexes: &[UniqueIndex]) -> Option<String> {
    if let Some(name) = subject.strip_prefix("index '") {
        return Some(name.strip_suffix('\'')?.to_owned());
    }
    let (table, _) = subject.split_once('.')?;
    let columns: Vec<&str> =
        subject.split(", ").map(|name| name.split_once('.').map_or(name, |(_, c)| c)).collect();
    let mut matching = indexes.iter().filter(|index| index.columns == columns);
    match (matching.next(), matching.next()) {
        // `INTEGER PRIMARY KEY` is the table itself and has no index.
        (None, _) => Some(format!("{table}_pkey")),
        (Some(index), None) => Some(match index.origin.as_str() {
            "pk" => format!("{table}_pkey"),
            "u" => format!("{table}_{}_key", columns.join("_")),
            _ => index.name.clone(),
        }),
        (Some(_), Some(_)) => None,
    }
}
