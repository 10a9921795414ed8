//! The engine against the naive one: whatever is done to both, they answer alike.
//!
//! `TAXIMETER_MODEL_SEED` repeats a failure, which names its seed as its thread and its step;
//! `TAXIMETER_MODEL_STEPS` says how many steps are taken.

pub(crate) mod random;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use taximeter_kernel::aggregate::Usage;
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Engine, EventPage, EventQuery, Options, Order, UsageGroup, UsageQuery};
use tempfile::TempDir;

use crate::crash::files;
use crate::naive::{ANSWERS, Naive, is_beyond};
use crate::settings::{CHORES, SETTINGS, in_thread};
use crate::support::{DAY, HOUR, SEVEN, batch, block_on};
use random::Random;
use world::{SERIES_MAX, World};

/// How many steps are taken in all; each changes something and then asks [`QUESTIONS`].
const STEPS: u64 = 100_000;
/// So many steps meet every answer that there is.
const STEPS_TO_MEET_ALL: u64 = 20_000;
/// How many are taken in one world.
const STEPS_IN_A_WORLD: u64 = 250;
const QUESTIONS: usize = 2;
const WORKERS: usize = 2;

#[expect(clippy::disallowed_methods, reason = "who looks for a failure says how")]
fn asked(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("a number"))
}

/// The options of one of the settings.
fn options(random: &mut Random) -> Options {
    Options { series_max: SERIES_MAX, ..(random.one(SETTINGS).options)() }
}

/// The engine and the naive one, and what is done to both.
struct Both {
    world: World,
    dir: TempDir,
    /// `None` only while it restarts.
    engine: Option<Engine>,
    naive: Naive,
    options: Options,
    /// How many runs the index had after the last step.
    runs: usize,
    /// What the engine did by itself or was made to do.
    met: BTreeSet<&'static str>,
}

/// What worlds must meet, besides every answer.
const TO_MEET: [&str; 3] = ["compressed", "merged", "restarted in another setting"];

impl Both {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let options = options(&mut world.random);
        let engine = Some(Engine::open(dir.path(), options).unwrap());
        let (naive, met) = (Naive::new(SERIES_MAX), BTreeSet::new());
        Self { world, dir, engine, naive, options, runs: 0, met }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it is open")
    }

    fn step(&mut self) {
        match self.world.random.below(100) {
            0..50 => self.append(),
            50..80 => self.correct(),
            80..88 => self.world.wait(),
            88..97 if !CHORES.is_empty() => (self.world.random.one(CHORES))(self.engine()),
            88..97 => self.append(),
            _ => self.restart(),
        }
        for _ in 0..QUESTIONS {
            self.ask();
        }
        let runs = self.engine().stats().unwrap().runs;
        if runs < self.runs {
            self.met.insert("merged");
        }
        self.runs = runs;
    }

    fn append(&mut self) {
        let sent = self.world.events();
        let expected: Vec<_> = sent.iter().map(|one| self.naive.append(one)).collect();
        assert_eq!(block_on(self.engine().append(batch(&sent))).unwrap(), expected, "{sent:?}");
    }

    fn correct(&mut self) {
        let length = 1 + self.world.random.below(3);
        let orders: Vec<_> = (0..length).map(|_| self.world.correction()).collect();
        let expected: Vec<_> = orders.iter().map(|order| self.naive.correct(order)).collect();
        let corrected = block_on(self.engine().correct(orders.clone())).unwrap();
        assert_eq!(corrected, expected, "{orders:?}");
    }

    /// In some setting, which may be another one.
    fn restart(&mut self) {
        let engine = self.engine.take().expect("it is open");
        if self.world.random.chance(50) {
            engine.close();
        } else {
            drop(engine);
        }
        let options = options(&mut self.world.random);
        if options != self.options {
            self.met.insert("restarted in another setting");
        }
        self.options = options;
        self.engine = Some(Engine::open(self.dir.path(), options).unwrap());
    }

    fn ask(&mut self) {
        let position = self.naive.position();
        match self.world.random.below(10) {
            0..6 => {
                let query = self.world.usage_query(position);
                let boundaries = self.world.boundaries();
                self.compare_usage(&query, &boundaries);
            }
            6 | 7 => {
                let query = self.world.events_query(position);
                self.compare_page(&query);
            }
            8 => self.compare_name(),
            _ => {
                assert_eq!(self.engine().position().unwrap(), position);
                let seq = self.world.random.below(position + 3);
                self.compare_event_at(seq);
            }
        }
    }

    fn compare_usage(&self, query: &UsageQuery, boundaries: &[Timestamp]) {
        let groups = self.engine().usage(query, boundaries).unwrap();
        for group in &groups {
            assert_eq!(group.usage.len(), boundaries.len().saturating_sub(1));
        }
        let expected = self.naive.usage(query, boundaries);
        assert_eq!(busy(groups), busy(expected), "{query:?} {boundaries:?}");
    }

    /// Holds one page and gives where the next begins.
    fn compare_page(&self, query: &EventQuery) -> Option<u64> {
        let EventPage { events, next } = self.engine().events(query).unwrap();
        let expected = self.naive.events(query);
        // So few events are looked at without giving up.
        let full = expected.len().min(query.limit);
        let places: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(places, expected[..full], "{query:?}");
        for event in &events {
            assert_eq!(self.naive.event_at(event.seq).as_ref(), Some(event), "{query:?}");
        }
        match next {
            None => assert_eq!(full, expected.len(), "the end came too early: {query:?}"),
            Some(next) => {
                let last = events.last().expect("a next page, but no event on this one").seq;
                assert!(next == last || is_beyond(next, last, query.order), "{query:?} {next}");
                if let Some(missed) = expected.get(full) {
                    assert!(is_beyond(*missed, next, query.order), "{query:?} {next}");
                }
            }
        }
        next
    }

    fn compare_name(&mut self) {
        let (scope, customer, identifier) = self.world.name();
        let found =
            self.engine().events_by_identifier(&scope, customer.as_ref(), &identifier).unwrap();
        let expected = self.naive.by_identifier(&scope, customer.as_ref(), &identifier);
        assert_eq!(found, expected, "{scope:?} {customer:?} {identifier}");
    }

    fn compare_event_at(&self, seq: u64) {
        assert_eq!(self.engine().event_at(seq).unwrap(), self.naive.event_at(seq), "at {seq}");
    }

    /// Asks everything that there is to know.
    fn everything_agrees(&self) {
        for (order, limit) in [(Order::Oldest, 307), (Order::Newest, 101)] {
            for scope in self.world.scopes.clone() {
                let (customer, meter, period) = (None, None, None);
                let mut query =
                    EventQuery { scope, customer, meter, period, order, after: None, limit };
                while let Some(next) = self.compare_page(&query) {
                    query.after = Some(next);
                }
            }
        }
        // The pages showed them all.
        for seq in (0..self.naive.position() + 2).step_by(7) {
            self.compare_event_at(seq);
        }
        let hours: Vec<Timestamp> = (-30..60).map(|hour| Timestamp(SEVEN + hour * HOUR)).collect();
        let all = [Timestamp(-100 * DAY), Timestamp(self.world.now + 100 * DAY)];
        for scope in &self.world.scopes {
            for customer in &self.world.customers {
                for meter in &self.world.meters {
                    let (scope, customer) = (scope.clone(), customer.clone());
                    let series =
                        taximeter_usage::Series { scope, meter: meter.id.clone(), customer };
                    let query = UsageQuery::of(series, meter.aggregation);
                    self.compare_usage(&query, &hours);
                    self.compare_usage(&query, &all);
                }
            }
        }
    }
}

