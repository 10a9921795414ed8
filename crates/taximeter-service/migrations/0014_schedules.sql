-- What subscriptions will be, phase by phase. `terms` holds the phases and what they have in common;
-- `subscription` is null until the first one begins, and once it was released.
CREATE TABLE subscription_schedules (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    customer {text} NOT NULL,
    status {text} NOT NULL,
    subscription {text},
    released_subscription {text},
    test_clock {text},
    terms {text} NOT NULL,
    metadata {text} NOT NULL,
    canceled_at {int},
    completed_at {int},
    released_at {int},
    created {int} NOT NULL,
    CONSTRAINT subscription_schedules_customer FOREIGN KEY (account, livemode, customer)
        REFERENCES customers (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX subscription_schedules_id ON subscription_schedules (account, livemode, id);

CREATE INDEX subscription_schedules_of_customer ON subscription_schedules (account, livemode, customer);
