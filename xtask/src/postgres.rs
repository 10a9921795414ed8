//! A private PostgreSQL for one run: made on a free port, gone with us however we end.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{debian, shell};

const READY_WITHIN_S: u64 = 60;
const POLL_MS: u64 = 100;
/// The name of a run's directory, before its process id.
const HOME_PREFIX: &str = "taximeter-postgres-";

/// Runs the server until its standard input ends, which it does whenever we do: at the end, on an
/// error, by Ctrl-C or by `kill -9`. Then stops it (INT is a fast shutdown) and removes its data.
const SUPERVISE: &str = r#"
trap '' INT TERM HUP
program=$1 home=$2 port=$3
shift 3
"$program" -D "$home/data" -c listen_addresses=127.0.0.1 -c port="$port" \
    -c unix_socket_directories='' -c fsync=on -c max_connections=200 "$@" >"$home/log" 2>&1 &
server=$!
cat >/dev/null
kill -INT "$server" 2>/dev/null
wait "$server"
rm -rf "$home/data" "$home/log"
"#;

/// A running server.
#[derive(Debug)]
pub(crate) struct Cluster {
    supervisor: Child,
    programs: PathBuf,
    home: PathBuf,
    port: u16,
}

impl Cluster {
    /// Installs PostgreSQL if it is missing, makes a cluster and starts it.
    pub(crate) fn start(root: &Path) -> Result<Self, String> {
        Self::start_with(root, &[])
    }

