//! Real processes, killed while they append and correct.
//!
//! A process does steps that a seed determines, for three customers at once, and says what it was
//! answered. It is killed at some instant; what it left is opened, compared with what was answered,
//! damaged in a copy; and the next process goes on, with the step that was not acknowledged.
//!
//! A process that is being started holds for a moment what its parent holds, locks too. So a process
//! of its own starts them all, lest other tests find a directory locked that they just closed.
//!
//! `TAXIMETER_CRASH_SEED` repeats the steps of a failure, `TAXIMETER_CRASH_KILLS` says how many
//! processes are killed.

pub(crate) mod child;
mod lane;
mod seen;
mod tail;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use taximeter_usage::{Engine, OpenError, Options, tools};
use tempfile::TempDir;

use crate::model::random::Random;
use crate::settings::{in_thread, raw_log, small};
use child::{Process, Since, part, say};
use lane::{LANES, Lane, Outcome, Step};
use seen::Seen;

/// The part of the process that starts and kills the others.
const KILLER: &str = "killer";
const TEST: &str = "crash::a_process_that_is_killed_at_any_instant_loses_and_doubles_nothing";
const KILLS: u64 = 320;
/// In one directory, one after the other.
const KILLS_IN_A_PLACE: u64 = 20;
/// Directories side by side.
const WORKERS: u64 = 4;

#[expect(clippy::disallowed_methods, reason = "who looks for a failure says how")]
fn asked(variable: &str) -> Option<u64> {
    Some(env::var(variable).ok()?.parse().expect("a number"))
}

/// Opens what may be locked for a moment by a process that another thread is starting.
fn open(dir: &Path, options: Options) -> Engine {
    unless_locked(|| Engine::open(dir, options)).unwrap()
}

fn unless_locked<T>(mut open: impl FnMut() -> Result<T, OpenError>) -> Result<T, OpenError> {
    loop {
        match open() {
            Err(OpenError::Locked(_)) => thread::yield_now(),
            other => return other,
        }
    }
}

/// How often something happened, by name.
type Tally = BTreeMap<String, u64>;

/// Appends and corrects until it is killed. Its part is a directory, a seed, and a step for each
/// lane.
fn work(part: &str) {
    let mut words = part.split(' ');
    let dir = Path::new(words.next().unwrap());
    let seed = words.next().unwrap().parse().unwrap();
    let engine = &Engine::open(dir, small()).unwrap();
    say("open");
    thread::scope(|scope| {
        for (lane, first) in (0..LANES).zip(words) {
            let first: u64 = first.parse().unwrap();
            scope.spawn(move || {
                for at in first.. {
                    let outcomes = Step::of(seed, lane, at).run(engine);
                    let words: Vec<String> = outcomes.into_iter().map(Outcome::to_word).collect();
                    say(&format!("{lane} {at} {}", words.join(" ")));
                }
            });
        }
    });
}

/// A directory in which one process after the other is killed.
struct Killed {
    random: Random,
    seed: u64,
    dir: TempDir,
    lanes: Vec<Lane>,
    tally: Tally,
}

impl Killed {
    fn new(seed: u64) -> Self {
        let lanes = (0..LANES).map(|lane| Lane::new(seed, lane)).collect();
        let dir = tempfile::tempdir().unwrap();
        Self { random: Random::new(seed), seed, dir, lanes, tally: Tally::new() }
    }

    fn count(&mut self, what: &str, times: u64) {
        *self.tally.entry(what.to_owned()).or_default() += times;
    }

    /// One process lives and dies.
    fn round(&mut self) {
        let steps: Vec<String> = self.lanes.iter().map(|lane| lane.next.to_string()).collect();
        let path = self.dir.path().to_str().unwrap();
        let process = Process::start(TEST, &format!("{path} {} {}", self.seed, steps.join(" ")));
        let time = Duration::from_millis(5 + self.random.below(96));
        let since = *self.random.one(&[Since::Start, Since::FirstWord, Since::FirstWord]);
        for said in process.killed_after(time, since) {
            self.hear(&said);
        }
        self.count("kills", 1);
        let left = copy_of(self.dir.path());
        let seen = self.check(left.path());
        let damaged = copy_of(self.dir.path());
        if let Some(damage) = tail::damage(damaged.path(), &seen, &mut self.random) {
            self.count(&format!("{damage:?}"), 1);
        }
        // The next process finds what the crash left, or what a start and a stop made of it.
        if self.random.chance(50) {
            self.dir = left;
        }
    }

    fn hear(&mut self, said: &str) {
        let mut words = said.split(' ');
        let first = words.next().unwrap();
        if first == "open" {
            return self.count("starts", 1);
        }
        let lane: usize = first.parse().unwrap();
        let at = words.next().unwrap().parse().unwrap();
        let outcomes: Vec<Outcome> = words.map(Outcome::parse).collect();
        self.lanes[lane].acknowledged(at, &outcomes);
        self.count("acknowledged steps", 1);
    }

