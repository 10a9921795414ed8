"""Renewals: a check for each statement of E5 of the reference, and for E4's anchors and F3's late usage."""

from shared.suite import equal, matches

from .story import APRIL, DAY, HOUR, JUNE, MAY, Story, amounts, at, item, periods


def e5_a_licensed_item_is_billed_for_the_period_that_begins(w) -> None:
    story = Story(w)
    sub = story.subscribe({"price": w.shop.price(700), "quantity": 3})
    story.to(MAY)
    draft = story.latest(sub)
    matches(draft, status="draft", auto_advance=True, billing_reason="subscription_cycle", created=MAY, total=2_100)
    matches(draft, period_start=APRIL, period_end=MAY, automatically_finalizes_at=MAY + HOUR)
    equal(periods(draft), [(2_100, MAY, JUNE)], "lines")
    matches(item(story.sub(sub)), current_period_start=MAY, current_period_end=JUNE)
    story.on(HOUR)
    matches(story.latest(sub), id=draft.id, status="paid", amount_paid=2_100, attempt_count=1)


def e5_a_metered_item_is_billed_for_the_period_that_ended(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3), {"price": w.shop.price(700), "quantity": 2})
    equal(amounts(story.latest(sub)), [1_400], "first lines")
    story.to("2026-04-20")
    story.used(101, at("2026-04-19"))
    story.used(12, APRIL)
    story.to(MAY)
    equal(periods(story.latest(sub)), [(339, APRIL, MAY), (1_400, MAY, JUNE)], "lines")
    matches(story.latest(sub), total=1_739)


def e5_no_usage_is_a_line_of_zero(w) -> None:
    story = Story(w)
    for mode in ("flexible", "classic"):
        sub = story.subscribe(w.shop.metered(3), billing_mode={"type": mode})
        first = story.sub(sub).latest_invoice
        equal(first is None, mode == "flexible", f"no first invoice, {mode}")
    story.to(MAY)
    for each in story.v1.subscriptions.list({"customer": story.id}).data:
        equal(periods(story.latest(each)), [(0, APRIL, MAY)], f"lines, {each.billing_mode.type}")


def e5_of_mixed_intervals_only_what_ends_is_billed(w) -> None:
    story = Story(w)
    month = {"price": w.shop.price(700), "quantity": 1}
    year = {"price": w.shop.price(9_000, interval="year", name="Support"), "quantity": 1}
    sub = story.subscribe(month, year, billing_mode={"type": "flexible"})
    matches(story.latest(sub), total=9_700, status="paid")
    story.to(MAY)
    equal(periods(story.latest(sub)), [(700, MAY, JUNE)], "lines")
    for month in ("06", "07", "08", "09", "10", "11", "12"):
        story.to(f"2026-{month}-01")
    for month in ("01", "02", "03"):
        story.to(f"2027-{month}-01")
    story.to("2027-04-01")
    # One invoice for both.
    last = story.latest(sub)
    equal(
        periods(last),
        [(700, at("2027-04-01"), at("2027-05-01")), (9_000, at("2027-04-01"), at("2028-04-01"))],
        "lines",
    )
    equal(len(story.invoices(sub)), 13, "invoices")


def e5_pending_invoice_items_are_on_the_renewal(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    made = story.v1.invoice_items.create({"customer": story.id, "amount": 311, "currency": "usd", "description": "Help"})
    story.to(MAY)
    renewal = story.latest(sub)
    equal(amounts(renewal), [311, 700], "lines")
    matches(story.v1.invoice_items.retrieve(made.id), invoice=renewal.id)
    story.to(JUNE)
    equal(amounts(story.latest(sub)), [700], "lines of the next one")


def e5_what_is_added_to_the_first_invoice_is_on_it(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700), add_invoice_items=[{"price": w.shop.one_time(5_000), "quantity": 2}])
    equal(amounts(story.latest(sub)), [700, 10_000], "lines")
    matches(story.latest(sub), status="paid", amount_paid=10_700)
    story.to(MAY)
    equal(amounts(story.latest(sub)), [700], "lines of the next one")


def e5_usage_at_the_boundary_is_of_the_new_period(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3))
    story.to(MAY)
    story.used(7, MAY - 1)
    story.used(100, MAY)
    matches(story.latest(sub), total=21, status="draft")
    story.to(JUNE)
    matches(story.latest(sub), total=300)


