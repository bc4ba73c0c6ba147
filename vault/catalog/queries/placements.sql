-- name: PromiseRegion :execrows
INSERT INTO placements (key, region, object, size, placed_at, promised_at, stored_at)
SELECT o.class || '/' || substr(o.id, 1, 2) || '/' || o.id, CAST(sqlc.arg(region) AS TEXT), o.id, o.size, 0, CAST(sqlc.arg(at) AS BIGINT), o.created_at FROM objects o
WHERE o.id = sqlc.arg(id)
ON CONFLICT (key, region) DO NOTHING;

-- name: MarkPlaced :execrows
-- What was repaired keeps the time when it first lay there.
UPDATE placements SET placed_at = CASE WHEN placed_at = 0 THEN CAST(sqlc.arg(at) AS BIGINT) ELSE placed_at END
WHERE key IN (sqlc.arg(object_key), sqlc.arg(record_key)) AND region = sqlc.arg(region);

-- name: ListPlacements :many
SELECT region, placed_at FROM placements WHERE key IN (sqlc.arg(object_key), sqlc.arg(record_key)) ORDER BY region;

-- name: RegionStats :one
SELECT CAST(COALESCE(SUM(CASE WHEN p.placed_at <> 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS objects,
       CAST(COALESCE(SUM(CASE WHEN p.placed_at <> 0 THEN p.size ELSE 0 END), 0) AS BIGINT) AS bytes,
       CAST(COALESCE(SUM(CASE WHEN p.placed_at = 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS pending
FROM placements p WHERE p.region = $1;
