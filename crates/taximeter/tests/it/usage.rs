//! `taximeter usage` and the settings of the usage engine, on the files of a real one.

mod place;

use serde_json::{Value, json};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::tools;

use crate::server::{Server, fail, succeed, taximeter};
use place::{LAST_POSITION, NOVEMBER, Place, TOTAL};

#[test]
fn verify_tells_what_there_is_and_that_it_is_whole() {
    let place = Place::new();
    let report = succeed(place.dir(), &["usage", "verify"]);
    assert!(report.starts_with("log    positions 1 to 707 "), "{report}");
    assert!(report.contains("\nindex  all of it "), "{report}");
    assert!(report.ends_with(", and is as it was written.\n"), "{report}");
    let found: Value =
        serde_json::from_str(&succeed(place.dir(), &["usage", "verify", "--json"])).unwrap();
    assert_eq!(found["whole"], true);
    assert_eq!(found["log"]["first_position"], 1);
    assert_eq!(found["log"]["last_position"], LAST_POSITION);
    assert_eq!(found["index"]["last_position"], LAST_POSITION);
    assert!(found["log"]["files"].as_u64().unwrap() > 2, "{found}");
    assert!(found["index"]["bytes"].as_u64().unwrap() > 0, "{found}");
}

#[test]
fn a_damaged_byte_of_the_log_is_named_by_file_and_place() {
    let place = Place::new();
    let file = place.first_of_log();
    let at = place.damage(&file, 2);
    let said = fail(place.dir(), &["usage", "verify"]);
    let shown = file.display().to_string();
    assert!(said.starts_with("error: usage log ") && said.contains(&shown), "{said}");
    assert!(said.contains("try: nothing was changed; restore this file from a copy"), "{said}");
    let dir = place.dir().to_str().unwrap();
    let outcome = taximeter(&["usage", "verify", "--json", "--data-dir", dir]);
    assert_eq!(outcome.code, Some(1));
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&found["whole"], &found["damage"]["file"]), (&json!(false), &json!(shown)));
    let offset = found["damage"]["offset"].as_u64().unwrap();
    assert!(offset <= at, "what holds byte {at} begins at {offset}");
    // The index is the better copy then, so it stays.
    let digest = tools::index_digest(&place.usage()).unwrap();
    let said = fail(place.dir(), &["usage", "rebuild-index"]);
    assert!(said.contains("is damaged at byte"), "{said}");
    assert_eq!(tools::index_digest(&place.usage()).unwrap(), digest);
}

#[test]
fn a_dump_goes_as_far_as_the_damage_and_on_behind_it() {
    let place = Place::new();
    let file = place.first_of_log();
    place.damage(&file, 2);
    let dir = place.dir().to_str().unwrap();
    let before = taximeter(&["usage", "dump", "--data-dir", dir]);
    assert_eq!(before.code, Some(1));
    assert!(before.stderr.contains(&file.display().to_string()), "{}", before.stderr);
    assert!(before.stdout.lines().count() < 701, "{}", before.stdout);
    let behind = place.dump(&["--from", "702"]);
    assert_eq!((behind.len(), &behind[0]["position"]), (6, &json!(702)));
}

#[test]
fn a_damaged_byte_of_the_index_is_mended_by_making_it_anew() {
    let place = Place::new();
    let digest = tools::index_digest(&place.usage()).unwrap();
    let file = place.first_of_index();
    place.damage(&file, 2);
    let said = fail(place.dir(), &["usage", "verify"]);
    assert!(said.starts_with(&format!("error: usage index {}", file.display())), "{said}");
    assert!(said.contains("taximeter usage rebuild-index"), "{said}");
    let told = succeed(place.dir(), &["usage", "rebuild-index"]);
    assert!(told.starts_with("made the index anew, to position 707: "), "{told}");
    assert_eq!(tools::index_digest(&place.usage()).unwrap(), digest);
    succeed(place.dir(), &["usage", "verify"]);
    assert_eq!(place.total(), TOTAL);
}

