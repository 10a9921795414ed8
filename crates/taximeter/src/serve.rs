//! The life of a server: open, be ready, serve, drain, close.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use taximeter_db::Db;
use taximeter_service::api_keys::Authenticator;
use taximeter_service::ctx::{Entropy, Services};
use taximeter_service::events;
use taximeter_service::meter_errors::reports::report_due;
use taximeter_service::meter_event_backfills::finish_begun;
use taximeter_service::meter_events::Intake;
use taximeter_service::webhooks::{self, Shared};
use taximeter_usage::Engine;
use taximeter_web::{App, Lane, WAIT_MAX};
use tokio::task::{JoinError, JoinSet};

use crate::banner::Banner;
use crate::config::{Serve, Store};
use crate::failure::Failure;
use crate::first_start::{self, Keys};
use crate::lane::LaneAcceptor;
use crate::process::{self, Signals};
use crate::retention::Retention;
use crate::webhooks::Webhooks;
use crate::work::Workers;
use crate::{data_dir, store, terminal, tls};

/// How long requests that are being answered have when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the database has to close. All that was committed is durable without it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is looked for events that could not be counted, to report them.
const REPORT_EVERY: Duration = Duration::from_secs(2);
/// How many transactions delete what is past its time before others have their turn again.
const SWEEPS_MAX: usize = 20;

/// Serves until a signal asks it to stop.
///
/// # Errors
/// A failure that names what keeps it from starting.
pub(crate) async fn run(at: &Store, settings: Serve) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    tls::install_provider();
    let tls = settings.tls.as_ref().map(tls::load).transpose()?;
    let entropy = process::entropy()?;
    data_dir::create(&at.data_dir)?;
    let mut held = data_dir::hold(&at.data_dir)?;
    let listener = listen(&settings.listen, LISTEN)?;
    let of_stream = settings.meter_events_listen.as_deref();
    let of_stream = of_stream.map(|address| listen(address, METER_EVENTS_LISTEN)).transpose()?;
    let address = Address::of(&listener, tls.is_some())?;
    held.announce(&address.url)
        .map_err(|error| Failure::new("cannot write the lock file").because(&error))?;

    let db = store::open(at).await?;
    store::migrate(&db, at).await?;
    let given = settings.secret_key.as_ref();
    let keys = first_start::prepare(&db, &entropy, process::now(), given).await?;
    let usage = store::open_usage(&at.data_dir, settings.usage.options).await?;

    let caught = Signals::catch();
    let signals =
        caught.map_err(|error| Failure::new("signals cannot be caught").because(&error))?;
    let services = services(&db, &usage, entropy, &settings);
    let reporting = tokio::spawn(report(services.clone()));
    let webhooks = Webhooks::start(services.clone());
    let workers = Workers::start(&services);
    let retention = settings.usage.retention_s;
    let retention = retention.map(|s| Retention::start(usage.clone(), s, process::now));
    let app = App::new(services, Authenticator::new(db.clone()), Arc::new(process::now));
    let app = if tls.is_some() { app.over_tls() } else { app };
    let server = Server::start(listener, of_stream, tls, app)?;
    greet(at, &address, &keys, started);
    let served = server.until_stopped(signals).await;
    reporting.abort();
    workers.stop().await;
    webhooks.stop().await;
    if let Some(retention) = retention {
        retention.stop().await;
    }
    store::close_usage(usage).await;
    if tokio::time::timeout(CLOSE_TIMEOUT, db.close()).await.is_err() {
        tracing::warn!("the database did not close in time");
    }
    tracing::info!("stopped");
    // Not before all is closed: the next server may start at once.
    drop(held);
    served.map(|()| ExitCode::SUCCESS)
}

fn services(db: &Db, usage: &Engine, entropy: Entropy, settings: &Serve) -> Services {
    let limits = settings.limits;
    Services {
        db: db.clone(),
        usage: usage.clone(),
        catalog: Arc::default(),
        intake: Arc::new(Intake { limits, ..Intake::default() }),
        in_flight: Arc::default(),
        webhooks: Arc::new(Shared::new(settings.webhooks)),
        entropy,
        work: Arc::default(),
    }
}

