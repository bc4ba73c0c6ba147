-- name: Enqueue :execrows
INSERT INTO jobs (id, kind, key, payload, attempt, not_before, owner, reason, region)
VALUES ($1, $2, $3, $4, $5, $6, '', '', $7)
ON CONFLICT (kind, key) DO NOTHING;

-- name: LeaseJobs :many
-- A lease is a job put off: while it lasts the job is not due for anyone.
WITH due AS MATERIALIZED (
    SELECT j.id FROM jobs j WHERE j.region = sqlc.arg(region) AND j.kind = sqlc.arg(kind) AND j.not_before <= sqlc.arg(now)
    ORDER BY j.not_before LIMIT sqlc.arg(max_rows) FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET owner = sqlc.arg(owner), attempt = attempt + 1, not_before = sqlc.arg(until)
WHERE jobs.id IN (SELECT due.id FROM due)
RETURNING *;

-- name: LockJob :one
SELECT * FROM jobs WHERE id = $1 FOR UPDATE;

-- name: DeleteJob :execrows
DELETE FROM jobs WHERE id = $1;

-- name: RetryJob :execrows
UPDATE jobs SET owner = '', not_before = sqlc.arg(at), reason = sqlc.arg(reason) WHERE id = sqlc.arg(id);

-- name: PendingJobs :one
SELECT COUNT(*) FROM jobs WHERE kind = $1;
