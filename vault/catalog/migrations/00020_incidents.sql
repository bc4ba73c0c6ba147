-- Breaches, findings, reviews of access and patients who are frozen; and by which
-- credential and from which (blind) address the acts of the log came.

-- +goose Up

-- One dossier of some kind, which its record of this revision holds whole. about is the
-- patient of a freeze. due_at and closed_at are 0 where there is none.
CREATE TABLE dossiers (
    id        TEXT PRIMARY KEY,
    revision  BIGINT NOT NULL,
    record    TEXT NOT NULL,
    kind      TEXT NOT NULL,
    about     TEXT NOT NULL,
    state     TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    due_at    BIGINT NOT NULL,
    closed_at BIGINT NOT NULL
);
CREATE INDEX dossiers_by_kind ON dossiers (kind, opened_at, id);
CREATE INDEX dossiers_about ON dossiers (about, kind) WHERE about <> '';

-- Who was told of a breach, by whom and how.
CREATE TABLE breach_notices (
    incident TEXT NOT NULL,
    patient  TEXT NOT NULL,
    sent_at  BIGINT NOT NULL,
    sent_by  TEXT NOT NULL,
    how      TEXT NOT NULL,
    record   TEXT NOT NULL,
    PRIMARY KEY (incident, patient)
);

ALTER TABLE audit_index ADD COLUMN credential TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_index ADD COLUMN address TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_by_credential ON audit_index (credential, at, n) WHERE credential <> '';
CREATE INDEX audit_by_address ON audit_index (address, at, n) WHERE address <> '';

-- It is made again of the leaves when the catalog is opened.
DELETE FROM audit_index;
