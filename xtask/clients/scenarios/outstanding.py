"""Checks that are known to fail, and why. Whoever makes one of them hold takes it out here."""

OUTSTANDING = {
    # E6: classic resets the anchor by itself.
    "e6_classic_begins_anew_when_the_interval_changes": "the rest of the old period is charged at the new price too",
    "e6_classic_begins_anew_when_it_is_free_no_more": "the anchor stays",
    # F9.
    "f9_a_final_one_can_be_looked_at": "invoices have no page yet",
}
