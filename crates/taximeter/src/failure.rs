//! What a user is told when something cannot be done: what, why, and the way out.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use taximeter_db::DbError;
use taximeter_service::error::{Error as ServiceError, Kind};

/// The end of a command that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure that says `message`: lower case, no final dot, naming the thing.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hint: None }
    }

    /// The same, with what lies under it.
    #[must_use]
    pub(crate) fn because(mut self, cause: &(dyn Error + 'static)) -> Self {
        self.causes.push(cause.to_string());
        self.beneath(cause)
    }

    /// The same, with what lies under `error`, which the message tells already.
    #[must_use]
    pub(crate) fn beneath(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut cause = error.source();
        while let Some(error) = cause {
            self.causes.push(error.to_string());
            cause = error.source();
        }
        self
    }

    /// The same, with the way out.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writes it to standard error.
    pub(crate) fn print(&self) {
        let stderr = io::stderr();
        let coloured = stderr.is_terminal() && crate::terminal::wants_colour();
        // Nobody is left to tell when standard error is closed.
        let _closed = stderr.lock().write_all(self.render(coloured).as_bytes());
    }

    /// On one line, for a cell of a table.
    pub(crate) fn line(&self) -> String {
        let mut line = self.message.clone();
        for cause in &self.causes {
            line.push_str(": ");
            line.push_str(cause);
        }
        line
    }

    /// The way out, if there is one to name.
    pub(crate) fn way_out(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn render(&self, coloured: bool) -> String {
        let (red, dim, plain) =
            if coloured { ("\u{1b}[1;31m", "\u{1b}[2m", "\u{1b}[0m") } else { ("", "", "") };
        let mut text = format!("{red}error:{plain} {}\n", self.message);
        for cause in &self.causes {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "  {dim}because:{plain} {cause}");
        }
        if let Some(hint) = &self.hint {
            let _infallible = writeln!(text, "  {dim}try:{plain} {hint}");
        }
        text
    }
}

impl From<ServiceError> for Failure {
    /// A verb's message is for whoever asked; under a fault of ours, who runs the installation sees
    /// the cause too.
    fn from(error: ServiceError) -> Self {
        match error.kind {
            Kind::Internal | Kind::Unavailable => {
                Self::new("the database did not do what was asked").beneath(&error)
            }
            Kind::InvalidRequest
            | Kind::Authentication
            | Kind::Card
            | Kind::Permission
            | Kind::NotFound
            | Kind::UnknownRoute
            | Kind::IdempotencyMismatch
            | Kind::IdempotencyInFlight
            | Kind::Conflict
            | Kind::TooLarge
            | Kind::RateLimit
            | Kind::SessionExpired => Self::new(error.message),
        }
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::new("the database did not do what was asked").because(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_what_why_and_the_way_out() {
        let cause = io::Error::other("disk on fire");
        let failure = Failure::new("cannot open `x`").because(&cause).hint("put it out");
        assert_eq!(
            failure.render(false),
            "error: cannot open `x`\n  because: disk on fire\n  try: put it out\n"
        );
        assert_eq!(failure.line(), "cannot open `x`: disk on fire");
    }

    #[test]
    fn the_cause_of_a_fault_of_ours_is_shown_and_its_message_for_clients_is_not() {
        let failure = Failure::from(ServiceError::internal("disk on fire"));
        assert_eq!(failure.line(), "the database did not do what was asked: disk on fire");
        let failure = Failure::from(ServiceError::no_such_path("API key", "key_7"));
        assert_eq!(failure.line(), "No such API key: 'key_7'");
    }
}
