"""Discounts: taken off once, by whoever has them, and not taken back."""

from python.client import refused
from shared.suite import equal, matches

from .story import APRIL, DAY, HOUR, MAY, Story, amounts, at, item

CLASSIC = {"type": "classic"}
FLEX = {"type": "flexible"}


def a_customers_own_discount_is_inside_prorations(w) -> None:
    for mode, want in ((FLEX, [-500, 1_000]), (CLASSIC, [-500, 1_000])):
        coupon = _coupon(w, percent_off=50, duration="forever")
        story = Story(w)
        w.old.v1.customers.update(story.id, {"coupon": coupon})
        sub = story.subscribe(w.shop.price(2_000), billing_mode=mode)
        matches(story.latest(sub), total=1_000)
        story.to("2026-04-16")
        _change(story, sub, price=w.shop.price(4_000))
        equal(amounts(story.latest(sub)), want, f"{mode}")


def items_that_change_at_once_share_an_amount_off_as_they_are_then(w) -> None:
    # 10.00 and 20.00 with 5.00 off, both doubled at half: 12.50 back, 27.50 more, each line rounded by itself.
    story = Story(w)
    coupon = _coupon(w, amount_off=500, currency="usd", duration="forever")
    ten, twenty = w.shop.price(1_000, name="Ten"), w.shop.price(2_000, name="Twenty")
    sub = story.subscribe(ten, twenty, billing_mode=FLEX, discounts=[{"coupon": coupon}])
    story.to("2026-04-16")
    items = [{"id": each.id, "quantity": 2} for each in sub["items"].data]
    story.v1.subscriptions.update(sub.id, {"items": items, "proration_behavior": "always_invoice"})
    equal(amounts(story.latest(sub)), [-834, -417, 917, 1_833], "lines")
    matches(story.latest(sub), total=1_499)


def a_discount_of_another_subscription_stays_when_this_one_lets_go(w) -> None:
    story = Story(w)
    coupon = _coupon(w, percent_off=50, duration="forever")
    one = story.subscribe(w.shop.price(2_000), discounts=[{"coupon": coupon}])
    two = story.subscribe(w.shop.price(4_000), discounts=[{"discount": one.discounts[0]}])
    story.v1.subscriptions.update(two.id, {"discounts": ""})
    story.to(MAY + HOUR)
    matches(story.latest(one), total=1_000)


def deleting_a_subscriptions_discount_leaves_the_customers(w) -> None:
    coupon = _coupon(w, percent_off=50, duration="forever")
    story = Story(w)
    w.old.v1.customers.update(story.id, {"coupon": coupon})
    own = story.v1.customers.retrieve(story.id).discount
    other = story.subscribe(w.shop.price(2_000))
    sub = story.subscribe(w.shop.price(4_000), discounts=[{"discount": own.id}])
    story.v1.subscriptions.delete_discount(sub.id)
    story.to(MAY + HOUR)
    matches(story.latest(other), total=1_000)


def a_promotion_code_with_a_minimum_is_refused_below_it(w) -> None:
    coupon = _coupon(w, percent_off=50, duration="once")
    least = {"minimum_amount": 5_000, "minimum_amount_currency": "usd"}
    terms = {"promotion": {"type": "coupon", "coupon": coupon}, "restrictions": least}
    code = {"promotion_code": w.client.v1.promotion_codes.create(terms).id}
    story = Story(w)
    refused(lambda: story.subscribe(w.shop.price(700), discounts=[code]), param="discounts")
    refused(story.v1.invoices.update, _draft(story, 700).id, {"discounts": [code]}, param="discounts")
    equal(story.latest(story.subscribe(w.shop.price(6_000), discounts=[code])).total, 3_000, "total")


def an_items_own_discount_is_taken_off_usage_that_a_change_bills(w) -> None:
    story = Story(w)
    coupon = _coupon(w, percent_off=50, duration="forever")
    sub = story.subscribe(w.shop.price(700), {"price": w.shop.metered(3), "discounts": [{"coupon": coupon}]})
    story.used(100, APRIL)
    story.to("2026-04-11")
    story.v1.subscription_items.delete(_by(sub, "metered").id)
    story.to(MAY)
    equal(story.latest(sub).total, 700 + 150, "total")


