//! `taximeter usage verify`: whether the log and the index are as they were written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use taximeter_usage::tools::{self, Files, Verified};
use taximeter_usage::{OpenError, ReadError};

use super::blocking;
use crate::cli::VerifyFlags;
use crate::failure::Failure;
use crate::store::usage_failure;
use crate::terminal::{self, bytes_shown, duration_shown, number_shown};

/// Reads everything and prints what there is.
///
/// # Errors
/// A failure that names the first damage, by file and place.
pub(super) async fn run(dir: PathBuf, flags: &VerifyFlags) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let (found, files) = blocking("verify", move || {
        let found = tools::verify(&dir);
        (found, tools::files(&dir).unwrap_or_default())
    })
    .await?;
    match found {
        Ok(verified) => {
            let took = started.elapsed();
            let text = if flags.json {
                format!("{}\n", whole(&verified, &files, took))
            } else {
                report(&verified, &files, took)
            };
            terminal::print(&text);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            if flags.json
                && let Some(damage) = damage(&error)
            {
                terminal::print(&format!("{damage}\n"));
            }
            Err(usage_failure(&error))
        }
    }
}

fn report(verified: &Verified, files: &Files, took: Duration) -> String {
    let Verified { first_seq, last_seq, segments, runs, indexed_seq } = *verified;
    let log = files.log.bytes.saturating_add(files.sealed.bytes);
    let log = format!("{} in {}", bytes_shown(log), counted(segments, "file", "files"));
    let covered = positions(first_seq, last_seq);
    let index = format!("{} in {}", bytes_shown(files.index.bytes), counted(runs, "run", "runs"));
    let indexed = match last_seq.saturating_sub(indexed_seq) {
        0 if runs == 0 => "nothing yet".to_owned(),
        0 => "all of it".to_owned(),
        behind => {
            format!("to {}; a start reads {}", number_shown(indexed_seq), number_shown(behind))
        }
    };
    let rows = [["log".to_owned(), covered, log], ["index".to_owned(), indexed, index]];
    let took = duration_shown(took);
    format!(
        "{}\nEvery byte was read in {took}, and is as it was written.\n",
        terminal::table(&rows)
    )
}

/// `positions 7 to 1,013`.
fn positions(first: u64, last: u64) -> String {
    if last < first {
        return "nothing is recorded".to_owned();
    }
    let deleted = if first > 1 { "; those before were deleted" } else { "" };
    format!("positions {} to {}{deleted}", number_shown(first), number_shown(last))
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", number_shown(number), if number == 1 { one } else { many })
}

fn whole(verified: &Verified, files: &Files, took: Duration) -> Value {
    let Verified { first_seq, last_seq, segments, runs, indexed_seq } = *verified;
    let log_bytes = files.log.bytes.saturating_add(files.sealed.bytes);
    json!({
        "whole": true,
        "log": {
            "first_position": first_seq,
            "last_position": last_seq,
            "files": segments,
            "bytes": log_bytes,
        },
        "index": {"last_position": indexed_seq, "files": runs, "bytes": files.index.bytes},
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Where the damage is, when it is damage that keeps it from being whole.
fn damage(error: &OpenError) -> Option<Value> {
    let at = |path: &Path, offset: u64, what: &str| {
        let path = path.display().to_string();
        json!({"whole": false, "damage": {"file": path, "offset": offset, "what": what}})
    };
    match error {
        OpenError::Damaged { path, offset, what } => Some(at(path, *offset, what)),
        OpenError::Read(ReadError::Damaged { path, offset }) => {
            Some(at(path, *offset, "the bytes are not those that were written"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use taximeter_usage::tools::Size;

    use super::*;

    const FILES: Files = Files {
        log: Size { files: 1, bytes: 67_108_864 },
        sealed: Size { files: 2, bytes: 5_000_000 },
        index: Size { files: 1, bytes: 1_013 },
        other: Size { files: 3, bytes: 7 },
    };

    #[test]
    fn a_report_says_what_there_is() {
        let verified =
            Verified { first_seq: 1, last_seq: 1_013, segments: 3, runs: 1, indexed_seq: 1_000 };
        let took = Duration::from_millis(1_370);
        assert_eq!(
            report(&verified, &FILES, took),
            "\
log    positions 1 to 1,013        68.7 MiB in 3 files
index  to 1,000; a start reads 13  1013 B in 1 run

Every byte was read in 1.3 s, and is as it was written.
"
        );
        let verified = Verified { first_seq: 101, indexed_seq: 1_013, ..verified };
        let text = report(&verified, &FILES, took);
        assert!(text.contains("positions 101 to 1,013; those before were deleted"), "{text}");
        assert!(text.contains("index  all of it"), "{text}");
    }

    #[test]
    fn damage_is_told_by_file_and_place() {
        let error = OpenError::Damaged { path: "a/7.log".into(), offset: 13, what: "torn" };
        assert_eq!(
            damage(&error).unwrap().to_string(),
            r#"{"whole":false,"damage":{"file":"a/7.log","offset":13,"what":"torn"}}"#
        );
        assert_eq!(damage(&OpenError::Locked("a".into())), None);
    }
}
