-- Which leaf of the log commits an object, so that its proof is found without
-- reading the log.

-- +goose Up
CREATE TABLE audit_commits (
    object TEXT PRIMARY KEY,
    n      BIGINT NOT NULL
);
