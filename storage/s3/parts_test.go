package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"medvault/storage"
	"medvault/storage/s3"
	"medvault/storage/storetest"
)

// inParts sends whatever is larger than a byte in parts of 5 MiB.
func inParts(t testing.TB) options {
	o := fresh(t)
	o.limits = s3.Limits{PartsAbove: 1, PartSize: 5 << 20}
	return o
}

// unfinished counts the uploads that were begun in a bucket and are still there.
func unfinished(t *testing.T, o options) (n int) {
	t.Helper()
	c, err := client.New(strings.TrimPrefix(o.endpoint, "http://"), &client.Options{Creds: credentials.NewStaticV4(o.access, o.secret, ""), Region: o.region})
	if err != nil {
		t.Fatal(err)
	}
	for u := range c.ListIncompleteUploads(t.Context(), o.bucket, "", true) {
		if u.Err != nil {
			t.Fatal(u.Err)
		}
		n++
	}
	return n
}

func TestLargeBodiesGoInParts(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := inParts(t)
		o.versioning = true
		var mu sync.Mutex
		parts := 0
		o.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Has("partNumber") && r.ContentLength > 1000 {
				mu.Lock()
				parts++
				mu.Unlock()
				if r.Header.Get("X-Amz-Checksum-Sha256") == "" || r.Header.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD" {
					t.Errorf("a part goes without checksum or with a signed payload: %v", r.Header)
				}
			}
			return http.DefaultTransport.RoundTrip(r)
		})
		s, ctx := d.open(t, o), t.Context()
		b := storetest.Bytes(11<<20 + 7)
		body := storetest.Body(b)
		for range 2 {
			if err := s.Put(ctx, "objects/x", body); err != nil {
				t.Fatalf("Put = %v", err)
			}
		}
		if parts != 3 {
			t.Errorf("%d parts were sent; want 3, and none for the same bytes again", parts)
		}
		if err := storage.Verify(ctx, s, "objects/x", body.Size, body.SHA256); err != nil {
			t.Error(err)
		}
		info, err := s.Head(ctx, "objects/x")
		if err != nil || info.Size != body.Size || info.SHA256 != body.SHA256 {
			t.Errorf("Head = %+v, %v; want the size and sha256 of the whole", info, err)
		}
		if sum, ok, err := s.OwnSum(ctx, "objects/x"); ok || err != nil {
			t.Errorf("OwnSum = %x, %v, %v; want that the service cannot tell one of the whole", sum, ok, err)
		}
		if err := s.Put(ctx, "objects/x", storetest.Body(b[:6<<20])); !errors.Is(err, storage.ErrExist) {
			t.Errorf("Put of other bytes = %v; want ErrExist", err)
		}
		good := storetest.Body(storetest.Bytes(7 << 20))
		if err := s.Repair(ctx, "objects/x", info, good); err != nil {
			t.Fatalf("Repair = %v", err)
		}
		if err := storage.Verify(ctx, s, "objects/x", good.Size, good.SHA256); err != nil {
			t.Errorf("repaired: %v", err)
		}
		if err := s.Repair(ctx, "objects/x", info, body); !errors.Is(err, storage.ErrExist) {
			t.Errorf("Repair of the older version = %v; want ErrExist", err)
		}
		if n := unfinished(t, o); n > 0 {
			t.Errorf("%d uploads are left unfinished", n)
		}
	})
}

func TestPartsThatAreNotTheBodyAreAborted(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := inParts(t)
		s := d.open(t, o)
		wrong, short := storetest.Body(storetest.Bytes(6<<20)), storetest.Body(storetest.Bytes(6<<20))
		wrong.SHA256[0] ^= 1
		short.Size++
		if err := s.Put(t.Context(), "objects/wrong", wrong); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("Put with a wrong sum = %v; want ErrCorrupt", err)
		}
		if err := s.Put(t.Context(), "objects/short", short); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Put of a short body = %v; want io.ErrUnexpectedEOF", err)
		}
		for info, err := range s.List(t.Context(), "", "") {
			t.Errorf("List yields %+v, %v; want nothing stored", info, err)
		}
		if n := unfinished(t, o); n > 0 {
			t.Errorf("%d uploads are left unfinished", n)
		}
	})
}

func TestOneOfTwoLargeWritersWins(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		s := d.open(t, inParts(t))
		bodies := []storage.Body{storetest.Body(storetest.Bytes(6 << 20)), storetest.Body(storetest.Bytes(6 << 20))}
		var errs [2]error
		var wg sync.WaitGroup
		for i := range bodies {
			wg.Go(func() { errs[i] = s.Put(t.Context(), "objects/x", bodies[i]) })
		}
		wg.Wait()
		won := 0
		if errs[0] != nil {
			won = 1
		}
		if errs[won] != nil || !errors.Is(errs[1-won], storage.ErrExist) {
			t.Fatalf("Put = %v; want one nil and one ErrExist", errs)
		}
		if err := storage.Verify(t.Context(), s, "objects/x", bodies[won].Size, bodies[won].SHA256); err != nil {
			t.Error(err)
		}
	})
}

