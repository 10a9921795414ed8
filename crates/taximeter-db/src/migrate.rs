//! Bringing a database's tables up to date.
//!
//! Migrations are written once. Words in braces stand for what the databases spell differently:
//! `{int}`, `{bool}`, `{text}`, `{bytes}`, `{seq}` for a key that counts up by itself, and `{strict}`
//! after the bracket that closes a table.

use sha2::{Digest as _, Sha256};

use crate::args;
use crate::cells::{Cells, Row};
use crate::db::{Db, Kind};
use crate::error::DbError;
use crate::sql::{Piece, pieces, statements};
use crate::tx::Tx;

/// One step of the schema. Steps are ordered by name and never edited once released.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Four digits, an underscore, words: `0001_accounts`.
    pub name: &'static str,
    /// Statements, each ended by `;`.
    pub sql: &'static str,
}

/// A migration that was just applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its name.
    pub name: &'static str,
}

/// Why the schema was left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// Names must be like `0001_accounts`, each greater than the one before.
    #[error("migration `{name}` is misnamed or out of order")]
    Name {
        /// The offender.
        name: &'static str,
    },
    /// See [`migration_faults`].
    #[error("migration `{name}`: {fault}")]
    Fault {
        /// The offender.
        name: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// The text of an applied migration has changed since.
    #[error("migration `{name}` was edited after it had been applied")]
    Edited {
        /// The offender.
        name: &'static str,
    },
    /// The database has a migration that this program does not know: a newer program made it.
    #[error("the database has migration `{name}`, of a newer version of this program")]
    Unknown {
        /// The migration's name.
        name: String,
    },
    /// A migration that was not applied precedes one that was.
    #[error("migration `{name}` was added before one that had been applied")]
    Skipped {
        /// The offender.
        name: &'static str,
    },
    /// The database refused a statement. Nothing of this migration was kept.
    #[error("migration `{name}`, statement {statement}")]
    Failed {
        /// The migration's name.
        name: &'static str,
        /// Which of its statements, from 1.
        statement: usize,
        /// What the database said.
        #[source]
        source: Box<DbError>,
    },
}

/// Held while migrating, so that replicas that start together take turns. In PostgreSQL's space of
/// pairs, which no key of [`Tx::try_claim`] can meet.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1952542061, 1)";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    name {text} NOT NULL PRIMARY KEY,
    checksum {text} NOT NULL
) {strict}";

struct Stored {
    name: String,
    checksum: String,
}

impl Row for Stored {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self { name: cells.get("name")?, checksum: cells.get("checksum")? })
    }
}

impl Db {
    /// Applies what is pending, each migration in a transaction of its own. Any number of processes
    /// may call this at once.
    ///
    /// # Errors
    /// [`DbError::Migration`]: all up to the one named was applied and stays.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<Vec<Applied>, DbError> {
        let mut applied = Vec::new();
        // Looking first lets a program without the right to make tables run on a current schema.
        let mut pending = self.pending(migrations).await?;
        while !pending.is_empty() {
            let mut tx = self.begin().await?;
            if self.kind() == Kind::Postgres {
                tx.run("SET LOCAL statement_timeout = 0").await?;
                tx.run("SET LOCAL lock_timeout = 0").await?;
                tx.run(LOCK).await?;
                // From here on, rather fail than queue behind a long transaction with everyone
                // else queueing behind us.
                tx.run("SET LOCAL lock_timeout = '10s'").await?;
            }
            pending = unapplied(migrations, &stored(&mut tx).await?)?;
            let Some(next) = pending.first().copied() else { break };
            apply(&mut tx, next).await?;
            tx.commit().await?;
            tracing::info!(migration.name = next.name, "migration applied");
            applied.push(Applied { name: next.name });
            pending.remove(0);
        }
        Ok(applied)
    }

    /// Which migrations [`Db::migrate`] would apply, in order.
    ///
    /// # Errors
    /// [`DbError::Migration`] when it would refuse.
    pub async fn pending(&self, migrations: &[Migration]) -> Result<Vec<Migration>, DbError> {
        refuse_faulty(migrations)?;
        let mut tx = self.begin_read().await?;
        Ok(unapplied(migrations, &stored(&mut tx).await?)?)
    }
}

