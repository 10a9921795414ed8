"""The scenarios suite: PyPI `stripe` drives billing through test clocks, every amount to the cent."""

import sys
from pathlib import Path

from python.client import ACACIA, Clients
from shared.server import Server
from shared.suite import Suite, World, run

from . import (
    adjustments,
    cancel,
    discounts,
    events,
    exact,
    invoices,
    modes,
    proration,
    renewal,
    schedules,
    statuses,
    year,
)
from .outstanding import OUTSTANDING
from .story import Shop

MODULES = (
    statuses,
    renewal,
    proration,
    schedules,
    cancel,
    modes,
    exact,
    discounts,
    invoices,
    adjustments,
    events,
    year,
)


def play(suite: Suite, server: Server, _home: Path) -> None:
    clients = Clients(server, suite.bodies)
    client = clients.new()
    # Before 2025-03-31 a customer could be given a coupon.
    world = World(client=client, old=clients.new(version=ACACIA), shop=Shop(client))
    # The names of modules may be given, to play these alone.
    for module in MODULES:
        if len(sys.argv) == 1 or module.__name__.split(".")[-1] in sys.argv[1:]:
            suite.walk(module, world, OUTSTANDING)


if __name__ == "__main__":
    sys.exit(run("scenarios", play))
