"""The life of invoices: a check for each row of F1 of the reference, and for F2, F5 and F8 around it."""

from python.client import ANY, refused
from shared.suite import equal, matches, prefixed, true
from stripe import CardError

from .story import APRIL, DAY, HOUR, MAY, Story, amounts

FAILING = "pm_card_chargeCustomerFail"


def f1_created_is_a_draft(w) -> None:
    story, draft = _draft(w)
    matches(draft, status="draft", auto_advance=False, number=None, total=700, billing_reason="manual")
    matches(draft, period_start=APRIL, period_end=APRIL, created=APRIL, hosted_invoice_url=None, ending_balance=None)
    true("invoice.created" in story.events(), "no event")
    # Nobody advances it.
    story.on(3 * DAY)
    matches(story.v1.invoices.retrieve(draft.id), status="draft")


def f1_a_draft_is_deleted(w) -> None:
    story, draft = _draft(w)
    matches(story.v1.invoices.delete(draft.id), deleted=True)
    refused(story.v1.invoices.retrieve, draft.id, status=404, code="resource_missing", param=ANY)
    true("invoice.deleted" in story.events(), "no event")


def f1_a_draft_of_a_subscription_is_not_deleted(w) -> None:
    story = Story(w)
    sub = story.sent(w.shop.price(700))
    refused(story.v1.invoices.delete, sub.latest_invoice, code=ANY, param=ANY)
    matches(story.latest(sub), status="draft")


def f1_a_draft_is_finalized_and_open(w) -> None:
    story, draft = _draft(w)
    final = story.v1.invoices.finalize_invoice(draft.id)
    matches(final, status="open", amount_due=700, amount_remaining=700, attempted=False, attempt_count=0)
    matches(final, status_transitions__finalized_at=APRIL, starting_balance=0, ending_balance=0)
    prefix = story.v1.customers.retrieve(story.id).invoice_prefix
    equal(final.number, f"{prefix}-0001", "number")
    true("invoice.finalized" in story.events(), "no event")
    message = refused(story.v1.invoices.finalize_invoice, draft.id, code=ANY, param=ANY).user_message
    equal(message, "This invoice is already finalized, you can't re-finalize a non-draft invoice.", "message")


def f1_a_draft_to_be_sent_is_finalized_and_sent_by_time(w) -> None:
    story = Story(w)
    draft = story.v1.invoices.create(
        {
            "customer": story.id,
            "currency": "usd",
            "collection_method": "send_invoice",
            "days_until_due": 7,
            "auto_advance": True,
        }
    )
    _line(story, draft.id, 700)
    story.on(HOUR)
    opened = story.v1.invoices.retrieve(draft.id)
    matches(opened, status="open", due_date=APRIL + HOUR + 7 * DAY, amount_due=700)
    happened = story.events()
    true("invoice.finalized" in happened and "invoice.sent" in happened, f"events are {happened}")


def f1_a_draft_of_zero_is_paid_at_once(w) -> None:
    story = Story(w)
    draft = story.v1.invoices.create({"customer": story.id, "currency": "usd"})
    matches(draft, total=0, status="draft")
    paid = story.v1.invoices.finalize_invoice(draft.id)
    matches(paid, status="paid", amount_due=0, amount_paid=0, attempted=True, attempt_count=0)
    prefixed(paid.number, story.v1.customers.retrieve(story.id).invoice_prefix)
    happened = story.events()
    for each in ("invoice.finalized", "invoice.paid", "invoice.payment_succeeded"):
        true(each in happened, f"no {each} in {happened}")


def f1_a_draft_is_paid_and_finalized(w) -> None:
    story, draft = _draft(w)
    paid = story.v1.invoices.pay(draft.id)
    matches(paid, status="paid", amount_paid=700, amount_remaining=0, attempt_count=1, attempted=True)
    matches(paid, status_transitions__finalized_at=APRIL, status_transitions__paid_at=APRIL)
    happened = story.events()
    for each in ("invoice.paid", "invoice.payment_succeeded", "charge.succeeded", "payment_intent.succeeded"):
        true(each in happened, f"no {each} in {happened}")
    payment = story.v1.invoice_payments.list({"invoice": draft.id}).data[0]
    matches(payment, status="paid", amount_paid=700, is_default=True, payment__type="payment_intent")
    equal(refused(story.v1.invoices.pay, draft.id, code=ANY, param=ANY).user_message, "Invoice is already paid", "message")


