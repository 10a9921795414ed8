//! Reading rows: by name, with the type checked and NULL refused unless it is asked for.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Mode};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;

use crate::error::{Cause, DbError};
use crate::{postgres, sqlite};

/// A type that is read from one row of a result.
pub trait Row: Sized {
    /// Reads the row.
    ///
    /// # Errors
    /// Those of [`Cells::get`].
    fn read(cells: &Cells<'_>) -> Result<Self, DbError>;
}

/// A result of one column is read as that column's type:
/// `tx.one::<i64>("SELECT COUNT(*) AS n FROM customers", args![])`.
impl<T: Cell> Row for T {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        match cells.names().as_slice() {
            [only] => cells.get(only),
            names => Err(DbError::WrongType {
                column: names.join(", "),
                wanted: "a single column",
                found: format!("{} columns", names.len()),
            }),
        }
    }
}

/// What a cell holds, whichever database it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number. SQLite's booleans are this too.
    Int(i64),
    /// A text.
    Text(String),
    /// A truth value, from PostgreSQL.
    Bool(bool),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "an integer",
            Self::Text(_) => "text",
            Self::Bool(_) => "a boolean",
            Self::Bytes(_) => "bytes",
        }
    }
}

/// Why a [`Value`] is not what it is read as.
#[derive(Debug)]
pub enum Unfit {
    /// It is of another type.
    Type(&'static str),
    /// It is of the right type, and out of range or otherwise not to be had from a correct writer.
    Value(Cause),
}

impl Unfit {
    /// Wraps why a value of the right type is none of ours: `text.parse().map_err(Unfit::value)`.
    pub fn value(error: impl Into<Cause>) -> Self {
        Self::Value(error.into())
    }
}

/// A type that is read from one cell. The crates above have it for what they store as text:
///
/// ```
/// # use taximeter_db::{Cell, Unfit, Value};
/// enum Status { Draft, Open }
///
/// impl Cell for Status {
///     const WANTED: &'static str = "an invoice status";
///
///     fn from_value(value: Value) -> Result<Self, Unfit> {
///         match String::from_value(value)?.as_str() {
///             "draft" => Ok(Self::Draft),
///             "open" => Ok(Self::Open),
///             other => Err(Unfit::value(format!("unknown status `{other}`"))),
///         }
///     }
/// }
/// ```
pub trait Cell: Sized {
    /// What the type is called in errors.
    const WANTED: &'static str;

    /// Reads a value that is not NULL.
    ///
    /// # Errors
    /// [`Unfit`] when the value is no `Self`.
    fn from_value(value: Value) -> Result<Self, Unfit>;

    /// What NULL reads as. `None`, an error, for all but `Option`.
    #[must_use]
    fn from_null() -> Option<Self> {
        None
    }
}

impl<T: Cell> Cell for Option<T> {
    const WANTED: &'static str = T::WANTED;

    fn from_value(value: Value) -> Result<Self, Unfit> {
        T::from_value(value).map(Some)
    }

    fn from_null() -> Option<Self> {
        Some(None)
    }
}

impl Cell for i64 {
    const WANTED: &'static str = "an integer";

    fn from_value(value: Value) -> Result<Self, Unfit> {
        match value {
            Value::Int(n) => Ok(n),
            other => Err(Unfit::Type(other.kind())),
        }
    }
}

impl Cell for String {
    const WANTED: &'static str = "text";

    fn from_value(value: Value) -> Result<Self, Unfit> {
        match value {
            Value::Text(text) => Ok(text),
            other => Err(Unfit::Type(other.kind())),
        }
    }
}

impl Cell for Vec<u8> {
    const WANTED: &'static str = "bytes";

    fn from_value(value: Value) -> Result<Self, Unfit> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(Unfit::Type(other.kind())),
        }
    }
}

impl Cell for bool {
    const WANTED: &'static str = "a boolean";

    fn from_value(value: Value) -> Result<Self, Unfit> {
        match value {
            Value::Bool(flag) => Ok(flag),
            Value::Int(0) => Ok(false),
            Value::Int(1) => Ok(true),
            Value::Int(n) => Err(Unfit::Value(format!("{n} is neither 0 nor 1").into())),
            other => Err(Unfit::Type(other.kind())),
        }
    }
}

/// Each line is a type, the simpler type it is read through, and how; the error says why not.
macro_rules! cells {
    ($([$($generics:tt)*] $type:ty, $wanted:literal, |$value:ident: $base:ty| $read:expr;)*) => {$(
        impl<$($generics)*> Cell for $type {
            const WANTED: &'static str = $wanted;

            fn from_value(value: Value) -> Result<Self, Unfit> {
                let $value = <$base>::from_value(value)?;
                $read
            }
        }
    )*};
}

