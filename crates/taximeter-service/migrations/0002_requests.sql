-- The answers given under idempotency keys, and what happened.
CREATE TABLE idempotency_keys (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    key {text} NOT NULL,
    fingerprint {text} NOT NULL,
    status {int} NOT NULL,
    body {text} NOT NULL,
    request {text} NOT NULL,
    created {int} NOT NULL,
    PRIMARY KEY (account, livemode, key)
) {strict};

CREATE INDEX idempotency_keys_created ON idempotency_keys (account, livemode, created);

CREATE TABLE events (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    type {text} NOT NULL,
    created {int} NOT NULL,
    object_id {text} NOT NULL,
    object {text} NOT NULL,
    previous_attributes {text},
    request {text},
    idempotency_key {text}
) {strict};

CREATE UNIQUE INDEX events_id ON events (account, livemode, id);

CREATE INDEX events_created ON events (account, livemode, created);
