//! The commands beside `serve`: each does one thing and ends.

mod accounts;
mod doctor;
mod keys;
mod migrate;
mod usage;
mod verify_invoice;
pub(crate) mod version;

use std::process::ExitCode;

use taximeter_kernel::time::Timestamp;

use crate::cli::{AccountsCommand, Command, KeysCommand};
use crate::config::{Environment, Store};
use crate::failure::Failure;
use crate::tls;

/// Runs a command.
///
/// # Errors
/// A failure that names what it could not do.
pub(crate) async fn run(
    command: Command,
    store: &Store,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    // A database may be behind TLS.
    tls::install_provider();
    match command {
        Command::Keys(KeysCommand::Create(flags)) => keys::create(store, flags).await,
        Command::Keys(KeysCommand::List(flags)) => keys::list(store, &flags).await,
        Command::Keys(KeysCommand::Roll(flags)) => keys::roll(store, &flags).await,
        Command::Keys(KeysCommand::Revoke(flags)) => keys::revoke(store, &flags).await,
        Command::Accounts(AccountsCommand::Create { name }) => accounts::create(store, &name).await,
        Command::Accounts(AccountsCommand::List) => accounts::list(store).await,
        Command::Migrate(flags) => migrate::run(store, &flags).await,
        Command::Usage(command) => usage::run(command, store, environment).await,
        Command::VerifyInvoice(flags) => verify_invoice::run(store, &flags).await,
        Command::Doctor(flags) => doctor::run(store, &flags, environment).await,
        Command::Version | Command::Serve(_) => Ok(version::run()),
    }
}

/// An instant as lists show it: `2026-10-28 14:03:00 UTC`.
fn shown(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(at.0);
    at.map_or_else(|_| "-".to_owned(), |at| at.strftime("%F %T UTC").to_string())
}
