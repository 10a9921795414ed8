-- Who corrected recorded usage, when and why, and what it was before and after. Rows are only ever
-- added.
CREATE TABLE usage_audit (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    action {text} NOT NULL,
    meter {text} NOT NULL,
    customer {text},
    event_position {int},
    identifier {text},
    backfill {text},
    state_before {text} NOT NULL,
    state_after {text} NOT NULL,
    reason {text},
    api_key {text} NOT NULL,
    request {text} NOT NULL,
    created {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX usage_audit_id ON usage_audit (account, livemode, id);

CREATE INDEX usage_audit_of_meter ON usage_audit (account, livemode, meter, seq);

CREATE INDEX usage_audit_of_event ON usage_audit (account, livemode, identifier, seq);

-- Entries of the audit whose correction is on its way to the usage log. They are written before it
-- and moved into the audit after it, so that a crash in between leaves no change without an entry.
CREATE TABLE usage_audit_intents (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    action {text} NOT NULL,
    meter {text} NOT NULL,
    customer {text} NOT NULL,
    event_position {int} NOT NULL,
    identifier {text} NOT NULL,
    state_before {text} NOT NULL,
    state_after {text} NOT NULL,
    reason {text},
    api_key {text} NOT NULL,
    request {text} NOT NULL,
    created {int} NOT NULL,
    PRIMARY KEY (account, livemode, id)
) {strict};

CREATE INDEX usage_audit_intents_of_event ON usage_audit_intents (account, livemode, customer, identifier);

-- Usage of a past span that comes in at once. `until_position` is where the usage log ended when
-- it was applied: what arrived later is never replaced. `step` and the two positions say how far
-- applying or reverting has come; `api_key` and `request` who asked for it.
CREATE TABLE meter_event_backfills (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    meter {text} NOT NULL,
    customer {text},
    timeframe_start {int} NOT NULL,
    timeframe_end {int} NOT NULL,
    replace_existing {bool} NOT NULL,
    status {text} NOT NULL,
    step {text},
    until_position {int} NOT NULL,
    chosen_position {int} NOT NULL,
    done_position {int} NOT NULL,
    staged {int} NOT NULL,
    repeated {int} NOT NULL,
    recorded {int} NOT NULL,
    skipped {int} NOT NULL,
    replaced {int} NOT NULL,
    created {int} NOT NULL,
    updated {int} NOT NULL,
    applied_at {int},
    reverted_at {int},
    discarded_at {int},
    api_key {text} NOT NULL,
    request {text} NOT NULL,
    CONSTRAINT meter_event_backfills_meter FOREIGN KEY (account, livemode, meter)
        REFERENCES meters (account, livemode, id)
) {strict};

CREATE UNIQUE INDEX meter_event_backfills_id ON meter_event_backfills (account, livemode, id);

CREATE INDEX meter_event_backfills_of_meter ON meter_event_backfills (account, livemode, meter, seq);

CREATE INDEX meter_event_backfills_under_way ON meter_event_backfills (step) WHERE step IS NOT NULL;

-- The events of a backfill, from 1. An identifier that the client chose names one of a customer's.
CREATE TABLE meter_event_backfill_events (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    backfill {text} NOT NULL,
    place {int} NOT NULL,
    customer {text} NOT NULL,
    identifier {text},
    timestamp {int} NOT NULL,
    payload {text} NOT NULL,
    PRIMARY KEY (account, livemode, backfill, place)
) {strict};

CREATE UNIQUE INDEX meter_event_backfill_events_identifier
    ON meter_event_backfill_events (account, livemode, backfill, customer, identifier);

-- The recorded events that a backfill has put itself in place of, by their position in the usage log.
CREATE TABLE meter_event_backfill_replaced (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    backfill {text} NOT NULL,
    event_position {int} NOT NULL,
    customer {text} NOT NULL,
    event_name {text} NOT NULL,
    identifier {text} NOT NULL,
    PRIMARY KEY (account, livemode, backfill, event_position)
) {strict};
