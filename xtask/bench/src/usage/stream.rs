//! The load on the stream: connections in one thread, each of which sends 100 events at a time.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::cast::{Cast, Days};
use super::stage::token;
use super::totals::Totals;
use super::workload::Workload;
use crate::client::Client;
use crate::figures::{Figures, micros};
use crate::load::{find, whole};
use crate::machine;
use crate::server::Server;
use crate::words::per_second;

/// Stripe's bound on the events of a request.
pub(crate) const EVENTS_PER_REQUEST: u64 = 100;
const PATH: &str = "/v2/billing/meter_event_stream";
/// A token opens the stream for 15 minutes.
const TOKEN_RENEWED: Duration = Duration::from_secs(10 * 60);
/// About how long a request is.
const REQUEST_BYTES: usize = 32 * 1_024;

/// Makes requests, one after another, and knows what they add up to.
#[derive(Debug)]
pub(crate) struct Maker {
    workload: Workload,
    cast: Rc<Cast>,
    days: Days,
    next: u64,
    end: u64,
    address: SocketAddr,
    head: String,
    since: Instant,
    /// Of all requests made.
    pub(crate) totals: Totals,
    /// How many events in them are no copies.
    pub(crate) new: u64,
}

/// The numbers of a request's events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    first: u64,
    end: u64,
}

impl Maker {
    pub(crate) fn new(
        workload: Workload,
        cast: &Rc<Cast>,
        address: SocketAddr,
    ) -> Result<Self, String> {
        Ok(Self {
            workload,
            cast: Rc::clone(cast),
            days: Days::around(workload.now_s),
            next: 0,
            end: workload.events,
            address,
            head: head(address)?,
            since: Instant::now(),
            totals: Totals::of_none(workload.customers),
            new: 0,
        })
    }

    /// All requests, to be sent later.
    pub(crate) fn all(&mut self) -> Result<Vec<(Vec<u8>, Sent)>, String> {
        let mut requests = Vec::new();
        let mut request = Vec::with_capacity(REQUEST_BYTES);
        while let Some(sent) = self.make(&mut request)? {
            requests.push((request.clone(), sent));
        }
        requests.reverse();
        Ok(requests)
    }

    /// Writes the next request; nothing at the end.
    fn make(&mut self, out: &mut Vec<u8>) -> Result<Option<Sent>, String> {
        if self.next == self.end {
            return Ok(None);
        }
        if self.since.elapsed() > TOKEN_RENEWED {
            (self.head, self.since) = (head(self.address)?, Instant::now());
        }
        let end = (self.next + EVENTS_PER_REQUEST).min(self.end);
        let sent = Sent { first: self.next, end };
        out.clear();
        out.extend_from_slice(self.head.as_bytes());
        // Its length is not known yet; blanks before a value mean nothing.
        let length_at = out.len();
        out.extend_from_slice(b"          \r\n\r\n");
        let body_at = out.len();
        out.extend_from_slice(br#"{"events":["#);
        for number in sent.first..sent.end {
            if number > sent.first {
                out.push(b',');
            }
            let ready = self.workload.ready(number);
            self.cast.write(out, &ready, &self.days);
            if ready.draw.number == number {
                self.totals.add(&ready.draw);
                self.new += 1;
            }
        }
        out.extend_from_slice(b"]}");
        let length = out.len() - body_at;
        write!(&mut out[length_at..length_at + 10], "{length:10}").map_err(|it| it.to_string())?;
        self.next = end;
        Ok(Some(sent))
    }
}

fn head(address: SocketAddr) -> Result<String, String> {
    let token = token(&mut Client::connect(address)?)?;
    Ok(format!(
        "POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length:"
    ))
}

/// Where requests come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Made beforehand; the last is sent first.
    Prepared(Vec<(Vec<u8>, Sent)>),
    /// Made in the thread of the load.
    Made(Box<Maker>),
}

/// Which load.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) server: Server,
    pub(crate) connections: usize,
    pub(crate) source: Source,
    /// After so many events each time, how fast it went is noted.
    pub(crate) step: u64,
    /// After so many events the server is killed.
    pub(crate) kill_at: Option<u64>,
}

/// How it went for so many events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) per_second: u64,
    pub(crate) rss_kib: u64,
}

/// What a load came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) server: Server,
    pub(crate) source: Source,
    pub(crate) took: Duration,
    /// The requests, not the events.
    pub(crate) requests: Figures,
    pub(crate) steps: Vec<Step>,
    pub(crate) recorded: u64,
    pub(crate) duplicates: u64,
    /// The requests that were answered, if the server was killed.
    answered: Vec<Sent>,
}

impl Outcome {
    /// The totals of the requests that were answered before the server was killed.
    pub(crate) fn answered_totals(&self, workload: &Workload) -> Totals {
        let mut totals = Totals::of_none(workload.customers);
        for number in self.answered.iter().flat_map(|sent| sent.first..sent.end) {
            let draw = workload.draw(number);
            if draw.number == number {
                totals.add(&draw);
            }
        }
        totals
    }
}

