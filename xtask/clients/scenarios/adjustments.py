"""What makes an invoice less or more: coupons, taxes, credit notes and the customer's balance (C8, F4, F10)."""

from python.client import ANY, refused
from shared.suite import equal, matches, true

from .story import APRIL, HOUR, JUNE, MAY, Story, amounts, at


def e12_a_coupon_once_is_for_the_first_invoice(w) -> None:
    story = Story(w)
    coupon = story.v1.coupons.create({"percent_off": 25, "duration": "once"}).id
    sub = story.subscribe(w.shop.price(700), discounts=[{"coupon": coupon}])
    first = story.latest(sub)
    matches(first, subtotal=700, total=525, amount_paid=525)
    equal([each.amount for each in first.total_discount_amounts], [175], "discounts")
    equal(list(story.sub(sub).discounts), [], "discounts left")
    story.to(MAY)
    matches(story.latest(sub), subtotal=700, total=700)
    matches(story.v1.coupons.retrieve(coupon), times_redeemed=1)


def e12_a_coupon_repeating_is_for_its_months(w) -> None:
    story = Story(w)
    terms = {"amount_off": 201, "currency": "usd", "duration": "repeating", "duration_in_months": 3}
    coupon = story.v1.coupons.create(terms).id
    sub = story.subscribe(w.shop.price(700), discounts=[{"coupon": coupon}])
    for month in ("05", "06", "07", "08"):
        story.to(f"2026-{month}-01")
    story.on(HOUR)
    equal([each.total for each in story.invoices(sub)], [499, 499, 499, 700, 700], "totals")


def e12_a_coupon_forever_is_for_all(w) -> None:
    story = Story(w)
    coupon = story.v1.coupons.create({"percent_off": 33.3, "duration": "forever"}).id
    sub = story.subscribe(w.shop.price(701), w.shop.metered(3), discounts=[{"coupon": coupon}])
    story.used(101, APRIL)
    story.to(MAY)
    # 701 and 303 less 33.3%: 334.332.
    matches(story.latest(sub), subtotal=1_004, total=670)
    story.v1.subscriptions.update(sub.id, {"discounts": ""})
    story.to(JUNE)
    matches(story.latest(sub), subtotal=701, total=701)


def c8_a_discount_is_spread_over_its_lines(w) -> None:
    story = Story(w)
    coupon = story.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "once"}).id
    sub = story.subscribe(w.shop.price(1_000, name="Ten"), w.shop.price(2_000, name="Twenty"), discounts=[{"coupon": coupon}])
    lines = sorted(story.latest(sub).lines.data, key=lambda line: line.amount)
    # 500 over 1000 and 2000: each share is rounded down, the last line has the rest.
    shares = [line.discount_amounts[0].amount for line in lines]
    true(shares in ([166, 334], [167, 333]), f"shares are {shares}")
    matches(story.latest(sub), total=2_500)


def c8_a_promotion_code_is_its_coupon(w) -> None:
    story = Story(w)
    coupon = story.v1.coupons.create({"percent_off": 10, "duration": "once"}).id
    code = story.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon}, "max_redemptions": 1})
    sub = story.subscribe(w.shop.price(700), discounts=[{"promotion_code": code.id}])
    matches(story.latest(sub), total=630)
    refused(lambda: Story(w).subscribe(w.shop.price(700), discounts=[{"promotion_code": code.id}]), code=ANY, param=ANY)


def c8_an_exclusive_tax_is_added_and_an_inclusive_one_is_within(w) -> None:
    for inclusive, total, tax in ((False, 1_190, 190), (True, 1_000, 160)):
        story = Story(w)
        rate = story.v1.tax_rates.create({"display_name": "VAT", "percentage": 19, "inclusive": inclusive}).id
        sub = story.subscribe(w.shop.price(1_000), default_tax_rates=[rate])
        invoice = story.latest(sub)
        # 1000 × 19 ÷ 100, and 1000 × 19 ÷ 119 = 159.66.
        matches(invoice, subtotal=1_000, total=total, total_excluding_tax=total - tax, amount_paid=total)
        equal([each.amount for each in invoice.total_taxes], [tax], "taxes")
        story.to(MAY)
        matches(story.latest(sub), total=total)


