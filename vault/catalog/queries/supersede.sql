-- name: SupersedeObject :execrows
UPDATE objects SET superseded_by = sqlc.arg(new_id), footer = sqlc.arg(footer)
WHERE id = sqlc.arg(old_id) AND superseded_by = '';

-- name: MoveSuccessors :exec
UPDATE objects SET superseded_by = sqlc.arg(new_id)
WHERE superseded_by = sqlc.arg(old_id) AND superseded_by <> '';

-- name: DeleteDocument :execrows
DELETE FROM documents WHERE id = $1;

-- name: DeleteTerms :exec
DELETE FROM terms WHERE patient = $1 AND owner = $2;

-- name: DeletePlacement :execrows
DELETE FROM placements WHERE key IN (sqlc.arg(object_key), sqlc.arg(record_key)) AND region = sqlc.arg(region);

-- name: SetReview :execrows
UPDATE documents SET review = sqlc.arg(review) WHERE id = sqlc.arg(id);

-- name: SetRules :execrows
UPDATE documents SET rules = sqlc.arg(rules) WHERE id = sqlc.arg(id);

-- name: HeldDocuments :many
SELECT sqlc.embed(o), sqlc.embed(d) FROM documents d JOIN objects o ON o.id = d.id
WHERE d.held <> '' AND CASE WHEN d.review <> '' THEN 1 ELSE 0 END = CAST(sqlc.arg(decided) AS BIGINT)
  AND (o.created_at < sqlc.arg(before_at) OR (o.created_at = sqlc.arg(before_at) AND d.id < sqlc.arg(before_id)))
ORDER BY o.created_at DESC, d.id DESC LIMIT sqlc.arg(max_rows);

-- name: InsertRederivation :execrows
INSERT INTO rederivations (id, rules, reason, proposed_by, proposed_at, approved_by, approved_at, position, listed, total, superseded, unchanged, refused)
VALUES ($1, $2, $3, $4, $5, '', 0, '', 0, 0, 0, 0, 0)
ON CONFLICT (id) DO NOTHING;

-- name: GetRederivation :one
SELECT * FROM rederivations WHERE id = $1;

-- name: ListRederivations :many
SELECT * FROM rederivations ORDER BY proposed_at DESC, id LIMIT sqlc.arg(max_rows);

-- name: ApproveRederivation :execrows
UPDATE rederivations SET approved_by = sqlc.arg(approved_by), approved_at = sqlc.arg(approved_at)
WHERE id = sqlc.arg(id) AND approved_at = 0;

-- name: AdvanceRederivation :execrows
UPDATE rederivations SET position = sqlc.arg(position), listed = sqlc.arg(listed), total = total + sqlc.arg(added)
WHERE id = sqlc.arg(id) AND position = sqlc.arg(old_position) AND listed = 0;

-- name: CountRederived :execrows
UPDATE rederivations SET superseded = superseded + sqlc.arg(superseded), unchanged = unchanged + sqlc.arg(unchanged), refused = refused + sqlc.arg(refused)
WHERE id = sqlc.arg(id);
