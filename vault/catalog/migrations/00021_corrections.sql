-- What a patient's own record says instead of their documents. The values are sealed in
-- the record of the same id.

-- +goose Up

-- How often the corrections of a patient have changed; 0: there never was one.
ALTER TABLE patients ADD COLUMN corrected BIGINT NOT NULL DEFAULT 0;

-- document is '' for all of the patient's; category is '' where that is not corrected.
-- undone_at is 0 while it holds.
CREATE TABLE corrections (
    id          TEXT PRIMARY KEY,
    patient     TEXT NOT NULL,
    document    TEXT NOT NULL,
    category    TEXT NOT NULL,
    before      TEXT NOT NULL,
    recorded_by TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    undone_at   BIGINT NOT NULL,
    undone_by   TEXT NOT NULL
);
CREATE INDEX corrections_by_patient ON corrections (patient, recorded_at);

-- Tokens of identifiers that were corrected to: they lead to the patient.
CREATE TABLE aliases (
    token      TEXT PRIMARY KEY,
    patient    TEXT NOT NULL,
    correction TEXT NOT NULL
);
CREATE INDEX aliases_by_patient ON aliases (patient);
