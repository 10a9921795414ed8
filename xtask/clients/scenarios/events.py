"""What is told of all this: the events of G3 of the reference, in the order in which things happen."""

from shared.suite import equal, matches, true
from stripe import Event

from .story import APRIL, DAY, HOUR, MAY, Story, item


def g3_a_subscription_that_is_paid_at_once_tells_so(w) -> None:
    story = Story(w)
    story.subscribe(w.shop.price(700))
    _in_order(story.events(), "customer.created", "customer.subscription.created")
    _in_order(story.events(), "invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_succeeded")
    _in_order(story.events(), "charge.succeeded", "invoice.paid")


def g3_a_renewal_is_announced_and_told(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.to(MAY - 7 * DAY)
    upcoming = _of(story, "invoice.upcoming")
    equal(len(upcoming), 1, "invoice.upcoming")
    matches(upcoming[0].data.object, total=700, customer=story.id, next_payment_attempt=MAY + HOUR)
    matches(upcoming[0], created=MAY - 7 * DAY, request__id=None)
    before = len(story.events())
    story.to(MAY)
    equal(sorted(story.events()[before:]), ["customer.subscription.updated", "invoice.created"], "events at the boundary")
    updated = _of(story, "customer.subscription.updated")[-1]
    true("items" in updated.data.previous_attributes.to_dict(), "items are not among previous_attributes")
    matches(updated, created=MAY, request__id=None)
    before = len(story.events())
    story.on(HOUR)
    later = story.events()[before:]
    _in_order(later, "invoice.finalized", "charge.succeeded", "invoice.paid", "invoice.payment_succeeded")
    matches(story.latest(sub), status="paid")


def g3_the_end_of_a_trial_is_announced_three_days_before(w) -> None:
    story = Story(w)
    story.subscribe(w.shop.price(700), trial_period_days=14)
    story.to(APRIL + 11 * DAY - 1)
    equal(_of(story, "customer.subscription.trial_will_end"), [], "too early")
    story.on(1)
    told = _of(story, "customer.subscription.trial_will_end")
    equal([each.created for each in told], [APRIL + 11 * DAY], "when")
    matches(told[0].data.object, status="trialing", trial_end=APRIL + 14 * DAY)


def g3_a_short_trial_is_announced_at_once(w) -> None:
    story = Story(w)
    story.subscribe(w.shop.price(700), trial_period_days=2)
    equal(len(_of(story, "customer.subscription.trial_will_end")), 1, "events")


def g3_a_payment_that_fails_tells_so(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.pays_with("pm_card_chargeCustomerFail")
    story.to(MAY)
    story.on(HOUR)
    failed = _of(story, "invoice.payment_failed")
    equal([each.data.object.id for each in failed], [story.latest(sub).id], "invoices")
    past_due = next(each for each in _of(story, "customer.subscription.updated") if each.data.object.status == "past_due")
    equal(past_due.data.previous_attributes["status"], "active", "status before")


def g3_a_change_tells_what_was_before(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.v1.subscription_items.update(item(sub).id, {"quantity": 3, "proration_behavior": "none"})
    updated = _of(story, "customer.subscription.updated")[-1]
    matches(updated.data.object["items"]["data"][0], quantity=3)
    matches(updated.data.previous_attributes["items"]["data"][0], quantity=1)
    true(updated.request.id.startswith("req_"), "no request")


def g3_a_clock_tells_where_it_is(w) -> None:
    story = Story(w)
    story.on(DAY)
    found = w.client.v1.events.list({"type": "test_helpers.test_clock.*", "limit": 100}).data
    types = [each.type.split(".")[-1] for each in found if each.data.object.id == story.clock]
    equal(types[::-1], ["created", "advancing", "ready"], "events")


def _of(story: Story, kind: str) -> list[Event]:
    """This customer's events of a kind, oldest first."""
    found = story.v1.events.list({"type": kind, "limit": 100}).auto_paging_iter()
    return [each for each in found if getattr(each.data.object, "customer", None) == story.id][::-1]


def _in_order(happened: list[str], *expected: str) -> None:
    places = [happened.index(each) if each in happened else None for each in expected]
    true(None not in places and places == sorted(places), f"{expected} in {happened} are at {places}")
