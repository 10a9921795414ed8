//! Billing simulated: a seed decides what is sold to whom and what happens, and after each step what
//! must hold of every invoice, customer and subscription is held against a small book of its own.
//!
//! `TAXIMETER_SIM_SEED=17` runs one seed alone.

mod book;
mod check;
mod dice;
mod setup;
mod steps;

use taximeter_testkit::TestApp;

use dice::Dice;

/// How many things happen in one simulation.
const STEPS: i64 = 12;

/// How many seeds each test runs.
const SEEDS: u64 = 20;

/// Tells of a failure by which seed and steps it came about.
struct Told {
    seed: u64,
    steps: Vec<String>,
}

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("TAXIMETER_SIM_SEED={}\n{}", self.seed, self.steps.join("\n"));
        }
    }
}

async fn simulate(mut app: TestApp, seed: u64) {
    let mut told = Told { seed, steps: Vec::new() };
    let mut dice = Dice::new(seed);
    let mut book = setup::begin(&app, &mut dice).await;
    for _ in 0..STEPS {
        if dice.chance(6) {
            told.steps.push("restart".to_owned());
            let before = check::everything(&app, &book).await;
            app = app.restart().await;
            assert_eq!(check::everything(&app, &book).await, before, "a restart changes nothing");
        }
        steps::step(&app, &mut dice, &mut book, &mut told.steps).await;
        check::all(&app, &mut book).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "which seed to run differs by run")]
fn only() -> Option<u64> {
    let seed = std::env::var("TAXIMETER_SIM_SEED").ok()?;
    Some(seed.parse().expect("TAXIMETER_SIM_SEED is a number"))
}

async fn part(part: u64) {
    let seeds = match only() {
        None => part * SEEDS..(part + 1) * SEEDS,
        Some(seed) if part == 0 => seed..seed + 1,
        Some(_) => 0..0,
    };
    for seed in seeds {
        for app in TestApp::everywhere().await {
            // In a box: what a simulation holds is large.
            Box::pin(simulate(app, seed)).await;
        }
    }
}

/// A test for each part of the seeds, so that they run beside each other.
macro_rules! parts {
    ($($name:ident $part:literal)*) => {$(
        #[tokio::test]
        async fn $name() {
            part($part).await;
        }
    )*};
}

parts! {
    books_balance_whatever_happens_0 0
    books_balance_whatever_happens_1 1
    books_balance_whatever_happens_2 2
    books_balance_whatever_happens_3 3
    books_balance_whatever_happens_4 4
    books_balance_whatever_happens_5 5
    books_balance_whatever_happens_6 6
    books_balance_whatever_happens_7 7
    books_balance_whatever_happens_8 8
    books_balance_whatever_happens_9 9
}
