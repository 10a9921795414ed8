-- What time brings: work that is due, by what it is about. A job is there once, however often it is
-- put down, and goes in the transaction that does it.
CREATE TABLE jobs (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    kind {text} NOT NULL,
    subject {text} NOT NULL,
    -- The test clock by which it is due, if it is not by the time of the world.
    clock {text},
    due {int} NOT NULL,
    -- When it may be tried, in the time of the world.
    not_before {int} NOT NULL,
    attempts {int} NOT NULL,
    error {text},
    PRIMARY KEY (account, livemode, kind, subject)
) {strict};

CREATE INDEX jobs_due ON jobs (not_before) WHERE clock IS NULL;

CREATE INDEX jobs_of_clock ON jobs (account, livemode, clock, due) WHERE clock IS NOT NULL;

-- Time that can be moved.
CREATE TABLE test_clocks (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    name {text},
    status {text} NOT NULL,
    frozen_time {int} NOT NULL,
    target_time {int},
    created {int} NOT NULL,
    deletes_after {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX test_clocks_id ON test_clocks (account, livemode, id);

ALTER TABLE customers ADD COLUMN test_clock {text};

CREATE INDEX customers_of_clock ON customers (account, livemode, test_clock) WHERE test_clock IS NOT NULL;

ALTER TABLE subscriptions ADD COLUMN test_clock {text};

ALTER TABLE subscriptions ADD COLUMN trial_start {int};

ALTER TABLE subscriptions ADD COLUMN trial_end {int};

ALTER TABLE subscriptions ADD COLUMN cancel_at {int};

ALTER TABLE subscriptions ADD COLUMN cancel_at_period_end {bool} NOT NULL DEFAULT FALSE;

-- What is agreed beyond what is asked for by column.
ALTER TABLE subscriptions ADD COLUMN terms {text} NOT NULL DEFAULT '{}';

ALTER TABLE subscription_items ADD COLUMN terms {text} NOT NULL DEFAULT '{}';

ALTER TABLE invoices ADD COLUMN test_clock {text};

ALTER TABLE invoices ADD COLUMN details {text} NOT NULL DEFAULT '{}';

-- Lines may be of no subscription, and say more.
ALTER TABLE invoice_lines RENAME TO invoice_lines_before;

DROP INDEX invoice_lines_id;

CREATE TABLE invoice_lines (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    invoice {text} NOT NULL,
    position {int} NOT NULL,
    id {text} NOT NULL,
    amount {int} NOT NULL,
    quantity {text} NOT NULL,
    description {text},
    period_start {int} NOT NULL,
    period_end {int} NOT NULL,
    price {text},
    product {text},
    unit_amount {text},
    subscription {text},
    subscription_item {text},
    invoice_item {text},
    details {text} NOT NULL,
    PRIMARY KEY (account, livemode, invoice, position),
    CONSTRAINT invoice_lines_of_invoice FOREIGN KEY (account, livemode, invoice)
        REFERENCES invoices (account, livemode, id),
    CONSTRAINT invoice_lines_by_price FOREIGN KEY (account, livemode, price)
        REFERENCES prices (account, livemode, id),
    CONSTRAINT invoice_lines_for_subscription FOREIGN KEY (account, livemode, subscription)
        REFERENCES subscriptions (account, livemode, id)
) {strict};

INSERT INTO invoice_lines (account, livemode, invoice, position, id, amount, quantity, description,
    period_start, period_end, price, product, unit_amount, subscription, subscription_item, details)
SELECT account, livemode, invoice, position, id, amount, quantity, description, period_start,
    period_end, price, product, unit_amount, subscription, subscription_item, '{}'
FROM invoice_lines_before;

DROP TABLE invoice_lines_before;

CREATE UNIQUE INDEX invoice_lines_id ON invoice_lines (account, livemode, id);

CREATE INDEX invoice_lines_of_item ON invoice_lines (account, livemode, subscription_item);

-- How an account bills.
CREATE TABLE billing_settings (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    settings {text} NOT NULL,
    PRIMARY KEY (account, livemode)
) {strict};
