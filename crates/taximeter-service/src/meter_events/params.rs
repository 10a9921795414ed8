//! What a request says of an event, in the two dialects.

use std::borrow::Cow;

use taximeter_kernel::time::Timestamp;

use crate::error::{Error, Result};
use crate::params::{Decode, Node, Path, Schema, Text};

/// The longest event name and the longest identifier, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// The most members of a payload.
pub const PAYLOAD_MEMBERS_MAX: usize = 50;
/// The longest key of a payload, in characters.
pub const PAYLOAD_KEY_CHARS_MAX: usize = 100;
/// The longest value of a payload, in characters.
pub const PAYLOAD_VALUE_CHARS_MAX: usize = 500;

/// A key and a value of a payload.
pub type Member<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What happened, as texts under the sender's names, in the order they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(pub Vec<Member<'static>>);

impl Decode for Payload {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let members = match node {
            None | Some(Node::Null) => return Err(Error::missing(path.to_string())),
            Some(Node::Map(members)) => members,
            Some(_) => return Err(Error::invalid("Invalid object").param(path.to_string())),
        };
        if members.len() > PAYLOAD_MEMBERS_MAX {
            return Err(Error::invalid(format!(
                "Invalid payload: at most {PAYLOAD_MEMBERS_MAX} keys are accepted."
            ))
            .param(path.to_string()));
        }
        let mut payload = Vec::with_capacity(members.len());
        for (name, node) in members {
            let name = Text::<PAYLOAD_KEY_CHARS_MAX>::decode(Some(Node::Text(name)), path)?;
            let value = payload_value(node, path.child(&name))?;
            payload.push((Cow::Owned(name.into()), Cow::Owned(value)));
        }
        Ok(Self(payload))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

/// A value of a payload: a text, empty or not. v2 insists on JSON strings, as Stripe does.
fn payload_value(node: Node, path: Path<'_>) -> Result<String> {
    match node {
        Node::Text(text) if text.is_empty() => Ok(text),
        node => Text::<PAYLOAD_VALUE_CHARS_MAX>::decode(Some(node), path).map(Into::into),
    }
}

crate::params! {
    /// An event of the v1 API.
    pub struct Create {
        /// The name of a meter's events.
        pub event_name: Text<NAME_CHARS_MAX>,
        /// Names the event among the customer's: a second one of the same name is refused.
        pub identifier: Option<Text<NAME_CHARS_MAX>>,
        /// Who used how much, under the keys that the meter names.
        pub payload: Payload,
        /// When; now, if left out, by the customer's test clock if it has one.
        pub timestamp: Option<Timestamp>,
    }
}

/// An instant as v2 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339(pub Timestamp);

impl Decode for Rfc3339 {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text = Text::<100>::decode(node, path)?;
        Timestamp::from_rfc3339(&text).map(Self).map_err(|error| {
            Error::invalid(format!("Invalid {path}: {error}.")).param(path.to_string())
        })
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

crate::params! {
    /// An event of the v2 API.
    pub struct CreateV2 {
        /// The name of a meter's events.
        pub event_name: Text<NAME_CHARS_MAX>,
        /// Names the event among the customer's.
        pub identifier: Option<Text<NAME_CHARS_MAX>>,
        /// Who used how much.
        pub payload: Payload,
        /// When; now, if left out, by the customer's test clock if it has one.
        pub timestamp: Option<Rfc3339>,
    }
}

impl From<CreateV2> for Create {
    fn from(input: CreateV2) -> Self {
        let CreateV2 { event_name, identifier, payload, timestamp } = input;
        Self { event_name, identifier, payload, timestamp: timestamp.map(|at| at.0) }
    }
}
