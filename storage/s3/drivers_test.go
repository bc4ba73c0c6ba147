package s3_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/storage"
	"medvault/storage/aws"
	"medvault/storage/minio"
	"medvault/storage/s3"
	"medvault/storage/storetest"
)

// options are what both drivers are configured with.
type options struct {
	endpoint, access, secret, region, bucket string
	insecure, create, versioning, lock       bool
	limits                                   s3.Limits
	transport                                http.RoundTripper
}

type bucket interface {
	storage.Store
	storage.Locker
	storage.Prober
	storage.Summer
}

// drivers are the libraries whose buckets must not differ.
func drivers() map[string]func(context.Context, options) (bucket, error) {
	return map[string]func(context.Context, options) (bucket, error){
		"minio": func(ctx context.Context, o options) (bucket, error) {
			return minio.New(ctx, minio.Config{
				Endpoint: o.endpoint, AccessKey: o.access, SecretKey: o.secret, Region: o.region, Bucket: o.bucket, PathStyle: true,
				Insecure: o.insecure, CreateBucket: o.create, Versioning: o.versioning, ObjectLock: o.lock, Limits: o.limits, Transport: o.transport,
			})
		},
		"aws": func(ctx context.Context, o options) (bucket, error) {
			return aws.New(ctx, aws.Config{
				Endpoint: o.endpoint, AccessKey: o.access, SecretKey: o.secret, Region: o.region, Bucket: o.bucket, PathStyle: true,
				Insecure: o.insecure, CreateBucket: o.create, Versioning: o.versioning, ObjectLock: o.lock, Limits: o.limits, Transport: o.transport,
			})
		},
	}
}

// driver is one of them in a test, with a bucket of its own for each call of open.
type driver struct {
	dial func(context.Context, options) (bucket, error)
}

// each runs a test with every driver.
func each(t *testing.T, run func(*testing.T, driver)) {
	for name, dial := range drivers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, driver{dial})
		})
	}
}

func fresh(t testing.TB) options {
	s := storetest.Servers(t)[0]
	return options{
		endpoint: s.Endpoint, access: s.Access, secret: s.Secret, region: "us-east-1",
		bucket: storetest.BucketName(), insecure: true, create: true, limits: s3.Limits{MaxRetention: time.Hour},
	}
}

func (d driver) open(t testing.TB, o options) bucket {
	t.Helper()
	s, err := d.dial(t.Context(), o)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Servers(t) // skip once, not for every row
	each(t, func(t *testing.T, d driver) {
		for _, c := range []struct {
			name             string
			versioning, lock bool
		}{{"plain", false, false}, {"versions", true, false}, {"lockable", false, true}} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				storetest.Run(t, func(t *testing.T) storage.Store {
					o := fresh(t)
					o.versioning, o.lock = c.versioning, c.lock
					return d.open(t, o)
				})
			})
		}
	})
}

// TestWrittenThroughOneReadThroughTheOther: what lies in a bucket is no matter of
// the library.
func TestWrittenThroughOneReadThroughTheOther(t *testing.T) {
	o := fresh(t)
	o.versioning = true
	for writer, write := range drivers() {
		for reader, read := range drivers() {
			key := "objects/" + writer + "-" + reader
			w, r := (driver{write}).open(t, o), (driver{read}).open(t, o)
			body := storetest.Body(storetest.Bytes(200_000))
			if err := w.Put(t.Context(), key, body); err != nil {
				t.Fatalf("%s: Put = %v", writer, err)
			}
			if err := storage.Verify(t.Context(), r, key, body.Size, body.SHA256); err != nil {
				t.Errorf("written by %s, read by %s: %v", writer, reader, err)
			}
			there, err := w.Head(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if here, err := r.Head(t.Context(), key); err != nil || here != there {
				t.Errorf("Head by %s = %+v, %v; by %s it is %+v", reader, here, err, writer, there)
			}
			if err := r.Put(t.Context(), key, body); err != nil {
				t.Errorf("the same bytes put by %s = %v; want nil", reader, err)
			}
			if err := r.Put(t.Context(), key, storetest.Body([]byte("other"))); !errors.Is(err, storage.ErrExist) {
				t.Errorf("other bytes put by %s = %v; want ErrExist", reader, err)
			}
		}
	}
}

func TestCapabilities(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := fresh(t)
		o.lock = true
		s := d.open(t, o)
		want := storage.Capabilities{ConditionalPut: true, ConditionalReplace: true, ConditionalComplete: true, ChecksumSHA256: true, StoredSHA256: true,
			Versioning: true, ObjectLock: true, UploadsListed: true, ListAfter: true, Ranges: true}
		if got, err := s.Probe(t.Context()); err != nil || got != want {
			t.Errorf("Probe = %v, %v; want %v", got, err, want)
		}
		for info, err := range s.List(t.Context(), "", "") {
			t.Errorf("the probe left %+v, %v", info, err)
		}
	})
}

