-- Messages of hospital systems that were acted upon, by a keyed hash of sender and
-- control id: one that comes again changes nothing.

-- +goose Up
CREATE TABLE care_messages (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX care_messages_by_time ON care_messages (at);
