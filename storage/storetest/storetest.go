// Package storetest is the suite every storage.Store passes, and the decorator
// that makes one fail on command.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"medvault/storage"
)

// Body wraps b as what Put takes.
func Body(b []byte) storage.Body {
	return storage.Body{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), SHA256: sha256.Sum256(b)}
}

// Bytes returns n random bytes.
func Bytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// Run holds the store that open returns, a fresh and empty one for each call, to
// the contract of storage.Store.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, storage.Store)
	}{
		{"what is put comes back", putGet},
		{"ranges", ranges},
		{"head tells size and version", head},
		{"list is in byte order", listOrder},
		{"list pages", listPages},
		{"delete removes everything", deleteAll},
		{"same bytes twice", sameTwice},
		{"other bytes are refused", otherRefused},
		{"wrong sum stores nothing", wrongSum},
		{"broken body stores nothing", brokenBody},
		{"absent", absent},
		{"bad keys", badKeys},
		{"one of many writers wins", oneWins},
		{"a cancelled reader fails", cancelled},
		{"repair replaces what was bad", repair},
		{"repair refuses what was not found bad", repairCondition},
		{"the store's own sum is the right one or none", ownSum},
		{"what is locked stays", locks},
		{"repair under a lock", repairLocked},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func putGet(t *testing.T, s storage.Store) {
	for _, n := range []int{0, 1, 64 << 10, 512<<10 + 7} {
		key, want := fmt.Sprintf("objects/0a/size-%d", n), Bytes(n)
		put(t, s, key, want)
		if got := read(t, s, key, 0, -1); !bytes.Equal(got, want) {
			t.Errorf("Get(%s) = %d other bytes; want %d", key, len(got), n)
		}
	}
}

func ranges(t *testing.T, s storage.Store) {
	want := Bytes(100_000)
	put(t, s, "objects/r", want)
	for _, r := range []struct{ offset, length, end int64 }{
		{0, 1, 1}, {0, 100_000, 100_000}, {99_999, 1, 100_000}, {50_000, -1, 100_000},
		{65_536, 20_000, 85_536}, {10, 0, 10}, {100_000, 0, 100_000}, {100_000, -1, 100_000},
	} {
		if got := read(t, s, "objects/r", r.offset, r.length); !bytes.Equal(got, want[r.offset:r.end]) {
			t.Errorf("Get(%d, %d) = %d bytes, not the right %d", r.offset, r.length, len(got), r.end-r.offset)
		}
	}
	for _, r := range [][2]int64{{0, 100_001}, {99_999, 2}, {100_001, -1}, {100_001, 0}, {-1, 5}, {1 << 40, 1}} {
		body, err := s.Get(t.Context(), "objects/r", r[0], r[1])
		if err == nil {
			body.Close()
		}
		if !errors.Is(err, storage.ErrRange) {
			t.Errorf("Get(%d, %d) of 100000 bytes = %v; want ErrRange", r[0], r[1], err)
		}
	}
}

func head(t *testing.T, s storage.Store) {
	want := Bytes(12_345)
	put(t, s, "objects/h", want)
	info, err := s.Head(t.Context(), "objects/h")
	if err != nil {
		t.Fatalf("Head = %v", err)
	}
	if info.Key != "objects/h" || info.Size != 12_345 || info.Version == "" {
		t.Errorf("Head = %+v; want the key, 12345 bytes and a version", info)
	}
	if sum := sha256.Sum256(want); info.SHA256 != sum && info.SHA256 != [32]byte{} {
		t.Errorf("Head = sha256 %x; want %x or none", info.SHA256, sum)
	}
}

func listOrder(t *testing.T, s storage.Store) {
	sizes := map[string]int64{}
	keys := []string{"a-b/z", "a.b", "a/b", "a/b.c/d", "a/b0", "a/c/1", "a/c/10", "a/c/2", "a0", "b/x", "b_/x", "b0"}
	for i, key := range keys {
		put(t, s, key, Bytes(i))
		sizes[key] = int64(i)
	}
	slices.Sort(keys)
	for _, c := range []struct{ prefix, after string }{
		{"", ""}, {"a", ""}, {"a/", ""}, {"a/c", ""}, {"a/c/1", ""}, {"b", ""}, {"none/", ""}, {"a/b.", ""},
		{"", "a/b"}, {"", "a/b.c/d"}, {"", "a/c/"}, {"a/", "a/c/10"}, {"a/", "a.b"}, {"a/", "b"}, {"", "zzz"}, {"", "a/b.c/"},
	} {
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, c.prefix) && key > c.after {
				want = append(want, key)
			}
		}
		if got := list(t, s, c.prefix, c.after); !slices.Equal(got, want) {
			t.Errorf("List(%q, %q) = %v; want %v", c.prefix, c.after, got, want)
		}
	}
	for info, err := range s.List(t.Context(), "b", "") {
		if err != nil || info.Size != sizes[info.Key] {
			t.Errorf("List(b) = %+v, %v; want the size that was put", info, err)
		}
		break // the caller may stop early
	}
}

