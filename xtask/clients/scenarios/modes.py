"""Flexible against classic billing: a check for each difference in E10 of the reference."""

from python.client import ANY, refused
from shared.suite import equal, matches, true

from .story import APRIL, DAY, MAY, Story, amounts, at, item

CLASSIC = {"type": "classic"}
FLEXIBLE = {"type": "flexible"}


def e10_flexible_is_the_default(w) -> None:
    sub = Story(w).subscribe(w.shop.metered(3))
    matches(sub.billing_mode, type="flexible", flexible__proration_discounts="included")


def e10_classic_begins_with_a_line_of_zero_and_flexible_with_nothing(w) -> None:
    story = Story(w)
    classic = story.subscribe(w.shop.metered(3), billing_mode=CLASSIC)
    first = story.latest(classic)
    equal(amounts(first), [0], "lines")
    matches(first, status="paid", total=0)
    matches(story.subscribe(w.shop.metered(3), billing_mode=FLEXIBLE), latest_invoice=None)
    both = (w.shop.metered(3), w.shop.price(700))
    equal(amounts(story.latest(story.subscribe(*both, billing_mode=CLASSIC))), [0, 700], "classic lines")
    equal(amounts(story.latest(story.subscribe(*both, billing_mode=FLEXIBLE))), [700], "flexible lines")


def e10_what_is_credited_is_what_was_charged_or_what_it_costs(w) -> None:
    # 10 to 20 for nothing, then back at day 20 of 30.
    for mode, lines, total in ((CLASSIC, [-667, 333], -334), (FLEXIBLE, [-333, 333], 0)):
        story = Story(w)
        sub = story.subscribe(w.shop.price(1_000), billing_mode=mode)
        update = story.v1.subscriptions.update
        update(sub.id, {"items": [{"id": item(sub).id, "price": w.shop.price(2_000)}], "proration_behavior": "none"})
        story.to("2026-04-21")
        back = {"items": [{"id": item(sub).id, "price": w.shop.price(1_000)}], "proration_behavior": "always_invoice"}
        update(sub.id, back)
        equal(amounts(story.latest(sub)), lines, f"lines, {mode}")
        matches(story.latest(sub), total=total, amount_due=0, status="paid")
        equal(story.balance(), total, f"balance, {mode}")


def e10_a_proration_names_the_line_that_it_credits(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000))
    story.to("2026-04-16")
    back = {"items": [{"id": item(sub).id, "price": w.shop.price(2_000)}], "proration_behavior": "always_invoice"}
    story.v1.subscriptions.update(sub.id, back)
    credit = next(line for line in story.latest(sub).lines.data if line.amount == -500)
    first = story.v1.invoices.retrieve(sub.latest_invoice)
    details = credit.parent.subscription_item_details
    matches(details, proration=True, proration_details__credited_items__invoice=first.id)
    equal(list(details.proration_details.credited_items.invoice_line_items), [first.lines.data[0].id], "lines credited")


def e10_a_discount_is_shared_by_size_or_evenly(w) -> None:
    # 10 and 20 with 5 off; the 10 goes at half of the period.
    for mode, back in ((CLASSIC, -250), (FLEXIBLE, -417)):
        story = Story(w)
        coupon = story.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "forever"}).id
        ten, twenty = w.shop.price(1_000, name="Ten"), w.shop.price(2_000, name="Twenty")
        sub = story.subscribe(ten, twenty, billing_mode=mode, discounts=[{"coupon": coupon}])
        matches(story.latest(sub), total=2_500)
        story.to("2026-04-16")
        goes = next(each for each in sub["items"].data if each.price.id == ten)
        story.v1.subscription_items.delete(goes.id, {"proration_behavior": "always_invoice"})
        equal(amounts(story.latest(sub)), [back], f"lines, {mode}")


def e10_itemized_discounts_stand_beside_gross_prorations(w) -> None:
    story = Story(w)
    coupon = story.v1.coupons.create({"percent_off": 10, "duration": "forever"}).id
    mode = FLEXIBLE | {"flexible": {"proration_discounts": "itemized"}}
    sub = story.subscribe(w.shop.price(1_000), billing_mode=mode, discounts=[{"coupon": coupon}])
    story.to("2026-04-16")
    change = {"items": [{"id": item(sub).id, "price": w.shop.price(2_000)}], "proration_behavior": "always_invoice"}
    story.v1.subscriptions.update(sub.id, change)
    invoice = story.latest(sub)
    equal(amounts(invoice), [-500, 1_000], "lines")
    matches(invoice, total=450)
    discounts = sorted(sum(each.amount for each in line.discount_amounts or []) for line in invoice.lines.data)
    equal(discounts, [-50, 100], "discounts")


def e10_flexible_keeps_its_anchor_when_the_interval_changes(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000), billing_mode=FLEXIBLE)
    story.to("2026-04-16")
    change = {"items": [{"id": item(sub).id, "price": w.shop.price(12_000, interval="year")}]}
    changed = story.v1.subscriptions.update(sub.id, change)
    matches(changed, billing_cycle_anchor=APRIL)


def e10_mixed_intervals_are_for_flexible_only(w) -> None:
    story = Story(w)
    mixed = (w.shop.price(700), w.shop.price(9_000, interval="year", name="Support"))
    refused(lambda: story.subscribe(*mixed, billing_mode=CLASSIC), code=ANY, param=ANY)
    week = (w.shop.price(700), w.shop.price(700, interval="week"))
    refused(lambda: story.subscribe(*week, billing_mode=FLEXIBLE), code=ANY, param=ANY)
    matches(story.subscribe(*mixed, billing_mode=FLEXIBLE), status="active")


