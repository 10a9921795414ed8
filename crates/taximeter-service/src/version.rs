//! Versions of the API: which one a client speaks, and how an answer looked in older ones.
//!
//! Everything is computed as the newest version has it. [`render`] turns an answer into what an
//! older version showed; the differences are listed there, one function each.

mod older;

pub use older::render;
pub(crate) use older::{is_expandable, moved, shows_whole};

use crate::error::{Error, Result};

/// The version this server speaks, and a client that names none gets.
pub const NEWEST: &str = "2026-10-28.endive";
/// From here on a subscription's period stands on its items and an invoice has a `parent`.
pub const BASIL: &str = "2025-03-31";
/// From here on subscriptions are billed in flexible mode unless told otherwise.
pub const CLOVER: &str = "2025-09-30";

/// The first version that carries each release's name.
const RELEASES: &[(&str, &str)] = &[
    ("acacia", "2024-09-30"),
    ("basil", BASIL),
    ("clover", CLOVER),
    ("dahlia", "2026-03-25"),
    ("endive", "2026-10-28"),
];

/// The version of the API that a request is made in, such as `2026-10-28.endive`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiVersion(String);

impl ApiVersion {
    /// The version of a client that names none.
    #[must_use]
    pub fn newest() -> Self {
        Self(NEWEST.to_owned())
    }

    /// Reads the `Stripe-Version` header: a date, from 2024-09-30 on with the release's name.
    ///
    /// A version newer than [`NEWEST`] is taken for it: within a release Stripe only adds.
    ///
    /// # Errors
    /// A 400 when the text cannot be a version.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = || {
            let shown: String = text.chars().take(40).collect();
            Error::invalid(format!("Invalid Stripe API version: {shown}")).before_execution()
        };
        let mut parts = text.split('.');
        let date = parts.next().filter(|date| is_date(date)).ok_or_else(refuse)?;
        let release = parts.next();
        let preview = parts.next();
        if parts.next().is_some() || preview.is_some_and(|p| p != "preview") {
            return Err(refuse());
        }
        let named = match release {
            None => date < RELEASES[0].1,
            Some("preview") => preview.is_none(),
            Some(name) => match RELEASES.iter().position(|(known, _)| *known == name) {
                Some(at) => {
                    let next = RELEASES.get(at + 1).map_or("9999-12-31", |(_, first)| first);
                    RELEASES[at].1 <= date && date < next
                }
                None => date > NEWEST && name.bytes().all(|b| b.is_ascii_lowercase()),
            },
        };
        if named { Ok(Self(text.to_owned())) } else { Err(refuse()) }
    }

    /// The version as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this version is older than the one of `date`.
    #[must_use]
    pub fn is_before(&self, date: &str) -> bool {
        self.0.get(..date.len()).is_some_and(|own| own < date)
    }
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        });
    let within = |from: usize, to: usize, range: std::ops::RangeInclusive<u32>| {
        text.get(from..to).and_then(|n| n.parse().ok()).is_some_and(|n| range.contains(&n))
    };
    shape && within(0, 4, 2011..=2099) && within(5, 7, 1..=12) && within(8, 10, 1..=31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_stripe_writes_them() {
        for good in [
            "2026-10-28.endive",
            "2026-08-26.dahlia",
            "2024-09-30.acacia",
            "2025-03-31.basil",
            "2020-08-27",
            "2025-09-30.preview",
            "2026-11-25.endive",
            "2027-03-31.fennel",
        ] {
            assert!(ApiVersion::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "latest",
            "2026-13-01.endive",
            "2026-10-28",
            "2025-03-31.acacia",
            "2024-01-01.basil",
        ] {
            assert!(ApiVersion::parse(bad).is_err(), "{bad}");
        }
        assert!(ApiVersion::parse("2025-02-24.acacia").unwrap().is_before(BASIL));
        assert!(!ApiVersion::parse("2025-03-31.basil").unwrap().is_before(BASIL));
    }
}
