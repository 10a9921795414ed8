//! Postings: of each event of a series and hour its place in the order, its second and its measure, and
//! of each correction which event it is about. Enough to count the hour anew without the log.
//!
//! ```text
//! row    = last place (LEB128) | entry…
//! entry  = (place - place before) * 2 + is mark (LEB128) | event or mark
//! event  = second of the hour (LEB128) | scale, or 255 | mantissa (zigzag), or member (16)
//! mark   = kind (1) | place of the entry - place of the event (LEB128)
//! ```

use taximeter_kernel::aggregate::{Counted, Measure};
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::time::Timestamp;

use crate::codec::{Malformed, Reader, put_i64, put_signed, put_u64, put_unsigned};
use crate::event::Standing;

const MEMBER: u8 = u8::MAX;

/// One step in the history of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Posting {
    /// An event of the hour, with the second of the hour.
    Event { seq: u64, second: u16, measure: Measure },
    /// From `seq` on, `event` stands so.
    Mark { seq: u64, event: u64, standing: Standing },
}

impl Posting {
    pub(crate) fn seq(&self) -> u64 {
        match self {
            Self::Event { seq, .. } | Self::Mark { seq, .. } => *seq,
        }
    }
}

/// Writes a posting behind one at `before`.
pub(crate) fn put(out: &mut Vec<u8>, before: u64, posting: &Posting) {
    let delta = u128::from(posting.seq().saturating_sub(before)) << 1;
    match *posting {
        Posting::Event { second, measure, .. } => {
            put_unsigned(out, delta);
            put_u64(out, second.into());
            match measure {
                Measure::Number(value) => {
                    out.push(value.scale());
                    match i64::try_from(value.mantissa()) {
                        Ok(short) => put_i64(out, short),
                        Err(_) => put_signed(out, value.mantissa()),
                    }
                }
                Measure::Member(member) => {
                    out.push(MEMBER);
                    out.extend_from_slice(&member.to_le_bytes());
                }
            }
        }
        Posting::Mark { seq, event, standing } => {
            put_unsigned(out, delta | 1);
            out.push(code(standing));
            put_unsigned(out, seq.saturating_sub(event).into());
        }
    }
}

pub(crate) const fn code(standing: Standing) -> u8 {
    match standing {
        Standing::Counts => 0,
        Standing::Cancelled => 1,
        Standing::Amended => 2,
    }
}

pub(crate) fn standing_of(code: u8) -> Option<Standing> {
    let all = [Standing::Counts, Standing::Cancelled, Standing::Amended];
    all.into_iter().find(|standing| self::code(*standing) == code)
}

fn read(reader: &mut Reader<'_>, before: u64) -> Result<Posting, Malformed> {
    let head = reader.unsigned()?;
    let delta = u64::try_from(head >> 1).map_err(|_| Malformed)?;
    let seq = before.checked_add(delta).ok_or(Malformed)?;
    if head & 1 == 1 {
        let standing = standing_of(reader.byte()?).ok_or(Malformed)?;
        let back = u64::try_from(reader.unsigned()?).map_err(|_| Malformed)?;
        let event = seq.checked_sub(back).ok_or(Malformed)?;
        return Ok(Posting::Mark { seq, event, standing });
    }
    let second = u16::try_from(reader.unsigned()?).map_err(|_| Malformed)?;
    let measure = match reader.byte()? {
        MEMBER => Measure::Member(u128::from_le_bytes(reader.array()?)),
        scale => Measure::Number(Decimal::new(reader.signed()?, scale).map_err(|_| Malformed)?),
    };
    Ok(Posting::Event { seq, second, measure })
}

/// Reads the posting that was put behind one at `before`.
pub(crate) fn read_one(bytes: &[u8], before: u64) -> Result<Posting, Malformed> {
    read(&mut Reader::new(bytes), before)
}

/// Begins a row that ends at the place `last`.
pub(crate) fn put_row_head(out: &mut Vec<u8>, last: u64) {
    put_unsigned(out, last.into());
}

