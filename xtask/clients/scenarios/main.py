"""The scenarios suite: PyPI `stripe` drives billing through test clocks, every amount to the cent."""

import sys
from pathlib import Path

from python.client import Clients
from shared.server import Server
from shared.suite import Suite, World, run

from . import adjustments, cancel, events, invoices, modes, proration, renewal, schedules, statuses, year
from .outstanding import OUTSTANDING
from .story import Shop

MODULES = (statuses, renewal, proration, schedules, cancel, modes, invoices, adjustments, events, year)


def play(suite: Suite, server: Server, _home: Path) -> None:
    client = Clients(server, suite.bodies).new()
    world = World(client=client, shop=Shop(client))
    # The names of modules may be given, to play these alone.
    for module in MODULES:
        if len(sys.argv) == 1 or module.__name__.split(".")[-1] in sys.argv[1:]:
            suite.walk(module, world, OUTSTANDING)


if __name__ == "__main__":
    sys.exit(run("scenarios", play))
