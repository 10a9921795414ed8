"""The python suite: PyPI `stripe` walks the pay-as-you-go guide and then everything around it."""

import sys
from pathlib import Path

from shared.server import Server
from shared.suite import Suite, World, run

from . import catalogue, corrections, errors, guide, lists, machinery, reading, restart, stream, subscriptions, usage, webhooks
from .client import Clients


def play(suite: Suite, server: Server, _home: Path) -> None:
    clients = Clients(server, suite.bodies)
    world = World(server=server, clients=clients, client=clients.new())
    for module in (guide, catalogue, subscriptions, usage, machinery, lists, reading, errors, corrections, stream, webhooks, restart):
        suite.walk(module, world)


if __name__ == "__main__":
    sys.exit(run("python", play))