func listPages(t *testing.T, s storage.Store) {
	const n = 1203 // more than the thousand an S3 page holds
	var want []string
	work := make(chan string)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for key := range work {
				if err := s.Put(t.Context(), key, Body([]byte(key))); err != nil {
					t.Errorf("Put(%s) = %v", key, err)
				}
			}
		})
	}
	for i := range n {
		key := fmt.Sprintf("records/%02x/%04d", i%3, i)
		want = append(want, key)
		work <- key
	}
	close(work)
	wg.Wait()
	slices.Sort(want)
	if got := list(t, s, "", ""); !slices.Equal(got, want) {
		t.Errorf("List = %d keys; want %d in order", len(got), len(want))
	}
	if got := list(t, s, "records/", want[500]); !slices.Equal(got, want[501:]) {
		t.Errorf("List after the 501st = %d keys; want %d", len(got), len(want)-501)
	}
}

func deleteAll(t *testing.T, s storage.Store) {
	ctx := t.Context()
	put(t, s, "objects/d", Bytes(100))
	put(t, s, "objects/d.1", Bytes(100))
	damage, err := s.Head(ctx, "objects/d")
	if err != nil {
		t.Fatalf("Head = %v", err)
	}
	if err := s.Repair(ctx, "objects/d", damage, Body(Bytes(50))); err != nil {
		t.Fatalf("Repair = %v", err)
	}
	if err := s.Delete(ctx, "objects/d"); err != nil {
		t.Fatalf("Delete = %v", err)
	}
	if _, err := s.Get(ctx, "objects/d", 0, -1); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Get after Delete = %v; want ErrNotExist", err)
	}
	if got := list(t, s, "", ""); !slices.Equal(got, []string{"objects/d.1"}) {
		t.Errorf("List after Delete = %v; want the other object alone, no quarantine", got)
	}
	if err := s.Delete(ctx, "objects/d"); err != nil {
		t.Errorf("Delete of the absent = %v; want nil", err)
	}
	again := Bytes(70)
	put(t, s, "objects/d", again)
	if got := read(t, s, "objects/d", 0, -1); !bytes.Equal(got, again) {
		t.Errorf("Get after a second Put gives other bytes")
	}
}

func sameTwice(t *testing.T, s storage.Store) {
	b := Bytes(3000)
	put(t, s, "objects/same", b)
	put(t, s, "objects/same", b)
	if got := read(t, s, "objects/same", 0, -1); !bytes.Equal(got, b) {
		t.Error("Get gives other bytes")
	}
}

