"""Changes in the middle of a period: a check for each rule of E6 of the reference."""

from python.client import ANY, refused
from shared.suite import equal, matches, true
from stripe import CardError

from .story import APRIL, DAY, HOUR, JUNE, MAY, Story, amounts, at, item, periods

FAILING = "pm_card_chargeCustomerFail"
HALF = "2026-04-16"


def e6_ten_to_twenty_at_half_is_five_back_and_ten_more(w) -> None:
    story, sub = _half(w, 1_000)
    _price(story, sub, w.shop.price(2_000))
    matches(story.sub(sub), latest_invoice=sub.latest_invoice)
    pending = story.v1.invoice_items.list({"customer": story.id, "pending": True}).data
    equal(sorted(each.amount for each in pending), [-500, 1_000], "pending")
    for each in pending:
        matches(each, proration=True, discountable=False, period__start=at(HALF), period__end=MAY)
    story.to(MAY)
    equal(amounts(story.latest(sub)), [-500, 1_000, 2_000], "lines")
    matches(story.latest(sub), total=2_500)


def e6_a_hundred_to_two_hundred_in_may_is_250_in_june(w) -> None:
    story = Story(w, start=MAY)
    sub = story.subscribe(w.shop.price(10_000))
    # The middle of a month of 31 days.
    story.to("2026-05-16T12:00")
    _price(story, sub, w.shop.price(20_000))
    story.to(JUNE)
    equal(amounts(story.latest(sub)), [-5_000, 10_000, 20_000], "lines")
    matches(story.latest(sub), total=25_000)


def e6_fifty_to_a_hundred_euros_in_january_is_125_in_february(w) -> None:
    story = Story(w, start=at("2026-01-01"))
    sub = story.subscribe(w.shop.price(5_000, currency="eur"))
    story.to("2026-01-16T12:00")
    _price(story, sub, w.shop.price(10_000, currency="eur"))
    story.to("2026-02-01")
    equal(amounts(story.latest(sub)), [-2_500, 5_000, 10_000], "lines")
    matches(story.latest(sub), total=12_500, currency="eur")


def e6_proration_counts_seconds(w) -> None:
    story = Story(w)
    sub = story.subscribe({"price": w.shop.price(700), "quantity": 3})
    # 1,728,001 of 2,592,000 seconds are left: -2100 × f = -1400.0008, 3500 × f = 2333.3347.
    story.to(at("2026-04-11") - 1)
    _items(story, sub, {"quantity": 5}, proration_behavior="always_invoice")
    equal(amounts(story.latest(sub)), [-1_400, 2_333], "lines")
    matches(story.latest(sub), billing_reason="subscription_update", status="paid", amount_paid=933)


def e6_a_date_may_be_given_to_prorate_as_of(w) -> None:
    story, sub = _half(w, 3_000)
    _items(story, sub, {"quantity": 2}, proration_date=at("2026-04-11"), proration_behavior="always_invoice")
    invoice = story.latest(sub)
    equal(periods(invoice), [(-2_000, at("2026-04-11"), MAY), (4_000, at("2026-04-11"), MAY)], "lines")
    refused(lambda: _items(story, sub, {"quantity": 3}, proration_date=APRIL - 1), code=ANY, param="proration_date")


def e6_none_changes_without_an_amount(w) -> None:
    story, sub = _half(w, 1_000)
    _price(story, sub, w.shop.price(2_000), proration_behavior="none")
    equal(story.v1.invoice_items.list({"customer": story.id, "pending": True}).data, [], "pending")
    story.to(MAY)
    equal(amounts(story.latest(sub)), [2_000], "lines")


def e6_always_invoice_is_paid_at_once(w) -> None:
    story, sub = _half(w, 1_000)
    changed = _price(story, sub, w.shop.price(2_000), proration_behavior="always_invoice")
    invoice = story.v1.invoices.retrieve(changed.latest_invoice)
    equal(amounts(invoice), [-500, 1_000], "lines")
    matches(invoice, status="paid", amount_paid=500, billing_reason="subscription_update", created=at(HALF))
    story.to(MAY)
    equal(amounts(story.latest(sub)), [2_000], "lines of the renewal")


def e6_what_is_given_back_at_once_is_credit(w) -> None:
    story, sub = _half(w, 2_000)
    _price(story, sub, w.shop.price(1_000), proration_behavior="always_invoice")
    invoice = story.latest(sub)
    equal(amounts(invoice), [-1_000, 500], "lines")
    matches(invoice, total=-500, amount_due=0, status="paid", starting_balance=0, ending_balance=-500)
    equal(story.balance(), -500, "balance")
    story.to(MAY)
    story.on(HOUR)
    matches(story.latest(sub), total=1_000, amount_due=500, amount_paid=500, starting_balance=-500, ending_balance=0)
    equal(story.balance(), 0, "balance")


