"""A year of a metered and licensed subscription, by one clock: its plan changes, or it uses what it uses."""

from python.client import ANY, refused
from shared.suite import equal, matches

from .story import DAY, HOUR, Story, amounts, at, item

STARTS = [f"2025-{month:02}-01" for month in range(1, 13)] + ["2026-01-01"]


def a_year_of_seats_and_calls_is_billed_to_the_cent(w) -> None:
    story = Story(w, start=at(STARTS[0]))
    calls, team, business = w.shop.metered(3), w.shop.price(3_100), w.shop.price(6_200, name="Business")
    sub = story.subscribe({"price": team, "quantity": 2}, calls, metadata={"year": "2025"})
    seats = next(each for each in sub["items"].data if each.price.id == team).id
    update = story.v1.subscriptions.update
    # The change, in the middle of the month, and what the renewal after it must say.
    changes = {
        # March, 31 days: a third seat for 10 of them.
        3: ("2025-03-22", {"quantity": 3}),
        # June, 30 days: to Business, for 15 of them.
        6: ("2025-06-16", {"price": business, "quantity": 3}),
        # September, 30 days: one seat less for 10 of them.
        9: ("2025-09-21", {"quantity": 2}),
    }
    expected = [
        [6_200],
        [303, 6_200],
        [306, 6_200],
        # -6200 × 10 ÷ 31, 9300 × 10 ÷ 31
        [-2_000, 309, 3_000, 9_300],
        [312, 9_300],
        [315, 9_300],
        # -9300 ÷ 2, 18600 ÷ 2
        [-4_650, 318, 9_300, 18_600],
        [321, 18_600],
        [324, 18_600],
        # -18600 ÷ 3, 12400 ÷ 3
        [-6_200, 327, 4_133, 12_400],
        [330, 12_400],
        [333, 12_400],
    ]
    for month in range(1, 12):
        if month in changes:
            day, change = changes[month]
            story.to(day)
            update(sub.id, {"items": [{"id": seats} | change]})
        # Reported at the end of the month: 101 calls in January, 102 in February …
        story.to(at(STARTS[month]) - 1)
        story.used(100 + month, at(STARTS[month]) - 2)
        story.to(STARTS[month])
        matches(story.latest(sub), status="draft", billing_reason="subscription_cycle")
        story.on(HOUR)
    billed = story.invoices(sub)
    equal([amounts(each) for each in billed], expected, "lines")
    equal([each.total for each in billed], [sum(each) for each in expected], "totals")
    equal([each.status for each in billed], ["paid"] * 12, "statuses")
    equal([each.amount_paid for each in billed], [sum(each) for each in expected], "paid")
    equal([each.created for each in billed], [at(start) for start in STARTS[:12]], "created")
    prefix = story.v1.customers.retrieve(story.id).invoice_prefix
    equal([each.number for each in billed], [f"{prefix}-{count:04}" for count in range(1, 13)], "numbers")
    charged = story.v1.charges.list({"customer": story.id, "limit": 100}).data
    equal(sum(each.amount for each in charged), sum(map(sum, expected)), "charged")
    matches(item(story.sub(sub)), current_period_end=at(STARTS[12]))


def a_year_that_is_jumped_over_two_months_at_a_time_is_the_same(w) -> None:
    story = Story(w, start=at(STARTS[0]))
    sub = story.subscribe({"price": w.shop.price(701), "quantity": 3}, w.shop.metered(3))
    for month in range(2, 13, 2):
        story.to(STARTS[month])
    story.on(HOUR)
    equal([each.total for each in story.invoices(sub)], [2_103] * 13, "totals")
    equal([each.status for each in story.invoices(sub)], ["paid"] * 13, "statuses")
    equal([each.created for each in story.invoices(sub)], [at(start) for start in STARTS], "created")


def g1_usage_without_a_timestamp_is_billed_between_the_instants_of_the_clock(w) -> None:
    # A leap year that is long over, and one that is to come; both on the same meter.
    for year in (2024, 2031):
        starts = [at(f"{year}-{month:02}-01") for month in range(1, 13)] + [at(f"{year + 1}-01-01")]
        story = Story(w, start=starts[0])
        sub = story.subscribe({"price": w.shop.price(700), "quantity": 3}, w.shop.metered(3))
        expected = []
        for month, (start, end) in enumerate(zip(starts, starts[1:], strict=False), 1):
            # As soon as the period begins, then after each step, and the last second of it.
            equal(story.used(7), start if month == 1 else start + HOUR, "timestamp")
            for day in (8, 19):
                story.to(start + day * DAY)
                equal(story.used(100 + month), start + day * DAY, "timestamp")
            story.to(end - 1)
            story.used(11)
            # At the boundary begins the next period; the draft of the last one waits for what is late.
            story.to(end)
            story.used(5)
            equal(story.used(13, end - 1), end - 1, "timestamp")
            story.on(HOUR)
            begun = 5 if month > 1 else 0
            used = begun + 7 + 2 * (100 + month) + 11 + 13
            equal(story.summed(start, end), used, "summary")
            expected.append((3 * used, 2_100))
        billed = story.invoices(sub)
        equal(amounts(billed[0]), [2_100], "lines of the first")
        equal([amounts(each) for each in billed[1:]], [sorted(each) for each in expected], f"lines in {year}")
        equal([each.total for each in billed[1:]], [sum(each) for each in expected], "totals")
        equal([each.status for each in billed], ["paid"] * 13, "statuses")
        equal([each.created for each in billed], starts, "created")


def g1_a_timestamp_is_held_against_the_time_of_the_clock(w) -> None:
    now = at("2031-05-07")
    story = Story(w, start=now)
    for when in (now - 35 * DAY, now, now + 300):
        equal(story.used(7, when), when, "timestamp")
    for when in (now - 35 * DAY - 1, now + 301, at("2026-04-01")):
        refused(story.used, 7, when, code=ANY, param="timestamp")
    story.on(DAY)
    equal(story.used(7, now + DAY + 300), now + DAY + 300, "timestamp")
    refused(story.used, 7, now - 35 * DAY, code=ANY, param="timestamp")
