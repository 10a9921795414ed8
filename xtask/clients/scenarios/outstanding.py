"""Checks that are known to fail, and why. Whoever makes one of them hold takes it out here."""

OUTSTANDING = {
    # E6: classic resets the anchor by itself.
    "e6_classic_begins_anew_when_the_interval_changes": "the rest of the old period is charged at the new price too",
    "e6_classic_begins_anew_when_it_is_free_no_more": "the anchor stays",
    # E10: discounts of prorations are as in flexible mode, and never itemized.
    "e10_a_discount_is_shared_by_size_or_evenly": "classic shares by size as well",
    "e10_itemized_discounts_stand_beside_gross_prorations": "the amounts are net",
    "e10_pending_items_are_on_every_invoice_of_a_flexible_one": "they are on classic ones as well",
    # F1 and F9.
    "f1_an_open_one_will_be_due": "there is no such event",
    "f9_a_final_one_can_be_looked_at": "invoices have no page yet",
}
