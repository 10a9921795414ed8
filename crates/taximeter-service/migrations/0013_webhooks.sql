-- Who is told of events, and how that went.

-- When an event was written, whatever time it tells of: a test clock may stand anywhere.
ALTER TABLE events ADD COLUMN written {int} NOT NULL DEFAULT 0;

UPDATE events SET written = created;

-- A secret is kept as it is, since every call is signed with it. What is wanted is written as
-- `,customer.created,,invoice.paid,`, so that one statement finds who wants an event. A deleted
-- endpoint stays until its deliveries are gone.
CREATE TABLE webhook_endpoints (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    url {text} NOT NULL,
    enabled_events {text} NOT NULL,
    api_version {text},
    description {text},
    metadata {text} NOT NULL,
    disabled {bool} NOT NULL,
    deleted {bool} NOT NULL,
    secret {text} NOT NULL,
    old_secret {text},
    old_secret_expires_at {int},
    created {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX webhook_endpoints_id ON webhook_endpoints (account, livemode, id);

-- One row for each event that an endpoint is told of, written in the transaction of the event. Both
-- are named by their `seq`: rows are many, so they are narrow. `due` is when it is tried next, or,
-- while it is `claimed`, when it is taken for lost; null when nothing more is tried. `claims` tells
-- one claim from the next. No foreign keys: what is deleted is swept.
CREATE TABLE webhook_deliveries (
    seq {seq},
    account {text} NOT NULL,
    livemode {bool} NOT NULL,
    endpoint {int} NOT NULL,
    event {int} NOT NULL,
    status {text} NOT NULL,
    due {int},
    claimed {bool} NOT NULL,
    claims {int} NOT NULL,
    tries {int} NOT NULL,
    attempts {text} NOT NULL,
    created {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX webhook_deliveries_event ON webhook_deliveries (event, endpoint);

CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint, seq);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, due) WHERE due IS NOT NULL;
