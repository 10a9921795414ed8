"""How subscriptions end: a check for each statement of E8 of the reference."""

from python.client import ANY, refused
from shared.suite import equal, matches, true

from .story import APRIL, DAY, HOUR, MAY, Story, amounts, at, item, periods


def e8_canceled_now_bills_and_gives_back_nothing(w) -> None:
    story, sub = _with_usage(w)
    ended = story.v1.subscriptions.cancel(sub.id)
    now = at("2026-04-11")
    matches(ended, status="canceled", canceled_at=now, ended_at=now, latest_invoice=sub.latest_invoice)
    matches(ended, cancellation_details__reason="cancellation_requested")
    true("customer.subscription.deleted" in story.events(), "no event")
    story.to(MAY)
    story.on(HOUR)
    # Usage that was not billed is dropped.
    equal([each.total for each in story.invoices(sub)], [3_000], "totals")
    equal(story.balance(), 0, "balance")


def e8_invoice_now_bills_usage_until_now(w) -> None:
    story, sub = _with_usage(w)
    ended = story.v1.subscriptions.cancel(sub.id, {"invoice_now": True})
    last = story.v1.invoices.retrieve(ended.latest_invoice)
    equal(periods(last), [(303, APRIL, at("2026-04-11"))], "lines")
    matches(last, status="paid", amount_paid=303)


def e8_prorate_gives_unused_time_back(w) -> None:
    story, sub = _with_usage(w)
    ended = story.v1.subscriptions.cancel(sub.id, {"invoice_now": True, "prorate": True})
    last = story.v1.invoices.retrieve(ended.latest_invoice)
    # 20 of 30 days.
    equal(amounts(last), [-2_000, 303], "lines")
    matches(last, total=-1_697, status="paid", amount_due=0)
    equal(story.balance(), -1_697, "balance")


def e8_prorate_alone_leaves_the_credit_pending(w) -> None:
    story, sub = _with_usage(w)
    ended = story.v1.subscriptions.cancel(sub.id, {"prorate": True})
    matches(ended, latest_invoice=sub.latest_invoice)
    pending = story.v1.invoice_items.list({"customer": story.id, "pending": True}).data
    equal([each.amount for each in pending], [-2_000], "pending")


def e8_pending_prorations_go_and_other_items_stay(w) -> None:
    story, sub = _with_usage(w)
    licensed = next(each for each in sub["items"].data if each.price.recurring.usage_type == "licensed")
    story.v1.subscriptions.update(sub.id, {"items": [{"id": licensed.id, "quantity": 2}]})
    story.v1.invoice_items.create({"customer": story.id, "amount": 311, "currency": "usd"})
    story.v1.subscriptions.cancel(sub.id)
    pending = story.v1.invoice_items.list({"customer": story.id, "pending": True}).data
    equal([(each.amount, each.proration) for each in pending], [(311, False)], "pending")


def e8_pending_prorations_are_billed_by_invoice_now(w) -> None:
    story, sub = _with_usage(w)
    licensed = next(each for each in sub["items"].data if each.price.recurring.usage_type == "licensed")
    story.v1.subscriptions.update(sub.id, {"items": [{"id": licensed.id, "quantity": 2}]})
    ended = story.v1.subscriptions.cancel(sub.id, {"invoice_now": True})
    equal(amounts(story.v1.invoices.retrieve(ended.latest_invoice)), [-2_000, 303, 4_000], "lines")


