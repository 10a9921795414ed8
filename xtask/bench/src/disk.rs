//! What the disk does by itself: appends, each followed by fdatasync.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::figures::Figures;

/// About what the log writes for one event: a frame's header and the event.
pub(crate) const APPEND_BYTES: usize = 256;
/// Space that is reserved before, as the log does.
const FILE_BYTES: u64 = 64 * 1_024 * 1_024;

/// Appends for that long, and says how often and how fast.
pub(crate) fn measure(directory: &Path, duration: Duration) -> io::Result<Figures> {
    let path = directory.join("disk");
    let file = File::create(&path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, FILE_BYTES)?;
    file.sync_all()?;
    let bytes = [0x5a; APPEND_BYTES];
    let step = u64::try_from(APPEND_BYTES).map_err(io::Error::other)?;
    let (mut at, mut latencies_us) = (0, Vec::new());
    let started = Instant::now();
    while started.elapsed() < duration && at + step <= FILE_BYTES {
        let before = Instant::now();
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        latencies_us.push(crate::figures::micros(before.elapsed()));
        at += step;
    }
    let took = started.elapsed();
    drop(file);
    std::fs::remove_file(path)?;
    Ok(Figures::of(latencies_us, took))
}
