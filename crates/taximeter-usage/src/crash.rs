//! Real processes that die inside an operation of the disk: for every operation of a script, one that
//! is killed there, in the middle of what it writes.

#![expect(clippy::integer_division, reason = "numbers of steps, which only have to differ")]

mod rebuild;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use taximeter_kernel::aggregate::{Aggregation, Counted, Formula, Measure, Usage, usage_of};
use taximeter_kernel::id::{Customer, Id, Meter, Mode, Scope};
use taximeter_kernel::time::{Period, Timestamp};

use crate::error::OpenError;
use crate::log::disk::{Disk, OsDisk};
use crate::{
    Action, Amendment, Appended, Batch, Corrected, Correction, Engine, Event, EventQuery, NewEvent,
    Options, Order, Series, Standing, UsageQuery, tools,
};

const TEST: &str =
    "crash::a_process_that_dies_inside_any_operation_of_the_disk_leaves_a_step_done_or_not_done";
const PART: &str = "TAXIMETER_TEST_PART";
/// The part of the process that starts the others: one that is being started holds for a moment what
/// its parent holds, and other tests would find a directory locked that they just closed.
const STARTER: &str = "starter";
const SAYS: &str = "says ";
const SIGKILL: i32 = 9;
/// After every second one there is a run more; eight are merged.
const STEPS: u64 = 20;
const EVENTS_IN_A_STEP: u64 = 7;
const WORKERS: usize = 3;

/// Nothing is flushed by itself, so that every process does the same in the same order.
fn options() -> Options {
    Options { segment_bytes: 1_024, ..Options::default() }
}

/// What a process dies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Inside {
    Start,
    CommitWrite,
    CommitSync,
    SegmentRoll,
    RunFlush,
    RunMerge,
    Manifest,
    Compression,
}

impl Inside {
    const ALL: [Self; 8] = [
        Self::Start,
        Self::CommitWrite,
        Self::CommitSync,
        Self::SegmentRoll,
        Self::RunFlush,
        Self::RunMerge,
        Self::Manifest,
        Self::Compression,
    ];

    /// What an operation on the file at `path` is part of.
    fn of(path: &Path, operation: Operation) -> Self {
        let is_of_index = path.components().any(|part| part.as_os_str() == "index");
        let name = path.file_name().unwrap().to_str().unwrap();
        let thread = thread::current();
        match thread.name() {
            _ if name.starts_with("MANIFEST") => Self::Manifest,
            Some("usage-flush") => Self::RunFlush,
            Some("usage-tidy") if is_of_index => Self::RunMerge,
            Some("usage-tidy") if name.contains("zlog") || name == "shard-0" => Self::Compression,
            Some("usage-tidy") if name.ends_with(".new") && !is_of_index => Self::Compression,
            Some("usage-tidy") => Self::SegmentRoll,
            Some("usage-commit") if name.ends_with(".log") => match operation {
                Operation::Write => Self::CommitWrite,
                Operation::SyncData => Self::CommitSync,
                Operation::Other => Self::SegmentRoll,
            },
            Some("usage-commit") => Self::SegmentRoll,
            _ => Self::Start,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Write,
    SyncData,
    Other,
}

/// A disk that kills the process in the middle of an operation.
#[derive(Debug)]
struct DeadlyDisk {
    /// How many operations are still done.
    operations_left: AtomicUsize,
}

fn path_of(file: &File) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
}

impl DeadlyDisk {
    /// Does nothing, or half of the operation and then no more.
    fn before(
        &self,
        path: &Path,
        operation: Operation,
        half: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let left = |left: usize| left.checked_sub(1);
        if self.operations_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok() {
            return Ok(());
        }
        half()?;
        say(&format!("died {:?}", Inside::of(path, operation)));
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
        loop {
            thread::park();
        }
    }

    fn before_all(&self, path: &Path) -> io::Result<()> {
        self.before(path, Operation::Other, || Ok(()))
    }
}

impl Disk for DeadlyDisk {
    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.before_all(&path_of(file))?;
        OsDisk.allocate(file, bytes)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let half = || OsDisk.write_all_at(file, &bytes[..bytes.len() / 2], offset);
        self.before(&path_of(file), Operation::Write, half)?;
        OsDisk.write_all_at(file, bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.before(&path_of(file), Operation::SyncData, || Ok(()))?;
        OsDisk.sync_data(file)
    }

    fn sync_all(&self, file: &File) -> io::Result<()> {
        self.before_all(&path_of(file))?;
        OsDisk.sync_all(file)
    }

