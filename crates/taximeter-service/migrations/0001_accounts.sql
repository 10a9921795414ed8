-- Tenants and the keys with which programs speak for them.
CREATE TABLE accounts (
    seq {seq},
    id {text} NOT NULL,
    name {text} NOT NULL,
    created {int} NOT NULL,
    CONSTRAINT accounts_id UNIQUE (id)
) {strict};

-- A key is kept as its SHA-256: it carries at least 140 random bits, so a slow hash adds nothing.
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
    expires_at {int},
    CONSTRAINT api_keys_id UNIQUE (id),
    CONSTRAINT api_keys_hash UNIQUE (hash)
) {strict};
