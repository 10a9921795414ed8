"""The curl suite: the guide's curl lines, verbatim but for host, key and ids, and the wire as curl sees it."""

import json
import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

from shared import walk
from shared.guide import Guide, bash, replaced
from shared.server import SECRET_KEY, Server
from shared.suite import Suite, World, run

from . import wire

HOST = "https://api.stripe.com"

# Behind the user's back: no progress meter, and the status after the body.
CURL = "curl() { command curl --disable --silent --show-error --write-out '\\n%{http_code}' \"$@\"; }\n"


class Curl:
    """Runs curl command lines and keeps the bodies of their answers."""

    def __init__(self, server: Server, suite: Suite, home: Path) -> None:
        self._server = server
        self._bodies = suite.bodies
        self._home = home
        self._guide = Guide(Path(__file__).parent / "guide.txt")
        self.steps = self._guide.steps

    def walk(self, step: str, edits: dict[str, str] | None = None, **ids: str) -> dict:
        """Runs a step of the guide, which must succeed."""
        lines = self._guide.lines(step, **ids)
        for text, value in (edits or {}).items():
            lines = replaced(lines, text, value)
        status, body = self.run(replaced(lines, "<<YOUR_SECRET_KEY>>", SECRET_KEY))
        if status != 200:
            raise AssertionError(f"status {status}: {body}")
        return body

    def run(self, lines: str) -> tuple[int, dict]:
        """Runs any command line written for Stripe's host; gives the status and the body."""
        words = shlex.split(lines)
        url = next(word for word in words if word.startswith(HOST))
        # As curl decides it: `-X` wins, `-G` turns data into a query, data alone means POST.
        method = "POST" if {"-d", "--data-urlencode"} & {*words} and "-G" not in words else "GET"
        if "-X" in words:
            method = words[words.index("-X") + 1]
        body, _, status = bash(CURL + lines.replace(HOST, self._server.url), self._home).rpartition("\n")
        answer = json.loads(body)
        self._bodies.keep(method, urlsplit(url).path, int(status), answer)
        return int(status), answer


def play(suite: Suite, server: Server, home: Path) -> None:
    curl = Curl(server, suite, home)
    world = World(guide=curl, walk=curl.walk, run=curl.run)
    suite.walk(walk, world)
    suite.walk(wire, world)


if __name__ == "__main__":
    sys.exit(run("curl", play))
