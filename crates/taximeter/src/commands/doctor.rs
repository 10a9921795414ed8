//! `taximeter doctor`: whether a server could start here and would be well.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use taximeter_db::{Db, Kind};
use taximeter_kernel::time::Timestamp;
use taximeter_service::migrations::MIGRATIONS;
use taximeter_service::webhooks::{self, Backlog};
use taximeter_service::{accounts, api_keys, jobs};
use taximeter_usage::tools::{self, Files};
use taximeter_usage::{Options, Stats};

use super::shown;
use crate::cli::ServeFlags;
use crate::config::{self, Environment, Store};
use crate::data_dir::{self, Taken};
use crate::failure::Failure;
use crate::terminal::{bytes_shown, number_shown};
use crate::{process, serve, store, terminal, tls};

/// No clock that is right is before this: 2026-01-01T00:00:00Z.
const CLOCK_MIN: Timestamp = Timestamp(1_767_225_600);

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// Worth a look; a server would start.
    Warn,
    /// A server would not start, or not be well.
    Fail,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One line of the report.
#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    what: &'static str,
    found: String,
    hint: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, what, found: found.into(), hint: None }
    }

    fn warn(what: &'static str, found: impl Into<String>, hint: &str) -> Self {
        let hint = Some(hint.to_owned());
        Self { verdict: Verdict::Warn, what, found: found.into(), hint }
    }

    fn fail(what: &'static str, failure: &Failure) -> Self {
        let hint = failure.way_out().map(str::to_owned);
        Self { verdict: Verdict::Fail, what, found: failure.line(), hint }
    }

    fn of(what: &'static str, outcome: Result<String, Failure>) -> Self {
        match outcome {
            Ok(found) => Self::ok(what, found),
            Err(failure) => Self::fail(what, &failure),
        }
    }
}