def e6_a_new_price_without_a_quantity_is_of_one(w) -> None:
    story, sub = _half(w, 1_000, quantity=3)
    matches(item(_price(story, sub, w.shop.price(2_000))), quantity=1)
    story.to(MAY)
    equal(amounts(story.latest(sub)), [-1_500, 1_000, 2_000], "lines")


def e6_an_item_that_is_added_ends_with_the_period(w) -> None:
    story, sub = _half(w, 1_000)
    added = story.v1.subscription_items.create({"subscription": sub.id, "price": w.shop.price(600, name="Desk"), "quantity": 3})
    matches(added, current_period_start=at(HALF), current_period_end=MAY)
    story.to(MAY)
    equal(amounts(story.latest(sub)), [900, 1_000, 1_800], "lines")


def e6_an_item_that_goes_is_given_back(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000), w.shop.price(600, name="Desk"))
    story.to(HALF)
    desk = next(each for each in sub["items"].data if each.price.unit_amount == 600)
    matches(story.v1.subscription_items.delete(desk.id), deleted=True)
    story.to(MAY)
    equal(amounts(story.latest(sub)), [-300, 1_000], "lines")


def e6_a_price_that_is_there_cannot_be_added_again(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000))
    again = {"subscription": sub.id, "price": w.shop.price(1_000)}
    refused(story.v1.subscription_items.create, again, code=ANY, param="plan")


def e6_another_currency_is_refused(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000))
    refused(lambda: _price(story, sub, w.shop.price(1_000, currency="eur")), code=ANY, param=ANY)


def e6_words_discounts_and_an_end_with_the_period_prorate_nothing(w) -> None:
    story, sub = _half(w, 1_000)
    coupon = story.v1.coupons.create({"percent_off": 50, "duration": "forever"}).id
    for change in (
        {"metadata": {"a": "1"}},
        {"discounts": [{"coupon": coupon}]},
        {"cancel_at_period_end": True},
        {"cancel_at_period_end": False},
        {"collection_method": "send_invoice", "days_until_due": 3},
        {"collection_method": "charge_automatically"},
    ):
        story.v1.subscriptions.update(sub.id, change)
        equal(story.v1.invoice_items.list({"customer": story.id, "pending": True}).data, [], f"pending after {change}")
    matches(story.sub(sub), latest_invoice=sub.latest_invoice)


def e6_metered_items_are_never_prorated(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000))
    story.to(HALF)
    story.v1.subscription_items.create({"subscription": sub.id, "price": w.shop.metered(3)})
    equal(story.v1.invoice_items.list({"customer": story.id, "pending": True}).data, [], "pending")


def e6_an_anchor_now_gives_back_and_bills_at_once(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), w.shop.metered(3))
    story.used(9, APRIL)
    story.to("2026-04-11")
    changed = story.v1.subscriptions.update(sub.id, {"billing_cycle_anchor": "now"})
    matches(changed, billing_cycle_anchor=at("2026-04-11"))
    matches(item(changed), current_period_start=at("2026-04-11"), current_period_end=at("2026-05-11"))
    invoice = story.latest(sub)
    # 20 of 30 days back, 9 at 3, the month from now.
    equal(amounts(invoice), [-2_000, 27, 3_000], "lines")
    matches(invoice, status="paid", amount_paid=1_027)


def e6_classic_begins_anew_when_the_interval_changes(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000), billing_mode={"type": "classic"})
    story.to(HALF)
    changed = _price(story, sub, w.shop.price(10_000, interval="year"))
    matches(changed, billing_cycle_anchor=at(HALF))
    matches(item(changed), current_period_start=at(HALF), current_period_end=at("2027-04-16"))
    invoice = story.latest(sub)
    equal(amounts(invoice), [-500, 10_000], "lines")
    matches(invoice, status="paid", amount_paid=9_500)


def e6_classic_begins_anew_when_it_is_free_no_more(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(0), billing_mode={"type": "classic"})
    matches(story.latest(sub), status="paid", total=0)
    story.to(HALF)
    changed = _price(story, sub, w.shop.price(1_000))
    matches(changed, billing_cycle_anchor=at(HALF))
    matches(story.latest(sub), status="paid", amount_paid=1_000)


