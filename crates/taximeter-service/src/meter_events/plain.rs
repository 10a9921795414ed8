//! An event as most are sent: nothing but plain texts, which need no copy.

use std::borrow::Cow;

use taximeter_kernel::time::Timestamp;

use super::params::{
    Create, Member, NAME_CHARS_MAX, PAYLOAD_KEY_CHARS_MAX, PAYLOAD_MEMBERS_MAX,
    PAYLOAD_VALUE_CHARS_MAX,
};
use crate::params::Node;

/// The last second of the year 9999, as for every timestamp of a form.
const TIMESTAMP_MAX: i64 = 253_402_300_799;

/// More members than this are seldom sent.
const PAYLOAD_MEMBERS_LIKELY: usize = 4;

/// What an event says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plain<'a> {
    /// The name of a meter's events.
    pub event_name: Cow<'a, str>,
    /// Its name among the customer's.
    pub identifier: Option<Cow<'a, str>>,
    /// Who used how much.
    pub payload: Vec<Member<'a>>,
    /// When; now, if left out.
    pub timestamp: Option<Timestamp>,
    /// The same as it was written.
    timestamp_text: Option<Cow<'a, str>>,
}

impl From<Create> for Plain<'static> {
    fn from(input: Create) -> Self {
        Self {
            event_name: Cow::Owned(input.event_name.into()),
            identifier: input.identifier.map(|text| Cow::Owned(text.into())),
            payload: input.payload.0,
            timestamp: input.timestamp,
            timestamp_text: None,
        }
    }
}

impl<'a> Plain<'a> {
    /// Reads the pairs of a form, in the order they were sent.
    ///
    /// `None` when it takes [`Create`] and its decoder to say what the pairs mean, or what is wrong
    /// with them. So whatever is read here, [`Create`] would read alike.
    pub fn read(pairs: impl Iterator<Item = Option<(Cow<'a, str>, Cow<'a, str>)>>) -> Option<Self> {
        let mut event =
            Self { payload: Vec::with_capacity(PAYLOAD_MEMBERS_LIKELY), ..Self::default() };
        for pair in pairs {
            let (name, value) = pair?;
            event.put(name, value)?;
        }
        (!event.event_name.is_empty() && !event.payload.is_empty()).then_some(event)
    }

    fn put(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Option<()> {
        match name.as_ref() {
            "event_name" if self.event_name.is_empty() => {
                self.event_name = text(value, NAME_CHARS_MAX)?;
            }
            "identifier" if self.identifier.is_none() => {
                self.identifier = Some(text(value, NAME_CHARS_MAX)?);
            }
            "timestamp" if self.timestamp.is_none() => {
                self.timestamp = Some(seconds(&value)?);
                self.timestamp_text = Some(value);
            }
            _ => {
                let key = text(member(name)?, PAYLOAD_KEY_CHARS_MAX)?;
                let full = self.payload.len() == PAYLOAD_MEMBERS_MAX;
                if full || self.payload.iter().any(|(known, _)| *known == key) {
                    return None;
                }
                let value = match value.is_empty() {
                    true => value,
                    false => text(value, PAYLOAD_VALUE_CHARS_MAX)?,
                };
                self.payload.push((key, value));
            }
        }
        Some(())
    }

    /// The tree that the same pairs are otherwise read into, for what is derived from it.
    #[must_use]
    pub fn to_node(&self) -> Node {
        let node = |text: &Cow<'a, str>| Node::Text(text.to_string());
        let payload = self.payload.iter().map(|(key, value)| (key.to_string(), node(value)));
        let mut members = vec![
            ("event_name".to_owned(), node(&self.event_name)),
            ("payload".to_owned(), Node::Map(payload.collect())),
        ];
        let named = [("identifier", &self.identifier), ("timestamp", &self.timestamp_text)];
        for (name, text) in named {
            members.extend(text.as_ref().map(|text| (name.to_owned(), node(text))));
        }
        Node::Map(members)
    }
}

/// `k` of `payload[k]`.
fn member(name: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let cut = |name: &str| {
        let key = name.strip_prefix("payload[")?.strip_suffix(']')?;
        let plain = key.bytes().all(|byte| !matches!(byte, b'[' | b']'));
        plain.then_some(key.len())
    };
    let length = cut(&name)?;
    let (start, end) = ("payload[".len(), "payload[".len() + length);
    Some(match name {
        Cow::Borrowed(name) => Cow::Borrowed(&name[start..end]),
        Cow::Owned(name) => Cow::Owned(name[start..end].to_owned()),
    })
}

/// A text of 1 to `max` characters without null characters.
fn text(text: Cow<'_, str>, max: usize) -> Option<Cow<'_, str>> {
    let fits = text.len() <= max || text.chars().count() <= max;
    (!text.is_empty() && fits && !text.contains('\0')).then_some(text)
}

fn seconds(text: &str) -> Option<Timestamp> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|at| plain && (0..=TIMESTAMP_MAX).contains(at))?;
    Some(Timestamp(seconds))
}
