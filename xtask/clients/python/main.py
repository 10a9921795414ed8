"""The python suite: PyPI `stripe` walks the pay-as-you-go guide and then everything around it."""

import sys

from shared.suite import Suite, World, serving

from . import catalogue, errors, guide, lists, machinery, restart, subscriptions, usage
from .client import Clients


def main() -> int:
    suite = Suite("python")
    with serving() as (server, _):
        clients = Clients(server, suite.bodies)
        world = World(server=server, clients=clients, client=clients.new())
        for module in (guide, catalogue, subscriptions, usage, machinery, lists, errors, restart):
            suite.run(module, world)
        suite.check("the server stops cleanly on SIGTERM", server.stop)
    return suite.exit_code()


if __name__ == "__main__":
    sys.exit(main())
