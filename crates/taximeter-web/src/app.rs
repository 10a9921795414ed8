//! What every handler has at hand.

use std::fmt;
use std::sync::Arc;

use taximeter_kernel::time::Timestamp;
use taximeter_service::api_keys::Authenticator;
use taximeter_service::ctx::Services;

/// Where the time comes from: the system in the binary, a hand in tests.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The application behind the router. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) services: Services,
    pub(crate) authenticator: Authenticator,
    pub(crate) clock: Clock,
    pub(crate) over_tls: bool,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(services: Services, authenticator: Authenticator, clock: Clock) -> Self {
        Self { services, authenticator, clock, over_tls: false }
    }

    /// The same, behind TLS: addresses of it that are told begin with `wss`.
    #[must_use]
    pub fn over_tls(self) -> Self {
        Self { over_tls: true, ..self }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("services", &self.services).finish_non_exhaustive()
    }
}
