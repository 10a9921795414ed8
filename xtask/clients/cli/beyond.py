"""What users of the CLI do besides the guide: read, list, search, correct, delete, and read a refusal."""

from shared.suite import equal, matches, true


def an_object_is_read_by_its_path(w) -> None:
    path = f"/v1/customers/{w.customer['id']}"
    customer = w.run(f"GET {path}", f"stripe get {path}")
    # The subscription has settled what the customer is billed in.
    equal(customer, {**w.customer, "currency": "usd"}, "customer")


def a_list_is_read_with_an_expansion(w) -> None:
    line = f"stripe subscriptions list --customer={w.customer['id']} --expand data.customer"
    subscriptions = w.run("GET /v1/subscriptions", line)
    equal([each["customer"]["name"] for each in subscriptions["data"]], ["John Doe"], "customers")


def a_search_finds_the_customer(w) -> None:
    found = w.run("GET /v1/customers/search", "stripe customers search --query \"name:'John Doe'\"")
    equal([customer["id"] for customer in found["data"]], [w.customer["id"]], "customers")


def a_field_is_changed_and_unset(w) -> None:
    request = f"POST /v1/customers/{w.customer['id']}"
    changed = w.run(request, f"stripe customers update {w.customer['id']} --description=VIP -d 'metadata[tier]=gold'")
    matches(changed, description="VIP", metadata={"tier": "gold"})
    unset = w.run(request, f"stripe customers update {w.customer['id']} -d description= -d 'metadata[tier]='")
    matches(unset, description=None, metadata={})


def a_meter_is_deactivated_and_reactivated(w) -> None:
    for verb, status in (("deactivate", "inactive"), ("reactivate", "active")):
        request = f"POST /v1/billing/meters/{w.meter['id']}/{verb}"
        meter = w.run(request, f"stripe billing meters {verb} {w.meter['id']}")
        equal(meter["status"], status, verb)


def an_event_is_canceled(w) -> None:
    event = (
        "stripe billing meter_events create --event-name=hypernian_tokens "
        f"-d 'payload[stripe_customer_id]={w.customer['id']}' -d 'payload[value]=7' --identifier=mistake"
    )
    w.run("POST /v1/billing/meter_events", event)
    line = (
        "stripe billing meter_event_adjustments create --event-name=hypernian_tokens --type=cancel "
        "--cancel.identifier=mistake"
    )
    adjustment = w.run("POST /v1/billing/meter_event_adjustments", line)
    matches(adjustment, status="complete", cancel={"identifier": "mistake"})


def a_key_given_twice_makes_one_customer(w) -> None:
    line = "stripe customers create --name=Once --idempotency once"
    first, again = (w.run("POST /v1/customers", line) for _ in range(2))
    equal(again, first, "the second answer")


def a_refusal_is_printed_as_stripe_words_it(w) -> None:
    error = w.run("GET /v1/customers/cus_nobody", "stripe customers retrieve cus_nobody", status=404)["error"]
    matches(error, type="invalid_request_error", code="resource_missing", message="No such customer: 'cus_nobody'")


def a_customer_is_deleted(w) -> None:
    customer = w.run("POST /v1/customers", "stripe customers create --name=Gone")
    gone = w.run(f"DELETE /v1/customers/{customer['id']}", f"stripe customers delete {customer['id']} --confirm")
    true(gone["deleted"], "it is not deleted")