/// What all connections share: they are in one thread.
#[derive(Debug)]
struct Shared {
    load: Load,
    started: Instant,
    step_started: Instant,
    events: u64,
    latencies_us: Vec<u64>,
    steps: Vec<Step>,
    recorded: u64,
    duplicates: u64,
    killed: bool,
    answered: Vec<Sent>,
}

/// Sends everything, and checks that each request is answered with 200 and no event refused.
pub(crate) fn run(load: Load) -> Result<Outcome, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let (address, connections) = (load.server.address, load.connections);
    let shared = Rc::new(RefCell::new(Shared {
        load,
        started: Instant::now(),
        step_started: Instant::now(),
        events: 0,
        latencies_us: Vec::new(),
        steps: Vec::new(),
        recorded: 0,
        duplicates: 0,
        killed: false,
        answered: Vec::new(),
    }));
    LocalSet::new().block_on(&runtime, send_all(&shared, address, connections))?;
    let took = shared.borrow().started.elapsed();
    let shared = Rc::into_inner(shared).ok_or("a connection is still open")?.into_inner();
    Ok(Outcome {
        server: shared.load.server,
        source: shared.load.source,
        took,
        requests: Figures::of(shared.latencies_us, took),
        steps: shared.steps,
        recorded: shared.recorded,
        duplicates: shared.duplicates,
        answered: shared.answered,
    })
}

async fn send_all(
    shared: &Rc<RefCell<Shared>>,
    address: SocketAddr,
    connections: usize,
) -> Result<(), String> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        streams.push(stream);
    }
    {
        let mut shared = shared.borrow_mut();
        shared.started = Instant::now();
        shared.step_started = shared.started;
    }
    let send = |stream| tokio::task::spawn_local(send(stream, Rc::clone(shared)));
    let tasks: Vec<_> = streams.into_iter().map(send).collect();
    for task in tasks {
        task.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// One connection, until there is nothing more to send.
async fn send(mut stream: TcpStream, shared: Rc<RefCell<Shared>>) -> Result<(), String> {
    let (mut request, mut answer) = (Vec::with_capacity(REQUEST_BYTES), Vec::new());
    loop {
        let taken = shared.borrow_mut().take(&mut request)?;
        let Some(sent) = taken else { return Ok(()) };
        let before = Instant::now();
        match ask(&mut stream, &request, &mut answer).await {
            Ok(()) => shared.borrow_mut().answered(sent, before, &answer)?,
            Err(_) if shared.borrow().killed => return Ok(()),
            Err(problem) => return Err(problem),
        }
    }
}

async fn ask(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> Result<(), String> {
    stream.write_all(request).await.map_err(|error| error.to_string())?;
    answer.clear();
    loop {
        let read = stream.read_buf(answer).await.map_err(|error| error.to_string())?;
        match whole(answer) {
            Some(true) => return Ok(()),
            None if read > 0 => {}
            _ => return Err(format!("answer: {}", String::from_utf8_lossy(answer))),
        }
    }
}

impl Shared {
    fn take(&mut self, request: &mut Vec<u8>) -> Result<Option<Sent>, String> {
        if self.killed {
            return Ok(None);
        }
        match &mut self.load.source {
            Source::Made(maker) => maker.make(request),
            Source::Prepared(requests) => Ok(requests.pop().map(|(bytes, sent)| {
                *request = bytes;
                sent
            })),
        }
    }

    fn answered(&mut self, sent: Sent, before: Instant, answer: &[u8]) -> Result<(), String> {
        self.latencies_us.push(micros(before.elapsed()));
        let count = |name: &[u8]| {
            number_after(answer, name)
                .ok_or_else(|| format!("no counts: {}", String::from_utf8_lossy(answer)))
        };
        self.recorded += count(b"\r\ntaximeter-recorded: ")?;
        self.duplicates += count(b"\r\ntaximeter-duplicates: ")?;
        if count(b"\r\ntaximeter-rejected: ")? > 0 {
            return Err(format!("events were refused: {}", String::from_utf8_lossy(answer)));
        }
        let before = self.events;
        self.events += sent.end - sent.first;
        if before / self.load.step < self.events / self.load.step {
            self.step()?;
        }
        if let Some(at) = self.load.kill_at {
            self.answered.push(sent);
            if self.events >= at && !self.killed {
                self.killed = true;
                self.load.server.kill()?;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        let per_second = per_second(self.load.step, self.step_started.elapsed());
        self.step_started = Instant::now();
        let rss_kib = machine::memory(&self.load.server.pid())?.rss_kib;
        self.steps.push(Step { per_second, rss_kib });
        Ok(())
    }
}

fn number_after(answer: &[u8], name: &[u8]) -> Option<u64> {
    let at = find(answer, name)? + name.len();
    let digits = answer[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let digits: Vec<u8> = digits.copied().collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_head_of_an_answer() {
        let answer =
            b"HTTP/1.1 200 OK\r\ntaximeter-recorded: 99\r\ntaximeter-duplicates: 1\r\n\r\n{}";
        assert_eq!(number_after(answer, b"\r\ntaximeter-recorded: "), Some(99));
        assert_eq!(number_after(answer, b"\r\ntaximeter-duplicates: "), Some(1));
        assert_eq!(number_after(answer, b"\r\ntaximeter-rejected: "), None);
    }
}
