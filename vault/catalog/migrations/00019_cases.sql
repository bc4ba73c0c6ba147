-- Requests about personal information, restrictions of processing, disclosures to third
-- parties, and which alarms were raised. What people wrote is sealed in the records.

-- +goose Up

-- One request. record is the house record of this revision, which holds the case whole.
-- decided_at, executed_at and closed_at are 0 as long as it is not.
CREATE TABLE cases (
    id          TEXT PRIMARY KEY,
    revision    BIGINT NOT NULL,
    record      TEXT NOT NULL,
    patient     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    opened_by   TEXT NOT NULL,
    assignee    TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    decided_at  BIGINT NOT NULL,
    executed_at BIGINT NOT NULL,
    closed_at   BIGINT NOT NULL
);
CREATE INDEX cases_by_time ON cases (received_at, id);
CREATE INDEX cases_by_patient ON cases (patient, received_at);

-- The text is sealed in the record of this id. shown is 1 for what the requester sees.
CREATE TABLE case_notes (
    id         TEXT PRIMARY KEY,
    case_id    TEXT NOT NULL,
    shown      BIGINT NOT NULL,
    written_at BIGINT NOT NULL,
    written_by TEXT NOT NULL
);
CREATE INDEX case_notes_by_case ON case_notes (case_id, written_at);

-- Patients whose documents are for storage and legal claims alone. ended_at is 0 as long
-- as it holds.
CREATE TABLE restrictions (
    id         TEXT PRIMARY KEY,
    patient    TEXT NOT NULL,
    case_id    TEXT NOT NULL,
    from_at    BIGINT NOT NULL,
    set_by     TEXT NOT NULL,
    ended_at   BIGINT NOT NULL,
    ended_by   TEXT NOT NULL,
    ended_case TEXT NOT NULL
);
CREATE INDEX restrictions_by_patient ON restrictions (patient, from_at);

-- What third parties are given. record is the house record of this revision, which holds
-- it whole.
CREATE TABLE disclosures (
    id          TEXT PRIMARY KEY,
    revision    BIGINT NOT NULL,
    record      TEXT NOT NULL,
    patient     TEXT NOT NULL,
    state       TEXT NOT NULL,
    proposed_at BIGINT NOT NULL
);
CREATE INDEX disclosures_by_time ON disclosures (proposed_at, id);

-- One row for each alarm that was raised, so that none is raised twice.
CREATE TABLE alarms (
    id        TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,
    about     TEXT NOT NULL,
    raised_at BIGINT NOT NULL
);
CREATE INDEX alarms_by_time ON alarms (raised_at, id);
