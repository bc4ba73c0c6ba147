-- What a question about the log looks for, one row for each leaf of the tree. It is made
-- of the leaves alone: whatever writes these writes it, a rebuild and an import too.
-- Every index ends in (at, n), the order in which answers are given.

-- +goose Up
CREATE TABLE audit_index (
    n        BIGINT PRIMARY KEY,
    at       BIGINT NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    patient  TEXT NOT NULL,
    object   TEXT NOT NULL,
    decision TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit_index (at, n);
CREATE INDEX audit_by_actor ON audit_index (actor, at, n);
CREATE INDEX audit_by_action ON audit_index (action, at, n);
CREATE INDEX audit_by_patient ON audit_index (patient, at, n) WHERE patient <> '';
CREATE INDEX audit_by_object ON audit_index (object, at, n) WHERE object <> '';
CREATE INDEX audit_denied ON audit_index (at, n) WHERE decision = 'deny';

-- How far the log has been given to a receiver outside: the number of the next leaf.
CREATE TABLE audit_sent (
    receiver TEXT PRIMARY KEY,
    next     BIGINT NOT NULL
);

-- Digest of what a gateway was configured with when it last started.
CREATE TABLE audit_settings (
    gateway TEXT NOT NULL,
    name    TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    PRIMARY KEY (gateway, name)
);
