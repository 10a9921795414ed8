//! The types of parameters that Rust has no type for.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::decode::{excerpt, text};
use super::{Decode, Node, Path, Schema};
use crate::error::{Error, Result};

/// The longest text of a parameter that sets no closer bound, in characters (Stripe's).
pub const TEXT_CHARS_MAX: usize = 5_000;
/// The most keys a `metadata` holds (Stripe's).
pub const METADATA_KEYS_MAX: usize = 50;
const METADATA_KEY_CHARS_MAX: usize = 40;
const METADATA_VALUE_CHARS_MAX: usize = 500;
const LIMIT_DEFAULT: i64 = 10;
const LIMIT_MAX: i64 = 100;

/// A text of 1 to `MAX` characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize = TEXT_CHARS_MAX>(pub String);

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0
    }
}

impl<const MAX: usize> Decode for Text<MAX> {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text = text(node, path)?;
        if text.chars().count() > MAX {
            return Err(Error::invalid(format!(
                "Invalid string: {}; must be at most {MAX} characters",
                excerpt(&text)
            ))
            .param(path.to_string()));
        }
        if text.contains('\0') {
            return Err(Error::invalid("Invalid string: must not contain a null character")
                .param(path.to_string()));
        }
        Ok(Self(text))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

/// A parameter that an empty string unsets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Clear<T> {
    /// Not sent: stays as it is.
    #[default]
    Keep,
    /// Sent empty: becomes null.
    Unset,
    /// Sent with a value.
    Set(T),
}

impl<T> Clear<T> {
    /// What a new object gets: there is nothing to keep.
    pub fn or_none(self) -> Option<T> {
        match self {
            Self::Keep | Self::Unset => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Takes the change out, so that none is left.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Whether the request does not mention it.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Puts the change on a field that may be null.
    pub fn apply<U>(self, field: &mut Option<U>)
    where
        U: From<T>,
    {
        match self {
            Self::Keep => {}
            Self::Unset => *field = None,
            Self::Set(value) => *field = Some(value.into()),
        }
    }
}

impl<T: Decode> Decode for Clear<T> {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        match node {
            None => Ok(Self::Keep),
            Some(Node::Null) => Ok(Self::Unset),
            Some(Node::Text(text)) if text.is_empty() => Ok(Self::Unset),
            sent => T::decode(sent, path).map(Self::Set),
        }
    }

    fn schema() -> Schema {
        T::schema()
    }
}

/// The `metadata` of a new object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata(pub BTreeMap<String, String>);

/// A change of `metadata`: merged key by key, an empty value deletes its key, an empty
/// `metadata` clears all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MetadataChange {
    /// Not sent.
    #[default]
    Keep,
    /// `metadata=`.
    ClearAll,
    /// Keys to set, and keys (`None`) to delete.
    Merge(BTreeMap<String, Option<String>>),
}

impl MetadataChange {
    /// The metadata after the change.
    ///
    /// # Errors
    /// A 400 when it would hold more than [`METADATA_KEYS_MAX`] keys.
    pub fn apply(self, metadata: &mut BTreeMap<String, String>) -> Result<()> {
        match self {
            Self::Keep => {}
            Self::ClearAll => metadata.clear(),
            Self::Merge(changes) => {
                for (key, value) in changes {
                    match value {
                        Some(value) => metadata.insert(key, value),
                        None => metadata.remove(&key),
                    };
                }
            }
        }
        check_count(metadata.len(), Path::ROOT.child("metadata"))
    }
}

impl Decode for MetadataChange {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let members = match node {
            None => return Ok(Self::Keep),
            Some(Node::Null) => return Ok(Self::ClearAll),
            Some(Node::Text(text)) if text.is_empty() => return Ok(Self::ClearAll),
            Some(Node::Map(members)) => members,
            Some(_) => return Err(Error::invalid("Invalid object").param(path.to_string())),
        };
        check_count(members.len(), path)?;
        let mut changes = BTreeMap::new();
        for (key, node) in members {
            check_key(&key, path)?;
            let value = match node {
                Node::Null => None,
                Node::Text(text) if text.is_empty() => None,
                node => Some(metadata_value(node, path.child(&key))?),
            };
            changes.insert(key, value);
        }
        Ok(Self::Merge(changes))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

impl Decode for Metadata {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let mut metadata = BTreeMap::new();
        MetadataChange::decode(node, path)?.apply(&mut metadata)?;
        Ok(Self(metadata))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

fn check_count(count: usize, path: Path<'_>) -> Result<()> {
    if count <= METADATA_KEYS_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "You can only have up to {METADATA_KEYS_MAX} metadata keys on an object; this would make {count}."
    ))
    .param(path.to_string()))
}

