"""Refusals: each raises the class that the SDK documents, with its status, code and param."""

from shared.suite import equal, true
from stripe import AuthenticationError, PermissionError

from .client import ANY, refused


def a_wrong_key_is_an_authentication_error(w) -> None:
    stranger = w.clients.new("sk_test_NobodyKnowsThisKey123wxyz")
    error = refused(stranger.v1.customers.list, status=401, error=AuthenticationError)
    true(error.user_message.startswith("Invalid API Key provided: sk_test_*"), error.user_message)
    true(error.user_message.endswith("wxyz") and "Nobody" not in error.user_message, error.user_message)


def a_publishable_key_is_a_permission_error(w) -> None:
    browser = w.clients.new(w.server.key("--test", "--kind", "publishable"))
    # The SDK keeps the code of a 403 to itself.
    refused(browser.v1.customers.list, status=403, error=PermissionError)


def a_restricted_key_reads_what_it_may_and_nothing_else(w) -> None:
    reader = w.clients.new(w.server.key("--test", "--kind", "restricted", "--allow", "customer=read"))
    equal(reader.v1.customers.retrieve(w.customer.id).name, "John Doe", "name")
    error = refused(reader.v1.customers.create, {"name": "Eve"}, status=403, error=PermissionError)
    true("rak_customer_write" in error.user_message, error.user_message)
    refused(reader.v1.prices.list, status=403, error=PermissionError)


def live_mode_and_test_mode_do_not_see_each_other(w) -> None:
    live = w.clients.new(w.server.key("--live"))
    customer = live.v1.customers.create({"name": "Paying"})
    equal((customer.livemode, [each.id for each in live.v1.customers.list().data]), (True, [customer.id]), "live mode")
    missing = {"status": 404, "code": "resource_missing", "param": "id"}
    error = refused(live.v1.customers.retrieve, w.customer.id, **missing)
    true("exists in test mode, but a live mode key was used" in error.user_message, error.user_message)
    error = refused(w.client.v1.customers.retrieve, customer.id, **missing)
    true("exists in live mode, but a test mode key was used" in error.user_message, error.user_message)


def an_unknown_id_in_the_path_is_not_found(w) -> None:
    v1 = w.client.v1
    for resource, name in (
        (v1.customers, "customer"),
        (v1.prices, "price"),
        (v1.products, "product"),
        (v1.subscriptions, "subscription"),
        (v1.subscription_items, "subscription_item"),
    ):
        error = refused(resource.retrieve, "none_such", status=404, code="resource_missing", param="id")
        equal(error.user_message, f"No such {name}: 'none_such'", "message")
    refused(v1.billing.meters.retrieve, "none_such", status=404, code="resource_missing", param="id")


def an_id_of_another_kind_is_not_found(w) -> None:
    refused(w.client.v1.customers.retrieve, w.price.id, status=404, code="resource_missing", param="id")


def an_unknown_id_in_a_parameter_names_the_parameter(w) -> None:
    price = {"currency": "usd", "unit_amount": 7, "product": "prod_nothing"}
    error = refused(w.client.v1.prices.create, price, code="resource_missing", param="product")
    equal(error.user_message, "No such product: 'prod_nothing'", "message")
    items = {"customer": w.customer.id, "items": [{"price": "price_nothing"}]}
    refused(w.client.v1.subscriptions.create, items, code="resource_missing", param="items[0][price]")


def an_unknown_parameter_is_named_by_its_path(w) -> None:
    customer = {"nonsense": "1"}
    error = refused(w.client.v1.customers.create, customer, code="parameter_unknown", param="nonsense")
    true(error.user_message.startswith("Received unknown parameter: nonsense"), error.user_message)
    items = {"customer": w.customer.id, "items": [{"price": w.price.id, "foo": "bar"}]}
    refused(w.client.v1.subscriptions.create, items, code="parameter_unknown", param="items[0][foo]")


def a_near_miss_is_told_the_right_name(w) -> None:
    customer = {"emial": "a@example.com"}
    error = refused(w.client.v1.customers.create, customer, code="parameter_unknown", param="emial")
    true("email" in error.user_message, error.user_message)


def a_missing_parameter_is_named(w) -> None:
    price = {"unit_amount": 7, "product": "tokens_gold"}
    error = refused(w.client.v1.prices.create, price, code="parameter_missing", param="currency")
    equal(error.user_message, "Missing required param: currency.", "message")
    meter = {"display_name": "x", "event_name": "x", "default_aggregation": {}}
    refused(w.client.v1.billing.meters.create, meter, code="parameter_missing", param=ANY)


def a_value_of_the_wrong_type_is_refused(w) -> None:
    price = {"currency": "usd", "unit_amount": "abc", "product": "tokens_gold"}
    error = refused(w.client.v1.prices.create, price, code="parameter_invalid_integer", param="unit_amount")
    equal(error.user_message, "Invalid integer: abc", "message")


def a_value_outside_its_enum_is_refused(w) -> None:
    recurring = {"interval": "fortnight"}
    price = {"currency": "usd", "unit_amount": 7, "product": "tokens_gold", "recurring": recurring}
    refused(w.client.v1.prices.create, price, param="recurring[interval]")


def a_parameter_that_cannot_be_unset_is_not_unset(w) -> None:
    refused(w.client.v1.products.update, "tokens_gold", {"name": ""}, code="parameter_invalid_empty", param="name")


def an_unknown_url_is_not_found(w) -> None:
    error = refused(w.client.raw_request, "get", "/v1/nowhere", status=404)
    true(error.user_message.startswith("Unrecognized request URL (GET: /v1/nowhere)"), error.user_message)


def an_unknown_version_is_refused(w) -> None:
    stranger = w.clients.new(version="1999-01-01.disco")
    error = refused(stranger.v1.customers.list, code=ANY, param=ANY)
    true(error.user_message.startswith("Invalid Stripe API version"), error.user_message)
