-- Jobs wait for a region, so that one that is down stands in nobody's way; what it
-- takes to tell how far behind a region is; what was ordered about regions.

-- +goose Up

-- region is '' for work that is about none. An object's id has 36 characters.
ALTER TABLE jobs ADD COLUMN region TEXT NOT NULL DEFAULT '';
UPDATE jobs SET region = substr(key, 38) WHERE kind IN ('copy', 'remove');
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (region, kind, not_before);

-- promised_at is 0 for what was promised before it was written down.
ALTER TABLE placements ADD COLUMN promised_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX placements_by_region;
CREATE INDEX placements_by_region ON placements (region, placed_at, promised_at, size);
-- Ids sort by time: the first is the oldest that waits.
CREATE INDEX placements_waiting ON placements (region, object) WHERE placed_at = 0;

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