/// Checks everything and prints a report.
///
/// # Errors
/// None: what is wrong is in the report, and makes the exit code 1.
pub(crate) async fn run(
    at: &Store,
    flags: &ServeFlags,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let mut findings = vec![directory(&at.data_dir)];
    // Held until the end, so that no server starts under the checks.
    let taken = at.data_dir.is_dir().then(|| data_dir::try_hold(&at.data_dir));
    let running = matches!(taken, Some(Ok(Taken::By(_))));
    findings.extend(taken.as_ref().map(server));
    findings.extend(database(at).await);
    let settings = config::serve(flags, environment);
    let options = settings.as_ref().map_or_else(|_| Options::default(), |set| set.usage.options);
    findings.extend(usage(&at.data_dir, running, options).await);
    match settings {
        Err(failure) => findings.push(Finding::fail("options", &failure)),
        Ok(settings) => {
            findings.push(address(&settings.listen, running));
            findings.extend(settings.tls.as_ref().map(|files| {
                Finding::of("certificate", tls::load(files).map(|_| "can be used".to_owned()))
            }));
        }
    }
    drop(taken);
    terminal::print(&report(&findings));
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn directory(dir: &Path) -> Finding {
    const WHAT: &str = "data directory";
    if !dir.exists() {
        let found = format!("{} is not there yet; the first start makes it", dir.display());
        return Finding::ok(WHAT, found);
    }
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    let written = fs::write(&probe, "x").and_then(|()| fs::remove_file(&probe));
    if let Err(error) = written {
        let failure = Failure::new(format!("{} cannot be written to", dir.display()))
            .because(&error)
            .hint("give it to the user that runs the server, or name another with --data-dir");
        return Finding::fail(WHAT, &failure);
    }
    if is_open_to_all(dir) {
        let found = format!("{} can be read by every user of this machine", dir.display());
        return Finding::warn(WHAT, found, "chmod o-rwx on it");
    }
    Finding::ok(WHAT, dir.display().to_string())
}

#[cfg(unix)]
fn is_open_to_all(dir: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(dir).is_ok_and(|metadata| metadata.permissions().mode() & 0o005 != 0)
}

#[cfg(not(unix))]
const fn is_open_to_all(_: &Path) -> bool {
    false
}

fn server(taken: &Result<Taken, Failure>) -> Finding {
    match taken {
        Ok(Taken::Held(_)) => Finding::ok("server", "none is running on this directory"),
        Ok(Taken::By(holder)) => Finding::ok("server", format!("{holder} is running here")),
        Err(failure) => Finding::fail("server", failure),
    }
}

async fn database(at: &Store) -> Vec<Finding> {
    const WHAT: &str = "database";
    if at.is_missing() {
        return vec![
            Finding::ok(WHAT, format!("{} is not there yet; the first start makes it", at.shown())),
            clock(None),
        ];
    }
    let db = match reachable(at).await {
        Ok(db) => db,
        Err(failure) => return vec![Finding::fail(WHAT, &failure), clock(None)],
    };
    let kind = match db.kind() {
        Kind::Sqlite => "SQLite",
        Kind::Postgres => "PostgreSQL",
    };
    let mut findings = vec![Finding::ok(WHAT, format!("{kind} at {}", at.shown()))];
    match db.pending(MIGRATIONS).await {
        Err(error) => {
            findings.push(Finding::fail("tables", &store::migration_failure(at, &error)));
            findings.push(clock(None));
        }
        Ok(pending) if !pending.is_empty() => {
            let found = format!("{} steps behind", pending.len());
            let hint = "the next start does them, or `taximeter migrate` does";
            findings.push(Finding::warn("tables", found, hint));
            findings.push(clock(None));
        }
        Ok(_) => {
            findings.push(Finding::ok("tables", "up to date"));
            findings.extend(contents(&db).await);
            findings.extend(work(&db).await);
            findings.extend(deliveries(&db).await);
        }
    }
    db.close().await;
    findings
}

async fn reachable(at: &Store) -> Result<Db, Failure> {
    let db = store::open(at).await?;
    db.ping().await?;
    Ok(db)
}

/// What the tables say: the keys, and how late it must be.
async fn contents(db: &Db) -> Vec<Finding> {
    const WHAT: &str = "keys";
    let read = async {
        let mut tx = db.begin_read().await?;
        let keys = api_keys::list(&mut tx, None).await?;
        let accounts = accounts::list(&mut tx).await?;
        Ok::<_, Failure>((keys, accounts))
    };
    let (keys, accounts) = match read.await {
        Ok(read) => read,
        Err(failure) => return vec![Finding::fail(WHAT, &failure), clock(None)],
    };
    let now = process::now();
    let usable = keys.iter().filter(|key| !key.is_expired(now)).count();
    let keys_found = match (keys.len(), usable) {
        (0, _) => Finding::ok(WHAT, "none yet; the first start makes them"),
        (_, 0) => Finding::warn(
            WHAT,
            "all have ended: nobody can use the API",
            "make one with `taximeter keys create`",
        ),
        (_, usable) => Finding::ok(WHAT, format!("{usable} can be used")),
    };
    let created = keys.iter().map(|key| key.created);
    let newest = created.chain(accounts.iter().map(|account| account.created)).max();
    vec![keys_found, clock(newest)]
}

/// What time will bring, and what of it fails, by kind.
async fn work(db: &Db) -> Vec<Finding> {
    const WHAT: &str = "work";
    let states = match read_work(db).await {
        Ok(states) if states.is_empty() => return vec![Finding::ok(WHAT, "nothing is put down")],
        Ok(states) => states,
        Err(error) => return vec![Finding::fail(WHAT, &Failure::from(error))],
    };
    let finding = |state: jobs::State| {
        let first = state.earliest.map_or_else(String::new, |at| format!(", first {}", shown(at)));
        let found = format!("{}: {} put down{first}", state.kind, state.jobs);
        match state.error {
            Some(error) if state.failing > 0 => {
                let found = format!("{found}, {} failing", state.failing);
                Finding::warn(WHAT, found, &format!("the one that failed most often: {error}"))
            }
            _ => Finding::ok(WHAT, found),
        }
    };
    states.into_iter().map(finding).collect()
}

async fn read_work(db: &Db) -> taximeter_service::error::Result<Vec<jobs::State>> {
    let mut tx = db.begin_read().await?;
    jobs::states(&mut tx).await
}

/// What is still to be delivered, by endpoint.
async fn deliveries(db: &Db) -> Vec<Finding> {
    const WHAT: &str = "webhooks";
    let backlog = match webhooks::backlog(db).await {
        Ok(backlog) if backlog.is_empty() => {
            return vec![Finding::ok(WHAT, "nothing is to be delivered")];
        }
        Ok(backlog) => backlog,
        Err(error) => return vec![Finding::fail(WHAT, &Failure::from(error))],
    };
    let finding = |of: Backlog| {
        let Backlog { endpoint, url, pending, failing, oldest } = of;
        let found = format!(
            "{endpoint} ({url}): {pending} to deliver, {failing} failing, since {}",
            shown(oldest)
        );
        if failing == 0 {
            return Finding::ok(WHAT, found);
        }
        let hint = format!("GET /v1/webhook_endpoints/{endpoint}/deliveries says what it answered");
        Finding::warn(WHAT, found, &hint)
    };
    backlog.into_iter().map(finding).collect()
}

fn clock(newest: Option<Timestamp>) -> Finding {
    judge_clock(process::now(), newest)
}

fn judge_clock(now: Timestamp, newest: Option<Timestamp>) -> Finding {
    const WHAT: &str = "clock";
    const HINT: &str = "set it, and keep it right with NTP: billing goes by it";
    let failure = if now < CLOCK_MIN {
        format!("says {}, which is past", shown(now))
    } else if let Some(newest) = newest.filter(|newest| now < *newest) {
        format!("says {}, which is before what is stored ({})", shown(now), shown(newest))
    } else {
        return Finding::ok(WHAT, shown(now));
    };
    Finding::fail(WHAT, &Failure::new(failure).hint(HINT))
}

async fn usage(data_dir: &Path, running: bool, options: Options) -> Vec<Finding> {
    const WHAT: &str = "usage log";
    let dir = data_dir::usage(data_dir);
    if !dir.is_dir() {
        return vec![Finding::ok(WHAT, format!("{} is not there yet", dir.display()))];
    }
    let mut findings = if running {
        let indexed = tools::indexed_seq(&dir).map_err(|error| store::usage_failure(&error));
        vec![
            Finding::ok(WHAT, format!("{} is in use by the server", dir.display())),
            Finding::of("usage index", indexed.map(|seq| format!("to {}", number_shown(seq)))),
        ]
    } else {
        match opened(data_dir, options).await {
            Ok(stats) => of_usage(&dir, &stats, options),
            Err(failure) => vec![Finding::fail(WHAT, &failure)],
        }
    };
    if let Ok(files) = tools::files(&dir) {
        findings.push(Finding::ok("usage on disk", on_disk(&files)));
    }
    findings
}

/// Opening reads what is not in the index, and what the files say of themselves.
async fn opened(data_dir: &Path, options: Options) -> Result<Stats, Failure> {
    let usage = store::open_usage(data_dir, options).await?;
    let stats = usage.stats();
    store::close_usage(usage).await;
    stats.map_err(|error| Failure::new("cannot look at the usage log").because(&error))
}

fn of_usage(dir: &Path, stats: &Stats, options: Options) -> Vec<Finding> {
    let Stats { first_seq, last_seq, indexed_seq, runs, memtable_bytes, index_memory_bytes } =
        *stats;
    let dir = dir.display();
    let positions = match last_seq {
        0 => "nothing is recorded".to_owned(),
        _ => format!("positions {} to {}", number_shown(first_seq), number_shown(last_seq)),
    };
    let index = match runs {
        0 => "nothing yet".to_owned(),
        1 => format!("to {} in 1 run", number_shown(indexed_seq)),
        _ => format!("to {} in {runs} runs", number_shown(indexed_seq)),
    };
    let wide = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    let taken = wide(memtable_bytes).saturating_add(index_memory_bytes);
    let allowed = bytes_shown(wide(options.memory_bytes));
    vec![
        Finding::ok(
            "usage log",
            format!("{dir} opens, {positions}; `taximeter usage verify` reads all of it"),
        ),
        Finding::ok("usage index", index),
        Finding::ok("usage memory", format!("{} of {allowed}", bytes_shown(taken))),
    ]
}

/// `136.7 MiB: 128 MiB log, 7.5 MiB compressed log, 1.2 MiB index`.
fn on_disk(files: &Files) -> String {
    let Files { log, sealed, index, other } = files;
    let kinds = [(log, "log"), (sealed, "compressed log"), (index, "index"), (other, "other")];
    let kinds = kinds.into_iter().filter(|(size, _)| size.bytes > 0);
    let shown: Vec<String> =
        kinds.map(|(size, kind)| format!("{} {kind}", bytes_shown(size.bytes))).collect();
    format!("{}: {}", bytes_shown(files.all().bytes), shown.join(", "))
}

fn address(listen: &str, running: bool) -> Finding {
    const WHAT: &str = "address";
    match serve::listen(listen, serve::LISTEN) {
        Ok(_) => Finding::ok(WHAT, format!("{listen} is free")),
        Err(_) if running => Finding::ok(WHAT, format!("{listen} is in use; a server is running")),
        Err(failure) => Finding::fail(WHAT, &failure),
    }
}

fn report(findings: &[Finding]) -> String {
    let mut rows = Vec::new();
    for finding in findings {
        let verdict = finding.verdict.word().to_owned();
        rows.push([verdict, finding.what.to_owned(), finding.found.clone()]);
        if let Some(hint) = &finding.hint {
            rows.push([String::new(), String::new(), format!("try: {hint}")]);
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let verdict = match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => "All is well.".to_owned(),
        (0, warnings) => format!("A server can start. Worth a look: {warnings}."),
        (failures, _) => format!("Something is wrong: {failures}."),
    };
    format!("{}\n{verdict}\n", terminal::table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_found_and_what_to_do() {
        let failure = Failure::new("cannot listen on x").hint("take another");
        let findings = [Finding::ok("keys", "7 can be used"), Finding::fail("address", &failure)];
        assert_eq!(
            report(&findings),
            "\
ok    keys     7 can be used
FAIL  address  cannot listen on x
               try: take another

Something is wrong: 1.
"
        );
        assert!(report(&findings[..1]).ends_with("\nAll is well.\n"));
    }

    #[test]
    fn a_clock_that_is_behind_what_is_stored_is_wrong() {
        let now = Timestamp(CLOCK_MIN.0 + 7);
        assert_eq!(judge_clock(now, None).verdict, Verdict::Ok);
        assert_eq!(judge_clock(now, Some(now)).verdict, Verdict::Ok);
        assert_eq!(judge_clock(now, Some(Timestamp(now.0 + 1))).verdict, Verdict::Fail);
        assert_eq!(judge_clock(Timestamp(CLOCK_MIN.0 - 1), None).verdict, Verdict::Fail);
    }
}
