//! Dimensions in queries: which values of them count, and by which of them totals are told apart.

use serde_json::{Map, Value};
use taximeter_usage::DimensionFilter;

use crate::error::{Error, Result};
use crate::meters::{DIMENSION_KEYS_MAX, Meter};
use crate::params::{Decode, Keyed, Node, Path, Schema, Text};

/// The most values that a filter lets pass of one dimension.
pub const FILTER_VALUES_MAX: usize = 100;
const VALUE_CHARS_MAX: usize = 500;

/// The values that a dimension may have: `region=eu`, or `region[0]=eu&region[1]=us`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values(Vec<String>);

impl Decode for Values {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let values = match node {
            Some(Node::Text(text)) => vec![value(Node::Text(text), path)?],
            node => {
                let values = Vec::<OneValue>::decode(node, path)?;
                values.into_iter().map(|value| value.0).collect()
            }
        };
        if values.is_empty() || values.len() > FILTER_VALUES_MAX {
            return Err(Error::invalid(format!(
                "Invalid array: 1 to {FILTER_VALUES_MAX} values are accepted"
            ))
            .param(path.to_string()));
        }
        Ok(Self(values))
    }

    fn schema() -> Schema {
        Schema::Either(Box::new(Schema::Leaf), Box::new(Schema::List(Box::new(Schema::Leaf))))
    }
}

/// A value of a dimension, which may be the empty text: a payload may hold that.
struct OneValue(String);

impl Decode for OneValue {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        match node {
            Some(node) => value(node, path).map(Self),
            None => Err(Error::missing(path.to_string())),
        }
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

fn value(node: Node, path: Path<'_>) -> Result<String> {
    match node {
        Node::Text(text) if text.is_empty() => Ok(text),
        node => Text::<VALUE_CHARS_MAX>::decode(Some(node), path).map(Into::into),
    }
}

/// The `dimension_filters` of a query.
pub type Filters = Keyed<Values>;

/// The dimensions of a query, as the usage engine knows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Dimensions {
    /// Which values count.
    pub(crate) filters: Vec<DimensionFilter>,
    /// Which tell totals apart, as places in the meter's order.
    pub(crate) group_by: Vec<usize>,
}

impl Dimensions {
    /// The dimensions of `meter` that a query asks for; `at` is where in the request it does.
    ///
    /// # Errors
    /// A 400 when the meter has no such dimension, or one is grouped by twice.
    pub(crate) fn of(
        meter: &Meter,
        filters: Option<Filters>,
        group_by: Option<Vec<Text<100>>>,
        at: Path<'_>,
    ) -> Result<Self> {
        let mut found = Self::default();
        let path = at.child("dimension_filters");
        for (key, Values(values)) in filters.map(|keyed| keyed.0).unwrap_or_default() {
            let dimension = place(meter, &key, path.child(&key))?;
            found.filters.push(DimensionFilter { dimension, values });
        }
        // Equal filters are one query, whatever order they came in.
        found.filters.sort_by_key(|filter| filter.dimension);
        let path = at.child("dimension_group_by_keys");
        let keys = group_by.unwrap_or_default();
        if keys.len() > DIMENSION_KEYS_MAX {
            return Err(Error::invalid(format!(
                "Invalid array: at most {DIMENSION_KEYS_MAX} dimensions are accepted"
            ))
            .param(path.to_string()));
        }
        for (index, key) in keys.iter().enumerate() {
            let (index, path) = (index.to_string(), path);
            let path = path.child(&index);
            let dimension = place(meter, key, path)?;
            if found.group_by.contains(&dimension) {
                return Err(Error::invalid(format!(
                    "Invalid {path}: '{}' is there twice.",
                    &**key
                ))
                .param(path.to_string()));
            }
            found.group_by.push(dimension);
        }
        Ok(found)
    }

    /// The values that a total was told apart by, under their keys; null where none did.
    pub(crate) fn wire(&self, meter: &Meter, values: &[String]) -> Value {
        if self.group_by.is_empty() {
            return Value::Null;
        }
        let keys = self.group_by.iter().filter_map(|place| meter.dimension_keys.get(*place));
        let members = keys.zip(values).map(|(key, value)| (key.clone(), value.as_str().into()));
        Value::Object(members.collect::<Map<_, _>>())
    }
}

fn place(meter: &Meter, key: &str, path: Path<'_>) -> Result<usize> {
    meter.dimension_keys.iter().position(|known| known == key).ok_or_else(|| {
        let has = match meter.dimension_keys.as_slice() {
            [] => "has none".to_owned(),
            keys => format!("has {}", keys.join(", ")),
        };
        Error::invalid(format!(
            "Invalid {path}: '{key}' is no dimension of the meter, which {has}."
        ))
        .param(path.to_string())
    })
}