/// Tells of events that could not be counted and ends corrections that were cut short, for as long
/// as the server runs.
async fn report(services: Services) {
    loop {
        tokio::time::sleep(REPORT_EVERY).await;
        if let Err(error) = report_due(&services, process::now()).await {
            tracing::warn!(%error, "reports of meter errors are late");
        }
        if let Err(error) = finish_begun(&services, process::now()).await {
            tracing::warn!(%error, "corrections that were cut short are late");
        }
        if let Err(error) = sweep(&services).await {
            tracing::warn!(%error, "events past their time are still kept");
        }
    }
}

/// Deletes some of what is past its time, so that nothing else waits long for the database.
async fn sweep(services: &Services) -> taximeter_service::error::Result<()> {
    for _ in 0..SWEEPS_MAX {
        let left = webhooks::sweep(services).await?;
        if left + events::sweep(services, process::now()).await? == 0 {
            break;
        }
    }
    Ok(())
}

fn greet(at: &Store, address: &Address, keys: &Keys, started: Instant) {
    let ready_ms = store::duration_ms(started);
    let banner = Banner {
        url: &address.url,
        all_interfaces: address.all_interfaces,
        database: &at.shown(),
        usage: &data_dir::usage(&at.data_dir).display().to_string(),
        keys,
        ready_ms,
    };
    terminal::print(&banner.render(terminal::stdout_has_colour()));
    tracing::info!(api.url = address.url, start.duration_ms = ready_ms, "ready");
}

/// The option that names the main address.
pub(crate) const LISTEN: &str = "--listen";
/// The option that names the address of the stream alone.
const METER_EVENTS_LISTEN: &str = "--meter-events-listen";

/// Takes the address that `option` names, so that a start which cannot have it changes nothing.
///
/// # Errors
/// A failure that names the address and what is wrong with it.
pub(crate) fn listen(address: &str, option: &str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| {
        let failure = Failure::new(format!("cannot listen on {address}"));
        match error.kind() {
            io::ErrorKind::AddrInUse => failure.because(&error).hint(format!(
                "another program has that address; take another with {option}, or port 0 for any",
            )),
            io::ErrorKind::PermissionDenied => failure.because(&error).hint(format!(
                "ports below 1024 are for privileged users; take another with {option}"
            )),
            io::ErrorKind::AddrNotAvailable => failure
                .because(&error)
                .hint("this machine has no such address; 0.0.0.0 stands for all that it has"),
            _ => failure
                .because(&error)
                .hint(format!("{option} takes host:port, such as 127.0.0.1:4242")),
        }
    })
}

/// Where a server answers.
struct Address {
    url: String,
    all_interfaces: bool,
}

impl Address {
    fn of(listener: &TcpListener, secure: bool) -> Result<Self, Failure> {
        let address = listener
            .local_addr()
            .map_err(|error| Failure::new("the listener has no address").because(&error))?;
        Ok(Self::shown(address, secure))
    }

