package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/storage"
	"medvault/storage/s3"
	"medvault/storage/storetest"
)

// poor is a service that ignores conditions and checksums, as some do.
type poor struct {
	objects  map[string][]byte
	mangle   bool              // what is put is stored with a bit flipped
	shuffled bool              // listings run backwards
	sticky   bool              // deleted versions stay
	parts    map[string][]byte // of uploads; nil is none can be begun
}

func (p *poor) Put(_ context.Context, key string, body storage.Body, _ s3.Condition) (string, error) {
	b, err := io.ReadAll(body.Reader())
	if err != nil {
		return "", err
	}
	if p.mangle {
		b[0] ^= 1
	}
	p.objects[key] = b
	return "", nil
}

func (p *poor) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, int64, int64, error) {
	b, ok := p.objects[key]
	if !ok {
		return nil, 0, 0, storage.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(b)), 0, int64(len(b)), nil // ignores ranges, too
}

func (p *poor) Head(_ context.Context, key, _ string) (s3.Object, error) {
	b, ok := p.objects[key]
	if !ok {
		return s3.Object{}, storage.ErrNotExist
	}
	return s3.Object{Size: int64(len(b)), ETag: fmt.Sprintf("%x", storetest.Body(b).SHA256)}, nil
}

func (p *poor) List(_ context.Context, prefix, _ string, _ bool) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		keys := slices.Sorted(maps.Keys(p.objects))
		if p.shuffled {
			slices.Reverse(keys)
		}
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) && !yield(storage.Info{Key: key, Size: int64(len(p.objects[key]))}, nil) {
				return
			}
		}
	}
}

func (p *poor) Versions(_ context.Context, key string) ([]string, error) {
	if _, ok := p.objects[key]; ok {
		return []string{"1"}, nil
	}
	return nil, nil
}

func (p *poor) Delete(_ context.Context, key, _ string) error {
	if !p.sticky || strings.HasPrefix(key, "probe/") {
		delete(p.objects, key)
	}
	return nil
}

func (p *poor) Copy(_ context.Context, from, to string) error {
	p.objects[to] = p.objects[from]
	return nil
}

func (p *poor) Versioning(context.Context) (string, error) {
	if p.sticky {
		return "Suspended", nil
	}
	return "", nil
}

func (p *poor) Locks(context.Context) (can, byDefault bool, err error) { return false, false, nil }

func (p *poor) Retain(context.Context, string, string, time.Time, storage.LockMode) error {
	return s3.ErrUnsupported
}

func (p *poor) Retention(context.Context, string, string) (time.Time, error) {
	return time.Time{}, s3.ErrUnsupported
}

func (p *poor) Begin(_ context.Context, key string, _ [32]byte) (string, error) {
	if p.parts == nil {
		return "", s3.ErrUnsupported
	}
	p.parts[key] = nil
	return key, nil
}

func (p *poor) PutPart(_ context.Context, _, upload string, _ int, part storage.Body) (string, error) {
	b, err := io.ReadAll(part.Reader())
	p.parts[upload] = append(p.parts[upload], b...)
	return "etag", err
}

func (p *poor) Complete(ctx context.Context, key, upload string, _ []s3.Part, c s3.Condition) (string, error) {
	defer delete(p.parts, upload)
	return p.Put(ctx, key, storetest.Body(p.parts[upload]), c)
}

func (p *poor) Abort(_ context.Context, _, upload string) error {
	delete(p.parts, upload)
	return nil
}

func (p *poor) Uploads(context.Context, string) iter.Seq2[s3.Upload, error] {
	return func(yield func(s3.Upload, error) bool) { yield(s3.Upload{}, s3.ErrUnsupported) }
}

func openPoor(t *testing.T, p *poor) *s3.Bucket {
	t.Helper()
	p.objects = map[string][]byte{}
	b, err := s3.Open(t.Context(), p, s3.Limits{})
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	if len(p.objects) > 0 {
		t.Errorf("the probe left %d objects", len(p.objects))
	}
	return b
}

func TestPoorServiceIsSeenAsPoor(t *testing.T) {
	b := openPoor(t, &poor{})
	got, err := b.Probe(t.Context())
	if err != nil || got != (storage.Capabilities{}) {
		t.Errorf("Probe = %v, %v; want no capabilities", got, err)
	}
	for _, want := range []string{"conditional put no (looks first, puts, reads back)", "sha256 checked no (hashes first, reads back)",
		"versioning no (", "object lock no (no locks)", "list after a key no (", "range reads no (refused)"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("Capabilities = %s; want %q in it", got, want)
		}
	}
}

func TestPoorServiceStillKeepsTheContract(t *testing.T) {
	p := &poor{}
	b, ctx := openPoor(t, p), t.Context()
	body := storetest.Body(storetest.Bytes(1000))
	for range 2 {
		if err := b.Put(ctx, "objects/x", body); err != nil {
			t.Errorf("Put = %v", err)
		}
	}
	if err := b.Put(ctx, "objects/x", storetest.Body([]byte("other"))); !errors.Is(err, storage.ErrExist) {
		t.Errorf("Put of other bytes = %v; want ErrExist", err)
	}
	wrong := body
	wrong.SHA256[0] ^= 1
	if err := b.Put(ctx, "objects/y", wrong); !errors.Is(err, storage.ErrCorrupt) || p.objects["objects/y"] != nil {
		t.Errorf("Put with a wrong sum = %v; want ErrCorrupt and nothing stored", err)
	}
	if _, err := b.Get(ctx, "objects/x", 10, 10); !errors.Is(err, storage.ErrRange) {
		t.Errorf("Get of a range that is not honoured = %v; want ErrRange", err)
	}
	p.mangle = true
	if err := b.Put(ctx, "objects/z", body); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("Put that is stored with other bytes = %v; want ErrCorrupt", err)
	}
}

func TestListingOutOfOrderIsAnError(t *testing.T) {
	p := &poor{shuffled: true}
	b := openPoor(t, p)
	p.objects["a"], p.objects["b"] = nil, nil
	failed := false
	for _, err := range b.List(t.Context(), "", "") {
		failed = err != nil
	}
	if !failed {
		t.Error("List of b before a ended without an error")
	}
}

func TestDeleteNoticesWhatStays(t *testing.T) {
	p := &poor{sticky: true}
	b := openPoor(t, p)
	p.objects["objects/x"] = []byte("locked")
	if err := b.Delete(t.Context(), "objects/x"); err == nil {
		t.Error("Delete succeeded though the version is still there")
	}
}
