"""The cli suite: the guide's lines for the Stripe CLI, verbatim; only the address and the key are added."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared import walk
from shared.guide import Guide, bash, replaced
from shared.server import SECRET_KEY, Server
from shared.suite import Suite, World, run

from . import beyond, listen

READY_WITHIN_S = 30

# The request that each step of the guide makes; the CLI shows only the body of the answer.
REQUESTS = {
    walk.METER: "POST /v1/billing/meters",
    walk.PRICE: "POST /v1/prices",
    walk.CUSTOMER: "POST /v1/customers",
    walk.SUBSCRIPTION: "POST /v1/subscriptions",
    walk.EVENT: "POST /v1/billing/meter_events",
    walk.PREVIEW: "POST /v1/invoices/create_preview",
    walk.USAGE: "GET /v1/billing/meters/{METER_ID}/event_summaries",
}


class Cli:
    """Runs `stripe` command lines and keeps the bodies that they print."""

    def __init__(self, server: Server, suite: Suite, home: Path) -> None:
        self._server = server
        self._bodies = suite.bodies
        self._home = home
        self._program = Path(os.environ["TAXIMETER_SUITE_NODE_MODULES"]).resolve() / ".bin" / "stripe"
        self._guide = Guide(Path(__file__).parent / "guide.txt")
        self.steps = self._guide.steps

    def walk(self, step: str, edits: dict[str, str] | None = None, **ids: str) -> dict:
        """Runs a step of the guide, which must succeed."""
        lines = self._guide.lines(step, **ids)
        for text, value in (edits or {}).items():
            lines = replaced(lines, text, value)
        return self.run(REQUESTS[step].format(**ids), lines)

    def run(self, request: str, lines: str, status: int = 200) -> dict:
        """Runs any `stripe ...` line. The CLI ends with 0 even when the API refuses, so the body decides."""
        # A function instead of the program: the lines stay the guide's own, to the letter.
        flags = f"--api-base {self._server.url} --api-key {SECRET_KEY} --color off"
        stripe = f'stripe() {{ {shlex.quote(str(self._program))} {flags} "$@"; }}'
        printed = bash(f"export STRIPE_CLI_TELEMETRY_OPTOUT=1\n{stripe}\n{lines}", self._home)
        # `delete` says whose data it is about to delete before it prints the answer.
        body = json.loads(printed[printed.index("{") :])
        if ("error" in body) != (status >= 400):
            raise AssertionError(f"answered {body}, expected status {status}")
        method, _, path = request.partition(" ")
        self._bodies.keep(method, path, status, body)
        return body

    def listen_secret(self) -> str:
        """What `stripe listen --print-secret` prints."""
        answer = subprocess.run([*self._listen(), "--print-secret"], **self._options(), text=True, timeout=60)
        return answer.stdout.strip()

    @contextmanager
    def listening(self, forward_to: str, events: str) -> Iterator[str]:
        """Runs `stripe listen` until the block ends; gives what it printed until it was ready."""
        command = [*self._listen(), "--forward-to", forward_to, "--events", events]
        options = {**self._options(), "stderr": subprocess.STDOUT, "start_new_session": True}
        process = subprocess.Popen(command, **options, text=True)

        # The program that is started starts another.
        def end() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        # Ends the reading below, too, when nothing comes.
        late = threading.Timer(READY_WITHIN_S, end)
        late.start()
        printed = ""
        try:
            for line in process.stdout:
                printed += line
                if "Ready!" in line:
                    break
            late.cancel()
            # Whoever does not read keeps the program from writing.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield printed
        finally:
            late.cancel()
            end()
            process.wait()

    def _listen(self) -> list[str]:
        flags = ["--api-base", self._server.url, "--api-key", SECRET_KEY, "--color", "off", "--skip-update"]
        return [str(self._program), "listen", *flags]

    def _options(self) -> dict:
        home = {"HOME": str(self._home), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return {"env": {**os.environ, **home}, "cwd": self._home, **pipes}


def play(suite: Suite, server: Server, home: Path) -> None:
    cli = Cli(server, suite, home)
    world = World(
        guide=cli, walk=cli.walk, run=cli.run, listen_secret=cli.listen_secret, listening=cli.listening
    )
    suite.walk(walk, world)
    suite.walk(beyond, world)
    suite.walk(listen, world)


if __name__ == "__main__":
    sys.exit(run("cli", play))
