//! JSON columns: read and written through a struct, never by hand.

use serde::Serialize;
use serde::de::DeserializeOwned;
use taximeter_db::{Arg, Cells, DbError};

use crate::ctx::malformed;
use crate::error::{Error, Result};

/// Reads a JSON column.
///
/// # Errors
/// [`DbError::Malformed`] when it does not hold the struct.
pub fn read<T: DeserializeOwned>(cells: &Cells<'_>, column: &'static str) -> Result<T, DbError> {
    let text: String = cells.get(column)?;
    serde_json::from_str(&text).map_err(|_| malformed(column, "JSON of its kind", &text))
}

/// Reads a JSON column that may be null.
///
/// # Errors
/// [`DbError::Malformed`] when it holds something else than the struct.
pub fn read_optional<T: DeserializeOwned>(
    cells: &Cells<'_>,
    column: &'static str,
) -> Result<Option<T>, DbError> {
    let text: Option<String> = cells.get(column)?;
    text.map(|text| {
        serde_json::from_str(&text).map_err(|_| malformed(column, "JSON of its kind", &text))
    })
    .transpose()
}

/// What a JSON column is set to.
///
/// # Errors
/// A 500 when the value has no JSON form.
pub fn write<T: Serialize>(value: &T) -> Result<Arg> {
    serde_json::to_string(value).map(Arg::from).map_err(Error::internal)
}

/// What a JSON column that may be null is set to.
///
/// # Errors
/// A 500 when the value has no JSON form.
pub fn write_optional<T: Serialize>(value: Option<&T>) -> Result<Arg> {
    let text = value.map(serde_json::to_string).transpose().map_err(Error::internal)?;
    Ok(Arg::Text(text))
}
