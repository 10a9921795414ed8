//! The events: each is a function of its number, so that nothing need be kept to know what was sent.
//!
//! Eight meters; customers by the cube of a uniform number, so that few have much; one event of a
//! hundred is a copy of one of the 100,000 before it; four of five happened just now, 15 % within a
//! day, 5 % within the late window; half the meters have two dimensions.

/// How many meters there are.
pub(crate) const METERS: usize = 8;
/// The values that dimensions have.
pub(crate) const REGIONS: [&str; 5] = ["eu-central", "eu-west", "us-east", "us-west", "ap-south"];
/// As [`REGIONS`].
pub(crate) const MODELS: [&str; 7] =
    ["small", "medium", "large", "small-2", "medium-2", "large-2", "huge"];
/// Values are from 1 to this.
pub(crate) const VALUE_MAX: usize = 997;
/// One of so many events is a copy.
const COPY_EACH: u64 = 100;
/// A copy is of one of so many events before it.
const COPY_OF_LAST: u64 = 100_000;
const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;
/// Late events happened this long ago at most: a day within what is taken.
const LATE_S: u64 = 34 * DAY_S;
/// The span that the large customer's events are spread over: within 720 whole hours.
const LARGE_S: u64 = 30 * DAY_S - HOUR_S;

/// Which events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    /// Other events for another seed.
    pub(crate) seed: u64,
    pub(crate) customers: usize,
    /// The second in which the last event arrives.
    pub(crate) now_s: i64,
    /// How long the arrival of all events takes; 0 if all arrive now.
    pub(crate) spread_s: u64,
    /// How many events there are to spread.
    pub(crate) events: u64,
    /// One of so many events is of customer 0 for meter 0, who then has no others; 0 for none.
    pub(crate) large_each: u64,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw {
    /// Of a copy, the number of the first.
    pub(crate) number: u64,
    pub(crate) meter: usize,
    pub(crate) customer: usize,
    pub(crate) timestamp_s: i64,
    pub(crate) value: usize,
    pub(crate) region: usize,
    pub(crate) model: usize,
}

/// The length of an identifier.
pub(crate) const IDENTIFIER_BYTES: usize = 36;

/// Whether the events of a meter have dimensions.
pub(crate) const fn has_dimensions(meter: usize) -> bool {
    meter % 2 == 1
}

impl Workload {
    /// Whether an event is not a copy.
    pub(crate) fn is_new(&self, number: u64) -> bool {
        self.original(number) == number
    }

    /// How many of the events from `first` to before `end` are not copies.
    pub(crate) fn count_new(&self, first: u64, end: u64) -> u64 {
        (first..end).map(|number| u64::from(self.is_new(number))).sum()
    }

    /// The event with that number; the copied one for a copy.
    pub(crate) fn draw(&self, number: u64) -> Draw {
        let number = self.original(number);
        let (one, two) = (self.random(number, 1), self.random(number, 2));
        let large = self.large_each > 0 && number.is_multiple_of(self.large_each);
        let value = 1 + place(two >> 8, VALUE_MAX);
        let (meter, customer) = match (large, self.large_each) {
            (true, _) => (0, 0),
            (false, 0) => (place(one, METERS), cubed(one >> 8, self.customers)),
            (false, _) => (place(one, METERS), 1 + cubed(one >> 8, self.customers - 1)),
        };
        Draw {
            number,
            meter,
            customer,
            timestamp_s: self.timestamp_s(number, large),
            value,
            region: place(two >> 24, REGIONS.len()),
            model: place(two >> 32, MODELS.len()),
        }
    }

    /// When an event comes in.
    pub(crate) fn arrival_s(&self, number: u64) -> i64 {
        let left = u128::from(self.events.saturating_sub(number));
        let before = u128::from(self.spread_s) * left / u128::from(self.events.max(1));
        self.now_s - i64::try_from(before).unwrap_or(0)
    }

    fn timestamp_s(&self, number: u64, large: bool) -> i64 {
        let random = self.random(number, 3);
        let (class, random) = (random % 100, random >> 8);
        let arrival_s = self.arrival_s(number);
        match class {
            _ if large && self.spread_s == 0 => arrival_s - signed(random % LARGE_S),
            _ if large => arrival_s,
            0..80 => arrival_s + signed(random % 11) - 5,
            80..95 => arrival_s - signed(random % DAY_S),
            _ => arrival_s - signed(random % LATE_S),
        }
    }

    /// What is copied, or the number itself.
    fn original(&self, number: u64) -> u64 {
        let copied = |number: u64| {
            let random = self.random(number, 0);
            let back = 1 + (random >> 8) % COPY_OF_LAST.min(number.max(1));
            random.is_multiple_of(COPY_EACH).then(|| number.checked_sub(back)).flatten()
        };
        // A copy of what is a copy itself would lead back ever further.
        match copied(number) {
            Some(first) if copied(first).is_none() => first,
            _ => number,
        }
    }

