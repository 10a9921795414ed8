"""Webhooks as PyPI `stripe` registers, receives and verifies them."""

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stripe
from shared.suite import equal, matches, prefixed, true

from .client import refused

ARRIVES_WITHIN_S = 30


class _Receiver:
    """An endpoint on this machine that takes what it is told."""

    def __init__(self) -> None:
        calls: queue.Queue = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204)
                self.end_headers()
                calls.put((body, self.headers["Stripe-Signature"]))

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}/hook"
        self._calls = calls

    def next(self) -> tuple[bytes, str]:
        return self._calls.get(timeout=ARRIVES_WITHIN_S)


def an_endpoint_is_registered_and_its_secret_shown_once(w) -> None:
    w.receiver = _Receiver()
    w.hook = w.client.v1.webhook_endpoints.create(
        {"url": w.receiver.url, "enabled_events": ["customer.created", "customer.updated"], "metadata": {"a": "1"}}
    )
    prefixed(w.hook.id, "we_")
    prefixed(w.hook.secret, "whsec_")
    matches(w.hook, object="webhook_endpoint", status="enabled", livemode=False, api_version=None)
    true("secret" not in w.client.v1.webhook_endpoints.retrieve(w.hook.id), "the secret is shown again")


def what_happens_arrives_and_is_verified(w) -> None:
    w.told = w.client.v1.customers.create({"name": "Jürgen Told"})
    w.body, w.signature = w.receiver.next()
    event = w.client.construct_event(w.body, w.signature, w.hook.secret)
    equal(type(event), stripe.Event, "type")
    matches(event, type="customer.created", api_version=stripe.api_version, pending_webhooks=1)
    matches(event.data.object, id=w.told.id, name="Jürgen Told")
    equal(w.client.v1.events.retrieve(event.id).data.object.id, w.told.id, "the event's object")
    w.event = event


def what_was_changed_on_the_way_or_signed_by_another_is_not_verified(w) -> None:
    for body, secret in ((w.body.replace(b"Told", b"Tolt"), w.hook.secret), (w.body, "whsec_another")):
        try:
            stripe.Webhook.construct_event(body, w.signature, secret)
        except stripe.SignatureVerificationError:
            continue
        raise AssertionError("verified what is not genuine")


def a_change_tells_what_was_before(w) -> None:
    w.client.v1.customers.update(w.told.id, {"name": "Jürgen Said"})
    event = stripe.Webhook.construct_event(*w.receiver.next(), w.hook.secret)
    equal(event.type, "customer.updated", "type")
    equal(event.data.previous_attributes.to_dict(), {"name": "Jürgen Told"}, "previous_attributes")


def an_event_is_sent_again_on_request(w) -> None:
    _raw(w, f"/v1/events/{w.event.id}/resend", webhook_endpoint=w.hook.id)
    again = stripe.Webhook.construct_event(*w.receiver.next(), w.hook.secret)
    equal(again.id, w.event.id, "event")


def both_secrets_verify_while_one_is_rolled(w) -> None:
    rolled = _raw(w, f"/v1/webhook_endpoints/{w.hook.id}/rotate_secret", expires_in=3600)
    w.client.v1.customers.create({"name": "Both"})
    body, signature = w.receiver.next()
    for secret in (w.hook.secret, rolled["secret"]):
        equal(stripe.Webhook.construct_event(body, signature, secret).type, "customer.created", "type")


def an_endpoint_of_an_older_version_is_shown_what_that_version_showed(w) -> None:
    older = w.client.v1.webhook_endpoints.create(
        {
            "url": w.receiver.url,
            "enabled_events": ["customer.subscription.updated"],
            "api_version": "2025-02-24.acacia",
        }
    )
    w.client.v1.subscriptions.update(w.subscription.id, {"metadata": {"told": "yes"}})
    body, signature = w.receiver.next()
    stripe.Webhook.construct_event(body, signature, older.secret)
    event = json.loads(body)
    equal(event["api_version"], "2025-02-24.acacia", "api_version")
    true(isinstance(event["data"]["object"]["current_period_end"], int), "no period on the subscription")
    w.client.v1.webhook_endpoints.delete(older.id)


def a_disabled_endpoint_and_a_deleted_one_are_told_nothing(w) -> None:
    endpoints = w.client.v1.webhook_endpoints
    equal(endpoints.update(w.hook.id, {"disabled": True}).status, "disabled", "status")
    w.client.v1.customers.create({"name": "Nobody hears"})
    pending = w.client.v1.events.list({"limit": 1}).data[0].pending_webhooks
    equal(pending, 0, "pending_webhooks")
    true(endpoints.delete(w.hook.id).deleted, "not deleted")
    refused(endpoints.retrieve, w.hook.id, status=404, code="resource_missing", param="id")
    equal([each.id for each in endpoints.list().data], [], "endpoints")


def an_endpoint_that_cannot_be_is_refused(w) -> None:
    create = w.client.v1.webhook_endpoints.create
    url = "https://example.com/hook"
    refused(create, {"url": url, "enabled_events": ["customer.born"]}, param="enabled_events[0]")
    refused(create, {"url": "http://10.0.0.1", "enabled_events": ["*"]}, code="url_invalid", param="url")
    refused(create, {"url": "example.com", "enabled_events": ["*"]}, code="url_invalid", param="url")


def _raw(w, path: str, **params: object) -> dict:
    """Endpoints that are ours and no SDK knows."""
    return w.client.raw_request("post", path, **params).data
