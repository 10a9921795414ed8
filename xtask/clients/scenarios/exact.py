"""What is charged once, and given back as it was charged: where time, changes and payments meet."""

from python.client import refused
from shared.suite import equal, matches, true
from stripe import CardError

from .story import APRIL, DAY, HOUR, MAY, Story, amounts, at, item

CLASSIC = {"type": "classic"}
FLEX = {"type": "flexible"}
FAILING = "pm_card_chargeCustomerFail"
AUTHENTICATED = "pm_card_authenticationRequired"
RESUMED = {"billing_cycle_anchor": "unchanged", "proration_behavior": "always_invoice"}


def a_draft_of_a_period_that_is_over_is_billed_though_it_is_canceled_in_its_hour(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3))
    story.used(101, APRIL)
    story.to(MAY + 600)
    story.v1.subscriptions.cancel(sub.id, {"invoice_now": True})
    story.to(MAY + 2 * DAY)
    true(any(i.status == "paid" and i.total == 303 for i in story.invoices(sub)), "April's usage is not billed")


def a_draft_is_billed_though_an_end_by_date_comes_in_its_hour(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3), cancel_at=MAY + 600, proration_behavior="none")
    story.used(101, APRIL)
    story.to(MAY + 2 * DAY)
    true(any(i.status == "paid" and i.total == 303 for i in story.invoices(sub)), "April's usage is not billed")


def the_last_invoice_is_held_back_where_collection_is_paused(w) -> None:
    for behavior in ("keep_as_draft", "mark_uncollectible", "void"):
        story = Story(w)
        sub = story.subscribe(w.shop.metered(3))
        story.used(101, APRIL)
        terms = {"pause_collection": {"behavior": behavior}, "cancel_at_period_end": True}
        story.v1.subscriptions.update(sub.id, terms)
        story.to(MAY + 2 * DAY)
        true(all(i.status != "paid" for i in story.invoices(sub)), f"{behavior}: it was charged")


def an_immediate_invoice_is_held_back_where_collection_is_paused(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000))
    story.v1.subscriptions.update(sub.id, {"pause_collection": {"behavior": "void"}})
    story.to("2026-04-16")
    _change(story, sub, price=w.shop.price(2_000))
    true(story.latest(sub).status != "paid", "it was charged")


def a_classic_one_paused_by_its_trial_pays_for_the_rest_when_it_comes_back(w) -> None:
    for mode in (FLEX, CLASSIC):
        story = Story(w, card=None)
        pauses = {"end_behavior": {"missing_payment_method": "pause"}}
        trial = {"trial_end": at("2026-04-06"), "trial_settings": pauses}
        sub = story.subscribe(w.shop.price(3_000), billing_mode=mode, **trial)
        story.to("2026-04-07")
        equal(story.sub(sub).status, "paused", "status")
        story.to("2026-04-21")
        story.pays_with("pm_card_visa")
        story.v1.subscriptions.resume(sub.id, RESUMED)
        matches(story.latest(sub), total=1_500)


def an_end_with_the_period_follows_the_period(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000), cancel_at_period_end=True)
    story.to("2026-04-16")
    changed = _change(story, sub, price=w.shop.price(12_000, interval="year"))
    equal(changed.cancel_at, item(changed).current_period_end, "cancel_at")
    story.to(MAY + 2 * HOUR)
    equal(story.sub(sub).status, "active", "status")


def an_end_with_the_period_follows_an_anchor_now(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000), cancel_at_period_end=True)
    story.to("2026-04-16")
    changed = story.v1.subscriptions.update(sub.id, {"billing_cycle_anchor": "now"})
    equal(changed.cancel_at, item(changed).current_period_end, "cancel_at")


def a_longer_trial_moves_the_end_with_the_period(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(1_000), trial_end=at("2026-04-06"), cancel_at_period_end=True)
    changed = story.v1.subscriptions.update(sub.id, {"trial_end": at("2026-04-20")})
    equal(changed.cancel_at, at("2026-04-20"), "cancel_at")


