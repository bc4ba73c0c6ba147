package catalog

import (
	"context"

	"medvault/vault/audit"
)

// LogBreak is a known break of the log, and the leaf that states it.
type LogBreak struct {
	audit.LostHead
	Leaf []byte
}

// AddLogBreak notes a break. fresh: it was not known.
func (t *Tx) AddLogBreak(ctx context.Context, b LogBreak) (fresh bool, err error) {
	var q builder
	q.add("INSERT INTO log_breaks (region, size, root, data) VALUES (?, ?, ?, ?) ON CONFLICT (region, size, root) DO NOTHING", b.Region, b.Size, b.Root, b.Leaf)
	n, err := t.exec(ctx, &q)
	return n > 0, attempt(err, "break of the log in %s", b.Region)
}

// LogBreaks lists the known breaks, those of a region or, for "", all.
func (t *Tx) LogBreaks(ctx context.Context, region string) (breaks []LogBreak, err error) {
	rows, err := t.tx.QueryContext(ctx, "SELECT data FROM log_breaks WHERE $1 = '' OR region = $1 ORDER BY region, size", region)
	if err != nil {
		return nil, attempt(err, "breaks of the log")
	}
	defer rows.Close()
	for rows.Next() {
		var b LogBreak
		if err := rows.Scan(&b.Leaf); err != nil {
			return nil, attempt(err, "breaks of the log")
		}
		leaf, err := audit.ParseLeaf(b.Leaf)
		if err != nil || leaf.Lost == nil {
			return nil, attempt(ErrNotFound, "leaf of a break of the log")
		}
		b.LostHead = *leaf.Lost
		breaks = append(breaks, b)
	}
	return breaks, attempt(rows.Err(), "breaks of the log")
}