#[test]
fn an_index_made_anew_says_the_same_as_the_old_one() {
    let place = Place::new();
    let digest = tools::index_digest(&place.usage()).unwrap();
    succeed(place.dir(), &["usage", "rebuild-index", "--usage-memory", "128MiB"]);
    assert_eq!(tools::index_digest(&place.usage()).unwrap(), digest);
}

#[test]
fn a_dump_tells_each_step_exactly() {
    let place = Place::new();
    let lines = place.dump(&[]);
    assert_eq!(lines.len(), 707);
    let positions = lines.iter().map(|line| line["position"].as_u64().unwrap());
    assert!(positions.eq(1..=707));
    assert_eq!(
        lines[0],
        json!({
            "position": 1,
            "step": "recorded",
            "account": "acct_7",
            "mode": "live",
            "meter": "mtr_calls",
            "aggregation": "sum",
            "customer": "cus_7",
            "event_name": "calls",
            "identifier": "call-1",
            "timestamp": NOVEMBER,
            "received": NOVEMBER + 1,
            "value": "0.1",
            "payload": {"stripe_customer_id": "cus_7", "value": "0.1"},
        })
    );
    let [canceled, restored, amended] = &lines[701..704] else { panic!("three corrections") };
    for (line, step) in [(canceled, "canceled"), (restored, "restored"), (amended, "amended")] {
        assert_eq!((&line["step"], &line["identifier"]), (&json!(step), &json!("call-7")));
        assert_eq!(line["of_position"], 7, "{line}");
    }
    assert_eq!((&canceled["at"], &restored["at"]), (&json!(NOVEMBER + 1_000), &canceled["at"]));
    assert_eq!((&amended["received"], &amended["at"]), (&json!(NOVEMBER + 1), &Value::Null));
    assert_eq!(amended["value"], "12345678901234.5");
}

#[test]
fn a_dump_begins_ends_and_chooses_as_asked() {
    let place = Place::new();
    let positions = |args: &[&str]| -> Vec<u64> {
        place.dump(args).iter().map(|line| line["position"].as_u64().unwrap()).collect()
    };
    assert_eq!(positions(&["--from", "13", "--limit", "3"]), [13, 14, 15]);
    assert_eq!(positions(&["--from", "707"]), [707]);
    assert_eq!(positions(&["--from", "708"]), [0; 0]);
    assert_eq!(positions(&["--customer", "cus_13"]), [101, 705, 706]);
    assert_eq!(positions(&["--customer", "cus_13", "--meter", "mtr_calls"]), [101, 705]);
    assert_eq!(positions(&["--meter", "mtr_users", "--limit", "1"]), [706]);
}

#[test]
fn a_dump_whose_reader_leaves_ends_quietly() {
    let place = Place::new();
    let (code, stderr) = place.dump_to_one_who_leaves();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_tools_leave_a_running_server_alone_and_make_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let nowhere = temp.path().join("nowhere");
    for tool in ["verify", "rebuild-index", "dump"] {
        let said = fail(&nowhere, &["usage", tool]);
        assert!(said.starts_with("error: there is no usage log in "), "{said}");
    }
    assert!(!nowhere.exists(), "a look makes nothing");
    let server = Server::start(temp.path(), &[]);
    for tool in ["verify", "rebuild-index", "dump"] {
        let said = fail(temp.path(), &["usage", tool]);
        let holder = format!("error: another taximeter (process {}, http", server.pid());
        assert!(said.starts_with(&holder) && said.contains("try: stop it first"), "{said}");
    }
    server.stop();
    let report = succeed(temp.path(), &["usage", "verify"]);
    assert!(report.starts_with("log    nothing is recorded "), "{report}");
}

