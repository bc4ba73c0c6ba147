package catalog

import (
	"context"
	"fmt"
	"time"

	"medvault/vault/audit"
	"medvault/vault/record"
)

// LeafFilter asks for leaves of the log. Fields that are empty exclude nothing.
type LeafFilter struct {
	Patient  record.PatientToken
	Object   record.ObjectID
	Actor    string
	Action   record.Action
	Decision audit.Decision
	From, To time.Time // From is in the range, To is not
	Without  string    // leaves out what this actor did
	Before   LeafPlace // go on behind the last leaf of an answer; zero: from the newest
	Limit    int       // required
}

// LeafPlace is where a leaf stands in an answer.
type LeafPlace struct {
	At     time.Time // to the millisecond
	Number int64
}

// FoundLeaf is one leaf of an answer.
type FoundLeaf struct {
	audit.StoredLeaf
	Place LeafPlace
}

// FindLeaves lists the leaves of the tree that fit, the newest first. What is pending is
// not there yet.
func (c *Catalog) FindLeaves(ctx context.Context, f LeafFilter) (found []FoundLeaf, err error) {
	err = c.View(ctx, func(t *Tx) error {
		found, err = t.findLeaves(ctx, f)
		return err
	})
	return found, attempt(err, "find leaves")
}

func (t *Tx) findLeaves(ctx context.Context, f LeafFilter) (found []FoundLeaf, err error) {
	var b builder
	b.add("SELECT x.n, x.at, l.data FROM audit_index x JOIN audit_leaves l ON l.n = x.n WHERE 1 = 1")
	// The constant beside a parameter is what lets a partial index be used.
	if f.Patient != "" {
		b.add(" AND x.patient = ? AND x.patient <> ''", string(f.Patient))
	}
	if f.Object != "" {
		b.add(" AND x.object = ? AND x.object <> ''", string(f.Object))
	}
	if f.Actor != "" {
		b.add(" AND x.actor = ?", f.Actor)
	}
	if f.Without != "" {
		b.add(" AND x.actor <> ?", f.Without)
	}
	if f.Action != "" {
		b.add(" AND x.action = ?", string(f.Action))
	}
	if f.Decision == audit.Deny {
		b.add(" AND x.decision = 'deny'")
	} else if f.Decision != "" {
		b.add(" AND x.decision = ?", string(f.Decision))
	}
	if !f.From.IsZero() {
		b.add(" AND x.at >= ?", millis(f.From))
	}
	if !f.To.IsZero() {
		b.add(" AND x.at < ?", millis(f.To))
	}
	if f.Before != (LeafPlace{}) {
		b.add(" AND (x.at, x.n) < (?, ?)", millis(f.Before.At), f.Before.Number)
	}
	b.add(" ORDER BY x.at DESC, x.n DESC LIMIT ?", f.Limit)
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l FoundLeaf
		var at int64
		if err := rows.Scan(&l.Number, &at, &l.Data); err != nil {
			return nil, err
		}
		l.Place = LeafPlace{At: fromMillis(at), Number: l.Number}
		found = append(found, l)
	}
	return found, rows.Err()
}

// indexLeaves notes what the leaves, numbered from first on, are about.
func (t *Tx) indexLeaves(ctx context.Context, first int64, leaves [][]byte) error {
	rows := make([][]any, 0, len(leaves))
	for i, data := range leaves {
		// What is no leaf is about nothing; that it lies there is for audit verify to tell.
		if l, err := audit.ParseLeaf(data); err == nil {
			rows = append(rows, []any{first + int64(i), millis(l.Time), l.Actor, string(l.Action), string(l.Patient), string(l.Object), string(l.Decision)})
		}
	}
	err := t.c.leafIndex.exec(ctx, t.tx, len(rows), func(args []any, i int) []any { return append(args, rows[i]...) })
	if err != nil {
		return fmt.Errorf("index leaves: %w", err)
	}
	return nil
}

// indexOldLeaves indexes a log that was written before there was an index.
func (c *Catalog) indexOldLeaves(ctx context.Context) error {
	var begun bool
	if err := c.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM audit_index)").Scan(&begun); err != nil || begun {
		return attempt(err, "index leaves")
	}
	return c.Update(ctx, func(t *Tx) error {
		const page = 1024
		for next := int64(0); ; {
			leaves, err := c.LogLeaves(ctx, next, page)
			if err != nil || len(leaves) == 0 {
				return err
			}
			for _, leaf := range leaves { // one by one: numbers may be missing
				if err := t.indexLeaves(ctx, leaf.Number, [][]byte{leaf.Data}); err != nil {
					return err
				}
				next = leaf.Number + 1
			}
		}
	})
}
