-- Orders to renew a shard's KEK: rotate it, move all wraps, trim what is old. A row is
-- an order that is not carried out yet.

-- +goose Up

-- orders counts how often it was asked for; covered is how many of those the rotation
-- under way is for. base is the version there was before it (0: not begun), target the
-- version that all wraps move to (0: not rotated yet), logged is 1 once the log says that
-- what is older is trimmed. pending is the vault's own JSON: what stood in the way at the
-- last try.
CREATE TABLE renewals (
    service    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    shard      TEXT NOT NULL,
    why        TEXT NOT NULL,
    ordered_at BIGINT NOT NULL,
    orders     BIGINT NOT NULL,
    covered    BIGINT NOT NULL,
    base       BIGINT NOT NULL,
    target     BIGINT NOT NULL,
    logged     BIGINT NOT NULL,
    pending    BYTEA NOT NULL,
    PRIMARY KEY (service, kind, shard)
);
