//! What webhooks have for as long as the process lives.

use tokio::sync::Notify;

use super::{Listeners, Reach, TRIES_MAX};

/// How webhooks are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What may be called.
    pub reach: Reach,
    /// How many deliveries are under way at once, leaving out those that wait for an answer.
    pub at_once: usize,
    /// How long a call may take, in seconds.
    pub timeout_s: i64,
    /// How often a delivery is tried in test mode.
    pub test_tries_max: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { reach: Reach::Loopback, at_once: 16, timeout_s: 30, test_tries_max: TRIES_MAX }
    }
}

/// What is shared between those who write deliveries and those who send them.
#[derive(Debug, Default)]
pub struct Shared {
    /// How webhooks are sent.
    pub settings: Settings,
    /// Who listens on a command line.
    pub listeners: Listeners,
    written: Notify,
}

impl Shared {
    /// With settings of the operator's.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Says that deliveries were written and committed.
    pub fn wake(&self) {
        self.written.notify_one();
    }

    /// Waits until deliveries are written, or comes back at once if some were since the last wait.
    pub(super) async fn written(&self) {
        self.written.notified().await;
    }
}
