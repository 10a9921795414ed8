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
