"""The server under test: the real binary, on a free port, in a directory of its own."""

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

SECRET_KEY = "sk_test_Hypernian0123456789Guide"
READY_WITHIN_S = 20
STOPPED_WITHIN_S = 20
KEY = re.compile(r"\b[srp]k_(test|live)_[A-Za-z0-9]{20,}\b")
ADDRESS = re.compile(r"http://127\.0\.0\.1:([1-9][0-9]*)")


class Server:
    """One data directory (and, if asked for, one PostgreSQL database) and the process that serves it."""

    def __init__(self, home: Path) -> None:
        self._bin = str(Path(os.environ["TAXIMETER_BIN"]).resolve())
        self._data = home / "data"
        self._output = home / "server.log"
        self._process: subprocess.Popen | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where the server listens: `http://127.0.0.1:<port>`, the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts the process and returns when `/readyz` answers 200."""
        listen = f"127.0.0.1:{self._port}"
        command = [self._bin, "serve", *self._store(), "--listen", listen, "--secret-key", SECRET_KEY]
        started_at = self._output.stat().st_size if self._output.exists() else 0
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment()
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._ready(started_at):
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with {self._process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server is not ready after {READY_WITHIN_S} s:\n{self.tail()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Asks the process to end (SIGTERM) and expects it to end cleanly."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"SIGTERM did not end the server within {STOPPED_WITHIN_S} s:\n{self.tail()}") from None
        if code != 0:
            raise RuntimeError(f"the server ended with {code} on SIGTERM:\n{self.tail()}")

    def kill(self) -> None:
        """Ends the process without a warning (SIGKILL), as a power cut would."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()

    def key(self, *flags: str) -> str:
        """Makes another key beside the running server, as its owner would: `taximeter keys create <flags>`."""
        command = [self._bin, "keys", "create", *self._store(), *flags]
        made = subprocess.run(command, capture_output=True, env=_environment(), text=True, timeout=60)
        if made.returncode != 0 or not (key := KEY.search(made.stdout)):
            raise AssertionError(f"`keys create` ended with {made.returncode}: {made.stdout}{made.stderr}")
        return key.group()

    def tail(self) -> str:
        """The last lines that the process printed."""
        return "\n".join(self._output.read_text(errors="replace").splitlines()[-30:])

    def _store(self) -> list[str]:
        database_url = os.environ.get("TAXIMETER_SUITE_DATABASE_URL")
        return ["--data-dir", str(self._data)] + (["--database-url", database_url] if database_url else [])

    def _ready(self, started_at: int) -> bool:
        if self._port == 0:
            # Only what this start printed: the log holds the output of earlier starts as well.
            printed = self._output.read_bytes()[started_at:].decode(errors="replace")
            if not (found := ADDRESS.search(printed)):
                return False
            self._port = int(found.group(1))
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def _environment() -> dict[str, str]:
    # The binary reads TAXIMETER_* as settings; whoever runs the suite must not configure it by accident.
    return {name: value for name, value in os.environ.items() if not name.startswith("TAXIMETER_")}
