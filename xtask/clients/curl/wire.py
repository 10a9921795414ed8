"""What only a bare HTTP client shows: keys in both forms, array styles, unknown URLs, bodies that are no form."""

from shared.server import SECRET_KEY
from shared.suite import equal, matches, true

API = "https://api.stripe.com/v1"


def a_request_without_a_key_is_unauthorized(w) -> None:
    status, body = w.run(f"curl {API}/customers")
    equal(status, 401, "status")
    matches(body["error"], type="invalid_request_error")
    true(body["error"]["message"].startswith("You did not provide an API key."), body["error"]["message"])


def a_bearer_key_is_as_good_as_a_basic_one(w) -> None:
    path = f"{API}/customers/{w.customer['id']}"
    bearer = w.run(f"curl {path} -H 'Authorization: Bearer {SECRET_KEY}'")
    equal(bearer, w.run(f"curl {path} -u {SECRET_KEY}:"), "answer")
    equal(bearer[0], 200, "status")


def arrays_are_read_in_every_style(w) -> None:
    path = f"{API}/subscriptions/{w.subscription['id']}"
    for style in ("expand[]=customer", "expand%5B%5D=customer", "expand[0]=customer", "expand%5B0%5D=customer"):
        status, body = w.run(f"curl -G {path} -u {SECRET_KEY}: -d '{style}'")
        equal((status, body["customer"]["object"]), (200, "customer"), style)


def objects_repeated_without_an_index_are_an_array(w) -> None:
    status, body = w.run(
        f"curl {API}/invoices/create_preview -u {SECRET_KEY}: -d customer={w.customer['id']} "
        f"-d 'subscription_details[items][][price]={w.price['id']}'"
    )
    equal(status, 200, f"status of {body}")
    prices = [line["pricing"]["price_details"]["price"] for line in body["lines"]["data"]]
    equal(prices, [w.price["id"]], "prices of the subscription to come")


def an_encoded_value_is_kept_as_sent(w) -> None:
    status, body = w.run(f"curl {API}/customers -u {SECRET_KEY}: --data-urlencode 'name=Zoë & Søn + 1=2'")
    equal((status, body["name"]), (200, "Zoë & Søn + 1=2"), "customer")


def an_unknown_url_is_named(w) -> None:
    status, body = w.run(f"curl -X PUT {API}/customers -u {SECRET_KEY}:")
    equal((status, body["error"]["type"]), (404, "invalid_request_error"), "answer")
    true(body["error"]["message"].startswith("Unrecognized request URL (PUT: /v1/customers)"), body["error"]["message"])


def a_json_body_is_no_form(w) -> None:
    json = "-H 'Content-Type: application/json'"
    status, body = w.run(f"curl {API}/customers -u {SECRET_KEY}: {json} -d '{{\"name\": \"x\"}}'")
    equal((status, body["error"]["type"]), (400, "invalid_request_error"), "answer")


def a_deletion_answers_200_with_a_stub(w) -> None:
    _, customer = w.run(f"curl -X POST {API}/customers -u {SECRET_KEY}:")
    status, body = w.run(f"curl -X DELETE {API}/customers/{customer['id']} -u {SECRET_KEY}:")
    equal((status, body), (200, {"id": customer["id"], "object": "customer", "deleted": True}), "answer")
