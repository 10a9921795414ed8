-- Rates that the account made. `percentage` is an exact decimal; the rest of what it says is `details`.
CREATE TABLE tax_rates (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    active {bool} NOT NULL,
    inclusive {bool} NOT NULL,
    percentage {text} NOT NULL,
    details {text} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX tax_rates_id ON tax_rates (account, livemode, id);

-- What can be taken off. A deleted coupon stays for the discounts that were made with it, and lets go
-- of its id.
CREATE TABLE coupons (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    deleted {bool} NOT NULL,
    terms {text} NOT NULL,
    name {text},
    max_redemptions {int},
    redeem_by {int},
    times_redeemed {int} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX coupons_id ON coupons (account, livemode, id) WHERE NOT deleted;

CREATE TABLE promotion_codes (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    code {text} NOT NULL,
    -- The code in upper case: two codes that differ in case only are one.
    folded {text} NOT NULL,
    coupon {int} NOT NULL REFERENCES coupons (seq),
    active {bool} NOT NULL,
    -- Empty for everyone, so that the index below knows two codes for everyone as the same.
    customer {text} NOT NULL,
    expires_at {int},
    max_redemptions {int},
    times_redeemed {int} NOT NULL,
    restrictions {text} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX promotion_codes_id ON promotion_codes (account, livemode, id);

CREATE UNIQUE INDEX promotion_codes_code ON promotion_codes (account, livemode, folded, customer) WHERE active;

-- Coupons as they were applied. `holder` is the id of what they are taken off, `kind` what that is.
CREATE TABLE discounts (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    coupon {int} NOT NULL REFERENCES coupons (seq),
    promotion_code {text},
    customer {text} NOT NULL,
    kind {text} NOT NULL,
    holder {text} NOT NULL,
    starts {int} NOT NULL,
    ends {int},
    -- When the one invoice was billed that a discount of a single use is for.
    spent_at {int},
    removed_at {int},
    CONSTRAINT discounts_customer FOREIGN KEY (account, livemode, customer)
        REFERENCES customers (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX discounts_id ON discounts (account, livemode, id);

ALTER TABLE customers ADD COLUMN discount {text};

-- What became of a customer's balance, change by change: the sum of its rows is the balance, and so is
-- the `ending_balance` of the newest. `currency` is null while the customer has none.
CREATE TABLE customer_balance_transactions (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    customer {text} NOT NULL,
    amount {int} NOT NULL,
    ending_balance {int} NOT NULL,
    currency {text},
    type {text} NOT NULL,
    invoice {text},
    credit_note {text},
    description {text},
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT customer_balance_transactions_customer FOREIGN KEY (account, livemode, customer)
        REFERENCES customers (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX customer_balance_transactions_id ON customer_balance_transactions (account, livemode, id);

CREATE INDEX customer_balance_transactions_of_customer
    ON customer_balance_transactions (account, livemode, customer, seq);

-- Balances that were there before there were rows.
INSERT INTO customer_balance_transactions (account, livemode, id, customer, amount, ending_balance, currency, type, metadata, created)
SELECT account, livemode, 'cbtxn_' || SUBSTR(id, 5), id, balance, balance, currency, 'migration', '{}', created
FROM customers WHERE balance <> 0 ORDER BY seq;

-- What goes on a bill besides a subscription's own lines. `invoice` is null while an item is pending.
CREATE TABLE invoice_items (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    customer {text} NOT NULL,
    currency {text} NOT NULL,
    amount {int} NOT NULL,
    quantity {text} NOT NULL,
    unit_amount {text},
    price {text},
    product {text},
    description {text},
    discountable {bool} NOT NULL,
    discounts {text} NOT NULL,
    tax_rates {text},
    period_start {int} NOT NULL,
    period_end {int} NOT NULL,
    subscription {text},
    -- An item of a subscription can be removed; what it was prorated for stays.
    subscription_item {text},
    invoice {text},
    proration {bool} NOT NULL,
    proration_details {text},
    net_amount {int},
    test_clock {text},
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT invoice_items_customer FOREIGN KEY (account, livemode, customer)
        REFERENCES customers (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX invoice_items_id ON invoice_items (account, livemode, id);

CREATE INDEX invoice_items_of_customer ON invoice_items (account, livemode, customer, seq);

CREATE INDEX invoice_items_pending ON invoice_items (account, livemode, customer) WHERE invoice IS NULL;

CREATE INDEX invoice_items_of_invoice ON invoice_items (account, livemode, invoice);

-- What is taken back of bills. `details` holds what nobody asks for by column, the lines among them.
CREATE TABLE credit_notes (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    invoice {text} NOT NULL,
    customer {text} NOT NULL,
    number {text} NOT NULL,
    status {text} NOT NULL,
    currency {text} NOT NULL,
    total {int} NOT NULL,
    pre_payment {int} NOT NULL,
    post_payment {int} NOT NULL,
    details {text} NOT NULL,
    metadata {text} NOT NULL,
    voided_at {int},
    created {int} NOT NULL,
    CONSTRAINT credit_notes_invoice FOREIGN KEY (account, livemode, invoice)
        REFERENCES invoices (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX credit_notes_id ON credit_notes (account, livemode, id);

CREATE UNIQUE INDEX credit_notes_number ON credit_notes (account, livemode, number);

CREATE INDEX credit_notes_of_invoice ON credit_notes (account, livemode, invoice);
