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
	Patient    record.PatientToken
	Object     record.ObjectID
	Actor      string
	Action     record.Action
	Decision   audit.Decision
	Credential []string  // one of these names
	From, To   time.Time // From is in the range, To is not
	Without    string    // leaves out what this actor did
	Before     LeafPlace // go on behind the last leaf of an answer; zero: from the newest
	Limit      int       // required

	among int // of how many that the narrow part finds; 0: all
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

// FindLeavesAmong is FindLeaves that looks at no more than most leaves of what the most
// telling field of the filter alone finds, so that a rare combination costs no more than a
// frequent one. rest is where it stopped before it had Limit: zero when nothing is left.
func (c *Catalog) FindLeavesAmong(ctx context.Context, f LeafFilter, most int) (found []FoundLeaf, rest LeafPlace, err error) {
	err = c.View(ctx, func(t *Tx) error {
		narrow, others := f.split()
		if !others {
			found, err = t.findLeaves(ctx, f)
			return err
		}
		if rest, err = t.nthLeaf(ctx, narrow, most); err != nil {
			return err
		}
		f.among = most
		found, err = t.findLeaves(ctx, f)
		return err
	})
	if len(found) == f.Limit {
		rest = LeafPlace{}
	}
	return found, rest, attempt(err, "find leaves")
}

// split is the part of a filter that an index answers, and whether there is more to it.
func (f LeafFilter) split() (narrow LeafFilter, others bool) {
	narrow = LeafFilter{From: f.From, To: f.To, Before: f.Before}
	switch {
	case f.Patient != "":
		narrow.Patient, f.Patient = f.Patient, ""
	case f.Object != "":
		narrow.Object, f.Object = f.Object, ""
	case len(f.Credential) > 0:
		narrow.Credential, f.Credential = f.Credential, nil
	case f.Actor != "":
		narrow.Actor, f.Actor = f.Actor, ""
	case f.Action != "":
		narrow.Action, f.Action = f.Action, ""
	case f.Decision == audit.Deny:
		narrow.Decision, f.Decision = f.Decision, ""
	}
	return narrow, f.Patient != "" || f.Object != "" || f.Actor != "" || f.Action != "" || f.Decision != "" || f.Without != "" || len(f.Credential) > 0
}

// nthLeaf is the place of the n-th leaf that a filter finds; zero when there are fewer.
func (t *Tx) nthLeaf(ctx context.Context, f LeafFilter, n int) (p LeafPlace, err error) {
	var b builder
	b.add("SELECT x.at, x.n FROM audit_index x WHERE 1 = 1")
	f.conditions(&b)
	b.add(" ORDER BY x.at DESC, x.n DESC LIMIT 1 OFFSET ?", n-1)
	rows, err := t.query(ctx, &b)
	if err != nil {
		return p, err
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		if err := rows.Scan(&at, &p.Number); err != nil {
			return p, err
		}
		p.At = fromMillis(at)
	}
	return p, rows.Err()
}

func (t *Tx) findLeaves(ctx context.Context, f LeafFilter) (found []FoundLeaf, err error) {
	var b builder
	b.add("SELECT x.n, x.at, l.data FROM ")
	if f.among > 0 {
		narrow, _ := f.split()
		b.add("(SELECT x.n, x.at, x.actor, x.action, x.patient, x.object, x.decision, x.credential FROM audit_index x WHERE 1 = 1")
		narrow.conditions(&b)
		b.add(" ORDER BY x.at DESC, x.n DESC LIMIT ?)", f.among)
	} else {
		b.add("audit_index")
	}
	b.add(" x JOIN audit_leaves l ON l.n = x.n WHERE 1 = 1")
	f.conditions(&b)
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

// conditions are what a filter asks of the index.
func (f LeafFilter) conditions(b *builder) {
	// The constant beside a parameter is what lets a partial index be used.
	if f.Patient != "" {
		b.add(" AND x.patient = ? AND x.patient <> ''", string(f.Patient))
	}
	if f.Object != "" {
		b.add(" AND x.object = ? AND x.object <> ''", string(f.Object))
	}
	if len(f.Credential) > 0 {
		b.add(" AND x.credential <> '' AND x.credential IN ")
		list(b, f.Credential)
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
}

// indexLeaves notes what the leaves, numbered from first on, are about.
func (t *Tx) indexLeaves(ctx context.Context, first int64, leaves [][]byte) error {
	rows := make([][]any, 0, len(leaves))
	for i, data := range leaves {
		// What is no leaf is about nothing; that it lies there is for audit verify to tell.
		if l, err := audit.ParseLeaf(data); err == nil {
			rows = append(rows, []any{first + int64(i), millis(l.Time), l.Actor, string(l.Action), string(l.Patient), string(l.Object), string(l.Decision), l.Credential, l.Address})
		}
	}
	err := t.c.leafIndex.exec(ctx, t.tx.Tx, len(rows), func(args []any, i int) []any { return append(args, rows[i]...) })
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