def f1_a_payment_that_fails_leaves_it_open(w) -> None:
    story, draft = _draft(w, card=FAILING)
    declined = refused(story.v1.invoices.pay, draft.id, error=CardError, status=402, code="card_declined", param=ANY)
    matches(declined.error, decline_code="generic_decline", type="card_error")
    matches(story.v1.invoices.retrieve(draft.id), status="open", attempt_count=1, attempted=True, amount_paid=0)
    true("invoice.payment_failed" in story.events(), "no event")


def f1_a_payment_that_must_be_authenticated_leaves_it_open(w) -> None:
    story, draft = _draft(w, card="pm_card_authenticationRequired")
    refused(story.v1.invoices.pay, draft.id, error=CardError, status=402, code=ANY, param=ANY)
    matches(story.v1.invoices.retrieve(draft.id), status="open", amount_paid=0)
    true("invoice.payment_action_required" in story.events(), "no event")


def f8_paid_out_of_band_charges_nothing(w) -> None:
    story, draft = _draft(w, card=None)
    paid = story.v1.invoices.pay(draft.id, {"paid_out_of_band": True})
    matches(paid, status="paid", amount_paid=700, amount_paid_off_stripe=700, attempted=False, attempt_count=0)
    equal(story.v1.charges.list({"customer": story.id}).data, [], "charges")


def f1_a_draft_is_sent_and_open(w) -> None:
    story = Story(w)
    draft = story.v1.invoices.create(
        {"customer": story.id, "currency": "usd", "collection_method": "send_invoice", "days_until_due": 7}
    )
    _line(story, draft.id, 700)
    sent = story.v1.invoices.send_invoice(draft.id)
    matches(sent, status="open", due_date=APRIL + 7 * DAY)
    true("invoice.sent" in story.events(), "no event")
    matches(story.v1.invoices.send_invoice(draft.id), status="open")


def f1_an_open_one_is_voided_for_good(w) -> None:
    story, final = _open(w)
    voided = story.v1.invoices.void_invoice(final.id)
    matches(voided, status="void", number=final.number, amount_due=700, amount_remaining=700)
    matches(voided, status_transitions__voided_at=APRIL)
    true("invoice.voided" in story.events(), "no event")
    for verb in (story.v1.invoices.pay, story.v1.invoices.void_invoice, story.v1.invoices.mark_uncollectible):
        refused(verb, final.id, code=ANY, param=ANY)


def f1_an_uncollectible_one_is_voided(w) -> None:
    story, final = _open(w)
    story.v1.invoices.mark_uncollectible(final.id)
    matches(story.v1.invoices.void_invoice(final.id), status="void")


def f1_an_open_one_is_uncollectible(w) -> None:
    story, final = _open(w)
    given_up = story.v1.invoices.mark_uncollectible(final.id)
    matches(given_up, status="uncollectible", amount_due=700, status_transitions__marked_uncollectible_at=APRIL)
    true("invoice.marked_uncollectible" in story.events(), "no event")


def f1_an_uncollectible_one_is_paid(w) -> None:
    story, final = _open(w)
    story.v1.invoices.mark_uncollectible(final.id)
    matches(story.v1.invoices.pay(final.id), status="paid", amount_paid=700)
    true("invoice.paid" in story.events(), "no event")


def f1_an_open_one_past_its_day_is_overdue(w) -> None:
    story = Story(w)
    due = {"collection_method": "send_invoice", "days_until_due": 7, "auto_advance": True}
    draft = story.v1.invoices.create({"customer": story.id, "currency": "usd"} | due)
    _line(story, draft.id, 700)
    story.v1.invoices.finalize_invoice(draft.id)
    story.on(7 * DAY - 1)
    true("invoice.overdue" not in story.events(), "too early")
    story.on(1)
    matches(story.v1.invoices.retrieve(draft.id), status="open")
    true("invoice.overdue" in story.events(), "no event")


def f1_an_open_one_will_be_due(w) -> None:
    story = Story(w)
    sub = story.sent(w.shop.price(700), days=30)
    story.v1.invoices.finalize_invoice(sub.latest_invoice)
    story.on(30 * DAY - 1)
    true("invoice.will_be_due" in story.events(), "no event")


def f9_a_final_one_can_be_looked_at(w) -> None:
    _, final = _open(w)
    true(final.hosted_invoice_url and final.invoice_pdf, "no addresses")


