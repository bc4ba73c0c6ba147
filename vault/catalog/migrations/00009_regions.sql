-- What is done with a region whose certification has expired, or which is configured no
-- more; which objects a lock keeps although they are dead; where the log broke off.

-- +goose Up

-- lapsed_at is since when nothing was placed there for want of a certification; 0: it is.
ALTER TABLE regions_state ADD COLUMN lapsed_at BIGINT NOT NULL DEFAULT 0;
-- seen_at is when a gateway that has the region in its configuration said so last.
ALTER TABLE regions_state ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0;
UPDATE regions_state SET seen_at = since;

-- Superseded objects that a lock keeps until a time; 0 is without a date.
CREATE TABLE locked_objects (
    object       TEXT NOT NULL,
    region       TEXT NOT NULL,
    locked_until BIGINT NOT NULL,
    PRIMARY KEY (region, object)
);

-- Heads of the log that a region holds, and that were lost at home with the leaves
-- behind size kept. data is the leaf that says so.
CREATE TABLE log_breaks (
    region TEXT NOT NULL,
    size   BIGINT NOT NULL,
    root   TEXT NOT NULL,
    data   BYTEA NOT NULL,
    PRIMARY KEY (region, size, root)
);
