-- Erasure: who asked for it and who agreed, how far it is in each region, which keys are
-- dead for good; legal holds. No words: reasons and authorities lie in sealed records.

-- +goose Up

-- The keys of a patient are destroyed up to a generation. The row stays for ever.
CREATE TABLE tombstones (
    patient    TEXT PRIMARY KEY,
    generation BIGINT NOT NULL,
    erasure    TEXT NOT NULL,
    buried_at  BIGINT NOT NULL
);

-- Mapped Study Instance UIDs of erased patients: whoever asks is told that they are erased.
CREATE TABLE buried_studies (
    study   TEXT NOT NULL,
    patient TEXT NOT NULL,
    PRIMARY KEY (study, patient)
);

-- document is '' for all of the patient; sweep is '' for one that was asked for by itself.
-- state is 'proposed', 'resealing' (the remaining documents, when one is erased),
-- 'burying' or 'done'. approval is the record of the approval, generation the last one
-- whose keys die. certificate is what was certified, as it was signed.
CREATE TABLE erasures (
    id           TEXT PRIMARY KEY,
    patient      TEXT NOT NULL,
    document     TEXT NOT NULL,
    anonymize    BIGINT NOT NULL,
    basis        TEXT NOT NULL,
    sweep        TEXT NOT NULL,
    proposed_by  TEXT NOT NULL,
    proposed_at  BIGINT NOT NULL,
    state        TEXT NOT NULL,
    approval     TEXT NOT NULL,
    approved_by  TEXT NOT NULL,
    approved_at  BIGINT NOT NULL,
    generation   BIGINT NOT NULL,
    certified_at BIGINT NOT NULL,
    certificate  BYTEA NOT NULL
);
CREATE INDEX erasures_by_patient ON erasures (patient, state);
CREATE INDEX erasures_by_time ON erasures (proposed_at, id);
CREATE INDEX erasures_by_sweep ON erasures (sweep) WHERE sweep <> '';

-- How far an erasure is in a region; a time of 0 is not yet. held is 1 where wraps of the
-- patient may have lain. versions is JSON: the versions of the shards of the region's key
-- service when the wraps were gone, which are dead once the oldest that opens is newer.
CREATE TABLE erasure_regions (
    erasure       TEXT NOT NULL,
    region        TEXT NOT NULL,
    service       TEXT NOT NULL,
    held          BIGINT NOT NULL,
    tombstone_at  BIGINT NOT NULL,
    wraps_at      BIGINT NOT NULL,
    versions      TEXT NOT NULL,
    keys_at       BIGINT NOT NULL,
    objects_at    BIGINT NOT NULL,
    PRIMARY KEY (erasure, region)
);

CREATE TABLE holds (
    id        TEXT PRIMARY KEY,
    patient   TEXT NOT NULL,
    review_at BIGINT NOT NULL,
    placed_by TEXT NOT NULL,
    placed_at BIGINT NOT NULL,
    lifted_at BIGINT NOT NULL,
    lifted_by TEXT NOT NULL
);
CREATE INDEX holds_by_patient ON holds (patient, placed_at);
