//! What the verbs of webhook endpoints take.

use super::{EVERYTHING, names};
use crate::error::{Error, Result};
use crate::params::{Clear, Metadata, MetadataChange, Text};
use crate::version::ApiVersion;

/// What is said wrong of a name is shown to so many characters.
const SHOWN_CHARS: usize = 60;

crate::params! {
    /// What a new endpoint is made of.
    pub struct Create {
        /// Where events are sent.
        pub url: Text,
        /// The types of the events to send, or `*`.
        pub enabled_events: Vec<Text<100>>,
        /// The version of the API in which events are shown.
        pub api_version: Option<Text<40>>,
        /// Whether it is of events of connected accounts; there are none.
        pub connect: Option<bool>,
        /// A note of the operator's.
        pub description: Clear<Text>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
    }
}

crate::params! {
    /// What of an endpoint can change.
    pub struct Update {
        /// Where events are sent.
        pub url: Option<Text>,
        /// The types of the events to send, or `*`.
        pub enabled_events: Option<Vec<Text<100>>>,
        /// Whether nothing is sent for now.
        pub disabled: Option<bool>,
        /// A note of the operator's.
        pub description: Clear<Text>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
    }
}

crate::params! {
    /// How a secret is replaced.
    pub struct Rotate {
        /// For how long the old one goes on signing, in seconds.
        pub expires_in: Option<i64>,
    }
}

crate::params! {
    /// Deleting takes no parameters.
    pub struct Delete {}
}

crate::params! {
    /// A list of endpoints.
    pub struct List with page {}
}

/// The types of the events to send.
///
/// # Errors
/// A 400 when there is none, when a name is none, and when `*` is not alone.
pub(super) fn enabled_events<const MAX: usize>(names: Vec<Text<MAX>>) -> Result<Vec<String>> {
    const PARAM: &str = "enabled_events";
    if names.is_empty() {
        return Err(Error::missing(PARAM));
    }
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    if names.len() > 1 && names.iter().any(|name| name == EVERYTHING) {
        let message = "Invalid enabled_events: '*' stands for all events, so it stands alone.";
        return Err(Error::invalid(message).param(PARAM));
    }
    for (place, name) in names.iter().enumerate() {
        let param = format!("{PARAM}[{place}]");
        let wrong = if names.iter().take(place).any(|earlier| earlier == name) {
            "is there twice"
        } else if name == EVERYTHING || names::is_name(name) {
            continue;
        } else {
            "is not the name of an event"
        };
        let shown: String = name.chars().take(SHOWN_CHARS).collect();
        return Err(Error::invalid(format!("Invalid {param}: '{shown}' {wrong}.")).param(param));
    }
    Ok(names)
}

/// The version in which events are shown.
///
/// # Errors
/// A 400 when it is none.
pub(super) fn api_version(text: &str) -> Result<ApiVersion> {
    ApiVersion::parse(text).map_err(|error| {
        let message = error.message;
        Error::invalid(message).param("api_version")
    })
}
