-- The staff register, as decisions need it, and what a care relationship says beyond who
-- treats whom. People are named by the subject of their identity; their names are sealed
-- in house records. record is the record that a row was last changed by, revision counts
-- the changes, so that a rebuild takes the newest whatever the order.

-- +goose Up
CREATE TABLE staff_institutions (
    id              TEXT PRIMARY KEY,
    revision        BIGINT NOT NULL,
    record          TEXT NOT NULL,
    name            TEXT NOT NULL,
    country         TEXT NOT NULL,
    issuer          TEXT NOT NULL,
    own             BIGINT NOT NULL,
    agreement       TEXT NOT NULL,
    agreement_until BIGINT NOT NULL,
    state           TEXT NOT NULL
);

-- roles are separated by spaces; country is '' for the institution's.
CREATE TABLE staff_people (
    subject     TEXT PRIMARY KEY,
    revision    BIGINT NOT NULL,
    record      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    roles       TEXT NOT NULL,
    institution TEXT NOT NULL,
    country     TEXT NOT NULL,
    state       TEXT NOT NULL,
    trained_at  BIGINT NOT NULL
);

-- essential is 1 for those without whom the treatment cannot go on.
ALTER TABLE cares ADD COLUMN role TEXT NOT NULL DEFAULT '';
ALTER TABLE cares ADD COLUMN essential BIGINT NOT NULL DEFAULT 0;
