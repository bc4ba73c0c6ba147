-- name: InsertPending :exec
INSERT INTO audit_pending (id, data) VALUES ($1, $2);

-- name: ListPending :many
SELECT id, data FROM audit_pending ORDER BY id LIMIT $1;

-- name: CountPending :one
SELECT COUNT(*) FROM audit_pending;

-- name: GetHead :one
SELECT size, checkpoint, owner, lease_until FROM audit_head WHERE one = 1;

-- name: AdvanceHead :execrows
UPDATE audit_head SET size = sqlc.arg(new_size), checkpoint = sqlc.arg(checkpoint), owner = sqlc.arg(owner), lease_until = sqlc.arg(lease_until)
WHERE one = 1 AND size = sqlc.arg(old_size) AND (owner = sqlc.arg(owner) OR lease_until <= sqlc.arg(now));

-- name: ListLeaves :many
SELECT n, data FROM audit_leaves WHERE n >= sqlc.arg(first) ORDER BY n LIMIT sqlc.arg(max_rows);

-- name: ListHashes :many
SELECT i, hash FROM audit_hashes WHERE i >= sqlc.arg(first) ORDER BY i LIMIT sqlc.arg(max_rows);

-- name: SweepReadWindows :execrows
DELETE FROM read_windows WHERE until_at <= $1;

-- name: GetHash :one
SELECT hash FROM audit_hashes WHERE i = $1;