/// The groups that count something: whether others are given, the interface leaves open.
fn busy(mut groups: Vec<UsageGroup>) -> Vec<UsageGroup> {
    groups.retain(|group| group.usage.iter().any(|usage| *usage != Usage::NONE));
    groups
}

/// Gives how often each answer was given, and what else was met.
fn live_through(seed: u64, steps: u64) -> BTreeMap<&'static str, u64> {
    let step = AtomicU64::new(0);
    let _step = OnPanic(|| println!("in step {}", step.load(Ordering::Relaxed)));
    let mut both = Both::new(seed);
    for _ in 0..steps {
        step.fetch_add(1, Ordering::Relaxed);
        both.step();
    }
    if seed.is_multiple_of(4) {
        both.everything_agrees();
    }
    // What the run found is what a restart finds.
    both.restart();
    both.everything_agrees();
    let (_, compressed) = files(both.dir.path());
    if compressed > 0 {
        both.met.insert("compressed");
    }
    let mut answers = std::mem::take(&mut both.naive.answers);
    answers.extend(both.met.into_iter().map(|met| (met, 1)));
    answers
}

struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)();
        }
    }
}

#[test]
fn the_engine_answers_like_the_naive_one_after_every_step() {
    let steps = asked("TAXIMETER_MODEL_STEPS").unwrap_or(STEPS);
    let first_seed = asked("TAXIMETER_MODEL_SEED").unwrap_or_else(Random::seed);
    let worlds = steps.div_ceil(STEPS_IN_A_WORLD);
    let next_world = AtomicU64::new(0);
    let answers: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    let work = || {
        loop {
            let world = next_world.fetch_add(1, Ordering::Relaxed);
            if world >= worlds {
                return;
            }
            let seed = first_seed + world;
            let name = format!("TAXIMETER_MODEL_SEED={seed}");
            let _no_more = OnPanic(|| next_world.store(worlds, Ordering::Relaxed));
            in_thread(&name, || {
                let given = live_through(seed, STEPS_IN_A_WORLD);
                let mut answers = answers.lock().unwrap();
                for (answer, times) in given {
                    *answers.entry(answer).or_default() += times;
                }
            });
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let answers = answers.into_inner().unwrap();
    println!("{answers:?}");
    assert!(
        steps < STEPS_TO_MEET_ALL || answers.len() == ANSWERS + TO_MEET.len(),
        "met only {answers:?}"
    );
}
