package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// measureLogs measures, on SQLite and on PostgreSQL, what a leaf of the log costs and what
// it costs to say how far behind a region is.
func measureLogs(ctx context.Context, b *backends, dir string, o options) (rows []row, err error) {
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		h := house{Dir: filepath.Join(dir, "log-"+kind)}
		if kind == "PostgreSQL" {
			if b == nil || b.postgres == "" {
				fmt.Fprintln(os.Stderr, "bench: no PostgreSQL to measure")
				continue
			}
			if h.DSN, err = b.database(ctx); err != nil {
				return rows, err
			}
		}
		fmt.Fprintf(os.Stderr, "bench: the log and the lag of regions in %s\n", kind)
		if err := os.MkdirAll(h.Dir, 0o700); err != nil {
			return rows, err
		}
		a, err := once(ctx, h, task{Do: "log", Count: o.logRows})
		if err != nil {
			return rows, err
		}
		for _, r := range a.Rows {
			r.Name += ", " + kind
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// measureLog measures one catalog that nobody else uses.
func (s *site) measureLog(ctx context.Context, t task) (a answer, err error) {
	dsn := s.spec.DSN
	if dsn == "" {
		dsn = "sqlite:" + filepath.Join(s.spec.Dir, "catalog.db")
	}
	index, err := catalog.Open(ctx, catalog.Config{DSN: dsn})
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	if a.Rows, err = measureLeaves(ctx, index, t.Count); err != nil {
		return a, err
	}
	if err := fillPlacements(ctx, index, t.Count); err != nil {
		return a, err
	}
	if s.spec.DSN != "" {
		if err := analyze(ctx, s.spec.DSN); err != nil {
			return a, err
		}
	}
	lag, err := measureLag(ctx, index, t.Count)
	a.Rows = append(a.Rows, lag...)
	return a, err
}

// analyze does what autovacuum does within a minute.
func analyze(ctx context.Context, dsn string) (err error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "ANALYZE")
	return errors.Join(err, db.Close())
}

// measureLeaves writes leaves as acts do, one in a transaction that does something else
// besides, then eleven, which tells what a leaf adds where there is a commit anyway; and
// has them appended to the tree.
func measureLeaves(ctx context.Context, index *catalog.Catalog, n int) (rows []row, err error) {
	leaf, err := exampleLeaf()
	if err != nil {
		return nil, err
	}
	const transactions, turns, further = 100, 5, 10
	var first, eleven time.Duration
	act := func(leaves int) (time.Duration, error) {
		began := time.Now()
		for range transactions {
			err := index.Update(ctx, func(tx *catalog.Tx) error {
				if err := tx.TakeLease(ctx, "bench", "bench", time.Minute); err != nil {
					return err
				}
				for range leaves {
					if err := tx.AppendLeaf(ctx, leaf); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return 0, err
			}
		}
		return time.Since(began), nil
	}
	for range turns { // in turn, so that what else the machine does meets both
		one, err := act(1)
		if err != nil {
			return nil, err
		}
		more, err := act(1 + further)
		if err != nil {
			return nil, err
		}
		first, eleven = quicker(first, one), quicker(eleven, more)
	}
	each := func(d time.Duration) float64 { return d.Seconds() * 1e3 / transactions }
	rows = append(rows, row{Name: "a transaction with a leaf of the log", Count: transactions, Seconds: first.Seconds(), EachMs: each(first)},
		row{Name: "each further leaf in a transaction", Count: transactions * further, Seconds: (eleven - first).Seconds(), EachMs: each(eleven-first) / further})

	appended, err := measureAppending(ctx, index, leaf, n)
	return append(rows, appended), err
}

// quicker is the shorter of two that were measured; zero was not.
func quicker(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// measureAppending makes leaves pending, and measures the sequencer.
func measureAppending(ctx context.Context, index *catalog.Catalog, leaf []byte, n int) (r row, err error) {
	signer, err := audit.NewSigner("bench", make([]byte, 32))
	if err != nil {
		return r, err
	}
	sequencer, err := audit.NewSequencer(audit.SequencerConfig{Tree: index, Signer: signer})
	if err != nil {
		return r, err
	}
	if err := sequencer.Flush(ctx); err != nil {
		return r, err
	}
	for left := n; left > 0; left -= 1000 {
		err := index.Update(ctx, func(tx *catalog.Tx) error {
			for range min(1000, left) {
				if err := tx.AppendLeaf(ctx, leaf); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return r, err
		}
	}
	began := time.Now()
	if err := sequencer.Flush(ctx); err != nil {
		return r, err
	}
	took := time.Since(began)
	return row{Name: "leaves appended to the tree and signed", Count: n, Seconds: took.Seconds(), PerSecond: float64(n) / took.Seconds(), EachMs: took.Seconds() * 1e3 / float64(n)}, nil
}

func exampleLeaf() ([]byte, error) {
	return audit.Leaf{Time: time.Now(), Actor: clinician.ID, Role: clinician.Role, Purpose: clinician.Purpose, Action: record.ActionRead,
		Object: record.NewObjectID(), View: record.ViewOriginal, Decision: audit.Allow, Window: 15 * time.Minute}.Encode()
}

// fillPlacements adds n objects, of which one in a hundred still waits for the last region.
func fillPlacements(ctx context.Context, index *catalog.Catalog, n int) error {
	home := homeRegions()
	for done := 0; done < n; {
		err := index.Update(ctx, func(tx *catalog.Tx) error {
			for range min(1000, n-done) {
				done++
				placed := home
				if done%100 == 0 {
					placed = home[:2]
				}
				o := catalog.Object{ID: record.NewObjectID(), Class: catalog.ClassRecords, Seal: "00", Kind: record.KindRecord, Size: 1000, Created: time.Now()}
				if err := errors.Join(tx.InsertRecord(ctx, o, "bench"), tx.PlaceNew(ctx, o, home, placed, time.Now())); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// measureLag asks what a region lacks and how long copies took, of n objects.
func measureLag(ctx context.Context, index *catalog.Catalog, n int) (rows []row, err error) {
	for _, q := range []struct {
		name string
		ask  func(*catalog.Tx) error
	}{
		{"objects and bytes of a region", func(tx *catalog.Tx) error { _, _, _, err := tx.RegionStats(ctx, survivor); return err }},
		{"what waits for a region", func(tx *catalog.Tx) error { _, err := tx.Waiting(ctx, survivor); return err }},
		{"lag of its last 1,000 copies", func(tx *catalog.Tx) error {
			_, err := tx.Lags(ctx, vaulttest.Regions()[0], time.Time{}, 1000)
			return err
		}},
	} {
		const times = 20
		began := time.Now()
		for range times {
			if err := index.View(ctx, q.ask); err != nil {
				return nil, err
			}
		}
		took := time.Since(began)
		rows = append(rows, row{Name: q.name + fmt.Sprintf(", of %d", n), Count: times, Seconds: took.Seconds(), EachMs: took.Seconds() * 1e3 / times})
	}
	return rows, nil
}
