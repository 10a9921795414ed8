//! Forms: the bodies of v1 requests and the query strings of all requests become a tree.
//!
//! `items[0][price]=p&metadata[a]=b` is a map of maps. Brackets mean the same whether they are
//! written plainly or percent-encoded. How a name that comes more than once is read is Rack's rule,
//! which Stripe's clients were written against:
//!
//! | written | read |
//! |---|---|
//! | `a=1&a=2` | `2`: the last one wins |
//! | `a[]=1&a[]=2` | an array of both |
//! | `a[0]=1&a[1]=2` | a map with the names `0` and `1`; the type that is wanted makes an array of it |
//! | `a[][x]=1&a[][y]=2&a[][x]=3` | an array of two maps: a name that repeats starts the next one |
//! | `a=1&a[b]=2`, `a[]=1&a[b]=2` | refused: `a` is two things at once |
//!
//! Nothing here is guessed: an escape that is none, a text that is not UTF-8 and brackets that do
//! not pair are refused, and so is more than the limits below. The work is proportional to the
//! input, whatever the input.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use taximeter_service::error::Error;
use taximeter_service::params::Node;

pub(crate) mod plain;
#[cfg(test)]
mod tests;

/// The most `name=value` pairs. A price with tiers in twenty currencies has more than a thousand.
pub(crate) const PAIRS_MAX: usize = 4_096;
/// The most segments in a name: `items[0][price]` has three. Stripe's deepest parameter, a
/// discount's end within a schedule's preview, has ten.
pub(crate) const DEPTH_MAX: usize = 16;
/// The longest name, in bytes after decoding. A key of 100 four-byte characters in a `payload`
/// takes 409.
pub(crate) const KEY_BYTES_MAX: usize = 1_024;
/// How much of a malformed name a message repeats, in characters.
const EXCERPT_CHARS: usize = 60;

/// Reads a body or a query string of type `application/x-www-form-urlencoded` into a map.
///
/// Members stand in the order in which they were first named. A name without `=` has an empty
/// value, and empty pairs (`a=1&&b=2`) are skipped.
///
/// # Errors
/// A 400 that names the parameter when the text is malformed, ambiguous or beyond a limit.
pub(crate) fn parse(form: &[u8]) -> Result<Node, Error> {
    parse_within(form, PAIRS_MAX)
}

/// As [`parse`], with another bound on the number of pairs.
pub(crate) fn parse_within(form: &[u8], pairs_max: usize) -> Result<Node, Error> {
    let mut root = Slot::Map(BTreeMap::new());
    let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for (arrived, pair) in pairs.enumerate() {
        if arrived == pairs_max {
            return Err(refuse(format!(
                "Too many parameters: at most {pairs_max} are accepted in one request"
            )));
        }
        let (name, value) = split(pair);
        let name = read_name(name)?;
        let value = unescape(value).map_err(|fault| {
            refuse(format!("Invalid {fault} in parameter: {name}")).param(name.as_str())
        })?;
        root.put(&segments(&name)?, arrived, value)?;
    }
    Ok(root.into_node())
}

/// An error that was found before anything ran: it is never kept under an idempotency key.
fn refuse(message: String) -> Error {
    Error::invalid(message).before_execution()
}

/// `name=value`, cut at the first `=`.
fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, &[]),
    }
}

fn read_name(escaped: &[u8]) -> Result<String, Error> {
    let name = unescape(escaped).map_err(|fault| {
        let shown = excerpt(&String::from_utf8_lossy(escaped));
        refuse(format!("Invalid {fault} in a parameter's name: {shown}"))
    })?;
    if name.len() > KEY_BYTES_MAX {
        return Err(refuse(format!(
            "Invalid parameter name '{}': must be at most {KEY_BYTES_MAX} bytes",
            excerpt(&name)
        )));
    }
    Ok(name)
}

/// Turns `+` into spaces and `%41` into `A`, or tells what is wrong with the text.
fn unescape(escaped: &[u8]) -> Result<String, &'static str> {
    let mut plain = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = bytes.next().and_then(hex).ok_or("percent-encoding")?;
                let low = bytes.next().and_then(hex).ok_or("percent-encoding")?;
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(plain).map_err(|_| "UTF-8")
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// One step of a name: `items[0][tax_rates][]` is a name, a name, a name, and one more element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment<'a> {
    Name(&'a str),
    Element,
}

