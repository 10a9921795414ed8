//! Formulas and windows: how a meter turns the events of a period into one number.

use std::fmt;

use crate::decimal::{Decimal, Rounding, mul_round};
use crate::time::{DAY_S, HOUR_S, Timestamp};

/// How a meter turns the events of a period into one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Formula {
    /// The values added up: 2, 3 and 3 give 8.
    Sum,
    /// The number of events: 2, 3 and 3 give 3.
    Count,
    /// The value of the event with the greatest timestamp, among equals of the one that arrived
    /// last; 0 when there is none.
    Last,
    /// The greatest value: 2, 3 and 3 give 3; 0 when there is none.
    Max,
    /// The smallest value: 2, 3 and 3 give 2; 0 when there is none.
    Min,
    /// The number of distinct measures: 2, 3 and 3 give 2.
    UniqueCount,
    /// The sum divided by the count: 2, 3 and 3 give 2.666666666667; 0 when there is none.
    Average,
    /// The smallest value that at least so many percent of the values do not exceed: of 2, 3, 5 and
    /// 7 the 50th is 3, the 95th is 7; 0 when there is none.
    Percentile(Percentile),
    /// The level that the values are changes of, over time, in units × hours: +100 at 0:00 and -100
    /// at 0:15 give 25.
    WeightedSum,
}

impl Formula {
    /// The wire's words, in alphabetical order.
    pub const WORDS: [&'static str; 9] = [
        "average",
        "count",
        "last",
        "max",
        "min",
        "percentile",
        "sum",
        "unique_count",
        "weighted_sum",
    ];

    /// Reads the wire's word. Nothing when there is no such word, and when a percentile is missing
    /// for `percentile` or given for another word.
    #[must_use]
    pub fn parse(word: &str, percentile: Option<Percentile>) -> Option<Self> {
        let formula = match (word, percentile) {
            ("percentile", Some(percentile)) => Self::Percentile(percentile),
            (_, Some(_)) => return None,
            ("sum", None) => Self::Sum,
            ("count", None) => Self::Count,
            ("last", None) => Self::Last,
            ("max", None) => Self::Max,
            ("min", None) => Self::Min,
            ("unique_count", None) => Self::UniqueCount,
            ("average", None) => Self::Average,
            ("weighted_sum", None) => Self::WeightedSum,
            (_, None) => return None,
        };
        Some(formula)
    }

    /// The wire's word: `sum`, `count`, `last` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Count => "count",
            Self::Last => "last",
            Self::Max => "max",
            Self::Min => "min",
            Self::UniqueCount => "unique_count",
            Self::Average => "average",
            Self::Percentile(_) => "percentile",
            Self::WeightedSum => "weighted_sum",
        }
    }

    /// Which percentile, when the formula is one.
    #[must_use]
    pub const fn percentile(self) -> Option<Percentile> {
        match self {
            Self::Percentile(percentile) => Some(percentile),
            Self::Sum
            | Self::Count
            | Self::Last
            | Self::Max
            | Self::Min
            | Self::UniqueCount
            | Self::Average
            | Self::WeightedSum => None,
        }
    }

    /// Whether Stripe has the formula too: `sum`, `count` and `last`.
    #[must_use]
    pub const fn is_stripes(self) -> bool {
        matches!(self, Self::Sum | Self::Count | Self::Last)
    }

    /// Whether an event must say a value: all but `count`.
    #[must_use]
    pub const fn needs_value(self) -> bool {
        !matches!(self, Self::Count)
    }

    /// Whether the value is a text of which distinct ones are counted, and no number.
    #[must_use]
    pub const fn counts_members(self) -> bool {
        matches!(self, Self::UniqueCount)
    }
}

/// Which percentile, in tenths of a percent: at least 50, below 100. The 99.9th is 999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentile(u16);

impl Percentile {
    /// The percentile of so many tenths of a percent, when it is from 500 to 999.
    #[must_use]
    pub const fn from_tenths(tenths: u16) -> Option<Self> {
        if 500 <= tenths && tenths <= 999 { Some(Self(tenths)) } else { None }
    }

