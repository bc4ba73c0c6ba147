package audit_test

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// copyOfLog is all that whoever can write where a log lies can change.
type copyOfLog struct {
	leaves     [][]byte
	checkpoint []byte
	rehash     bool // the attacker computes every hash anew; else the old ones stay
}

// attacks are done to a log of 40 leaves that was signed at 30 and at 40 leaves. What is
// found is compared with how the evidence begins: in a catalog, in the tiles of a region,
// and where the attacker has computed all hashes anew.
var attacks = []struct {
	name                   string
	change                 func(l *copyOfLog, at30 []byte)
	catalog, tiles, hashed string
}{
	{"one bit of a leaf flipped", func(l *copyOfLog, _ []byte) {
		l.leaves[17] = bytes.Replace(l.leaves[17], []byte("dr-17"), []byte("dr-16"), 1)
	}, "leaf 17: its bytes", "leaf 17: its bytes", "known checkpoint of 30 leaves"},
	{"a leaf dropped", func(l *copyOfLog, _ []byte) { l.leaves = slices.Delete(l.leaves, 5, 6) },
		"leaf 5: its bytes", "leaf 5: its bytes", "known checkpoint of 30 leaves"},
	{"two leaves interchanged", func(l *copyOfLog, _ []byte) { l.leaves[8], l.leaves[9] = l.leaves[9], l.leaves[8] },
		"leaf 8: its bytes", "leaf 8: its bytes", "known checkpoint of 30 leaves"},
	{"a leaf inserted", func(l *copyOfLog, _ []byte) { l.leaves = slices.Insert(l.leaves, 20, l.leaves[3]) },
		"leaf 20: its bytes", "leaf 20: its bytes", "known checkpoint of 30 leaves"},
	{"the end cut off", func(l *copyOfLog, _ []byte) { l.leaves = l.leaves[:35] },
		"leaf 35: missing", "leaf 35: log/tile/entries/000.p/40 is cut off", "leaf 35: missing"},
	{"put back", func(l *copyOfLog, at30 []byte) { l.leaves, l.checkpoint, l.rehash = l.leaves[:30], at30, true },
		"leaf 30: missing", "leaf 30: missing", "leaf 30: missing"},
	{"forked, signed by the log's own key", func(l *copyOfLog, _ []byte) {
		for n := 30; n < 40; n++ {
			l.leaves[n] = l.leaves[n-30]
		}
		l.checkpoint, l.rehash = nil, true
	}, "known checkpoint of 40 leaves", "known checkpoint 1: ", "known checkpoint of 40 leaves"},
}

// hashesOf are the stored hashes of leaves, and their root.
func hashesOf(t *testing.T, leaves [][]byte) (hashes []tlog.Hash, root tlog.Hash) {
	t.Helper()
	all := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	for n, data := range leaves {
		more, err := tlog.StoredHashes(int64(n), data, all)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), all)
	if err != nil {
		t.Fatal(err)
	}
	return hashes, root
}

// forge does an attack to a copy of the log; signed is what its own signer would sign.
func forge(t *testing.T, change func(*copyOfLog, []byte), leaves [][]byte, at30, at40 []byte, rehash bool) (l copyOfLog, hashes []tlog.Hash) {
	t.Helper()
	l = copyOfLog{leaves: slices.Clone(leaves), checkpoint: at40, rehash: rehash}
	change(&l, at30)
	hashes, _ = hashesOf(t, leaves)
	if l.rehash {
		var root tlog.Hash
		if hashes, root = hashesOf(t, l.leaves); l.checkpoint == nil {
			var err error
			if l.checkpoint, err = newSigner(t).Checkpoint(int64(len(l.leaves)), root); err != nil {
				t.Fatal(err)
			}
		}
	}
	return l, hashes
}

// signed makes a catalog's log of 40 leaves, and tells its checkpoints at 30 and 40.
func signed(t *testing.T, c *catalog.Catalog) (leaves [][]byte, at30, at40 []byte) {
	t.Helper()
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	grow(t, c, s, 0, 30)
	_, at30 = head(t, c)
	grow(t, c, s, 30, 10)
	_, at40 = head(t, c)
	stored, err := c.LogLeaves(t.Context(), 0, 100)
	if err != nil || len(stored) != 40 {
		t.Fatalf("LogLeaves = %d, %v", len(stored), err)
	}
	for _, l := range stored {
		leaves = append(leaves, l.Data)
	}
	return leaves, at30, at40
}

func TestEveryAttackIsFoundInACatalog(t *testing.T) {
	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			dsn, driver, source := "", "sqlite", filepath.Join(t.TempDir(), "catalog.db")
			if dsn = "sqlite:" + source; dialect == "postgres" {
				driver, source = "pgx", newPostgres(t)
				dsn = source
			}
			c, err := catalog.Open(t.Context(), catalog.Config{DSN: dsn})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			leaves, at30, at40 := signed(t, c)
			db, err := sql.Open(driver, source)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for _, a := range attacks {
				for _, rehash := range []bool{false, true} {
					l, hashes := forge(t, a.change, leaves, at30, at40, rehash)
					tree, err := audit.OpenCheckpoint(l.checkpoint, newSigner(t).Verifier())
					if err != nil {
						t.Fatal(err)
					}
					overwrite(t, db, l, hashes, tree.N)
					want := a.catalog
					if rehash {
						want = a.hashed
					}
					if r := verify(t, c, at30, at40); r.Intact || !strings.HasPrefix(r.Evidence, want) {
						t.Errorf("%s, hashes computed anew %t: intact %t, evidence %q; want %q", a.name, rehash, r.Intact, r.Evidence, want)
					}
				}
			}
			hashes, _ := hashesOf(t, leaves)
			overwrite(t, db, copyOfLog{leaves: leaves, checkpoint: at40}, hashes, 40)
			if r := verify(t, c, at30, at40); !r.Intact {
				t.Errorf("the log as it was: %q", r.Evidence)
			}
		})
	}
}

