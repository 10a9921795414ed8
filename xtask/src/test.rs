//! `cargo xtask test`: everything that must hold, in one command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::postgres::Cluster;
use crate::report::Report;
use crate::suites::{Clients, ON_POSTGRES, SUITES};
use crate::{bodies, contract, debian, sdks, shell, tidy};

/// The variable under which the Rust tests find a PostgreSQL that may make databases.
const TEST_POSTGRES_URL: &str = "TAXIMETER_TEST_POSTGRES_URL";
/// The variable that says for how many seconds clients read what they wrote.
const READ_YOUR_WRITES_S: &str = "TAXIMETER_READ_YOUR_WRITES_S";
/// What takes longer than a change waits for.
const THOROUGHLY: &[(&str, &str)] = &[(READ_YOUR_WRITES_S, "60")];

/// All tests.
pub(crate) fn all(root: &Path) -> Result<(), String> {
    let mut report = Report::default();
    report.step("tidy", || tidy::run(root));
    let cluster = report.step("PostgreSQL", || Cluster::start(root));
    if report.step("build", || build(root)).is_some() {
        let url = cluster.as_ref().map(|cluster| cluster.url("postgres"));
        rust_tests(&mut report, root, url.as_deref(), THOROUGHLY);
        client_suites(&mut report, root, cluster.as_ref());
    }
    report.step("contract is current", || contract::check_current(root));
    drop(cluster);
    report.finish()
}

/// The Rust tests on SQLite only.
pub(crate) fn fast(root: &Path) -> Result<(), String> {
    let mut report = Report::default();
    if report.step("build", || build(root)).is_some() {
        rust_tests(&mut report, root, None, &[]);
    }
    report.finish()
}

/// Stripe's clients only.
pub(crate) fn clients(root: &Path) -> Result<(), String> {
    let mut report = Report::default();
    let cluster = report.step("PostgreSQL", || Cluster::start(root));
    let build = || shell::run(shell::cargo(root).args(["build", "--package", "taximeter"]));
    if report.step("build", build).is_some() {
        client_suites(&mut report, root, cluster.as_ref());
    }
    drop(cluster);
    report.finish()
}

/// Compiles tests and binaries together, so that they share what they depend on.
fn build(root: &Path) -> Result<(), String> {
    shell::run(shell::cargo(root).args(["build", "--workspace", "--bins", "--tests"]))
}

fn rust_tests(
    report: &mut Report,
    root: &Path,
    postgres_url: Option<&str>,
    variables: &[(&str, &str)],
) {
    let where_to = if postgres_url.is_some() { "SQLite and PostgreSQL" } else { "SQLite" };
    let on_databases = |command: &mut Command| {
        match postgres_url {
            Some(url) => command.env(TEST_POSTGRES_URL, url),
            None => command.env_remove(TEST_POSTGRES_URL),
        };
        shell::run(command.envs(variables.iter().copied()))
    };
    report.step(&format!("Rust tests, {where_to}"), || {
        let mut command = shell::cargo(root);
        if shell::succeeds(shell::cargo(root).args(["nextest", "--version"])) {
            command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        } else {
            println!("cargo-nextest is not installed: using cargo test");
            command.args(["test", "--workspace", "--bins", "--lib", "--tests", "--no-fail-fast"]);
        }
        on_databases(&mut command)
    });
    report.step("examples in the documentation", || {
        on_databases(shell::cargo(root).args(["test", "--workspace", "--doc"]))
    });
}

fn client_suites(report: &mut Report, root: &Path, cluster: Option<&Cluster>) {
    let Some(clients) = report.step("Stripe's clients", || prepare(root)) else { return };
    for suite in SUITES {
        report.step(&format!("{suite} client, SQLite"), || clients.run(root, suite, None));
    }
    if let Some(cluster) = cluster {
        for suite in ON_POSTGRES {
            report.step(&format!("{suite} client, PostgreSQL"), || {
                let url = cluster.create_database(&format!("suite_{suite}"))?;
                clients.run(root, suite, Some(&url))
            });
        }
    }
    report.step("bodies against the contract", || bodies::check(&clients.bodies));
}

fn prepare(root: &Path) -> Result<Clients, String> {
    if shell::find("curl").is_none() {
        debian::install(&["curl"], "there is no curl, one of the clients of the tests")?;
    }
    let bodies = root.join(".xtask/bodies");
    let wrong = |error: std::io::Error| format!("{}: {error}", bodies.display());
    if bodies.exists() {
        fs::remove_dir_all(&bodies).map_err(wrong)?;
    }
    fs::create_dir_all(&bodies).map_err(wrong)?;
    Ok(Clients {
        server: server(root)?,
        python: sdks::python(root)?,
        node_modules: sdks::node_modules(root)?,
        bodies,
    })
}

/// Where cargo put the server's binary.
fn server(root: &Path) -> Result<PathBuf, String> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps"];
    let metadata = shell::output(shell::cargo(root).args(arguments))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let target = metadata["target_directory"].as_str().unwrap_or("target");
    let server = root.join(target).join("debug/taximeter");
    if server.is_file() { Ok(server) } else { Err(format!("{} is missing", server.display())) }
}
