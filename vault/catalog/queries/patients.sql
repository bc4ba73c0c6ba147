-- name: InsertPatient :execrows
INSERT INTO patients (token, generation, state, country, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (token) DO NOTHING;

-- name: GetPatient :one
SELECT * FROM patients WHERE token = $1;

-- name: LockPatient :one
SELECT * FROM patients WHERE token = $1 FOR UPDATE;

-- name: UpdatePatient :execrows
UPDATE patients SET generation = $2, state = $3, country = $4 WHERE token = $1;

-- name: InsertCare :execrows
INSERT INTO cares (id, patient, clinician, from_at, until_at, ended_at, origin, made_by, role, essential, ended_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '')
ON CONFLICT (id) DO NOTHING;

-- name: EndCare :execrows
UPDATE cares SET ended_at = sqlc.arg(at), ended_by = sqlc.arg(ended_by)
WHERE patient = sqlc.arg(patient) AND id = sqlc.arg(id) AND (ended_at = 0 OR ended_at > sqlc.arg(at));

-- name: ListCares :many
SELECT * FROM cares WHERE patient = $1 ORDER BY from_at, id;

-- name: Treats :one
SELECT COUNT(*) FROM cares
WHERE clinician = sqlc.arg(clinician) AND patient = sqlc.arg(patient) AND from_at <= sqlc.arg(at)
  AND (until_at = 0 OR until_at > sqlc.arg(at)) AND (ended_at = 0 OR ended_at > sqlc.arg(at));

-- name: TreatedBy :many
SELECT DISTINCT patient FROM cares
WHERE clinician = sqlc.arg(clinician) AND from_at <= sqlc.arg(at)
  AND (until_at = 0 OR until_at > sqlc.arg(at)) AND (ended_at = 0 OR ended_at > sqlc.arg(at))
ORDER BY patient;