def c8_tax_is_on_what_discounts_leave(w) -> None:
    story = Story(w)
    rate = story.v1.tax_rates.create({"display_name": "VAT", "percentage": 7.7, "inclusive": False}).id
    coupon = story.v1.coupons.create({"percent_off": 50, "duration": "forever"}).id
    sub = story.subscribe(w.shop.price(701), default_tax_rates=[rate], discounts=[{"coupon": coupon}])
    # 701 less 351 (350.5, half up) is 350; 7.7% of it is 26.95.
    matches(story.latest(sub), subtotal=701, total_excluding_tax=350, total=377)


def c8_an_items_own_tax_comes_before_the_subscriptions(w) -> None:
    story = Story(w)
    make = story.v1.tax_rates.create
    low = make({"display_name": "Low", "percentage": 7, "inclusive": False}).id
    high = make({"display_name": "High", "percentage": 19, "inclusive": False}).id
    books = {"price": w.shop.price(1_000, name="Book"), "tax_rates": [low]}
    sub = story.subscribe(books, w.shop.price(2_000), default_tax_rates=[high])
    # 70 and 380.
    matches(story.latest(sub), subtotal=3_000, total=3_450, amount_paid=3_450)


def c8_an_exempt_customer_pays_no_tax(w) -> None:
    story = Story(w, tax_exempt="exempt")
    rate = story.v1.tax_rates.create({"display_name": "VAT", "percentage": 19, "inclusive": False}).id
    matches(story.latest(story.subscribe(w.shop.price(1_000), default_tax_rates=[rate])), total=1_000)


def f4_credit_is_used_up_by_the_next_invoices(w) -> None:
    story = Story(w, balance=-1_000)
    sub = story.subscribe(w.shop.price(700))
    matches(story.latest(sub), total=700, amount_due=0, status="paid", starting_balance=-1_000, ending_balance=-300)
    equal(story.balance(), -300, "balance")
    story.to(MAY)
    matches(story.latest(sub), status="draft", total=700)
    story.on(HOUR)
    matches(story.latest(sub), amount_due=400, amount_paid=400, starting_balance=-300, ending_balance=0)
    rows = story.v1.customers.balance_transactions.list(story.id).data
    equal([(row.type, row.amount, row.ending_balance) for row in rows][:2],
          [("applied_to_invoice", 300, 0), ("applied_to_invoice", 700, -300)], "ledger")


def f4_what_is_owed_is_on_the_next_invoice(w) -> None:
    story = Story(w)
    story.v1.customers.balance_transactions.create(story.id, {"amount": 311, "currency": "usd"})
    sub = story.subscribe(w.shop.price(700))
    matches(story.latest(sub), total=700, amount_due=1_011, amount_paid=1_011, starting_balance=311, ending_balance=0)
    equal(story.balance(), 0, "balance")


def f4_less_than_can_be_charged_is_carried_over(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(49))
    matches(story.latest(sub), total=49, amount_due=0, status="paid")
    equal(story.balance(), 49, "balance")
    row = story.v1.customers.balance_transactions.list(story.id).data[0]
    matches(row, type="invoice_too_small", amount=49)
    story.to(MAY)
    story.on(HOUR)
    matches(story.latest(sub), total=49, amount_due=98, amount_paid=98)


def f4_voiding_gives_credit_back(w) -> None:
    story = Story(w, balance=-300)
    sub = story.subscribe(w.shop.price(700), payment_behavior="default_incomplete")
    matches(story.latest(sub), status="open", amount_due=400)
    story.v1.invoices.void_invoice(sub.latest_invoice)
    equal(story.balance(), -300, "balance")
    row = story.v1.customers.balance_transactions.list(story.id).data[0]
    matches(row, type="unapplied_from_invoice", amount=-300)


