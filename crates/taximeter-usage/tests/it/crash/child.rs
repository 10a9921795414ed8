//! Processes that tests start to kill them: the test binary itself, told by its environment to play
//! another part of the same test.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

const PART: &str = "TAXIMETER_TEST_PART";
/// What a line begins with that is meant for the test, and not for those who read its output.
const SAYS: &str = "says ";
/// More than a process can take to begin.
const PATIENCE: Duration = Duration::from_secs(100);
const SIGKILL: i32 = 9;

/// What this process is to do, if a test started it.
#[expect(clippy::disallowed_methods, reason = "a test says so to the process it starts")]
pub(crate) fn part() -> Option<String> {
    env::var(PART).ok()
}

/// Says something to the test that started this process, in one write.
pub(crate) fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{SAYS}{what}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// A process that a test started.
pub(crate) struct Process {
    child: Child,
    said: Receiver<String>,
}

/// From when on a process has some time to live.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Since {
    /// From its start.
    Start,
    /// From its first word.
    FirstWord,
}

impl Process {
    /// Starts `test` of this binary as a process of its own.
    pub(crate) fn start(test: &str, part: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(PART, part);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (say, said) = channel();
        // Ends when the process does.
        thread::spawn(move || {
            let mut line = String::new();
            while out.read_line(&mut line).unwrap() > 0 {
                let whole = line.strip_suffix('\n');
                if let Some(what) = whole.and_then(|line| line.strip_prefix(SAYS)) {
                    say.send(what.to_owned()).ok();
                }
                line.clear();
            }
        });
        Self { child, said }
    }

    /// Kills it when it has lived for so long, and gives all that it said.
    pub(crate) fn killed_after(mut self, time: Duration, since: Since) -> Vec<String> {
        let mut said = Vec::new();
        if let Since::FirstWord = since {
            said.extend(self.said.recv_timeout(PATIENCE));
        }
        let end = Instant::now() + time;
        loop {
            match self.said.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(what) => said.push(what),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the process ended by itself: {:?}", self.child.wait())
                }
            }
        }
        self.child.kill().unwrap();
        said.extend(self.said.iter());
        assert_eq!(self.child.wait().unwrap().signal(), Some(SIGKILL));
        said
    }

    /// Waits until it ends well, and gives all that it said.
    pub(crate) fn ended(mut self) -> Vec<String> {
        let said = self.said.iter().collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status:?} {said:?}");
        said
    }
}
