//! The ways in which the engine is run by the tests: whatever is true of it is true in each of them.

use std::panic::resume_unwind;
use std::thread;

use taximeter_usage::{Engine, Options};

use crate::support::Place;

/// Makes the engine do some of its background work now, and returns when it is done.
pub(crate) type Chore = fn(&Engine);

/// A way to run the engine.
#[derive(Debug)]
pub(crate) struct Setting {
    /// How a failure names it.
    pub(crate) name: &'static str,
    /// The sizes.
    pub(crate) options: fn() -> Options,
    /// What the engine is made to do after each append and correction of a conformance test.
    pub(crate) chores: &'static [Chore],
}

/// Every setting that the suite runs in.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting { name: "small", options: small, chores: &[] },
    Setting { name: "flushed", options: small, chores: &[flush] },
    Setting { name: "roomy", options: roomy, chores: &[] },
];

/// What the model test has the engine do between other steps.
pub(crate) const CHORES: &[Chore] = &[flush, tidy];

/// Writes what is in memory to the index.
fn flush(engine: &Engine) {
    engine.flush().unwrap();
}

/// Merges runs, and compresses what is sealed.
fn tidy(engine: &Engine) {
    engine.tidy().unwrap();
}

/// Everything as small as it can be, so that whatever the engine does now and then, it does often.
pub(crate) fn small() -> Options {
    Options {
        segment_bytes: 4_096,
        queue_events_max: 1_000,
        queue_bytes_max: 1_000_000,
        memtable_events_max: 7,
        // So little that what is known of dimension values is forgotten again and again.
        memory_bytes: 5_000,
        ..Options::default()
    }
}

/// So much room that the engine does nothing in the background, but without the gigabytes.
pub(crate) fn roomy() -> Options {
    Options { segment_bytes: 1_024 * 1_024, ..Options::default() }
}

/// Nothing in the background, and segments that a few events fill: what is on the disk is what was
/// appended, and tests can change it byte by byte.
pub(crate) fn raw_log() -> Options {
    Options { segment_bytes: 4_096, ..roomy() }
}

/// Runs `test` in every setting, each in an empty directory. A failure names the setting as its
/// thread.
pub(crate) fn in_every_setting(test: fn(Place)) {
    for setting in SETTINGS {
        in_thread(setting.name, || test(Place::new(setting)));
    }
}

/// Runs `test` in a thread of that name, which a panic then prints.
pub(crate) fn in_thread(name: &str, test: impl FnOnce() + Send) {
    let outcome = thread::scope(|scope| {
        let builder = thread::Builder::new().name(name.to_owned());
        builder.spawn_scoped(scope, test).unwrap().join()
    });
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}
