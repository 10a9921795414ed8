//! The decoder's rules: one trait, and the walk over a map's members.

use taximeter_kernel::decimal::{Decimal, DecimalError};
use taximeter_kernel::id::{Id, Kind};
use taximeter_kernel::time::Timestamp;

use super::{Node, Path};
use crate::error::{Error, Result};

/// The largest integer and timestamp taken: 2^53 - 1, what every JSON reader still holds exactly.
pub const INTEGER_MAX: i64 = 9_007_199_254_740_991;
/// The most members an array parameter may have where its type sets no closer bound.
pub const LIST_MEMBERS_MAX: usize = 1_000;

/// The shape of a parameter, for the coverage document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// A text, number, date or choice.
    Leaf,
    /// An array of what stands inside.
    List(Box<Self>),
    /// Members under names of the caller's choosing.
    Keyed(Box<Self>),
    /// Members under these names.
    Fields(Vec<(&'static str, Self)>),
    /// Either of two shapes, such as `created=1` and `created[gte]=1`.
    Either(Box<Self>, Box<Self>),
}

/// A type that a request's value can become.
pub trait Decode: Sized {
    /// Takes the value at `path`; `None` when the request does not have it.
    ///
    /// # Errors
    /// A 400 that names the parameter.
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self>;

    /// The shape that [`Decode::decode`] takes.
    fn schema() -> Schema;
}

/// A struct whose members are parameters, by themselves or among those of another.
pub trait Members: Sized {
    /// Their names, as Rust spells them.
    const NAMES: &'static [&'static str];

    /// Takes them out of a map that was opened with their names, as the last in it.
    ///
    /// # Errors
    /// What the type of one finds wrong with it.
    fn take(fields: &mut Fields<'_>) -> Result<Self>;

    /// Their names on the wire, and their shapes.
    fn schemas() -> Vec<(&'static str, Schema)>;
}

/// The members of a map that a struct has not taken yet.
#[derive(Debug)]
pub struct Fields<'a> {
    members: Vec<(String, Node)>,
    path: Path<'a>,
}

impl<'a> Fields<'a> {
    /// Opens the map at `path`, refusing members that are not `known`.
    ///
    /// # Errors
    /// `Missing required param`, `Invalid object`, or `Received unknown parameter`.
    pub fn open(node: Option<Node>, path: Path<'a>, known: &[&str]) -> Result<Self> {
        let members = match node {
            None | Some(Node::Null) => return Err(Error::missing(path.to_string())),
            Some(Node::Map(members)) => members,
            Some(_) => return Err(Error::invalid("Invalid object").param(path.to_string())),
        };
        for (name, _) in &members {
            let plain = |k: &&str| bare(k) == name;
            if !known.iter().any(plain) {
                return Err(unknown(&path, name, known));
            }
        }
        Ok(Self { members, path })
    }

    /// Takes the member `name`, as the type that is wanted.
    ///
    /// # Errors
    /// What the type finds wrong with it.
    pub fn take<T: Decode>(&mut self, name: &str) -> Result<T> {
        let name = bare(name);
        let at = self.members.iter().position(|(n, _)| n == name);
        let node = at.map(|i| self.members.swap_remove(i).1);
        T::decode(node, self.path.child(name))
    }
}

impl Fields<'_> {
    /// Ends the walk. Every known member was taken, and unknown ones were refused at its start.
    pub fn close(&mut self) {
        debug_assert!(self.members.is_empty(), "declared members were not taken");
    }
}

