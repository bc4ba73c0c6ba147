-- Verifications: what was asked, how far they are, what they found; when each region
-- passed which level last; who proposed to delete what from quarantine.

-- +goose Up

-- state is the vault's own JSON; report is the signed note once it has ended.
CREATE TABLE verifications (
    id         TEXT PRIMARY KEY,
    schedule   TEXT NOT NULL,
    actor      TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL,
    state      BYTEA NOT NULL,
    report     BYTEA NOT NULL
);
CREATE INDEX verifications_by_time ON verifications (started_at, id);

CREATE TABLE verification_findings (
    verification TEXT NOT NULL REFERENCES verifications (id) ON DELETE CASCADE,
    n            BIGINT NOT NULL,
    data         BYTEA NOT NULL,
    PRIMARY KEY (verification, n)
);

CREATE TABLE verified (
    region       TEXT NOT NULL,
    level        TEXT NOT NULL,
    at           BIGINT NOT NULL,
    checked      BIGINT NOT NULL,
    findings     BIGINT NOT NULL,
    verification TEXT NOT NULL,
    PRIMARY KEY (region, level)
);

-- verification is the one under way, '' between two.
CREATE TABLE verify_schedules (
    name         TEXT PRIMARY KEY,
    next_at      BIGINT NOT NULL,
    runs         BIGINT NOT NULL,
    verification TEXT NOT NULL
);

-- Who does what only one may do at a time.
CREATE TABLE leases (
    name     TEXT PRIMARY KEY,
    owner    TEXT NOT NULL,
    until_at BIGINT NOT NULL
);

CREATE TABLE quarantine_proposals (
    item        TEXT PRIMARY KEY,
    proposed_by TEXT NOT NULL,
    proposed_at BIGINT NOT NULL
);
