package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"medvault/storage"
	"medvault/storage/dir"
	"medvault/storage/replica"
	"medvault/storage/s3"
	"medvault/storage/storetest"
)

// TestTroubles: every call meets every trouble, through both drivers, with and without
// versions. It succeeds truly, which is looked at past the trouble, or fails with the
// error that says what is wrong; what was there before is not lost.
func TestTroubles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	server := storetest.Servers(t)[0]
	var cells sync.WaitGroup
	running := make(chan struct{}, 32)
	for name, dial := range drivers() {
		for _, versions := range []bool{false, true} {
			d, healthy := driver{dial}, fresh(t)
			healthy.versioning = versions
			past := d.open(t, healthy)
			for _, trouble := range storetest.Troubles() {
				relay := storetest.NewRelay(t, server.Endpoint)
				through := behind(t, healthy, relay, trouble.Name)
				ill := d.open(t, through)
				var prepared sync.WaitGroup
				begun := make(chan struct{})
				for _, call := range troubled {
					c := &cell{t: t, name: fmt.Sprintf("%s, versions %v, %s, %s", name, versions, trouble.Name, call.name),
						options: healthy, past: past, ill: ill, key: "objects/" + storetest.BucketName()}
					want := expected(trouble.Name, call.name, versions)
					prepared.Add(1)
					cells.Go(func() {
						running <- struct{}{}
						defer func() { <-running }()
						act := call.prepare(c)
						prepared.Done()
						<-begun
						ctx, cancel := context.WithTimeout(t.Context(), patience(trouble.Name))
						defer cancel()
						if err := act(ctx); !slices.ContainsFunc(want, func(w error) bool { return is(err, w) }) {
							t.Errorf("%s = %v; want one of %v", c.name, err, want)
						}
					})
				}
				prepared.Wait()
				trouble.Begin(t, relay)
				through.transport.(*http.Transport).CloseIdleConnections() // which the trouble has broken
				close(begun)
			}
		}
	}
	cells.Wait()
}

// behind is the same bucket reached through a relay, with short patience.
func behind(t *testing.T, o options, relay *storetest.Relay, trouble string) options {
	transport := s3.NewTransport(nil)
	transport.ResponseHeaderTimeout = 20 * time.Second
	if trouble == "silent" {
		transport.ResponseHeaderTimeout = 300 * time.Millisecond
	}
	t.Cleanup(transport.CloseIdleConnections)
	o.create, o.endpoint, o.transport = false, relay.URL(), transport
	return o
}

func patience(trouble string) time.Duration {
	if trouble == "silent" {
		return 6 * time.Second
	}
	return time.Minute
}

var errAny = errors.New("any error")

func is(err, want error) bool {
	if want == nil || err == nil {
		return err == want
	}
	return want == errAny || errors.Is(err, want)
}

// expected are the answers allowed; nil is success.
func expected(trouble, call string, versions bool) []error {
	reads, writes := []string{"get", "repair", "copy to", "copy from"}, []string{"put", "put other", "repair", "copy to"}
	in := func(calls []string) bool { return slices.Contains(calls, call) }
	one := func(err error) []error { return []error{err} }
	switch trouble {
	case "down", "slow down", "reset":
		return either(call, storage.ErrAway)
	case "silent":
		return either(call, storage.ErrAway, context.DeadlineExceeded)
	case "credentials revoked":
		return either(call, storage.ErrDenied)
	case "clock skewed":
		if call == "head" || call == "repair" { // the answer to a head has a status and no code
			return one(storage.ErrDenied)
		}
		return either(call, storage.ErrClock)
	case "answers cut":
		if in(reads) || call == "put other" {
			return either(call, storage.ErrAway)
		}
		return one(nil)
	case "requests cut":
		if in(writes) {
			return either(call, storage.ErrAway, storage.ErrExist)
		}
		return one(nil)
	case "answers truncated", "wrong bytes answered":
		if in(reads) {
			return either(call, storage.ErrCorrupt)
		}
	case "wrong bytes sent":
		if call == "put other" {
			return []error{storage.ErrCorrupt, storage.ErrExist, storage.ErrAway}
		}
		if in(writes) {
			return one(storage.ErrCorrupt)
		}
	case "full", "quota used up":
		if in(writes) {
			return one(storage.ErrFull)
		}
	case "read-only":
		if in(writes) || call == "delete" {
			return one(storage.ErrDenied)
		}
	case "listing misses the latest", "listing shows what is gone":
		if call == "delete" && versions {
			return one(storage.ErrAway)
		}
	}
	if call == "put other" { // which is refused before all of it is read: the refusal may be lost
		return []error{storage.ErrExist, storage.ErrAway}
	}
	return one(nil)
}

// either adds what says less: a copy from a region that fails is told as none having the
// right bytes.
func either(call string, errs ...error) []error {
	if call == "copy from" {
		return []error{errAny}
	}
	return errs
}

// cell is one call under one trouble, on a key of its own.
type cell struct {
	t         *testing.T
	name      string
	options   options
	past, ill bucket // the same, past the trouble and through it
	key       string
}

