"""Schedules: a check for each statement of E12's on them, through the phases of a few months."""

from python.client import ANY, refused
from shared.suite import equal, matches

from .story import APRIL, DAY, HOUR, JUNE, MAY, Story, amounts, at, item, periods

JULY = at("2026-07-01")
MONTH = {"interval": "month"}


def _planned(story: Story, *phases: dict, **terms: object):
    return story.v1.subscription_schedules.create({"customer": story.id, "phases": list(phases)} | terms)


def _phase(*items: str | dict, **terms: object) -> dict:
    full = [{"price": each} if isinstance(each, str) else each for each in items]
    return {"items": full} | terms


def e12_its_first_invoice_is_a_draft_and_its_subscription_active(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(700), duration=MONTH), start_date="now")
    matches(schedule, status="active", current_phase__start_date=APRIL, current_phase__end_date=MAY, end_behavior="release")
    matches(story.sub(schedule.subscription), status="active", schedule=schedule.id)
    matches(story.latest(schedule.subscription), status="draft", billing_reason="subscription_create", total=700)
    story.on(HOUR)
    matches(story.latest(schedule.subscription), status="paid")


def e12_it_starts_later(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(700)), start_date=at("2026-04-11"))
    matches(schedule, status="not_started", subscription=None, current_phase=None)
    story.to("2026-04-11")
    schedule = story.v1.subscription_schedules.retrieve(schedule.id)
    matches(schedule, status="active")
    matches(item(story.sub(schedule.subscription)), current_period_start=at("2026-04-11"), current_period_end=at("2026-05-11"))


def e12_it_started_earlier(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(3_100), duration=MONTH), start_date=at("2026-03-11"))
    matches(story.sub(schedule.subscription), start_date=at("2026-03-11"), created=APRIL)
    equal(amounts(story.latest(schedule.subscription)), [3_100], "lines")
    story.to("2026-04-11")
    matches(story.v1.subscription_schedules.retrieve(schedule.id), status="released")


def e12_a_phase_that_begins_with_a_period_is_in_its_renewal(w) -> None:
    story = Story(w)
    calls = w.shop.metered(3)
    first = _phase(w.shop.price(700), calls, duration=MONTH)
    second = _phase({"price": w.shop.price(900), "quantity": 2}, calls, duration=MONTH)
    schedule = _planned(story, first, second)
    story.to("2026-04-20")
    story.used(13, at("2026-04-19"))
    story.to(MAY)
    draft = story.latest(schedule.subscription)
    matches(draft, status="draft", billing_reason="subscription_cycle")
    equal(periods(draft), [(39, APRIL, MAY), (1_800, MAY, JUNE)], "lines")


def e12_a_phase_within_a_period_prorates_as_it_says(w) -> None:
    seat, pro = w.shop.price(3_000), w.shop.price(6_000, name="Pro")
    for behavior, reason, lines in (
        ("always_invoice", "subscription_update", [-2_000, 4_000]),
        ("create_prorations", "subscription_create", [3_000]),
        ("none", "subscription_create", [3_000]),
    ):
        story = Story(w)
        second = _phase(pro, proration_behavior=behavior)
        schedule = _planned(story, _phase(seat, end_date=at("2026-04-11")), second)
        story.to("2026-04-11")
        matches(story.latest(schedule.subscription), billing_reason=reason)
        equal(amounts(story.latest(schedule.subscription)), lines, behavior)
        pending = story.v1.invoice_items.list({"customer": story.id, "pending": True}).data
        equal(sorted(each.amount for each in pending), [-2_000, 4_000] if behavior == "create_prorations" else [], behavior)


def e12_periods_begin_with_a_phase(w) -> None:
    story = Story(w)
    second = _phase(w.shop.price(6_000, name="Pro"), billing_cycle_anchor="phase_start", duration=MONTH)
    schedule = _planned(story, _phase(w.shop.price(3_000), end_date=at("2026-04-11")), second)
    story.to("2026-04-11")
    matches(story.sub(schedule.subscription), billing_cycle_anchor=at("2026-04-11"))
    equal(amounts(story.latest(schedule.subscription)), [-2_000, 6_000], "lines")


