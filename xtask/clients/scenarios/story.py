"""What scenarios start from: a shop with prices, and a customer who lives by a test clock."""

import time
from datetime import UTC, datetime

import stripe

HOUR = 3_600
DAY = 86_400
ADVANCED_WITHIN_S = 60
LOOKED_AT_EVERY_S = 0.01


def at(text: str) -> int:
    """`2026-04-01` or `2026-04-01T12:00` in UTC, as Stripe's seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


APRIL = at("2026-04-01")
MAY = at("2026-05-01")
JUNE = at("2026-06-01")


class Shop:
    """Prices and meters, made when they are first asked for."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self.client = client
        self._prices: dict[tuple, str] = {}
        self._meters: dict[str, str] = {}

    def price(self, amount: int, currency: str = "usd", interval: str = "month", name: str = "Seat") -> str:
        """A licensed price: `price(700)` is 7.00 USD a month."""
        recurring = {"interval": interval}
        return self._price((name, currency, interval, amount), currency, {"unit_amount": amount}, name, recurring)

    def metered(self, amount: int, event: str = "calls", name: str = "Calls") -> str:
        """A monthly price for each unit of what a meter sums."""
        recurring = {"interval": "month", "usage_type": "metered", "meter": self.meter(event)}
        return self._price((name, event, amount), "usd", {"unit_amount": amount}, name, recurring)

    def one_time(self, amount: int, name: str = "Setup") -> str:
        return self._price((name, "once", amount), "usd", {"unit_amount": amount}, name, None)

    def meter(self, event: str) -> str:
        if event not in self._meters:
            made = self.client.v1.billing.meters.create(
                {
                    "display_name": event,
                    "event_name": event,
                    "default_aggregation": {"formula": "sum"},
                }
            )
            self._meters[event] = made.id
        return self._meters[event]

    def _price(self, key: tuple, currency: str, amount: dict, name: str, recurring: dict | None) -> str:
        if key not in self._prices:
            terms = {"currency": currency, "product_data": {"name": name}} | amount
            if recurring is not None:
                terms["recurring"] = recurring
            self._prices[key] = self.client.v1.prices.create(terms).id
        return self._prices[key]


class Story:
    """A test clock and one customer who lives by it."""

    def __init__(self, w, start: int = APRIL, card: str | None = "pm_card_visa", **customer: object) -> None:
        self.client = w.client
        self.shop = w.shop
        self.v1 = w.client.v1
        self.clock = self.v1.test_helpers.test_clocks.create({"frozen_time": start, "name": "Scenario"}).id
        self.id = self.v1.customers.create({"test_clock": self.clock, "name": "Ada", "email": "ada@example.com"} | customer).id
        if card is not None:
            self.pays_with(card)

    def pays_with(self, card: str) -> str:
        """Makes a test card the customer's default."""
        method = self.v1.payment_methods.attach(card, {"customer": self.id}).id
        self.v1.customers.update(self.id, {"invoice_settings": {"default_payment_method": method}})
        return method

    def subscribe(self, *items: str | dict, **terms: object) -> stripe.Subscription:
        """Subscribes to prices, or to items in full."""
        full = [{"price": item} if isinstance(item, str) else item for item in items]
        return self.v1.subscriptions.create({"customer": self.id, "items": full} | terms)

    def sent(self, *items: str | dict, days: int = 30, **terms: object) -> stripe.Subscription:
        """Subscribes to be sent invoices."""
        return self.subscribe(*items, collection_method="send_invoice", days_until_due=days, **terms)

    def now(self) -> int:
        return self.v1.test_helpers.test_clocks.retrieve(self.clock).frozen_time

    def to(self, time_to: int | str) -> None:
        """Advances the clock and returns when it is ready."""
        target = at(time_to) if isinstance(time_to, str) else time_to
        clocks = self.v1.test_helpers.test_clocks
        clock = clocks.advance(self.clock, {"frozen_time": target})
        deadline = time.monotonic() + ADVANCED_WITHIN_S
        while clock.status != "ready":
            if clock.status == "internal_failure" or time.monotonic() > deadline:
                raise AssertionError(f"the clock did not get to {target}: {clock}")
            time.sleep(LOOKED_AT_EVERY_S)
            clock = clocks.retrieve(self.clock)
        if clock.frozen_time != target:
            raise AssertionError(f"the clock is at {clock.frozen_time}, expected {target}")

    def on(self, seconds: int) -> None:
        """Advances the clock by so many seconds."""
        self.to(self.now() + seconds)

    def used(self, value: int, when: int | None = None, event: str = "calls") -> int:
        """Reports usage, at the time of the clock if no other is given, and says when it happened."""
        payload = {"stripe_customer_id": self.id, "value": str(value)}
        self.shop.meter(event)
        at_a_time = {} if when is None else {"timestamp": when}
        made = self.v1.billing.meter_events.create({"event_name": event, "payload": payload} | at_a_time)
        return made.timestamp

    def summed(self, start: int, end: int, event: str = "calls") -> float:
        """What the meter says was used in a span."""
        span = {"customer": self.id, "start_time": start, "end_time": end}
        return self.v1.billing.meters.event_summaries.list(self.shop.meter(event), span).data[0].aggregated_value

    def sub(self, sub: stripe.Subscription | str) -> stripe.Subscription:
        """The subscription as it is now."""
        return self.v1.subscriptions.retrieve(sub if isinstance(sub, str) else sub.id)

    def latest(self, sub: stripe.Subscription | str) -> stripe.Invoice:
        """The latest invoice of a subscription."""
        return self.v1.invoices.retrieve(self.sub(sub).latest_invoice)

    def invoices(self, sub: stripe.Subscription | str) -> list[stripe.Invoice]:
        """All invoices of a subscription, oldest first."""
        listed = self.v1.invoices.list({"subscription": sub if isinstance(sub, str) else sub.id, "limit": 100})
        return listed.data[::-1]

    def balance(self) -> int:
        return self.v1.customers.retrieve(self.id).balance

    def events(self) -> list[str]:
        """The types of all events about this customer's invoices and subscriptions, oldest first."""
        found = self.v1.events.list({"limit": 100}).auto_paging_iter()
        return [each.type for each in found if _customer(each.data.object) == self.id][::-1]


def item(sub: stripe.Subscription, place: int = 0) -> stripe.SubscriptionItem:
    return sub["items"].data[place]


def amounts(invoice: stripe.Invoice) -> list[int]:
    """The amounts of an invoice's lines, the smallest first: their order is not the scenarios' concern."""
    return sorted(line.amount for line in invoice.lines.data)


def periods(invoice: stripe.Invoice) -> list[tuple[int, int, int]]:
    """Of each line its amount and period, the smallest amount first."""
    return sorted((line.amount, line.period.start, line.period.end) for line in invoice.lines.data)


def _customer(thing) -> str | None:
    return thing.id if thing.object == "customer" else getattr(thing, "customer", None)