// troubled are the calls. Each prepares past the trouble and returns what to do in it,
// which looks at the truth itself.
var troubled = []struct {
	name    string
	prepare func(*cell) func(context.Context) error
}{
	{"put", func(c *cell) func(context.Context) error {
		body := storetest.Body(storetest.Bytes(300_000))
		return func(ctx context.Context) error {
			err := c.ill.Put(ctx, c.key, body)
			there := storage.Verify(c.t.Context(), c.past, c.key, body.Size, body.SHA256)
			if there != nil && (err == nil || !errors.Is(there, storage.ErrNotExist)) {
				c.t.Errorf("%s = %v, and there lies: %v", c.name, err, there)
			}
			return err
		}
	}},
	{"put other", func(c *cell) func(context.Context) error {
		first := c.put(300_000)
		return func(ctx context.Context) error {
			err := c.ill.Put(ctx, c.key, storetest.Body(storetest.Bytes(300_000)))
			c.lies(first)
			return err
		}
	}},
	{"get", func(c *cell) func(context.Context) error {
		body := c.put(300_000)
		return func(ctx context.Context) error {
			return storage.Verify(ctx, c.ill, c.key, body.Size, body.SHA256)
		}
	}},
	{"head", func(c *cell) func(context.Context) error {
		c.put(300_000)
		want, err := c.past.Head(c.t.Context(), c.key)
		c.must(err)
		return func(ctx context.Context) error {
			info, err := c.ill.Head(ctx, c.key)
			if err == nil && info != want {
				c.t.Errorf("%s = %+v; want %+v", c.name, info, want)
			}
			return err
		}
	}},
	{"list", func(c *cell) func(context.Context) error {
		c.put(10)
		return func(ctx context.Context) error {
			var keys []string
			for info, err := range c.ill.List(ctx, c.key, "") {
				if err != nil {
					return err
				}
				keys = append(keys, info.Key)
			}
			// What a listing leaves out for being old nobody can see in it.
			if !slices.Equal(keys, []string{c.key}) && !strings.Contains(c.name, "misses the latest") {
				c.t.Errorf("%s = %v; want the one key", c.name, keys)
			}
			return nil
		}
	}},
	{"delete", func(c *cell) func(context.Context) error {
		c.put(300_000)
		return func(ctx context.Context) error {
			err := c.ill.Delete(ctx, c.key)
			if err == nil {
				c.gone()
			}
			return err
		}
	}},
	{"repair", func(c *cell) func(context.Context) error {
		bad, good := c.put(300_000), storetest.Body(storetest.Bytes(300_000))
		found, err := c.past.Head(c.t.Context(), c.key)
		c.must(err)
		return func(ctx context.Context) error {
			err := c.ill.Repair(ctx, c.key, found, good)
			if err == nil || storage.Verify(c.t.Context(), c.past, c.key, good.Size, good.SHA256) == nil {
				c.lies(good)
				c.keeps()
			} else {
				c.lies(bad)
			}
			return err
		}
	}},
	{"copy to", func(c *cell) func(context.Context) error {
		body, near, set := c.regions()
		c.must(near.Put(c.t.Context(), c.key, body))
		return func(ctx context.Context) error {
			err := set.Copy(ctx, c.key, replica.Sum{Size: body.Size, SHA256: body.SHA256}, nil, "ill")
			if err == nil {
				c.lies(body)
			}
			return err
		}
	}},
	{"copy from", func(c *cell) func(context.Context) error {
		body, near, set := c.regions()
		c.must(c.past.Put(c.t.Context(), c.key, body))
		return func(ctx context.Context) error {
			err := set.Copy(ctx, c.key, replica.Sum{Size: body.Size, SHA256: body.SHA256}, nil, "near")
			if there := storage.Verify(c.t.Context(), near, c.key, body.Size, body.SHA256); (there == nil) != (err == nil) || there != nil && !errors.Is(there, storage.ErrNotExist) {
				c.t.Errorf("%s = %v, and there lies: %v", c.name, err, there)
			}
			return err
		}
	}},
}

func (c *cell) must(err error) {
	if err != nil {
		c.t.Errorf("%s: before the trouble: %v", c.name, err)
	}
}

func (c *cell) put(n int) storage.Body {
	body := storetest.Body(storetest.Bytes(n))
	c.must(c.past.Put(c.t.Context(), c.key, body))
	return body
}

// lies looks past the trouble whether the bytes are there.
func (c *cell) lies(body storage.Body) {
	if err := storage.Verify(c.t.Context(), c.past, c.key, body.Size, body.SHA256); err != nil {
		c.t.Errorf("%s: afterwards: %v", c.name, err)
	}
}

// regions are a directory and the bucket behind the trouble.
func (c *cell) regions() (storage.Body, storage.Store, *replica.Set) {
	near, err := dir.New(dir.Config{Root: c.t.TempDir(), Create: true})
	c.must(err)
	set, err := replica.New(replica.Config{Regions: []storage.Region{
		{Name: "near", Data: near, Keys: near, OneBucket: true}, {Name: "ill", Data: c.ill, Keys: c.ill, OneBucket: true},
	}})
	c.must(err)
	return storetest.Body(storetest.Bytes(300_000)), near, set
}

// names are the keys of all versions of what begins with prefix.
func (c *cell) names(prefix string) (names []string) {
	lib, err := client.New(strings.TrimPrefix(c.options.endpoint, "http://"), &client.Options{
		Creds: credentials.NewStaticV4(c.options.access, c.options.secret, ""), Region: c.options.region})
	c.must(err)
	for o := range lib.ListObjects(c.t.Context(), c.options.bucket, client.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: c.options.versioning}) {
		c.must(o.Err)
		names = append(names, o.Key)
	}
	return names
}

func (c *cell) gone() {
	if left := c.names(c.key); len(left) > 0 {
		c.t.Errorf("%s: %d versions are left", c.name, len(left))
	}
}

// keeps looks whether the bad bytes of a repair are there, as a version or in quarantine.
func (c *cell) keeps() {
	if kept := len(c.names(c.key)) - 1 + len(c.names(storage.QuarantinePrefix(c.key))); kept != 1 {
		c.t.Errorf("%s: the bad bytes are kept %d times; want once", c.name, kept)
	}
}
