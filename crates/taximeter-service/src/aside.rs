//! Reads of the usage engine that may take long.

use taximeter_usage::Engine;

use crate::error::{Error, Result};

/// Reads on a thread for that, since a look through the log keeps a worker from all other requests.
/// The transaction that waits bounds how many do so at once: the database has so many connections.
///
/// # Errors
/// A 500 when `read` panics.
pub(crate) async fn aside<T: Send + 'static>(
    engine: &Engine,
    read: impl FnOnce(&Engine) -> T + Send + 'static,
) -> Result<T> {
    let engine = engine.clone();
    tokio::task::spawn_blocking(move || read(&engine)).await.map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use taximeter_usage::Options;

    use super::*;

    #[tokio::test]
    async fn what_takes_long_keeps_no_worker() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), Options::default()).unwrap();
        let worker = thread::current().id();
        let read = |engine: &Engine| (thread::current().id(), engine.position().unwrap());
        let (reader, position) = aside(&engine, read).await.unwrap();
        assert_eq!(position, 0);
        assert_ne!(reader, worker);
    }
}