/// Gives each posting of a row to `each`, in order.
pub(crate) fn read_row(row: &[u8], each: &mut dyn FnMut(Posting)) -> Result<(), Malformed> {
    let mut reader = Reader::new(row);
    reader.unsigned()?;
    let mut before = 0;
    while !reader.is_empty() {
        let posting = read(&mut reader, before)?;
        before = posting.seq();
        each(posting);
    }
    Ok(())
}

/// Puts rows one behind another, oldest first.
pub(crate) fn join_rows(rows: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let last = rows.last().ok_or(Malformed)?;
    let last = u64::try_from(Reader::new(last).unsigned()?).map_err(|_| Malformed)?;
    put_row_head(out, last);
    let mut before = 0;
    for row in rows {
        let mut reader = Reader::new(row);
        let end = u64::try_from(reader.unsigned()?).map_err(|_| Malformed)?;
        if reader.is_empty() {
            continue;
        }
        // Only the first posting's distance changes.
        let head = reader.unsigned()?;
        let seq = u64::try_from(head >> 1).map_err(|_| Malformed)?;
        let delta = seq.checked_sub(before).ok_or(Malformed)?;
        put_unsigned(out, (u128::from(delta) << 1) | (head & 1));
        out.extend_from_slice(reader.rest());
        before = end;
    }
    Ok(())
}

/// The event of a posting as it counts.
pub(crate) fn counted(start: Timestamp, seq: u64, second: u16, measure: Measure) -> Counted {
    Counted { seq, timestamp: Timestamp(start.0.saturating_add(second.into())), measure }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn posting() -> impl Strategy<Value = (u64, Posting)> {
        let number = (any::<i64>(), 0_u8..=9)
            .prop_map(|(m, s)| Measure::Number(Decimal::new(m.into(), s).unwrap()));
        let measure = prop_oneof![number, any::<u128>().prop_map(Measure::Member)];
        let event = (1_u64..1_000, 0_u16..3_600, measure)
            .prop_map(|(gap, second, measure)| (gap, Posting::Event { seq: 0, second, measure }));
        let mark = (1_u64..1_000, 0_u8..3).prop_map(|(gap, code)| {
            let standing = standing_of(code).unwrap();
            (gap, Posting::Mark { seq: 0, event: 1, standing })
        });
        prop_oneof![event, mark]
    }

    fn row(postings: &[Posting]) -> Vec<u8> {
        let mut row = Vec::new();
        put_row_head(&mut row, postings.last().map_or(0, Posting::seq));
        let mut before = 0;
        for posting in postings {
            put(&mut row, before, posting);
            before = posting.seq();
        }
        row
    }

    fn all(row: &[u8]) -> Vec<Posting> {
        let mut all = Vec::new();
        read_row(row, &mut |posting| all.push(posting)).unwrap();
        all
    }

    proptest! {
        #[test]
        fn rows_read_back_and_join(gaps in prop::collection::vec(posting(), 1..20), cut in 0_usize..20) {
            let mut seq = 0;
            let postings: Vec<Posting> = gaps
                .into_iter()
                .map(|(gap, posting)| {
                    seq += gap;
                    match posting {
                        Posting::Event { second, measure, .. } => {
                            Posting::Event { seq, second, measure }
                        }
                        Posting::Mark { event, standing, .. } => {
                            Posting::Mark { seq, event, standing }
                        }
                    }
                })
                .collect();
            let whole = row(&postings);
            prop_assert_eq!(&all(&whole), &postings);
            let (left, right) = postings.split_at(cut.min(postings.len()));
            let parts: Vec<Vec<u8>> =
                [left, right].iter().filter(|part| !part.is_empty()).map(|part| row(part)).collect();
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let mut joined = Vec::new();
            join_rows(&parts, &mut joined).unwrap();
            prop_assert_eq!(joined, whole);
        }

        #[test]
        fn reading_random_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            read_row(&bytes, &mut |_| ()).ok();
            let mut out = Vec::new();
            join_rows(&[&bytes, &bytes], &mut out).ok();
        }
    }
}