func otherRefused(t *testing.T, s storage.Store) {
	b := Bytes(3000)
	put(t, s, "objects/other", b)
	for _, other := range [][]byte{Bytes(3000), Bytes(10), {}, b[:2999]} {
		if err := s.Put(t.Context(), "objects/other", Body(other)); !errors.Is(err, storage.ErrExist) {
			t.Errorf("Put of %d other bytes = %v; want ErrExist", len(other), err)
		}
	}
	if got := read(t, s, "objects/other", 0, -1); !bytes.Equal(got, b) {
		t.Error("the first bytes did not stay")
	}
}

func wrongSum(t *testing.T, s storage.Store) {
	body := Body(Bytes(3000))
	body.SHA256[7] ^= 1
	if err := s.Put(t.Context(), "objects/wrong", body); err == nil {
		t.Error("Put with a wrong sha256 succeeded")
	}
	nothing(t, s)
}

func brokenBody(t *testing.T, s storage.Store) {
	b := Bytes(301_000)
	short := Body(b)
	short.ReaderAt = bytes.NewReader(b[:300_000])
	if err := s.Put(t.Context(), "objects/short", short); err == nil {
		t.Error("Put of a body shorter than announced succeeded")
	}
	nothing(t, s)
}

func absent(t *testing.T, s storage.Store) {
	ctx := t.Context()
	put(t, s, "objects/aa/x", Bytes(1))
	for _, key := range []string{"none", "objects/none", "objects/aa/none", "objects/aa", "none/none"} {
		if _, err := s.Get(ctx, key, 0, -1); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("Get(%s) = %v; want ErrNotExist", key, err)
		}
		if _, err := s.Get(ctx, key, 5, 5); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("Get(%s, 5, 5) = %v; want ErrNotExist", key, err)
		}
		if _, err := s.Head(ctx, key); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("Head(%s) = %v; want ErrNotExist", key, err)
		}
		if err := s.Delete(ctx, key); err != nil {
			t.Errorf("Delete(%s) = %v; want nil", key, err)
		}
		if err := s.Repair(ctx, key, storage.Info{Version: "1"}, Body(Bytes(5))); !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("Repair(%s) = %v; want ErrNotExist", key, err)
		}
	}
}

func badKeys(t *testing.T, s storage.Store) {
	ctx := t.Context()
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a/./b", "A", "a b", "a\x00", "ä",
		"a\\b", "~tmp/a", "a?b", "a%2fb", "a+b", "a:b", strings.Repeat("a", 201), strings.Repeat("a/", 500) + "a",
	} {
		if err := s.Put(ctx, key, Body(Bytes(1))); !errors.Is(err, storage.ErrKey) {
			t.Errorf("Put(%.20q) = %v; want ErrKey", key, err)
		}
		if _, err := s.Get(ctx, key, 0, -1); !errors.Is(err, storage.ErrKey) {
			t.Errorf("Get(%.20q) = %v; want ErrKey", key, err)
		}
		if _, err := s.Head(ctx, key); !errors.Is(err, storage.ErrKey) {
			t.Errorf("Head(%.20q) = %v; want ErrKey", key, err)
		}
		if err := s.Delete(ctx, key); !errors.Is(err, storage.ErrKey) {
			t.Errorf("Delete(%.20q) = %v; want ErrKey", key, err)
		}
		if err := s.Repair(ctx, key, storage.Info{Version: "1"}, Body(Bytes(1))); !errors.Is(err, storage.ErrKey) {
			t.Errorf("Repair(%.20q) = %v; want ErrKey", key, err)
		}
	}
	for _, prefix := range []string{"../", "/", "a//", "A", "a/../"} {
		for _, err := range s.List(ctx, prefix, "") {
			if !errors.Is(err, storage.ErrKey) {
				t.Errorf("List(%q) = %v; want ErrKey", prefix, err)
			}
		}
	}
	nothing(t, s)
}