def e12_a_whole_phase_is_a_trial(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(700), trial=True, duration=MONTH), _phase(w.shop.price(900)))
    matches(story.sub(schedule.subscription), status="trialing", trial_end=MAY)
    story.to(MAY)
    matches(story.sub(schedule.subscription), status="active")
    matches(story.latest(schedule.subscription), billing_reason="subscription_cycle", total=900)


def e12_a_discount_is_of_its_phase(w) -> None:
    story = Story(w)
    coupon = story.v1.coupons.create({"percent_off": 50, "duration": "forever"}).id
    first = _phase(w.shop.price(700), duration=MONTH, discounts=[{"coupon": coupon}])
    schedule = _planned(story, first, _phase(w.shop.price(700), duration=MONTH))
    matches(story.latest(schedule.subscription), total=350)
    story.to(MAY)
    matches(story.latest(schedule.subscription), total=700)


def e12_things_are_sold_once_with_a_phase(w) -> None:
    story = Story(w)
    setup = [{"price": w.shop.one_time(500)}]
    schedule = _planned(story, _phase(w.shop.price(700), duration=MONTH), _phase(w.shop.price(700), add_invoice_items=setup))
    story.to(MAY)
    equal(amounts(story.latest(schedule.subscription)), [500, 700], "lines")


def e12_it_ends_with_its_subscription(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(700), duration={"interval": "month", "interval_count": 2}), end_behavior="cancel")
    matches(story.sub(schedule.subscription), cancel_at=JUNE)
    story.to(MAY)
    story.to(JUNE)
    matches(story.v1.subscription_schedules.retrieve(schedule.id), status="completed", completed_at=JUNE, current_phase=None)
    matches(story.sub(schedule.subscription), status="canceled", ended_at=JUNE)
    equal(len(story.invoices(schedule.subscription)), 2, "invoices")


def e12_it_leaves_its_subscription_to_itself(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(700), duration=MONTH))
    story.to(MAY)
    story.to(JUNE)
    released = story.v1.subscription_schedules.retrieve(schedule.id)
    matches(released, status="released", subscription=None, released_subscription=schedule.subscription, released_at=MAY)
    matches(story.sub(schedule.subscription), status="active", schedule=None)
    equal(len(story.invoices(schedule.subscription)), 3, "invoices")


def e12_a_subscription_changes_with_its_next_period(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    schedule = story.v1.subscription_schedules.create({"from_subscription": sub.id})
    now = schedule.phases[0]
    first = _phase(now["items"][0].price, start_date=now.start_date, end_date=now.end_date)
    story.v1.subscription_schedules.update(schedule.id, {"phases": [first, _phase(w.shop.price(900))]})
    story.to(MAY)
    equal(periods(story.latest(sub)), [(900, MAY, JUNE)], "lines")


def e12_a_change_of_the_phase_under_way_prorates(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(3_000), duration=MONTH))
    story.to("2026-04-11")
    twice = _phase({"price": w.shop.price(3_000), "quantity": 2}, start_date=APRIL, end_date=MAY)
    change = {"phases": [twice], "proration_behavior": "always_invoice"}
    story.v1.subscription_schedules.update(schedule.id, change)
    equal(amounts(story.latest(schedule.subscription)), [-2_000, 4_000], "lines")


def e12_what_is_over_cannot_be_changed(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(700), duration=MONTH), _phase(w.shop.price(900), duration=MONTH))
    story.to(MAY + DAY)
    update = story.v1.subscription_schedules.update
    first = _phase(w.shop.price(800), start_date=APRIL, end_date=MAY)
    refused(update, schedule.id, {"phases": [first, _phase(w.shop.price(900), end_date=JUNE)]}, param=ANY)
    refused(update, schedule.id, {"phases": [_phase(w.shop.price(900), start_date=MAY + 5, end_date=JUNE)]}, param=ANY)
    kept = update(schedule.id, {"phases": [_phase(w.shop.price(900), start_date=MAY, end_date=JULY)]})
    equal([(each.start_date, each.end_date) for each in kept.phases], [(APRIL, MAY), (MAY, JULY)], "phases")


def e12_its_events_are_told(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(700), duration=MONTH), _phase(w.shop.price(900), duration=MONTH), end_behavior="cancel")
    story.to(MAY)
    story.to(JUNE)
    told = [each for each in story.events() if each.startswith("subscription_schedule.")]
    equal(told, [f"subscription_schedule.{what}" for what in ("created", "updated", "expiring", "completed")], "events")
    equal(story.v1.subscription_schedules.retrieve(schedule.id).status, "completed", "status")