def e10_a_metered_item_that_goes_is_billed_unless_nothing_is(w) -> None:
    for behavior, billed in (("create_prorations", 303), ("none", 0)):
        story = Story(w)
        sub = story.subscribe(w.shop.price(700), w.shop.metered(3), billing_mode=FLEXIBLE)
        story.to("2026-04-11")
        story.used(101, APRIL)
        goes = next(each for each in sub["items"].data if each.price.recurring.usage_type == "metered")
        story.v1.subscription_items.delete(goes.id, {"proration_behavior": behavior})
        story.to(MAY)
        equal(story.latest(sub).total, 700 + billed, f"total, {behavior}")


def e10_migration_is_one_way(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3), billing_mode=CLASSIC)
    story.on(DAY)
    migrated = story.v1.subscriptions.migrate(sub.id, {"billing_mode": FLEXIBLE})
    matches(migrated.billing_mode, type="flexible", updated_at=APRIL + DAY)
    refused(story.v1.subscriptions.migrate, sub.id, {"billing_mode": FLEXIBLE}, code=ANY, param=ANY)
    story.used(7, APRIL)
    story.to(MAY)
    matches(story.latest(sub), total=21)


def e10_migration_gives_back_nothing_twice(w) -> None:
    for mode in (CLASSIC, FLEXIBLE):
        story = Story(w)
        sub = story.subscribe(w.shop.price(3_000), billing_mode=mode)
        story.v1.subscriptions.update(sub.id, {"cancel_at": at("2026-04-21")})
        if mode == CLASSIC:
            story.v1.subscriptions.migrate(sub.id, {"billing_mode": FLEXIBLE})
        story.to("2026-04-11")
        story.v1.subscriptions.cancel(sub.id, {"prorate": True})
        pending = story.v1.invoice_items.list({"customer": story.id, "pending": True}).data
        equal([each.amount for each in pending], [-1_000, -1_000], f"pending, {mode}")


def e10_backdated_time_is_a_line_for_each_period_or_one_for_all(w) -> None:
    start = at("2026-02-01")
    flexible = Story(w)
    sub = flexible.subscribe(w.shop.price(700), backdate_start_date=start, billing_mode=FLEXIBLE)
    matches(sub, start_date=start, billing_cycle_anchor=start)
    # February, March and April.
    equal(amounts(flexible.latest(sub)), [700, 700, 700], "flexible lines")
    classic = Story(w)
    anchor = {"billing_cycle_anchor": MAY}
    sub = classic.subscribe(w.shop.price(700), backdate_start_date=start, billing_mode=CLASSIC, **anchor)
    invoice = classic.latest(sub)
    equal(len(invoice.lines.data), 1, "classic lines")
    matches(invoice.lines.data[0].period, start=start, end=MAY)
    # 89 days of periods of 30.
    matches(invoice, total=2_077)


def e10_backdated_usage_is_on_the_first_or_the_next_invoice(w) -> None:
    # In classic mode one line for 61 days of periods of 30.
    for mode, first, second in ((FLEXIBLE, 1_421, 700), (CLASSIC, 1_423, 721)):
        story = Story(w)
        story.used(7, at("2026-03-15"))
        sub = story.subscribe(
            w.shop.price(700), w.shop.metered(3), backdate_start_date=at("2026-03-01"), billing_mode=mode
        )
        equal(story.latest(sub).total, first, f"first total, {mode}")
        story.to(MAY)
        equal(story.latest(sub).total, second, f"second total, {mode}")


def e10_the_start_of_a_trial_is_the_first_or_the_latest(w) -> None:
    for mode, expected in ((FLEXIBLE, "2026-05-06"), (CLASSIC, "2026-04-01")):
        story = Story(w)
        sub = story.subscribe(w.shop.price(700), trial_period_days=5, billing_mode=mode)
        story.to("2026-04-06")
        story.to("2026-05-06")
        again = story.v1.subscriptions.update(sub.id, {"trial_end": at("2026-05-20"), "proration_behavior": "none"})
        matches(again, status="trialing", trial_start=at(expected))


def e10_pending_items_are_on_every_invoice_of_a_flexible_one(w) -> None:
    for mode, lines in ((FLEXIBLE, [-2_000, 311, 3_000]), (CLASSIC, [-2_000, 3_000])):
        story = Story(w)
        sub = story.subscribe(w.shop.price(3_000), billing_mode=mode)
        story.to("2026-04-11")
        story.v1.invoice_items.create({"customer": story.id, "amount": 311, "currency": "usd"})
        anew = {"billing_cycle_anchor": "now", "proration_behavior": "always_invoice"}
        story.v1.subscriptions.update(sub.id, anew)
        equal(amounts(story.latest(sub)), lines, f"lines, {mode}")


def e10_an_older_client_gets_classic(w) -> None:
    older = w.client.raw_request(
        "post",
        "/v1/subscriptions",
        customer=Story(w).id,
        items=[{"price": w.shop.metered(3)}],
        stripe_version="2025-06-30.basil",
    )
    true(older.data["billing_mode"]["type"] == "classic", "not classic")