func TestHeadTellsTheSum(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		s := d.open(t, fresh(t))
		body := storetest.Body(storetest.Bytes(100))
		if err := s.Put(t.Context(), "objects/x", body); err != nil {
			t.Fatal(err)
		}
		if info, err := s.Head(t.Context(), "objects/x"); err != nil || info.SHA256 != body.SHA256 {
			t.Errorf("Head = %+v, %v; want the sha256 that was put", info, err)
		}
	})
}

func TestRepairWithoutVersionsKeepsBadBytesInQuarantine(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		s := d.open(t, fresh(t))
		bad, good := storetest.Body(storetest.Bytes(100)), storetest.Body(storetest.Bytes(100))
		if err := s.Put(t.Context(), "objects/x", bad); err != nil {
			t.Fatal(err)
		}
		if err := s.Repair(t.Context(), "objects/x", storage.Info{SHA256: bad.SHA256}, good); err != nil {
			t.Fatalf("Repair = %v", err)
		}
		var kept []string
		for info, err := range s.List(t.Context(), "quarantine/", "") {
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, info.Key)
		}
		if len(kept) != 1 || !storage.IsQuarantineOf("objects/x", kept[0]) {
			t.Fatalf("quarantine = %v; want the bad bytes of objects/x", kept)
		}
		if err := storage.Verify(t.Context(), s, kept[0], bad.Size, bad.SHA256); err != nil {
			t.Errorf("quarantine: %v", err)
		}
	})
}

func TestRepairWithVersionsKeepsThemThere(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := fresh(t)
		o.versioning = true
		s := d.open(t, o)
		if err := s.Put(t.Context(), "objects/x", storetest.Body(storetest.Bytes(100))); err != nil {
			t.Fatal(err)
		}
		found, err := s.Head(t.Context(), "objects/x")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Repair(t.Context(), "objects/x", found, storetest.Body(storetest.Bytes(90))); err != nil {
			t.Fatalf("Repair = %v", err)
		}
		var keys []string
		for info, err := range s.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, info.Key)
		}
		if !slices.Equal(keys, []string{"objects/x"}) {
			t.Errorf("List = %v; want no quarantine", keys)
		}
		if err := s.Repair(t.Context(), "objects/x", found, storetest.Body(storetest.Bytes(80))); !errors.Is(err, storage.ErrExist) {
			t.Errorf("Repair of the older version = %v; want ErrExist", err)
		}
	})
}

func TestConfigIsRefused(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		good := options{endpoint: "http://127.0.0.1:1", access: "access", secret: "secret-secret", region: "r", bucket: "bucket", insecure: true}
		for name, change := range map[string]func(*options){
			"plain http":         func(c *options) { c.insecure = false },
			"http not loopback":  func(c *options) { c.endpoint = "http://192.0.2.1" },
			"no scheme":          func(c *options) { c.endpoint = "127.0.0.1:1" },
			"key in the URL":     func(c *options) { c.endpoint = "https://access:topsecret@192.0.2.1" },
			"query in the URL":   func(c *options) { c.endpoint = "https://192.0.2.1?token=topsecret" },
			"short secret":       func(c *options) { c.secret = "topsecret" },
			"no access key":      func(c *options) { c.access = "" },
			"no region":          func(c *options) { c.region = "" },
			"no bucket":          func(c *options) { c.bucket = "" },
			"unspeakable scheme": func(c *options) { c.endpoint = "ftp://192.0.2.1" },
		} {
			o := good
			change(&o)
			_, err := d.dial(t.Context(), o)
			if err == nil {
				t.Errorf("%s: New succeeded", name)
			} else if strings.Contains(err.Error(), "topsecret") {
				t.Errorf("%s: the error tells the secret", name)
			}
		}
	})
}

func TestWrongCredentialsAreNotTold(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := fresh(t)
		o.access, o.secret, o.create = "accesskey-unknown", "secretkey-unknown", false
		_, err := d.dial(t.Context(), o)
		if err == nil || strings.Contains(err.Error(), "unknown") || strings.Contains(err.Error(), "?") {
			t.Errorf("New = %v; want an error without credentials or query", err)
		}
	})
}

