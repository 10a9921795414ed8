//! The client suites in `xtask/clients/`: Stripe's own clients against the real binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// What the suites are given.
#[derive(Debug)]
pub(crate) struct Clients {
    /// The server's binary.
    pub(crate) server: PathBuf,
    /// A Python with PyPI `stripe`.
    pub(crate) python: PathBuf,
    /// Holds npm `stripe` and `@stripe/cli`.
    pub(crate) node_modules: PathBuf,
    /// Where the suites leave the bodies that they saw.
    pub(crate) bodies: PathBuf,
}

/// Which suites there are; all run on SQLite.
pub(crate) const SUITES: [&str; 5] = ["python", "scenarios", "node", "cli", "curl"];
/// Which of them run on PostgreSQL too.
pub(crate) const ON_POSTGRES: [&str; 2] = ["python", "scenarios"];

impl Clients {
    /// Runs one suite, on PostgreSQL when given the URL of an empty database.
    pub(crate) fn run(
        &self,
        root: &Path,
        suite: &str,
        database_url: Option<&str>,
    ) -> Result<(), String> {
        let mut command = Command::new(root.join("xtask/clients").join(suite).join("run"));
        command
            .current_dir(root)
            .env("TAXIMETER_BIN", &self.server)
            .env("TAXIMETER_SUITE_BODIES", &self.bodies)
            .env("TAXIMETER_SUITE_PYTHON", &self.python)
            .env("TAXIMETER_SUITE_NODE_MODULES", &self.node_modules);
        match database_url {
            Some(url) => command.env("TAXIMETER_SUITE_DATABASE_URL", url),
            None => command.env_remove("TAXIMETER_SUITE_DATABASE_URL"),
        };
        shell::run(&mut command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bodies::tests::Scratch;

    fn clients(scratch: &Scratch) -> Clients {
        let path = |name: &str| scratch.path().join(name);
        Clients {
            server: path("server"),
            python: path("python"),
            node_modules: path("modules"),
            bodies: path("bodies"),
        }
    }

    fn suite(scratch: &Scratch, script: &str) {
        scratch.write("xtask/clients/curl/script", &format!("#!/bin/sh\nset -eu\n{script}\n"));
        // Another process writes what we run: a file that we ourselves had open for writing may
        // still be open in a child of another test, and is then "busy".
        let place = scratch.path().join("xtask/clients/curl");
        let mut install = Command::new("install");
        install.current_dir(place).args(["-m", "755", "script", "run"]);
        shell::run(&mut install).unwrap();
    }

    #[test]
    fn a_suite_is_told_what_it_needs() {
        let scratch = Scratch::new("suite-env");
        suite(
            &scratch,
            r#"test "${TAXIMETER_BIN##*/}" = server
               test "${TAXIMETER_SUITE_BODIES##*/}" = bodies
               test "${TAXIMETER_SUITE_PYTHON##*/}" = python
               test "${TAXIMETER_SUITE_NODE_MODULES##*/}" = modules
               test "${TAXIMETER_SUITE_DATABASE_URL-none}" = none"#,
        );
        assert_eq!(clients(&scratch).run(scratch.path(), "curl", None), Ok(()));
        assert!(clients(&scratch).run(scratch.path(), "curl", Some("postgres://x")).is_err());
    }

    #[test]
    fn a_suite_that_fails_or_is_missing_is_a_failure() {
        let scratch = Scratch::new("suite-fails");
        suite(&scratch, "exit 1");
        assert!(clients(&scratch).run(scratch.path(), "curl", None).is_err());
        assert!(clients(&scratch).run(scratch.path(), "node", None).is_err());
    }
}
