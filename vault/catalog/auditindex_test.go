package catalog_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// aLog appends leaves to a catalog's log.
func aLog(t *testing.T, c *catalog.Catalog, leaves []audit.Leaf) {
	t.Helper()
	update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
		for _, l := range leaves {
			data, err := l.Encode()
			if err != nil {
				return err
			}
			if err := tx.AppendLeaf(ctx, data); err != nil {
				return err
			}
		}
		return nil
	})
	signer, err := audit.NewSigner("test", bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := audit.NewSequencer(audit.SequencerConfig{Tree: c, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLeavesAreFound(t *testing.T) {
	objects := []record.ObjectID{record.NewObjectID(), record.NewObjectID()}
	var leaves []audit.Leaf
	for i := range 40 {
		l := audit.Leaf{Time: start.Add(time.Duration(i) * time.Minute), Actor: fmt.Sprintf("dr-%d", i%3), Action: record.ActionRead, Decision: audit.Allow}
		if i%2 == 0 {
			l.Patient = token(i % 4)
		}
		if i%5 == 0 {
			l.Object, l.Decision = objects[i/5%2], audit.Deny
		}
		if i%7 == 0 {
			l.Actor, l.Action = "medvault", "object.copied"
		}
		leaves = append(leaves, l)
	}
	leaves[12].Time = leaves[11].Time // two acts in one millisecond
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	tests := []struct {
		name   string
		filter catalog.LeafFilter
		fits   func(l audit.Leaf) bool
	}{
		{"all", catalog.LeafFilter{}, func(audit.Leaf) bool { return true }},
		{"patient", catalog.LeafFilter{Patient: token(2)}, func(l audit.Leaf) bool { return l.Patient == token(2) }},
		{"object", catalog.LeafFilter{Object: objects[1]}, func(l audit.Leaf) bool { return l.Object == objects[1] }},
		{"actor", catalog.LeafFilter{Actor: "dr-1"}, func(l audit.Leaf) bool { return l.Actor == "dr-1" }},
		{"action", catalog.LeafFilter{Action: "object.copied"}, func(l audit.Leaf) bool { return l.Action == "object.copied" }},
		{"refused", catalog.LeafFilter{Decision: audit.Deny}, func(l audit.Leaf) bool { return l.Decision == audit.Deny }},
		{"allowed", catalog.LeafFilter{Decision: audit.Allow}, func(l audit.Leaf) bool { return l.Decision == audit.Allow }},
		{"time", catalog.LeafFilter{From: at(10), To: at(20)}, func(l audit.Leaf) bool { return !l.Time.Before(at(10)) && l.Time.Before(at(20)) }},
		{"persons", catalog.LeafFilter{Without: "medvault"}, func(l audit.Leaf) bool { return l.Actor != "medvault" }},
		{"several", catalog.LeafFilter{Patient: token(0), Decision: audit.Deny, From: at(1)}, func(l audit.Leaf) bool {
			return l.Patient == token(0) && l.Decision == audit.Deny && !l.Time.Before(at(1))
		}},
		{"a rare combination", catalog.LeafFilter{Actor: "dr-1", Action: "object.copied", Decision: audit.Deny}, func(l audit.Leaf) bool {
			return l.Actor == "dr-1" && l.Action == "object.copied" && l.Decision == audit.Deny
		}},
		{"nobody", catalog.LeafFilter{Actor: "nobody"}, func(audit.Leaf) bool { return false }},
	}
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		aLog(t, c, leaves)
		for _, test := range tests {
			var want []int64
			for i, l := range leaves {
				if test.fits(l) {
					want = append(want, int64(i))
				}
			}
			slices.Reverse(want)
			for _, limit := range []int{1, 3, 1000} {
				f := test.filter
				f.Limit = limit
				if got := numbers(t, c, f); !slices.Equal(got, want) {
					t.Errorf("%s, %d at a time: leaves %v; want %v", test.name, limit, got, want)
				}
				for _, most := range []int{1, 4, 1000} {
					if got := numbersAmong(t, c, f, most); !slices.Equal(got, want) {
						t.Errorf("%s, %d at a time among %d: leaves %v; want %v", test.name, limit, most, got, want)
					}
				}
			}
		}
	})
}

// numbersAmong pages through an answer of which each page looks at no more than most.
func numbersAmong(t *testing.T, c *catalog.Catalog, f catalog.LeafFilter, most int) (all []int64) {
	t.Helper()
	for range 10_000 {
		found, rest, err := c.FindLeavesAmong(t.Context(), f, most)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range found {
			all = append(all, l.Number)
		}
		switch {
		case len(found) == f.Limit:
			f.Before = found[len(found)-1].Place
		case rest == catalog.LeafPlace{}:
			return all
		default:
			f.Before = rest
		}
	}
	t.Fatal("pages without an end")
	return nil
}

// numbers pages through an answer.
func numbers(t *testing.T, c *catalog.Catalog, f catalog.LeafFilter) (all []int64) {
	t.Helper()
	for {
		found, err := c.FindLeaves(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range found {
			if _, err := audit.ParseLeaf(l.Data); err != nil {
				t.Errorf("leaf %d: %v", l.Number, err)
			}
			all = append(all, l.Number)
		}
		if len(found) < f.Limit {
			return all
		}
		f.Before = found[len(found)-1].Place
	}
}

func TestALogWithoutAnIndexIsIndexedAtStart(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		var leaves []audit.Leaf
		for i := range 1500 {
			leaves = append(leaves, audit.Leaf{Time: start, Actor: "a", Action: "test.act", Patient: token(i % 2), Decision: audit.Allow})
		}
		aLog(t, c, leaves)
		driver, dsn := "pgx", db.dsn
		if c.Dialect() == "sqlite" {
			t.Skip("the table is emptied by hand, on PostgreSQL alone")
		}
		by, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer by.Close()
		if _, err := by.Exec("DELETE FROM audit_index"); err != nil {
			t.Fatal(err)
		}
		if got := numbers(t, db.open(t), catalog.LeafFilter{Patient: token(1), Limit: 500}); len(got) != 750 {
			t.Errorf("%d leaves after the next start; want 750", len(got))
		}
	})
}
