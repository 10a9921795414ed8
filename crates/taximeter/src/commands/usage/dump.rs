//! `taximeter usage dump`: what the log says, a line of JSON for each step.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use taximeter_kernel::aggregate::{Aggregation, Measure};
use taximeter_usage::tools::{self, Step};

use super::blocking;
use crate::cli::DumpFlags;
use crate::failure::Failure;
use crate::store::usage_failure;

/// Lines are written to the pipe or file so many bytes at a time.
const WRITE_BYTES: usize = 256 * 1_024;

/// Writes the steps that are asked for. A reader that is gone has seen what it wanted.
///
/// # Errors
/// A failure that names what is damaged, or why it cannot be written.
pub(super) async fn run(dir: PathBuf, flags: DumpFlags) -> Result<ExitCode, Failure> {
    let written = blocking("read", move || {
        let out = BufWriter::with_capacity(WRITE_BYTES, io::stdout().lock());
        write(&dir, &flags, out)
    });
    written.await??;
    Ok(ExitCode::SUCCESS)
}

fn write(dir: &Path, flags: &DumpFlags, mut out: impl Write) -> Result<(), Failure> {
    let mut left = flags.limit.unwrap_or(u64::MAX);
    let mut written = Ok(());
    let read = tools::dump(dir, flags.from, &mut |position, step| {
        let line = Line::of(position, &step);
        if !line.is_wanted(flags) {
            return ControlFlow::Continue(());
        }
        left -= 1;
        written = line.write(&mut out);
        if written.is_err() || left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    // What was read before damage is written out all the same.
    let written = written.and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
        Err(error) => {
            return Err(Failure::new("cannot write to standard output").because(&error));
        }
        Ok(()) => {}
    }
    read.map_err(|error| usage_failure(&error))
}

/// A step as it is written.
#[derive(Debug, Serialize)]
struct Line<'a> {
    position: u64,
    step: &'static str,
    /// When it was canceled or restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    /// The event's place when it is not this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    of_position: Option<u64>,
    account: &'a str,
    mode: &'static str,
    meter: &'a str,
    aggregation: String,
    customer: &'a str,
    event_name: &'a str,
    identifier: &'a str,
    timestamp: i64,
    /// When the event came in, its first version when this is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// The hash of what is counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    dimensions: &'a [String],
    #[serde(serialize_with = "pairs")]
    payload: &'a [(String, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    backfill: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(position: u64, step: &'a Step) -> Self {
        let (name, event, at, of_position) = match step {
            Step::Recorded(event) => ("recorded", event, None, None),
            Step::Cancelled(event, at) => ("canceled", event, Some(at.0), Some(event.seq)),
            Step::Restored(event, at) => ("restored", event, Some(at.0), Some(event.seq)),
            Step::Amended(event, of) => ("amended", event, None, Some(*of)),
        };
        let (value, member) = match event.measure {
            Measure::Number(number) => (Some(number.to_string()), None),
            Measure::Member(hash) => (None, Some(format!("{hash:032x}"))),
        };
        Self {
            position,
            step: name,
            at,
            of_position,
            account: event.scope.account.as_str(),
            mode: event.scope.mode.as_str(),
            meter: event.meter.as_str(),
            aggregation: shown(event.aggregation),
            customer: event.customer.as_str(),
            event_name: &event.event_name,
            identifier: &event.identifier,
            timestamp: event.timestamp.0,
            // Of the others the log says when they were done.
            received: at.is_none().then_some(event.received.0),
            value,
            member,
            dimensions: &event.dimensions,
            payload: &event.payload,
            backfill: event.backfill.as_deref(),
        }
    }

    fn is_wanted(&self, flags: &DumpFlags) -> bool {
        flags.customer.as_deref().is_none_or(|customer| customer == self.customer)
            && flags.meter.as_deref().is_none_or(|meter| meter == self.meter)
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

/// `sum`, `sum by day`, `percentile 99.9`.
fn shown(aggregation: Aggregation) -> String {
    let Aggregation { formula, window } = aggregation;
    let mut text = formula.as_str().to_owned();
    if let Some(percentile) = formula.percentile() {
        text.push_str(&format!(" {percentile}"));
    }
    if let Some(window) = window {
        text.push_str(" by ");
        text.push_str(window.as_str());
    }
    text
}

fn pairs<S: Serializer>(payload: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(payload.len()))?;
    for (key, value) in payload {
        map.serialize_entry(key, value)?;
    }
    map.end()
}