def e12_its_subscription_has_no_other_end(w) -> None:
    story = Story(w)
    schedule = _planned(story, _phase(w.shop.price(700)))
    refused(story.v1.subscriptions.update, schedule.subscription, {"cancel_at_period_end": True}, param=ANY)
    story.v1.subscription_schedules.release(schedule.id)
    matches(story.v1.subscriptions.update(schedule.subscription, {"cancel_at_period_end": True}), cancel_at=MAY)


def e12_released_before_its_end_the_rest_of_the_period_is_charged(w) -> None:
    for leave in (
        lambda story, schedule: story.v1.subscription_schedules.release(schedule.id),
        lambda story, schedule: story.v1.subscription_schedules.update(schedule.id, {"end_behavior": "release"}),
    ):
        story = Story(w)
        schedule = _planned(story, _phase(w.shop.price(3_000), end_date=at("2026-04-16")), end_behavior="cancel")
        story.on(HOUR)
        equal(amounts(story.latest(schedule.subscription)), [1_500], "until the end")
        leave(story, schedule)
        matches(story.sub(schedule.subscription), cancel_at=None)
        story.to(MAY)
        equal(amounts(story.latest(schedule.subscription)), [1_500, 3_000], "the rest and May")


def e12_released_from_what_ends_with_its_period_it_goes_on(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.v1.subscriptions.update(sub.id, {"cancel_at_period_end": True})
    story.v1.subscription_schedules.release(story.v1.subscription_schedules.create({"from_subscription": sub.id}).id)
    matches(story.sub(sub), cancel_at=None, cancel_at_period_end=False, schedule=None)
    matches(story.v1.subscriptions.update(sub.id, {"metadata": {"a": "b"}}), cancel_at=None)


def e12_prices_made_for_it_are_billed_and_can_be_sent_again(w) -> None:
    story = Story(w)
    product = story.v1.products.create({"name": "Made"}).id
    made = {"currency": "usd", "product": product, "unit_amount": 500}
    for start in ("now", APRIL + DAY):
        inline = {"price_data": made | {"recurring": MONTH}}
        schedule = _planned(story, _phase(inline, add_invoice_items=[{"price_data": made}], duration=MONTH), start_date=start)
        story.on(DAY)
        schedule = story.v1.subscription_schedules.retrieve(schedule.id)
        equal(amounts(story.latest(schedule.subscription)), [500, 500], "lines")
        phase = schedule.phases[0]
        again = _phase(
            {"price": phase["items"][0].price, "quantity": 3},
            add_invoice_items=[{"price": each.price} for each in phase.add_invoice_items],
            start_date=phase.start_date,
            end_date=phase.end_date,
        )
        story.v1.subscription_schedules.update(schedule.id, {"phases": [again], "proration_behavior": "none"})
        matches(item(story.sub(schedule.subscription)), quantity=3)
        refused(story.v1.subscriptions.create, {"customer": story.id, "items": [{"price": phase["items"][0].price}]}, param=ANY)


def e12_a_price_archived_since_can_be_sent_again(w) -> None:
    story = Story(w)
    seat, rate = (
        story.v1.prices.create({"currency": "usd", "unit_amount": 700, "recurring": MONTH, "product_data": {"name": "Old"}}).id,
        story.v1.tax_rates.create({"display_name": "VAT", "percentage": 10, "inclusive": False}).id,
    )
    schedule = _planned(story, _phase(seat, default_tax_rates=[rate], duration=MONTH), _phase(seat, duration=MONTH))
    story.v1.prices.update(seat, {"active": False})
    story.v1.tax_rates.update(rate, {"active": False})
    first = _phase(seat, default_tax_rates=[rate], start_date=APRIL, end_date=MAY)
    kept = story.v1.subscription_schedules.update(schedule.id, {"phases": [first, _phase(seat, end_date=JULY)]})
    equal([each.end_date for each in kept.phases], [MAY, JULY], "ends")
    story.to(MAY)
    matches(story.latest(schedule.subscription), total=700)


def e12_a_change_redeems_no_coupon_again(w) -> None:
    longer = {"interval": "month", "interval_count": 6}
    for change in (
        lambda _seat, _coupon: {"default_settings": {"description": "Same"}},
        lambda seat, coupon: {"phases": [_phase({"price": seat, "discounts": [coupon[1]]}, start_date=APRIL, duration=longer, discounts=[coupon[0]], description="New")]},
        lambda seat, coupon: {"phases": [_phase({"price": seat, "discounts": [coupon[1]]}, start_date=APRIL, duration=longer, discounts=[coupon[2], coupon[0]])]},
    ):
        story = Story(w)
        seat = w.shop.price(3_000)
        once = {"amount_off": 1_000, "currency": "usd", "duration": "once", "max_redemptions": 1}
        coupons = [{"coupon": story.v1.coupons.create(once).id} for _ in range(3)]
        item_too = {"price": seat, "discounts": [coupons[1]]}
        schedule = _planned(story, _phase(item_too, duration=longer, discounts=[coupons[0]]))
        story.to("2026-04-20")
        matches(story.latest(schedule.subscription), total=1_000)
        sent = change(seat, coupons)
        story.v1.subscription_schedules.update(schedule.id, sent)
        for coupon in coupons[:2]:
            matches(story.v1.coupons.retrieve(coupon["coupon"]), times_redeemed=1)
        story.to(MAY)
        new = sent.get("phases", [{}])[0].get("discounts", [])
        matches(story.latest(schedule.subscription), total=2_000 if coupons[2] in new else 3_000)


def e12_a_code_with_a_minimum_is_held_against_its_phase(w) -> None:
    story = Story(w)
    coupon = story.v1.coupons.create({"percent_off": 10, "duration": "forever"}).id
    restrictions = {"minimum_amount": 5_000, "minimum_amount_currency": "usd"}
    code = story.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon}, "restrictions": restrictions}).id
    seat, pro = w.shop.price(1_000), w.shop.price(9_000, name="Pro")
    cheap = _phase(seat, duration=MONTH, discounts=[{"promotion_code": code}])
    for start in ("now", at("2026-04-11")):
        asked = {"customer": story.id, "phases": [cheap], "start_date": start}
        refused(story.v1.subscription_schedules.create, asked, param="phases[0][discounts]")
    schedule = _planned(story, _phase(seat, duration=MONTH), _phase(pro, duration=MONTH, discounts=[{"promotion_code": code}]))
    story.to(MAY)
    matches(story.latest(schedule.subscription), total=8_100)


