//! A chunk without some of its records.

use super::chunk::GroupEnd;
use super::relative::{Previous, put_again};
use super::{Chunk, Cursor, Group};
use crate::codec::Malformed;

impl Chunk {
    /// The chunk of only the records whose number `keep` says yes to, counted from 0. Each is asked
    /// for once, in order.
    ///
    /// Groups that lose nothing are copied. In the others only a record behind one that is lost is
    /// written anew, relative to the last one that is kept; so no text is written more often than it
    /// was, and a chunk of records that were received together takes up no more than before.
    pub(crate) fn retain(&self, keep: impl FnMut(usize) -> bool) -> Result<Self, Malformed> {
        let mut keeps = (0..).map(keep);
        let mut in_group: Vec<bool> = Vec::new();
        let mut thinner = Thinner::default();
        let mut bytes = Vec::with_capacity(self.groups_bytes());
        let mut ends: Vec<GroupEnd> = Vec::new();
        let mut records: u32 = 0;
        let mut kept_before: u32 = 0;
        for group in self.groups() {
            in_group.clear();
            in_group.extend((0..group.records).zip(&mut keeps).map(|(_, keep)| keep));
            let kept = in_group.iter().filter(|keep| **keep).count();
            let kept = u32::try_from(kept).map_err(|_| Malformed)?;
            if kept == 0 {
                continue;
            }
            if kept_before > 0 {
                ends.push(GroupEnd { records: kept_before, end: bytes.len() });
            }
            if kept == group.records {
                bytes.extend_from_slice(group.bytes);
            } else {
                thinner.put(&mut bytes, group, &in_group)?;
            }
            records = records.saturating_add(kept);
            kept_before = kept;
        }
        if records == 0 {
            return Ok(Self::default());
        }
        Ok(Self::new(records, self.shapes().to_vec(), ends, bytes))
    }
}

/// Writes groups of one chunk without the records that they lose.
#[derive(Debug, Default)]
struct Thinner<'a> {
    /// Made with the first group, because it reads the shapes.
    cursor: Option<Cursor<'a>>,
    /// Those of the last record before a gap.
    texts: Vec<u8>,
}

impl<'a> Thinner<'a> {
    /// Writes the records of `group` that `keeps` says yes to.
    fn put(
        &mut self,
        out: &mut Vec<u8>,
        group: Group<'a>,
        mut keeps: &[bool],
    ) -> Result<(), Malformed> {
        let cursor = match &mut self.cursor {
            Some(cursor) => {
                cursor.begin_group(&group);
                cursor
            }
            none => none.insert(Cursor::of_group(group)?),
        };
        let mut before_gap: Option<Previous> = None;
        let mut in_gap = false;
        while let Some((keep, after)) = keeps.split_first() {
            let rest = cursor.rest_of_group();
            if !in_gap && !keeps.contains(&false) {
                out.extend_from_slice(rest);
                return Ok(());
            }
            if !keeps.contains(&true) {
                return Ok(());
            }
            let view = cursor.next()?.ok_or(Malformed)?;
            if *keep && in_gap {
                put_again(out, before_gap.as_ref(), &self.texts, &view);
            }
            if *keep && after.first() == Some(&false) {
                before_gap = Some(Previous::of_view(&mut self.texts, view.event()));
            }
            if *keep && !in_gap {
                let length = rest.len().saturating_sub(cursor.rest_of_group().len());
                out.extend_from_slice(rest.get(..length).ok_or(Malformed)?);
            }
            in_gap = !keep;
            keeps = after;
        }
        Ok(())
    }
}
