//! `taximeter usage`: what an operator does with the files of the usage engine while no server runs.

mod dump;
mod rebuild;
mod verify;

use std::process::ExitCode;

use crate::cli::UsageCommand;
use crate::config::{Environment, Store};
use crate::data_dir::{self, Taken};
use crate::failure::Failure;

/// Runs a command on the usage engine's files.
///
/// # Errors
/// A failure that names what is not there, who uses it, or what is wrong with it.
pub(crate) async fn run(
    command: UsageCommand,
    at: &Store,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let dir = data_dir::usage(&at.data_dir);
    if !dir.is_dir() {
        return Err(Failure::new(format!("there is no usage log in {}", at.data_dir.display()))
            .hint("name another directory with --data-dir; the first start of a server makes it"));
    }
    let held = match data_dir::try_hold(&at.data_dir)? {
        Taken::Held(held) => held,
        Taken::By(holder) => {
            return Err(Failure::new(format!("{holder} is using {}", at.data_dir.display()))
                .hint("stop it first, or run this on a copy of the directory"));
        }
    };
    let ended = match command {
        UsageCommand::Verify(flags) => verify::run(dir, &flags).await,
        UsageCommand::RebuildIndex(flags) => rebuild::run(dir, &flags, environment).await,
        UsageCommand::Dump(flags) => dump::run(dir, flags).await,
    };
    drop(held);
    ended
}

/// Runs what reads and writes files for long, on a thread for that.
///
/// # Errors
/// What `work` fails with, or a failure that names `what` when it panics.
async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new(format!("cannot {what} the usage log")).because(&error))
}