def f10_a_credit_note_on_an_open_invoice_makes_less_due(w) -> None:
    story = Story(w, card=None)
    sub = story.sent(w.shop.price(700))
    final = story.v1.invoices.finalize_invoice(sub.latest_invoice)
    note = story.v1.credit_notes.create({"invoice": final.id, "amount": 201})
    matches(note, status="issued", type="pre_payment", amount=201, number=f"{final.number}-CN-01")
    matches(story.latest(sub), status="open", amount_remaining=499, pre_payment_credit_notes_amount=201)
    story.v1.credit_notes.void_credit_note(note.id)
    matches(story.latest(sub), status="open", amount_remaining=700, pre_payment_credit_notes_amount=0)
    story.v1.credit_notes.create({"invoice": final.id, "amount": 700})
    matches(story.latest(sub), status="paid", amount_remaining=0)


def f10_a_credit_note_on_a_paid_invoice_is_credit_or_refund(w) -> None:
    story = Story(w)
    sub = story.subscribe(w.shop.price(700))
    create = story.v1.credit_notes.create
    credit = create({"invoice": sub.latest_invoice, "amount": 201, "credit_amount": 201})
    matches(credit, type="post_payment", post_payment_amount=201)
    equal(story.balance(), -201, "balance")
    create({"invoice": sub.latest_invoice, "amount": 101, "refund_amount": 101})
    charge = story.v1.charges.list({"customer": story.id}).data[0]
    matches(charge, amount=700, amount_refunded=101)
    matches(story.latest(sub), status="paid", post_payment_credit_notes_amount=302)
    refused(create, {"invoice": sub.latest_invoice, "amount": 399, "credit_amount": 399}, code=ANY, param=ANY)
    story.to(MAY)
    story.on(HOUR)
    matches(story.latest(sub), amount_due=499, amount_paid=499)


def f10_a_credit_note_is_previewed(w) -> None:
    story = Story(w)
    sub = story.subscribe({"price": w.shop.price(700), "quantity": 3})
    line = story.latest(sub).lines.data[0].id
    of_line = {"invoice": sub.latest_invoice, "lines": [{"type": "invoice_line_item", "invoice_line_item": line, "quantity": 1}]}
    matches(story.v1.credit_notes.preview(of_line | {"credit_amount": 700}), amount=700, total=700)
    equal(story.v1.credit_notes.list({"invoice": sub.latest_invoice}).data, [], "credit notes")


def e9_collection_that_is_paused_holds_invoices(w) -> None:
    for behavior, status in (("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible"), ("void", "void")):
        story = Story(w)
        sub = story.subscribe(w.shop.price(700))
        pause = {"pause_collection": {"behavior": behavior, "resumes_at": at("2026-05-03")}}
        story.v1.subscriptions.update(sub.id, pause)
        story.to(MAY + 2 * HOUR)
        matches(story.sub(sub), status="active")
        matches(story.latest(sub), status=status, amount_paid=0)
        story.to("2026-05-03")
        matches(story.sub(sub), pause_collection=None)
        story.to(JUNE + HOUR)
        matches(story.latest(sub), status="paid", amount_paid=700)


def c5_tiers_are_a_line_each(w) -> None:
    story = Story(w)
    tiers = [(5, 500, 1_000), (10, 400, 2_000), ("inf", 300, 3_000)]
    terms = {"currency": "usd", "billing_scheme": "tiered", "tiers_mode": "graduated", "product_data": {"name": "Steps"}}
    terms["tiers"] = [{"up_to": up_to, "unit_amount": unit, "flat_amount": flat} for up_to, unit, flat in tiers]
    terms["recurring"] = {"interval": "month", "usage_type": "metered", "meter": w.shop.meter("steps")}
    sub = story.subscribe(w.client.v1.prices.create(terms).id)
    story.used(12, APRIL, event="steps")
    story.to(MAY)
    equal(amounts(story.latest(sub)), [600, 1_000, 2_000, 2_000, 2_500, 3_000], "lines")
    matches(story.latest(sub), total=11_100)
