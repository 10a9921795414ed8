//! The real binary: run to its end, or run as a server and talked to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a server may take to say that it is ready, on a machine that does much else.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary, with nothing of this process's own settings.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taximeter"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TAXIMETER_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn taximeter(args: &[&str]) -> Outcome {
    taximeter_in(args, &[])
}

/// Runs a command with variables in its environment.
pub(crate) fn taximeter_in(args: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let output = command(args).envs(variables.iter().copied()).output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command on a data directory and expects it to succeed.
pub(crate) fn succeed(dir: &Path, args: &[&str]) -> String {
    let outcome = taximeter(&[args, &["--data-dir", dir.to_str().unwrap()]].concat());
    assert_eq!(outcome.code, Some(0), "{args:?}: {}", outcome.stderr);
    outcome.stdout
}

/// Runs a command on a data directory and expects it to fail.
pub(crate) fn fail(dir: &Path, args: &[&str]) -> String {
    let outcome = taximeter(&[args, &["--data-dir", dir.to_str().unwrap()]].concat());
    assert_eq!(outcome.code, Some(1), "{args:?}: {}", outcome.stdout);
    outcome.stderr
}

/// A server, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// What it wrote to standard output until it was ready.
    pub(crate) banner: String,
    /// `127.0.0.1:41297`.
    address: String,
    /// How long it took to be ready.
    pub(crate) ready_after: Duration,
    log: Receiver<String>,
}

impl Server {
    /// Starts a server on a free port and waits until it is ready.
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        let dir = dir.to_str().unwrap();
        let all = [&["serve", "--listen", "127.0.0.1:0", "--data-dir", dir], args].concat();
        let started = Instant::now();
        let mut child =
            command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("Ready in") {
            match stdout.recv_timeout(READY_TIMEOUT) {
                Ok(line) => banner += &(line + "\n"),
                Err(RecvTimeoutError::Timeout) => panic!("not ready in time: {banner}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended: {banner}{}", stderr.iter().collect::<String>())
                }
            }
        }
        let address = banner.split_once("://").unwrap().1;
        let address = address.split_whitespace().next().unwrap().to_owned();
        Self { child, banner, address, ready_after: started.elapsed(), log: stderr }
    }

    /// The keys that the banner shows.
    pub(crate) fn keys(&self) -> Vec<String> {
        let words = self.banner.split_whitespace();
        let key = |word: &&str| word.starts_with("sk_") && word.len() > 30 && !word.contains(':');
        words.filter(key).map(str::to_owned).collect()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A connection to the server.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
        stream
    }

    /// Asks with a key; returns the status and the body.
    pub(crate) fn get(&self, path: &str, key: &str) -> (u16, String) {
        self.request("GET", path, key, "")
    }

    /// Sends a form with a key; returns the status and the body.
    pub(crate) fn post(&self, path: &str, key: &str, form: &str) -> (u16, String) {
        self.request("POST", path, key, form)
    }

    fn request(&self, method: &str, path: &str, key: &str, form: &str) -> (u16, String) {
        let mut stream = self.connect();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Authorization: Bearer {key}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            self.address,
            form.len()
        )
        .unwrap();
        answer(stream)
    }

    /// Sends a signal: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let (flag, pid) = (format!("-{name}"), self.pid().to_string());
        assert!(Command::new("kill").args([flag, pid]).status().unwrap().success());
    }

    /// Stops the server as its owner would; returns the lines of its log.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.signal("TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.log.iter().collect()
    }

    /// Waits for the end; returns the exit code, `None` when a signal ended it.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has mostly ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Reads an answer to its end.
pub(crate) fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// The lines of a pipe, read by a thread so that the process never waits for its reader.
fn lines(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens any more: read on all the same.
            let _ignored = sender.send(line);
        }
    });
    receiver
}