/// What the database says it has, in order of names.
async fn stored(tx: &mut Tx) -> Result<Vec<Stored>, DbError> {
    let table_exists = match tx.kind() {
        Kind::Sqlite => {
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations') AS found"
        }
        // Not `to_regclass`: it may answer from what this connection knew before it waited for the
        // lock, and miss the table that another process has made meanwhile.
        Kind::Postgres => {
            "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_tables \
             WHERE tablename = 'schema_migrations' \
             AND schemaname = ANY (pg_catalog.current_schemas(false))) AS found"
        }
    };
    if !tx.one::<bool>(table_exists, args![]).await? {
        return Ok(Vec::new());
    }
    tx.rows("SELECT name, checksum FROM schema_migrations ORDER BY name", args![]).await
}

async fn apply(tx: &mut Tx, migration: Migration) -> Result<(), DbError> {
    let kind = tx.kind();
    tx.run(&spelled(TABLE, kind)).await?;
    for (place, statement) in statements(&spelled(migration.sql, kind)).into_iter().enumerate() {
        tx.run(&statement).await.map_err(|source| MigrationError::Failed {
            name: migration.name,
            statement: place + 1,
            source: Box::new(source),
        })?;
    }
    tx.execute(
        "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)",
        args![migration.name, checksum(migration.sql)],
    )
    .await?;
    Ok(())
}

fn refuse_faulty(migrations: &[Migration]) -> Result<(), MigrationError> {
    let mut last = "";
    for Migration { name, sql } in migrations {
        if !well_named(name) || *name <= last {
            return Err(MigrationError::Name { name });
        }
        if let Some(fault) = migration_faults(sql).into_iter().next() {
            return Err(MigrationError::Fault { name, fault });
        }
        last = name;
    }
    Ok(())
}