def e8_open_invoices_are_not_advanced_any_more(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.pays_with("pm_card_chargeCustomerFail")
    story.to(MAY)
    story.on(HOUR)
    open_one = story.latest(sub)
    matches(open_one, status="open", auto_advance=True)
    story.v1.subscriptions.cancel(sub.id)
    matches(story.v1.invoices.retrieve(open_one.id), status="open", auto_advance=False)
    story.on(10 * DAY)
    matches(story.v1.invoices.retrieve(open_one.id), status="open", attempt_count=1)


def e8_at_period_end_bills_the_last_usage_and_nothing_ahead(w) -> None:
    story, sub = _with_usage(w)
    now = at("2026-04-11")
    ending = story.v1.subscriptions.update(sub.id, {"cancel_at_period_end": True})
    matches(ending, status="active", cancel_at_period_end=True, cancel_at=MAY, canceled_at=now)
    matches(ending, cancellation_details__reason="cancellation_requested")
    story.to(MAY)
    matches(story.sub(sub), status="canceled", ended_at=MAY, canceled_at=now)
    equal(periods(story.latest(sub)), [(303, APRIL, MAY)], "lines")
    story.on(HOUR)
    matches(story.latest(sub), status="paid", amount_paid=303)
    story.to("2026-06-02")
    equal([each.total for each in story.invoices(sub)], [3_000, 303], "totals")


def e8_at_period_end_may_be_taken_back(w) -> None:
    story, sub = _with_usage(w)
    update = story.v1.subscriptions.update
    update(sub.id, {"cancel_at_period_end": True})
    matches(update(sub.id, {"cancel_at_period_end": False}), cancel_at=None, canceled_at=None, cancel_at_period_end=False)
    story.to(MAY)
    matches(story.sub(sub), status="active")
    equal(amounts(story.latest(sub)), [303, 3_000], "lines")


def e8_an_end_at_a_date_gives_the_rest_back(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    end = at("2026-04-21")
    set_to = story.v1.subscriptions.update(sub.id, {"cancel_at": end, "proration_behavior": "always_invoice"})
    matches(set_to, status="active", cancel_at=end, canceled_at=APRIL)
    # The last 10 of 30 days.
    matches(story.latest(sub), total=-1_000, status="paid")
    story.to(end)
    matches(story.sub(sub), status="canceled", ended_at=end)
    equal(story.balance(), -1_000, "balance")


def e8_an_end_at_a_date_without_proration_gives_nothing_back(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), w.shop.metered(3))
    end = at("2026-04-21")
    story.v1.subscriptions.update(sub.id, {"cancel_at": end, "proration_behavior": "none"})
    story.on(DAY)
    story.used(101, APRIL + HOUR)
    story.to(end)
    matches(story.sub(sub), status="canceled", ended_at=end)
    equal(story.balance(), 0, "balance")
    equal([each.total for each in story.invoices(sub)], [3_000, 303], "totals")


def e8_the_end_of_a_period_by_name_is_an_instant(w) -> None:
    story = Story(w)
    month, year = w.shop.price(700), w.shop.price(9_000, interval="year", name="Support")
    sub = story.subscribe(month, year, billing_mode={"type": "flexible"})
    update = story.v1.subscriptions.update
    matches(update(sub.id, {"cancel_at": "min_period_end"}), cancel_at=MAY)
    matches(update(sub.id, {"cancel_at": ""}), cancel_at=None)
    later = update(sub.id, {"cancel_at": "max_period_end", "proration_behavior": "none"})
    matches(later, cancel_at=at("2027-04-01"))


def e8_at_period_end_goes_with_a_period_that_an_item_begins(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), cancel_at_period_end=True)
    story.to("2026-04-16")
    year = {"price": w.shop.price(36_500, interval="year"), "proration_behavior": "always_invoice"}
    story.v1.subscription_items.update(item(sub).id, year)
    end = item(story.sub(sub)).current_period_end
    matches(story.sub(sub), cancel_at=end, cancel_at_period_end=True)
    # 15 of 30 days back, 350 of 365 days charged.
    equal(amounts(story.latest(sub)), [-1_500, 35_000], "lines")
    story.to(MAY)
    matches(story.sub(sub), status="active")


def e8_at_period_end_goes_with_a_period_that_a_threshold_begins(w) -> None:
    story = Story(w)
    thresholds = {"amount_gte": 5_000, "reset_billing_cycle_anchor": True}
    sub = story.subscribe(w.shop.price(3_000), w.shop.metered(10), billing_thresholds=thresholds)
    story.v1.subscriptions.update(sub.id, {"cancel_at_period_end": True})
    story.to("2026-04-16")
    story.used(1_000)
    story.on(HOUR)
    began = story.now()
    equal(amounts(story.latest(sub)), [-1_496, 3_000, 10_000], "lines")
    matches(story.sub(sub), billing_cycle_anchor=began, cancel_at=item(story.sub(sub)).current_period_end)
    story.to(MAY)
    matches(story.sub(sub), status="active")
    story.to(at("2026-05-16T02:00"))
    matches(story.sub(sub), status="canceled", ended_at=at("2026-05-16T01:00"))


