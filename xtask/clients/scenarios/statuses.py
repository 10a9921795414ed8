"""Statuses and transitions of subscriptions: a check for each row of E3 of the reference."""

from python.client import ANY, refused
from shared.suite import equal, matches, true
from stripe import CardError

from .story import APRIL, DAY, HOUR, MAY, Story, amounts, at, item

FAILING = "pm_card_chargeCustomerFail"


def e3_new_with_a_trial_is_trialing(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700), trial_period_days=14)
    matches(sub, status="trialing", trial_start=APRIL, trial_end=APRIL + 14 * DAY, pending_setup_intent=None)
    matches(item(sub), current_period_start=APRIL, current_period_end=APRIL + 14 * DAY)
    first = story.latest(sub)
    matches(first, status="paid", total=0, amount_due=0, billing_reason="subscription_create", attempt_count=0)


def e3_new_with_a_trial_and_no_card_waits_for_one(w) -> None:
    story = Story(w, card=None)
    sub = story.subscribe(w.shop.price(700), trial_period_days=14)
    matches(sub, status="trialing")
    true((sub.pending_setup_intent or "").startswith("seti_"), f"pending_setup_intent is {sub.pending_setup_intent!r}")
    matches(story.latest(sub), status="paid", total=0)


def e3_new_with_nothing_due_is_active(w) -> None:
    story = Story(w, card=None)
    matches(story.subscribe(w.shop.metered(3)), status="active", latest_invoice=None)


def e3_new_and_paid_is_active(w) -> None:
    story = Story(w)
    sub = story.subscribe({"price": w.shop.price(700), "quantity": 3})
    matches(sub, status="active")
    first = story.latest(sub)
    matches(first, status="paid", total=2_100, amount_paid=2_100, amount_remaining=0, attempt_count=1)
    # E5: `period_start = period_end = created`.
    matches(first, period_start=APRIL, period_end=APRIL, created=APRIL, billing_reason="subscription_create")


def e3_new_to_be_sent_invoices_is_active(w) -> None:
    story = Story(w, card=None)
    sub = story.sent(w.shop.price(700))
    matches(sub, status="active")
    matches(story.latest(sub), status="draft", total=700)
    story.on(HOUR)
    matches(story.latest(sub), status="open", total=700, due_date=APRIL + HOUR + 30 * DAY)


def e3_new_whose_payment_fails_is_incomplete(w) -> None:
    story = Story(w, card=FAILING)
    sub = story.subscribe(w.shop.price(700))
    matches(sub, status="incomplete")
    matches(story.latest(sub), status="open", amount_due=700, amount_paid=0, attempt_count=1, auto_advance=False)


def e3_new_that_is_default_incomplete_is_incomplete(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700), payment_behavior="default_incomplete")
    matches(sub, status="incomplete")
    matches(story.latest(sub), status="open", amount_due=700, attempted=False, attempt_count=0)
    free = story.subscribe(w.shop.metered(3), payment_behavior="default_incomplete")
    matches(free, status="active")


def e2_error_if_incomplete_makes_nothing(w) -> None:
    story = Story(w, card=FAILING)
    refused(
        lambda: story.subscribe(w.shop.price(700), payment_behavior="error_if_incomplete"),
        error=CardError, status=402, code="card_declined", param=ANY,
    )
    equal(story.v1.subscriptions.list({"customer": story.id, "status": "all"}).data, [], "subscriptions")
    equal(story.v1.invoices.list({"customer": story.id}).data, [], "invoices")


def e3_incomplete_whose_invoice_is_paid_is_active(w) -> None:
    story = Story(w, card=FAILING)
    sub = story.subscribe(w.shop.price(700))
    story.on(2 * HOUR)
    good = story.pays_with("pm_card_visa")
    paid = story.v1.invoices.pay(sub.latest_invoice, {"payment_method": good})
    matches(paid, status="paid", amount_paid=700)
    matches(story.sub(sub), status="active")
    # Its period is the one that it began with.
    matches(item(story.sub(sub)), current_period_start=APRIL, current_period_end=MAY)


def e3_incomplete_for_23_hours_is_expired(w) -> None:
    story = Story(w, card=FAILING)
    sub = story.subscribe(w.shop.price(700))
    story.on(23 * HOUR - 1)
    matches(story.sub(sub), status="incomplete")
    story.on(1)
    matches(story.sub(sub), status="incomplete_expired")
    matches(story.latest(sub), status="void", amount_due=700, amount_remaining=700)
    story.on(60 * DAY)
    matches(story.sub(sub), status="incomplete_expired")
    equal(len(story.invoices(sub)), 1, "invoices")


