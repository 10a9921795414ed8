"""Subscriptions with licensed items, their first invoice, and previews of every kind of price."""

from decimal import Decimal

from shared.suite import equal, matches, prefixed
from stripe import Customer, Invoice, Product

from .client import ACACIA, ANY, refused


def a_licensed_subscription_sent_by_invoice_starts_with_a_draft(w) -> None:
    w.buyer = w.client.v1.customers.create({"name": "Acme", "email": "billing@acme.example"})
    w.seats = w.client.v1.subscriptions.create(
        {
            "customer": w.buyer.id,
            "items": [{"price": w.seat.id, "quantity": 7, "metadata": {"team": "red"}}],
            "collection_method": "send_invoice",
            "days_until_due": 30,
            "metadata": {"plan": "team"},
            "expand": ["latest_invoice", "customer", "items.data.price.product"],
        }
    )
    matches(w.seats, status="active", collection_method="send_invoice", days_until_due=30, metadata__plan="team")
    equal(type(w.seats.customer), Customer, "type of the expanded customer")
    item = w.seats["items"].data[0]
    matches(item, quantity=7, metadata__team="red", price__product__name="Seat")
    equal(type(item.price.product), Product, "type of the expanded product")
    invoice = w.seats.latest_invoice
    equal(type(invoice), Invoice, "type of the expanded invoice")
    prefixed(invoice.id, "in_")
    # 7 seats at 15.00 USD.
    matches(invoice, status="draft", billing_reason="subscription_create", customer=w.buyer.id, number=None)
    equal(invoice.total, 10500, "total")
    equal([(line.quantity, line.amount) for line in invoice.lines.data], [(7, 10500)], "lines")


def a_licensed_subscription_needs_something_to_pay_with(w) -> None:
    subscription = {"customer": w.buyer.id, "items": [{"price": w.seat.id}]}
    refused(w.client.v1.subscriptions.create, subscription, code="resource_missing")


def the_metadata_and_items_of_a_subscription_change(w) -> None:
    subscription = w.client.v1.subscriptions.update(w.seats.id, {"metadata": {"plan": "", "tier": "gold"}})
    equal(subscription.metadata.to_dict(), {"tier": "gold"}, "metadata")
    item = w.client.v1.subscription_items.update(w.seats["items"].data[0].id, {"metadata": {"team": "blue"}})
    matches(item, subscription=w.seats.id, quantity=7, metadata__team="blue")
    equal(w.client.v1.subscription_items.retrieve(item.id).to_dict(), item.to_dict(), "item")


def a_metered_item_has_no_quantity_to_set(w) -> None:
    subscription = {"customer": w.customer.id, "items": [{"price": w.price.id, "quantity": 3}]}
    refused(w.client.v1.subscriptions.create, subscription, code=ANY, param="items[0][quantity]")


def one_price_twice_on_a_subscription_is_refused(w) -> None:
    subscription = {"customer": w.customer.id, "items": [{"price": w.price.id}, {"price": w.price.id}]}
    refused(w.client.v1.subscriptions.create, subscription, param="plan")


def a_classic_metered_subscription_starts_with_a_zero_invoice(w) -> None:
    customer = w.client.v1.customers.create({"name": "Classic"})
    subscription = w.client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": w.price.id}],
            "billing_mode": {"type": "classic"},
            "expand": ["latest_invoice"],
        }
    )
    matches(subscription, status="active", billing_mode__type="classic")
    matches(subscription.latest_invoice, total=0, status="paid", billing_reason="subscription_create")
    equal([line.amount for line in subscription.latest_invoice.lines.data], [0], "lines")
    w.classic = subscription