def a_coupon_for_once_is_not_taken_back_after_a_threshold(w) -> None:
    story = Story(w)
    coupon = _coupon(w, percent_off=50, duration="once")
    sub = story.subscribe(w.shop.metered(3), discounts=[{"coupon": coupon}], billing_thresholds={"amount_gte": 1_000})
    story.used(1_000, APRIL)
    story.to("2026-04-11")
    story.to(MAY + 2 * HOUR)
    equal(sum(i.total for i in story.invoices(sub)), 1_500, "in all")


def a_discount_removed_in_the_draft_hour_is_not_in_what_is_given_back(w) -> None:
    story = Story(w)
    coupon = _coupon(w, percent_off=50, duration="forever")
    sub = story.subscribe(w.shop.price(3_100), discounts=[{"coupon": coupon}])
    story.to(MAY + 60)
    story.v1.subscriptions.delete_discount(sub.id)
    draft = story.latest(sub)
    story.to("2026-05-21")
    matches(story.v1.invoices.retrieve(draft.id), status="paid")
    paid = story.v1.invoices.retrieve(draft.id).total
    _change(story, sub, price=w.shop.price(6_200))
    # 11 days of 31.
    equal(min(amounts(story.latest(sub))), -round(paid * 11 / 31), "given back")


def a_trial_does_not_use_up_a_coupon_for_once(w) -> None:
    coupon = _coupon(w, percent_off=50, duration="once")
    story = Story(w)
    sub = story.subscribe(w.shop.price(2_000), trial_end=at("2026-04-11"), discounts=[{"coupon": coupon}])
    story.to("2026-04-12")
    equal(story.latest(sub).total, 1_000, "total")


def a_line_of_no_usage_does_not_use_up_a_coupon_for_once(w) -> None:
    coupon = _coupon(w, percent_off=50, duration="once")
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3), billing_mode=CLASSIC, discounts=[{"coupon": coupon}])
    story.used(100, APRIL)
    story.to(MAY + 2 * HOUR)
    equal(story.latest(sub).total, 150, "total")


def thresholds_bill_nothing_twice_when_a_repeating_coupon_ends(w) -> None:
    coupon = _coupon(w, percent_off=50, duration="repeating", duration_in_months=1)
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3))
    story.to("2026-04-05")
    # ends on 5 May, in the middle of the second period
    terms = {"discounts": [{"coupon": coupon}], "billing_thresholds": {"amount_gte": 1_000}}
    story.v1.subscriptions.update(sub.id, terms)
    story.to(MAY + HOUR)
    story.used(1_000, MAY + HOUR)
    story.to("2026-05-04")
    story.to("2026-05-07")
    equal([i.total for i in story.invoices(sub)][-1], 1_500, "the last")
    equal(len(story.invoices(sub)), 2, "invoices")


def a_discount_by_a_clock_is_shown_by_the_clock(w) -> None:
    coupon = _coupon(w, percent_off=50, duration="repeating", duration_in_months=3)
    story = Story(w)
    sub = story.subscribe(w.shop.price(2_000), discounts=[{"coupon": coupon}])
    equal(len(story.sub(sub).discounts), 1, "discounts in April")
    story.to("2026-05-15")
    equal(len(story.sub(sub).discounts), 1, "discounts in May")
    story.to("2026-07-02")
    equal(len(story.sub(sub).discounts), 0, "discounts in July")


def a_preview_leaves_a_coupon_for_once_to_the_draft_before_it(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000))
    story.v1.subscriptions.update(sub.id, {"discounts": [{"coupon": _coupon(w, percent_off=50, duration="once")}]})
    equal(story.v1.invoices.create_preview({"subscription": sub.id}).total, 500, "preview of May")
    recurring = {"subscription": sub.id, "preview_mode": "recurring"}
    equal(story.v1.invoices.create_preview(recurring).total, 1_000, "what recurs")
    story.to(MAY)
    matches(story.latest(sub), status="draft", total=500)
    equal(story.v1.invoices.create_preview({"subscription": sub.id}).total, 1_000, "preview of June")


