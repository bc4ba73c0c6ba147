-- What patients have agreed to and refused. country and recipient are '' where a
-- statement names none, until_at and ended_at 0 where it is open; reading is 1 where a
-- permit for a country covers keys there. No words: the evidence is a stored document.

-- +goose Up
CREATE TABLE consents (
    id          TEXT PRIMARY KEY,
    patient     TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    country     TEXT NOT NULL,
    decision    TEXT NOT NULL,
    reading     BIGINT NOT NULL,
    from_at     BIGINT NOT NULL,
    until_at    BIGINT NOT NULL,
    evidence    TEXT NOT NULL,
    recorded_by TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    ended_by    TEXT NOT NULL
);
CREATE INDEX consents_by_patient ON consents (patient, recorded_at);
CREATE INDEX consents_by_purpose ON consents (purpose, patient) WHERE decision = 'permit';

CREATE INDEX objects_by_patient ON objects (patient, id);
