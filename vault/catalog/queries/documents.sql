-- name: InsertObject :execrows
INSERT INTO objects (id, class, patient, generation, seal, kind, size, sha256, footer, record_type, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (id) DO NOTHING;

-- name: InsertDocument :execrows
INSERT INTO documents (id, patient, study, series, instance, fingerprint, category, held, stored_by, rules, review)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT DO NOTHING;

-- name: DocumentByID :one
SELECT sqlc.embed(o), sqlc.embed(d) FROM documents d JOIN objects o ON o.id = d.id WHERE d.id = $1;

-- name: DocumentByInstance :one
SELECT sqlc.embed(o), sqlc.embed(d) FROM documents d JOIN objects o ON o.id = d.id
WHERE d.instance = $1 AND d.instance <> '';

-- name: DocumentByFingerprint :one
SELECT sqlc.embed(o), sqlc.embed(d) FROM documents d JOIN objects o ON o.id = d.id
WHERE d.patient = $1 AND d.fingerprint = $2 AND d.fingerprint <> '';

-- name: GetObject :one
SELECT * FROM objects WHERE id = $1;

-- name: DeleteObject :execrows
DELETE FROM objects WHERE id = $1;