func oneWins(t *testing.T, s storage.Store) {
	const writers = 12
	var (
		bodies [writers][]byte
		errs   [writers]error
		wg     sync.WaitGroup
	)
	for i := range writers {
		bodies[i] = Bytes(40_000)
		wg.Go(func() { errs[i] = s.Put(t.Context(), "objects/race", Body(bodies[i])) })
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won < 0:
			won = i
		case err == nil:
			t.Errorf("writers %d and %d both won", won, i)
		case !errors.Is(err, storage.ErrExist):
			t.Errorf("writer %d = %v; want ErrExist", i, err)
		}
	}
	if won < 0 {
		t.Fatal("no writer won")
	}
	if got := read(t, s, "objects/race", 0, -1); !bytes.Equal(got, bodies[won]) {
		t.Error("the bytes are not the winner's")
	}
}

func cancelled(t *testing.T, s storage.Store) {
	put(t, s, "objects/c", Bytes(1<<20))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Get(ctx, "objects/c", 0, -1)
	if err != nil {
		t.Fatalf("Get = %v", err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatalf("Read = %v", err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("Read after cancel = %v; want context.Canceled", err)
	}
	if err := s.Put(ctx, "objects/c2", Body(Bytes(10))); !errors.Is(err, context.Canceled) {
		t.Errorf("Put after cancel = %v; want context.Canceled", err)
	}
	listed := false
	for _, err := range s.List(ctx, "", "") {
		listed = true
		if !errors.Is(err, context.Canceled) {
			t.Errorf("List after cancel = %v; want context.Canceled", err)
		}
	}
	if !listed {
		t.Error("List after cancel ended as if the store were empty")
	}
}

func repair(t *testing.T, s storage.Store) {
	ctx := t.Context()
	bad, good := Bytes(5000), Bytes(5003)
	for _, c := range []struct {
		name string
		find func(storage.Info) storage.Info
	}{
		{"version", func(i storage.Info) storage.Info { return storage.Info{Version: i.Version} }},
		{"sum", func(storage.Info) storage.Info { return storage.Info{SHA256: sha256.Sum256(bad)} }},
	} {
		key := "objects/repair-" + c.name
		put(t, s, key, bad)
		info, err := s.Head(ctx, key)
		if err != nil {
			t.Fatalf("Head = %v", err)
		}
		if err := s.Repair(ctx, key, c.find(info), Body(good)); err != nil {
			t.Fatalf("Repair by %s = %v", c.name, err)
		}
		if got := read(t, s, key, 0, -1); !bytes.Equal(got, good) {
			t.Errorf("Get after Repair by %s gives other bytes", c.name)
		}
		if err := s.Repair(ctx, key, c.find(info), Body(good)); err != nil {
			t.Errorf("the same Repair again = %v; want nil", err)
		}
		if got := kept(t, s, key); got != nil && !bytes.Equal(got, bad) {
			t.Errorf("quarantine holds other bytes than were bad")
		}
	}
}

// kept returns what lies in quarantine of key; nil in a store with versions.
func kept(t *testing.T, s storage.Store, key string) []byte {
	for _, name := range list(t, s, storage.QuarantinePrefix(key), "") {
		if storage.IsQuarantineOf(key, name) {
			return read(t, s, name, 0, -1)
		}
	}
	return nil
}

func repairCondition(t *testing.T, s storage.Store) {
	ctx := t.Context()
	there := Bytes(5000)
	put(t, s, "objects/rc", there)
	for name, found := range map[string]storage.Info{
		"another version": {Version: "0-0-0"},
		"another sum":     {SHA256: sha256.Sum256([]byte("another"))},
		"nothing":         {},
	} {
		if err := s.Repair(ctx, "objects/rc", found, Body(Bytes(10))); err == nil {
			t.Errorf("Repair of %s succeeded", name)
		} else if name != "nothing" && !errors.Is(err, storage.ErrExist) {
			t.Errorf("Repair of %s = %v; want ErrExist", name, err)
		}
	}
	wrong := Body(Bytes(10))
	wrong.SHA256[0] ^= 1
	info, err := s.Head(ctx, "objects/rc")
	if err != nil {
		t.Fatalf("Head = %v", err)
	}
	if err := s.Repair(ctx, "objects/rc", info, wrong); err == nil {
		t.Error("Repair with a wrong sha256 succeeded")
	}
	if got := read(t, s, "objects/rc", 0, -1); !bytes.Equal(got, there) {
		t.Error("a refused repair changed what lies there")
	}
}

func ownSum(t *testing.T, s storage.Store) {
	can, err := storage.Probe(t.Context(), s)
	if err != nil {
		t.Fatalf("Probe = %v", err)
	}
	b := Bytes(5000)
	put(t, s, "objects/own", b)
	sum, ok, err := storage.OwnSum(t.Context(), s, "objects/own")
	if err != nil || ok != can.StoredSHA256 || ok && sum != sha256.Sum256(b) {
		t.Errorf("OwnSum = %x, %v, %v; want the right one if the store can tell (%v)", sum, ok, err, can.StoredSHA256)
	}
	if _, ok, err := storage.OwnSum(t.Context(), s, "objects/none"); ok || can.StoredSHA256 && !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("OwnSum of the absent = %v, %v; want ErrNotExist", ok, err)
	}
}

// lockable tells whether the store can lock, or holds it to refusing.
func lockable(t *testing.T, s storage.Store, key string) bool {
	t.Helper()
	can, err := storage.Probe(t.Context(), s)
	if err != nil {
		t.Fatalf("Probe = %v", err)
	}
	if !can.ObjectLock {
		if err := storage.Lock(t.Context(), s, key, time.Now().Add(time.Minute), storage.Governance); !errors.Is(err, storage.ErrNoLock) {
			t.Errorf("Lock = %v; want ErrNoLock from a store without locks", err)
		}
	}
	return can.ObjectLock
}

// locks wants a store that may lock for an hour.
func locks(t *testing.T, s storage.Store) {
	ctx, b := t.Context(), Bytes(1000)
	put(t, s, "objects/l", b)
	if info, err := s.Head(ctx, "objects/l"); err != nil || !info.LockedUntil.IsZero() || info.LockMode != "" {
		t.Errorf("Head = %+v, %v; want no lock that nobody set", info, err)
	}
	if !lockable(t, s, "objects/l") {
		return
	}
	soon := time.Now().Add(4 * time.Second)
	lock(t, s, "objects/l", soon, storage.Governance)
	lock(t, s, "objects/l", soon.Add(-2*time.Second), storage.Governance) // no shorter
	info, err := s.Head(ctx, "objects/l")
	if err != nil || info.LockedUntil.Before(soon) || info.LockedUntil.After(soon.Add(time.Second)) || info.LockMode != storage.Governance {
		t.Fatalf("Head = %+v, %v; want it locked until %v", info, err, soon)
	}
	var locked *storage.LockedError
	if err := s.Delete(ctx, "objects/l"); !errors.Is(err, storage.ErrLocked) || !errors.As(err, &locked) || !locked.Until.Equal(info.LockedUntil) || locked.Versions != 1 {
		t.Errorf("Delete = %v; want a LockedError of one version until %v", err, info.LockedUntil)
	}
	if got := read(t, s, "objects/l", 0, -1); !bytes.Equal(got, b) {
		t.Error("what is locked did not stay")
	}
	put(t, s, "objects/some", b)
	older, err := s.Head(ctx, "objects/some")
	if err != nil {
		t.Fatalf("Head = %v", err)
	}
	if err := s.Repair(ctx, "objects/some", older, Body(Bytes(900))); err != nil {
		t.Fatalf("Repair = %v", err)
	}
	lock(t, s, "objects/some", soon, storage.Governance)
	for range 2 {
		if err := s.Delete(ctx, "objects/some"); !errors.As(err, &locked) || locked.Versions != 1 {
			t.Errorf("Delete = %v; want that the older version, which is not locked, goes", err)
		}
	}
	put(t, s, "objects/strict", b)
	lock(t, s, "objects/strict", soon, storage.Compliance)
	lock(t, s, "objects/strict", soon, storage.Governance) // which compliance includes
	if err := storage.Lock(ctx, s, "objects/strict", soon.Add(time.Minute), storage.Governance); !errors.Is(err, storage.ErrNoLock) {
		t.Errorf("Lock of what is locked more strictly = %v; want ErrNoLock", err)
	}
	for name, err := range map[string]error{
		"too long":     storage.Lock(ctx, s, "objects/l", time.Now().Add(2*time.Hour), storage.Governance),
		"past":         storage.Lock(ctx, s, "objects/l", time.Now().Add(-time.Hour), storage.Governance),
		"unknown mode": storage.Lock(ctx, s, "objects/l", time.Now().Add(time.Minute), "forever"),
	} {
		if !errors.Is(err, storage.ErrNoLock) {
			t.Errorf("Lock, %s = %v; want ErrNoLock", name, err)
		}
	}
	if err := storage.Lock(ctx, s, "objects/none", soon, storage.Governance); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Lock of the absent = %v; want ErrNotExist", err)
	}
	time.Sleep(time.Until(soon.Add(1500 * time.Millisecond)))
	for _, key := range []string{"objects/l", "objects/some", "objects/strict"} {
		if err := s.Delete(ctx, key); err != nil {
			t.Errorf("Delete(%s) when the lock is over = %v; want nil", key, err)
		}
	}
	nothing(t, s)
}