    /// Opens what the process left and compares it with what was acknowledged, and with what a
    /// second start finds.
    fn check(&mut self, dir: &Path) -> Seen {
        let engine = open(dir, small());
        let seen = Seen::by(&engine);
        for at in 0..self.lanes.len() {
            let unacknowledged = self.lanes[at].resolve(&seen.lanes[at]);
            self.count(&format!("unacknowledged: {unacknowledged:?}"), 1);
            assert_eq!(seen.lanes[at], self.lanes[at].versions, "lane {at}");
        }
        let records = self.lanes.iter().map(|lane| lane.records).sum::<u64>();
        assert_eq!(seen.position, records, "nothing is there besides");
        let runs = engine.stats().unwrap().runs;
        if self.random.chance(50) {
            engine.close();
        } else {
            drop(engine);
        }
        let options = if self.random.chance(50) { small() } else { raw_log() };
        let again = open(dir, options);
        assert_eq!(Seen::by(&again), seen);
        again.close();
        let verified = unless_locked(|| tools::verify(dir)).unwrap();
        assert_eq!(verified.last_seq, seen.position);
        self.count("runs found", u64::try_from(runs).unwrap());
        seen
    }

    /// What it became is what the log says.
    fn finish(mut self) -> Tally {
        let dir = self.dir.path();
        let engine = open(dir, small());
        engine.flush().unwrap();
        engine.tidy().unwrap();
        let kept = u64::try_from(engine.stats().unwrap().runs).unwrap();
        engine.close();
        let (begun, compressed) = files(dir);
        let digest = unless_locked(|| tools::index_digest(dir)).unwrap();
        unless_locked(|| tools::rebuild_index(dir, small())).unwrap();
        assert_eq!(unless_locked(|| tools::index_digest(dir)).unwrap(), digest);
        self.count("runs begun", begun);
        self.count("runs kept", kept);
        self.count("compressed segments", compressed);
        self.tally
    }
}

/// How many runs were ever begun, as the last one's number says, and how many segments are compressed.
pub(crate) fn files(dir: &Path) -> (u64, u64) {
    let names = |dir: &Path| -> Vec<String> {
        let files = fs::read_dir(dir).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    };
    let shard = dir.join("shard-0");
    let numbers = names(&shard.join("index"));
    let numbers = numbers
        .iter()
        .filter_map(|name| name.strip_prefix("run-")?.strip_suffix(".idx")?.parse::<u64>().ok());
    let compressed = names(&shard).iter().filter(|name| name.ends_with(".zlog")).count();
    (numbers.max().unwrap_or(0), u64::try_from(compressed).unwrap())
}

pub(crate) fn copy_of(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(dir, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&copy).unwrap();
            copy_into(&path, &copy);
        } else {
            fs::copy(&path, copy).unwrap();
        }
    }
}

#[test]
fn a_process_that_is_killed_at_any_instant_loses_and_doubles_nothing() {
    match part() {
        None => {
            for line in Process::start(TEST, KILLER).ended() {
                println!("{line}");
            }
        }
        Some(part) if part == KILLER => kill_processes(),
        Some(part) => work(&part),
    }
}

fn kill_processes() {
    let kills = asked("TAXIMETER_CRASH_KILLS").unwrap_or(KILLS);
    let first_seed = asked("TAXIMETER_CRASH_SEED").unwrap_or_else(Random::seed);
    let places = kills.div_ceil(KILLS_IN_A_PLACE);
    let next = AtomicU64::new(0);
    let tally: Mutex<Tally> = Mutex::default();
    let kill = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= places {
                return;
            }
            let seed = first_seed + place;
            in_thread(&format!("TAXIMETER_CRASH_SEED={seed}"), || {
                let mut killed = Killed::new(seed);
                for _ in 0..KILLS_IN_A_PLACE.min(kills) {
                    killed.round();
                }
                let mut tally = tally.lock().unwrap();
                for (what, times) in killed.finish() {
                    *tally.entry(what).or_default() += times;
                }
            });
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(kill)).collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let tally = tally.into_inner().unwrap();
    for (what, times) in &tally {
        say(&format!("{what}: {times}"));
    }
    let at_least = |what: &str, times: u64| {
        let found = tally.get(what).copied().unwrap_or(0);
        assert!(found * KILLS >= times * kills, "{what}: {found} of {times}");
    };
    at_least("kills", KILLS);
    at_least("acknowledged steps", KILLS);
    at_least("unacknowledged: Absent", KILLS / 10);
    at_least("unacknowledged: Present", KILLS / 20);
    at_least("LastFrameCut", KILLS / 20);
    at_least("LastFrameFlipped", KILLS / 20);
    at_least("EarlierFrame", KILLS / 40);
    at_least("compressed segments", KILLS / KILLS_IN_A_PLACE);
    assert!(kills < KILLS || tally["runs begun"] > 2 * tally["runs kept"], "runs were merged");
}