fn well_named(name: &str) -> bool {
    let Some((number, words)) = name.split_once('_') else { return false };
    number.len() == 4
        && number.bytes().all(|b| b.is_ascii_digit())
        && !words.is_empty()
        && words.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// What of `known` is not in `stored`. What is stored must be how `known` begins.
fn unapplied(known: &[Migration], stored: &[Stored]) -> Result<Vec<Migration>, MigrationError> {
    if let Some(strange) = stored.iter().find(|s| known.iter().all(|k| k.name != s.name)) {
        return Err(MigrationError::Unknown { name: strange.name.clone() });
    }
    for (known, stored) in known.iter().zip(stored) {
        if known.name != stored.name {
            return Err(MigrationError::Skipped { name: known.name });
        }
        if checksum(known.sql) != stored.checksum {
            return Err(MigrationError::Edited { name: known.name });
        }
    }
    Ok(known.iter().skip(stored.len()).copied().collect())
}

/// SHA-256 of the text, in hexadecimal. Line ends do not count: git may change them.
fn checksum(sql: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(sql.replace('\r', ""));
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}

/// What each word in braces stands for: (word, SQLite, PostgreSQL). PostgreSQL compares `{text}` by
/// bytes, as SQLite does, and not by the rules of some language.
const WORDS: [(&str, &str, &str); 6] = [
    (
        "{seq}",
        "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
        "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
    ),
    ("{int}", "INTEGER", "BIGINT"),
    ("{bool}", "INTEGER", "BOOLEAN"),
    ("{text}", "TEXT", "TEXT COLLATE \"C\""),
    ("{bytes}", "BLOB", "BYTEA"),
    ("{strict}", "STRICT", ""),
];

fn spelled(sql: &str, kind: Kind) -> String {
    let mut spelled = String::new();
    for piece in pieces(sql) {
        match piece {
            Piece::Comment(_) => spelled.push('\n'),
            Piece::Quoted(text) => spelled.push_str(text),
            Piece::Code(code) => {
                let code = WORDS.iter().fold(code.to_owned(), |code, (word, sqlite, postgres)| {
                    code.replace(word, if kind == Kind::Sqlite { sqlite } else { postgres })
                });
                spelled.push_str(&code);
            }
        }
    }
    spelled
}

/// Words that only one of the databases knows, or that the two take differently.
const FOREIGN_WORDS: [&str; 36] = [
    "AUTOINCREMENT",
    "BIGINT",
    "BIGSERIAL",
    "BLOB",
    "BOOL",
    "BOOLEAN",
    "BYTEA",
    "CHAR",
    "CITEXT",
    "DATE",
    "DATETIME",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "FUNCTION",
    "IDENTITY",
    "INT",
    "INT4",
    "INT8",
    "INTEGER",
    "INTERVAL",
    "JSON",
    "JSONB",
    "NUMERIC",
    "REAL",
    "SERIAL",
    "SMALLINT",
    "STRICT",
    "TEXT",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TRIGGER",
    "UUID",
    "VARCHAR",
    "WITHOUT",
];

/// What is wrong with a migration's text: types that are not words in braces, words in braces that
/// do not exist, tables without `{strict}`, names of constraints that SQLite would forget.
///
/// ```
/// # use taximeter_db::migration_faults;
/// assert!(migration_faults("CREATE TABLE t (n {int} NOT NULL) {strict};").is_empty());
/// assert_eq!(migration_faults("CREATE TABLE t (n BIGINT NOT NULL) {strict};").len(), 1);
/// ```
#[must_use]
pub fn migration_faults(sql: &str) -> Vec<String> {
    statements(sql).iter().flat_map(|statement| statement_faults(statement)).collect()
}

fn statement_faults(statement: &str) -> Vec<String> {
    let tokens = tokens(statement);
    let mut faults = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        let before = |back: usize| place.checked_sub(back).and_then(|at| tokens.get(at));
        let word = token.to_ascii_uppercase();
        // What comes first in a definition or after these is a name, and may be any word.
        let is_name = before(1).is_none_or(|b| {
            matches!(b.to_ascii_uppercase().as_str(), "(" | "," | "." | "COLUMN" | "TO")
        });
        if FOREIGN_WORDS.contains(&word.as_str()) && !is_name {
            faults.push(format!("`{token}` is not the same on both databases"));
        }
        if token.starts_with('{') && WORDS.iter().all(|(known, ..)| known != token) {
            faults.push(format!("`{token}` is no known word"));
        }
        if token.contains('$') {
            faults.push("`$` has no place in a migration".to_owned());
        }
        let named = before(2).is_some_and(|b| b.eq_ignore_ascii_case("CONSTRAINT"));
        if named && matches!(word.as_str(), "UNIQUE" | "PRIMARY") {
            faults.push(format!(
                "SQLite forgets the name `{}`: make it with CREATE UNIQUE INDEX, or leave it out",
                before(1).map_or("", String::as_str),
            ));
        }
    }
    let starts = |words: [&str; 2]| {
        words.iter().zip(&tokens).all(|(word, token)| token.eq_ignore_ascii_case(word))
    };
    if starts(["CREATE", "TABLE"]) && tokens.last().is_none_or(|last| last != "{strict}") {
        faults.push("a table that does not end in `{strict}`".to_owned());
    }
    faults
}

