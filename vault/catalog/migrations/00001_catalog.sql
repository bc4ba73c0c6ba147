-- One schema for SQLite and PostgreSQL: TEXT ids, BIGINT unix milliseconds, 0 for
-- "no time". No identifier and no clinical date in clear: tokens, mapped UIDs and
-- blind values only.

-- +goose Up
CREATE TABLE patients (
    token      TEXT PRIMARY KEY,
    generation BIGINT NOT NULL,
    state      TEXT NOT NULL,
    country    TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Few patients are frozen or erased; every search leaves them out.
CREATE INDEX patients_not_active ON patients (token) WHERE state <> 'active';

-- Whose DEKs are fixed: the row is won once, the wraps belong to the winner.
CREATE TABLE generations (
    token      TEXT NOT NULL,
    generation BIGINT NOT NULL,
    fixed_at   BIGINT NOT NULL,
    PRIMARY KEY (token, generation)
);

CREATE TABLE wraps (
    token      TEXT NOT NULL,
    generation BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    service    TEXT NOT NULL,
    shard      TEXT NOT NULL,
    version    BIGINT NOT NULL,
    blob       TEXT NOT NULL,
    PRIMARY KEY (token, generation, kind, service)
);
CREATE INDEX wraps_by_shard ON wraps (service, kind, shard, token, generation);

CREATE TABLE shards (
    service TEXT NOT NULL,
    kind    TEXT NOT NULL,
    shard   TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (service, kind, shard)
);

CREATE TABLE objects (
    id          TEXT PRIMARY KEY,
    class       TEXT NOT NULL,
    patient     TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    seal        TEXT NOT NULL,
    kind        BIGINT NOT NULL,
    size        BIGINT NOT NULL,
    sha256      BYTEA NOT NULL,
    footer      BYTEA NOT NULL,
    record_type TEXT NOT NULL,
    created_at  BIGINT NOT NULL
);

CREATE TABLE documents (
    id          TEXT PRIMARY KEY REFERENCES objects (id) ON DELETE CASCADE,
    patient     TEXT NOT NULL,
    study       TEXT NOT NULL,
    series      TEXT NOT NULL,
    instance    TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    category    TEXT NOT NULL,
    held        TEXT NOT NULL,
    stored_by   TEXT NOT NULL
);
CREATE UNIQUE INDEX documents_by_instance ON documents (instance) WHERE instance <> '';
CREATE UNIQUE INDEX documents_by_fingerprint ON documents (patient, fingerprint) WHERE fingerprint <> '';
CREATE INDEX documents_by_patient ON documents (patient, study, series);
CREATE INDEX documents_by_study ON documents (study, series) WHERE study <> '';

-- owner is '' for a patient's terms, else the mapped study or series UID or the
-- object id; values of different attributes never meet, so the level need not be kept.
CREATE TABLE terms (
    patient TEXT NOT NULL,
    owner   TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (patient, owner, value)
);
CREATE INDEX terms_by_value ON terms (value, patient, owner);

-- key sorts as a region lists its bucket, so that a comparison is a merge.
CREATE TABLE placements (
    key       TEXT NOT NULL,
    region    TEXT NOT NULL,
    object    TEXT NOT NULL,
    size      BIGINT NOT NULL,
    placed_at BIGINT NOT NULL,
    PRIMARY KEY (key, region)
);
-- So that a region is counted without reading its rows.
CREATE INDEX placements_by_region ON placements (region, placed_at, size);

CREATE TABLE jobs (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    key        TEXT NOT NULL,
    payload    BYTEA NOT NULL,
    attempt    BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    owner      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    UNIQUE (kind, key)
);
CREATE INDEX jobs_due ON jobs (kind, not_before);

CREATE TABLE cares (
    id        TEXT PRIMARY KEY,
    patient   TEXT NOT NULL,
    clinician TEXT NOT NULL,
    from_at   BIGINT NOT NULL,
    until_at  BIGINT NOT NULL,
    ended_at  BIGINT NOT NULL,
    origin    TEXT NOT NULL,
    made_by   TEXT NOT NULL,
    ended_by  TEXT NOT NULL
);
CREATE INDEX cares_by_patient ON cares (patient);
CREATE INDEX cares_by_clinician ON cares (clinician, patient);

CREATE TABLE read_windows (
    actor    TEXT NOT NULL,
    purpose  TEXT NOT NULL,
    view     TEXT NOT NULL,
    object   TEXT NOT NULL,
    until_at BIGINT NOT NULL,
    PRIMARY KEY (actor, purpose, view, object)
);

-- id sorts in the order of insertion by one process.
CREATE TABLE audit_pending (
    id   TEXT PRIMARY KEY,
    data BYTEA NOT NULL
);

CREATE TABLE audit_leaves (
    n    BIGINT PRIMARY KEY,
    data BYTEA NOT NULL
);

CREATE TABLE audit_hashes (
    i    BIGINT PRIMARY KEY,
    hash BYTEA NOT NULL
);

CREATE TABLE audit_head (
    one         BIGINT PRIMARY KEY CHECK (one = 1),
    size        BIGINT NOT NULL,
    checkpoint  BYTEA NOT NULL,
    owner       TEXT NOT NULL,
    lease_until BIGINT NOT NULL
);
INSERT INTO audit_head (one, size, checkpoint, owner, lease_until) VALUES (1, 0, '', '', 0);