/// Cuts a name at its brackets.
fn segments(name: &str) -> Result<Vec<Segment<'_>>, Error> {
    let malformed = |must: &str| {
        let shown = excerpt(name);
        refuse(format!("Invalid parameter name '{shown}': must {must}"))
    };
    let (first, mut rest) = name.split_at(name.find(['[', ']']).unwrap_or(name.len()));
    if first.is_empty() {
        return Err(malformed("begin with a name, like items[0][price]"));
    }
    let mut out = vec![Segment::Name(first)];
    while !rest.is_empty() {
        let inner = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'));
        let (inside, after) = inner
            .filter(|(inside, _)| !inside.contains('['))
            .ok_or_else(|| malformed("have its brackets in pairs, like items[0][price]"))?;
        let segment = if inside.is_empty() { Segment::Element } else { Segment::Name(inside) };
        // Whether `a[][]` adds to the last array or starts another, nothing tells.
        if segment == Segment::Element && out.last() == Some(&Segment::Element) {
            return Err(malformed("write arrays of arrays with indices, like a[0][0]"));
        }
        if out.len() == DEPTH_MAX {
            return Err(malformed(&format!("have at most {DEPTH_MAX} levels")));
        }
        out.push(segment);
        rest = after;
    }
    Ok(out)
}

/// A name as the client wrote it, for a message.
fn written(path: &[Segment<'_>]) -> String {
    let mut out = String::new();
    for (at, segment) in path.iter().enumerate() {
        match segment {
            Segment::Name(name) if at == 0 => out.push_str(name),
            Segment::Name(name) => out.extend(["[", name, "]"]),
            Segment::Element => out.push_str("[]"),
        }
    }
    out
}

/// What stands at one place of the tree while it grows.
#[derive(Debug)]
enum Slot {
    Value(String),
    Array(Vec<Self>),
    /// By name, for a fast look; each member knows when it came, for the order.
    Map(BTreeMap<String, (usize, Self)>),
}

impl Slot {
    /// Puts a value at `path`.
    fn put(&mut self, path: &[Segment<'_>], arrived: usize, value: String) -> Result<(), Error> {
        let mut slot = self;
        for (at, segment) in path.iter().enumerate() {
            let below = &path[at + 1..];
            slot = match (slot, segment) {
                (Self::Map(members), Segment::Name(name)) => {
                    match members.entry((*name).to_owned()) {
                        Entry::Occupied(member) => &mut member.into_mut().1,
                        Entry::Vacant(place) => {
                            place.insert((arrived, Self::grown(below, arrived, value)));
                            return Ok(());
                        }
                    }
                }
                (Self::Array(elements), Segment::Element) => {
                    let open = elements.len().checked_sub(1).filter(|n| elements[*n].takes(below));
                    let Some(last) = open else {
                        elements.push(Self::grown(below, arrived, value));
                        return Ok(());
                    };
                    &mut elements[last]
                }
                (other, Segment::Name(_)) => return Err(conflict(&path[..at], other, "an object")),
                (other, Segment::Element) => return Err(conflict(&path[..at], other, "an array")),
            };
        }
        match slot {
            Self::Value(text) => {
                *text = value;
                Ok(())
            }
            other => Err(conflict(path, other, "a value")),
        }
    }

    /// The part of the tree that `path` needs where nothing stands yet.
    fn grown(path: &[Segment<'_>], arrived: usize, value: String) -> Self {
        path.iter().rev().fold(Self::Value(value), |inner, segment| match segment {
            Segment::Name(name) => {
                Self::Map(BTreeMap::from([((*name).to_owned(), (arrived, inner))]))
            }
            Segment::Element => Self::Array(vec![inner]),
        })
    }

    /// Whether `path` still belongs to this element of an array. It does unless its value is there
    /// already; what goes into an array below is never there already.
    fn takes(&self, path: &[Segment<'_>]) -> bool {
        if path.contains(&Segment::Element) {
            return true;
        }
        let mut slot = self;
        for segment in path {
            let (Self::Map(members), Segment::Name(name)) = (slot, segment) else { return true };
            let Some((_, below)) = members.get(*name) else { return true };
            slot = below;
        }
        false
    }

    const fn noun(&self) -> &'static str {
        match self {
            Self::Value(_) => "a value",
            Self::Array(_) => "an array",
            Self::Map(_) => "an object",
        }
    }

    fn into_node(self) -> Node {
        match self {
            Self::Value(text) => Node::Text(text),
            Self::Array(elements) => {
                Node::List(elements.into_iter().map(Self::into_node).collect())
            }
            Self::Map(members) => {
                let mut members: Vec<_> = members.into_iter().collect();
                members.sort_by_key(|(_, (arrived, _))| *arrived);
                let node = |(name, (_, slot)): (String, (usize, Self))| (name, slot.into_node());
                Node::Map(members.into_iter().map(node).collect())
            }
        }
    }
}

fn conflict(path: &[Segment<'_>], stands: &Slot, comes: &str) -> Error {
    let name = written(path);
    let stands = stands.noun();
    refuse(format!("Invalid parameter {name}: it was sent both as {stands} and as {comes}"))
        .param(name)
}
