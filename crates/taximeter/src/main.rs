//! Taximeter, the binary: what it is told, what it is wired from, and how it lives and ends.

mod banner;
mod cli;
mod commands;
mod config;
mod data_dir;
mod failure;
mod first_start;
mod lane;
mod logging;
mod process;
mod retention;
mod serve;
mod store;
mod terminal;
mod tls;
mod webhooks;
mod work;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use config::Environment;
use failure::Failure;

/// Batches are made on one thread and freed on another, and there are many.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(misuse) = cli.check() {
        misuse.exit();
    }
    run(cli).unwrap_or_else(|failure| {
        failure.print();
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let environment = Environment::of_process();
    let store = config::store(&cli.store, &environment)?;
    let serve = match cli.command {
        None => cli.serve,
        Some(Command::Serve(flags)) => flags.or(cli.serve),
        Some(Command::Version) => return Ok(commands::version::run()),
        Some(other) => {
            logging::start(&config::command_log(&other, &environment)?)?;
            return block_on(commands::run(other, &store, &environment));
        }
    };
    let settings = config::serve(&serve, &environment)?;
    logging::start(&settings.log)?;
    block_on(serve::run(&store, settings))
}

fn block_on(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("no threads can be started").because(&error))?;
    runtime.block_on(work)
}
