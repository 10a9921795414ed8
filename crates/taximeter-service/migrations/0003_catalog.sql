-- What is sold and how usage of it is counted.
CREATE TABLE meters (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    display_name {text} NOT NULL,
    event_name {text} NOT NULL,
    formula {text} NOT NULL,
    customer_key {text} NOT NULL,
    value_key {text} NOT NULL,
    event_time_window {text},
    status {text} NOT NULL,
    deactivated_at {int},
    created {int} NOT NULL,
    updated {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX meters_id ON meters (account, livemode, id);

-- An event name belongs to one active meter; an inactive one has let go of it.
CREATE UNIQUE INDEX meters_event_name ON meters (account, livemode, event_name) WHERE status = 'active';

CREATE TABLE products (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    name {text} NOT NULL,
    active {bool} NOT NULL,
    type {text} NOT NULL,
    description {text},
    images {text} NOT NULL,
    marketing_features {text} NOT NULL,
    metadata {text} NOT NULL,
    package_dimensions {text},
    shippable {bool},
    statement_descriptor {text},
    tax_code {text},
    performance_location {text},
    unit_label {text},
    url {text},
    default_price {text},
    created {int} NOT NULL,
    updated {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX products_id ON products (account, livemode, id);

-- Amounts are exact decimals in minor units. `inline` prices were made for one subscription.
CREATE TABLE prices (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    product {text} NOT NULL,
    active {bool} NOT NULL,
    inline {bool} NOT NULL,
    type {text} NOT NULL,
    currency {text} NOT NULL,
    billing_scheme {text} NOT NULL,
    unit_amount {text},
    transform_quantity {text},
    tiers_mode {text},
    tiers {text},
    currency_options {text} NOT NULL,
    interval {text},
    interval_count {int},
    usage_type {text},
    meter {text},
    trial_period_days {int},
    lookup_key {text},
    nickname {text},
    tax_behavior {text} NOT NULL,
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT prices_product FOREIGN KEY (account, livemode, product)
        REFERENCES products (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX prices_id ON prices (account, livemode, id);

CREATE UNIQUE INDEX prices_lookup_key ON prices (account, livemode, lookup_key);

CREATE INDEX prices_of_product ON prices (account, livemode, product);
