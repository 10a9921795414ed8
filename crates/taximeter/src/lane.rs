//! Connections begin in the lane for events, and come from there to the general server.

use std::io;
use std::pin::Pin;

use axum_server::accept::Accept;
use taximeter_web::{Lane, Rewound};
use tokio::io::{AsyncRead, AsyncWrite};

/// Takes a connection as `inner` does, and then through the lane.
#[derive(Debug, Clone)]
pub(crate) struct LaneAcceptor<A> {
    pub(crate) inner: A,
    pub(crate) lane: Lane,
}

impl<A, I, S> Accept<I, S> for LaneAcceptor<A>
where
    A: Accept<I, S>,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A::Service: Send + 'static,
    A::Future: Send + 'static,
{
    type Stream = Rewound<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let (accepted, lane) = (self.inner.accept(stream, service), self.lane.clone());
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            // A connection that ended in the lane is no error, but there is nothing left to serve.
            let stream = lane.drive(stream).await.ok_or(io::ErrorKind::ConnectionAborted)?;
            Ok((stream, service))
        })
    }
}