func repairLocked(t *testing.T, s storage.Store) {
	ctx := t.Context()
	put(t, s, "objects/rl", Bytes(1000))
	if !lockable(t, s, "objects/rl") {
		return
	}
	until := time.Now().Add(time.Minute)
	lock(t, s, "objects/rl", until, storage.Governance)
	bad, err := s.Head(ctx, "objects/rl")
	if err != nil {
		t.Fatalf("Head = %v", err)
	}
	good := Bytes(900)
	if err := s.Repair(ctx, "objects/rl", bad, Body(good)); err != nil {
		t.Fatalf("Repair = %v", err)
	}
	if got := read(t, s, "objects/rl", 0, -1); !bytes.Equal(got, good) {
		t.Error("Get after Repair gives other bytes")
	}
	if now, err := s.Head(ctx, "objects/rl"); err != nil || now.Version == bad.Version || !now.LockedUntil.Equal(bad.LockedUntil) || now.LockMode != bad.LockMode {
		t.Errorf("Head = %+v, %v; want a new version that is locked as %+v", now, err, bad)
	}
	var locked *storage.LockedError
	if err := s.Delete(ctx, "objects/rl"); !errors.As(err, &locked) || locked.Versions != 2 {
		t.Errorf("Delete = %v; want both versions locked", err)
	}
}

func lock(t *testing.T, s storage.Store, key string, until time.Time, mode storage.LockMode) {
	t.Helper()
	if err := storage.Lock(t.Context(), s, key, until, mode); err != nil {
		t.Fatalf("Lock(%s) = %v", key, err)
	}
}

func nothing(t *testing.T, s storage.Store) {
	t.Helper()
	if got := list(t, s, "", ""); len(got) > 0 {
		t.Errorf("List = %v; want nothing stored", got)
	}
}

func put(t *testing.T, s storage.Store, key string, b []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, Body(b)); err != nil {
		t.Fatalf("Put(%s) = %v", key, err)
	}
}

func read(t *testing.T, s storage.Store, key string, offset, length int64) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), key, offset, length)
	if err != nil {
		t.Fatalf("Get(%s, %d, %d) = %v", key, offset, length, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("Get(%s, %d, %d): read = %v", key, offset, length, err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Get(%s, %d, %d): close = %v", key, offset, length, err)
	}
	return b
}

func list(t *testing.T, s storage.Store, prefix, after string) (keys []string) {
	t.Helper()
	for info, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("List(%q, %q) = %v", prefix, after, err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}