def time_paid_for_is_not_paid_again_after_a_pause_that_gave_nothing_back(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.to("2026-04-11")
    story.v1.subscriptions.pause(sub.id, {"bill_for": {"unused_time_from": {"type": "none"}}})
    story.to("2026-04-16")
    story.v1.subscriptions.resume(sub.id, {"billing_cycle_anchor": "unchanged", "proration_behavior": "none"})
    _change(story, sub, price=w.shop.price(6_000))
    equal(amounts(story.latest(sub)), [-1_500, 3_000], "lines")


def debits_survive_a_resumption_that_was_not_paid(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.to("2026-04-11")
    story.v1.subscriptions.pause(sub.id, {"bill_for": {"unused_time_from": {"type": "none"}}})
    story.v1.subscriptions.update(sub.id, {"items": [{"id": item(sub).id, "price": w.shop.price(6_000)}]})
    story.v1.subscriptions.resume(sub.id, RESUMED | {"payment_behavior": "resume_on_payment_success"})
    story.on(DAY)
    equal(story.sub(sub).status, "paused", "status")
    story.to("2026-04-16")
    story.v1.subscriptions.resume(sub.id, RESUMED)
    equal(amounts(story.latest(sub)), [-1_500, 3_000], "lines")


def a_free_trial_stays_one_when_an_older_invoice_fails(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(3), w.shop.price(700))
    story.pays_with(FAILING)
    story.to(MAY + HOUR)
    equal(story.sub(sub).status, "past_due", "status")
    story.v1.subscriptions.update(sub.id, {"trial_end": at("2026-05-20")})
    equal(story.sub(sub).status, "trialing", "status")
    story.to("2026-05-06")
    story.used(1_000, at("2026-05-06"))
    story.to("2026-05-20T02:00")
    true(all(3000 not in amounts(i) for i in story.invoices(sub)), "usage of a trial is billed")


def time_before_the_last_change_is_not_charged_again(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.to("2026-04-21")
    _change(story, sub, quantity=2)
    terms = {"items": [{"id": item(sub).id, "quantity": 3}], "proration_date": at("2026-04-11")}
    story.v1.subscriptions.update(sub.id, terms | {"proration_behavior": "always_invoice"})
    # One for ten days and three for twenty: 10 + 60.
    equal(sum(i.total for i in story.invoices(sub)), 1_000 + 6_000, "in all")


def a_date_whose_new_period_is_over_is_refused(w) -> None:
    story = Story(w, start=at("2026-01-01"))
    yearly = {"interval": "year", "usage_type": "metered", "meter": w.shop.meter("calls")}
    terms = {"currency": "usd", "unit_amount": 3, "product_data": {"name": "Y"}, "recurring": yearly}
    sub = story.subscribe(w.client.v1.prices.create(terms).id)
    story.used(100, at("2026-01-01"))
    story.to("2026-06-16")
    for change in ({"id": item(sub).id, "price": w.shop.metered(5)}, {"price": w.shop.metered(5)}):
        terms = {"items": [change], "proration_date": at("2026-03-10")}
        refused(story.v1.subscriptions.update, sub.id, terms, param="proration_date")


def a_proration_that_was_deleted_is_not_given_back(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.v1.subscriptions.update(sub.id, {"items": [{"id": item(sub).id, "quantity": 3}]})
    for pending in story.v1.invoice_items.list({"customer": story.id, "pending": True}).data:
        story.v1.invoice_items.delete(pending.id)
    _change(story, sub, quantity=1)
    equal(sum(i.total for i in story.invoices(sub)), 3_000, "in all")


def preview_of_cancel_now_is_what_it_would_be(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), w.shop.metered(3))
    story.used(100, APRIL)
    story.to("2026-04-11")
    preview = story.v1.invoices.create_preview({"subscription": sub.id, "subscription_details": {"cancel_now": True}})
    equal(amounts(preview), [-2_000, 300], "lines")


def a_void_renewal_is_not_given_back(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.pays_with(FAILING)
    story.to(MAY + HOUR)
    story.v1.invoices.void_invoice(story.latest(sub).id)
    story.v1.subscriptions.cancel(sub.id, {"prorate": True, "invoice_now": True})
    true(story.balance() == 0, f"credit for what was never paid: {story.balance()}")


def a_pause_gives_back_the_whole_period_after_an_upgrade(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.to("2026-04-11")
    _change(story, sub, quantity=2)
    story.to("2026-04-21")
    whole = {"unused_time_from": {"type": "item_current_period_start"}}
    story.v1.subscriptions.pause(sub.id, {"bill_for": whole, "invoicing_behavior": "invoice"})
    equal(sum(i.total for i in story.invoices(sub)), 0, "in all")


def a_renewal_that_must_be_authenticated_does_not_end_it(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.pays_with(AUTHENTICATED)
    story.to(MAY + HOUR)
    equal(story.sub(sub).status, "past_due", "status")


def an_upgrade_that_must_be_authenticated_does_not_end_it(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.pays_with(AUTHENTICATED)
    story.to("2026-04-16")
    changed = _change(story, sub, quantity=3)
    equal(changed.status, "past_due", "status")


def what_was_voided_by_a_pause_of_collection_is_not_given_back(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.v1.subscriptions.update(sub.id, {"pause_collection": {"behavior": "void"}})
    story.to("2026-05-02")
    story.v1.subscriptions.cancel(sub.id, {"prorate": True, "invoice_now": True})
    equal(story.balance(), 0, "balance")


def tries_by_hand_do_not_use_up_the_schedule(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.pays_with(FAILING)
    story.to(MAY + HOUR)
    before = story.latest(sub)
    for _ in range(4):
        refused(story.v1.invoices.pay, before.id, error=CardError, status=402, code="card_declined")
    equal(story.sub(sub).status, "past_due", "status")
    matches(story.latest(sub), attempt_count=1, next_payment_attempt=before.next_payment_attempt)


def clear_usage_has_no_effect_with_a_meter(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700), w.shop.metered(3))
    story.used(100, APRIL)
    story.to("2026-04-11")
    story.v1.subscription_items.delete(_by(sub, "metered").id, {"clear_usage": True})
    story.to(MAY)
    equal(story.latest(sub).total, 700 + 300, "total")


def end_of_a_trial_by_hand_without_a_card_is_refused(w) -> None:
    story = Story(w, card=None)
    sub = story.subscribe(w.shop.price(3_000), trial_end=at("2026-04-06"))
    refused(story.v1.subscriptions.update, sub.id, {"trial_end": "now"}, code="resource_missing")
    equal(story.sub(sub).status, "trialing", "status")


def items_that_were_added_while_paused_keep_to_their_pause(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), w.shop.metered(3))
    story.to("2026-04-11")
    story.v1.subscriptions.pause(sub.id)
    story.v1.subscriptions.update(sub.id, {"items": [{"id": _by(sub, "licensed").id, "quantity": 2}]})
    story.to("2026-04-21")
    story.v1.subscriptions.resume(sub.id, {"billing_cycle_anchor": "unchanged"})
    story.to(MAY)
    # -20.00 back, 20.00 for ten days of two, 60.00 for May, 0 usage
    equal(story.latest(sub).total, -2_000 + 2_000 + 6_000, "total")


def a_change_with_the_end_of_a_trial_is_charged_as_changed(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), trial_end=at("2026-04-11"))
    story.to("2026-04-06")
    story.v1.subscriptions.update(sub.id, {"trial_end": "now", "items": [{"id": item(sub).id, "quantity": 2}]})
    equal(story.latest(sub).total, 6_000, "total")


def who_is_deleted_by_a_clock_ends_by_the_clock(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.v1.customers.delete(story.id)
    matches(story.sub(sub), status="canceled", ended_at=APRIL)


def a_client_that_confirms_pays_what_remains(w) -> None:
    story = Story(w)
    invoice = story.v1.invoices.finalize_invoice(_draft(story, 1_000).id)
    note = story.v1.credit_notes.create({"invoice": invoice.id, "amount": 400})
    intent = _intent(story, invoice.id)
    equal(story.v1.payment_intents.retrieve(intent).amount, 600, "amount of the intent")
    story.v1.credit_notes.void_credit_note(note.id)
    equal(story.v1.payment_intents.retrieve(intent).amount, 1_000, "amount of the intent")
    story.v1.credit_notes.create({"invoice": invoice.id, "amount": 300})
    story.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    equal([charge.amount for charge in story.v1.charges.list({"payment_intent": intent}).data], [700], "charges")
    matches(story.v1.invoices.retrieve(invoice.id), status="paid", amount_paid=700, amount_remaining=0)


def a_client_that_confirms_is_charged_by_the_same_card_next_time(w) -> None:
    story = Story(w, card=None)
    saved = {"save_default_payment_method": "on_subscription"}
    terms = {"payment_behavior": "default_incomplete", "payment_settings": saved}
    sub = story.subscribe(w.shop.price(700), **terms)
    story.v1.payment_intents.confirm(_intent(story, sub.latest_invoice), {"payment_method": "pm_card_visa"})
    true(story.sub(sub).default_payment_method is not None, "no default payment method")
    story.to(MAY + 2 * HOUR)
    matches(story.latest(sub), status="paid", amount_paid=700)


def a_client_that_is_refused_is_told_of_by_the_invoice(w) -> None:
    story = Story(w, card=None)
    sub = story.subscribe(w.shop.price(700), payment_behavior="default_incomplete")
    intent = _intent(story, sub.latest_invoice)
    declined = {"payment_method": "pm_card_chargeDeclined"}
    refused(story.v1.payment_intents.confirm, intent, declined, error=CardError, status=402, code="card_declined")
    matches(story.latest(sub), status="open", attempted=True, attempt_count=1)
    true("invoice.payment_failed" in story.events(), "no event")


def a_draft_that_is_too_large_is_read_as_it_was_drawn_up(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.metered(90_000_000, event="large", name="Large"))
    story.used(1, APRIL, "large")
    story.to(MAY)
    story.used(20_000, APRIL + 2 * DAY, "large")
    matches(story.latest(sub), status="draft")
    true(story.latest(sub).id in [each.id for each in story.v1.invoices.list({"customer": story.id}).data], "it is not listed")


def _change(story: Story, sub, **change):
    """Changes the one item, and bills it at once."""
    terms = {"items": [{"id": item(sub).id} | change], "proration_behavior": "always_invoice"}
    return story.v1.subscriptions.update(sub.id, terms)


def _draft(story: Story, amount: int):
    draft = story.v1.invoices.create({"customer": story.id, "currency": "usd"})
    line = {"customer": story.id, "invoice": draft.id, "amount": amount, "currency": "usd"}
    story.v1.invoice_items.create(line)
    return draft


def _intent(story: Story, invoice: str) -> str:
    return story.v1.invoice_payments.list({"invoice": invoice}).data[0].payment.payment_intent


def _by(sub, usage_type: str):
    return next(each for each in sub["items"].data if each.price.recurring.usage_type == usage_type)


def a_preview_may_be_of_nobody_yet(w) -> None:
    story = Story(w)
    seats = {"price": w.shop.price(3_000), "quantity": 2}
    who = {"address": {"country": "DE"}, "tax_exempt": "exempt"}
    asked = {"customer_details": who, "subscription_details": {"items": [seats]}}
    before = len(story.v1.customers.list({"limit": 100}).data)
    preview = story.v1.invoices.create_preview(asked)
    matches(preview, customer=None, customer_address__country="DE", customer_tax_exempt="exempt", total=6_000)
    equal(len(story.v1.customers.list({"limit": 100}).data), before, "customers")
    missing = {"status": 400, "code": "parameter_missing"}
    refused(story.v1.invoices.create_preview, {"customer_details": who}, param="subscription_details[items]", **missing)


def a_preview_shows_what_a_pause_and_a_resumption_bill(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000), w.shop.metered(3), billing_mode=FLEX)
    story.used(100, APRIL)
    story.to("2026-04-11")

    def of(**details: object) -> dict:
        return {"subscription": sub.id, "subscription_details": details}

    equal(sorted(amounts(story.v1.invoices.create_preview(of(pause={"type": "subscription"})))), [-2_000, 300], "lines of a pause")
    matches(story.sub(sub), status="active")
    both = of(pause={"type": "subscription"}, cancel_now=True)
    refused(story.v1.invoices.create_preview, both, code="parameters_exclusive", param="subscription_details[pause]")
    story.v1.subscriptions.pause(sub.id, {"type": "subscription", "invoicing_behavior": "invoice"})
    story.to("2026-04-20")
    preview = story.v1.invoices.create_preview(of(resume_at="now"))
    equal(amounts(preview), [3_000], "lines of a resumption")
    matches(story.sub(sub), status="paused")
    story.v1.subscriptions.resume(sub.id, {"billing_cycle_anchor": "now"})
    equal(amounts(story.latest(sub)), amounts(preview), "what was billed")
