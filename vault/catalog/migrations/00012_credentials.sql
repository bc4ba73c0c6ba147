-- Who is refused although a credential proves them, and the API tokens of machines.

-- +goose Up

-- subject or credential is '' where the row is about the other. before_at is unix time:
-- only what was issued up to then is refused; 0 is all, whenever issued.
CREATE TABLE revocations (
    id         TEXT PRIMARY KEY,
    subject    TEXT NOT NULL,
    credential TEXT NOT NULL,
    before_at  BIGINT NOT NULL,
    reason     TEXT NOT NULL,
    made_at    BIGINT NOT NULL,
    made_by    TEXT NOT NULL,
    lifted_at  BIGINT NOT NULL,
    lifted_by  TEXT NOT NULL
);
CREATE INDEX revocations_by_subject ON revocations (subject) WHERE lifted_at = 0 AND subject <> '';
CREATE INDEX revocations_by_credential ON revocations (credential) WHERE lifted_at = 0 AND credential <> '';

-- digest is a keyed hash: whoever holds the catalog cannot even try tokens.
CREATE TABLE api_tokens (
    id          TEXT PRIMARY KEY,
    digest      TEXT NOT NULL UNIQUE,
    subject     TEXT NOT NULL,
    role        TEXT NOT NULL,
    institution TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    country     TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    label       TEXT NOT NULL,
    made_at     BIGINT NOT NULL,
    made_by     TEXT NOT NULL,
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    ended_by    TEXT NOT NULL
);
