package minio_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/storage"
	"medvault/storage/minio"
	"medvault/storage/s3"
	"medvault/storage/storetest"
)

func config(t testing.TB) minio.Config {
	s := storetest.Servers(t)[0]
	return minio.Config{
		Endpoint: s.Endpoint, AccessKey: s.Access, SecretKey: s.Secret, Region: "us-east-1",
		Bucket: storetest.BucketName(), Insecure: true, PathStyle: true, CreateBucket: true,
	}
}

func open(t testing.TB, cfg minio.Config) *minio.Store {
	t.Helper()
	s, err := minio.New(t.Context(), cfg)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	return s
}

func TestStore(t *testing.T) {
	for _, c := range []struct {
		name                 string
		versioning, lockable bool
	}{{"plain", false, false}, {"versions", true, false}, {"lockable", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storage.Store {
				cfg := config(t)
				cfg.Versioning, cfg.ObjectLock = c.versioning, c.lockable
				return open(t, cfg)
			})
		})
	}
}

func TestCapabilities(t *testing.T) {
	cfg := config(t)
	cfg.ObjectLock = true
	s := open(t, cfg)
	want := s3.Capabilities{ConditionalPut: true, ConditionalReplace: true, ChecksumSHA256: true, Versioning: true, ObjectLock: true}
	if got := s.Capabilities(); got != want {
		t.Errorf("Capabilities = %v; want %v", got, want)
	}
	for info, err := range s.List(t.Context(), "", "") {
		t.Errorf("the probe left %+v, %v", info, err)
	}
}

func TestHeadTellsTheSum(t *testing.T) {
	s := open(t, config(t))
	body := storetest.Body(storetest.Bytes(100))
	if err := s.Put(t.Context(), "objects/x", body); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Head(t.Context(), "objects/x"); err != nil || info.SHA256 != body.SHA256 {
		t.Errorf("Head = %+v, %v; want the sha256 that was put", info, err)
	}
}

func TestRepairWithoutVersionsKeepsBadBytesInQuarantine(t *testing.T) {
	s := open(t, config(t))
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
}

func TestRepairWithVersionsKeepsThemThere(t *testing.T) {
	cfg := config(t)
	cfg.Versioning = true
	s := open(t, cfg)
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
}

func TestConfigIsRefused(t *testing.T) {
	good := minio.Config{Endpoint: "http://127.0.0.1:1", AccessKey: "access", SecretKey: "secret-secret", Region: "r", Bucket: "bucket", Insecure: true}
	for name, change := range map[string]func(*minio.Config){
		"plain http":         func(c *minio.Config) { c.Insecure = false },
		"http not loopback":  func(c *minio.Config) { c.Endpoint = "http://192.0.2.1" },
		"no scheme":          func(c *minio.Config) { c.Endpoint = "127.0.0.1:1" },
		"key in the URL":     func(c *minio.Config) { c.Endpoint = "https://access:topsecret@192.0.2.1" },
		"query in the URL":   func(c *minio.Config) { c.Endpoint = "https://192.0.2.1?token=topsecret" },
		"short secret":       func(c *minio.Config) { c.SecretKey = "topsecret" },
		"no access key":      func(c *minio.Config) { c.AccessKey = "" },
		"no region":          func(c *minio.Config) { c.Region = "" },
		"no bucket":          func(c *minio.Config) { c.Bucket = "" },
		"unspeakable scheme": func(c *minio.Config) { c.Endpoint = "ftp://192.0.2.1" },
	} {
		cfg := good
		change(&cfg)
		_, err := minio.New(t.Context(), cfg)
		if err == nil {
			t.Errorf("%s: New succeeded", name)
		} else if strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
}

func TestWrongCredentialsAreNotTold(t *testing.T) {
	cfg := config(t)
	cfg.AccessKey, cfg.SecretKey, cfg.CreateBucket = "accesskey-unknown", "secretkey-unknown", false
	_, err := minio.New(t.Context(), cfg)
	if err == nil || strings.Contains(err.Error(), "unknown") || strings.Contains(err.Error(), "?") {
		t.Errorf("New = %v; want an error without credentials or query", err)
	}
}

func TestMissingBucket(t *testing.T) {
	cfg := config(t)
	cfg.CreateBucket = false
	if _, err := minio.New(t.Context(), cfg); err == nil || errors.Is(err, storage.ErrNotExist) {
		t.Errorf("New = %v; want an error that is not an absent object's", err)
	}
}

func TestDeadServerIsGivenUp(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	cfg := minio.Config{Endpoint: server.URL, AccessKey: "access", SecretKey: "secret-secret", Region: "r", Bucket: "bucket", Insecure: true, PathStyle: true}
	start := time.Now()
	if _, err := minio.New(t.Context(), cfg); err == nil {
		t.Error("New succeeded")
	}
	if n := requests.Load(); n > 3 || time.Since(start) > 10*time.Second {
		t.Errorf("New made %d requests in %v; want 3 at most", n, time.Since(start))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := minio.New(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("New after cancel = %v; want context.Canceled", err)
	}
}

// TestWire holds what goes over the wire to the form every service takes.
func TestWire(t *testing.T) {
	var put http.Header
	var length int64
	body := storetest.Body([]byte("sealed"))
	cfg := config(t)
	cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/objects/x") {
			put, length = r.Header.Clone(), r.ContentLength
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	if err := open(t, cfg).Put(t.Context(), "objects/x", body); err != nil {
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
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
