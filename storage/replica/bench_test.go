package replica_test

import (
	"fmt"
	"io"
	"testing"

	"medvault/storage"
	"medvault/storage/dir"
	"medvault/storage/replica"
	"medvault/storage/storetest"
)

const instance = 512 << 10 // a CT instance

func set(b *testing.B) *replica.Set {
	var cfg replica.Config
	for _, name := range []string{"north", "east", "south"} {
		data, err := dir.New(dir.Config{Root: b.TempDir(), Create: true})
		if err != nil {
			b.Fatal(err)
		}
		cfg.Regions = append(cfg.Regions, storage.Region{Name: name, Data: data, Keys: data})
	}
	s, err := replica.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkPut is one instance into three directories on one disk, read back.
func BenchmarkPut(b *testing.B) {
	s, body := set(b), storetest.Body(storetest.Bytes(instance))
	b.SetBytes(instance)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Put(b.Context(), fmt.Sprintf("objects/%02x/%d", i%16, i), body, replica.Placement{Quorum: 2}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := set(b)
	if _, err := s.Put(b.Context(), "objects/x", storetest.Body(storetest.Bytes(instance)), replica.Placement{Quorum: 3}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(instance)
	b.ReportAllocs()
	buf := make([]byte, 64<<10)
	for b.Loop() {
		r, err := s.Open("objects/x", instance, nil).Get(b.Context(), 0, -1)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); err != nil || n != instance {
			b.Fatalf("read %d bytes, %v", n, err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
