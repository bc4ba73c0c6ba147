package audit_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"medvault/vault/audit"
	"medvault/vault/catalog"
)

// aLog makes a log of 40 leaves, signed after 30 and after 40, and returns both
// checkpoints.
func aLog(t *testing.T) (c *catalog.Catalog, path string, at30, at40 []byte) {
	path = filepath.Join(t.TempDir(), "c.db")
	c = openCatalog(t, path)
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	var heads [][]byte
	for _, n := range []int{30, 10} {
		write(t, c, 0, n)
		flush(t, s)
		head, err := c.LogHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, head.Checkpoint)
	}
	return c, path, heads[0], heads[1]
}

func blob(b []byte) string { return "x'" + hex.EncodeToString(b) + "'" }

func TestEveryAttackOnTheTablesIsFound(t *testing.T) {
	hashesOf := func(n int64) int64 { return tlog.StoredHashCount(n) }
	dropTail := []string{"DELETE FROM audit_leaves WHERE n >= 30", fmt.Sprintf("DELETE FROM audit_hashes WHERE i >= %d", hashesOf(30))}
	tests := []struct {
		name       string
		statements []string
		want       string // what the evidence begins with
	}{
		{"one bit of a leaf", []string{`UPDATE audit_leaves SET data = CAST(replace(CAST(data AS TEXT), '"allow"', '"allov"') AS BLOB) WHERE n = 17`}, "leaf 17: its bytes"},
		{"another decision", []string{`UPDATE audit_leaves SET data = CAST(replace(CAST(data AS TEXT), 'TREAT', 'PATRQT') AS BLOB) WHERE n = 0`}, "leaf 0: its bytes"},
		{"a leaf dropped", []string{"DELETE FROM audit_leaves WHERE n = 5"}, "leaf 5: missing"},
		{"a leaf dropped and the gap closed", []string{"DELETE FROM audit_leaves WHERE n = 5", "UPDATE audit_leaves SET n = -n WHERE n > 5", "UPDATE audit_leaves SET n = -n - 1 WHERE n < 0"}, "leaf 5: its bytes"},
		{"the first leaf dropped", []string{"DELETE FROM audit_leaves WHERE n = 0"}, "leaf 0: missing"},
		{"two leaves interchanged", []string{"UPDATE audit_leaves SET n = -1 WHERE n = 8", "UPDATE audit_leaves SET n = 8 WHERE n = 9", "UPDATE audit_leaves SET n = 9 WHERE n = -1"}, "leaf 8: its bytes"},
		{"two leaves and their hashes interchanged", []string{
			"UPDATE audit_leaves SET n = -1 WHERE n = 8", "UPDATE audit_leaves SET n = 8 WHERE n = 9", "UPDATE audit_leaves SET n = 9 WHERE n = -1",
			fmt.Sprintf("UPDATE audit_hashes SET i = -1 WHERE i = %d", hashesOf(8)),
			fmt.Sprintf("UPDATE audit_hashes SET i = %d WHERE i = %d", hashesOf(8), hashesOf(9)),
			fmt.Sprintf("UPDATE audit_hashes SET i = %d WHERE i = -1", hashesOf(9))}, "leaf 9: stored hash"},
		{"the tail cut off", []string{"DELETE FROM audit_leaves WHERE n >= 35"}, "leaf 35: missing"},
		{"the tail cut off with its hashes", dropTail, "leaf 30: missing"},
		{"everything cut off", []string{"DELETE FROM audit_leaves", "DELETE FROM audit_hashes"}, "leaf 0: missing"},
		{"the tail cut off and the size lowered", append(dropTail, "UPDATE audit_head SET size = 30"), "head: the tree says 30"},
		{"a leaf added", []string{"INSERT INTO audit_leaves VALUES (40, x'7b7d')"}, "leaf 40: beyond"},
		{"a hash added", []string{fmt.Sprintf("INSERT INTO audit_hashes VALUES (%d, x'00')", hashesOf(40))}, fmt.Sprintf("stored hash %d: beyond", hashesOf(40))},
		{"a hash of a leaf flipped", []string{fmt.Sprintf("UPDATE audit_hashes SET hash = zeroblob(32) WHERE i = %d", hashesOf(12))}, "leaf 12: its bytes"},
		{"a hash above flipped", []string{fmt.Sprintf("UPDATE audit_hashes SET hash = zeroblob(32) WHERE i = %d", hashesOf(15)+2)}, "leaf 15: stored hash"},
		{"a hash shortened", []string{"UPDATE audit_hashes SET hash = x'00' WHERE i = 3"}, "leaf 2: its bytes"},
		{"a hash dropped", []string{"DELETE FROM audit_hashes WHERE i = 3"}, "leaf 2: stored hash 3 is missing"},
		{"all hashes dropped", []string{"DELETE FROM audit_hashes"}, "leaf 0: stored hash 0 is missing"},
		{"the head raised", []string{"UPDATE audit_head SET size = 41"}, "leaf 40: missing"},
		{"the head negative", []string{"UPDATE audit_head SET size = -1"}, "head: a size"},
		{"the head emptied", []string{"UPDATE audit_head SET size = 0, checkpoint = x''"}, "leaf 0: beyond"},
		{"the signature emptied", []string{"UPDATE audit_head SET checkpoint = x''"}, "head: checkpoint"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, path, _, _ := aLog(t)
			attack(t, path, test.statements...)
			r := verify(t, c)
			if r.Intact || !strings.HasPrefix(r.Evidence, test.want) {
				t.Errorf("evidence %q, intact %t; want %q…", r.Evidence, r.Intact, test.want)
			}
		})
	}
}

