-- Tenants and the keys with which programs speak for them. The oldest account is the default one.
CREATE TABLE accounts (
    seq {seq},
    id {text} NOT NULL,
    name {text} NOT NULL,
    created {int} NOT NULL
) {strict};

CREATE UNIQUE INDEX accounts_id ON accounts (id);

CREATE UNIQUE INDEX accounts_name ON accounts (name);

-- A key is kept as its SHA-256: it carries at least 180 random bits, so a slow hash adds nothing.
-- A key that was revoked or rolled stays, expired, so that whoever still shows it is told so.
CREATE TABLE api_keys (
    seq {seq},
    account {text} NOT NULL REFERENCES accounts (id),
    livemode {bool} NOT NULL,
    id {text} NOT NULL,
    kind {text} NOT NULL,
    hash {text} NOT NULL,
    hint {text} NOT NULL,
    name {text},
    permissions {text} NOT NULL,
    created {int} NOT NULL,
    expires_at {int}
) {strict};

CREATE UNIQUE INDEX api_keys_id ON api_keys (id);

CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
