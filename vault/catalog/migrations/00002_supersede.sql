-- What it takes to put a new object in the place of an old one: who took whose place,
-- by which rules a document was scrubbed, what a person decided about one that is
-- withheld, and re-derivations under way.

-- +goose Up

-- The row of a superseded object stays, so that its id still leads to what stands in
-- its place; its placements go one by one, as the regions are rid of it.
ALTER TABLE objects ADD COLUMN superseded_by TEXT NOT NULL DEFAULT '';
CREATE INDEX objects_superseded ON objects (superseded_by) WHERE superseded_by <> '';

-- review is '' while nobody has decided, or the id of the record in which a person
-- decided that the document stays withheld.
ALTER TABLE documents ADD COLUMN rules TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN review TEXT NOT NULL DEFAULT '';
CREATE INDEX documents_held ON documents (review, id) WHERE held <> '';

-- position is the last object that was listed; listed is 1 once all were.
CREATE TABLE rederivations (
    id          TEXT PRIMARY KEY,
    rules       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    proposed_by TEXT NOT NULL,
    proposed_at BIGINT NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at BIGINT NOT NULL,
    position    TEXT NOT NULL,
    listed      BIGINT NOT NULL,
    total       BIGINT NOT NULL,
    superseded  BIGINT NOT NULL,
    unchanged   BIGINT NOT NULL,
    refused     BIGINT NOT NULL
);
