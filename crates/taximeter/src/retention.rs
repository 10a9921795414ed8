//! Deleting events that were kept for as long as the operator wants them kept.

use std::time::Duration;

use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Engine, ReadError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How often it is looked for what to delete. It goes by whole files, which hold more than an hour.
const EVERY: Duration = Duration::from_secs(3_600);

/// What deletes events, until it is stopped.
#[derive(Debug)]
pub(crate) struct Retention {
    running: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Retention {
    /// Deletes what came in longer than `retention_s` before what `now` says, at once and every hour.
    pub(crate) fn start(usage: Engine, retention_s: i64, now: fn() -> Timestamp) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            loop {
                sweep(&usage, retention_s, now()).await;
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    _ = &mut stopped => return,
                }
            }
        });
        Self { running, stop }
    }

    /// Returns when nothing is being deleted any more: the files are another's then.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.running.await {
            tracing::error!(%error, "the retention of usage events ended by itself");
        }
    }
}

/// Deletes what is due and tells the log of it.
async fn sweep(usage: &Engine, retention_s: i64, now: Timestamp) {
    let before = Timestamp(now.0.saturating_sub(retention_s));
    let engine = usage.clone();
    let deleting = tokio::task::spawn_blocking(move || {
        let files = engine.delete_events_received_before(before)?;
        Ok::<_, ReadError>((files, engine.stats()?.first_seq))
    });
    match deleting.await {
        Ok(Ok((0, _))) => {}
        Ok(Ok((files, first_seq))) => tracing::info!(
            usage.files_deleted = files,
            usage.received_before = before.0,
            usage.first_position = first_seq,
            "deleted usage events past their retention; their totals stay"
        ),
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "usage events past their retention are still there");
        }
        Err(error) => tracing::error!(%error, "deleting usage events panicked"),
    }
}
