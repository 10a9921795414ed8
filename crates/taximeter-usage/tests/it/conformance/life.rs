//! Opening, closing and stopping.

use taximeter_usage::{AppendError, Engine, OpenError};

use crate::settings::{in_every_setting, small};
use crate::support::{ALWAYS, Place, SUM, batch, block_on, cancel, event};

#[test]
fn a_directory_is_open_once() {
    in_every_setting(|place| {
        let second = Engine::open(place.dir.path(), small());
        assert!(matches!(second, Err(OpenError::Locked(dir)) if dir == place.dir.path()));
        let other = place.engine.clone();
        place.engine.close();
        drop(Engine::open(place.dir.path(), (place.setting.options)()).unwrap());
        drop(other);
    });
}

#[test]
fn a_directory_is_created_with_all_that_is_missing_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    Engine::open(&deep, small()).unwrap();
    assert!(deep.join("shard-0").is_dir());
}

#[test]
fn dropping_the_last_handle_frees_the_directory() {
    in_every_setting(|Place { dir, engine, setting }| {
        let options = (setting.options)();
        let other = engine.clone();
        drop(engine);
        assert!(matches!(Engine::open(dir.path(), options), Err(OpenError::Locked(_))));
        drop(other);
        Engine::open(dir.path(), options).unwrap();
    });
}

#[test]
fn a_closed_engine_appends_nothing_and_still_reads() {
    in_every_setting(|place| {
        place.record(&event("a"));
        assert!(place.engine.is_running());
        place.engine.clone().close();
        assert!(!place.engine.is_running());
        let appended = block_on(place.engine.append(batch(&[event("b")])));
        assert!(matches!(appended, Err(AppendError::Stopped)));
        let corrected = block_on(place.engine.correct(vec![cancel("a")]));
        assert!(matches!(corrected, Err(AppendError::Stopped)));
        place.check(SUM, ALWAYS, "1");
        assert_eq!(place.events().len(), 1);
        assert_eq!(place.engine.position().unwrap(), 1);
    });
}

#[test]
fn what_was_recorded_in_one_setting_is_there_in_every_other() {
    in_every_setting(|place| {
        for (number, setting) in crate::settings::SETTINGS.iter().enumerate() {
            place.engine.clone().close();
            let engine = Engine::open(place.dir.path(), (setting.options)()).unwrap();
            let other = Place { dir: tempfile::tempdir().unwrap(), setting, engine };
            for event_number in 0..13 {
                other.record(&event(&format!("{number} {event_number}")));
            }
            other.check(SUM, ALWAYS, &((number + 1) * 13).to_string());
        }
    });
}
