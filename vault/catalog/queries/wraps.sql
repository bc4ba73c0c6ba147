-- name: WinGeneration :execrows
INSERT INTO generations (token, generation, fixed_at) VALUES ($1, $2, $3)
ON CONFLICT (token, generation) DO NOTHING;

-- name: InsertWrap :execrows
INSERT INTO wraps (token, generation, kind, service, shard, version, blob)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (token, generation, kind, service) DO NOTHING;

-- name: ReplaceWrap :execrows
UPDATE wraps SET shard = $5, version = $6, blob = $7
WHERE token = $1 AND generation = $2 AND kind = $3 AND service = $4 AND version <= $6;

-- name: ListWraps :many
SELECT * FROM wraps WHERE token = $1 AND generation = $2 ORDER BY kind, service;

-- name: ListShardWraps :many
SELECT * FROM wraps
WHERE service = sqlc.arg(service) AND kind = sqlc.arg(kind) AND shard = sqlc.arg(shard)
  AND version < sqlc.arg(below)
  AND (token > sqlc.arg(after_token) OR (token = sqlc.arg(after_token) AND generation > sqlc.arg(after_generation)))
ORDER BY token, generation LIMIT sqlc.arg(max_rows);

-- name: InsertShard :execrows
INSERT INTO shards (service, kind, shard, version) VALUES ($1, $2, $3, 0)
ON CONFLICT (service, kind, shard) DO NOTHING;

-- name: GetShard :one
SELECT version FROM shards WHERE service = $1 AND kind = $2 AND shard = $3;

-- name: LockShard :one
SELECT version FROM shards WHERE service = $1 AND kind = $2 AND shard = $3 FOR UPDATE;

-- name: SetShard :execrows
INSERT INTO shards (service, kind, shard, version) VALUES ($1, $2, $3, $4)
ON CONFLICT (service, kind, shard) DO UPDATE SET version = excluded.version
WHERE shards.version <= excluded.version;

-- name: CountWraps :one
SELECT COUNT(*) FROM wraps WHERE service = $1;

-- name: AnyGeneration :one
SELECT EXISTS (SELECT 1 FROM generations);
