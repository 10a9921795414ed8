-- What meters have beyond Stripe's: dimensions, percentiles, and how strict they are.
ALTER TABLE meters ADD COLUMN percentile {text};

-- A JSON array of payload keys, in the order that the usage engine knows them by; NULL for none.
ALTER TABLE meters ADD COLUMN dimension_keys {text};

ALTER TABLE meters ADD COLUMN late_window_s {int} NOT NULL DEFAULT 3024000;

ALTER TABLE meters ADD COLUMN adjustment_window_s {int} NOT NULL DEFAULT 86400;

ALTER TABLE meters ADD COLUMN value_digits_max {int} NOT NULL DEFAULT 15;
