//! The index is derived: dropped and made anew from the log it says the same.

mod damage;
mod retention;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Engine, OpenError, Options, UsageGroup, UsageQuery, tools};
use tempfile::TempDir;

use crate::crash::files;
use crate::model::world::{SERIES_MAX, World};
use crate::settings::{in_thread, raw_log, roomy, small};
use crate::support::{batch, block_on, event};

/// Worlds of four meters each: together they count in most ways that there are.
const SEEDS: std::ops::Range<u64> = 0..9;
const STEPS: u64 = 70;

fn with_series(options: Options) -> Options {
    Options { series_max: SERIES_MAX, ..options }
}

/// A directory in which a world was lived through, its index merged and its log compressed.
struct Lived {
    dir: TempDir,
    questions: Vec<(UsageQuery, Vec<Timestamp>)>,
}

impl Lived {
    fn through(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(seed);
        let engine = Engine::open(dir.path(), with_series(small())).unwrap();
        for _ in 0..STEPS {
            block_on(engine.append(batch(&world.events()))).unwrap();
            block_on(engine.correct(vec![world.correction(), world.correction()])).unwrap();
            world.wait();
        }
        engine.flush().unwrap();
        engine.tidy().unwrap();
        let stats = engine.stats().unwrap();
        engine.close();
        let (begun, compressed) = files(dir.path());
        assert!(begun > u64::try_from(stats.runs).unwrap(), "runs were merged");
        assert!(compressed > 1, "segments were compressed");
        let position = stats.last_seq;
        let ask = |_| (world.usage_query(position), world.boundaries());
        Self { dir, questions: (0..101).map(ask).collect() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn answers(&self, options: Options) -> Vec<Vec<UsageGroup>> {
        let engine = Engine::open(self.path(), with_series(options)).unwrap();
        let ask = |(query, boundaries): &(UsageQuery, Vec<Timestamp>)| {
            engine.usage(query, boundaries).unwrap()
        };
        let answers = self.questions.iter().map(ask).collect();
        engine.close();
        answers
    }

    fn index(&self) -> std::path::PathBuf {
        self.path().join("shard-0/index")
    }

    fn digest(&self) -> u64 {
        tools::index_digest(self.path()).unwrap()
    }
}

#[test]
fn an_index_made_anew_says_what_the_one_before_said() {
    for seed in SEEDS {
        in_thread(&format!("seed {seed}"), || {
            let lived = Lived::through(seed);
            let (digest, answers) = (lived.digest(), lived.answers(small()));
            // In the same pieces, and all at once.
            for options in [small(), roomy()] {
                tools::rebuild_index(lived.path(), with_series(options)).unwrap();
                assert_eq!(lived.digest(), digest);
                assert_eq!(lived.answers(options), answers);
                let verified = tools::verify(lived.path()).unwrap();
                assert_eq!(verified.indexed_seq, verified.last_seq);
            }
        });
    }
}

#[test]
fn an_index_that_is_gone_is_made_anew_at_start() {
    let lived = Lived::through(101);
    let (digest, answers) = (lived.digest(), lived.answers(small()));
    fs::remove_dir_all(lived.index()).unwrap();
    assert_eq!(lived.answers(roomy()), answers);
    let engine = Engine::open(lived.path(), with_series(roomy())).unwrap();
    engine.flush().unwrap();
    engine.close();
    assert_eq!(lived.digest(), digest);
}

#[test]
fn an_index_of_which_a_file_is_gone_is_refused_and_can_be_made_anew() {
    let lived = Lived::through(103);
    let digest = lived.digest();
    let files = fs::read_dir(lived.index()).unwrap().map(|file| file.unwrap().path());
    let run = files.filter(|path| path.extension().is_some()).min().unwrap();
    fs::remove_file(&run).unwrap();
    let refused = Engine::open(lived.path(), with_series(small())).unwrap_err();
    assert!(format!("{refused:?}").contains(run.to_str().unwrap()), "{refused:?}");
    tools::verify(lived.path()).unwrap_err();
    tools::rebuild_index(lived.path(), with_series(small())).unwrap();
    assert_eq!(lived.digest(), digest);
}

#[test]
fn a_directory_that_is_not_there_is_refused_and_not_made() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("usage");
    let check = |outcome: Result<(), OpenError>| {
        let error = outcome.unwrap_err();
        assert_eq!(error.to_string(), format!("there is no usage directory {}", dir.display()));
    };
    check(tools::verify(&dir).map(drop));
    check(tools::rebuild_index(&dir, small()));
    check(tools::dump(&dir, 1, &mut |_, _| ControlFlow::Continue(())));
    check(tools::index_digest(&dir).map(drop));
    assert!(!dir.exists());
}

#[test]
fn two_logs_of_different_events_have_different_digests() {
    let digest_of = |identifier: &str| {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), small()).unwrap();
        block_on(engine.append(batch(&[event(identifier)]))).unwrap();
        engine.flush().unwrap();
        engine.close();
        tools::index_digest(dir.path()).unwrap()
    };
    assert_eq!(digest_of("a"), digest_of("a"));
    assert_ne!(digest_of("a"), digest_of("b"));
}

#[test]
fn what_is_read_while_segments_are_compressed_is_there() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        // So many segments that nothing was indexed of.
        let engine = Engine::open(dir.path(), raw_log()).unwrap();
        for part in 0..13 {
            let sent = (0..31).map(|number| event(&format!("{round} {part} {number}")));
            block_on(engine.append(batch(&sent.collect::<Vec<_>>()))).unwrap();
        }
        engine.close();
        // They are indexed at start, and compressed while they are read.
        let engine = Engine::open(dir.path(), small()).unwrap();
        for seq in (1..=engine.position().unwrap()).rev() {
            let event = engine.event_at(seq).unwrap();
            assert_eq!(event.map(|event| event.seq), Some(seq), "round {round}");
        }
        engine.close();
    }
}
