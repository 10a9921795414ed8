//! `taximeter usage rebuild-index`: the index, made anew from the log.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use taximeter_usage::tools;

use super::blocking;
use crate::cli::RebuildFlags;
use crate::config::{self, Environment};
use crate::failure::Failure;
use crate::store::usage_failure;
use crate::terminal::{self, bytes_shown, duration_shown, number_shown};

/// How often it is looked how far it has come.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
/// How often that is told, at most.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Makes the index anew and tells on standard error how far it has come.
///
/// # Errors
/// A failure that names what is damaged; the index is then as it was.
pub(super) async fn run(
    dir: PathBuf,
    flags: &RebuildFlags,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let options = config::usage::options(flags.usage_memory.as_ref(), environment)?;
    let started = Instant::now();
    terminal::note("checking the log before anything is deleted");
    let mut progress = Progress::new(tools::indexed_seq(&dir).unwrap_or_default());
    let of_work = dir.clone();
    let mut work =
        std::pin::pin!(blocking("read", move || tools::rebuild_index(&of_work, options)));
    let mut ticks = tokio::time::interval(LOOKED_AT_EVERY);
    // The first comes at once.
    ticks.tick().await;
    let rebuilt = loop {
        tokio::select! {
            rebuilt = &mut work => break rebuilt?,
            _ = ticks.tick() => {
                // While files are exchanged there may be nothing to read: the next time, then.
                let indexed_seq = tools::indexed_seq(&dir).unwrap_or_default();
                if let Some(line) = progress.line(indexed_seq, started.elapsed()) {
                    terminal::note(&line);
                }
            }
        }
    };
    rebuilt.map_err(|error| usage_failure(&error))?;
    let took = started.elapsed();
    let failed = |error: &std::io::Error| Failure::new("cannot look at the index").because(error);
    let indexed_seq = tools::indexed_seq(&dir).map_err(|error| usage_failure(&error))?;
    let index = tools::files(&dir).map_err(|error| failed(&error))?.index;
    terminal::print(&format!(
        "made the index anew, to position {}: {} in {} run{}; took {}\n",
        number_shown(indexed_seq),
        bytes_shown(index.bytes),
        number_shown(index.files),
        if index.files == 1 { "" } else { "s" },
        duration_shown(took)
    ));
    Ok(ExitCode::SUCCESS)
}

/// What was told last.
#[derive(Debug)]
struct Progress {
    /// How far the old index went: there is at least as much to do.
    old_seq: u64,
    /// Until the log is checked, what is there is the old index.
    deleted: bool,
    seq: u64,
    at: Duration,
}

impl Progress {
    const fn new(old_seq: u64) -> Self {
        Self { old_seq, deleted: false, seq: 0, at: Duration::ZERO }
    }

    /// What to tell when the index covers so much; nothing if that is not new, or too soon.
    fn line(&mut self, indexed_seq: u64, at: Duration) -> Option<String> {
        if !self.deleted {
            self.deleted = indexed_seq == 0 || indexed_seq < self.old_seq;
            self.at = at;
        }
        let since = at.saturating_sub(self.at);
        if !self.deleted || indexed_seq <= self.seq || since < TOLD_EVERY {
            return None;
        }
        let rate = u128::from(indexed_seq - self.seq) * 1_000 / since.as_millis().max(1);
        (self.seq, self.at) = (indexed_seq, at);
        let rate = number_shown(u64::try_from(rate).unwrap_or(u64::MAX));
        let goal = match self.old_seq {
            old if old > indexed_seq => format!(" of {} or more", number_shown(old)),
            _ => String::new(),
        };
        Some(format!("position {}{goal}, {rate} events/s", number_shown(indexed_seq)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_when_there_is_some_and_not_too_often() {
        let mut progress = Progress::new(7_000_000);
        let mut check = |seq, seconds, expected: Option<&str>| {
            let line = progress.line(seq, Duration::from_secs(seconds));
            assert_eq!(line.as_deref(), expected);
        };
        check(7_000_000, 9, None);
        check(0, 10, None);
        check(1_000_000, 13, None);
        check(3_000_000, 15, Some("position 3,000,000 of 7,000,000 or more, 600,000 events/s"));
        check(4_000_000, 17, None);
        check(8_000_013, 25, Some("position 8,000,013, 500,001 events/s"));
        check(8_000_013, 31, None);
    }
}
