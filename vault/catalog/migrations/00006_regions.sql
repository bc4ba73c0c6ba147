-- Jobs wait for a region, so that one that is down stands in nobody's way; what it
-- takes to tell how far behind a region is; what was ordered about regions.

-- +goose Up

-- region is '' for work that is about none. An object's id has 32 characters.
ALTER TABLE jobs ADD COLUMN region TEXT NOT NULL DEFAULT '';
UPDATE jobs SET region = substr(key, 34) WHERE kind IN ('copy', 'remove');
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (region, kind, not_before);

-- promised_at is 0 for what was promised before it was written down.
ALTER TABLE placements ADD COLUMN promised_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX placements_by_region;
CREATE INDEX placements_by_region ON placements (region, placed_at, promised_at, size);
-- stored_at is the object's created_at, so that the oldest that waits is found at once.
ALTER TABLE placements ADD COLUMN stored_at BIGINT NOT NULL DEFAULT 0;
UPDATE placements SET stored_at = COALESCE((SELECT o.created_at FROM objects o WHERE o.id = placements.object), 0) WHERE placed_at = 0;
CREATE INDEX placements_waiting ON placements (region, stored_at) WHERE placed_at = 0;

-- Attempts that failed, and why, by the minute (of unix time).
CREATE TABLE region_failures (
    region TEXT NOT NULL,
    minute BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    code   TEXT NOT NULL,
    PRIMARY KEY (region, minute)
);

-- A region without a row has not been seen before. state is 'active', 'frozen',
-- 'draining' or 'drained'. walk is 'backfill' or 'drain' while or after all objects are
-- gone through on the region's account, '' when that was never done; position is the
-- last object that was, lacking counts what the walk found amiss.
CREATE TABLE regions_state (
    region   TEXT PRIMARY KEY,
    state    TEXT NOT NULL,
    since    BIGINT NOT NULL,
    walk     TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    position TEXT NOT NULL,
    seen     BIGINT NOT NULL,
    total    BIGINT NOT NULL,
    promised BIGINT NOT NULL,
    lacking  BIGINT NOT NULL
);
