//! Running a statement on a connection.

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Statement, ToSql};

use super::error;
use super::pool::Kept;
use crate::arg::Arg;
use crate::cells::{Cells, Fault, Row, Value};
use crate::error::DbError;

/// The columns of a result: their names, and where each is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    names: Vec<String>,
    /// Places, in the order of the names.
    by_name: Vec<usize>,
}

/// One row of a result, for as long as the statement stands at it.
#[derive(Clone, Copy)]
pub(crate) struct Line<'r> {
    row: &'r rusqlite::Row<'r>,
    columns: &'r Columns,
}

impl Columns {
    fn of(statement: &Statement<'_>) -> Self {
        let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut by_name: Vec<usize> = (0..names.len()).collect();
        by_name.sort_by_key(|place| names.get(*place));
        Self { names, by_name }
    }

    /// Whether they are still those of a statement that was prepared anew: a table may have changed.
    fn are_of(&self, statement: &Statement<'_>) -> bool {
        statement.column_count() == self.names.len()
            && statement.column_names().into_iter().eq(self.names.iter().map(String::as_str))
    }

    fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("", String::as_str)
    }

    fn place(&self, name: &str) -> Option<usize> {
        let found = self.by_name.binary_search_by(|place| self.name(*place).cmp(name)).ok()?;
        self.by_name.get(found).copied()
    }

    /// Refuses a result in which two columns share a name: a join could then read the wrong one.
    fn refuse_two_of_a_name(&self) -> Result<(), DbError> {
        let same = self.by_name.windows(2).find_map(|pair| match pair {
            [a, b] if self.name(*a) == self.name(*b) => Some(self.name(*a)),
            _ => None,
        });
        same.map_or(Ok(()), |name| Err(DbError::TwoColumns { column: name.to_owned() }))
    }
}

impl<'r> Line<'r> {
    pub(crate) fn names(&self) -> &'r [String] {
        &self.columns.names
    }

    pub(crate) fn value(&self, name: &str) -> Result<Option<Value>, Fault> {
        let place = self.columns.place(name).ok_or(Fault::NoColumn)?;
        let cell = self.row.get_ref(place).map_err(|_| Fault::NoColumn)?;
        Ok(Some(match cell {
            ValueRef::Null => return Ok(None),
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Value::Text(text.to_owned()),
                Err(error) => return Err(Fault::Value(error.into())),
            },
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
            ValueRef::Real(_) => return Err(Fault::Type("REAL".to_owned())),
        }))
    }
}

impl ToSql for Arg {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Self::Int(value) => value.map(ValueRef::Integer),
            Self::Text(value) => value.as_ref().map(|text| ValueRef::Text(text.as_bytes())),
            Self::Bool(value) => value.map(|flag| ValueRef::Integer(i64::from(flag))),
            Self::Bytes(value) => value.as_ref().map(|bytes| ValueRef::Blob(bytes)),
        };
        Ok(ToSqlOutput::Borrowed(value.unwrap_or(ValueRef::Null)))
    }
}

/// Binds the first argument to `$1`, and so on. To SQLite, `$1` is a name like any other.
fn bind(statement: &mut Statement<'_>, args: &[Arg]) -> rusqlite::Result<()> {
    for index in 1..=statement.parameter_count() {
        let number = statement.parameter_name(index).and_then(|name| name.get(1..)?.parse().ok());
        let arg = number.and_then(|number: usize| args.get(number.checked_sub(1)?));
        let arg = arg.ok_or(rusqlite::Error::InvalidParameterCount(args.len(), index))?;
        statement.raw_bind_parameter(index, arg)?;
    }
    Ok(())
}

impl Kept {
    /// Runs a statement, and says how many rows it changed.
    pub(super) fn execute(&self, sql: &str, args: &[Arg]) -> Result<u64, DbError> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            bind(&mut statement, args)?;
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
            Ok(self.connection.changes())
        };
        run().map_err(|error| error::full(&self.connection, error))
    }

    /// Runs a query, and reads its rows. The outer error is the statement's.
    pub(super) fn fetch<T: Row>(
        &mut self,
        sql: &'static str,
        args: &[Arg],
    ) -> Result<Result<Vec<T>, DbError>, DbError> {
        let Self { connection, columns: known } = self;
        let mut run = || {
            let mut statement = connection.prepare_cached(sql)?;
            bind(&mut statement, args)?;
            let mut lines = Vec::new();
            let mut columns: Option<Arc<Columns>> = None;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                let columns = match &columns {
                    Some(columns) => columns,
                    None => {
                        let found = match known.get(sql) {
                            Some(known) if known.are_of(row.as_ref()) => Arc::clone(known),
                            _ => {
                                let found = Arc::new(Columns::of(row.as_ref()));
                                if let Err(error) = found.refuse_two_of_a_name() {
                                    return Ok(Err(error));
                                }
                                known.insert(sql, Arc::clone(&found));
                                found
                            }
                        };
                        columns.insert(found)
                    }
                };
                match T::read(&Cells::from(Line { row, columns })) {
                    Ok(line) => lines.push(line),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(lines))
        };
        run().map_err(|error| error::full(connection, error))
    }
}
