// Package keystest is the suite that every keys.Wrapper passes.
package keystest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"medvault/keys"
)

// Run checks the contract of keys.Wrapper. open returns a fresh service with at
// least four shards and every shard at its first version; it cleans up with
// t.Cleanup. The service must be allowed to rotate and trim.
func Run(t *testing.T, open func(t *testing.T) keys.Wrapper) {
	tests := []struct {
		name string
		run  func(t *testing.T, w keys.Wrapper)
	}{
		{"RoundTrip", roundTrip},
		{"BatchKeepsOrder", batchKeepsOrder},
		{"EmptyBatch", emptyBatch},
		{"WrapsDiffer", wrapsDiffer},
		{"OtherBindingIsRefused", otherBindingIsRefused},
		{"DamagedWrapIsRefused", damagedWrapIsRefused},
		{"BadItemIsNamedByPosition", badItemIsNamedByPosition},
		{"NoSuchShard", noSuchShard},
		{"RotateAndRewrap", rotateAndRewrap},
		{"TrimKillsOldWraps", trimKillsOldWraps},
		{"TrimTouchesOneShard", trimTouchesOneShard},
		{"ConcurrentUse", concurrentUse},
		{"Health", health},
		{"CancelledContext", cancelledContext},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// bound makes the nth item of a kind, with a key of its own.
func bound(kind keys.Kind, n int) keys.Bound {
	token := "house"
	if kind != keys.House {
		const digits = "abcdefghijklmnopqrstuvwxyz234567"
		token = fmt.Sprintf("p%c%c%s", digits[n*5%32], digits[n%32], strings.Repeat("a", 24))
	}
	return keys.Bound{Binding: keys.Binding{Kind: kind, Token: token, Generation: uint32(n)}, DEK: keys.NewDEK()}
}

func mustWrap(t *testing.T, w keys.Wrapper, items ...keys.Bound) []keys.Bound {
	t.Helper()
	wraps, err := w.Wrap(t.Context(), items)
	if err != nil {
		t.Fatalf("Wrap = %v", err)
	}
	if len(wraps) != len(items) {
		t.Fatalf("Wrap of %d items gave %d wraps", len(items), len(wraps))
	}
	sealed := make([]keys.Bound, len(items))
	for i, item := range items {
		sealed[i] = keys.Bound{Binding: item.Binding, Wrap: wraps[i]} // no DEK: the service must find it
	}
	return sealed
}

// opens checks that items unwrap to the keys of want.
func opens(t *testing.T, w keys.Wrapper, items, want []keys.Bound) {
	t.Helper()
	deks, err := w.Unwrap(t.Context(), items)
	if err != nil {
		t.Fatalf("Unwrap = %v", err)
	}
	if len(deks) != len(items) {
		t.Fatalf("Unwrap of %d items gave %d keys", len(items), len(deks))
	}
	for i, dek := range deks {
		if !bytes.Equal(dek.Bytes(), want[i].DEK.Bytes()) {
			t.Errorf("item %d unwraps to another key", i)
		}
	}
}

// refuses checks that neither Unwrap nor Rewrap takes item.
func refuses(t *testing.T, w keys.Wrapper, what string, item keys.Bound, want error) {
	t.Helper()
	if _, err := w.Unwrap(t.Context(), []keys.Bound{item}); !errors.Is(err, want) {
		t.Errorf("%s: Unwrap = %v; want %v", what, err, want)
	}
	if _, err := w.Rewrap(t.Context(), []keys.Bound{item}); !errors.Is(err, want) {
		t.Errorf("%s: Rewrap = %v; want %v", what, err, want)
	}
}

func roundTrip(t *testing.T, w keys.Wrapper) {
	if w.Name() == "" {
		t.Error("Name is empty")
	}
	for _, kind := range []keys.Kind{keys.Content, keys.Identity, keys.House} {
		item := bound(kind, 1)
		sealed := mustWrap(t, w, item)
		got := sealed[0].Wrap
		if got.Shard != w.Shard(item.Binding) || got.Version != 1 || got.Blob == "" {
			t.Errorf("%s: wrap = %+v; want shard %s, version 1", kind, got, w.Shard(item.Binding))
		}
		if strings.Contains(got.Blob, string(item.DEK.Bytes())) {
			t.Errorf("%s: the wrap shows the key", kind)
		}
		opens(t, w, sealed, []keys.Bound{item})
	}
}

func batchKeepsOrder(t *testing.T, w keys.Wrapper) {
	var items []keys.Bound
	for n := range 60 {
		items = append(items, bound([]keys.Kind{keys.Content, keys.Identity, keys.House}[n%3], n))
	}
	sealed := mustWrap(t, w, items...)
	shards := map[string]bool{}
	for _, item := range sealed {
		shards[item.Wrap.Shard] = true
	}
	if len(shards) < 4 {
		t.Fatalf("the batch lies in %d shards; the test needs several", len(shards))
	}
	opens(t, w, sealed, items)
	moved, err := w.Rewrap(t.Context(), sealed)
	if err != nil || len(moved) != len(items) {
		t.Fatalf("Rewrap = %d wraps, %v", len(moved), err)
	}
	for i := range sealed {
		sealed[i].Wrap = moved[i]
	}
	opens(t, w, sealed, items)
}

func emptyBatch(t *testing.T, w keys.Wrapper) {
	if got, err := w.Wrap(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("Wrap of nothing = %v, %v", got, err)
	}
	if got, err := w.Unwrap(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("Unwrap of nothing = %v, %v", got, err)
	}
	if got, err := w.Rewrap(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("Rewrap of nothing = %v, %v", got, err)
	}
}

func wrapsDiffer(t *testing.T, w keys.Wrapper) {
	item := bound(keys.Content, 1)
	sealed := mustWrap(t, w, item, item)
	if sealed[0].Wrap.Blob == sealed[1].Wrap.Blob {
		t.Error("two wraps of one key are equal")
	}
}

func otherBindingIsRefused(t *testing.T, w keys.Wrapper) {
	sealed := mustWrap(t, w, bound(keys.Content, 1))[0]

	other := sealed
	other.Token = bound(keys.Content, 2).Token
	refuses(t, w, "another patient", other, keys.ErrRefused)

	other = sealed
	other.Generation++
	refuses(t, w, "another generation", other, keys.ErrRefused)

	other = sealed
	other.Kind = keys.Identity
	refuses(t, w, "another kind", other, keys.ErrRefused)
}

func damagedWrapIsRefused(t *testing.T, w keys.Wrapper) {
	good := mustWrap(t, w, bound(keys.Content, 1))[0]

	bad := good
	bad.Wrap.Blob = good.Wrap.Blob[:len(good.Wrap.Blob)-8] + "AAAAAAA="
	refuses(t, w, "changed ciphertext", bad, keys.ErrRefused)

	for _, blob := range []string{"", "x", good.Wrap.Blob[:len(good.Wrap.Blob)/2], strings.Replace(good.Wrap.Blob, "v1", "v99", 1)} {
		bad.Wrap.Blob = blob
		refuses(t, w, fmt.Sprintf("blob of %d bytes", len(blob)), bad, keys.ErrRefused)
	}

	bad = good
	bad.Wrap.Version = 2 // a wrap must not pass for a newer one
	refuses(t, w, "another version than the ciphertext's", bad, keys.ErrRefused)

	if _, err := w.Wrap(t.Context(), []keys.Bound{{Binding: good.Binding}}); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("Wrap of the zero key = %v; want ErrRefused", err)
	}
}

func badItemIsNamedByPosition(t *testing.T, w keys.Wrapper) {
	var items []keys.Bound
	for n := range 9 {
		items = append(items, bound(keys.Content, n))
	}
	sealed := mustWrap(t, w, items...)
	sealed[7].Generation += 100
	for what, do := range map[string]func() error{
		"Unwrap": func() error { _, err := w.Unwrap(t.Context(), sealed); return err },
		"Rewrap": func() error { _, err := w.Rewrap(t.Context(), sealed); return err },
	} {
		err := do()
		if !errors.Is(err, keys.ErrRefused) || !strings.Contains(err.Error(), "item 7") {
			t.Errorf("%s with a bad item 7 = %v; want ErrRefused naming it", what, err)
		}
		if err != nil && strings.Contains(err.Error(), sealed[7].Wrap.Blob) {
			t.Errorf("%s shows the wrap in its error", what)
		}
	}
}

func noSuchShard(t *testing.T, w keys.Wrapper) {
	sealed := mustWrap(t, w, bound(keys.Content, 1))[0]
	for _, shard := range []string{"", "zz", "../content-00", "00/../01", "house"} {
		bad := sealed
		bad.Wrap.Shard = shard
		refuses(t, w, fmt.Sprintf("shard %q", shard), bad, keys.ErrNoKey)
		if _, _, err := w.Version(t.Context(), keys.Content, shard); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("Version(%q) = %v; want ErrNoKey", shard, err)
		}
		if _, err := w.Rotate(t.Context(), keys.Content, shard); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("Rotate(%q) = %v; want ErrNoKey", shard, err)
		}
		if err := w.Trim(t.Context(), keys.Content, shard, 1); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("Trim(%q) = %v; want ErrNoKey", shard, err)
		}
	}
	bad := sealed
	bad.Kind = "other"
	refuses(t, w, "an unknown kind", bad, keys.ErrNoKey)
	if _, err := w.Wrap(t.Context(), []keys.Bound{{Binding: bad.Binding, DEK: keys.NewDEK()}}); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("Wrap of an unknown kind = %v; want ErrNoKey", err)
	}
	if _, _, err := w.Version(t.Context(), keys.Content, "ff"); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("Version of a shard beyond those configured = %v; want ErrNoKey", err)
	}
}

