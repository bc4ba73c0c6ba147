package catalog

import (
	"context"
	"fmt"
	"time"

	"medvault/vault/audit"
)

// LogExport is how far the log has got into one region.
type LogExport struct {
	Region     string
	Size       int64     // leaves of the newest checkpoint that was brought there
	At         time.Time // when the region last had the head of that moment
	Manifest   int64     // size of the log that the newest manifest there covers
	ManifestAt time.Time // when it was made
	Problem    string    // why the last try failed; "" when it did not
}

// LogExports tells of every region to which the log was to be brought.
func (t *Tx) LogExports(ctx context.Context) (map[string]LogExport, error) {
	var b builder
	b.add("SELECT region, size, exported_at, manifest, manifest_at, problem FROM log_exports")
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "log exports")
	}
	defer rows.Close()
	exports := make(map[string]LogExport)
	for rows.Next() {
		var e LogExport
		var at, manifestAt int64
		if err := rows.Scan(&e.Region, &e.Size, &at, &e.Manifest, &manifestAt, &e.Problem); err != nil {
			return nil, attempt(err, "log exports")
		}
		e.At, e.ManifestAt = fromMillis(at), fromMillis(manifestAt)
		exports[e.Region] = e
	}
	return exports, attempt(rows.Err(), "log exports")
}

// SetLogExport notes how far the log has got into a region.
func (t *Tx) SetLogExport(ctx context.Context, e LogExport) error {
	var b builder
	b.add("INSERT INTO log_exports (region, size, exported_at, manifest, manifest_at, problem) VALUES (?, ?, ?, ?, ?, ?)"+
		" ON CONFLICT (region) DO UPDATE SET size = excluded.size, exported_at = excluded.exported_at,"+
		" manifest = excluded.manifest, manifest_at = excluded.manifest_at, problem = excluded.problem",
		e.Region, e.Size, millis(e.At), e.Manifest, millis(e.ManifestAt), e.Problem)
	_, err := t.exec(ctx, &b)
	return attempt(err, "log export to %s", e.Region)
}

// Promised lists what a region is to hold for good, in ascending byte order of key, up
// to limit behind the key after: what is superseded is on its way out.
func (t *Tx) Promised(ctx context.Context, region, after string, limit int) ([]audit.Entry, error) {
	var b builder
	b.add("SELECT p.key, o.size, o.sha256, o.generation FROM placements p JOIN objects o ON o.id = p.object"+
		" WHERE "+inRegion+" AND p.key > ? AND o.superseded_by = '' ORDER BY p.key LIMIT ?", region, after, limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "promised to %s", region)
	}
	defer rows.Close()
	var entries []audit.Entry
	for rows.Next() {
		var e audit.Entry
		var sum []byte
		if err := rows.Scan(&e.Key, &e.Size, &sum, &e.Generation); err != nil {
			return nil, attempt(err, "promised to %s", region)
		}
		if e.SHA256, err = sha256Of(sum); err != nil {
			return nil, fmt.Errorf("promised to %s: %s: %w", region, e.Key, err)
		}
		entries = append(entries, e)
	}
	return entries, attempt(rows.Err(), "promised to %s", region)
}

// Hurry makes the waiting jobs of a kind due now; leased ones are under way.
func (t *Tx) Hurry(ctx context.Context, kind string) error {
	var b builder
	b.add("UPDATE jobs SET not_before = 0 WHERE kind = ? AND owner = ''", kind)
	_, err := t.exec(ctx, &b)
	return attempt(err, "hurry %s", kind)
}