// overwrite writes a log into a catalog's tables.
func overwrite(t *testing.T, db *sql.DB, l copyOfLog, hashes []tlog.Hash, size int64) {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() // after Commit it does nothing
	do := func(text string, args ...any) {
		if _, err := tx.Exec(text, args...); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	do("DELETE FROM audit_leaves")
	do("DELETE FROM audit_hashes")
	for n, data := range l.leaves {
		do("INSERT INTO audit_leaves (n, data) VALUES ($1, $2)", n, data)
	}
	for i, hash := range hashes {
		do("INSERT INTO audit_hashes (i, hash) VALUES ($1, $2)", i, hash[:])
	}
	do("UPDATE audit_head SET size = $1, checkpoint = $2", size, l.checkpoint)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryAttackIsFoundInTilesAlone(t *testing.T) {
	leaves, at30, at40 := signed(t, openCatalog(t, filepath.Join(t.TempDir(), "catalog.db")))
	key := newSigner(t).Verifier()
	check := func(b bucket, known ...[]byte) audit.RegionReport {
		t.Helper()
		r, err := audit.VerifyRegion(t.Context(), b.get, b.list, key, known...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	whole := tilesOf(t, copyOfLog{leaves: leaves, checkpoint: at40}, leaves, key)
	if r := check(whole, at30, at40); !r.Intact || r.Size != 40 || r.Compared != 2 {
		t.Fatalf("the log as it was: %+v", r)
	}
	for _, a := range attacks {
		for _, rehash := range []bool{false, true} {
			l, _ := forge(t, a.change, leaves, at30, at40, rehash)
			hashed, want := leaves, a.tiles
			if l.rehash {
				if hashed = l.leaves; rehash && len(l.checkpoint) > 0 && bytes.Equal(l.checkpoint, at40) {
					want = "log/tile/" // the tiles are not those of the signed root
				}
			}
			if r := check(tilesOf(t, l, hashed, key), at40); r.Intact || !strings.HasPrefix(r.Evidence, want) {
				t.Errorf("%s, hashes computed anew %t: intact %t, evidence %q; want %q", a.name, rehash, r.Intact, r.Evidence, want)
			}
		}
	}
	t.Run("files", func(t *testing.T) {
		for name := range whole {
			b := bucket{}
			for key, data := range whole {
				b[key] = data
			}
			delete(b, name)
			if r := check(b, at40); r.Intact || r.Evidence == "" {
				t.Errorf("without %s: %+v", name, r)
			}
		}
		forked := tilesOf(t, copyOfLog{leaves: leaves, checkpoint: at40}, leaves, key)
		other, err := newSigner(t).Checkpoint(30, tlog.Hash{1})
		if err != nil {
			t.Fatal(err)
		}
		forked[audit.CheckpointKey(30)] = other
		if r := check(forked); r.Intact || !strings.HasPrefix(r.Evidence, audit.CheckpointKey(30)) {
			t.Errorf("an earlier checkpoint of another log: %+v", r)
		}
	})
}

// tilesOf are the files of a log in a region, with the hashes of other leaves perhaps.
func tilesOf(t *testing.T, l copyOfLog, hashed [][]byte, key note.Verifier) bucket {
	t.Helper()
	tree, err := audit.OpenCheckpoint(l.checkpoint, key)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("000.p/%d", tree.N)
	var bundle, tile []byte
	for _, leaf := range l.leaves {
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf)))
		bundle = append(bundle, leaf...)
	}
	for n := range tree.N {
		hash := tlog.Hash{}
		if n < int64(len(hashed)) {
			hash = tlog.RecordHash(hashed[n])
		}
		tile = append(tile, hash[:]...)
	}
	return bucket{"log/tile/0/" + name: tile, "log/tile/entries/" + name: bundle, audit.CheckpointKey(tree.N): l.checkpoint}
}

// newPostgres makes a database of this test's own.
func newPostgres(t *testing.T) (dsn string) {
	t.Helper()
	server := os.Getenv("MEDVAULT_TEST_POSTGRES")
	if server == "" {
		t.Skip("set MEDVAULT_TEST_POSTGRES (scripts/test starts one)")
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	name := fmt.Sprintf("audit_%s", record.NewObjectID())
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("MEDVAULT_TEST_POSTGRES is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

// BenchmarkTiles verifies 100,000 leaves from a region's files.
func BenchmarkTiles(b *testing.B) {
	const leaves = 100_000
	c := openCatalog(b, filepath.Join(b.TempDir(), "catalog.db"))
	grow(b, c, newSequencer(b, audit.SequencerConfig{Tree: c, Signer: newSigner(b)}), 0, leaves)
	region := bucket{}
	export(b, c, region, 0)
	b.ResetTimer()
	for b.Loop() {
		r, err := audit.VerifyRegion(b.Context(), region.get, region.list, newSigner(b).Verifier())
		if err != nil || !r.Intact || r.Size != leaves {
			b.Fatalf("%+v, %v", r, err)
		}
	}
	b.ReportMetric(leaves*float64(b.N)/b.Elapsed().Seconds(), "verified/s")
}