// rewrite computes all hashes anew after a leaf was changed, as an attacker without
// the signing key would.
func rewrite(t *testing.T, c *catalog.Catalog, path string, leaves [][]byte) tlog.Hash {
	var hashes []tlog.Hash
	all := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	statements := []string{"DELETE FROM audit_leaves", "DELETE FROM audit_hashes"}
	for n, data := range leaves {
		more, err := tlog.StoredHashes(int64(n), data, all)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, fmt.Sprintf("INSERT INTO audit_leaves VALUES (%d, %s)", n, blob(data)))
		for i, h := range more {
			statements = append(statements, fmt.Sprintf("INSERT INTO audit_hashes VALUES (%d, %s)", len(hashes)+i, blob(h[:])))
		}
		hashes = append(hashes, more...)
	}
	attack(t, path, statements...)
	root, err := tlog.TreeHash(int64(len(leaves)), all)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestARewrittenLogIsFound(t *testing.T) {
	leavesOf := func(c *catalog.Catalog) (all [][]byte) {
		leaves, err := c.LogLeaves(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leaves {
			all = append(all, l.Data)
		}
		return all
	}
	t.Run("under the old head", func(t *testing.T) {
		c, path, at30, _ := aLog(t)
		leaves := leavesOf(c)
		leaves[20] = bytes.Replace(leaves[20], []byte("TREAT"), []byte("PATRQT"), 1)
		rewrite(t, c, path, leaves)
		if r := verify(t, c); r.Intact || !strings.HasPrefix(r.Evidence, "head: the 40 leaves") {
			t.Errorf("evidence %q", r.Evidence)
		}
		if r := verify(t, c, at30); r.Intact || !strings.HasPrefix(r.Evidence, "known checkpoint of 30") {
			t.Errorf("evidence %q; want the known checkpoint to narrow it", r.Evidence)
		}
		// Nothing is built upon it.
		write(t, c, 40, 1)
		time.Sleep(2100 * time.Millisecond) // the lease of the log's own sequencer
		if err := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)}).Flush(t.Context()); err == nil {
			t.Error("a leaf was appended to a rewritten log")
		}
	})
	t.Run("signed with another key", func(t *testing.T) {
		c, path, _, _ := aLog(t)
		leaves := leavesOf(c)[:39]
		root := rewrite(t, c, path, leaves)
		forger, err := audit.NewSigner("medvault-test", bytes.Repeat([]byte{8}, 32))
		if err != nil {
			t.Fatal(err)
		}
		forged, err := forger.Checkpoint(39, root)
		if err != nil {
			t.Fatal(err)
		}
		attack(t, path, "UPDATE audit_head SET size = 39, checkpoint = "+blob(forged))
		if r := verify(t, c); r.Intact || !strings.HasPrefix(r.Evidence, "head: checkpoint") {
			t.Errorf("evidence %q", r.Evidence)
		}
	})
	t.Run("set back with its old head", func(t *testing.T) {
		c, path, at30, at40 := aLog(t)
		attack(t, path, "DELETE FROM audit_leaves WHERE n >= 30", fmt.Sprintf("DELETE FROM audit_hashes WHERE i >= %d", tlog.StoredHashCount(30)),
			"UPDATE audit_head SET size = 30, checkpoint = "+blob(at30))
		if r := verify(t, c); !r.Intact {
			t.Errorf("evidence %q; the catalog alone cannot tell", r.Evidence)
		}
		if r := verify(t, c, at30, at40); r.Intact || !strings.HasPrefix(r.Evidence, "leaf 30: missing") {
			t.Errorf("evidence %q; want a region's checkpoint to tell", r.Evidence)
		}
	})
	t.Run("a leaf that is no leaf", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "c.db")
		c := openCatalog(t, path)
		attack(t, path, "INSERT INTO audit_pending VALUES ('x', "+blob([]byte(`{"name":"x"}`))+")")
		flush(t, newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)}))
		if r := verify(t, c); r.Intact || !strings.HasPrefix(r.Evidence, "leaf 0: parse leaf") {
			t.Errorf("evidence %q", r.Evidence)
		}
	})
}

// BenchmarkLog appends 100,000 leaves and verifies them all.
func BenchmarkLog(b *testing.B) {
	const leaves = 100_000
	c := openCatalog(b, filepath.Join(b.TempDir(), "c.db"))
	for n := 0; n < leaves; n += 10_000 {
		write(b, c, n, 10_000)
	}
	began := time.Now()
	flush(b, newSequencer(b, audit.SequencerConfig{Tree: c, Signer: newSigner(b)}))
	b.ReportMetric(leaves/time.Since(began).Seconds(), "appended/s")
	began = time.Now()
	if r := verify(b, c); !r.Intact || r.Size != leaves {
		b.Errorf("%+v", r)
	}
	b.ReportMetric(leaves/time.Since(began).Seconds(), "verified/s")
}
