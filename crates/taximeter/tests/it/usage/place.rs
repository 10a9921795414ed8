//! A data directory with usage in it.

use std::borrow::Cow;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use taximeter_kernel::aggregate::{Aggregation, Formula, Measure};
use taximeter_kernel::id::{Customer, Id, Meter, Mode, Scope};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_usage::{
    Action, Amendment, Appended, Batch, Corrected, Correction, Engine, NewEvent, Options, Series,
    UsageQuery,
};
use tempfile::TempDir;

use crate::server::{command, succeed};

/// 2025-11-01T00:00:00Z.
pub(crate) const NOVEMBER: i64 = 1_761_955_200;
/// Of what a place holds.
pub(crate) const LAST_POSITION: u64 = 707;
/// The calls of the customer `cus_7`: 699 of 0.1, one that was amended, one of 907.
pub(crate) const TOTAL: &str = "12345678902211.4";

/// A data directory in which an engine recorded:
///
/// | positions | what |
/// |---|---|
/// | 1 to 701 | calls of 0.1: of `cus_7`, the one at 101 of `cus_13` |
/// | 702 to 704 | the call at 7 is canceled, restored, amended |
/// | 705, 706 | `cus_13`: a call, and a user |
/// | 707 | `cus_7`: 907 calls, a month later |
///
/// All of it is in the index and the first files of the log are compressed.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let engine = place.open();
        for (at, first) in (1..=701).step_by(101).enumerate() {
            let received = NOVEMBER + 1 + i64::try_from(at).unwrap();
            let last = (first + 100).min(701);
            record(&engine, received, &(first..=last).map(call).collect::<Vec<_>>());
        }
        correct(&engine);
        let late = NOVEMBER + 2_000;
        record(&engine, late, &[Sent { customer: "cus_13", ..call(705) }]);
        let user = Measure::Member(0xa7);
        let user = Sent { customer: "cus_13", meter: "mtr_users", measure: user, ..call(706) };
        record(&engine, late, &[user]);
        let month = NOVEMBER + 30 * 86_400;
        record(&engine, month, &[Sent { timestamp: month, measure: number("907"), ..call(707) }]);
        engine.flush().unwrap();
        engine.tidy().unwrap();
        engine.close();
        place
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    /// The directory of the engine.
    pub(crate) fn usage(&self) -> PathBuf {
        self.dir().join("usage")
    }

    /// With files as small as an operator's never are.
    pub(crate) fn open(&self) -> Engine {
        let options =
            Options { segment_bytes: 4_096, memtable_events_max: 101, ..Options::default() };
        Engine::open(&self.usage(), options).unwrap()
    }

    /// Records events in December, amending one of November again and again meanwhile; gives the last
    /// position before, and the last one then.
    pub(crate) fn with_amendments(&self) -> (u64, u64) {
        let engine = self.open();
        let december = NOVEMBER + 30 * 86_400;
        for number in 1_001..1_102 {
            record(&engine, december + 1, &[call(number)]);
            amend(&engine, december + 1, &number.to_string());
            amend(&engine, december + 1, &number.to_string());
        }
        engine.flush().unwrap();
        let last_seq = engine.stats().unwrap().last_seq;
        engine.close();
        (LAST_POSITION, last_seq)
    }

    /// What the calls of `cus_7` amount to.
    pub(crate) fn total(&self) -> String {
        let engine = self.open();
        let meter = Id::parse("mtr_calls").unwrap();
        let series = Series { scope: scope(), meter, customer: customer("cus_7") };
        let query = UsageQuery::of(series, Aggregation::new(Formula::Sum));
        let always = Period { start: Timestamp(0), end: Timestamp(i64::MAX) };
        let usage = engine.usage_in(&query, always).unwrap();
        engine.close();
        usage.quantity.to_string()
    }

    pub(crate) fn first_of_log(&self) -> PathBuf {
        self.first("usage/shard-0", "log")
    }

    pub(crate) fn first_of_index(&self) -> PathBuf {
        self.first("usage/shard-0/index", ".idx")
    }

    fn first(&self, dir: &str, suffix: &str) -> PathBuf {
        let entries = fs::read_dir(self.dir().join(dir)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.to_str().unwrap().ends_with(suffix)).min().unwrap()
    }

    /// Changes the byte in the middle of a file (at one `parts`-th of it); gives its place.
    pub(crate) fn damage(&self, file: &Path, parts: u64) -> u64 {
        assert!(file.starts_with(self.dir()));
        let mut bytes = fs::read(file).unwrap();
        let at = bytes.len() / usize::try_from(parts).unwrap();
        bytes[at] ^= 0x40;
        fs::write(file, &bytes).unwrap();
        u64::try_from(at).unwrap()
    }

    /// The lines of a dump.
    pub(crate) fn dump(&self, args: &[&str]) -> Vec<Value> {
        let text = succeed(self.dir(), &[&["usage", "dump"], args].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The exit code of a dump whose reader reads one line, and what it said on standard error.
    pub(crate) fn dump_to_one_who_leaves(&self) -> (Option<i32>, String) {
        let dir = self.dir().to_str().unwrap();
        let mut command = command(&["usage", "dump", "--data-dir", dir]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with(r#"{"position":1,"#), "{line}");
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    number: u64,
    meter: &'static str,
    customer: &'static str,
    timestamp: i64,
    measure: Measure,
}

fn call(number_of_call: u64) -> Sent {
    Sent {
        number: number_of_call,
        meter: "mtr_calls",
        customer: if number_of_call == 101 { "cus_13" } else { "cus_7" },
        timestamp: NOVEMBER,
        measure: number("0.1"),
    }
}

fn number(text: &str) -> Measure {
    Measure::Number(text.parse().unwrap())
}

fn scope() -> Scope {
    Scope { account: Id::parse("acct_7").unwrap(), mode: Mode::Live }
}

fn customer(id: &str) -> Id<Customer> {
    Id::parse(id).unwrap()
}

fn record(engine: &Engine, received: i64, sent: &[Sent]) {
    let mut batch = Batch::new(scope(), Timestamp(received));
    for one in sent {
        let (value, formula) = match one.measure {
            Measure::Number(number) => (number.to_string(), Formula::Sum),
            Measure::Member(_) => ("Jenny".to_owned(), Formula::UniqueCount),
        };
        let meter: Id<Meter> = Id::parse(one.meter).unwrap();
        let pair = |key: &'static str, value: &str| (Cow::from(key), Cow::from(value.to_owned()));
        batch
            .push(&NewEvent {
                meter: &meter,
                aggregation: Aggregation::new(formula),
                event_name: "calls",
                customer: &customer(one.customer),
                identifier: &format!("call-{}", one.number),
                timestamp: Timestamp(one.timestamp),
                measure: one.measure,
                dimensions: &[],
                payload: &[pair("stripe_customer_id", one.customer), pair("value", &value)],
                request: None,
                backfill: None,
            })
            .unwrap();
    }
    let appended = block_on(engine.append(batch)).unwrap();
    assert!(appended.iter().all(|one| matches!(one, Appended::Recorded(_))), "{appended:?}");
}

/// Cancels, restores and amends the call at 7.
fn correct(engine: &Engine) {
    let at = NOVEMBER + 1_000;
    order(engine, at, Action::Cancel);
    order(engine, at, Action::Restore);
    amend(engine, at, "12345678901234.5");
}

/// Amends the call at 7.
fn amend(engine: &Engine, at: i64, value: &str) {
    let amendment = Amendment {
        timestamp: Timestamp(NOVEMBER + 7),
        measure: number(value),
        dimensions: Vec::new(),
        payload: vec![("value".to_owned(), value.to_owned())],
    };
    order(engine, at, Action::Amend(Box::new(amendment)));
}

fn order(engine: &Engine, at: i64, action: Action) {
    let order = Correction {
        scope: scope(),
        event_name: "calls".to_owned(),
        identifier: "call-7".to_owned(),
        customer: None,
        now: Timestamp(at),
        window_s: None,
        action,
    };
    let corrected = block_on(engine.correct(vec![order])).unwrap();
    assert!(matches!(corrected[..], [Corrected::Done(_)]), "{corrected:?}");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
