"""What every endpoint shares: metadata, expansion, idempotent retries, search, request ids."""

import stripe
from shared.suite import equal, matches, prefixed, true
from stripe import IdempotencyError

from .client import ANY, refused


def metadata_is_merged_by_key_and_an_empty_value_unsets_it(w) -> None:
    customer = w.client.v1.customers.create({"name": "Meta", "metadata": {"a": "1", "b": "2"}})
    for change, expected in (
        ({"b": "3", "c": "4"}, {"a": "1", "b": "3", "c": "4"}),
        ({"a": ""}, {"b": "3", "c": "4"}),
        ("", {}),
    ):
        customer = w.client.v1.customers.update(customer.id, {"metadata": change})
        equal(customer.metadata.to_dict(), expected, f"metadata after {change!r}")


def metadata_has_its_limits(w) -> None:
    for metadata in ({"k" * 41: "v"}, {"k": "v" * 501}, {f"k{n}": "v" for n in range(51)}):
        refused(w.client.v1.customers.create, {"metadata": metadata}, code=ANY, param=ANY)


def an_id_is_expanded_into_its_object(w) -> None:
    subscription = w.client.v1.subscriptions.retrieve(w.subscription.id, {"expand": ["customer"]})
    equal(type(subscription.customer), stripe.Customer, "type")
    equal(subscription.customer.name, "John Doe", "name")
    prices = w.client.v1.prices.list({"product": w.price.product, "expand": ["data.product"]})
    equal([price.product.name for price in prices.data], ["Hypernian tokens"], "products")


def what_cannot_be_expanded_is_refused(w) -> None:
    for path, message in (
        ("foo", "This property cannot be expanded because it doesn't exist: foo."),
        ("metadata", "This property cannot be expanded (metadata)."),
    ):
        error = refused(w.client.v1.customers.retrieve, w.customer.id, {"expand": [path]})
        equal(error.user_message, message, "message")
    deep = {"expand": ["data.a.b.c.d"]}
    refused(w.client.v1.subscriptions.list, deep, code="property_expansion_max_depth")


def a_retry_with_the_same_key_is_replayed(w) -> None:
    w.retry = ({"name": "Once"}, {"idempotency_key": "create-once"})
    first = w.client.v1.customers.create(*w.retry)
    again = w.client.v1.customers.create(*w.retry)
    equal(again.to_dict(), first.to_dict(), "the second answer")
    true("Idempotent-Replayed" not in first.last_response.headers, "the first answer says that it is a replay")
    equal(again.last_response.headers["Idempotent-Replayed"], "true", "Idempotent-Replayed")
    equal(again.last_response.headers["Idempotency-Key"], "create-once", "Idempotency-Key")
    equal(len(w.client.v1.customers.search({"query": "name:'Once'"}).data), 1, "customers made")
    w.once = first


def the_same_key_with_other_parameters_is_refused(w) -> None:
    refused(w.client.v1.customers.create, {"name": "Twice"}, {"idempotency_key": "create-once"}, error=IdempotencyError)
    refused(w.client.v1.products.create, {"name": "Once"}, {"idempotency_key": "create-once"}, error=IdempotencyError)


def every_answer_names_its_request_and_version(w) -> None:
    first, second = (w.client.v1.customers.retrieve(w.customer.id).last_response for _ in range(2))
    prefixed(first.request_id, "req_")
    true(first.request_id != second.request_id, "two answers have the same request id")
    equal(first.headers["Stripe-Version"], stripe.api_version, "Stripe-Version")


def customers_are_found_by_name_email_and_metadata(w) -> None:
    found = w.client.v1.customers.create(
        {"name": "Search Me Please", "email": "needle@haystack.example", "metadata": {"color": "red"}}
    )
    for query in (
        "name:'search me please'",
        'email:"needle@haystack.example"',
        "email~'haystack'",
        "metadata['color']:'red'",
        "-metadata['color']:null AND name~'search'",
        f"email:'needle@haystack.example' created>={found.created}",
        "name:'nobody' OR email:'needle@haystack.example'",
    ):
        answer = w.client.v1.customers.search({"query": query})
        equal(answer.object, "search_result", "object")
        equal([customer.id for customer in answer.data], [found.id], query)


def products_prices_subscriptions_and_invoices_are_found(w) -> None:
    v1 = w.client.v1
    for resource, query, expected in (
        (v1.products, "name:'Hypernian tokens' AND active:'true'", w.price.product),
        (v1.prices, f"product:'{w.price.product}'", w.price.id),
        (v1.subscriptions, "status:'active' AND metadata['tier']:'gold'", w.seats.id),
        (v1.invoices, f"customer:'{w.buyer.id}' AND total>10499", w.seats.latest_invoice.id),
    ):
        equal([found.id for found in resource.search({"query": query}).data], [expected], query)


def a_search_is_paged_and_counted_on_request(w) -> None:
    for number in range(5):
        w.client.v1.customers.create({"name": f"Page {number}", "metadata": {"paged": "yes"}})
    query = {"query": "metadata['paged']:'yes'", "limit": 2, "expand": ["total_count"]}
    first = w.client.v1.customers.search(query)
    matches(first, total_count=5, has_more=True, url="/v1/customers/search")
    names = [customer.name for customer in first.auto_paging_iter()]
    equal(names, [f"Page {number}" for number in (4, 3, 2, 1, 0)], "names, newest first")


def a_malformed_search_is_refused(w) -> None:
    for query in ("name:", "name:John", "(name:'a')", "name:'a' AND name:'b' OR name:'c'", "color:'red'", "name>'a'"):
        refused(w.client.v1.customers.search, {"query": query}, code=ANY, param=ANY)
