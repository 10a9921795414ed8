//! Where the log goes, in which form, and how much of it.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::terminal::wants_colour;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text, in colour on a terminal.
    Auto,
    /// Text, never in colour.
    Text,
    /// One JSON object per line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `info`, `debug`, or a filter such as `info,taximeter_usage=debug`.
    pub(crate) filter: String,
    /// The form.
    pub(crate) format: Format,
}

/// Starts the log, on standard error.
///
/// # Errors
/// A failure when the filter cannot be read.
pub(crate) fn start(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::builder().parse(&settings.filter).map_err(|error| {
        Failure::new(format!("the log filter `{}` cannot be read", settings.filter))
            .because(&error)
            .hint("a level (error, warn, info, debug, trace), or info,taximeter_usage=debug")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match settings.format {
        Format::Auto => log.with_ansi(io::stderr().is_terminal() && wants_colour()).try_init(),
        Format::Text => log.with_ansi(false).try_init(),
        Format::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::new("the log cannot be started").because(error.as_ref()))?;
    // A panic is a line of the log like any other, so that what reads JSON can read it.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
    Ok(())
}