def a_preview_of_a_change_at_once_has_the_coupon_for_once_that_it_uses(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000))
    story.v1.subscriptions.update(sub.id, {"discounts": [{"coupon": _coupon(w, percent_off=50, duration="once")}]})
    story.on(10 * DAY)
    anew = {"billing_cycle_anchor": "now"}
    preview = story.v1.invoices.create_preview({"subscription": sub.id, "subscription_details": anew})
    story.v1.subscriptions.update(sub.id, anew)
    equal(preview.total, story.latest(sub).total, "total")
    equal(amounts(preview), amounts(story.latest(sub)), "lines")


def a_coupon_for_once_of_another_product_is_kept_for_it(w) -> None:
    story = Story(w)
    one, other = w.shop.price(1_000, name="One"), w.shop.price(3_000, name="Other")
    product = w.client.v1.prices.retrieve(other).product
    coupon = _coupon(w, percent_off=50, duration="once", applies_to={"products": [product]})
    sub = story.subscribe(one, discounts=[{"coupon": coupon}])
    story.v1.subscriptions.update(sub.id, {"items": [{"price": other}], "proration_behavior": "none"})
    story.to(MAY + 2 * HOUR)
    equal(story.latest(sub).total, 2_500, "total")


def a_coupon_for_once_is_taken_off_one_invoice_and_no_proration(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000))
    story.v1.subscriptions.update(sub.id, {"discounts": [{"coupon": _coupon(w, percent_off=50, duration="once")}]})
    story.to("2026-04-16")
    story.v1.subscriptions.update(sub.id, {"items": [{"id": item(sub).id, "price": w.shop.price(3_000)}]})
    story.to(MAY + 2 * HOUR)
    # 5.00 back and 15.00 for half a month, and half of 30.00.
    equal(amounts(story.latest(sub)), [-500, 1_500, 3_000], "lines")
    equal(story.latest(sub).total, 2_500, "total")


