//! The load: connections that each send one event after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::api::{EVENTS, KEY};
use crate::figures::{Figures, micros};

/// How long a server is under load before anything is measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// An answer is no longer than this, or something is wrong.
const ANSWER_BYTES_MAX: usize = 64 * 1_024;
/// The digits of a number that makes an idempotency key.
const NUMBER_DIGITS: usize = 16;

/// Which load.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
    pub(crate) keyed: Keyed,
    /// Who uses something: each event is of the next one.
    pub(crate) customers: Arc<[String]>,
}

/// Whether requests carry an `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyed {
    No,
    Yes,
}

/// What a load came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) figures: Figures,
    /// How many events were sent of each customer, those of the warm-up too.
    pub(crate) sent: Vec<u64>,
}

/// Sends events and checks that each is answered with 200.
pub(crate) async fn run(load: &Load) -> Result<Outcome, String> {
    let mut streams = Vec::new();
    for _ in 0..load.connections {
        let stream = TcpStream::connect(load.address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        streams.push(stream);
    }
    let begin = Instant::now() + WARM_UP;
    let tasks: Vec<_> = (0..load.connections)
        .zip(streams)
        .map(|(place, stream)| {
            let worker = Worker { stream, answer: Vec::new(), latencies_us: Vec::new() };
            tokio::spawn(worker.work(load.clone(), place, begin))
        })
        .collect();
    let (mut latencies_us, mut sent) = (Vec::new(), vec![0; load.customers.len()]);
    for task in tasks {
        let (latencies, counts) = task.await.map_err(|error| error.to_string())??;
        latencies_us.extend(latencies);
        for (sum, count) in sent.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    Ok(Outcome { figures: Figures::of(latencies_us, load.duration), sent })
}

/// One connection.
struct Worker {
    stream: TcpStream,
    answer: Vec<u8>,
    latencies_us: Vec<u64>,
}

impl Worker {
    async fn work(
        mut self,
        load: Load,
        place: usize,
        begin: Instant,
    ) -> Result<(Vec<u64>, Vec<u64>), String> {
        // Unique within a run of this program: keys are not to be seen twice.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let customers = load.customers.len();
        let mut requests: Vec<Request> =
            load.customers.iter().map(|customer| Request::new(customer, load.keyed)).collect();
        let mut sent = vec![0; customers];
        let end = begin + load.duration;
        let mut next = place % customers;
        let mut before = Instant::now();
        while before < end {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            self.ask(requests[next].numbered(number)).await?;
            sent[next] += 1;
            next = (next + 1) % customers;
            let after = Instant::now();
            if (begin..end).contains(&after) {
                self.latencies_us.push(micros(after - before));
            }
            before = after;
        }
        Ok((self.latencies_us, sent))
    }

    async fn ask(&mut self, request: &[u8]) -> Result<(), String> {
        self.stream.write_all(request).await.map_err(|error| error.to_string())?;
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await;
            if read.map_err(|error| error.to_string())? == 0 {
                return Err("the server closed a connection".to_owned());
            }
            match whole(&self.answer) {
                Some(true) => return Ok(()),
                None if self.answer.len() < ANSWER_BYTES_MAX => {}
                _ => return Err(String::from_utf8_lossy(&self.answer).into_owned()),
            }
        }
    }
}

/// A request that differs from the next one by a number.
struct Request {
    bytes: Vec<u8>,
    number_at: Option<usize>,
}

impl Request {
    fn new(customer: &str, keyed: Keyed) -> Self {
        const NUMBER: &str = "Idempotency-Key: bench-";
        let form = crate::api::event(customer);
        let key = match keyed {
            Keyed::No => String::new(),
            Keyed::Yes => format!("{NUMBER}{}\r\n", "0".repeat(NUMBER_DIGITS)),
        };
        let text = format!(
            "POST {EVENTS} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n{key}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let number_at = text.find(NUMBER).map(|at| at + NUMBER.len());
        Self { bytes: text.into_bytes(), number_at }
    }

    fn numbered(&mut self, number: u64) -> &[u8] {
        if let Some(at) = self.number_at {
            let digits = format!("{number:0NUMBER_DIGITS$}");
            self.bytes[at..at + NUMBER_DIGITS].copy_from_slice(digits.as_bytes());
        }
        &self.bytes
    }
}

/// Whether an answer is there to its end and says 200; `None` while it is not all there.
pub(crate) fn whole(answer: &[u8]) -> Option<bool> {
    const LENGTH: &[u8] = b"\r\ncontent-length: ";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
    let head = find(answer, b"\r\n\r\n")?;
    if !answer.starts_with(OK) {
        return Some(false);
    }
    let Some(length_at) = find(&answer[..head], LENGTH) else { return Some(false) };
    let digits = &answer[length_at + LENGTH.len()..head];
    let mut length = 0;
    for digit in digits.iter().take_while(|it| it.is_ascii_digit()) {
        length = length * 10 + usize::from(digit - b'0');
    }
    (answer.len() >= head + 4 + length).then_some(true)
}

pub(crate) fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_awaited_to_its_end() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\ncontent-length: 13\r\ndate: y\r\n\r\n";
        let with = |body: &str| whole(&[answer.as_slice(), body.as_bytes()].concat());
        assert_eq!(with("0123456789ab"), None);
        assert_eq!(with("0123456789abc"), Some(true));
        assert_eq!(whole(&answer[..40]), None);
        assert_eq!(
            whole(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 7\r\n\r\n"),
            Some(false)
        );
    }

    #[test]
    fn each_request_has_a_key_of_its_own() {
        let mut request = Request::new("cus_7", Keyed::Yes);
        let text = String::from_utf8(request.numbered(101).to_vec()).unwrap();
        assert!(text.contains("\r\nIdempotency-Key: bench-0000000000000101\r\n"), "{text}");
        assert!(text.ends_with(&format!("\r\n\r\n{}", crate::api::event("cus_7"))), "{text}");
        let mut request = Request::new("cus_7", Keyed::No);
        assert!(!request.numbered(7).windows(11).any(|it| it == b"Idempotency"));
    }
}
