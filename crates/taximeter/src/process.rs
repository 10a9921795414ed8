//! What the process takes from the operating system: time, randomness, and the wish to stop.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use taximeter_kernel::time::Timestamp;
use taximeter_service::ctx::Entropy;

use crate::failure::Failure;

/// The time, in whole seconds. The only place in the product that asks for it.
#[expect(clippy::disallowed_methods, reason = "the one place where time comes in")]
pub(crate) fn now() -> Timestamp {
    // A clock before 1970 or beyond the range of 64 bits reads as the nearest instant there is.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The operating system's randomness.
///
/// # Errors
/// A failure when it has none to give.
pub(crate) fn entropy() -> Result<Entropy, Failure> {
    let mut probe = [0; 32];
    getrandom::fill(&mut probe).map_err(|error| {
        Failure::new("the operating system gives no randomness").because(&error)
    })?;
    Ok(Arc::new(random_bytes))
}

/// How much is asked of the operating system at once, in bytes: one call for so many requests.
const POOL_BYTES: usize = 4_096;

thread_local! {
    /// Randomness that this thread has not given out yet: what is left from the place on.
    static POOL: RefCell<([u8; POOL_BYTES], usize)> =
        const { RefCell::new(([0; POOL_BYTES], POOL_BYTES)) };
}

/// Bytes of the operating system's, of which none is given twice: what was given is wiped.
fn random_bytes() -> [u8; 32] {
    POOL.with_borrow_mut(|(pool, at)| {
        if *at == POOL_BYTES {
            fill(pool);
            *at = 0;
        }
        let mut bytes = [0; 32];
        bytes.swap_with_slice(&mut pool[*at..*at + 32]);
        *at += 32;
        bytes
    })
}

#[expect(clippy::expect_used, reason = "it was there at start; a guessable key is worse than none")]
fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives randomness, as it did at start");
}

/// The wishes to stop that reach the process: SIGINT and SIGTERM.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

/// A wish to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The exit code of a process that it ends: 128 and its number.
    pub(crate) code: i32,
}

const INTERRUPT: Signal = Signal { name: "SIGINT", code: 130 };

#[cfg(unix)]
impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn catch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPT,
            _ = self.terminate.recv() => Signal { name: "SIGTERM", code: 143 },
        }
    }
}

/// The wishes to stop that reach the process: Ctrl-C.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Ctrl-C is caught while someone waits for it.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        INTERRUPT
    }
}

/// Ends the process where it stands. Everything acknowledged is durable already.
#[expect(clippy::exit, reason = "the user asked twice; waiting is what they do not want")]
pub(crate) fn exit_at_once(signal: Signal) -> ! {
    std::process::exit(signal.code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_bytes_are_given_twice() {
        let given: BTreeSet<[u8; 32]> = (0..1_001).map(|_| random_bytes()).collect();
        assert_eq!(given.len(), 1_001);
        POOL.with_borrow(|(pool, at)| assert!(pool[..*at].iter().all(|byte| *byte == 0)));
    }
}