func versions(t *testing.T, w keys.Wrapper, b keys.Binding, wantCurrent, wantOldest int) {
	t.Helper()
	current, oldest, err := w.Version(t.Context(), b.Kind, w.Shard(b))
	if err != nil || current != wantCurrent || oldest != wantOldest {
		t.Errorf("Version = %d, %d, %v; want %d, %d", current, oldest, err, wantCurrent, wantOldest)
	}
}

func rotate(t *testing.T, w keys.Wrapper, b keys.Binding, want int) {
	t.Helper()
	if got, err := w.Rotate(t.Context(), b.Kind, w.Shard(b)); err != nil || got != want {
		t.Fatalf("Rotate = %d, %v; want %d", got, err, want)
	}
}

func rotateAndRewrap(t *testing.T, w keys.Wrapper) {
	for _, kind := range []keys.Kind{keys.Content, keys.Identity, keys.House} {
		item := bound(kind, 1)
		old := mustWrap(t, w, item)
		versions(t, w, item.Binding, 1, 1)
		rotate(t, w, item.Binding, 2)
		versions(t, w, item.Binding, 2, 1)
		opens(t, w, old, []keys.Bound{item})

		moved, err := w.Rewrap(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		if moved[0].Version != 2 || moved[0].Shard != old[0].Wrap.Shard {
			t.Errorf("%s: rewrapped to %s version %d; want %s version 2", kind, moved[0].Shard, moved[0].Version, old[0].Wrap.Shard)
		}
		opens(t, w, []keys.Bound{{Binding: item.Binding, Wrap: moved[0]}}, []keys.Bound{item})
		if fresh := mustWrap(t, w, item)[0].Wrap.Version; fresh != 2 {
			t.Errorf("%s: wrapped under version %d; want 2", kind, fresh)
		}
	}
}

func trimKillsOldWraps(t *testing.T, w keys.Wrapper) {
	item := bound(keys.Content, 1)
	shard := w.Shard(item.Binding)
	old := mustWrap(t, w, item)
	rotate(t, w, item.Binding, 2)
	moved, err := w.Rewrap(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Trim(t.Context(), keys.Content, shard, 3); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("Trim beyond the current version = %v; want ErrRefused", err)
	}
	opens(t, w, old, []keys.Bound{item})

	if err := w.Trim(t.Context(), keys.Content, shard, 2); err != nil {
		t.Fatalf("Trim = %v", err)
	}
	versions(t, w, item.Binding, 2, 2)
	refuses(t, w, "a trimmed version", old[0], keys.ErrRefused)
	opens(t, w, []keys.Bound{{Binding: item.Binding, Wrap: moved[0]}}, []keys.Bound{item})

	for _, again := range []int{2, 1} { // done already, or further back
		if err := w.Trim(t.Context(), keys.Content, shard, again); err != nil {
			t.Errorf("Trim to %d again = %v", again, err)
		}
	}
	versions(t, w, item.Binding, 2, 2)
	refuses(t, w, "a trimmed version", old[0], keys.ErrRefused)
	rotate(t, w, item.Binding, 3)
	opens(t, w, mustWrap(t, w, item), []keys.Bound{item})
}

func trimTouchesOneShard(t *testing.T, w keys.Wrapper) {
	content, identity := bound(keys.Content, 1), bound(keys.Identity, 1)
	sealed := mustWrap(t, w, identity)
	rotate(t, w, content.Binding, 2)
	if err := w.Trim(t.Context(), keys.Content, w.Shard(content.Binding), 2); err != nil {
		t.Fatal(err)
	}
	versions(t, w, identity.Binding, 1, 1)
	opens(t, w, sealed, []keys.Bound{identity})
}

func concurrentUse(t *testing.T, w keys.Wrapper) {
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 5 {
				item := bound(keys.Content, n)
				wraps, err := w.Wrap(t.Context(), []keys.Bound{item})
				if err != nil {
					t.Errorf("Wrap = %v", err)
					return
				}
				if n == 0 {
					if _, err := w.Rotate(t.Context(), keys.Content, wraps[0].Shard); err != nil {
						t.Errorf("Rotate = %v", err)
					}
				}
				deks, err := w.Unwrap(t.Context(), []keys.Bound{{Binding: item.Binding, Wrap: wraps[0]}})
				if err != nil || !bytes.Equal(deks[0].Bytes(), item.DEK.Bytes()) {
					t.Errorf("Unwrap = %v, or another key", err)
				}
			}
		})
	}
	wg.Wait()
}

func health(t *testing.T, w keys.Wrapper) {
	if err := w.Health(t.Context()); err != nil {
		t.Errorf("Health = %v", err)
	}
}

func cancelledContext(t *testing.T, w keys.Wrapper) {
	item := bound(keys.Content, 1)
	sealed := mustWrap(t, w, item)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	shard := w.Shard(item.Binding)
	for what, do := range map[string]func() error{
		"Wrap":    func() error { _, err := w.Wrap(ctx, []keys.Bound{item}); return err },
		"Unwrap":  func() error { _, err := w.Unwrap(ctx, sealed); return err },
		"Rewrap":  func() error { _, err := w.Rewrap(ctx, sealed); return err },
		"Rotate":  func() error { _, err := w.Rotate(ctx, keys.Content, shard); return err },
		"Version": func() error { _, _, err := w.Version(ctx, keys.Content, shard); return err },
		"Trim":    func() error { return w.Trim(ctx, keys.Content, shard, 1) },
		"Health":  func() error { return w.Health(ctx) },
	} {
		if err := do(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context = %v; want context.Canceled", what, err)
		}
	}
	versions(t, w, item.Binding, 1, 1)
}