    fn set_len(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.before_all(&path_of(file))?;
        OsDisk.set_len(file, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before_all(to)?;
        OsDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.before_all(path)?;
        OsDisk.remove_file(path)
    }
}

/// Says something to the test that started this process, in one write.
fn say(what: &str) {
    let mut out = io::stdout().lock();
    out.write_all(format!("\n{SAYS}{what}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test says so to the process it starts")]
fn part() -> Option<String> {
    env::var(PART).ok()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn scope() -> Scope {
    Scope { account: Id::parse("acct_a").unwrap(), mode: Mode::Live }
}

fn customer() -> Id<Customer> {
    Id::parse("cus_a").unwrap()
}

fn aggregations() -> [Aggregation; 3] {
    [Formula::Sum, Formula::Max, Formula::UniqueCount]
        .map(|formula| Aggregation { formula, window: None })
}

fn meter(aggregation: Aggregation) -> Id<Meter> {
    Id::parse(&format!("mtr_{}", aggregation.formula.as_str())).unwrap()
}

fn value(step: u64, nth: u64) -> Measure {
    Measure::Number(format!("{}.{nth}", step * 31 % 101).parse().unwrap())
}

fn identifier(step: u64, nth: u64) -> String {
    format!("{step}.{nth}")
}

fn now(step: u64) -> Timestamp {
    Timestamp(1_795_244_400 + 613 * i64::try_from(step).unwrap())
}

fn is_correction(step: u64) -> bool {
    step % 5 == 4
}

/// How many places in the order a step takes.
fn records(step: u64) -> u64 {
    if is_correction(step) { 4 } else { EVENTS_IN_A_STEP }
}

/// Whether a step was done, or had been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Taken,
    WasThere,
}

/// Does a step, says so, and does the chores that follow it.
fn run(engine: &Engine, step: u64, say: impl FnOnce()) -> Outcome {
    let outcome = if is_correction(step) { correct(engine, step) } else { append(engine, step) };
    say();
    if step % 2 == 1 {
        engine.flush().unwrap();
        engine.tidy().unwrap();
    }
    outcome
}

fn append(engine: &Engine, step: u64) -> Outcome {
    let mut batch = Batch::new(scope(), now(step));
    for nth in 0..EVENTS_IN_A_STEP {
        let aggregation = aggregations()[usize::try_from(nth % 3).unwrap()];
        let measure = if aggregation.formula.counts_members() {
            Measure::Member((step * nth % 13).into())
        } else {
            value(step, nth)
        };
        batch
            .push(&NewEvent {
                meter: &meter(aggregation),
                aggregation,
                event_name: "calls",
                customer: &customer(),
                identifier: &identifier(step, nth),
                timestamp: now(step * (nth + 1)),
                measure,
                dimensions: &[["eu", "us"][usize::try_from(step % 2).unwrap()]],
                payload: &[],
                request: None,
                backfill: None,
            })
            .unwrap();
    }
    let appended = block_on(engine.append(batch)).unwrap();
    if appended.iter().all(|one| matches!(one, Appended::Recorded(_))) {
        Outcome::Taken
    } else {
        assert!(appended.iter().all(|one| matches!(one, Appended::Duplicate(_))), "{appended:?}");
        Outcome::WasThere
    }
}

/// Cancels and amends what totals must be counted again for.
fn correct(engine: &Engine, step: u64) -> Outcome {
    let amendment = Amendment {
        timestamp: now(step / 2),
        measure: value(step, 9),
        dimensions: vec!["eu".to_owned()],
        payload: vec![("step".to_owned(), step.to_string())],
    };
    let order = |nth: u64, action: Action| Correction {
        scope: scope(),
        event_name: "calls".to_owned(),
        identifier: identifier(step - 1 - step / 10, nth),
        customer: None,
        now: now(step),
        window_s: None,
        action,
    };
    let mut orders: Vec<_> = (1..4).map(|nth| order(nth, Action::Cancel)).collect();
    let amend = order(4, Action::Amend(Box::new(amendment.clone())));
    let found = engine.events_by_identifier(&scope(), None, &amend.identifier).unwrap();
    // Amended once more, it would be another version.
    if found[0].payload != amendment.payload {
        orders.push(amend);
    }
    let corrected = block_on(engine.correct(orders)).unwrap();
    if corrected.iter().all(|one| matches!(one, Corrected::Done(_))) {
        Outcome::Taken
    } else {
        assert_eq!(corrected, [Corrected::NothingToDo; 3]);
        Outcome::WasThere
    }
}

/// What an engine says, and holds to itself: each event once, and totals of the events.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    events: Vec<Event>,
    usage: Vec<Usage>,
    position: u64,
}

impl Seen {
    fn by(engine: &Engine) -> Self {
        let query = EventQuery {
            scope: scope(),
            customer: Some(customer()),
            meter: None,
            period: None,
            order: Order::Oldest,
            after: None,
            limit: 1_000,
        };
        let events = engine.events(&query).unwrap().events;
        let current = events.iter().filter(|event| event.standing != Standing::Amended);
        let names: BTreeSet<&str> = current.clone().map(|event| &*event.identifier).collect();
        assert_eq!(names.len(), current.count(), "an event is there once");
        let usage = aggregations().map(|aggregation| {
            let period = Period { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) };
            let series = Series { scope: scope(), meter: meter(aggregation), customer: customer() };
            let query = UsageQuery::of(series.clone(), aggregation);
            let usage = engine.usage_in(&query, period).unwrap();
            let counted: Vec<Counted> = events
                .iter()
                .filter(|of| of.meter == series.meter && of.standing == Standing::Counts)
                .map(|of| Counted { seq: of.seq, timestamp: of.timestamp, measure: of.measure })
                .collect();
            assert_eq!(usage, usage_of(aggregation, period, &counted).unwrap());
            usage
        });
        Self { usage: usage.to_vec(), position: engine.position().unwrap(), events }
    }
}

/// Does the steps from the first on, as the process that is to die. Its part is a directory, the
/// first step, and how many operations the disk does.
fn live(part: &str) {
    let words: Vec<&str> = part.split(' ').collect();
    let disk = DeadlyDisk { operations_left: AtomicUsize::new(words[2].parse().unwrap()) };
    let engine = Engine::open_on(Path::new(words[0]), options(), Arc::new(disk)).unwrap();
    for step in words[1].parse().unwrap()..STEPS {
        run(&engine, step, || say(&format!("step {step}")));
    }
    engine.close();
}

/// A directory in which processes die.
struct Place {
    dir: tempfile::TempDir,
    /// The step that was not acknowledged.
    next: u64,
}

impl Place {
    /// A process lives until that operation and dies inside it. `None` if it came to its end.
    fn die(&mut self, operations: usize) -> Option<String> {
        let mut command = Command::new(env::current_exe().unwrap());
        let part = format!("{} {} {operations}", self.dir.path().display(), self.next);
        command.args([TEST, "--exact", "--nocapture", "--test-threads=1"]).env(PART, part);
        let ended = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        let said = String::from_utf8(ended.stdout).unwrap();
        let mut died = None;
        for what in said.lines().filter_map(|line| line.strip_prefix(SAYS)) {
            let (kind, which) = what.split_once(' ').unwrap();
            if kind == "died" {
                died = Some(which.to_owned());
            } else {
                assert_eq!(which, self.next.to_string(), "one step after the other");
                self.next += 1;
            }
        }
        match died {
            Some(_) => assert_eq!(ended.status.signal(), Some(SIGKILL), "{said}"),
            None => assert!(ended.status.success(), "{said}"),
        }
        died
    }

