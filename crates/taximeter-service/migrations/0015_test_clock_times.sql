-- What a test clock has shown, by place in the usage log: events behind a place came in when it showed
-- that time, until the next place.
CREATE TABLE test_clock_times (
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    clock {text} NOT NULL,
    after_position {int} NOT NULL,
    frozen_time {int} NOT NULL,
    PRIMARY KEY (account, livemode, clock, after_position)
) {strict};

-- What the test clock of the event's customer showed when the event came in.
ALTER TABLE meter_event_errors ADD COLUMN clock_time {int};