    /// Reads percents with at most one digit after the point, from `50` to `99.9`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let percents: Decimal = text.parse().ok()?;
        if percents.scale() > 1 {
            return None;
        }
        let tenths = mul_round(percents, Decimal::from_int(10), Rounding::HalfAwayFromZero).ok()?;
        Self::from_tenths(u16::try_from(tenths).ok()?)
    }

    /// In tenths of a percent: 999 for the 99.9th.
    #[must_use]
    pub const fn as_tenths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Percentile {
    /// In percents, without trailing zeros: `99.9`, `95`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One digit after the point is always within a decimal's scale.
        Decimal::new(i128::from(self.0), 1).map_err(|_| fmt::Error)?.fmt(f)
    }
}

/// A meter's `event_time_window`: of the events of one customer whose timestamps fall in the same
/// UTC hour or day, only the one received last counts, and the formula runs over those survivors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// One survivor per UTC hour.
    Hour,
    /// One survivor per UTC day.
    Day,
}

impl Window {
    /// Reads the wire's word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Hour, Self::Day].into_iter().find(|window| window.as_str() == text)
    }

    /// The wire's word: `hour` or `day`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// The window's length in seconds: 3,600 or 86,400.
    #[must_use]
    pub const fn length_s(self) -> i64 {
        match self {
            Self::Hour => HOUR_S,
            Self::Day => DAY_S,
        }
    }

    /// The start of the window that `at` lies in: 3,600 for 3,661 and an hour, -3,600 for -1.
    #[must_use]
    pub const fn start_of(self, at: Timestamp) -> Timestamp {
        match at.0.checked_rem_euclid(self.length_s()) {
            Some(into) => Timestamp(at.0.saturating_sub(into)),
            None => at,
        }
    }
}

/// A meter's formula and the window it runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregation {
    /// How the events become one number.
    pub formula: Formula,
    /// Within which only the event received last counts; nothing when all count.
    pub window: Option<Window>,
}

/// What the total of a whole UTC hour can be made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// From the hours' [`super::Cell`]s, when there is no window; from the survivors that these
    /// hold when there is one.
    Cells,
    /// From the events themselves.
    Events,
}

impl Aggregation {
    /// The aggregation without a window.
    #[must_use]
    pub const fn new(formula: Formula) -> Self {
        Self { formula, window: None }
    }

    /// What a total of whole hours is made from.
    #[must_use]
    pub const fn source(self) -> Source {
        match self.formula {
            Formula::UniqueCount | Formula::Percentile(_) => Source::Events,
            Formula::Sum
            | Formula::Count
            | Formula::Last
            | Formula::Max
            | Formula::Min
            | Formula::Average
            | Formula::WeightedSum => Source::Cells,
        }
    }