def e12_new_settings_are_held_against_every_phase_to_come(w) -> None:
    story = Story(w)
    calls = w.shop.metered(1)
    seat, pro = w.shop.price(1_000), w.shop.price(9_000, name="Pro")
    schedule = _planned(story, _phase(seat, calls, duration=MONTH), _phase(pro, calls, duration=MONTH))
    update = story.v1.subscription_schedules.update
    low = {"default_settings": {"billing_thresholds": {"amount_gte": 5_000}}}
    refused(update, schedule.id, low, param="default_settings[billing_thresholds][amount_gte]")
    update(schedule.id, {"default_settings": {"billing_thresholds": {"amount_gte": 10_000}}})
    story.to(MAY)
    matches(story.latest(schedule.subscription), total=9_000)


def e12_metadata_of_all_phases_must_fit(w) -> None:
    story = Story(w)
    phases = [_phase(w.shop.price(700), duration=MONTH, metadata={f"{each}{n}": "x" for n in range(30)}) for each in "ab"]
    refused(_planned, story, *phases, param="phases[1][metadata]")


def e12_a_phase_that_cannot_begin_leaves_its_subscription_to_itself(w) -> None:
    story = Story(w)
    labels = [{f"{each}{n}": "x" for n in range(20)} for each in "abc"]
    phases = [_phase(w.shop.price(700), duration=MONTH, metadata=each) for each in labels[:2]]
    schedule = _planned(story, *phases, end_behavior="cancel")
    story.v1.subscriptions.update(schedule.subscription, {"metadata": labels[2]})
    story.to(MAY)
    matches(story.v1.subscription_schedules.retrieve(schedule.id), status="released", released_at=MAY)
    matches(story.sub(schedule.subscription), status="active", schedule=None, cancel_at=JUNE)
    equal(periods(story.latest(schedule.subscription)), [(700, MAY, JUNE)], "lines")