    /// What is there is what was acknowledged, and all or nothing of the step behind it. Then does
    /// what is left to do.
    fn finish(self) -> (Seen, u64) {
        let dir = self.dir.path();
        let verified = unless_locked(|| tools::verify(dir)).unwrap();
        let engine = unless_locked(|| Engine::open(dir, options())).unwrap();
        let acknowledged: u64 = (0..self.next).map(records).sum();
        let found = Seen::by(&engine).position;
        assert_eq!(found, verified.last_seq);
        let is_there = found == acknowledged + records(self.next);
        assert!(is_there || found == acknowledged, "{found} of {acknowledged}");
        for step in self.next..STEPS {
            let expected =
                if is_there && step == self.next { Outcome::WasThere } else { Outcome::Taken };
            assert_eq!(run(&engine, step, || ()), expected, "step {step}");
        }
        engine.flush().unwrap();
        let seen = Seen::by(&engine);
        engine.close();
        (seen, unless_locked(|| tools::index_digest(dir)).unwrap())
    }
}

fn place() -> Place {
    Place { dir: tempfile::tempdir().unwrap(), next: 0 }
}

/// Opens what may be locked for a moment by a process that another thread is starting.
fn unless_locked<T>(mut open: impl FnMut() -> Result<T, OpenError>) -> Result<T, OpenError> {
    loop {
        match open() {
            Err(OpenError::Locked(_)) => thread::yield_now(),
            other => return other,
        }
    }
}

#[test]
fn a_process_that_dies_inside_any_operation_of_the_disk_leaves_a_step_done_or_not_done() {
    match part() {
        None => {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args([TEST, "--exact", "--nocapture"]).env(PART, STARTER);
            assert!(command.status().unwrap().success());
        }
        Some(part) if part == STARTER => die_everywhere(),
        Some(part) => live(&part),
    }
}

fn die_everywhere() {
    let undisturbed = place().finish();
    let next = AtomicUsize::new(0);
    let met: Mutex<BTreeMap<String, u64>> = Mutex::default();
    let work = || {
        loop {
            let operations = next.fetch_add(1, Ordering::SeqCst);
            let mut place = place();
            let Some(died) = place.die(operations) else { return };
            *met.lock().unwrap().entry(died.clone()).or_default() += 1;
            // Now and then a second process dies, while it recovers or soon after that.
            if operations % 4 == 3
                && let Some(died) = place.die(operations / 4 % 13)
            {
                *met.lock().unwrap().entry(died).or_default() += 1;
            }
            let what = format!("operation {operations}, inside {died}");
            let finished = thread::Builder::new().name(what).spawn(|| place.finish()).unwrap();
            assert_eq!(finished.join().unwrap(), undisturbed, "operation {operations}: {died}");
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let met = met.into_inner().unwrap();
    println!("{met:?}");
    for inside in Inside::ALL {
        assert!(met.contains_key(&format!("{inside:?}")), "nothing died inside {inside:?}");
    }
}
