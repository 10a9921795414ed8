//! A server in a process of its own.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::{api, machine};

/// A running server, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    // Open until the end, so that the server can go on writing.
    _stdout: BufReader<ChildStdout>,
}

/// The product, which lies beside this program, without settings of the environment.
pub(crate) fn program() -> Result<Command, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this.with_file_name("taximeter"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TAXIMETER_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// The product as a server on a free port, on a data directory with settings.
pub(crate) fn product(data: &Path, options: &[String]) -> Result<Command, String> {
    let mut command = program()?;
    command.args(["serve", "--listen", "127.0.0.1:0", "--secret-key", api::KEY]);
    command.arg("--data-dir").arg(data).args(options);
    Ok(command)
}

impl Server {
    /// Starts a program that prints where it serves, and then that it is ready.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{command:?}: {error}");
        let log = File::create(log).map_err(failed)?;
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = spawned.map_err(|error| format!("{command:?}: {error}"))?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut stdout = BufReader::new(stdout);
        let address = ready(&mut stdout).map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self { child, address, _stdout: stdout })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Ends it as a crash of the process would (SIGKILL), and waits until it has ended.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// How much processor time it has used, in microseconds, to the nearest 10,000 below.
    pub(crate) fn cpu_us(&self) -> Result<u64, String> {
        machine::cpu_us(&self.pid())
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let pid = self.pid();
        let told = Command::new("kill").arg(pid).status().map_err(|error| error.to_string())?;
        let ended = self.child.wait().map_err(|error| error.to_string())?;
        if told.success() && ended.success() { Ok(()) } else { Err(format!("server: {ended}")) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn ready(stdout: &mut impl std::io::BufRead) -> Result<SocketAddr, String> {
    let mut address = None;
    let mut lines = stdout.lines();
    while let Some(Ok(line)) = lines.next() {
        if address.is_none() {
            address = line.split_once("http://").and_then(|(_, rest)| rest.trim().parse().ok());
        }
        if line.contains("Ready in") {
            return address.ok_or_else(|| "it does not say where it serves".to_owned());
        }
    }
    Err("it ended before it was ready; see its log".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_where_it_serves_before_it_is_ready() {
        let mut said =
            "\n  API   http://127.0.0.1:7\n  Board http://127.0.0.1:7/x\n  Ready in 7 ms\n"
                .as_bytes();
        assert_eq!(ready(&mut said), Ok("127.0.0.1:7".parse().unwrap()));
        assert!(ready(&mut "http://127.0.0.1:7\n".as_bytes()).is_err());
    }
}
