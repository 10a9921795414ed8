-- The secret that signs the session tokens of an account's mode: one, so that replicas agree.
CREATE TABLE meter_event_session_secrets (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    secret {bytes} NOT NULL,
    created {int} NOT NULL,
    PRIMARY KEY (account, livemode)
) {strict};

-- Meter events that were accepted and could not be counted. `request_key` names the event among those
-- of requests with an idempotency key: a retry does not keep it twice.
CREATE TABLE meter_event_errors (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    status {text} NOT NULL,
    code {text} NOT NULL,
    message {text} NOT NULL,
    event_name {text} NOT NULL,
    identifier {text} NOT NULL,
    payload {text} NOT NULL,
    timestamp {int} NOT NULL,
    meter {text},
    customer {text},
    received {int} NOT NULL,
    request {text} NOT NULL,
    request_key {text},
    request_fingerprint {text},
    resolved_at {int},
    event_seq {int},
    report {text}
) {strict};

CREATE UNIQUE INDEX meter_event_errors_id ON meter_event_errors (account, livemode, id);

CREATE UNIQUE INDEX meter_event_errors_request ON meter_event_errors (account, livemode, request_key);

CREATE INDEX meter_event_errors_status ON meter_event_errors (account, livemode, status, seq);

CREATE INDEX meter_event_errors_unreported ON meter_event_errors (received, seq) WHERE report IS NULL;

-- How many of them are open: there is a bound.
CREATE TABLE meter_event_error_counts (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    open {int} NOT NULL,
    PRIMARY KEY (account, livemode)
) {strict};

-- What was told of them: one row for a meter (or for the lack of one) and ten seconds.
CREATE TABLE meter_error_reports (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    meter {text},
    event {text} NOT NULL,
    validation_start {int} NOT NULL,
    validation_end {int} NOT NULL,
    error_count {int} NOT NULL,
    error_types {text} NOT NULL,
    created {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX meter_error_reports_id ON meter_error_reports (account, livemode, id);

CREATE INDEX meter_error_reports_of_meter ON meter_error_reports (account, livemode, meter);
