package catalog_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

func TestTheCommitOfAnObjectIsFound(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		ids := appendLeaves(t, c)
		for n, id := range ids {
			if got, err := c.CommitLeaf(t.Context(), id); err != nil || got != int64(2*n+1) {
				t.Errorf("CommitLeaf(%s) = %d, %v; want %d", id, got, err, 2*n+1)
			}
		}
		if n, err := c.CommitLeaf(t.Context(), record.NewObjectID()); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("the commit of an unknown object is leaf %d, %v", n, err)
		}
	})
}

func TestALogWithoutIndexIsIndexed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c, err := catalog.Open(t.Context(), catalog.Config{DSN: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	ids := appendLeaves(t, c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec("DELETE FROM audit_commits"); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = catalog.Open(t.Context(), catalog.Config{DSN: "sqlite:" + path}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n, id := range ids {
		if got, err := c.CommitLeaf(t.Context(), id); err != nil || got != int64(2*n+1) {
			t.Errorf("CommitLeaf(%s) = %d, %v; want %d", id, got, err, 2*n+1)
		}
	}
}

// appendLeaves appends a refusal before each of three commits, and returns what was
// committed.
func appendLeaves(t *testing.T, c *catalog.Catalog) (committed []record.ObjectID) {
	t.Helper()
	signer, err := audit.NewSigner("medvault-test", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := audit.NewSequencer(audit.SequencerConfig{Tree: c, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		id := record.NewObjectID()
		committed = append(committed, id)
		refusal := audit.Leaf{Time: start.Add(time.Duration(i) * time.Second), Actor: `"commit":`, Action: record.ActionRead, Object: id, Decision: audit.Deny}
		commit := audit.Leaf{Time: start, Actor: fmt.Sprint(i), Action: record.ActionStore, Object: id, Decision: audit.Allow,
			Commit: &audit.Commit{Kind: record.KindDICOM, Generation: 1}}
		for _, leaf := range []audit.Leaf{refusal, commit} {
			data, err := leaf.Encode()
			if err != nil {
				t.Fatal(err)
			}
			update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.AppendLeaf(ctx, data) })
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return committed
}