def e8_at_period_end_goes_with_a_period_that_begins_after_a_pause(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), cancel_at_period_end=True)
    story.to("2026-04-11")
    story.v1.subscriptions.pause(sub.id)
    story.to("2026-04-21")
    resumed = story.v1.subscriptions.resume(sub.id)
    matches(resumed, status="active", cancel_at=at("2026-05-21"), cancel_at_period_end=True)
    equal(amounts(story.latest(sub)), [-2_000, 3_000], "lines")
    story.to(at("2026-05-21T01:00"))
    matches(story.sub(sub), status="canceled", ended_at=at("2026-05-21"))


def e8_at_period_end_stays_where_it_was_while_there_is_no_period(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), cancel_at_period_end=True)
    story.to("2026-04-11")
    story.v1.subscriptions.pause(sub.id)
    story.on(DAY)
    for change in ({"metadata": {"a": "1"}}, {"cancel_at_period_end": True}):
        matches(story.v1.subscriptions.update(sub.id, change), status="paused", cancel_at=MAY)
    story.on(DAY)
    matches(story.sub(sub), status="paused", cancel_at=MAY)
    story.to(MAY)
    matches(story.sub(sub), status="canceled", ended_at=MAY)


def e8_a_new_price_is_paid_until_the_end_that_was_known_before(w) -> None:
    # 5 of 30 days at 30.00, whether the item was there before or not.
    for behavior in ("create_prorations", "none"):
        for there in (True, False):
            story = Story(w)
            sub = story.subscribe(w.shop.metered(3))
            known = {"cancel_at": at("2026-04-16"), "proration_behavior": behavior}
            story.v1.subscriptions.update(sub.id, known)
            story.to("2026-04-11")
            changed = {"price": w.shop.price(3_000)} | ({"id": item(sub).id} if there else {})
            story.v1.subscriptions.update(sub.id, {"items": [changed]})
            pending = story.v1.invoice_items.list({"customer": story.id, "pending": True}).data
            equal([each.amount for each in pending], [500], f"pending, {behavior}, {there}")


def e8_an_end_cleared_goes_on(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700), cancel_at=MAY)
    story.v1.subscriptions.update(sub.id, {"cancel_at": ""})
    story.to(MAY)
    matches(story.sub(sub), status="active", cancel_at=None)
    matches(story.latest(sub), total=700)


def e8_what_ended_has_no_upcoming_invoice(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700), cancel_at_period_end=True)
    refused(story.v1.invoices.create_preview, {"subscription": sub.id}, status=404, code="invoice_upcoming_none", param=ANY)


def e8_a_schedule_that_is_canceled_bills_and_prorates(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), w.shop.metered(3))
    schedule = story.v1.subscription_schedules.create({"from_subscription": sub.id})
    story.to("2026-04-11")
    story.used(101, APRIL)
    matches(story.v1.subscription_schedules.cancel(schedule.id), status="canceled")
    matches(story.sub(sub), status="canceled")
    equal(amounts(story.latest(sub)), [-2_000, 303], "lines")


def e8_why_it_ended_is_kept(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    details = {"comment": "We move", "feedback": "too_expensive"}
    ended = story.v1.subscriptions.cancel(sub.id, {"cancellation_details": details})
    matches(ended.cancellation_details, comment="We move", feedback="too_expensive", reason="cancellation_requested")


def e8_deleting_its_customer_ends_it(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.v1.customers.delete(story.id)
    matches(story.sub(sub), status="canceled")


def e8_deleting_its_clock_ends_it(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.v1.test_helpers.test_clocks.delete(story.clock)
    matches(story.v1.customers.retrieve(story.id), deleted=True)
    matches(story.sub(sub), status="canceled")
    matches(story.v1.subscriptions.update(sub.id, {"metadata": {"a": "1"}}), metadata__a="1")
    refused(story.v1.subscriptions.cancel, sub.id, status=404, code="resource_missing", param="id")


def _with_usage(w):
    """A seat at 30.00 and 101 calls at 0.03, ten days into April."""
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), w.shop.metered(3))
    story.to("2026-04-11")
    story.used(101, APRIL + DAY)
    return story, sub
