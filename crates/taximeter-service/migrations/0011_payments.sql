-- What customers pay with, and what was collected. No number of a card and no code of it is kept.
CREATE TABLE payment_methods (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    customer {text},
    type {text} NOT NULL,
    card {text} NOT NULL,
    -- What a card of the test provider does when it is charged.
    test {text} NOT NULL,
    -- Set up for payments while its owner is away.
    set_up {bool} NOT NULL,
    -- Was used without a customer, or detached from one: it cannot be used again.
    spent {bool} NOT NULL,
    allow_redisplay {text} NOT NULL,
    billing_details {text} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT payment_methods_customer FOREIGN KEY (account, livemode, customer)
        REFERENCES customers (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX payment_methods_id ON payment_methods (account, livemode, id);

CREATE INDEX payment_methods_of_customer ON payment_methods (account, livemode, customer);

CREATE TABLE payment_intents (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    status {text} NOT NULL,
    amount {int} NOT NULL,
    amount_capturable {int} NOT NULL,
    amount_received {int} NOT NULL,
    currency {text} NOT NULL,
    customer {text},
    payment_method {text},
    latest_charge {text},
    -- The invoice it collects for, if there is one.
    invoice {text},
    capture_method {text} NOT NULL,
    client_secret {text} NOT NULL,
    -- How often a provider was asked for the money.
    attempts {int} NOT NULL,
    canceled_at {int},
    details {text} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT payment_intents_customer FOREIGN KEY (account, livemode, customer)
        REFERENCES customers (account, livemode, id),
    CONSTRAINT payment_intents_invoice FOREIGN KEY (account, livemode, invoice)
        REFERENCES invoices (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX payment_intents_id ON payment_intents (account, livemode, id);

CREATE INDEX payment_intents_of_customer ON payment_intents (account, livemode, customer);

CREATE INDEX payment_intents_of_invoice ON payment_intents (account, livemode, invoice);

CREATE TABLE setup_intents (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    status {text} NOT NULL,
    customer {text},
    payment_method {text},
    usage {text} NOT NULL,
    client_secret {text} NOT NULL,
    details {text} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT setup_intents_customer FOREIGN KEY (account, livemode, customer)
        REFERENCES customers (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX setup_intents_id ON setup_intents (account, livemode, id);

CREATE INDEX setup_intents_of_customer ON setup_intents (account, livemode, customer);

CREATE TABLE charges (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    status {text} NOT NULL,
    amount {int} NOT NULL,
    amount_captured {int} NOT NULL,
    amount_refunded {int} NOT NULL,
    captured {bool} NOT NULL,
    currency {text} NOT NULL,
    customer {text},
    payment_intent {text} NOT NULL,
    attempt {int} NOT NULL,
    payment_method {text} NOT NULL,
    details {text} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT charges_payment_intent FOREIGN KEY (account, livemode, payment_intent)
        REFERENCES payment_intents (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX charges_id ON charges (account, livemode, id);

-- One attempt charges once, however often it is begun again.
CREATE UNIQUE INDEX charges_of_attempt ON charges (account, livemode, payment_intent, attempt);

CREATE INDEX charges_of_customer ON charges (account, livemode, customer);

CREATE TABLE refunds (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    status {text} NOT NULL,
    amount {int} NOT NULL,
    currency {text} NOT NULL,
    charge {text} NOT NULL,
    payment_intent {text} NOT NULL,
    reason {text},
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT refunds_charge FOREIGN KEY (account, livemode, charge)
        REFERENCES charges (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX refunds_id ON refunds (account, livemode, id);

CREATE INDEX refunds_of_charge ON refunds (account, livemode, charge);

CREATE TABLE invoice_payments (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    invoice {text} NOT NULL,
    payment_intent {text} NOT NULL,
    status {text} NOT NULL,
    amount_requested {int} NOT NULL,
    amount_paid {int},
    currency {text} NOT NULL,
    is_default {bool} NOT NULL,
    paid_at {int},
    canceled_at {int},
    created {int} NOT NULL,
    CONSTRAINT invoice_payments_invoice FOREIGN KEY (account, livemode, invoice)
        REFERENCES invoices (account, livemode, id),
    CONSTRAINT invoice_payments_payment_intent FOREIGN KEY (account, livemode, payment_intent)
        REFERENCES payment_intents (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX invoice_payments_id ON invoice_payments (account, livemode, id);

CREATE INDEX invoice_payments_of_invoice ON invoice_payments (account, livemode, invoice);

CREATE INDEX invoice_payments_of_payment_intent ON invoice_payments (account, livemode, payment_intent);