def e3_incomplete_whose_first_invoice_is_voided_is_expired(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700), payment_behavior="default_incomplete")
    story.v1.invoices.void_invoice(sub.latest_invoice)
    matches(story.sub(sub), status="incomplete_expired")


def e3_an_incomplete_one_changes_only_its_words(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700), payment_behavior="default_incomplete")
    update = story.v1.subscriptions.update
    matches(update(sub.id, {"metadata": {"a": "1"}, "description": "Waiting"}), description="Waiting")
    refused(update, sub.id, {"items": [{"id": item(sub).id, "quantity": 2}]}, code=ANY, param=ANY)


def e3_a_trial_that_ends_with_a_card_is_active_and_billed(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700), trial_period_days=14)
    end = APRIL + 14 * DAY
    story.to(end - 1)
    matches(story.sub(sub), status="trialing")
    story.to(end)
    now = story.sub(sub)
    matches(now, status="active", billing_cycle_anchor=end)
    matches(item(now), current_period_start=end, current_period_end=at("2026-05-15"))
    matches(story.latest(sub), status="draft", billing_reason="subscription_cycle", total=700)
    story.on(HOUR)
    matches(story.latest(sub), status="paid", amount_paid=700)


def e3_a_trial_that_ends_without_a_card_makes_an_invoice(w) -> None:
    story, sub = _trial_without_card(w, "create_invoice")
    matches(story.sub(sub), status="active")
    matches(story.latest(sub), status="draft", total=700)
    story.on(HOUR)
    matches(story.sub(sub), status="past_due")
    matches(story.latest(sub), status="open", amount_due=700)


def e3_a_trial_that_ends_without_a_card_pauses(w) -> None:
    story, sub = _trial_without_card(w, "pause")
    matches(story.sub(sub), status="paused", latest_invoice=sub.latest_invoice)
    story.on(60 * DAY)
    matches(story.sub(sub), status="paused", latest_invoice=sub.latest_invoice)


def e3_a_trial_that_ends_without_a_card_is_canceled(w) -> None:
    story, sub = _trial_without_card(w, "cancel")
    end = APRIL + 7 * DAY
    matches(story.sub(sub), status="canceled", ended_at=end, latest_invoice=sub.latest_invoice)


def e3_active_whose_payment_fails_is_past_due(w) -> None:
    story, sub = _past_due(w)
    matches(story.sub(sub), status="past_due")
    matches(story.latest(sub), status="open", amount_due=700, attempt_count=1, next_payment_attempt=MAY + HOUR + 3 * DAY)
    matches(story.v1.customers.retrieve(story.id), delinquent=True)


def e3_active_whose_sent_invoice_is_overdue_is_past_due(w) -> None:
    story = Story(w, card=None)
    sub = story.sent(w.shop.price(700), days=7)
    story.on(HOUR)
    story.on(7 * DAY - 1)
    matches(story.sub(sub), status="active")
    story.on(1)
    matches(story.sub(sub), status="past_due")
    true("invoice.overdue" in story.events(), "no invoice.overdue")


def e3_past_due_whose_invoice_is_paid_is_active(w) -> None:
    story, sub = _past_due(w)
    good = story.pays_with("pm_card_visa")
    matches(story.v1.invoices.pay(story.latest(sub).id, {"payment_method": good}), status="paid", amount_paid=700)
    matches(story.sub(sub), status="active")
    matches(story.v1.customers.retrieve(story.id), delinquent=False)


def e3_past_due_is_active_by_a_retry_that_succeeds(w) -> None:
    story, sub = _past_due(w)
    story.pays_with("pm_card_visa")
    story.on(3 * DAY)
    matches(story.latest(sub), status="paid", amount_paid=700, attempt_count=2)
    matches(story.sub(sub), status="active")


def e3_past_due_whose_invoice_is_given_up_is_active(w) -> None:
    story, sub = _past_due(w)
    story.v1.invoices.mark_uncollectible(story.latest(sub).id)
    matches(story.sub(sub), status="active")


def e3_past_due_whose_invoice_is_voided_is_active(w) -> None:
    story, sub = _past_due(w)
    story.v1.invoices.void_invoice(story.latest(sub).id)
    # The invoice before that is paid.
    matches(story.sub(sub), status="active")


def e3_retries_exhausted_cancel(w) -> None:
    story, sub = _past_due(w)
    _retries(story, sub)
    ended = MAY + HOUR + 15 * DAY
    matches(story.sub(sub), status="canceled", ended_at=ended, cancellation_details__reason="payment_failed")
    matches(story.latest(sub), status="open", attempt_count=4, next_payment_attempt=None, auto_advance=False)


