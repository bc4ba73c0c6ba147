package s3_test

import (
	"crypto/fips140"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	client "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"medvault/storage/storetest"
)

// TestServiceListsOnlyAsVersionOne: some know the first listing call alone.
func TestServiceListsOnlyAsVersionOne(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := fresh(t)
		o.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Has("list-type") {
				return &http.Response{StatusCode: http.StatusNotImplemented, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			}
			return http.DefaultTransport.RoundTrip(r)
		})
		s := d.open(t, o)
		if can, err := s.Probe(t.Context()); err != nil || can.ListAfter || !strings.Contains(can.String(), "lists as version 1") {
			t.Errorf("Probe = %v, %v; want that it lists as version 1", can, err)
		}
		const n = 1005 // more than a page holds
		var want []string
		var wg sync.WaitGroup
		for i := range 15 {
			wg.Go(func() {
				for j := i; j < n; j += 15 {
					if err := s.Put(t.Context(), fmt.Sprintf("objects/%04d", j), storetest.Body(nil)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for i := range n {
			want = append(want, fmt.Sprintf("objects/%04d", i))
		}
		for _, after := range []int{-1, 0, 999, 1004} {
			start := ""
			if after >= 0 {
				start = want[after]
			}
			var got []string
			for info, err := range s.List(t.Context(), "objects/", start) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, info.Key)
			}
			if !slices.Equal(got, want[after+1:]) {
				t.Errorf("List after %q = %d keys; want %d in order", start, len(got), n-after-1)
			}
		}
	})
}

// TestServiceWithoutSettings: some answer a question they do not know with an error of
// their own, or as if it were a listing.
func TestServiceWithoutSettings(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		for name, answer := range map[string]struct {
			status int
			body   string
		}{
			"not implemented": {501, "<Error><Code>NotImplemented</Code></Error>"},
			"not allowed":     {405, "<Error><Code>MethodNotAllowed</Code></Error>"},
			"none":            {404, "<Error><Code>NoSuchWORMConfiguration</Code></Error>"},
			"overlooked":      {200, `<ListBucketResult><Name>bucket</Name></ListBucketResult>`},
		} {
			o := fresh(t)
			o.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				q := r.URL.Query()
				if r.Method == http.MethodGet && (q.Has("object-lock") || q.Has("versioning")) {
					h := http.Header{"Content-Type": {"application/xml"}}
					return &http.Response{StatusCode: answer.status, Header: h, Body: io.NopCloser(strings.NewReader(answer.body)), ContentLength: int64(len(answer.body)), Request: r}, nil
				}
				return http.DefaultTransport.RoundTrip(r)
			})
			s, body := d.open(t, o), storetest.Body(storetest.Bytes(100))
			if can, err := s.Probe(t.Context()); err != nil || can.ObjectLock || can.Versioning {
				t.Errorf("%s: Probe = %v, %v; want neither locks nor versions", name, can, err)
			}
			if err := s.Put(t.Context(), "objects/x", body); err != nil {
				t.Errorf("%s: Put = %v", name, err)
			}
		}
	})
}

// TestBucketThatLocksByItselfIsRefused: what it takes in could not be deleted when it
// must go, not even what the probe leaves.
func TestBucketThatLocksByItselfIsRefused(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := fresh(t)
		o.lock = true
		d.open(t, o) // makes the bucket
		lib, err := client.New(strings.TrimPrefix(o.endpoint, "http://"), &client.Options{Creds: credentials.NewStaticV4(o.access, o.secret, ""), Region: o.region})
		if err != nil {
			t.Fatal(err)
		}
		mode, days, unit := client.Compliance, uint(1), client.Days
		fips140.WithoutEnforcement(func() { err = lib.SetBucketObjectLockConfig(t.Context(), o.bucket, &mode, &days, &unit) })
		if err != nil {
			t.Fatal(err)
		}
		o.create = false
		if _, err := d.dial(t.Context(), o); err == nil || !strings.Contains(err.Error(), "default retention") {
			t.Errorf("New = %v; want that the default retention must go", err)
		}
		for o := range lib.ListObjects(t.Context(), o.bucket, client.ListObjectsOptions{Recursive: true}) {
			t.Errorf("left in the bucket: %s, %v", o.Key, o.Err)
		}
	})
}
