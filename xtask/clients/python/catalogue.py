"""Products, prices and customers: exact amounts, what may change and what may not."""

from decimal import Decimal

from shared.suite import equal, matches, prefixed, true
from stripe import Product

from .client import ANY, refused


def a_product_takes_the_id_that_its_creator_chose(w) -> None:
    w.product = w.client.v1.products.create({"id": "tokens_gold", "name": "Gold", "unit_label": "token"})
    matches(w.product, id="tokens_gold", unit_label="token", description=None, default_price=None)
    taken = {"id": "tokens_gold", "name": "Again"}
    refused(w.client.v1.products.create, taken, code="resource_already_exists", param="id")


def a_product_is_updated_and_a_cleared_field_reads_none(w) -> None:
    product = w.client.v1.products.update("tokens_gold", {"name": "Gold tokens", "description": "By the token"})
    matches(product, name="Gold tokens", description="By the token", active=True)
    product = w.client.v1.products.update("tokens_gold", {"description": "", "active": False})
    matches(product, name="Gold tokens", description=None, active=False)
    matches(w.client.v1.products.update("tokens_gold", {"active": True}), active=True)


def a_product_brings_a_default_price(w) -> None:
    monthly = {"currency": "usd", "unit_amount": 1500, "recurring": {"interval": "month"}}
    product = w.client.v1.products.create({"name": "Seat", "default_price_data": monthly})
    prefixed(product.default_price, "price_")
    w.seat = w.client.v1.prices.retrieve(product.default_price)
    matches(w.seat, unit_amount=1500, product=product.id, type="recurring", recurring__usage_type="licensed")


def a_product_with_prices_cannot_be_deleted_and_one_without_can(w) -> None:
    refused(w.client.v1.products.delete, w.seat.product, code=ANY, param=ANY)
    spare = w.client.v1.products.create({"name": "Spare"})
    gone = w.client.v1.products.delete(spare.id)
    equal(type(gone), Product, "type")
    matches(gone, id=spare.id, deleted=True)
    refused(w.client.v1.products.retrieve, spare.id, status=404, code="resource_missing", param="id")


def a_fraction_of_a_cent_is_kept_exactly(w) -> None:
    w.fraction = w.client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount_decimal": Decimal("0.000000000007"),
            "recurring": {"interval": "month", "usage_type": "metered", "meter": w.meter.id},
            "product": "tokens_gold",
        }
    )
    matches(w.fraction, unit_amount=None, unit_amount_decimal=Decimal("0.000000000007"), product="tokens_gold")


def a_whole_decimal_amount_reads_as_both_forms(w) -> None:
    price = w.client.v1.prices.create(
        {"currency": "eur", "unit_amount_decimal": Decimal("1300"), "product": "tokens_gold"}
    )
    matches(price, unit_amount=1300, unit_amount_decimal=Decimal("1300"), type="one_time", recurring=None)


def a_thirteenth_decimal_is_refused(w) -> None:
    price = {"currency": "usd", "unit_amount_decimal": "0.0000000000007", "product": "tokens_gold"}
    refused(w.client.v1.prices.create, price, code=ANY, param="unit_amount_decimal")


def the_tiers_of_a_price_are_shown_when_expanded(w) -> None:
    created = w.client.v1.prices.create(
        {
            "currency": "usd",
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [
                {"up_to": 5, "unit_amount": 500, "flat_amount": 1000},
                {"up_to": 10, "unit_amount": 400, "flat_amount": 2000},
                {"up_to": "inf", "unit_amount_decimal": Decimal("300.5"), "flat_amount": 3000},
            ],
            "recurring": {"interval": "month"},
            "product": "tokens_gold",
        }
    )
    true("tiers" not in created, "tiers are shown without being expanded")
    matches(created, unit_amount=None, unit_amount_decimal=None, tiers_mode="graduated")
    price = w.client.v1.prices.retrieve(created.id, {"expand": ["tiers"]})
    equal([tier.up_to for tier in price.tiers], [5, 10, None], "up_to")
    matches(price.tiers[0], unit_amount=500, unit_amount_decimal=Decimal("500"), flat_amount=1000)
    matches(price.tiers[2], unit_amount=None, unit_amount_decimal=Decimal("300.5"), flat_amount_decimal=Decimal("3000"))
    w.graduated = created


def the_currencies_of_a_price_are_shown_when_expanded(w) -> None:
    price = w.client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 700,
            "currency_options": {"eur": {"unit_amount": 600}, "jpy": {"unit_amount": 1100}},
            "product": "tokens_gold",
            "expand": ["currency_options"],
        }
    )
    options = price.currency_options
    equal({code: options[code].unit_amount for code in ("usd", "eur", "jpy")}, {"usd": 700, "eur": 600, "jpy": 1100})
    true("currency_options" not in w.client.v1.prices.retrieve(price.id), "currency_options without being expanded")


def a_lookup_key_moves_to_the_price_that_claims_it(w) -> None:
    price = {"currency": "usd", "unit_amount": 100, "product": "tokens_gold", "lookup_key": "gold_monthly"}
    first = w.client.v1.prices.create(price)
    refused(w.client.v1.prices.create, price, param="lookup_key")
    second = w.client.v1.prices.create(price | {"transfer_lookup_key": True})
    matches(w.client.v1.prices.retrieve(first.id), lookup_key=None, active=True)
    found = w.client.v1.prices.list({"lookup_keys": ["gold_monthly"]})
    equal([price.id for price in found.data], [second.id], "prices with the key")


def the_amount_of_a_price_never_changes(w) -> None:
    change = {"unit_amount": 5}
    refused(w.client.v1.prices.update, w.price.id, change, code="parameter_unknown", param="unit_amount")
    matches(w.client.v1.prices.update(w.price.id, {"nickname": "Guide"}), nickname="Guide", unit_amount=4)


def a_metered_price_needs_a_meter(w) -> None:
    metered = {"interval": "month", "usage_type": "metered"}
    price = {"currency": "usd", "unit_amount": 4, "product": "tokens_gold", "recurring": metered}
    error = refused(w.client.v1.prices.create, price)
    true("must be backed by meters" in error.user_message, error.user_message)


def a_customer_is_updated_and_a_cleared_field_reads_none(w) -> None:
    jane = w.client.v1.customers.create(
        {"name": "Jane Roe", "email": "jane@example.com", "description": "first", "address": {"country": "NL"}}
    )
    matches(jane, email="jane@example.com", description="first", address__country="NL", address__city=None)
    jane = w.client.v1.customers.update(jane.id, {"description": "", "phone": "+31 20 123"})
    matches(jane, description=None, phone="+31 20 123", email="jane@example.com")


def a_deleted_customer_reads_as_a_stub(w) -> None:
    customer = w.client.v1.customers.create({"name": "Gone"})
    matches(w.client.v1.customers.delete(customer.id), id=customer.id, object="customer", deleted=True)
    matches(w.client.v1.customers.retrieve(customer.id), id=customer.id, object="customer", deleted=True)
    true(customer.id not in [c.id for c in w.client.v1.customers.list({"limit": 100}).data], "it is still listed")
