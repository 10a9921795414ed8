//! The `Date` of answers.

use std::time::{Duration, UNIX_EPOCH};

use taximeter_kernel::time::Timestamp;

/// The last second in four digits of a year.
const LAST_S: u64 = 253_402_300_799;

/// A date that is written anew once a second at most.
#[derive(Debug, Default)]
pub(super) struct Date(Option<(Timestamp, String)>);

impl Date {
    /// `Thu, 15 Jan 2026 10:30:00 GMT`
    pub(super) fn text(&mut self, now: Timestamp) -> &str {
        if self.0.as_ref().is_none_or(|(at, _)| *at != now) {
            let seconds = u64::try_from(now.0).unwrap_or(0).min(LAST_S);
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            self.0 = Some((now, text));
        }
        self.0.as_ref().map_or("", |(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_its_second() {
        let mut date = Date::default();
        for (now, text) in [
            (1_768_473_000, "Thu, 15 Jan 2026 10:30:00 GMT"),
            (1_768_473_000, "Thu, 15 Jan 2026 10:30:00 GMT"),
            (1_768_473_007, "Thu, 15 Jan 2026 10:30:07 GMT"),
            (-7, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(date.text(Timestamp(now)), text);
        }
    }
}
