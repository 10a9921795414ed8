//! Processes that die while they make the index anew.

use super::*;

const TEST: &str =
    "crash::rebuild::a_process_that_dies_while_it_makes_the_index_anew_leaves_one_that_starts";

/// Makes the index anew, as the process that is to die. Its part is a directory and how many
/// operations the disk does.
fn rebuild(part: &str) {
    let (dir, operations) = part.split_once(' ').unwrap();
    let disk = DeadlyDisk { operations_left: AtomicUsize::new(operations.parse().unwrap()) };
    tools::rebuild_index_on(Path::new(dir), options(), Arc::new(disk)).unwrap();
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
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

/// An index of several runs, some of them merged.
fn lived() -> (tempfile::TempDir, Seen, u64) {
    let place = place();
    let dir = place.dir.path();
    let engine = unless_locked(|| Engine::open(dir, options())).unwrap();
    for step in 0..STEPS {
        run(&engine, step, || ());
    }
    engine.flush().unwrap();
    engine.tidy().unwrap();
    assert!(engine.stats().unwrap().runs > 1);
    let seen = Seen::by(&engine);
    engine.close();
    let digest = unless_locked(|| tools::index_digest(dir)).unwrap();
    (place.dir, seen, digest)
}

fn die_everywhere() {
    let (lived, seen, digest) = lived();
    let mut deaths: usize = 0;
    loop {
        let copy = tempfile::tempdir().unwrap();
        let dir = copy.path();
        copy_into(lived.path(), dir);
        let mut command = Command::new(env::current_exe().unwrap());
        let part = format!("{} {deaths}", dir.display());
        command.args([TEST, "--exact", "--nocapture", "--test-threads=1"]).env(PART, part);
        let ended = command.stdin(Stdio::null()).output().unwrap();
        if ended.status.success() {
            break;
        }
        assert_eq!(ended.status.signal(), Some(SIGKILL), "operation {deaths}");
        deaths += 1;
        // What a start makes of it, and what doing it again does.
        let again = tempfile::tempdir().unwrap();
        copy_into(dir, again.path());
        let engine = unless_locked(|| Engine::open(dir, options())).unwrap();
        assert_eq!(Seen::by(&engine), seen, "operation {deaths}");
        engine.flush().unwrap();
        engine.close();
        unless_locked(|| tools::verify(dir)).unwrap();
        assert_eq!(unless_locked(|| tools::index_digest(dir)).unwrap(), digest);
        unless_locked(|| tools::rebuild_index(again.path(), options())).unwrap();
        assert_eq!(unless_locked(|| tools::index_digest(again.path())).unwrap(), digest);
    }
    println!("{deaths} deaths");
    assert!(deaths > 7, "{deaths}");
}

#[test]
fn a_process_that_dies_while_it_makes_the_index_anew_leaves_one_that_starts() {
    match part() {
        None => {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args([TEST, "--exact", "--nocapture"]).env(PART, STARTER);
            assert!(command.status().unwrap().success());
        }
        Some(part) if part == STARTER => die_everywhere(),
        Some(part) => rebuild(&part),
    }
}