#[test]
fn retention_deletes_old_events_and_keeps_their_totals() {
    let place = Place::new();
    let keeps = |retention: &str| {
        let server = Server::start(place.dir(), &["--usage-retention", retention]);
        // Deleting begins at the start, and a stop waits for it.
        server.stop()
    };
    // November 2025 is not that long ago.
    let log = keeps("36500d");
    assert!(log.iter().all(|line| !line.contains("past their retention")), "{log:?}");
    let before = tools::files(&place.usage()).unwrap();
    let log = keeps("35d");
    assert!(log.iter().any(|line| line.contains("deleted usage events past their")), "{log:?}");
    let after = tools::files(&place.usage()).unwrap();
    let files = |files: &tools::Files| files.log.files + files.sealed.files;
    assert!(files(&after) < files(&before), "{before:?} {after:?}");
    let report = succeed(place.dir(), &["usage", "verify"]);
    assert!(report.contains(" to 707; those before were deleted"), "{report}");
    assert_eq!(place.total(), TOTAL);
    let first = place.dump(&["--limit", "1"])[0]["position"].as_u64().unwrap();
    assert!(first > 7, "{first}");
    let said = fail(place.dir(), &["usage", "rebuild-index"]);
    assert!(said.contains("cannot be made anew: events before place"), "{said}");
    assert!(said.contains("try: keep the index that there is"), "{said}");
    assert_eq!(place.total(), TOTAL);
}

#[test]
fn an_old_event_that_was_amended_does_not_let_younger_ones_be_deleted() {
    let place = Place::new();
    let december = Timestamp(NOVEMBER + 30 * 86_400);
    // Segments begin with amendments of what came in a month before what stands between.
    let (before, after) = place.with_amendments();
    let engine = place.open();
    assert!(engine.delete_events_received_before(december).unwrap() > 0);
    let first_seq = engine.stats().unwrap().first_seq;
    assert!((2..=before + 1).contains(&first_seq), "{first_seq}");
    assert!(engine.event_at(before + 1).unwrap().is_some());
    assert!(engine.delete_events_received_before(Timestamp(december.0 + 2)).unwrap() > 0);
    assert!(engine.stats().unwrap().first_seq > before + 1);
    assert!(engine.event_at(after).unwrap().is_some());
    engine.close();
}

#[test]
fn settings_that_cannot_be_are_refused_with_the_reason() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    for (args, message, hint) in [
        (
            ["--usage-retention", "34d"],
            "--usage-retention `34d` is too short",
            "an identifier is promised to be counted once",
        ),
        (["--usage-memory", "64MiB"], "--usage-memory `64MiB` is too little", "128 MiB at least"),
        (["--usage-memory", "1GB"], "--usage-memory `1GB` is no size", "512MiB or 4GiB"),
        (["--series-max", "0"], "--series-max `0` is no number", "from 1 to 100000"),
    ] {
        let said = fail(&dir, &args);
        assert!(said.starts_with(&format!("error: {message}")), "{said}");
        assert!(said.contains(hint), "{said}");
        let dir = dir.to_str().unwrap();
        let doctor = taximeter(&[&["doctor", "--data-dir", dir], &args[..]].concat());
        assert_eq!(doctor.code, Some(1));
        assert!(doctor.stdout.contains(message), "{}", doctor.stdout);
    }
    assert!(!dir.exists(), "a start that cannot be makes nothing");
}

#[test]
fn the_doctor_and_the_log_tell_how_much_usage_there_is() {
    let place = Place::new();
    let args = ["doctor", "--listen", "127.0.0.1:0", "--usage-memory", "256MiB"];
    let told = succeed(place.dir(), &args);
    for line in [
        "opens, positions 1 to 707; `taximeter usage verify` reads all of it",
        "ok    usage index     to 707 in ",
        " of 256 MiB\n",
        " compressed log, ",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let server = Server::start(place.dir(), &["--log-format", "json"]);
    let told = succeed(place.dir(), &args);
    assert!(told.contains("is in use by the server"), "{told}");
    assert!(told.contains("ok    usage index     to 707\n"), "{told}");
    let log = server.stop();
    let lines = log.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let opened: Vec<Value> =
        lines.filter(|line| line["message"] == "opened the usage log").collect();
    assert_eq!(opened.len(), 1, "{log:?}");
    assert_eq!(
        (&opened[0]["usage.position"], &opened[0]["usage.indexed"]),
        (&json!(707), &json!(707))
    );
    assert!(opened[0]["usage.runs"].as_u64().unwrap() > 0, "{}", opened[0]);
    assert!(opened[0]["start.duration_ms"].is_number(), "{}", opened[0]);
}
