-- How far the log has got into each region, for whoever watches over it. What the
-- export goes by is what lies in the region itself.

-- +goose Up
CREATE TABLE log_exports (
    region      TEXT PRIMARY KEY,
    size        BIGINT NOT NULL,
    exported_at BIGINT NOT NULL,
    manifest    BIGINT NOT NULL,
    manifest_at BIGINT NOT NULL,
    problem     TEXT NOT NULL
);
