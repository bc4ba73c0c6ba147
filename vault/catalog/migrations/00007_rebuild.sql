-- How far this catalog has been made from a region (medvault rebuild), and what was
-- found on the way. A catalog that was not lost has no rows here.

-- +goose Up
CREATE TABLE rebuilds (
    region     TEXT PRIMARY KEY,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL,
    phase      TEXT NOT NULL,
    position   TEXT NOT NULL,
    state      BYTEA NOT NULL
);

CREATE TABLE rebuild_findings (
    region  TEXT NOT NULL,
    key     TEXT NOT NULL,
    type    TEXT NOT NULL,
    patient TEXT NOT NULL,
    data    BYTEA NOT NULL,
    PRIMARY KEY (region, key, type)
);
