//! Reading the body of many events straight into borrowed texts.
//!
//! This takes what clients usually send and nothing else: on anything unusual, malformed or beyond a
//! limit it gives up, and the body is read again the long way round, whose errors name what is wrong.
//! What it takes is read alike by both; the tests hold the two against each other.

use std::borrow::Cow;

use taximeter_kernel::time::{DAY_S, HOUR_S, Timestamp};

use super::events::{Events, RawEvent};
use super::intake::EVENTS_PER_REQUEST_MAX;
use super::params::{
    Member, NAME_CHARS_MAX, PAYLOAD_KEY_CHARS_MAX, PAYLOAD_MEMBERS_MAX, PAYLOAD_VALUE_CHARS_MAX,
};

/// How the dialect writes an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instants {
    /// v1: seconds since 1970, a number.
    Seconds,
    /// v2: RFC 3339, a text.
    Rfc3339,
}

/// The latest second that v1 takes: the end of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;
/// About how many bytes an event takes, to make room beforehand.
const EVENT_BYTES_USUAL: usize = 160;

impl<'a> Events<'a> {
    /// Reads `{"events": [...]}`. Nothing does not mean that the body is wrong.
    #[must_use]
    pub fn scan(body: &'a [u8], instants: Instants) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let mut scanner = Scanner { text, at: 0 };
        let room = (body.len() / EVENT_BYTES_USUAL + 1).min(EVENTS_PER_REQUEST_MAX);
        let mut events = Self {
            list: Vec::with_capacity(room),
            members: Vec::with_capacity(room.saturating_mul(3)),
        };
        scanner.skip(b'{')?;
        if scanner.text()? != "events" {
            return None;
        }
        scanner.skip(b':')?;
        scanner.skip(b'[')?;
        if scanner.peek()? == b']' {
            scanner.at += 1;
        } else {
            loop {
                if events.list.len() == EVENTS_PER_REQUEST_MAX {
                    return None;
                }
                let event = scanner.event(&mut events.members, instants)?;
                events.list.push(event);
                if !scanner.goes_on(b']')? {
                    break;
                }
            }
        }
        scanner.skip(b'}')?;
        scanner.space();
        (scanner.at == text.len()).then_some(events)
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        self.space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// After an element: whether a comma comes, and not the end.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b',' { Some(true) } else { (byte == end).then_some(false) }
    }

    /// A string.
    fn text(&mut self) -> Option<Cow<'a, str>> {
        self.skip(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes().get(start..)?;
        let plain = plain_bytes(bytes)?;
        if bytes.get(plain) == Some(&b'"') {
            self.at = start + plain + 1;
            return self.text.get(start..start + plain).map(Cow::Borrowed);
        }
        self.escaped(start)
    }

