//! `cargo xtask bench`: builds what users run, and measures it.

use std::path::Path;
use std::process::Command;

use crate::postgres::Cluster;
use crate::shell;

/// What a careful operator would give PostgreSQL on a machine of our size.
const POSTGRES_SETTINGS: [&str; 3] =
    ["shared_buffers=4GB", "max_wal_size=8GB", "synchronous_commit=on"];
/// The parts of `usage` that go without PostgreSQL.
const WITHOUT_POSTGRES: [&str; 8] =
    ["stream", "sustained", "engine", "fill", "disk", "memory", "summary", "restart"];

/// Measures requests over HTTP; `options` are the server's, such as `--log warn`.
pub(crate) fn http(root: &Path, options: &[&str]) -> Result<(), String> {
    shell::run(built(root, "http")?.args(options))
}

/// Measures what time brings; `words` are the parts and their options.
pub(crate) fn billing(root: &Path, words: &[&str]) -> Result<(), String> {
    shell::run(built(root, "billing")?.args(words))
}

/// Measures the usage engine; `words` are the parts and their options.
pub(crate) fn usage(root: &Path, words: &[&str]) -> Result<(), String> {
    let mut bench = built(root, "usage")?;
    let cluster = match wants_postgres(words) {
        true => Some(Cluster::start_with(root, &POSTGRES_SETTINGS)?),
        false => None,
    };
    if let Some(cluster) = &cluster {
        // Before the words: one that they name counts.
        bench.args(["--postgres-url", &cluster.create_database("bench")?]);
    }
    shell::run(bench.args(words))
}

/// Whether a part needs PostgreSQL, and no other server of it is named. No part is all of them.
fn wants_postgres(words: &[&str]) -> bool {
    let words: Vec<&str> = words.iter().copied().take_while(|word| *word != "--").collect();
    let named = |word: &str| words.contains(&word);
    let all = !WITHOUT_POSTGRES.iter().any(|part| named(part));
    !named("--postgres-url") && !named("--help") && (all || named("postgres"))
}

/// Builds in release mode, and returns the program with its first arguments.
fn built(root: &Path, what: &str) -> Result<Command, String> {
    let server = ["build", "--release", "--package", "taximeter", "--package", "taximeter-bench"];
    shell::run(shell::cargo(root).args(server))?;
    let mut bench = shell::cargo(root);
    bench.args(["run", "--release", "--quiet", "--package", "taximeter-bench", "--", what]);
    // Not with the temporary files, which may be in memory: the disk is part of what is measured.
    bench.arg(root.join(".xtask"));
    Ok(bench)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgresql_is_started_for_what_needs_it() {
        for words in [&[][..], &["postgres"], &["stream", "postgres"], &["--rounds", "7"]] {
            assert!(wants_postgres(words), "{words:?}");
        }
        for words in [
            &["stream", "--rounds", "7"][..],
            &["postgres", "--postgres-url", "postgres://x"],
            &["fill", "--", "postgres"],
        ] {
            assert!(!wants_postgres(words), "{words:?}");
        }
    }
}