    /// Writes the identifier of a number that is no copy's: a random UUID's text.
    pub(crate) fn identifier(&self, number: u64) -> [u8; IDENTIFIER_BYTES] {
        const VERSION: u64 = 0x4000;
        const VARIANT: u64 = 0x8000_0000_0000_0000;
        let high = self.random(number, 4) & !0xf000 | VERSION;
        let low = self.random(number, 5) & !(0xc000_0000_0000_0000) | VARIANT;
        let mut text = [b'-'; IDENTIFIER_BYTES];
        let hex = high.to_be_bytes().into_iter().chain(low.to_be_bytes());
        let mut at = 0;
        for byte in hex {
            if matches!(at, 8 | 13 | 18 | 23) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        text
    }

    /// A random number for each number, lane and seed (the mixer of SplitMix64).
    const fn random(&self, number: u64, lane: u64) -> u64 {
        let start = self.seed.wrapping_add(lane.wrapping_mul(0xd1b5_4a32_d192_ed03));
        let mut x = start ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn place(random: u64, places: usize) -> usize {
    usize::try_from(random % u64::try_from(places).unwrap_or(1)).unwrap_or(0)
}

/// The cube of a uniform number below 1, as a place: 0 is the likeliest.
fn cubed(random: u64, places: usize) -> usize {
    const BITS: u32 = 21;
    let u = u128::from(random & ((1 << BITS) - 1));
    let places = u128::try_from(places).unwrap_or(1);
    usize::try_from((u * u * u * places) >> (3 * BITS)).unwrap_or(0)
}

fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW_S: i64 = 1_800_000_007;

    fn workload() -> Workload {
        let (spread_s, large_each) = (0, 0);
        Workload { seed: 7, customers: 101, now_s: NOW_S, spread_s, events: 50_000, large_each }
    }

    #[test]
    fn the_events_are_those_that_were_described() {
        let workload = workload();
        let draws: Vec<Draw> = (0..50_000).map(|number| workload.draw(number)).collect();
        let share = |is: &dyn Fn(&Draw) -> bool| draws.iter().filter(|it| is(it)).count() / 500;
        assert_eq!(share(&|it| (it.timestamp_s - NOW_S).abs() <= 5), 80);
        assert_eq!(share(&|it| it.timestamp_s < NOW_S - 86_400), 4);
        assert!(draws.iter().all(|it| NOW_S - it.timestamp_s < 34 * 86_400));
        // The cube root of an eighth is a half.
        assert!((48..=50).contains(&share(&|it| it.customer < 101 / 8)));
        assert!(draws.iter().any(|it| it.customer == 100) && draws.iter().all(|it| it.meter < 8));
        assert_eq!(share(&|it| it.meter == 7), 12);
    }

    #[test]
    fn one_of_a_hundred_is_a_copy_of_an_earlier_one() {
        let workload = workload();
        let new = workload.count_new(0, 50_000);
        assert!((49_400..49_600).contains(&new), "{new}");
        let copy = (0..).find(|number| !workload.is_new(*number)).unwrap();
        let first = workload.draw(copy).number;
        assert!(first < copy && workload.draw(first) == workload.draw(copy));
        let identifiers: BTreeSet<_> =
            (0..50_000).map(|it| workload.identifier(workload.draw(it).number)).collect();
        assert_eq!(u64::try_from(identifiers.len()), Ok(new));
    }

    #[test]
    fn an_identifier_is_a_random_uuid() {
        let text = workload().identifier(13);
        let text = std::str::from_utf8(&text).unwrap();
        let groups: Vec<usize> = text.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert!(text[14..].starts_with('4') && "89ab".contains(&text[19..20]), "{text}");
    }

    #[test]
    fn the_large_customer_has_its_share_over_thirty_days() {
        let workload = Workload { large_each: 10, ..workload() };
        let draws: Vec<Draw> = (0..50_000).map(|number| workload.draw(number)).collect();
        let large: Vec<&Draw> = draws.iter().filter(|it| it.customer == 0).collect();
        assert!((4_950..5_050).contains(&large.len()), "{}", large.len());
        let hours: BTreeSet<i64> = large.iter().map(|it| it.timestamp_s / 3_600).collect();
        assert!(large.iter().all(|it| it.meter == 0) && hours.len() >= 719, "{}", hours.len());
    }

    #[test]
    fn arrivals_can_be_spread_over_days() {
        let workload = Workload { spread_s: 10 * 86_400, ..workload() };
        assert_eq!(workload.arrival_s(0), NOW_S - 10 * 86_400);
        assert_eq!(workload.arrival_s(25_000), NOW_S - 5 * 86_400);
        assert_eq!(workload.arrival_s(50_000), NOW_S);
    }
}
