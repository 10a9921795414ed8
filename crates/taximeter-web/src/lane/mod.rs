//! The fast lane: connections on which events come in, one after the other.
//!
//! A connection begins here. As long as its requests are plain `POST /v1/billing/meter_events`, they
//! are read where they lie in the buffer and answered without the general HTTP stack and router,
//! which would cost several times what recording the event does. At the first request that is
//! anything else, the connection is handed on, with all that was read and not answered, and stays
//! there. What is answered is the same either way: both ask `ingest`.

mod date;
mod reader;
mod rewound;
#[cfg(test)]
mod tests;
mod writer;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::http::Method;
use taximeter_kernel::id::{Id, Request as RequestKind};
use taximeter_service::error::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

pub use rewound::Rewound;

use crate::app::App;
use crate::endpoint::Flavor;
use crate::head::KeySeen;
use crate::{error, ingest, router};
use date::Date;
use reader::{Begin, begin};

/// How long a client may take to send a request, and may send nothing, before its connection is
/// closed.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// How much is read at once, in bytes. Nearly every request is smaller.
const READ_BYTES: usize = 4 * 1_024;
/// A buffer that has grown beyond this is given back once it is empty.
const BUFFER_BYTES_KEPT: usize = 16 * 1_024;

/// The lane of one application. Clones are handles on the same lane.
#[derive(Debug, Clone)]
pub struct Lane {
    app: App,
    stop: Arc<watch::Sender<bool>>,
}

impl Lane {
    /// A lane into `app`.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self { app, stop: Arc::default() }
    }

    /// Ends connections that wait for a request, and the others after their next answer.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Answers what comes in on `stream` until something else does: then the connection goes on with
    /// what is returned. `None` when it has ended.
    pub async fn drive<S>(&self, stream: S) -> Option<Rewound<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut stop = self.stop.subscribe();
        let stopped = async move {
            // An error says that nobody is left to stop it; then it may as well end.
            stop.wait_for(|stopped| *stopped).await.is_ok()
        };
        let (mut stopped, mut timer) = (pin!(stopped), pin!(sleep(WAIT_MAX)));
        let mut since = Instant::now();
        let mut connection = Connection::new(&self.app, stream);
        loop {
            match connection.step().await {
                Step::HandOn => return Some(connection.into_rewound()),
                Step::Write => {
                    let Connection { stream, sent, .. } = &mut connection;
                    let mut written = pin!(stream.write_all(sent));
                    let written = loop {
                        tokio::select! {
                            biased;
                            written = &mut written => break written,
                            () = &mut timer => if is_up(timer.as_mut(), since) { return None },
                        }
                    };
                    if written.is_err() || *self.stop.borrow() {
                        return None;
                    }
                    connection.sent.clear();
                    since = Instant::now();
                }
                Step::Read => {
                    let Connection { stream, received, .. } = &mut connection;
                    let idle = received.is_empty();
                    received.reserve(READ_BYTES);
                    tokio::select! {
                        biased;
                        read = stream.read_buf(received) => {
                            if !matches!(read, Ok(bytes) if bytes > 0) {
                                return None;
                            }
                            if idle {
                                since = Instant::now();
                            }
                        }
                        _ = &mut stopped, if idle => return None,
                        () = &mut timer => if is_up(timer.as_mut(), since) { return None },
                    }
                }
            }
        }
    }
}

/// Whether a wait that began at `since` has taken too long. It is set again for that wait if not:
/// a timer that goes off now and then costs less than one that is set for every request.
fn is_up(timer: Pin<&mut Sleep>, since: Instant) -> bool {
    let up = since.elapsed() >= WAIT_MAX;
    if !up {
        timer.reset(since + WAIT_MAX);
    }
    up
}

/// What a connection has to do next.
enum Step {
    /// Read more.
    Read,
    /// Write what it has to send.
    Write,
    /// Leave the lane.
    HandOn,
}

struct Connection<'a, S> {
    app: &'a App,
    stream: S,
    /// What was read and not answered.
    received: Vec<u8>,
    /// What was answered and not written.
    sent: Vec<u8>,
    seen: KeySeen,
    date: Date,
}

impl<'a, S> Connection<'a, S> {
    fn new(app: &'a App, stream: S) -> Self {
        let (received, sent) = (Vec::new(), Vec::new());
        Self { app, stream, received, sent, seen: KeySeen::default(), date: Date::default() }
    }

    /// Answers the request that was read, if there is one.
    async fn step(&mut self) -> Step {
        let request = match begin(&self.received) {
            Begin::Whole(request) => request,
            Begin::Part => return Step::Read,
            Begin::Other => return Step::HandOn,
        };
        let started = Instant::now();
        let now = self.app.now();
        let id: Id<RequestKind> = Id::generate((self.app.services.entropy)());
        let event = ingest::event(self.app, &request.head, request.body, &id, &mut self.seen, now);
        let answer = caught(event).await.unwrap_or_else(|| {
            // The panic itself was reported by the hook of the process.
            error::answer(&Error::internal("the handler panicked"), Flavor::V1)
        });
        let date = self.date.text(now);
        writer::write(&mut self.sent, &answer, &request.head, id.as_str(), date);
        router::log(&id, &Method::POST, ingest::PATH_V1, answer.status, started.elapsed());
        let bytes = request.bytes;
        self.received.drain(..bytes);
        if self.received.is_empty() && self.received.capacity() > BUFFER_BYTES_KEPT {
            self.received = Vec::new();
        }
        Step::Write
    }

    fn into_rewound(self) -> Rewound<S> {
        Rewound::new(self.stream, self.received)
    }
}

/// What a future comes to, or nothing if it panics: a bug ends its request, not the connection.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |poll| poll.map(Some))
    })
    .await
}