/// Words, words in braces, quoted texts and single signs.
fn tokens(statement: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for piece in pieces(statement) {
        match piece {
            Piece::Comment(_) => {}
            Piece::Quoted(text) => tokens.push(text.to_owned()),
            Piece::Code(code) => {
                let mut rest = code.trim_start();
                while let Some(first) = rest.chars().next() {
                    let end = match first {
                        '{' => rest.find('}').map_or(rest.len(), |at| at + 1),
                        c if in_word(c) => rest.find(|c| !in_word(c)).unwrap_or(rest.len()),
                        c => c.len_utf8(),
                    };
                    let (token, after) = rest.split_at(end);
                    tokens.push(token.to_owned());
                    rest = after.trim_start();
                }
            }
        }
    }
    tokens
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_faults(sql: &str, expected: &[&str]) {
        let faults = migration_faults(sql);
        assert_eq!(faults.len(), expected.len(), "{sql}: {faults:?}");
        for (fault, part) in faults.iter().zip(expected) {
            assert!(fault.contains(part), "{fault} does not name {part}");
        }
    }

    #[test]
    fn bare_types_and_unknown_words_are_faults() {
        check_faults("CREATE TABLE t (a {int} NOT NULL, b {text}) {strict};", &[]);
        check_faults("create table t (a bigint) {strict};", &["bigint"]);
        check_faults("CREATE TABLE t (a INTEGER, b BOOLEAN) {strict}", &["INTEGER", "BOOLEAN"]);
        check_faults("ALTER TABLE t ADD COLUMN a TEXT;", &["TEXT"]);
        check_faults("CREATE TABLE t (a {integer}) {strict};", &["{integer}"]);
        check_faults("CREATE TABLE t (a {int} DEFAULT $$7$$) {strict};", &["$"]);
        check_faults("CREATE TRIGGER t AFTER INSERT ON u BEGIN SELECT 7; END;", &["TRIGGER"]);
    }

    #[test]
    fn a_table_must_be_strict() {
        check_faults("CREATE TABLE t (a {int});", &["{strict}"]);
        check_faults("CREATE TABLE t (a {int}) STRICT;", &["STRICT", "{strict}"]);
        check_faults("CREATE INDEX t_a ON t (a);", &[]);
    }

    #[test]
    fn a_column_may_be_called_like_a_type() {
        check_faults("CREATE TABLE t (date {int}, text {text}, PRIMARY KEY (date)) {strict};", &[]);
        check_faults("ALTER TABLE t ADD COLUMN time {int};", &[]);
        check_faults("CREATE INDEX t_date ON t (date, text);", &[]);
    }

    #[test]
    fn quoted_text_and_comments_are_not_looked_at() {
        check_faults("-- BIGINT; {nothing}\nCREATE INDEX a ON t (b); /* TEXT */", &[]);
        check_faults("INSERT INTO t (a) VALUES ('x BIGINT {y}');", &[]);
    }

    #[test]
    fn names_that_sqlite_forgets_are_faults() {
        check_faults("CREATE TABLE t (a {int}, CONSTRAINT c UNIQUE (a)) {strict};", &["`c`"]);
        check_faults("CREATE TABLE t (a {int} CONSTRAINT c PRIMARY KEY) {strict};", &["`c`"]);
        check_faults("CREATE TABLE t (a {int} CONSTRAINT c CHECK (a > 7)) {strict};", &[]);
    }

    #[test]
    fn words_are_spelled_for_each_database_and_only_in_code() {
        let sql = "CREATE TABLE t (a {text} DEFAULT '{int}', b {bool}) {strict}";
        assert_eq!(
            spelled(sql, Kind::Sqlite),
            "CREATE TABLE t (a TEXT DEFAULT '{int}', b INTEGER) STRICT"
        );
        assert_eq!(
            spelled(sql, Kind::Postgres),
            "CREATE TABLE t (a TEXT COLLATE \"C\" DEFAULT '{int}', b BOOLEAN) "
        );
    }

    #[test]
    fn a_checksum_is_sha_256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(checksum(""), empty);
        assert_eq!(checksum("a\r\nb"), checksum("a\nb"));
        assert_ne!(checksum("a"), checksum("b"));
    }
}