def f3_late_usage_is_billed_until_the_draft_is_final(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3))
    story.used(100, APRIL)
    story.to(MAY)
    story.on(HOUR - 1)
    story.used(11, MAY - 2)
    story.on(1)
    final = story.latest(sub)
    matches(final, status="paid", total=333, amount_paid=333)
    story.used(5, MAY - 2)
    matches(story.v1.invoices.retrieve(final.id), total=333)


def e5_a_metered_price_that_changes_is_billed_at_the_old_one_until_then(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(4), billing_mode={"type": "flexible"})
    _change_of_price(w, story, sub)
    # 100 at 4, then 10 at 7.
    equal(amounts(story.latest(sub)), [70, 400], "lines")


def e5_classic_forgets_usage_before_a_change_of_price(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(4), billing_mode={"type": "classic"})
    _change_of_price(w, story, sub)
    equal(amounts(story.latest(sub)), [70], "lines")


def e5_an_item_that_is_added_bills_usage_since_then(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.used(100, APRIL)
    story.to("2026-04-11")
    story.v1.subscription_items.create({"subscription": sub.id, "price": w.shop.metered(3)})
    story.on(DAY)
    story.used(7, at("2026-04-11T12:00"))
    story.to(MAY)
    equal(amounts(story.latest(sub)), [21, 700], "lines")


def e5_usage_in_a_trial_is_free(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3), w.shop.price(700), trial_period_days=10)
    story.used(100, APRIL)
    story.to("2026-04-11")
    equal(amounts(story.latest(sub)), [700], "lines at the trial's end")
    story.on(DAY)
    story.used(7, at("2026-04-11T01:00"))
    story.to("2026-05-11")
    equal(amounts(story.latest(sub)), [21, 700], "lines")


def e5_usage_while_paused_is_free(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3))
    story.used(100, APRIL)
    story.on(DAY)
    story.v1.subscriptions.pause(sub.id)
    story.on(DAY)
    story.used(1_000, at("2026-04-02T06:00"))
    story.v1.subscriptions.resume(sub.id)
    story.on(DAY)
    story.used(7, at("2026-04-03T06:00"))
    story.to("2026-05-03")
    billed = sum(sum(amounts(each)) for each in story.invoices(sub))
    equal(billed, 300 + 21, "what is billed for usage")


def e4_periods_are_counted_from_the_anchor(w) -> None:
    story = Story(w, start=at("2026-01-31"))
    sub = story.subscribe(w.shop.price(700))
    for end in ("2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"):
        equal(item(story.sub(sub)).current_period_end, at(end), "current_period_end")
        story.to(end)
    equal([each.total for each in story.invoices(sub)], [700] * 5, "totals")


def e4_a_leap_day_is_the_28th_in_other_years(w) -> None:
    story = Story(w, start=at("2024-02-29"))
    sub = story.subscribe(w.shop.price(9_000, interval="year", name="Support"))
    for end in ("2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"):
        equal(item(story.sub(sub)).current_period_end, at(end), "current_period_end")
        story.to(end)


def e4_a_first_period_to_an_anchor_is_charged_in_proportion(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_100), billing_cycle_anchor=at("2026-04-11"))
    # The month that ends on 11 April has 31 days, of which 10 are left.
    matches(story.latest(sub), status="paid", amount_paid=1_000)
    story.to("2026-04-11")
    matches(story.latest(sub), total=3_100)
    free = story.subscribe(w.shop.price(3_100), billing_cycle_anchor=at("2026-05-01"), proration_behavior="none")
    matches(free, status="active", latest_invoice=None)


def e5_the_first_invoice_of_weeks_and_days_and_yen(w) -> None:
    story = Story(w)
    week = story.subscribe(w.shop.price(700, interval="week"))
    matches(item(week), current_period_end=APRIL + 7 * DAY)
    story.on(7 * DAY)
    equal(periods(story.latest(week)), [(700, APRIL + 7 * DAY, APRIL + 14 * DAY)], "lines")
    yen = Story(w)
    sub = yen.subscribe({"price": w.shop.price(1_300, currency="jpy"), "quantity": 3})
    matches(yen.latest(sub), currency="jpy", total=3_900, amount_paid=3_900)


def _change_of_price(w, story: Story, sub) -> None:
    story.used(100, APRIL)
    story.to("2026-04-11")
    change = {"items": [{"id": item(sub).id, "price": w.shop.metered(7)}]}
    story.v1.subscriptions.update(sub.id, change)
    story.on(DAY)
    story.used(10, at("2026-04-11T12:00"))
    story.to(MAY)
