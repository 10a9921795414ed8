//! Doing what time brings, for as long as the server runs.

use std::sync::Arc;
use std::time::Duration;

use taximeter_db::Kind;
use taximeter_service::ctx::Services;
use taximeter_service::jobs;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::process;

/// How often it is looked for work that became due, when nobody rings.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long to wait when the database cannot be used.
const WAIT_AFTER_ERROR: Duration = Duration::from_secs(2);
/// How many work side by side on PostgreSQL. SQLite has one writer, so one works.
const WORKERS: usize = 4;

/// Those who do what is due.
pub(crate) struct Workers {
    stop: Arc<Notify>,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Starts them.
    pub(crate) fn start(services: &Services) -> Self {
        let stop = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let count = match services.db.kind() {
            Kind::Sqlite => 1,
            Kind::Postgres => WORKERS,
        };
        for _ in 0..count {
            tasks.spawn(work(services.clone(), Arc::clone(&stop)));
        }
        Self { stop, tasks }
    }

    /// Lets them finish what they are doing.
    pub(crate) async fn stop(mut self) {
        for _ in 0..self.tasks.len() {
            self.stop.notify_one();
        }
        // One that waits may take the note of another: those that are left are told again.
        while self.tasks.join_next().await.is_some() {
            self.stop.notify_waiters();
        }
    }
}

async fn work(services: Services, stop: Arc<Notify>) {
    let stopped = stop.notified();
    tokio::pin!(stopped);
    loop {
        let wait = match jobs::run_due(&services, process::now()).await {
            Ok(pass) if pass.found_any() => Duration::ZERO,
            Ok(_) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "what is due is late");
                WAIT_AFTER_ERROR
            }
        };
        tokio::select! {
            biased;
            () = &mut stopped => return,
            () = services.work.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}
