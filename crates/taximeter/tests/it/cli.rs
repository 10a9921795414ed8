//! The command line: misuse, help, and the commands that need no server.

use crate::server::{Server, fail, succeed, taximeter, taximeter_in};

#[test]
fn misuse_ends_with_two_and_says_what_is_wrong() {
    for (args, message) in [
        (&["--listn", "x"][..], "unexpected argument '--listn'"),
        (&["srve"], "unrecognized subcommand 'srve'"),
        (&["keys"], "Usage: taximeter keys"),
        (&["keys", "revoke"], "<KEY>"),
        (&["keys", "create", "--live", "--test"], "cannot be used with"),
        (&["keys", "create", "--kind", "secrt"], "a similar value exists: 'secret'"),
        (&["keys", "roll", "key_7", "--expire-in", "7"], "write a number and its unit"),
        (
            &["--listen", "127.0.0.1:0", "keys", "list"],
            "--listen is an option of `taximeter serve`",
        ),
        (&["--log-format", "xml"], "[possible values: auto, text, json]"),
    ] {
        let outcome = taximeter(args);
        assert_eq!(outcome.code, Some(2), "{args:?}");
        assert!(outcome.stderr.contains(message), "{args:?}: {}", outcome.stderr);
    }
}

#[test]
fn a_setting_that_cannot_be_used_ends_with_one_and_is_never_echoed_if_secret() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    for (args, message) in [
        (&["--listen", "here"][..], "error: --listen `here` is no address\n  try: host:port"),
        (
            &["--secret-key", "hunter2"],
            "error: --secret-key does not begin with `sk_test_`\n  try: ",
        ),
        (&["--secret-key", "sk_test_hunter2"], "error: --secret-key is too short"),
        (&["--secret-key", "sk_live_hunter2hunter2"], "error: --secret-key is a live-mode key"),
        (
            &["--database-url", "mysql://me:hunter2@db/x"],
            "error: --database-url is no PostgreSQL URL",
        ),
        (&["--tls-cert", "cert.pem"], "error: --tls-cert is given without --tls-key"),
        (
            &["--tls-cert", "cert.pem", "--tls-key", "key.pem"],
            "error: cannot read --tls-cert cert.pem",
        ),
        (&["--log", "taximeter=loud"], "error: the log filter `taximeter=loud` cannot be read"),
    ] {
        let said = fail(&dir, args);
        assert!(said.starts_with(message), "{args:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(!dir.exists(), "a start that cannot be makes nothing");
}

#[test]
fn settings_come_from_the_environment_too() {
    let outcome = taximeter_in(&[], &[("TAXIMETER_LISTEN", "here")]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.starts_with("error: TAXIMETER_LISTEN `here` is no address\n"));
    let outcome = taximeter_in(&["keys", "list"], &[("TAXIMETER_DATA_DIR", "/nowhere/at/all")]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.starts_with("error: there is no database in /nowhere/at/all\n"));
}

#[test]
fn help_tells_the_settings_their_variables_and_examples() {
    let long = taximeter(&["--help"]);
    assert_eq!(long.code, Some(0));
    for word in [
        "--listen",
        "TAXIMETER_LISTEN",
        "--data-dir",
        "TAXIMETER_DATA_DIR",
        "--database-url",
        "TAXIMETER_DATABASE_URL",
        "--secret-key",
        "TAXIMETER_SECRET_KEY",
        "Examples:",
        "doctor",
    ] {
        assert!(long.stdout.contains(word), "{word}: {}", long.stdout);
    }
    for command in ["serve", "keys", "accounts", "migrate", "usage", "doctor", "version"] {
        let help = taximeter(&[command, "--help"]);
        assert_eq!(help.code, Some(0), "{command}");
        assert_eq!(taximeter(&["help", command]).stdout, help.stdout, "{command}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let expected = format!("taximeter {}\n", env!("CARGO_PKG_VERSION"));
    assert!(taximeter(&["version"]).stdout.starts_with(&expected));
    assert_eq!(taximeter(&["--version"]).stdout, expected);
}

#[test]
fn migrate_makes_the_tables_once() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let at = dir.to_str().unwrap();
    let check = taximeter(&["migrate", "--check", "--data-dir", at]);
    assert_eq!(check.code, Some(1));
    assert!(check.stdout.starts_with("0001_accounts  to be done\n"), "{}", check.stdout);
    assert!(!dir.exists(), "a check makes nothing");
    assert!(succeed(&dir, &["migrate"]).starts_with("0001_accounts  done\n"));
    assert!(succeed(&dir, &["migrate"]).ends_with("is up to date\n"));
    assert!(succeed(&dir, &["migrate", "--check"]).ends_with("is up to date\n"));
}

#[test]
fn the_doctor_finds_nothing_wrong_before_during_and_after_a_servers_life() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let args = ["doctor", "--listen", "127.0.0.1:0"];
    let before = succeed(&dir, &args);
    assert!(before.ends_with("\nAll is well.\n"), "{before}");
    assert!(!dir.exists(), "a check makes nothing");
    let server = Server::start(&dir, &[]);
    let during = succeed(&dir, &args);
    assert!(during.contains(&format!("(process {}, http://", server.pid())), "{during}");
    assert!(during.contains("2 can be used"), "{during}");
    server.stop();
    let after = succeed(&dir, &args);
    assert!(after.contains("opens, nothing is recorded; `taximeter usage verify`"), "{after}");
}

#[test]
fn the_doctor_names_what_would_keep_a_server_from_starting() {
    let temp = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    std::fs::write(temp.path().join("taximeter.db"), "this is no database").unwrap();
    let dir = temp.path().to_str().unwrap();
    let outcome = taximeter(&["doctor", "--data-dir", dir, "--listen", &address]);
    assert_eq!(outcome.code, Some(1));
    for line in ["FAIL  database ", "FAIL  address ", "Something is wrong: 2."] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
}

#[test]
fn a_log_is_lines_of_json_when_asked_and_holds_no_secret() {
    let temp = tempfile::tempdir().unwrap();
    let key = "sk_test_not_for_the_log";
    let args = ["--secret-key", key, "--log-format", "json", "--log", "debug"];
    let server = Server::start(temp.path(), &args);
    assert_eq!(server.post("/v1/customers", key, "name=Jenny").0, 200);
    let log = server.stop();
    let messages: Vec<String> = log
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["message"].as_str().unwrap_or_default().to_owned())
        .collect();
    for message in ["ready", "request", "stopping", "stopped"] {
        assert!(messages.iter().any(|said| said == message), "{message}: {messages:?}");
    }
    assert!(log.iter().all(|line| !line.contains(key) && !line.contains("Jenny")), "{log:?}");
}