func TestMissingBucket(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := fresh(t)
		o.create = false
		if _, err := d.dial(t.Context(), o); err == nil || errors.Is(err, storage.ErrNotExist) {
			t.Errorf("New = %v; want an error that is not an absent object's", err)
		}
	})
}

// TestRegionThatIsAway: a service that does not answer keeps nobody from starting,
// and its bucket works as soon as it is back.
func TestRegionThatIsAway(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		o := fresh(t)
		d.open(t, o) // makes the bucket
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := listener.Addr().String()
		listener.Close() // a port that nobody listens on
		behind := o
		behind.create, behind.endpoint = false, "http://"+at
		s := d.open(t, behind)
		for name, err := range calls(t.Context(), s) {
			if !errors.Is(err, storage.ErrAway) {
				t.Errorf("while away: %s = %v; want ErrAway", name, err)
			}
		}
		if got, err := s.Probe(t.Context()); !errors.Is(err, storage.ErrAway) || got != (storage.Capabilities{}) {
			t.Errorf("Probe while away = %v, %v; want ErrAway and nothing", got, err)
		}

		target, err := url.Parse(o.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		// Signatures cover the host: it is passed on as it came.
		back := &http.Server{Addr: at, Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		}}}
		if listener, err = net.Listen("tcp", at); err != nil {
			t.Fatal(err)
		}
		go back.Serve(listener)
		t.Cleanup(func() { back.Close() })
		body := storetest.Body(storetest.Bytes(1000))
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if err = s.Put(t.Context(), "objects/x", body); err == nil {
				break
			}
			if !errors.Is(err, storage.ErrAway) || time.Now().After(deadline) {
				t.Fatalf("Put once it is back = %v", err)
			}
		}
		if err := storage.Verify(t.Context(), s, "objects/x", body.Size, body.SHA256); err != nil {
			t.Error(err)
		}
		if got, err := s.Probe(t.Context()); err != nil || !got.ConditionalPut || !got.ChecksumSHA256 {
			t.Errorf("Probe once it is back = %v, %v; want what the service can do", got, err)
		}
	})
}

func TestDeadServerIsGivenUp(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		var requests atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		defer server.Close()
		o := options{endpoint: server.URL, access: "access", secret: "secret-secret", region: "r", bucket: "bucket", insecure: true}
		start := time.Now()
		s := d.open(t, o)
		if n := requests.Load(); n > 3 || time.Since(start) > 10*time.Second {
			t.Errorf("New made %d requests in %v; want 3 at most", n, time.Since(start))
		}
		for name, err := range calls(t.Context(), s) {
			if !errors.Is(err, storage.ErrAway) {
				t.Errorf("%s = %v; want ErrAway", name, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.dial(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("New after cancel = %v; want context.Canceled", err)
		}
	})
}

// calls makes each call of a store once.
func calls(ctx context.Context, s storage.Store) map[string]error {
	body := storetest.Body([]byte("sealed"))
	_, head := s.Head(ctx, "objects/x")
	_, get := s.Get(ctx, "objects/x", 0, -1)
	errs := map[string]error{
		"Put": s.Put(ctx, "objects/x", body), "Head": head, "Get": get, "Delete": s.Delete(ctx, "objects/x"),
		"Repair": s.Repair(ctx, "objects/x", storage.Info{SHA256: body.SHA256}, body),
	}
	for _, err := range s.List(ctx, "", "") {
		errs["List"] = err
	}
	return errs
}

// TestWire holds what goes over the wire to the form every service takes.
func TestWire(t *testing.T) {
	each(t, func(t *testing.T, d driver) {
		var put http.Header
		var length int64
		body := storetest.Body([]byte("sealed"))
		o := fresh(t)
		o.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/objects/x") {
				put, length = r.Header.Clone(), r.ContentLength
			}
			return http.DefaultTransport.RoundTrip(r)
		})
		if err := d.open(t, o).Put(t.Context(), "objects/x", body); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte("sealed"))
		for name, want := range map[string]string{
			"X-Amz-Content-Sha256":  "UNSIGNED-PAYLOAD",
			"X-Amz-Checksum-Sha256": s3.Base64(sum),
			"If-None-Match":         "*",
			"Content-Encoding":      "",
			"X-Amz-Trailer":         "",
		} {
			if got := put.Get(name); got != want {
				t.Errorf("%s: %s; want %s", name, got, want)
			}
		}
		if length != 6 {
			t.Errorf("Content-Length: %d; want 6", length)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