fn check_key(key: &str, path: Path<'_>) -> Result<()> {
    let refuse = |message: String| Err(Error::invalid(message).param(path.to_string()));
    if key.is_empty() {
        return refuse("Metadata keys cannot be empty.".to_owned());
    }
    if key.chars().count() > METADATA_KEY_CHARS_MAX {
        return refuse(format!(
            "Metadata keys can be at most {METADATA_KEY_CHARS_MAX} characters: {}",
            excerpt(key)
        ));
    }
    if key.contains(['[', ']', '\0']) {
        return refuse(format!("Metadata keys cannot contain square brackets: {}", excerpt(key)));
    }
    Ok(())
}

fn metadata_value(node: Node, path: Path<'_>) -> Result<String> {
    Text::<METADATA_VALUE_CHARS_MAX>::decode(Some(node), path).map(String::from)
}

/// Members under names of the caller's choosing: `currency_options[eur][unit_amount]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed<T>(pub Vec<(String, T)>);

impl<T: Decode> Decode for Keyed<T> {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let members = match node {
            None | Some(Node::Null) => return Err(Error::missing(path.to_string())),
            Some(Node::Map(members)) => members,
            Some(_) => return Err(Error::invalid("Invalid object").param(path.to_string())),
        };
        let mut out = Vec::with_capacity(members.len());
        for (name, node) in members {
            let value = T::decode(Some(node), path.child(&name))?;
            out.push((name, value));
        }
        Ok(Self(out))
    }

    fn schema() -> Schema {
        Schema::Keyed(Box::new(T::schema()))
    }
}

/// A value that is one of a few words: what [`choice!`](crate::choice!) makes of an enum.
pub trait Choice: Sized + Copy + 'static {
    /// Every value, in the order a message lists them.
    const ALL: &'static [Self];

    /// The word on the wire and in the database.
    fn as_str(self) -> &'static str;

    /// The value a word stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.as_str() == word)
    }

    /// Decodes the word at `path`.
    ///
    /// # Errors
    /// `Invalid interval: must be one of day, week, month, or year`.
    fn decode_word(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let word = text(node, path)?;
        Self::from_word(&word).ok_or_else(|| {
            Error::invalid(format!("Invalid {path}: must be one of {}", choices::<Self>()))
                .param(path.to_string())
        })
    }
}

/// `day, week, month, or year`.
#[must_use]
pub fn choices<C: Choice>() -> String {
    let words: Vec<&str> = C::ALL.iter().map(|value| value.as_str()).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [one, other] => format!("{one} or {other}"),
        [most @ .., last] => format!("{}, or {last}", most.join(", ")),
    }
}

/// A value, or one word that stands for a special one: `up_to=inf`, `trial_end=now`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrWord<W, T> {
    /// The word.
    Word(W),
    /// The value.
    Value(T),
}

impl<W: Choice, T: Decode> Decode for OrWord<W, T> {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        if let Some(Node::Text(text)) = &node
            && let Some(word) = W::from_word(text)
        {
            return Ok(Self::Word(word));
        }
        T::decode(node, path).map(Self::Value)
    }

    fn schema() -> Schema {
        T::schema()
    }
}

crate::params! {
    /// Bounds of a number or an instant.
    pub struct Bounds {
        /// Greater than.
        pub gt: Option<i64>,
        /// Greater than or equal to.
        pub gte: Option<i64>,
        /// Less than.
        pub lt: Option<i64>,
        /// Less than or equal to.
        pub lte: Option<i64>,
    }
}

/// A filter by range: `created=5`, or `created[gte]=5&created[lt]=9`. Inclusive on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// The least value that passes.
    pub min: Option<i64>,
    /// The greatest value that passes.
    pub max: Option<i64>,
}

impl Decode for Range {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let Some(node) = node else { return Ok(Self::default()) };
        if !matches!(node, Node::Map(_)) {
            let exactly = Some(i64::decode(Some(node), path)?);
            return Ok(Self { min: exactly, max: exactly });
        }
        let bounds = Bounds::decode(Some(node), path)?;
        // Decoded integers are bounded well inside i64, so one more or less fits.
        let above = bounds.gt.map(|n| n.saturating_add(1));
        let below = bounds.lt.map(|n| n.saturating_sub(1));
        Ok(Self {
            min: above.max(bounds.gte),
            max: match (below, bounds.lte) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        })
    }

    fn schema() -> Schema {
        Schema::Either(Box::new(Schema::Leaf), Box::new(Bounds::schema()))
    }
}

/// How many objects a page holds: 10 unless told, and as Stripe does, brought within 1 to 100
/// rather than refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub i64);

impl Decode for Limit {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let asked = Option::<i64>::decode(node, path)?.unwrap_or(LIMIT_DEFAULT);
        Ok(Self(asked.clamp(1, LIMIT_MAX)))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}
