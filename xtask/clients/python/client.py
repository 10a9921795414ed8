"""Stripe's own Python client, unmodified, pointed at the server under test."""

import requests
import stripe
from shared.server import SECRET_KEY, Server
from shared.suite import Bodies

# A released version from before `basil`, whose objects differ most from today's.
ACACIA = "2025-02-24.acacia"


class Clients:
    """Makes clients that share one address and report each answer to `Bodies`."""

    def __init__(self, server: Server, bodies: Bodies) -> None:
        self._server = server
        self._bodies = bodies

    def of_stream(self, token: str) -> stripe.StripeClient:
        """A client that sends to the stream: its key is a session's token."""
        return self.new(token)

    def new(self, key: str = SECRET_KEY, version: str | None = None) -> stripe.StripeClient:
        # `requests` hooks see every answer without a change to the SDK.
        session = requests.Session()
        session.trust_env = False
        session.hooks["response"].append(self._keep)
        return stripe.StripeClient(
            key,
            base_addresses={"api": self._server.url, "meter_events": self._server.url},
            http_client=stripe.RequestsClient(session=session),
            stripe_version=version,
        )

    def _keep(self, answer: requests.Response, **_: object) -> None:
        # The contract is the newest version's; what is rendered down for an older one has other fields.
        if answer.request.headers.get("Stripe-Version") == stripe.api_version:
            self._bodies.keep(answer.request.method, answer.request.url, answer.status_code, answer.json())


class _Any:
    """Equal to everything: for a member whose value Stripe has not published."""

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "anything"


ANY = _Any()


def refused(
    call, *arguments, error: type[stripe.StripeError] = stripe.InvalidRequestError, status=400, code=None, param=None
) -> stripe.StripeError:
    """Expects `call` to raise exactly this class with this status, code and param, and returns the exception."""
    try:
        answer = call(*arguments)
    except stripe.StripeError as raised:
        seen = (type(raised).__name__, raised.http_status, raised.code, getattr(raised, "param", None))
        expected = (error.__name__, status, code, param)
        if expected != seen:
            raise AssertionError(f"raised {seen}, expected {expected}: {raised.user_message}") from raised
        if not (raised.request_id or "").startswith("req_"):
            raise AssertionError(f"the refusal has no request id: {raised.request_id!r}") from raised
        return raised
    raise AssertionError(f"answered {answer!r:.200}, expected {error.__name__}")