def a_discount_put_on_the_draft_is_not_given_back_as_money(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.to(MAY)
    free = {"coupon": _coupon(w, percent_off=100, duration="once")}
    story.v1.invoices.update(story.latest(sub).id, {"discounts": [free]})
    story.to("2026-05-11")
    story.v1.subscriptions.cancel(sub.id, {"prorate": True, "invoice_now": True})
    equal(story.balance(), 0, "balance")


def deleting_a_draft_leaves_a_discount_that_it_took_from_another(w) -> None:
    story = Story(w)
    one = _draft(story, 1_000)
    half = {"coupon": _coupon(w, percent_off=50, duration="forever")}
    own = story.v1.invoices.update(one.id, {"discounts": [half]}).discounts[0]
    other = story.v1.invoices.create({"customer": story.id, "currency": "usd", "discounts": [{"discount": own}]})
    story.v1.invoices.delete(other.id)
    matches(story.v1.invoices.retrieve(one.id), total=500, discounts=[own])


def deleting_an_item_leaves_a_discount_that_it_took_from_another(w) -> None:
    story = Story(w)
    half = {"coupon": _coupon(w, percent_off=50, duration="forever")}
    terms = {"customer": story.id, "currency": "usd"}
    one = story.v1.invoice_items.create(terms | {"amount": 1_000, "discounts": [half]})
    other = story.v1.invoice_items.create(terms | {"amount": 700, "discounts": [{"discount": one.discounts[0]}]})
    story.v1.invoice_items.delete(other.id)
    invoice = story.v1.invoices.create(terms | {"pending_invoice_items_behavior": "include"})
    equal(invoice.total, 500, "total")


def a_line_that_lets_go_of_its_invoices_discount_leaves_it_to_the_invoice(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.to(MAY)
    draft = story.latest(sub).id
    half = {"coupon": _coupon(w, percent_off=50, duration="forever")}
    invoice = story.v1.invoices.update(draft, {"discounts": [half]})
    line, own = invoice.lines.data[0].id, invoice.discounts[0]
    story.v1.invoices.line_items.update(draft, line, {"discounts": [{"discount": own}]})
    equal(story.v1.invoices.retrieve(draft).total, 1_500, "with it on the line, too")
    story.v1.invoices.line_items.update(draft, line, {"discounts": ""})
    matches(story.v1.invoices.retrieve(draft), total=1_500, discounts=[own])


def an_invoice_that_lets_go_of_a_lines_discount_leaves_it_to_the_line(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.to(MAY)
    draft = story.latest(sub)
    half = {"coupon": _coupon(w, percent_off=50, duration="forever")}
    line = story.v1.invoices.line_items.update(draft.id, draft.lines.data[0].id, {"discounts": [half]})
    story.v1.invoices.update(draft.id, {"discounts": [{"discount": line.discounts[0]}]})
    equal(story.v1.invoices.update(draft.id, {"discounts": ""}).total, 1_500, "total")


def a_promotion_codes_minimum_is_held_with_what_an_invoice_takes_along(w) -> None:
    coupon = _coupon(w, percent_off=50, duration="once")
    least = {"minimum_amount": 5_000, "minimum_amount_currency": "usd"}
    terms = {"promotion": {"type": "coupon", "coupon": coupon}, "restrictions": least}
    code = {"promotion_code": w.client.v1.promotion_codes.create(terms).id}
    story = Story(w)
    story.v1.invoice_items.create({"customer": story.id, "currency": "usd", "amount": 700})
    terms = {"customer": story.id, "pending_invoice_items_behavior": "include", "discounts": [code]}
    refused(story.v1.invoices.create, terms, param="discounts")
    story.v1.invoice_items.create({"customer": story.id, "currency": "usd", "amount": 4_300})
    equal(story.v1.invoices.create(terms).total, 2_500, "total")


def a_preview_of_a_change_with_items_has_the_coupon_for_once_that_it_uses(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.to("2026-04-16")
    story.v1.subscriptions.update(sub.id, {"discounts": [{"coupon": _coupon(w, percent_off=50, duration="once")}]})
    change = {
        "items": [{"id": item(sub).id, "price": w.shop.price(5_000)}],
        "billing_cycle_anchor": "now",
        "proration_behavior": "always_invoice",
    }
    asked = {"subscription": sub.id, "subscription_details": change}
    # Half of 50.00, and 15.00 given back.
    equal(story.v1.invoices.create_preview(asked).total, 1_000, "alone")
    with_item = asked | {"invoice_items": [{"amount": 100, "currency": "usd"}]}
    equal(story.v1.invoices.create_preview(with_item).total, 1_050, "with an item")


def a_preview_of_a_phase_has_the_coupon_for_once_that_it_uses(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    schedule = story.v1.subscription_schedules.create({"from_subscription": sub.id})
    now = {"items": [{"price": w.shop.price(3_000)}], "start_date": APRIL, "end_date": at("2026-04-16")}
    then = {
        "items": [{"price": w.shop.price(5_000)}],
        "discounts": [{"coupon": _coupon(w, percent_off=50, duration="once")}],
        "duration": {"interval": "month", "interval_count": 2},
        "billing_cycle_anchor": "phase_start",
        "proration_behavior": "always_invoice",
    }
    story.v1.subscription_schedules.update(schedule.id, {"phases": [now, then]})
    preview = story.v1.invoices.create_preview({"subscription": sub.id})
    story.to(at("2026-04-16") + 2 * HOUR)
    equal(preview.total, story.latest(sub).total, "total")
    equal(amounts(preview), amounts(story.latest(sub)), "lines")


def _change(story: Story, sub, **change):
    """Changes the one item, and bills it at once."""
    terms = {"items": [{"id": item(sub).id} | change], "proration_behavior": "always_invoice"}
    return story.v1.subscriptions.update(sub.id, terms)


def _draft(story: Story, amount: int):
    draft = story.v1.invoices.create({"customer": story.id, "currency": "usd"})
    line = {"customer": story.id, "invoice": draft.id, "amount": amount, "currency": "usd"}
    story.v1.invoice_items.create(line)
    return draft


def _by(sub, usage_type: str):
    return next(each for each in sub["items"].data if each.price.recurring.usage_type == usage_type)


def _coupon(w, **terms) -> str:
    return w.client.v1.coupons.create(terms).id