def f1_states_that_do_not_fit_are_refused(w) -> None:
    story, draft = _draft(w)
    expected = "You can only pass in open invoices. This invoice isn't open."
    for verb in (story.v1.invoices.void_invoice, story.v1.invoices.mark_uncollectible):
        equal(refused(verb, draft.id, code=ANY, param=ANY).user_message, expected, "message")
    final = story.v1.invoices.finalize_invoice(draft.id)
    refused(story.v1.invoices.delete, final.id, code=ANY, param=ANY)
    line = {"customer": story.id, "invoice": final.id, "amount": 5, "currency": "usd"}
    refused(story.v1.invoice_items.create, line, code=ANY, param=ANY)


def f1_a_final_one_keeps_its_words_and_amounts(w) -> None:
    story, final = _open(w)
    update = story.v1.invoices.update
    refused(update, final.id, {"description": "No"}, code="invoice_not_editable", param=ANY)
    matches(update(final.id, {"metadata": {"po": "7"}}), metadata__po="7", status="open")
    story.v1.customers.update(story.id, {"name": "Bea"})
    matches(story.v1.invoices.retrieve(final.id), customer_name="Ada")


def f2_a_manual_invoice_takes_pending_items_only_when_asked(w) -> None:
    story = Story(w)
    story.v1.invoice_items.create({"customer": story.id, "amount": 311, "currency": "usd"})
    without = story.v1.invoices.create({"customer": story.id, "currency": "usd"})
    equal(amounts(without), [], "lines")
    included = story.v1.invoices.create({"customer": story.id, "currency": "usd", "pending_invoice_items_behavior": "include"})
    equal(amounts(included), [311], "lines")
    matches(included, total=311, currency="usd")


def f2_a_cycle_draft_tells_when_it_goes_on(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    story.to(MAY)
    draft = story.latest(sub)
    matches(draft, automatically_finalizes_at=MAY + HOUR, next_payment_attempt=MAY + HOUR, attempted=False)
    refused(story.v1.invoices.delete, draft.id, code=ANY, param=ANY)
    # Finalized by hand before that.
    matches(story.v1.invoices.pay(draft.id), status="paid", amount_paid=700)
    story.on(HOUR)
    matches(story.latest(sub), id=draft.id, status="paid", attempt_count=1)


def f5_numbers_count_up_and_a_void_one_keeps_its_own(w) -> None:
    story, first = _open(w)
    prefix = story.v1.customers.retrieve(story.id).invoice_prefix
    story.v1.invoices.void_invoice(first.id)
    deleted = story.v1.invoices.create({"customer": story.id, "currency": "usd"})
    story.v1.invoices.delete(deleted.id)
    second = story.v1.invoices.finalize_invoice(story.v1.invoices.create({"customer": story.id, "currency": "usd"}).id)
    equal((first.number, second.number), (f"{prefix}-0001", f"{prefix}-0002"), "numbers")


def f5_a_number_that_is_used_is_refused_to_who_gives_it(w) -> None:
    story, first = _draft(w)
    story.v1.invoices.update(first.id, {"number": "A-7"})
    terms = {"customer": story.id, "currency": "usd", "number": "A-7"}
    error = refused(story.v1.invoices.create, terms, param="number")
    equal(error.user_message, "The invoice number A-7 is already used.", "message")


def f1_one_that_is_finalized_not_to_go_on_says_no_next_attempt(w) -> None:
    story, draft = _draft(w)
    draft = story.v1.invoices.update(draft.id, {"auto_advance": True})
    equal(draft.next_payment_attempt is None, False, "no next attempt")
    final = story.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})
    matches(final, status="open", auto_advance=False, next_payment_attempt=None)


def _draft(w, card: str | None = "pm_card_visa"):
    story = Story(w, card=card)
    draft = story.v1.invoices.create({"customer": story.id, "currency": "usd"})
    _line(story, draft.id, 700)
    return story, story.v1.invoices.retrieve(draft.id)


def _open(w):
    story, draft = _draft(w)
    return story, story.v1.invoices.finalize_invoice(draft.id)


def _line(story: Story, invoice: str, amount: int) -> None:
    line = {"customer": story.id, "invoice": invoice, "amount": amount, "currency": "usd", "description": "Work"}
    story.v1.invoice_items.create(line)