/// `type` for a field that Rust has to spell `r#type`.
fn bare(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

fn unknown(path: &Path<'_>, name: &str, known: &[&str]) -> Error {
    let full = path.child(name).to_string();
    let near = known
        .iter()
        .map(|k| bare(k))
        .map(|k| (distance(k, name), k))
        .filter(|(d, k)| *d <= 2.max(k.len() / 4))
        .min();
    let hint = near.map_or(String::new(), |(_, k)| format!(". Did you mean {k}?"));
    Error::invalid(format!("Received unknown parameter: {full}{hint}"))
        .code("parameter_unknown")
        .param(full)
}

/// How many letters must change, come or go to make one text the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The text of a value that must be one; shared by everything that is written as a text.
pub(super) fn text(node: Option<Node>, path: Path<'_>) -> Result<String> {
    match node {
        None | Some(Node::Null) => Err(Error::missing(path.to_string())),
        Some(Node::Text(text)) if text.is_empty() => Err(empty(path)),
        Some(Node::Text(text)) => Ok(text),
        Some(_) => Err(Error::invalid("Invalid string").param(path.to_string())),
    }
}

/// The text of a number or boolean: a form's text, or a JSON literal of that type.
fn literal(node: Option<Node>, path: Path<'_>, what: &str) -> Result<String> {
    match node {
        Some(Node::Number(text)) => Ok(text),
        Some(Node::Bool(value)) => Ok(value.to_string()),
        Some(Node::List(_) | Node::Map(_)) => {
            Err(Error::invalid(format!("Invalid {what}")).param(path.to_string()))
        }
        other => text(other, path),
    }
}

fn empty(path: Path<'_>) -> Error {
    Error::invalid(format!(
        "You passed an empty string for '{path}'. We assume empty values are an attempt to unset a \
         parameter; however '{path}' cannot be unset. You should remove '{path}' from your request \
         or supply a non-empty value."
    ))
    .code("parameter_invalid_empty")
    .param(path.to_string())
}

/// The first characters of a value, for a message.
pub(super) fn excerpt(text: &str) -> String {
    const EXCERPT_CHARS: usize = 60;
    let mut short: String = text.chars().take(EXCERPT_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        match node {
            None | Some(Node::Null) => Ok(None),
            sent => T::decode(sent, path).map(Some),
        }
    }

    fn schema() -> Schema {
        T::schema()
    }
}

impl Decode for i64 {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text = literal(node, path, "integer")?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        text.parse::<Self>()
            .ok()
            .filter(|n| plain && (-INTEGER_MAX..=INTEGER_MAX).contains(n))
            .ok_or_else(|| {
                Error::invalid(format!("Invalid integer: {}", excerpt(&text)))
                    .code("parameter_invalid_integer")
                    .param(path.to_string())
            })
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

impl Decode for Timestamp {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let seconds = i64::decode(node, path)?;
        // Year 9999: beyond it no calendar the wire knows can name the day.
        if !(0..=253_402_300_799).contains(&seconds) {
            return Err(Error::invalid(format!(
                "Invalid timestamp: {seconds} must be a Unix timestamp in seconds."
            ))
            .param(path.to_string()));
        }
        Ok(Self(seconds))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

impl Decode for bool {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        match literal(node, path, "boolean")?.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(Error::invalid(format!("Invalid boolean: {}", excerpt(other)))
                .param(path.to_string())),
        }
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

impl Decode for Decimal {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text = literal(node, path, "decimal")?;
        Self::from_scientific(&text).map_err(|error: DecimalError| {
            Error::invalid(format!("Invalid decimal: {}: {error}", excerpt(&text)))
                .param(path.to_string())
        })
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

impl<K: Kind> Decode for Id<K> {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text = text(node, path)?;
        Self::parse(&text).map_err(|_| Error::no_such(K::NOUN, &excerpt(&text), path.to_string()))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let nodes = match node {
            None | Some(Node::Null) => return Err(Error::missing(path.to_string())),
            Some(Node::List(nodes)) => nodes,
            Some(Node::Map(members)) => indexed(members, path)?,
            Some(_) => return Err(Error::invalid("Invalid array").param(path.to_string())),
        };
        if nodes.len() > LIST_MEMBERS_MAX {
            return Err(Error::invalid(format!(
                "Invalid array: at most {LIST_MEMBERS_MAX} elements are accepted"
            ))
            .param(path.to_string()));
        }
        let mut out = Self::with_capacity(nodes.len());
        for (index, node) in nodes.into_iter().enumerate() {
            out.push(T::decode(Some(node), path.child(&index.to_string()))?);
        }
        Ok(out)
    }

    fn schema() -> Schema {
        Schema::List(Box::new(T::schema()))
    }
}

/// The members of `a[0]=x&a[1]=y` in the order of their indices. Gaps are closed, as Stripe does.
pub(crate) fn indexed(members: Vec<(String, Node)>, path: Path<'_>) -> Result<Vec<Node>> {
    let mut numbered = Vec::with_capacity(members.len());
    for (name, node) in members {
        let index: u32 =
            name.parse().map_err(|_| Error::invalid("Invalid array").param(path.to_string()))?;
        numbered.push((index, node));
    }
    numbered.sort_by_key(|(index, _)| *index);
    Ok(numbered.into_iter().map(|(_, node)| node).collect())
}
