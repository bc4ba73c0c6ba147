-- Reports: what is redacted in the background, with what is known of the patient.

-- +goose Up

-- known is '' of a document that says itself who its patient is, 'pending' of one that
-- waits to be redacted, otherwise a keyed hash over what was known of the patient when it
-- was. parent is the document in which this one was found as an attachment.
ALTER TABLE documents ADD COLUMN known TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN parent TEXT NOT NULL DEFAULT '';
CREATE INDEX documents_by_known ON documents (patient, known) WHERE known <> '';
CREATE INDEX documents_by_category ON documents (patient, category, id);