    /// A string with escapes, which begins before `start`.
    #[cold]
    fn escaped(&mut self, start: usize) -> Option<Cow<'a, str>> {
        let bytes = self.text.as_bytes();
        let mut end = start;
        while *bytes.get(end)? != b'"' {
            end += if bytes.get(end) == Some(&b'\\') { 2 } else { 1 };
        }
        let quoted = self.text.get(start - 1..=end)?;
        let text: String = serde_json::from_str(quoted).ok()?;
        self.at = end + 1;
        // No text in a database holds it.
        (!text.contains('\0')).then_some(Cow::Owned(text))
    }

    fn event(&mut self, members: &mut Vec<Member<'a>>, instants: Instants) -> Option<RawEvent<'a>> {
        let (mut event_name, mut identifier, mut timestamp, mut payload) = (None, None, None, None);
        self.skip(b'{')?;
        loop {
            let name = self.text()?;
            self.skip(b':')?;
            match name.as_ref() {
                "event_name" if event_name.is_none() => {
                    event_name = Some(self.bounded(1, NAME_CHARS_MAX)?);
                }
                "identifier" if identifier.is_none() => {
                    identifier = Some(self.bounded(1, NAME_CHARS_MAX)?);
                }
                "timestamp" if timestamp.is_none() => {
                    timestamp = Some(match instants {
                        Instants::Seconds => self.seconds()?,
                        Instants::Rfc3339 => instant(&self.bounded(1, NAME_CHARS_MAX)?)?,
                    });
                }
                "payload" if payload.is_none() => {
                    let first = members.len();
                    self.payload(members, first)?;
                    payload = Some(first..members.len());
                }
                _ => return None,
            }
            if !self.goes_on(b'}')? {
                break;
            }
        }
        Some(RawEvent { event_name: event_name?, identifier, timestamp, payload: payload? })
    }

    fn payload(&mut self, members: &mut Vec<Member<'a>>, first: usize) -> Option<()> {
        self.skip(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.bounded(1, PAYLOAD_KEY_CHARS_MAX)?;
            self.skip(b':')?;
            let value = self.bounded(0, PAYLOAD_VALUE_CHARS_MAX)?;
            let before = members.get(first..)?;
            if before.len() == PAYLOAD_MEMBERS_MAX || before.iter().any(|(name, _)| *name == key) {
                return None;
            }
            members.push((key, value));
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    /// A string of `min` to `max` characters.
    fn bounded(&mut self, min: usize, max: usize) -> Option<Cow<'a, str>> {
        let text = self.text()?;
        // Characters are counted only where there may be fewer of them than bytes.
        let fits = text.len() >= min && (text.len() <= max || text.chars().count() <= max);
        fits.then_some(text)
    }

    /// A number of seconds.
    fn seconds(&mut self) -> Option<Timestamp> {
        self.space();
        let rest = self.text.get(self.at..)?;
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = rest.split_at(digits);
        let whole = !after.starts_with(['.', 'e', 'E']);
        let canonical = digits == "0" || !digits.starts_with('0');
        let seconds: i64 = digits.parse().ok()?;
        self.at += digits.len();
        (whole && canonical && seconds <= SECONDS_MAX).then_some(Timestamp(seconds))
    }
}

/// How many bytes stand before the first that ends a string, begins an escape or may not be in one.
/// Eight at a time: most of a body is in its strings.
fn plain_bytes(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // Marks bytes that are 0, and now and then one that stands above such a byte.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let (quotes, escapes) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = zeros(quotes) | zeros(escapes) | controls;
        if found != 0 {
            // The lowest mark is never a false one.
            return Some(place * 8 + usize::try_from(found.trailing_zeros() / 8).ok()?);
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    rest.iter().position(ends).map(|place| words.len() * 8 + place)
}

/// Reads `2026-01-15T10:30:00.000Z` by its places, and whatever else is an instant at length.
fn instant(text: &str) -> Option<Timestamp> {
    plain_instant(text.as_bytes()).or_else(|| Timestamp::from_rfc3339(text).ok())
}

fn plain_instant(text: &[u8]) -> Option<Timestamp> {
    let (head, tail) = text.split_at_checked(19)?;
    match tail {
        [b'Z'] => {}
        [b'.', fraction @ .., b'Z']
            if !fraction.is_empty()
                && fraction.len() <= 9
                && fraction.iter().all(u8::is_ascii_digit) => {}
        _ => return None,
    }
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2] =
        head
    else {
        return None;
    };
    let two = |tens: u8, ones: u8| -> Option<i64> {
        let digits = [tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0')];
        digits.iter().all(|d| *d < 10).then(|| i64::from(digits[0] * 10 + digits[1]))
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    let days = days_before(year, month, day)?;
    let in_day = hour < 24 && minute < 60 && second < 60;
    in_day.then(|| Timestamp(days * DAY_S + hour * HOUR_S + minute * 60 + second))
}

/// How many days lie between 1970-01-01 and a day from then on; nothing when there is no such day.
fn days_before(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let index = usize::try_from(month - 1).ok()?;
    let (length, before) = (*LENGTHS.get(index)?, *BEFORE.get(index)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = length + i64::from(leap && month == 2);
    // The last days of 9999 are beyond what is read at length.
    if !(1970..9999).contains(&year) || day < 1 || day > length {
        return None;
    }
    // Leap days before this year, less those before 1970.
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400 - 477;
    Some((year - 1970) * 365 + leap_days + before + i64::from(leap && month > 2) + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the body says, if it is read here: name, identifier, timestamp, payload of each event.
    fn read(body: &str, instants: Instants) -> Option<Vec<String>> {
        let events = Events::scan(body.as_bytes(), instants)?;
        let shown = events.list.iter().map(|event| {
            let at = event.timestamp.map(|at| at.0);
            let payload = events.payload(event);
            format!("{} {:?} {at:?} {payload:?}", event.event_name, event.identifier)
        });
        Some(shown.collect())
    }

    #[test]
    fn what_clients_usually_send_is_read() {
        let body = r#" { "events": [
            {"event_name":"e","payload":{"c":"cus_7","v":"1.5","":""}},
            {"event_name":"e","payload":{}}]} "#;
        assert_eq!(read(body, Instants::Rfc3339), None, "a key may not be empty");
        let body = r#" { "events": [
            {"event_name":"e","identifier":"i","timestamp":"2024-06-01T12:10:00.000Z",
             "payload":{"c":"cus_7","v":"1.5","n":""}},
            {"payload":{},"event_name":"\u00e9\n\"ß"}]} "#;
        let expected = [
            "e Some(\"i\") Some(1717243800) [(\"c\", \"cus_7\"), (\"v\", \"1.5\"), (\"n\", \"\")]",
            "é\n\"ß None None []",
        ];
        assert_eq!(read(body, Instants::Rfc3339).unwrap(), expected);
        let body = r#"{"events":[{"event_name":"e","timestamp":1717243800,"payload":{}}]}"#;
        assert_eq!(read(body, Instants::Seconds).unwrap(), ["e None Some(1717243800) []"]);
        assert_eq!(read(r#"{"events":[]}"#, Instants::Seconds).unwrap(), [""; 0]);
    }

    #[test]
    fn the_end_of_a_string_is_found_among_all_bytes() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    for filler in [b'a', b'!', b'#', b'[', b']', 0x20, 0x7f, 0x80, 0xa2, 0xff] {
                        let mut bytes = vec![filler; length];
                        bytes[at] = byte;
                        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
                        let expected = bytes.iter().position(ends);
                        assert_eq!(plain_bytes(&bytes), expected, "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_unusual_is_left_to_the_long_way() {
        let long = "a".repeat(101);
        let many: Vec<String> = (0..51).map(|n| format!("\"k{n}\":\"\"")).collect();
        for (event, instants) in [
            (r#"{"event_name":"e"}"#, Instants::Rfc3339),
            (r#"{"payload":{}}"#, Instants::Rfc3339),
            (r#"{"event_name":"","payload":{}}"#, Instants::Rfc3339),
            (r#"{"event_name":"e","payload":{},}"#, Instants::Rfc3339),
            (r#"{"event_name":"e","payload":{},"payload":{}}"#, Instants::Rfc3339),
            (r#"{"event_name":"e","payload":{"v":7}}"#, Instants::Rfc3339),
            (r#"{"event_name":"e","payload":{"v":"7","v":"8"}}"#, Instants::Rfc3339),
            (r#"{"event_name":"e","payload":{"v":"\u0000"}}"#, Instants::Rfc3339),
            (r#"{"event_name":"e","payload":{"v":"\ud800"}}"#, Instants::Rfc3339),
            ("{\"event_name\":\"e\",\"payload\":{\"v\":\"\t\"}}", Instants::Rfc3339),
            (r#"{"event_name":"e","payload":{},"identifier":null}"#, Instants::Rfc3339),
            (r#"{"event_name":"e","payload":{},"timestamp":1717243800}"#, Instants::Rfc3339),
            (
                r#"{"event_name":"e","payload":{},"timestamp":"2024-06-31T12:10:00Z"}"#,
                Instants::Rfc3339,
            ),
            (r#"{"event_name":"e","payload":{},"timestamp":"1717243800"}"#, Instants::Seconds),
            (r#"{"event_name":"e","payload":{},"timestamp":01}"#, Instants::Seconds),
            (r#"{"event_name":"e","payload":{},"timestamp":-1}"#, Instants::Seconds),
            (r#"{"event_name":"e","payload":{},"timestamp":1.5}"#, Instants::Seconds),
            (r#"{"event_name":"e","payload":{},"timestamp":253402300800}"#, Instants::Seconds),
            (&format!(r#"{{"event_name":"{long}","payload":{{}}}}"#), Instants::Rfc3339),
            (
                &format!(r#"{{"event_name":"e","payload":{{{}}}}}"#, many.join(",")),
                Instants::Rfc3339,
            ),
        ] {
            let body = format!("{{\"events\":[{event}]}}");
            assert_eq!(read(&body, instants), None, "{event}");
        }
        for body in
            ["", "[]", "{}", r#"{"events":[]"#, r#"{"events":[]}x"#, r#"{"events":[],"x":1}"#]
        {
            assert_eq!(read(body, Instants::Rfc3339), None, "{body}");
        }
        assert!(
            Events::scan(
                b"{\"events\":[{\"event_name\":\"\xff\",\"payload\":{}}]}",
                Instants::Seconds
            )
            .is_none()
        );
    }

    #[test]
    fn a_body_cut_anywhere_is_not_read_and_does_no_harm() {
        let body = r#"{"events":[{"event_name":"e\n","payload":{"c":"\"é"},"timestamp":"2024-06-01T12:10:00Z"}]}"#;
        for end in (0..body.len()).filter(|end| body.is_char_boundary(*end)) {
            assert_eq!(read(&body[..end], Instants::Rfc3339), None, "{end}");
        }
        assert!(read(body, Instants::Rfc3339).is_some());
    }

    #[test]
    fn an_instant_is_read_by_its_places_as_it_is_at_length() {
        let mut seen = 0;
        for year in [1970, 1999, 2000, 2024, 2026, 2100, 2400, 9999] {
            for (month, day) in [
                (1, 1),
                (1, 31),
                (2, 28),
                (2, 29),
                (2, 30),
                (3, 1),
                (4, 31),
                (12, 31),
                (13, 1),
                (0, 1),
                (5, 0),
            ] {
                for rest in [
                    "00:00:00Z",
                    "23:59:59.999Z",
                    "12:30:07.5Z",
                    "24:00:00Z",
                    "12:60:00Z",
                    "12:00:60Z",
                ] {
                    let text = format!("{year:04}-{month:02}-{day:02}T{rest}");
                    let plain = plain_instant(text.as_bytes());
                    let at_length = Timestamp::from_rfc3339(&text).ok();
                    assert!(
                        plain.is_none() || plain == at_length,
                        "{text}: {plain:?} {at_length:?}"
                    );
                    seen += usize::from(plain.is_some());
                }
            }
        }
        assert_eq!(seen, 7 * 5 * 3 + 3 * 3, "three of the years are leap years");
        for text in [
            "1969-12-31T23:59:59Z",
            "2024-06-01t12:10:00Z",
            "2024-06-01T12:10:00",
            "2024-06-01T12:10:00.Z",
        ] {
            assert_eq!(plain_instant(text.as_bytes()), None, "{text}");
        }
    }
}
