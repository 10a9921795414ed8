//! A segment that is prepared before it is needed.
//!
//! It is filled with zeros rather than only reserved: writing where something was written before
//! changes no metadata of the file, so that a sync has less to do (on ext4 by a third).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::{narrow, wide};
use super::segment::{self, Form, SegmentHeader};
use crate::log::disk::Disk;

/// Written at once.
const PIECE_BYTES: usize = 1_024 * 1_024;
/// After so many bytes they are made durable, so that the log never waits for long behind them.
const SYNC_BYTES: usize = 8 * 1_024 * 1_024;

/// Room for one segment that waits to be used.
#[derive(Debug)]
pub(crate) struct Spare {
    dir: PathBuf,
    room: Mutex<Room>,
    /// Held while one is being prepared.
    preparing: Mutex<()>,
}

#[derive(Debug)]
enum Room {
    NotWanted,
    /// One of so many bytes will be needed soon.
    Wanted(u64),
    Ready(File, u64),
}

impl Spare {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, room: Mutex::new(Room::NotWanted), preparing: Mutex::default() }
    }

    /// Says that a segment of so many bytes will be needed soon; `false` when it is there already.
    pub(crate) fn want(&self, bytes: u64) -> bool {
        let mut room = self.room();
        let is_missing = matches!(*room, Room::NotWanted);
        if is_missing {
            *room = Room::Wanted(bytes);
        }
        is_missing
    }

    /// Prepares a segment if one is wanted. Says whether it had to.
    pub(crate) fn prepare(&self, disk: &dyn Disk) -> io::Result<bool> {
        let _preparing = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        let Room::Wanted(bytes) = *self.room() else { return Ok(false) };
        let path = segment::spare_path(&self.dir);
        match create(&path, bytes, disk) {
            Ok(file) => *self.room() = Room::Ready(file, bytes),
            Err(error) => {
                // It would keep room that the log needs; what is left is removed at the next start.
                disk.remove_file(&path).ok();
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Makes the segment that was prepared the one that begins with `header`, if it has `bytes`;
    /// `None` when there is none.
    pub(crate) fn take(
        &self,
        header: SegmentHeader,
        bytes: u64,
        disk: &dyn Disk,
    ) -> io::Result<Option<(File, u64)>> {
        let Some((file, room)) = self.take_room(bytes) else { return Ok(None) };
        disk.write_all_at(&file, &header.encode(), 0)?;
        disk.sync_data(&file)?;
        let path = Form::Raw.path(&self.dir, header.number);
        segment::rename(&segment::spare_path(&self.dir), &path, &self.dir, disk)?;
        Ok(Some((file, room)))
    }

    fn take_room(&self, bytes: u64) -> Option<(File, u64)> {
        let mut room = self.room();
        match std::mem::replace(&mut *room, Room::NotWanted) {
            Room::Ready(file, ready) if ready >= bytes => Some((file, ready)),
            other @ (Room::NotWanted | Room::Wanted(_) | Room::Ready(..)) => {
                *room = other;
                None
            }
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Each change is one assignment, so a poisoned lock is whole.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file of so many zeros, durably.
fn create(path: &Path, bytes: u64, disk: &dyn Disk) -> io::Result<File> {
    let file = segment::create_new(path)?;
    let zeros = vec![0; PIECE_BYTES.min(narrow(bytes))];
    let mut written: u64 = 0;
    let mut unsynced: usize = 0;
    while written < bytes {
        let left = narrow(bytes.saturating_sub(written));
        let piece = zeros.get(..left).unwrap_or(&zeros);
        disk.write_all_at(&file, piece, written)?;
        written = written.saturating_add(wide(piece.len()));
        unsynced = unsynced.saturating_add(piece.len());
        if unsynced >= SYNC_BYTES {
            disk.sync_data(&file)?;
            unsynced = 0;
        }
    }
    disk.sync_all(&file)?;
    Ok(file)
}
