//! JSON: the bodies of v2 requests become the same tree as forms do.
//!
//! No number passes through a float: integers keep their digits, and what is not an integer of 64
//! bits is refused, since the API writes decimals as strings. A name that comes twice in one object
//! is refused too: readers disagree on which of the two counts, and a bill must not depend on it.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use taximeter_service::error::Error;
use taximeter_service::params::Node;

#[cfg(test)]
mod tests;

/// How deep objects and arrays may be nested, the body itself included.
pub(crate) const DEPTH_MAX: usize = 16;
/// The most values in one body, of every kind. A full batch of 100 events with 50 payload keys each
/// has about 5,500.
pub(crate) const VALUES_MAX: usize = 16_384;
/// The longest name of a member, in bytes, as in forms.
const KEY_BYTES_MAX: usize = crate::form::KEY_BYTES_MAX;

/// Where answers carry exact decimals, serde_json hands a number that is no 64-bit integer to the
/// reader as an object with this one name. A client that sends the name itself is refused alike.
const NUMBER: &str = "$serde_json::private::Number";
const INEXACT: &str = "a number must be an integer of 64 bits; write a decimal as a string";

/// Reads a JSON object. An empty body is an empty object: some clients send none.
///
/// # Errors
/// A 400 that says where the text is malformed, ambiguous or beyond a limit.
#[cfg(test)]
pub(crate) fn parse(body: &[u8]) -> Result<Node, Error> {
    parse_within(body, VALUES_MAX)
}

/// Reads a body of JSON, with a bound on the number of values.
pub(crate) fn parse_within(body: &[u8], values_max: usize) -> Result<Node, Error> {
    if body.trim_ascii().is_empty() {
        return Ok(Node::empty());
    }
    let budget = Cell::new(values_max);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let tree =
        Value { depth: 0, values_max, budget: &budget }.deserialize(&mut reader).and_then(|tree| {
            reader.end()?;
            Ok(tree)
        });
    match tree {
        Ok(tree @ Node::Map(_)) => Ok(tree),
        Ok(_) => Err(refuse("the body must be an object")),
        Err(error) => Err(refuse(error)),
    }
}

fn refuse(why: impl fmt::Display) -> Error {
    Error::invalid(format!("Invalid JSON: {why}")).before_execution()
}

/// Reads one value that stands below `depth` objects and arrays.
#[derive(Clone, Copy)]
struct Value<'a> {
    depth: usize,
    values_max: usize,
    /// How many more values the body may have.
    budget: &'a Cell<usize>,
}

impl Value<'_> {
    /// The reader of what stands inside this value.
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format_args!("at most {DEPTH_MAX} levels are accepted")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Node, D::Error> {
        let left = self.budget.get().checked_sub(1).ok_or_else(|| {
            D::Error::custom(format_args!("at most {} values are accepted", self.values_max))
        })?;
        self.budget.set(left);
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Node, E> {
        Err(E::custom(INEXACT))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut out = Vec::new();
        while let Some(node) = elements.next_element_seed(inner)? {
            out.push(node);
        }
        Ok(Node::List(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut out: Vec<(String, Node)> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            if name.len() > KEY_BYTES_MAX {
                return Err(A::Error::custom(format_args!(
                    "a name must be at most {KEY_BYTES_MAX} bytes"
                )));
            }
            if name == NUMBER {
                return Err(A::Error::custom(INEXACT));
            }
            let node = members.next_value_seed(inner)?;
            out.push((name, node));
        }
        match twice(&out) {
            Some(name) => Err(A::Error::custom(format_args!("`{name}` comes twice in one object"))),
            None => Ok(Node::Map(out)),
        }
    }
}

/// A name that more than one member has.
fn twice(members: &[(String, Node)]) -> Option<&str> {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