def e6_classic_begins_anew_when_an_item_does_by_itself(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000), billing_mode={"type": "classic"})
    story.to(HALF)
    changed = story.v1.subscription_items.update(item(sub).id, {"price": w.shop.price(10_000, interval="year")})
    matches(changed, current_period_start=at(HALF), current_period_end=at("2027-04-16"))
    matches(story.sub(sub), billing_cycle_anchor=at(HALF))
    invoice = story.latest(sub)
    equal(amounts(invoice), [-500, 10_000], "lines")
    matches(invoice, status="paid", amount_paid=9_500)


def e6_an_item_that_is_added_makes_what_was_free_begin_anew(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(0), billing_mode={"type": "classic"})
    story.to(HALF)
    story.v1.subscription_items.create({"subscription": sub.id, "price": w.shop.price(1_000)})
    matches(story.sub(sub), billing_cycle_anchor=at(HALF))
    matches(story.latest(sub), status="paid", amount_paid=1_000)


def e6_the_refusals_of_one_item_name_its_own_parameters(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000), w.shop.price(700, name="Other"), billing_mode={"type": "classic"})
    year = w.shop.price(10_000, interval="year")
    refused(story.v1.subscription_items.update, item(sub).id, {"price": year}, code=ANY, param="price")
    story.v1.subscriptions.cancel(sub.id)
    sub = story.subscribe(*(w.shop.price(1, name=f"One of {place}") for place in range(20)))
    one_more = {"subscription": sub.id, "price": w.shop.price(1_000)}
    refused(story.v1.subscription_items.create, one_more, code=ANY, param="subscription")


def e6_a_paused_one_in_classic_billing_is_not_billed_by_a_new_interval(w) -> None:
    story = Story(w, card=None)
    terms = {"end_behavior": {"missing_payment_method": "pause"}}
    mode = {"type": "classic"}
    sub = story.subscribe(w.shop.price(1_000), trial_period_days=5, trial_settings=terms, billing_mode=mode)
    story.to("2026-04-07")
    matches(story.sub(sub), status="paused")
    story.pays_with("pm_card_visa")
    _price(story, sub, w.shop.price(10_000, interval="year"))
    matches(story.sub(sub), status="paused", latest_invoice=sub.latest_invoice)


def e6_a_trial_that_begins_gives_back_what_was_paid(w) -> None:
    story, sub = _half(w, 1_000)
    free = story.v1.subscriptions.update(sub.id, {"trial_end": at("2026-05-10")})
    matches(free, status="trialing", trial_end=at("2026-05-10"))
    matches(story.latest(sub), total=-500, status="paid", amount_due=0)
    equal(story.balance(), -500, "balance")


def e6_an_update_that_cannot_be_paid_is_past_due(w) -> None:
    story, sub = _half(w, 1_000)
    story.pays_with(FAILING)
    changed = _items(story, sub, {"quantity": 2}, proration_behavior="always_invoice", payment_behavior="allow_incomplete")
    matches(changed, status="past_due")
    matches(item(changed), quantity=2)
    matches(story.latest(sub), status="open", amount_due=500, attempt_count=1)


def e6_an_update_by_default_incomplete_is_not_attempted(w) -> None:
    story, sub = _half(w, 1_000)
    changed = _items(story, sub, {"quantity": 2}, proration_behavior="always_invoice", payment_behavior="default_incomplete")
    matches(changed, status="past_due")
    matches(story.latest(sub), status="open", amount_due=500, attempt_count=0)


def e6_an_update_that_must_be_paid_is_not_made(w) -> None:
    story, sub = _half(w, 1_000)
    story.pays_with(FAILING)
    more = {"proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete"}
    refused(lambda: _items(story, sub, {"quantity": 2}, **more), error=CardError, status=402, code="card_declined", param=ANY)
    matches(story.sub(sub), status="active", latest_invoice=sub.latest_invoice)
    matches(item(story.sub(sub)), quantity=1)


def e6_a_pending_update_is_made_when_it_is_paid(w) -> None:
    story, sub = _pending_update(w)
    matches(story.sub(sub), status="active", pending_update__expires_at=at(HALF) + 23 * HOUR)
    matches(item(story.sub(sub)), quantity=1)
    open_one = story.latest(sub)
    matches(open_one, status="open", amount_due=500)
    story.v1.invoices.pay(open_one.id, {"payment_method": story.pays_with("pm_card_visa")})
    matches(item(story.sub(sub)), quantity=2)
    matches(story.sub(sub), pending_update=None, status="active")
    true("customer.subscription.pending_update_applied" in story.events(), "no event")