    fn shown(mut address: SocketAddr, secure: bool) -> Self {
        let all_interfaces = address.ip().is_unspecified();
        if all_interfaces {
            // Nobody can connect to 0.0.0.0; who reads the banner is most likely on this machine.
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let scheme = if secure { "https" } else { "http" };
        Self { url: format!("{scheme}://{address}"), all_interfaces }
    }
}

/// A server that accepts connections.
struct Server {
    /// One for each address.
    handles: Vec<Handle<SocketAddr>>,
    lane: Lane,
    serving: JoinSet<io::Result<()>>,
}

impl Server {
    /// Serves on `listener`, and the stream of meter events on `of_stream` as well.
    fn start(
        listener: TcpListener,
        of_stream: Option<TcpListener>,
        tls: Option<Arc<ServerConfig>>,
        app: App,
    ) -> Result<Self, Failure> {
        let tls = tls.map(RustlsConfig::from_config);
        let (handle, lane) = (Handle::new(), Lane::new(app.clone()));
        let mut serving = JoinSet::new();
        let service = taximeter_web::router(app.clone()).into_make_service();
        let server = bound(listener, &handle)?;
        let plain = NoDelayAcceptor::new();
        match tls.clone() {
            None => {
                let acceptor = LaneAcceptor { inner: plain, lane: lane.clone() };
                serving.spawn(server.acceptor(acceptor).serve(service))
            }
            Some(config) => {
                let inner = RustlsAcceptor::new(config).acceptor(plain);
                let acceptor = LaneAcceptor { inner, lane: lane.clone() };
                serving.spawn(server.acceptor(acceptor).serve(service))
            }
        };
        let mut handles = vec![handle];
        if let Some(listener) = of_stream {
            let url = Address::of(&listener, tls.is_some())?.url;
            tracing::info!(stream.url = url, "taking meter events");
            let handle = Handle::new();
            let server = bound(listener, &handle)?;
            let service = taximeter_web::stream_router(app).into_make_service();
            match tls {
                None => serving.spawn(server.acceptor(plain).serve(service)),
                Some(config) => {
                    let acceptor = RustlsAcceptor::new(config).acceptor(plain);
                    serving.spawn(server.acceptor(acceptor).serve(service))
                }
            };
            handles.push(handle);
        }
        Ok(Self { handles, lane, serving })
    }

    /// Serves until the first signal, then drains; a second signal ends the process.
    async fn until_stopped(mut self, mut signals: Signals) -> Result<(), Failure> {
        let signal = tokio::select! {
            Some(ended) = self.serving.join_next() => return outcome(ended),
            signal = signals.next() => signal,
        };
        tracing::info!(
            signal.name = signal.name,
            connections = self.handles.iter().map(Handle::connection_count).sum::<usize>(),
            "stopping"
        );
        self.lane.stop();
        for handle in &self.handles {
            handle.graceful_shutdown(Some(DRAIN_TIMEOUT));
        }
        // Watches to the very end: closing the data may take its time too.
        tokio::spawn(async move {
            let again = signals.next().await;
            tracing::warn!(signal.name = again.name, "ending at once");
            process::exit_at_once(again);
        });
        while let Some(ended) = self.serving.join_next().await {
            outcome(ended)?;
        }
        Ok(())
    }
}

/// A server of HTTP/1 on an address that waits no longer for a request than the lane does.
fn bound(
    listener: TcpListener,
    handle: &Handle<SocketAddr>,
) -> Result<axum_server::Server<SocketAddr>, Failure> {
    let server = axum_server::from_tcp(listener)
        .map_err(|error| Failure::new("cannot serve").because(&error))?;
    let mut server = server.http1_only().handle(handle.clone());
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(WAIT_MAX);
    Ok(server)
}

fn outcome(ended: Result<io::Result<()>, JoinError>) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Err(Failure::new("the server ended by itself").because(error))
    };
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_one_that_can_be_opened() {
        for (address, secure, url, all) in [
            ("127.0.0.1:7", false, "http://127.0.0.1:7", false),
            ("127.0.0.1:7", true, "https://127.0.0.1:7", false),
            ("0.0.0.0:80", false, "http://127.0.0.1:80", true),
            ("[::]:80", false, "http://[::1]:80", true),
            ("[::1]:80", false, "http://[::1]:80", false),
        ] {
            let shown = Address::shown(address.parse().unwrap(), secure);
            assert_eq!((shown.url.as_str(), shown.all_interfaces), (url, all), "{address}");
        }
    }

    #[test]
    fn an_address_in_use_is_named_with_the_way_out() {
        let taken = listen("127.0.0.1:0", LISTEN).unwrap();
        let address = taken.local_addr().unwrap().to_string();
        for option in [LISTEN, METER_EVENTS_LISTEN] {
            let failure = listen(&address, option).unwrap_err();
            assert!(failure.line().starts_with(&format!("cannot listen on {address}: ")));
            assert!(failure.way_out().unwrap().contains(&format!("take another with {option},")));
        }
    }
}