def e12_what_is_over_is_sent_again_as_it_was(w) -> None:
    story = Story(w)
    coupon = {"coupon": story.v1.coupons.create({"percent_off": 50, "duration": "once", "max_redemptions": 1}).id}
    setup = {"price": w.shop.one_time(500)}
    seat = w.shop.price(700)
    terms = {"description": "Spring", "metadata": {"a": "b"}, "discounts": [coupon], "add_invoice_items": [setup]}
    schedule = _planned(story, _phase(seat, duration=MONTH, **terms), _phase(seat, duration=MONTH))
    story.to(MAY + DAY)
    update = story.v1.subscription_schedules.update
    now = _phase(seat, start_date=MAY, end_date=JULY)
    over = {"start_date": APRIL, "end_date": MAY}
    kept = update(schedule.id, {"phases": [_phase(seat, **over, **terms), now]})
    equal([each.end_date for each in kept.phases], [MAY, JULY], "ends")
    for name, value in (
        ("description", "Summer"),
        ("metadata", {"a": "c"}),
        ("discounts", ""),
        ("add_invoice_items", [setup | {"quantity": 2}]),
        ("collection_method", "send_invoice"),
        ("proration_behavior", "none"),
        ("trial", True),
        ("currency", "eur"),
    ):
        refused(update, schedule.id, {"phases": [_phase(seat, **over, **(terms | {name: value})), now]}, param=f"phases[0][{name}]")


def e12_a_preview_shows_what_a_new_schedule_bills(w) -> None:
    story = Story(w)
    seats = {"price": w.shop.price(3_000), "quantity": 2}
    for start, begins, ends in (("now", APRIL, MAY), (at("2026-04-11"), at("2026-04-11"), at("2026-05-11"))):
        phases = [_phase(seats, duration=MONTH, start_date=start), _phase(seats["price"], duration=MONTH)]
        asked = {"customer": story.id, "schedule_details": {"phases": phases, "end_behavior": "cancel"}}
        preview = story.v1.invoices.create_preview(asked)
        matches(preview, status="draft", total=6_000, parent=None)
        equal(periods(preview), [(6_000, begins, ends)], "lines")
    equal(list(story.v1.subscription_schedules.list({"customer": story.id}).data), [], "schedules")
    equal(list(story.v1.subscriptions.list({"customer": story.id}).data), [], "subscriptions")
    without = {"customer": story.id, "schedule_details": {"phases": [_phase(seats, duration=MONTH)]}}
    refused(story.v1.invoices.create_preview, without, code="parameter_missing", param="schedule_details[phases][0][start_date]")
    schedule = _planned(story, _phase(seats), start_date=at("2026-04-11"))
    equal(story.v1.invoices.create_preview({"schedule": schedule.id}).total, 6_000, "still to begin")
    matches(story.v1.subscription_schedules.retrieve(schedule.id), status="not_started", subscription=None)


def e12_a_preview_shows_what_a_changed_schedule_bills(w) -> None:
    story = Story(w)
    pro = w.shop.price(6_000, name="Pro")
    schedule = _planned(story, _phase(w.shop.price(3_000), duration=MONTH), start_date="now")
    story.to("2026-04-11")
    before = story.latest(schedule.subscription).id
    change = {"phases": [_phase(pro, start_date=APRIL, end_date=MAY)], "proration_behavior": "always_invoice"}
    preview = story.v1.invoices.create_preview({"schedule": schedule.id, "schedule_details": change})
    equal(sorted(amounts(preview)), [-2_000, 4_000], "lines")
    equal(story.latest(schedule.subscription).id, before, "latest invoice")
    story.v1.subscription_schedules.update(schedule.id, change)
    equal(amounts(story.latest(schedule.subscription)), amounts(preview), "what was billed")
    of_new = {"schedule": schedule.id, "schedule_details": {"billing_mode": {"type": "flexible"}}}
    refused(story.v1.invoices.create_preview, of_new, param="schedule_details[billing_mode]")
    both = {"schedule": schedule.id, "subscription": schedule.subscription}
    refused(story.v1.invoices.create_preview, both, code="parameters_exclusive", param="schedule")
