-- A customer's standing orders.
CREATE TABLE subscriptions (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    customer {text} NOT NULL,
    status {text} NOT NULL,
    currency {text} NOT NULL,
    collection_method {text} NOT NULL,
    days_until_due {int},
    billing_mode {text} NOT NULL,
    proration_discounts {text},
    billing_mode_updated_at {int},
    billing_cycle_anchor {int} NOT NULL,
    start_date {int} NOT NULL,
    canceled_at {int},
    ended_at {int},
    cancellation_reason {text},
    cancellation_feedback {text},
    cancellation_comment {text},
    description {text},
    latest_invoice {text},
    metadata {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT subscriptions_customer FOREIGN KEY (account, livemode, customer)
        REFERENCES customers (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX subscriptions_id ON subscriptions (account, livemode, id);

CREATE INDEX subscriptions_of_customer ON subscriptions (account, livemode, customer);

CREATE TABLE subscription_items (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    subscription {text} NOT NULL,
    price {text} NOT NULL,
    quantity {int},
    metadata {text} NOT NULL,
    current_period_start {int} NOT NULL,
    current_period_end {int} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT subscription_items_subscription FOREIGN KEY (account, livemode, subscription)
        REFERENCES subscriptions (account, livemode, id),
    CONSTRAINT subscription_items_price FOREIGN KEY (account, livemode, price)
        REFERENCES prices (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX subscription_items_id ON subscription_items (account, livemode, id);

CREATE INDEX subscription_items_of_subscription ON subscription_items (account, livemode, subscription);

CREATE INDEX subscription_items_of_price ON subscription_items (account, livemode, price);
