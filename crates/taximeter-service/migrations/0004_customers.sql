-- Who is billed. A deleted customer stays, so that its invoices keep their other end.
CREATE TABLE customers (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    deleted {bool} NOT NULL,
    name {text},
    email {text},
    phone {text},
    description {text},
    business_name {text},
    individual_name {text},
    address {text},
    shipping {text},
    balance {int} NOT NULL,
    currency {text},
    delinquent {bool} NOT NULL,
    invoice_prefix {text} NOT NULL,
    next_invoice_sequence {int} NOT NULL,
    invoice_settings {text} NOT NULL,
    preferred_locales {text} NOT NULL,
    tax_exempt {text} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX customers_id ON customers (account, livemode, id);

CREATE UNIQUE INDEX customers_invoice_prefix ON customers (account, livemode, invoice_prefix);

CREATE INDEX customers_email ON customers (account, livemode, email);
