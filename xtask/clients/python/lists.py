"""Lists of every resource of the guide: their order, filters and pages, walked by the SDK's own paging."""

from shared.suite import equal, true

from .client import refused


def seven_customers_come_newest_first_over_four_pages(w) -> None:
    w.crowd = [w.client.v1.customers.create({"email": "crowd@example.com", "name": f"No {n}"}) for n in range(7)]
    page = w.client.v1.customers.list({"email": "crowd@example.com", "limit": 2})
    equal((page.object, page.has_more, page.url, len(page.data)), ("list", True, "/v1/customers", 2), "page")
    names = [customer.name for customer in page.auto_paging_iter()]
    equal(names, [f"No {n}" for n in (6, 5, 4, 3, 2, 1, 0)], "names")


def paging_backwards_comes_oldest_first(w) -> None:
    page = w.client.v1.customers.list({"email": "crowd@example.com", "limit": 2, "ending_before": w.crowd[1].id})
    equal([customer.name for customer in page.data], ["No 3", "No 2"], "page")
    names = [customer.name for customer in page.auto_paging_iter()]
    equal(names, [f"No {n}" for n in (2, 3, 4, 5, 6)], "names")


def a_limit_out_of_range_is_brought_into_it(w) -> None:
    for limit, expected in ((0, 1), (3, 3), (101, 7)):
        page = w.client.v1.customers.list({"email": "crowd@example.com", "limit": limit})
        equal(len(page.data), expected, f"customers with a limit of {limit}")


def an_unknown_cursor_is_refused(w) -> None:
    after = {"starting_after": "cus_nobody"}
    refused(w.client.v1.customers.list, after, code="resource_missing", param="starting_after")


def customers_are_listed_by_time_of_creation(w) -> None:
    created = w.crowd[0].created
    customers = w.client.v1.customers
    true(w.customer.id in _ids(customers, created={"lte": created}), "the first customer is missing")
    true({customer.id for customer in w.crowd} <= {*_ids(customers, created={"gte": created})}, "the crowd is missing")
    equal(_ids(customers, created={"gt": created + 3600}), [], "customers of the future")


def meters_are_listed_by_status(w) -> None:
    idle = w.client.v1.billing.meters.create(
        {"display_name": "Idle", "event_name": "idle", "default_aggregation": {"formula": "count"}}
    )
    w.client.v1.billing.meters.deactivate(idle.id)
    equal(_ids(w.client.v1.billing.meters, status="inactive"), [idle.id], "inactive meters")
    active = w.client.v1.billing.meters.list({"status": "active", "limit": 2})
    names = [meter.event_name for meter in active.auto_paging_iter()]
    equal(names, ["late", "seats_in_use", "logins", "gpu_hours", "hypernian_tokens"], "active meters")
    equal(len(_ids(w.client.v1.billing.meters)), 6, "meters of either status")


def products_are_listed_by_id_and_activity(w) -> None:
    listed = w.client.v1.products.list({"ids": ["tokens_gold", w.price.product]})
    equal({product.id for product in listed.data}, {"tokens_gold", w.price.product}, "products")
    w.client.v1.products.create({"name": "Retired", "active": False})
    equal([product.name for product in w.client.v1.products.list({"active": False}).data], ["Retired"], "inactive")


def prices_are_listed_by_product_meter_and_kind(w) -> None:
    prices = w.client.v1.prices
    equal(_ids(prices, product=w.price.product), [w.price.id], "prices of the product")
    metered = _ids(prices, recurring={"meter": w.meter.id, "usage_type": "metered"})
    equal(metered, [w.fraction.id, w.price.id], "prices on the meter")
    euro = prices.list({"type": "one_time", "currency": "eur"}).data
    equal([(price.currency, price.unit_amount) for price in euro], [("eur", 1300)], "one-time prices in euro")
    prices.update(w.graduated.id, {"active": False})
    equal(_ids(prices, active=False), [w.graduated.id], "inactive prices")


def subscriptions_are_listed_by_customer_price_and_status(w) -> None:
    subscriptions = w.client.v1.subscriptions
    equal(_ids(subscriptions, customer=w.customer.id), [w.subscription.id], "by customer")
    equal(_ids(subscriptions, price=w.seat.id), [w.seats.id], "by price")
    equal(_ids(subscriptions, collection_method="send_invoice"), [w.seats.id], "by collection method")
    true(w.classic.id not in _ids(subscriptions, status="active"), "a cancelled subscription is listed as active")


def the_items_of_a_subscription_are_listed(w) -> None:
    items = w.client.v1.subscription_items.list({"subscription": w.seats.id})
    equal([(item.price.id, item.quantity) for item in items.data], [(w.seat.id, 7)], "items")


def an_empty_list_is_a_list(w) -> None:
    page = w.client.v1.customers.list({"email": "nobody@example.com"})
    equal((page.object, page.data, page.has_more), ("list", [], False), "page")


def _ids(resource, **filters: object) -> list[str]:
    return [each.id for each in resource.list({"limit": 100, **filters}).data]
