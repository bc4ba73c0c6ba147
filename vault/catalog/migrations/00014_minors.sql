-- Children, who acts for whom, and whoever broke the glass in an emergency.

-- +goose Up

-- Patients who were under age when it was last looked. birth is the date sealed under a
-- child of the index key: no clinical date in clear. A row goes when its patient comes of
-- age; adults have none. since is when the vault first knew.
CREATE TABLE minors (
    patient TEXT PRIMARY KEY,
    birth   BYTEA NOT NULL,
    since   BIGINT NOT NULL
);

-- Whose identity acts for a patient: relation is 'self' for the patient's own. until_at
-- and ended_at are 0 where it is open.
CREATE TABLE guardians (
    id          TEXT PRIMARY KEY,
    patient     TEXT NOT NULL,
    subject     TEXT NOT NULL,
    relation    TEXT NOT NULL,
    evidence    TEXT NOT NULL,
    from_at     BIGINT NOT NULL,
    until_at    BIGINT NOT NULL,
    recorded_by TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    ended_by    TEXT NOT NULL
);
CREATE INDEX guardians_by_patient ON guardians (patient, recorded_at);
CREATE INDEX guardians_by_subject ON guardians (subject, patient);

-- The subject of the guardian who said it; '' is the patient.
ALTER TABLE consents ADD COLUMN guardian TEXT NOT NULL DEFAULT '';

-- Why somebody broke the glass is sealed in the record of this id.
CREATE TABLE breakglass (
    id          TEXT PRIMARY KEY,
    patient     TEXT NOT NULL,
    actor       TEXT NOT NULL,
    opened_at   BIGINT NOT NULL,
    until_at    BIGINT NOT NULL,
    review_by   BIGINT NOT NULL,
    reviewed_at BIGINT NOT NULL,
    reviewed_by TEXT NOT NULL,
    outcome     TEXT NOT NULL
);
CREATE INDEX breakglass_by_actor ON breakglass (actor, patient, until_at);
CREATE INDEX breakglass_by_time ON breakglass (opened_at, id);