def e3_retries_exhausted_leave_unpaid_and_then_paid_is_active(w) -> None:
    with _Settings(w, after_retries="unpaid"):
        story, sub = _past_due(w)
        _retries(story, sub)
        matches(story.sub(sub), status="unpaid")
        # Renewals go on, as drafts that nobody advances.
        story.to("2026-06-01T02:00")
        draft = story.latest(sub)
        matches(draft, status="draft", auto_advance=False, total=700, billing_reason="subscription_cycle")
        matches(story.sub(sub), status="unpaid")
        good = story.pays_with("pm_card_visa")
        story.v1.invoices.pay(draft.id, {"payment_method": good})
        matches(story.sub(sub), status="active")


def e3_retries_exhausted_leave_past_due(w) -> None:
    with _Settings(w, after_retries="past_due"):
        story, sub = _past_due(w)
        _retries(story, sub)
        matches(story.sub(sub), status="past_due")


def e3_active_is_paused_and_resumed(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(3_000))
    story.to("2026-04-11")
    matches(story.v1.subscriptions.pause(sub.id), status="paused")
    # No invoices while it is paused.
    story.to("2026-05-21")
    matches(story.sub(sub), status="paused", latest_invoice=sub.latest_invoice)
    resumed = story.v1.subscriptions.resume(sub.id)
    matches(resumed, status="active", billing_cycle_anchor=at("2026-05-21"))
    # 20 of 30 days given back, the month from now charged.
    invoice = story.latest(sub)
    equal(amounts(invoice), [-2_000, 3_000], "lines")
    matches(invoice, status="paid", amount_paid=1_000)
    refused(story.v1.subscriptions.resume, sub.id, code=ANY, param=ANY)


def e3_any_live_one_is_canceled_for_good(w) -> None:
    story = Story(w)
    price = w.shop.price(700)
    ended = story.v1.subscriptions.cancel(story.subscribe(price).id)
    matches(ended, status="canceled", canceled_at=APRIL, ended_at=APRIL)
    update = story.v1.subscriptions.update
    refused(update, ended.id, {"description": "No"}, code="invalid_canceled_subscription_fields", param=ANY)
    matches(update(ended.id, {"metadata": {"why": "cost"}}), metadata__why="cost")
    refused(story.v1.subscriptions.cancel, ended.id, status=404, code="resource_missing", param=ANY)
    refused(story.v1.subscriptions.resume, ended.id, status=404, code="resource_missing", param=ANY)


def e3_a_voided_invoice_leaves_what_the_one_before_it_says(w) -> None:
    story = Story(w, card=None)
    sub = story.sent(w.shop.price(700), days=3)
    story.on(HOUR)
    story.on(3 * DAY)
    matches(story.sub(sub), status="past_due")
    story.to(MAY)
    story.on(HOUR)
    story.v1.invoices.void_invoice(story.latest(sub).id)
    # The first one is still open, and past its day.
    matches(story.sub(sub), status="past_due")
    story.v1.invoices.pay(sub.latest_invoice, {"paid_out_of_band": True})
    matches(story.sub(sub), status="active")


class _Settings:
    """Settings of the account for as long as a scenario needs them: Stripe has them in its dashboard."""

    def __init__(self, w, **settings: str) -> None:
        self._client = w.client
        self._settings = settings

    def __enter__(self) -> None:
        before = self._client.raw_request("get", "/v1/billing/settings").data
        self._before = {name: before[name] for name in self._settings}
        self._client.raw_request("post", "/v1/billing/settings", **self._settings)

    def __exit__(self, *_: object) -> None:
        self._client.raw_request("post", "/v1/billing/settings", **self._before)


def _trial_without_card(w, behavior: str):
    story = Story(w, card=None)
    settings = {"end_behavior": {"missing_payment_method": behavior}}
    sub = story.subscribe(w.shop.price(700), trial_period_days=7, trial_settings=settings)
    story.on(7 * DAY)
    return story, sub


def _past_due(w):
    """A subscription whose first renewal, on 1 May, could not be paid."""
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.pays_with(FAILING)
    story.to(MAY)
    matches(story.sub(sub), status="active")
    story.on(HOUR)
    return story, sub


def _retries(story: Story, sub) -> None:
    """Three more tries, after 3, 5 and 7 days."""
    for days, attempts in ((3, 2), (5, 3), (7, 4)):
        matches(story.sub(sub), status="past_due")
        story.on(days * DAY)
        matches(story.latest(sub), attempt_count=attempts)
