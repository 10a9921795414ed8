//! Sending webhooks over HTTP.
//!
//! A call is a connection of its own: the name is resolved once, its addresses are judged, and what
//! is connected to is one of them and nothing else. There is no proxy, no redirect is followed, and
//! of an answer no more is read than is kept.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use taximeter_kernel::id::Mode;
use taximeter_service::ctx::Services;
use taximeter_service::webhooks::{self, Answer, Courier, Post, Reach, Report, Unsent, to_call};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::{process, store};

/// How long it may take to be connected, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many of a name's addresses are tried.
const ADDRESSES_MAX: usize = 4;
/// The largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16_384;
/// How much of an answer is read, in bytes; that much of it is kept.
const ANSWER_BYTES_MAX: usize = 1_024;
/// What callers are told apart by: some receivers ask for it.
const AGENT: &str = "Stripe/1.0 (+https://stripe.com/docs/webhooks)";

/// What sends webhooks, until it is stopped.
#[derive(Debug)]
pub(crate) struct Webhooks {
    running: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Webhooks {
    /// Sends what is due, for as long as the server runs.
    pub(crate) fn start(services: Services) -> Self {
        let (stop, stopped) = oneshot::channel();
        let settings = services.webhooks.settings;
        let timeout_s = u64::try_from(settings.timeout_s).unwrap_or(0);
        let courier = Caller::new(settings.reach, Duration::from_secs(timeout_s));
        let running = tokio::spawn(async move {
            // What the process before this one had begun.
            if let Err(error) = webhooks::release(&services, process::now()).await {
                tracing::warn!(%error, "webhooks that were cut short are late");
            }
            let clock = Arc::new(process::now);
            webhooks::dispatch(services, Arc::new(courier), clock, stopped).await;
        });
        Self { running, stop }
    }

    /// Returns when what came of all calls is written down.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.running.await {
            tracing::error!(%error, "sending webhooks ended by itself");
        }
    }
}

/// What makes calls.
struct Caller {
    reach: Reach,
    timeout: Duration,
    tls: TlsConnector,
}

/// A call to make.
#[derive(Clone, Copy)]
struct Call<'a> {
    url: &'a str,
    mode: Mode,
    content: &'a str,
    signature: &'a str,
}

impl Caller {
    fn new(reach: Reach, timeout: Duration) -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Self::trusting(roots, reach, timeout)
    }

    fn trusting(roots: RootCertStore, reach: Reach, timeout: Duration) -> Self {
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { reach, timeout, tls: TlsConnector::from(Arc::new(config)) }
    }

    async fn call(&self, call: Call<'_>) -> Result<(Response<Incoming>, Line), Unsent> {
        let url = to_call(call.url, call.mode, self.reach).ok_or(Unsent::Forbidden)?;
        let request = request(&url, call)?;
        let connecting = self.connect(&url, call.mode);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        let stream = connected.map_err(|_| Unsent::TimedOut)??;
        if url.scheme() == "https" {
            let host = url.host_str().unwrap_or_default();
            let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
            let name = name.map_err(|_| Unsent::Insecure)?;
            let handshake = tokio::time::timeout(CONNECT_TIMEOUT, self.tls.connect(name, stream));
            let stream = handshake.await.map_err(|_| Unsent::TimedOut)?;
            ask(stream.map_err(|_| Unsent::Insecure)?, request).await
        } else {
            ask(stream, request).await
        }
    }

    /// Connects to an address of the URL's that may be called.
    async fn connect(&self, url: &Url, mode: Mode) -> Result<TcpStream, Unsent> {
        let port = url.port_or_known_default().ok_or(Unsent::Forbidden)?;
        let addresses: Vec<IpAddr> = match url.host() {
            None => return Err(Unsent::Forbidden),
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(name)) => {
                let found = tokio::net::lookup_host((name, port)).await;
                found.map_err(|_| Unsent::Unresolved)?.map(|address| address.ip()).collect()
            }
        };
        if addresses.is_empty() {
            return Err(Unsent::Unresolved);
        }
        let mut allowed = addresses;
        allowed.retain(|address| self.reach.allows(mode, *address));
        if allowed.is_empty() {
            return Err(Unsent::Forbidden);
        }
        // Most machines that call have version 4; not all have version 6.
        allowed.sort_by_key(IpAddr::is_ipv6);
        allowed.truncate(ADDRESSES_MAX);
        let share = CONNECT_TIMEOUT / u32::try_from(allowed.len()).unwrap_or(1);
        let mut why = Unsent::Unconnected;
        for address in allowed {
            let connecting = TcpStream::connect(SocketAddr::new(address, port));
            match tokio::time::timeout(share, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(_)) => why = Unsent::Unconnected,
                Err(_) => why = Unsent::TimedOut,
            }
        }
        Err(why)
    }
}

impl Courier for Caller {
    async fn carry(&self, post: Post) -> Report {
        let started = Instant::now();
        let mut status = None;
        let mut body = Vec::new();
        let calling = async {
            let Post { url, mode, body: content, signature, .. } = &post;
            let call = Call { url, mode: *mode, content, signature };
            let (response, _line) = self.call(call).await?;
            status = Some(response.status().as_u16());
            read(response.into_body(), &mut body).await;
            Ok(())
        };
        let called = tokio::time::timeout(self.timeout, calling).await;
        let answer = match (status, called) {
            // Whoever has answered has answered, however the rest of it came.
            (Some(status), _) => Answer::Status { status, body },
            (None, Ok(Err(why))) => Answer::Unsent(why),
            (None, Err(_) | Ok(Ok(()))) => Answer::Unsent(Unsent::TimedOut),
        };
        let duration_ms = i64::try_from(store::duration_ms(started)).unwrap_or(i64::MAX);
        post.report(&answer, duration_ms)
    }
}

/// The request, as Stripe makes it.
fn request(url: &Url, call: Call<'_>) -> Result<Request<Full<Bytes>>, Unsent> {
    let host = url.host_str().ok_or(Unsent::Forbidden)?;
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let text = |text: &str| HeaderValue::from_str(text).map_err(|_| Unsent::Forbidden);
    let mut request = Request::new(Full::new(Bytes::from(call.content.to_owned())));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = target.parse().map_err(|_| Unsent::Forbidden)?;
    let headers = request.headers_mut();
    headers.insert(HOST, text(&host)?);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert("stripe-signature", text(call.signature)?);
    headers.insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

/// Sends a request over a connection that is for it alone, and waits for the head of the answer.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, Line), Unsent> {
    let handshake = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = handshake.map_err(|_| Unsent::Broken)?;
    let line = Line(tokio::spawn(connection).abort_handle());
    let response = sender.send_request(request).await.map_err(|_| Unsent::Broken)?;
    Ok((response, line))
}

/// What drives a connection; it is closed when this is dropped, whatever the other end does.
struct Line(AbortHandle);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reads the beginning of an answer.
async fn read(mut body: Incoming, into: &mut Vec<u8>) {
    while into.len() < ANSWER_BYTES_MAX {
        let Some(Ok(frame)) = body.frame().await else { return };
        let Some(part) = frame.data_ref() else { continue };
        let room = ANSWER_BYTES_MAX.saturating_sub(into.len());
        into.extend_from_slice(part.get(..room).unwrap_or(part));
    }
}

#[cfg(test)]
mod tests;
