-- Bills. Amounts are whole minor units; quantities and unit amounts are exact decimals.
CREATE TABLE invoices (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    customer {text} NOT NULL,
    subscription {text},
    status {text} NOT NULL,
    billing_reason {text} NOT NULL,
    collection_method {text} NOT NULL,
    currency {text} NOT NULL,
    number {text},
    description {text},
    subtotal {int} NOT NULL,
    total {int} NOT NULL,
    amount_due {int} NOT NULL,
    amount_paid {int} NOT NULL,
    starting_balance {int} NOT NULL,
    ending_balance {int},
    auto_advance {bool} NOT NULL,
    attempted {bool} NOT NULL,
    period_start {int} NOT NULL,
    period_end {int} NOT NULL,
    due_date {int},
    days_until_due {int},
    finalized_at {int},
    paid_at {int},
    voided_at {int},
    automatically_finalizes_at {int},
    customer_snapshot {text} NOT NULL,
    subscription_metadata {text} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT invoices_customer FOREIGN KEY (account, livemode, customer)
        REFERENCES customers (account, livemode, id),
    CONSTRAINT invoices_subscription FOREIGN KEY (account, livemode, subscription)
        REFERENCES subscriptions (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX invoices_id ON invoices (account, livemode, id);

CREATE UNIQUE INDEX invoices_number ON invoices (account, livemode, number);

CREATE INDEX invoices_of_customer ON invoices (account, livemode, customer);

CREATE INDEX invoices_of_subscription ON invoices (account, livemode, subscription);

CREATE TABLE invoice_lines (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    invoice {text} NOT NULL,
    position {int} NOT NULL,
    id {text} NOT NULL,
    amount {int} NOT NULL,
    quantity {text} NOT NULL,
    description {text} NOT NULL,
    period_start {int} NOT NULL,
    period_end {int} NOT NULL,
    price {text} NOT NULL,
    product {text} NOT NULL,
    unit_amount {text},
    subscription {text} NOT NULL,
    -- An item can be removed; what it was billed for stays.
    subscription_item {text} NOT NULL,
    PRIMARY KEY (account, livemode, invoice, position),
    CONSTRAINT invoice_lines_invoice FOREIGN KEY (account, livemode, invoice)
        REFERENCES invoices (account, livemode, id),
    CONSTRAINT invoice_lines_price FOREIGN KEY (account, livemode, price)
        REFERENCES prices (account, livemode, id),
    CONSTRAINT invoice_lines_subscription FOREIGN KEY (account, livemode, subscription)
        REFERENCES subscriptions (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX invoice_lines_id ON invoice_lines (account, livemode, id);