    /// For a log, stable for ever: the formula's code, the percentile in tenths (low byte first, 0
    /// when it is none), the window's code. The 99.9th percentile over hours is `8 231 3 1`.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        let (formula, tenths) = match self.formula {
            Formula::Sum => (1, 0),
            Formula::Count => (2, 0),
            Formula::Last => (3, 0),
            Formula::Max => (4, 0),
            Formula::Min => (5, 0),
            Formula::UniqueCount => (6, 0),
            Formula::Average => (7, 0),
            Formula::Percentile(percentile) => (8, percentile.as_tenths()),
            Formula::WeightedSum => (9, 0),
        };
        let window = match self.window {
            None => 0,
            Some(Window::Hour) => 1,
            Some(Window::Day) => 2,
        };
        let [low, high] = tenths.to_le_bytes();
        [formula, low, high, window]
    }

    /// Reads [`Self::to_bytes`]; nothing when these are not the bytes of any aggregation.
    #[must_use]
    pub const fn from_bytes([formula, low, high, window]: [u8; 4]) -> Option<Self> {
        let tenths = u16::from_le_bytes([low, high]);
        let formula = match (formula, tenths) {
            (1, 0) => Formula::Sum,
            (2, 0) => Formula::Count,
            (3, 0) => Formula::Last,
            (4, 0) => Formula::Max,
            (5, 0) => Formula::Min,
            (6, 0) => Formula::UniqueCount,
            (7, 0) => Formula::Average,
            (8, _) => match Percentile::from_tenths(tenths) {
                Some(percentile) => Formula::Percentile(percentile),
                None => return None,
            },
            (9, 0) => Formula::WeightedSum,
            _ => return None,
        };
        let window = match window {
            0 => None,
            1 => Some(Window::Hour),
            2 => Some(Window::Day),
            _ => return None,
        };
        Some(Self { formula, window })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formulas() -> Vec<Formula> {
        let of = |word: &&str| {
            let percentile = Percentile::parse("97.5").filter(|_| *word == "percentile");
            Formula::parse(word, percentile).unwrap()
        };
        Formula::WORDS.iter().map(of).collect()
    }

    #[test]
    fn every_word_reads_back_as_itself() {
        for (formula, word) in formulas().into_iter().zip(Formula::WORDS) {
            assert_eq!(formula.as_str(), word);
        }
        for window in [Window::Hour, Window::Day] {
            assert_eq!(Window::parse(window.as_str()), Some(window));
        }
        assert_eq!(Formula::parse("median", None), None);
        assert_eq!(Window::parse("month"), None);
    }

    #[test]
    fn a_percentile_says_which_and_nothing_else_does() {
        let p95 = Percentile::parse("95");
        assert_eq!(Formula::parse("percentile", p95).unwrap().percentile(), p95);
        assert_eq!(Formula::parse("percentile", None), None);
        assert_eq!(Formula::parse("sum", p95), None);
        assert_eq!(Formula::Sum.percentile(), None);
    }

    #[test]
    fn a_percentile_is_from_50_to_99_9_in_tenths() {
        for (text, tenths, printed) in
            [("50", 500, "50"), ("95.0", 950, "95"), ("99.9", 999, "99.9"), ("097.50", 975, "97.5")]
        {
            let percentile = Percentile::parse(text).unwrap();
            assert_eq!((percentile.as_tenths(), percentile.to_string()), (tenths, printed.into()));
        }
        for text in ["49.9", "100", "99.99", "-95", "p95", "", "655410", "99,9"] {
            assert_eq!(Percentile::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_instant_before_the_epoch_lies_in_the_window_that_starts_before_it() {
        assert_eq!(Window::Hour.start_of(Timestamp(3_661)), Timestamp(3_600));
        assert_eq!(Window::Hour.start_of(Timestamp(-1)), Timestamp(-3_600));
        assert_eq!(Window::Day.start_of(Timestamp(86_399)), Timestamp(0));
        assert_eq!(Window::Day.start_of(Timestamp(-86_400)), Timestamp(-86_400));
    }

    #[test]
    fn every_aggregation_reads_back_from_its_bytes_and_no_two_share_them() {
        let mut seen = std::collections::BTreeSet::new();
        for formula in formulas() {
            for window in [None, Some(Window::Hour), Some(Window::Day)] {
                let aggregation = Aggregation { formula, window };
                assert_eq!(Aggregation::from_bytes(aggregation.to_bytes()), Some(aggregation));
                assert!(seen.insert(aggregation.to_bytes()), "{aggregation:?}");
            }
        }
        let p999 = Formula::Percentile(Percentile::parse("99.9").unwrap());
        let hourly = Aggregation { formula: p999, window: Some(Window::Hour) };
        assert_eq!(hourly.to_bytes(), [8, 231, 3, 1]);
    }

    #[test]
    fn bytes_of_no_aggregation_are_refused() {
        for bytes in [[0, 0, 0, 0], [10, 0, 0, 0], [1, 1, 0, 0], [8, 0, 0, 0], [8, 232, 3, 0]] {
            assert_eq!(Aggregation::from_bytes(bytes), None, "{bytes:?}");
        }
        assert_eq!(Aggregation::from_bytes([1, 0, 0, 3]), None);
    }

    #[test]
    fn what_is_stripes_and_what_needs_a_value_or_a_member() {
        let words = |has: fn(Formula) -> bool| -> Vec<&str> {
            formulas().into_iter().filter(|it| has(*it)).map(Formula::as_str).collect()
        };
        assert_eq!(words(Formula::is_stripes), ["count", "last", "sum"]);
        assert_eq!(words(|it| !it.needs_value()), ["count"]);
        assert_eq!(words(Formula::counts_members), ["unique_count"]);
        assert_eq!(
            words(|it| Aggregation::new(it).source() == Source::Events),
            ["percentile", "unique_count"]
        );
    }
}
