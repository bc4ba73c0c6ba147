-- Who is logged in to the console.

-- +goose Up

-- digest is a keyed hash of what the cookie holds, login one of the attempt that led here:
-- an attempt leads to one session. The actor is as it was proven then; credentials names
-- what proved it, so that a revocation of it ends the session.
CREATE TABLE sessions (
    id          TEXT PRIMARY KEY,
    digest      TEXT NOT NULL UNIQUE,
    login       TEXT NOT NULL UNIQUE,
    subject     TEXT NOT NULL,
    role        TEXT NOT NULL,
    institution TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    country     TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    launch      TEXT NOT NULL,
    credentials TEXT NOT NULL,
    issued      BIGINT NOT NULL,
    made_at     BIGINT NOT NULL,
    used_at     BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL
);
CREATE INDEX sessions_by_subject ON sessions (subject, made_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