// TestCutUploadIsCleanedUp: a process that dies in the middle leaves parts, which the
// next to open the bucket aborts when they are old, and Delete aborts at any age.
func TestCutUploadIsCleanedUp(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := inParts(t)
		d.open(t, o) // makes the bucket
		cut := func(key string) {
			t.Helper()
			dying := o
			dying.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				q := r.URL.Query()
				if strings.HasSuffix(r.URL.Path, key) && (q.Get("partNumber") == "2" || r.Method == http.MethodDelete) {
					return nil, io.ErrUnexpectedEOF // dead, and so not aborting either
				}
				return http.DefaultTransport.RoundTrip(r)
			})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := d.open(t, dying).Put(ctx, key, storetest.Body(storetest.Bytes(6<<20)))
			if !errors.Is(err, storage.ErrAway) || !strings.Contains(err.Error(), "parts stay") {
				t.Fatalf("Put = %v; want ErrAway, and said that parts stay", err)
			}
		}
		cut("objects/x")
		cut("objects/y")
		if n := unfinished(t, o); n != 2 {
			t.Fatalf("%d uploads are unfinished; want 2", n)
		}
		young := d.open(t, o)
		if n := unfinished(t, o); n != 2 {
			t.Errorf("%d uploads are left; want both, which may still be under way", n)
		}
		if err := young.Delete(t.Context(), "objects/x"); err != nil {
			t.Errorf("Delete = %v", err)
		}
		if n := unfinished(t, o); n != 1 {
			t.Errorf("%d uploads are left; want that of the other key", n)
		}
		time.Sleep(1100 * time.Millisecond) // services tell the time in seconds
		o.limits.Leftover = time.Second
		d.open(t, o)
		if n := unfinished(t, o); n != 0 {
			t.Errorf("%d old uploads are left; want none", n)
		}
	})
}

// TestCompletedAndNotHeard: the answer to the completion is lost, and the library asks
// again for an upload that is no more.
func TestCompletedAndNotHeard(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := inParts(t)
		lost := false
		o.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			response, err := http.DefaultTransport.RoundTrip(r)
			if err == nil && !lost && r.Method == http.MethodPost && r.URL.Query().Has("uploadId") && strings.HasSuffix(r.URL.Path, "objects/x") {
				lost = true
				response.Body.Close()
				return nil, io.ErrUnexpectedEOF
			}
			return response, err
		})
		s, body := d.open(t, o), storetest.Body(storetest.Bytes(6<<20))
		err := s.Put(t.Context(), "objects/x", body)
		if !lost {
			t.Fatal("no completion was seen")
		}
		if err != nil {
			t.Errorf("Put = %v; want nil, as the object is there", err)
		}
		if err := storage.Verify(t.Context(), s, "objects/x", body.Size, body.SHA256); err != nil {
			t.Error(err)
		}
	})
}

func TestLimitsAreChecked(t *testing.T) {
	for name, l := range map[string]s3.Limits{
		"small parts":  {PartSize: 1 << 20},
		"large single": {PartsAbove: 6 << 30},
		"negative":     {MaxRetention: -1},
	} {
		if _, err := s3.Open(t.Context(), &poor{objects: map[string][]byte{}}, l); err == nil {
			t.Errorf("Open with %s succeeded", name)
		}
	}
}

// TestPoorServiceInParts: without conditions and checksums the parts are read back.
func TestPoorServiceInParts(t *testing.T) {
	p := &poor{parts: map[string][]byte{}, objects: map[string][]byte{}}
	s, err := s3.Open(t.Context(), p, s3.Limits{PartsAbove: 1, PartSize: 5 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b := storetest.Bytes(6 << 20)
	if err := s.Put(t.Context(), "objects/x", storetest.Body(b)); err != nil || !bytes.Equal(p.objects["objects/x"], b) {
		t.Errorf("Put = %v", err)
	}
	if err := s.Put(t.Context(), "objects/x", storetest.Body(b[1:])); !errors.Is(err, storage.ErrExist) {
		t.Errorf("Put of other bytes = %v; want ErrExist", err)
	}
	p.mangle = true
	if err := s.Put(t.Context(), "objects/y", storetest.Body(b)); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("Put that is stored with other bytes = %v; want ErrCorrupt", err)
	}
	if _, ok, err := s.OwnSum(t.Context(), "objects/x"); ok || err != nil {
		t.Errorf("OwnSum = %v, %v; want that the service cannot tell", ok, err)
	}
}

// TestMetadataIsNoSumOfTheService: what we wrote beside the bytes proves nothing.
func TestMetadataIsNoSumOfTheService(t *testing.T) {
	body := storetest.Body([]byte("sealed"))
	hex, base64 := "f4d5d8b1d0b6a4ad0d3a5b2f0f5d2f6f9e2c1a3b4c5d6e7f8091a2b3c4d5e6f7", s3.Base64(body.SHA256)
	for _, c := range []struct {
		name                     string
		checksum, kind, metadata string
		own, ofParts             bool
	}{
		{"both", base64, "FULL_OBJECT", hex, true, false},
		{"no kind told", base64, "", hex, true, false},
		{"metadata alone", "", "", hex, false, false},
		{"of parts", base64 + "-3", "COMPOSITE", hex, false, true},
		{"of parts, not counted", base64, "COMPOSITE", hex, false, false},
		{"not base64", "!", "", hex, false, false},
		{"short", "AAAA", "", hex, false, false},
	} {
		sums := s3.ReadSums(c.checksum, c.kind, c.metadata)
		if (sums.Own == body.SHA256) != c.own || sums.Own != [32]byte{} && !c.own || (sums.OfParts != "") != c.ofParts || sums.Meta == [32]byte{} {
			t.Errorf("%s: ReadSums = %+v", c.name, sums)
		}
	}
}
