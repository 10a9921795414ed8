"""`stripe listen`: what happens is shown, forwarded and verified on a developer's machine."""

import hashlib
import hmac
import json
import queue
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shared.suite import equal, true

ARRIVES_WITHIN_S = 30


def the_signing_secret_is_the_same_each_time(w) -> None:
    w.secrets = [w.listen_secret() for _ in range(2)]
    true(re.fullmatch(r"whsec_[0-9A-Za-z]{32}", w.secrets[0]), f"no secret: {w.secrets[0]!r}")
    equal(w.secrets[0], w.secrets[1], "the second")


def what_happens_is_forwarded_and_verified(w) -> None:
    calls: queue.Queue = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            calls.put((body, self.headers["Stripe-Signature"]))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with w.listening(f"http://127.0.0.1:{server.server_port}/hook", "customer.created") as printed:
        true("Ready!" in printed, f"not ready: {printed}")
        made = w.run("POST /v1/customers", "stripe customers create --name 'Heard'")
        body, signature = calls.get(timeout=ARRIVES_WITHIN_S)
        event = json.loads(body)
        equal((event["type"], event["data"]["object"]["id"]), ("customer.created", made["id"]), "event")
        parts = dict(part.split("=", 1) for part in signature.split(","))
        signed = f"{parts['t']}.".encode() + body
        equal(parts["v1"], hmac.new(w.secrets[0].encode(), signed, hashlib.sha256).hexdigest(), "signature")
        again = w.run("POST /v1/customers", "stripe customers create --name 'Again'")
        body, _ = calls.get(timeout=ARRIVES_WITHIN_S)
        equal(json.loads(body)["data"]["object"]["id"], again["id"], "the next event")
        resent = w.run("POST /v1/events/:id/retry", f"stripe events resend {event['id']}")
        body, _ = calls.get(timeout=ARRIVES_WITHIN_S)
        equal((resent["id"], json.loads(body)["id"]), (event["id"], event["id"]), "the event that is sent again")
    true(calls.empty(), "an event was forwarded twice")
    server.shutdown()