cells! {
    [] i32, "a 32-bit integer", |n: i64| n.try_into().map_err(Unfit::value);
    [] i16, "a 16-bit integer", |n: i64| n.try_into().map_err(Unfit::value);
    [] u64, "an unsigned integer", |n: i64| n.try_into().map_err(Unfit::value);
    [] u32, "an unsigned 32-bit integer", |n: i64| n.try_into().map_err(Unfit::value);
    [] u16, "an unsigned 16-bit integer", |n: i64| n.try_into().map_err(Unfit::value);
    [] u8, "an unsigned 8-bit integer", |n: i64| n.try_into().map_err(Unfit::value);
    [] usize, "a size", |n: i64| n.try_into().map_err(Unfit::value);
    [] Timestamp, "an instant", |seconds: i64| Ok(Self(seconds));
    [] Decimal, "a decimal number", |text: String| text.parse().map_err(Unfit::value);
    [] Mode, "a mode", |livemode: bool| Ok(Self::from_live(livemode));
    [K: taximeter_kernel::id::Kind] Id<K>, "an id", |text: String| Self::parse(&text).map_err(Unfit::value);
    [] Currency, "a currency", |code: String| Currency::parse(&code).map_err(Unfit::value);
}

/// One row of a result.
#[derive(Clone, Copy)]
pub struct Cells<'r> {
    row: Raw<'r>,
}

#[derive(Clone, Copy)]
enum Raw<'r> {
    Sqlite(sqlite::Line<'r>),
    Postgres(&'r PgRow),
}

impl std::fmt::Debug for Cells<'_> {
    /// The columns' names only: what is in them may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cells").field(&self.names()).finish()
    }
}

impl<'r> From<sqlite::Line<'r>> for Cells<'r> {
    fn from(line: sqlite::Line<'r>) -> Self {
        Self { row: Raw::Sqlite(line) }
    }
}

impl<'r> From<&'r PgRow> for Cells<'r> {
    fn from(row: &'r PgRow) -> Self {
        Self { row: Raw::Postgres(row) }
    }
}

impl Cells<'_> {
    /// Reads the cell of the column called `name`.
    ///
    /// # Errors
    /// [`DbError::NoColumn`]; [`DbError::UnexpectedNull`] unless `T` is an `Option`;
    /// [`DbError::WrongType`] when the cell holds another type (nothing is converted, but that a
    /// narrower integer is an `i64` and that 0 and 1 are booleans); [`DbError::Malformed`] when it
    /// holds the right type and no value of `T`: -1 read as `u32`, `x` read as a decimal.
    pub fn get<T: Cell>(&self, name: &str) -> Result<T, DbError> {
        let value = match self.row {
            Raw::Sqlite(line) => line.value(name),
            Raw::Postgres(row) => postgres::value(row, name),
        };
        let column = || name.to_owned();
        let fault = match value.map_err(|fault| fault.at(name, T::WANTED))? {
            None => {
                return T::from_null().ok_or_else(|| DbError::UnexpectedNull { column: column() });
            }
            Some(value) => match T::from_value(value) {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            },
        };
        Err(match fault {
            Unfit::Type(found) => {
                DbError::WrongType { column: column(), wanted: T::WANTED, found: found.to_owned() }
            }
            Unfit::Value(source) => {
                DbError::Malformed { column: column(), wanted: T::WANTED, source }
            }
        })
    }

    fn names(&self) -> Vec<&str> {
        match self.row {
            Raw::Sqlite(line) => line.names().iter().map(String::as_str).collect(),
            Raw::Postgres(row) => row.columns().iter().map(sqlx::Column::name).collect(),
        }
    }

    /// Refuses a result in which two columns share a name: a join could then read the wrong one.
    fn refuse_two_of_a_name(&self) -> Result<(), DbError> {
        let mut names = self.names();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair.first() == pair.last()) {
            Some(pair) => Err(DbError::TwoColumns {
                column: pair.first().copied().unwrap_or_default().to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// Why a driver gave no [`Value`].
pub(crate) enum Fault {
    NoColumn,
    /// The cell's type is none that the seam knows: the database's name of it.
    Type(String),
    Value(Cause),
}

impl Fault {
    fn at(self, name: &str, wanted: &'static str) -> DbError {
        let column = name.to_owned();
        match self {
            Self::NoColumn => DbError::NoColumn { column },
            Self::Type(found) => DbError::WrongType { column, wanted, found },
            Self::Value(source) => DbError::Malformed { column, wanted, source },
        }
    }
}

/// Reads all rows of a result.
pub(crate) fn read_all<T: Row>(rows: &[PgRow]) -> Result<Vec<T>, DbError> {
    // All rows of a result have the same columns, so one look is enough.
    if let Some(first) = rows.first() {
        Cells::from(first).refuse_two_of_a_name()?;
    }
    rows.iter().map(|row| T::read(&Cells::from(row))).collect()
}
