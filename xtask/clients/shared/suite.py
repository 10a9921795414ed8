"""Checks in the form of sentences, their outcome, and every JSON body that they saw."""

import inspect
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace
from urllib.parse import urlsplit

from .server import Server


class World(SimpleNamespace):
    """What the checks of one run share; a check reads what an earlier one stored."""

    def __getattr__(self, name: str):
        raise AssertionError(f"there is no `{name}`: an earlier check did not pass")


class Bodies:
    """Writes each body to its own file, to be held against Stripe's published types afterwards."""

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._directory = os.environ.get("TAXIMETER_SUITE_BODIES")
        self._count = 0

    def keep(self, method: str, url: str, status: int, body: object) -> None:
        """Files are never overwritten: the same suite may have run before, on the other database."""
        if self._directory is None:
            return
        Path(self._directory).mkdir(parents=True, exist_ok=True)
        request = f"{method.upper()} {urlsplit(url).path}"
        content = json.dumps({"suite": self._suite, "request": request, "status": status, "body": body}, indent=2)
        while True:
            self._count += 1
            try:
                with (Path(self._directory) / f"{self._suite}-{self._count}.json").open("x") as file:
                    file.write(content)
                return
            except FileExistsError:
                continue


class Suite:
    """Runs checks in the order in which they are written and counts them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bodies = Bodies(name)
        self._passed = 0
        self._failed = 0

    def walk(self, module: ModuleType, world: World, outstanding: Mapping[str, str] = MappingProxyType({})) -> None:
        """Runs each public function of the module; its name is the sentence.

        Of those that are outstanding it is known that they fail, and why; one that passes is a failure.
        """
        for name, check in vars(module).items():
            imported = getattr(check, "__module__", None) != module.__name__
            if inspect.isfunction(check) and not imported and not name.startswith("_"):
                sentence = name.replace("_", " ")
                if name in outstanding:
                    self.check(f"outstanding: {sentence}", lambda check=check: _fails(check, world))
                else:
                    self.check(sentence, lambda check=check: check(world))

    def check(self, sentence: str, body: Callable[[], None]) -> bool:
        """Runs one check, prints its line, and tells whether it passed."""
        try:
            body()
        except Exception as error:
            self._failed += 1
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAILED  {sentence}: {reason}", flush=True)
            where = traceback.extract_tb(error.__traceback__)
            print("".join(traceback.format_list(where[-2:])), file=sys.stderr, end="", flush=True)
            return False
        self._passed += 1
        print(f"passed  {sentence}", flush=True)
        return True

    def exit_code(self) -> int:
        """Prints the last line. A suite without a single check has failed."""
        print(f"{self.name}: {self._passed} passed, {self._failed} failed", flush=True)
        return 0 if self._failed == 0 and self._passed > 0 else 1


def _fails(check: Callable[[World], None], world: World) -> None:
    try:
        check(world)
    except Exception:
        return
    raise AssertionError("holds now: it is outstanding no more")


def run(name: str, play: Callable[[Suite, Server, Path], None]) -> int:
    """Plays a suite on a server and a directory of its own; gives the exit code."""
    # Ends through `finally`, so that no server outlives its suite.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    suite = Suite(name)
    with tempfile.TemporaryDirectory(prefix="taximeter-client-") as home:
        server = Server(Path(home))
        try:
            if suite.check("the server starts and is ready", server.start):
                play(suite, server, Path(home))
                suite.check("the server stops cleanly on SIGTERM", server.stop)
        finally:
            server.kill()
    return suite.exit_code()


def equal(actual: object, expected: object, what: str = "value") -> None:
    if actual != expected:
        raise AssertionError(f"{what} is {actual!r}, expected {expected!r}")


def true(holds: object, why_not: str) -> None:
    if not holds:
        raise AssertionError(why_not)


def matches(actual: object, **expected: object) -> None:
    """Compares attributes, or members, by name; `a__b` reaches into `a`."""
    for path, value in expected.items():
        equal(_reach(actual, path), value, path.replace("__", "."))


def prefixed(identifier: object, prefix: str) -> None:
    holds = isinstance(identifier, str) and identifier.startswith(prefix) and len(identifier) > len(prefix)
    true(holds, f"{identifier!r} is no id with the prefix {prefix!r}")


def _reach(actual: object, path: str) -> object:
    for name in path.split("__"):
        actual = actual[name] if isinstance(actual, dict) else getattr(actual, name)
    return actual
