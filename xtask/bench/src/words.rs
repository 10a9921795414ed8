//! Numbers as people read them, and what is asked of them.

use std::time::Duration;

/// `1234567` is `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Tenths: `987` is `98.7`.
pub(crate) fn tenths(number: u64) -> String {
    format!("{}.{}", grouped(number / 10), number % 10)
}

/// Microseconds as milliseconds: `1234` is `1.234`.
pub(crate) fn millis(us: u64) -> String {
    format!("{}.{:03}", grouped(us / 1_000), us % 1_000)
}

/// How many in a second, when so many took that long.
pub(crate) fn per_second(count: u64, took: Duration) -> u64 {
    let us = took.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / us).unwrap_or(u64::MAX)
}

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// A figure that is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) what: &'static str,
    pub(crate) better: Better,
    /// At least, or at most.
    pub(crate) required: u64,
    pub(crate) goal: u64,
    /// How the number is written.
    pub(crate) shown: fn(u64) -> String,
    pub(crate) unit: &'static str,
}

impl Asked {
    /// One line: what was measured beside what is asked.
    pub(crate) fn beside(&self, measured: u64) -> String {
        let (bound, met) = match self.better {
            Better::More => ("at least", measured >= self.required),
            Better::Less => ("at most", measured <= self.required),
        };
        let reached = match self.better {
            Better::More => measured >= self.goal,
            Better::Less => measured <= self.goal,
        };
        let word = |is: bool| if is { "reached" } else { "NOT reached" };
        let Self { what, unit, shown, .. } = self;
        format!(
            "=> {what}: {}{unit} ({bound} {}{unit}: {}; goal {}{unit}: {})",
            shown(measured),
            shown(self.required),
            word(met),
            shown(self.goal),
            word(reached),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            (grouped(7), grouped(1_013), grouped(1_234_567)),
            ("7".into(), "1,013".into(), "1,234,567".into())
        );
        assert_eq!((tenths(987), tenths(7)), ("98.7".into(), "0.7".into()));
        assert_eq!((millis(1_234), millis(7)), ("1.234".into(), "0.007".into()));
        assert_eq!(per_second(13, Duration::from_millis(500)), 26);
    }

    #[test]
    fn a_figure_stands_beside_what_is_asked() {
        let less = Asked {
            what: "bytes",
            better: Better::Less,
            required: 200,
            goal: 80,
            shown: grouped,
            unit: " B",
        };
        assert_eq!(
            less.beside(101),
            "=> bytes: 101 B (at most 200 B: reached; goal 80 B: NOT reached)"
        );
        let more = Asked { better: Better::More, ..less };
        assert_eq!(
            more.beside(101),
            "=> bytes: 101 B (at least 200 B: NOT reached; goal 80 B: reached)"
        );
    }
}
