//! Many events of one request, as they came in.

use std::borrow::Cow;
use std::ops::Range;

use taximeter_kernel::time::Timestamp;

use super::intake::EVENTS_PER_REQUEST_MAX;
use super::params::{Create, CreateV2, Member};
use crate::error::{Error, Result};
use crate::params::decode::indexed;
use crate::params::{Decode, Node, Path, Schema};

/// One event. Its payload stands in the list that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawEvent<'a> {
    pub(super) event_name: Cow<'a, str>,
    pub(super) identifier: Option<Cow<'a, str>>,
    pub(super) timestamp: Option<Timestamp>,
    pub(super) payload: Range<usize>,
}

/// The events of one request, with the texts of its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events<'a> {
    pub(super) list: Vec<RawEvent<'a>>,
    pub(super) members: Vec<Member<'a>>,
}

impl<'a> Events<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Refuses more than `max`.
    ///
    /// # Errors
    /// A 400.
    pub fn at_most(&self, max: usize) -> Result<()> {
        if self.len() <= max {
            return Ok(());
        }
        Err(Error::invalid(format!("Invalid array: at most {max} events are accepted"))
            .param("events")
            .before_execution())
    }

    /// The payload of an event.
    pub(super) fn payload(&self, event: &RawEvent<'a>) -> &[Member<'a>] {
        self.members.get(event.payload.clone()).unwrap_or_default()
    }

    pub(super) fn push(&mut self, event: Create) {
        let first = self.members.len();
        self.members.extend(event.payload.0);
        self.list.push(RawEvent {
            event_name: Cow::Owned(event.event_name.into()),
            identifier: event.identifier.map(|text| Cow::Owned(text.into())),
            timestamp: event.timestamp,
            payload: first..self.members.len(),
        });
    }
}

/// A list of events among the parameters.
#[derive(Debug, Clone)]
pub struct EventList<T>(Vec<T>);

impl<T: Decode> Decode for EventList<T> {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let nodes = match node {
            None | Some(Node::Null) => return Err(Error::missing(path.to_string())),
            Some(Node::List(nodes)) => nodes,
            Some(Node::Map(members)) => indexed(members, path)?,
            Some(_) => return Err(Error::invalid("Invalid array").param(path.to_string())),
        };
        if nodes.len() > EVENTS_PER_REQUEST_MAX {
            return Err(Error::invalid(format!(
                "Invalid array: at most {EVENTS_PER_REQUEST_MAX} events are accepted"
            ))
            .param(path.to_string()));
        }
        let mut events = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.into_iter().enumerate() {
            events.push(T::decode(Some(node), path.child(&index.to_string()))?);
        }
        Ok(Self(events))
    }

    fn schema() -> Schema {
        Schema::List(Box::new(T::schema()))
    }
}

crate::params! {
    /// Events of the v2 stream.
    pub struct Stream {
        /// The events.
        pub events: EventList<CreateV2>,
    }
}

crate::params! {
    /// A batch of events.
    pub struct BatchCreate {
        /// The events.
        pub events: EventList<Create>,
    }
}

impl From<Stream> for Events<'static> {
    fn from(stream: Stream) -> Self {
        let mut events = Self::default();
        stream.events.0.into_iter().for_each(|event| events.push(event.into()));
        events
    }
}

impl From<BatchCreate> for Events<'static> {
    fn from(batch: BatchCreate) -> Self {
        let mut events = Self::default();
        batch.events.0.into_iter().for_each(|event| events.push(event));
        events
    }
}