def a_cancelled_subscription_is_listed_only_on_request(w) -> None:
    cancelled = w.client.v1.subscriptions.cancel(w.classic.id)
    matches(cancelled, status="canceled", cancellation_details__reason="cancellation_requested")
    equal(cancelled.ended_at, cancelled.canceled_at, "ended_at")
    for status, expected in (({}, []), ({"status": "canceled"}, [w.classic.id]), ({"status": "all"}, [w.classic.id])):
        listed = w.client.v1.subscriptions.list({"customer": w.classic.customer} | status)
        equal([subscription.id for subscription in listed.data], expected, f"subscriptions with {status}")
    refused(w.client.v1.subscriptions.cancel, w.classic.id, status=404, code="resource_missing", param="id")


def a_cancelled_subscription_has_no_upcoming_invoice(w) -> None:
    preview = {"subscription": w.classic.id}
    refused(w.client.v1.invoices.create_preview, preview, status=404, code="invoice_upcoming_none", param=ANY)


def a_preview_by_customer_is_the_preview_of_the_subscription(w) -> None:
    invoice = w.client.v1.invoices.create_preview({"customer": w.customer.id})
    matches(invoice, total=124, parent__subscription_details__subscription=w.subscription.id)


def graduated_tiers_bill_each_step_of_the_way(w) -> None:
    # 12 units: 5 at 5.00 + 10.00, 5 at 4.00 + 20.00, 2 at 3.005 + 30.00 = 35.00 + 40.00 + 36.01 USD.
    invoice = _simulate(w, w.graduated.id, 12)
    equal(
        [(line.quantity, line.amount) for line in invoice.lines.data],
        [(5, 2500), (0, 1000), (5, 2000), (0, 2000), (2, 601), (0, 3000)],
        "lines",
    )
    equal(invoice.total, 11101, "total")


def volume_tiers_bill_the_one_tier_reached(w) -> None:
    tiers = [(5, 500, 1000), (10, 400, 2000), (15, 300, 3000), (20, 200, 4000), ("inf", 100, 5000)]
    price = w.client.v1.prices.create(
        {
            "currency": "usd",
            "billing_scheme": "tiered",
            "tiers_mode": "volume",
            "tiers": [{"up_to": up_to, "unit_amount": unit, "flat_amount": flat} for up_to, unit, flat in tiers],
            "recurring": {"interval": "month"},
            "product": "tokens_gold",
        }
    )
    # 12 units are in the third tier: 12 at 3.00 + 30.00 USD.
    invoice = _simulate(w, price.id, 12)
    equal([(line.quantity, line.amount) for line in invoice.lines.data], [(12, 3600), (0, 3000)], "lines")
    equal(invoice.total, 6600, "total")


def a_line_is_rounded_once_and_half_goes_up(w) -> None:
    price = w.client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount_decimal": Decimal("0.05"),
            "recurring": {"interval": "month"},
            "product": "tokens_gold",
        }
    )
    # 30 at 0.05 cents are 1.5 cents.
    equal([line.amount for line in _simulate(w, price.id, 30).lines.data], [2], "lines")


def an_older_client_reads_the_upcoming_invoice_in_its_own_shape(w) -> None:
    older = w.clients.new(version=ACACIA)
    answer = older.raw_request("get", f"/v1/invoices/upcoming?subscription={w.subscription.id}")
    invoice, line = answer.data, answer.data["lines"]["data"][0]
    equal((invoice["object"], invoice["total"], invoice["subscription"]), ("invoice", 124, w.subscription.id))
    matches(line, amount=124, quantity=3025, price__id=w.price.id, type="subscription")
    subscription = older.v1.subscriptions.retrieve(w.subscription.id)
    equal(subscription["current_period_end"], w.item.current_period_end, "current_period_end")


def todays_client_finds_no_upcoming_endpoint(w) -> None:
    url = f"/v1/invoices/upcoming?subscription={w.subscription.id}"
    refused(w.client.raw_request, "get", url, status=404, code=ANY, param=ANY)


def _simulate(w, price: str, quantity: int) -> Invoice:
    """Previews the first invoice of a subscription that does not exist."""
    items = [{"price": price, "quantity": quantity}]
    return w.client.v1.invoices.create_preview({"customer": w.buyer.id, "subscription_details": {"items": items}})

