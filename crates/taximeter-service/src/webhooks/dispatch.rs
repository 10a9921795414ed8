//! What sends events for as long as the process lives.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use taximeter_kernel::time::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Lanes;
use super::turn::{Post, Report, turn};
use crate::ctx::Services;

/// How often it is looked for what is due when nothing else says so.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long calls that are under way have when the process stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Makes calls.
pub trait Courier: Send + Sync + 'static {
    /// Makes a call, and reports what came of it within the time that a call may take.
    fn carry(&self, post: Post) -> impl Future<Output = Report> + Send;
}

/// Sends what is due until `stop` is dropped; then waits for what is under way, and returns.
pub async fn dispatch<C: Courier>(
    services: Services,
    courier: Arc<C>,
    clock: Clock,
    mut stop: oneshot::Receiver<()>,
) {
    let mut lanes = Lanes::new(services.webhooks.settings.at_once);
    let mut under_way: JoinSet<Report> = JoinSet::new();
    let mut reports = Vec::new();
    loop {
        match turn(&services, clock(), &reports, &mut lanes).await {
            Ok(turn) => {
                reports.clear();
                for post in turn.posts {
                    let courier = Arc::clone(&courier);
                    under_way.spawn(async move { courier.carry(post).await });
                }
                if turn.more && !lanes.is_full(clock()) {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "webhooks are late"),
        }
        tokio::select! {
            () = services.webhooks.written() => {}
            Some(done) = under_way.join_next() => take(done, &mut reports),
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = &mut stop => break,
        }
        while let Some(done) = under_way.try_join_next() {
            take(done, &mut reports);
        }
    }
    let drain = async {
        while let Some(done) = under_way.join_next().await {
            take(done, &mut reports);
        }
    };
    // Who has not answered by then is called again by the next process.
    let _late = tokio::time::timeout(DRAIN_TIMEOUT, drain).await;
    if let Err(error) = turn(&services, clock(), &reports, &mut Lanes::new(0)).await {
        tracing::warn!(%error, "what came of the last webhooks is not written down");
    }
}

fn take(done: Result<Report, tokio::task::JoinError>, reports: &mut Vec<Report>) {
    match done {
        Ok(report) => reports.push(report),
        // Its lease ends by itself.
        Err(error) => tracing::error!(%error, "a webhook's call ended by itself"),
    }
}
