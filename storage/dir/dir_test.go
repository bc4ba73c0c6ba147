package dir_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"medvault/storage"
	"medvault/storage/dir"
	"medvault/storage/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storage.Store { return open(t, t.TempDir()) })
}

func open(t testing.TB, root string) *dir.Store {
	t.Helper()
	s, err := dir.New(dir.Config{Root: root, Create: true})
	if err != nil {
		t.Fatalf("New(%s) = %v", root, err)
	}
	return s
}

func TestFoldersAreMadeBeforehandAndAgain(t *testing.T) {
	root := t.TempDir()
	config := dir.Config{Root: root, Create: true, Folders: []string{"objects/aa", "objects/ab"}}
	s, err := dir.New(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range config.Folders {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || !info.IsDir() {
			t.Errorf("%s: %v; want a folder", name, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "objects")); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "objects/aa/x", storetest.Body(storetest.Bytes(10))); err != nil {
		t.Errorf("Put after somebody removed the folders = %v", err)
	}
	for range s.List(t.Context(), "objects/ab/", "") {
		t.Error("an empty folder lists an object")
	}
	if _, err := dir.New(config); err != nil {
		t.Errorf("New over what is there = %v", err)
	}
	config.Folders = []string{"../out"}
	if _, err := dir.New(config); err == nil {
		t.Error("New takes a folder outside")
	}
}

func TestRepairKeepsBadBytesInQuarantine(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	good := storetest.Bytes(5000)
	if err := s.Put(t.Context(), "objects/aa/x", storetest.Body(good)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "objects/aa/x")
	bad := append([]byte{good[0] ^ 1}, good[1:]...)
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := s.Head(t.Context(), "objects/aa/x")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Repair(t.Context(), "objects/aa/x", found, storetest.Body(good)); err != nil {
		t.Fatalf("Repair = %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != string(good) {
		t.Error("the object is not repaired")
	}
	kept, err := filepath.Glob(filepath.Join(root, "quarantine/objects/aa/x.*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("quarantine = %v, %v; want one file", kept, err)
	}
	if got, _ := os.ReadFile(kept[0]); string(got) != string(bad) {
		t.Error("quarantine does not hold the bad bytes")
	}
}

func TestShrunkFileNeverEndsCleanly(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	if err := s.Put(t.Context(), "x", storetest.Body(storetest.Bytes(100_000))); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), "x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(filepath.Join(root, "x"), 5000); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read = %v; want io.ErrUnexpectedEOF", err)
	}
}

func TestNewSweepsOnlyOldLeftovers(t *testing.T) {
	root := t.TempDir()
	open(t, root)
	old, fresh := filepath.Join(root, "~tmp/put-1"), filepath.Join(root, "~tmp/put-2")
	for _, path := range []string{old, fresh} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	s := open(t, root)
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old leftover is still there: %v", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("a file another process may be writing was removed: %v", err)
	}
	for info, err := range s.List(t.Context(), "", "") {
		t.Errorf("List = %+v, %v; want nothing", info, err)
	}
}

func TestPutLeavesNoTemporaryFile(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	wrong := storetest.Body(storetest.Bytes(1000))
	wrong.SHA256 = sha256.Sum256(nil)
	if err := s.Put(t.Context(), "b", wrong); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("Put with a wrong sum = %v; want ErrCorrupt", err)
	}
	if err := s.Put(t.Context(), "a", storetest.Body(storetest.Bytes(1000))); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(root, "~tmp")); err != nil || len(left) != 0 {
		t.Errorf("~tmp holds %v, %v; want nothing", left, err)
	}
}

func TestEmptiedBucketTakesObjectsAgain(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	body := storetest.Body(storetest.Bytes(1000))
	for range 2 {
		if err := s.Put(t.Context(), "objects/aa/x", body); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"objects", "~tmp"} {
			if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestLostBucketIsNoEmptyBucket: a bucket whose directory went away, or is the bare
// mount point of a disk, answers nothing as if it were empty, and is not made again.
func TestLostBucketIsNoEmptyBucket(t *testing.T) {
	for _, row := range []struct {
		name    string
		restart bool // open it again after the loss
		mount   bool // an empty directory is left in its place
	}{{"while open", false, false}, {"while open, mount point", false, true}, {"restart", true, false}, {"restart, mount point", true, true}} {
		t.Run(row.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "region")
			s := open(t, root)
			body := storetest.Body(storetest.Bytes(100))
			if err := s.Put(t.Context(), "objects/aa/x", body); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(root, root+".away"); err != nil {
				t.Fatal(err)
			}
			if row.mount {
				if err := os.Mkdir(root, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if row.restart {
				s = reopen(t, root)
			}
			lost(t, s, body)
			left, err := os.ReadDir(root)
			if len(left) > 0 || row.mount != (err == nil) {
				t.Errorf("the lost bucket's place holds %v, %v; want it left alone", left, err)
			}
			if err := errors.Join(os.RemoveAll(root), os.Rename(root+".away", root)); err != nil {
				t.Fatal(err)
			}
			if info, err := s.Head(t.Context(), "objects/aa/x"); err != nil || info.Size != 100 {
				t.Errorf("Head once it is back = %+v, %v", info, err)
			}
			if err := s.Put(t.Context(), "objects/aa/y", body); err != nil {
				t.Errorf("Put once it is back = %v", err)
			}
		})
	}
}

func reopen(t *testing.T, root string) *dir.Store {
	t.Helper()
	s, err := dir.New(dir.Config{Root: root})
	if err != nil {
		t.Fatalf("New of a bucket that is away = %v; want it opened", err)
	}
	return s
}

// lost asserts that every call says that the bucket is away.
func lost(t *testing.T, s *dir.Store, body storage.Body) {
	t.Helper()
	ctx := t.Context()
	_, get := s.Get(ctx, "objects/aa/x", 0, -1)
	_, head := s.Head(ctx, "objects/aa/x")
	calls := map[string]error{
		"put": s.Put(ctx, "objects/aa/x", body), "get": get, "head": head, "delete": s.Delete(ctx, "objects/aa/x"),
		"repair": s.Repair(ctx, "objects/aa/x", storage.Info{Version: "1"}, body),
	}
	for _, prefix := range []string{"", "objects/"} {
		for _, err := range s.List(ctx, prefix, "") {
			calls["list "+prefix] = err
		}
		if calls["list "+prefix] == nil {
			t.Errorf("List(%q) ended as if the bucket were empty", prefix)
		}
	}
	for call, err := range calls {
		if !errors.Is(err, storage.ErrAway) || errors.Is(err, storage.ErrNotExist) {
			t.Errorf("%s = %v; want ErrAway", call, err)
		}
	}
}

// TestLargeFolderIsListedInParts: more names than are held at a time.
func TestLargeFolderIsListedInParts(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	const n = 20_000
	for i := range n {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("%05d", i*7919%n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	i := 0
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%05d", i); info.Key != want {
			t.Fatalf("List yields %s; want %s", info.Key, want)
		}
		i++
	}
	if i != n {
		t.Errorf("List yields %d; want %d", i, n)
	}
}

func TestErrorsQuoteNoBadKey(t *testing.T) {
	s := open(t, t.TempDir())
	_, err := s.Head(t.Context(), "objects/Surname^Given")
	if err == nil || strings.Contains(err.Error(), "Surname") {
		t.Errorf("Head = %v; want an error that does not repeat the name", err)
	}
}