    /// As [`start`](Self::start), with settings of its own: `shared_buffers=1GB`.
    pub(crate) fn start_with(root: &Path, settings: &[&str]) -> Result<Self, String> {
        let programs = programs()?;
        let user = if debian::is_root() { Some(Unprivileged::find()?) } else { None };
        let home = home(root, user.as_ref())?;
        let as_user = |program: &str| match &user {
            None => Command::new(program),
            Some(user) => user.command(program),
        };
        println!("making a PostgreSQL cluster in {}", home.display());
        let mut initdb = as_user(&programs.join("initdb").to_string_lossy());
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        shell::output(initdb.arg("-D").arg(home.join("data")).current_dir(&home))?;
        let port = free_port()?;
        let mut supervise = as_user("sh");
        supervise.args(["-c", SUPERVISE, "supervise"]).arg(programs.join("postgres"));
        supervise.arg(&home).arg(port.to_string()).current_dir(&home);
        supervise.args(settings.iter().flat_map(|setting| ["-c", setting]));
        let supervisor = supervise
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("PostgreSQL does not start: {error}"))?;
        let cluster = Self { supervisor, programs, home, port };
        cluster.wait_until_ready()?;
        println!("PostgreSQL is ready on port {port}");
        Ok(cluster)
    }

    /// The URL of a database, as a superuser.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and returns its URL.
    pub(crate) fn create_database(&self, name: &str) -> Result<String, String> {
        shell::output(self.client("createdb").arg(name))?;
        Ok(self.url(name))
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p"]).arg(self.port.to_string());
        command
    }

    fn wait_until_ready(&self) -> Result<(), String> {
        for _ in 0..READY_WITHIN_S * 1_000 / POLL_MS {
            if shell::succeeds(&mut self.client("pg_isready")) {
                return Ok(());
            }
            #[expect(clippy::disallowed_methods, reason = "there is no runtime to block")]
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        let log = fs::read_to_string(self.home.join("log")).unwrap_or_default();
        Err(format!("PostgreSQL is not ready after {READY_WITHIN_S} s:\n{log}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let stopped = self.supervisor.wait().map_err(|error| error.to_string());
        let removed = fs::remove_dir_all(&self.home).map_err(|error| error.to_string());
        if let Err(problem) = stopped.and(removed) {
            println!("PostgreSQL in {} was not cleaned up: {problem}", self.home.display());
        }
    }
}

/// Whom the server runs as when we are root, since it refuses to be root.
#[derive(Debug)]
struct Unprivileged {
    user: String,
    group: String,
}

impl Unprivileged {
    fn find() -> Result<Self, String> {
        for user in ["postgres", "nobody"] {
            if let Ok(group) = shell::output(Command::new("id").args(["-g", user])) {
                return Ok(Self { user: user.to_owned(), group: group.trim().to_owned() });
            }
        }
        Err("PostgreSQL must not run as root, and there is no user postgres or nobody".to_owned())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={}", self.user)).arg(format!("--regid={}", self.group));
        command.args(["--clear-groups", "--"]).arg(program);
        command
    }
}

/// The directory of `initdb`, `postgres` and their kind, installing them if need be.
fn programs() -> Result<PathBuf, String> {
    if let Some(found) = installed() {
        println!("reusing PostgreSQL in {}", found.display());
        return Ok(found);
    }
    debian::install(&["postgresql"], "there is no PostgreSQL server, on which the tests run too")?;
    installed().ok_or_else(|| "PostgreSQL is installed, but initdb is nowhere".to_owned())
}

fn installed() -> Option<PathBuf> {
    newest(Path::new("/usr/lib/postgresql"))
        .or_else(|| Some(shell::find("initdb")?.canonicalize().ok()?.parent()?.to_owned()))
}

/// Debian keeps each major version in a directory of its number.
fn newest(versions: &Path) -> Option<PathBuf> {
    let mut found = Vec::new();
    for version in fs::read_dir(versions).ok()?.flatten() {
        let programs = version.path().join("bin");
        let number: Option<u32> = version.file_name().to_str().and_then(|it| it.parse().ok());
        if let Some(number) = number
            && programs.join("initdb").is_file()
            && programs.join("postgres").is_file()
        {
            found.push((number, programs));
        }
    }
    found.into_iter().max().map(|(_, programs)| programs)
}

/// A directory of our own for the cluster that the server's user can reach: below `.xtask/`, or
/// with the temporary files when the clone lies in a directory that is closed to others.
fn home(root: &Path, user: Option<&Unprivileged>) -> Result<PathBuf, String> {
    let name = format!("{HOME_PREFIX}{}", std::process::id());
    let mut problem = String::new();
    for parent in [root.join(".xtask"), std::env::temp_dir()] {
        sweep(&parent);
        let home = parent.join(&name);
        fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let Some(user) = user else { return Ok(home) };
        shell::output(Command::new("chown").arg(&user.user).arg(&home))?;
        match shell::output(user.command("test").arg("-w").arg(&home)) {
            Ok(_) => return Ok(home),
            Err(error) => problem = error,
        }
        fs::remove_dir(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    }
    Err(format!("no directory for PostgreSQL that its user can reach: {problem}"))
}

/// Removes the empty directories of runs that were killed before they could.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|it| it.strip_prefix(HOME_PREFIX));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // One that is not empty is still being left by its supervisor.
            fs::remove_dir(entry.path()).ok();
        }
    }
}

fn free_port() -> Result<u16, String> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bodies::tests::Scratch;

    #[test]
    fn the_newest_version_by_number_is_taken() {
        let scratch = Scratch::new("postgres-versions");
        for version in ["9", "15", "13", "readme"] {
            scratch.write(&format!("{version}/bin/initdb"), "");
            scratch.write(&format!("{version}/bin/postgres"), "");
        }
        scratch.write("17/bin/psql", "");
        assert_eq!(newest(scratch.path()), Some(scratch.path().join("15/bin")));
        assert_eq!(newest(&scratch.path().join("none")), None);
    }

    #[test]
    fn only_what_a_dead_run_left_empty_is_swept() {
        let scratch = Scratch::new("postgres-sweep");
        let path = |pid: &str| scratch.path().join(format!("{HOME_PREFIX}{pid}"));
        let (alive, dead, busy) = (std::process::id().to_string(), "0", "00");
        for pid in [&alive, dead, busy] {
            fs::create_dir(path(pid)).unwrap();
        }
        scratch.write(&format!("{HOME_PREFIX}{busy}/log"), "");
        sweep(scratch.path());
        assert!(path(&alive).exists() && path(busy).exists() && !path(dead).exists());
    }
}