def e6_a_pending_update_that_is_not_paid_expires(w) -> None:
    story, sub = _pending_update(w)
    open_one = story.latest(sub).id
    story.on(23 * HOUR)
    matches(item(story.sub(sub)), quantity=1)
    matches(story.sub(sub), pending_update=None, status="active")
    matches(story.v1.invoices.retrieve(open_one), status="void")
    true("customer.subscription.pending_update_expired" in story.events(), "no event")


def e6_a_discount_is_inside_a_proration(w) -> None:
    story = Story(w)
    coupon = story.v1.coupons.create({"percent_off": 10, "duration": "forever"}).id
    sub = story.subscribe(w.shop.price(1_000), discounts=[{"coupon": coupon}])
    matches(story.latest(sub), subtotal=1_000, total=900)
    story.to(HALF)
    _price(story, sub, w.shop.price(2_000), proration_behavior="always_invoice")
    invoice = story.latest(sub)
    # Half of 900 back, half of 1,800 charged; the discount is not taken again.
    equal(amounts(invoice), [-450, 900], "lines")
    matches(invoice, total=450, amount_paid=450)
    equal([sum(each.amount for each in line.discount_amounts or []) for line in invoice.lines.data], [0, 0], "discounts")


def e6_a_preview_prorates_as_the_change_will(w) -> None:
    story, sub = _half(w, 1_000)
    preview = story.v1.invoices.create_preview(
        {
            "subscription": sub.id,
            "subscription_details": {
                "items": [{"id": item(sub).id, "price": w.shop.price(2_000)}],
                "proration_behavior": "always_invoice",
                "proration_date": at(HALF),
            },
        }
    )
    equal(amounts(preview), [-500, 1_000], "lines")
    matches(preview, total=500, status="draft")
    matches(item(story.sub(sub)), price__id=w.shop.price(1_000))


def e6_two_changes_in_one_period_add_up(w) -> None:
    story = Story(w)
    sub = story.subscribe({"price": w.shop.price(900), "quantity": 1})
    story.to("2026-04-11")
    _items(story, sub, {"quantity": 4})
    story.to("2026-04-21")
    _items(story, sub, {"quantity": 2})
    story.to(MAY)
    # 20 days: -600, +2400; 10 days: -1200, +600; May: 1800.
    equal(amounts(story.latest(sub)), [-1_200, -600, 600, 1_800, 2_400], "lines")
    matches(story.latest(sub), total=3_000)


def e6_new_periods_that_waited_for_their_payment_take_the_end_along(w) -> None:
    story, sub = _half(w, 1_000)
    story.v1.subscriptions.update(sub.id, {"cancel_at_period_end": True})
    change = {"billing_cycle_anchor": "now", "payment_behavior": "pending_if_incomplete"}
    sub = story.v1.subscriptions.update(sub.id, change)
    matches(item(sub), current_period_end=at("2026-05-16"))
    matches(sub, pending_update=None, cancel_at_period_end=True, cancel_at=at("2026-05-16"))


def e6_a_change_does_not_wait_for_an_invoice_that_is_held_back(w) -> None:
    story, sub = _half(w, 1_000)
    story.v1.subscriptions.update(sub.id, {"pause_collection": {"behavior": "void"}})
    more = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
    sub = _items(story, sub, {"quantity": 2}, **more)
    matches(item(sub), quantity=2)
    matches(sub, pending_update=None)
    matches(story.latest(sub), status="void", total=500, amount_paid=0)


def e6_a_change_that_waited_leaves_the_end_of_who_is_paused(w) -> None:
    story, sub = _half(w, 1_000)
    story.v1.subscriptions.update(sub.id, {"cancel_at_period_end": True})
    story.v1.subscriptions.pause(sub.id)
    story.on(DAY)
    story.v1.invoice_items.create({"customer": story.id, "subscription": sub.id, "amount": 500, "currency": "usd"})
    more = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
    sub = _items(story, sub, {"quantity": 2}, **more)
    matches(item(sub), quantity=2)
    matches(sub, status="paused", cancel_at=MAY, pending_update=None)


def _half(w, amount: int, quantity: int = 1):
    """A subscription in the middle of April, a month of 30 days."""
    story = Story(w)
    sub = story.subscribe({"price": w.shop.price(amount), "quantity": quantity})
    story.to(HALF)
    return story, sub


def _items(story: Story, sub, change: dict, **more: object):
    return story.v1.subscriptions.update(sub.id, {"items": [{"id": item(sub).id} | change]} | more)


def _price(story: Story, sub, price: str, **more: object):
    return _items(story, sub, {"price": price}, **more)


def _pending_update(w):
    story, sub = _half(w, 1_000)
    story.pays_with(FAILING)
    more = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
    _items(story, sub, {"quantity": 2}, **more)
    return story, sub
