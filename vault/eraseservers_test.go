package vault_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// servedWard is a stopped vault over PostgreSQL with every region at home in buckets of its
// own under a key service of its own, and every backup of it that anybody could have kept:
// the catalog, both buckets of each region with the wraps in them.
type servedWard struct {
	o        vaulttest.Options
	services map[string]keys.Wrapper
	buckets  map[string]map[string]storage.Store
	dump     string                                  // DSN of the catalog as it was
	kept     map[string]map[string]map[string][]byte // by region, bucket, key
}

func newServedWard(t *testing.T, now *clock) *servedWard {
	t.Helper()
	servers := storetest.Servers(t)
	w := &servedWard{services: make(map[string]keys.Wrapper), buckets: make(map[string]map[string]storage.Store), kept: make(map[string]map[string]map[string][]byte)}
	w.o = vaulttest.Options{Dir: t.TempDir(), DSN: postgres(t), Now: now.now, Poll: 5 * time.Millisecond}
	for i, region := range vaulttest.Regions()[:3] {
		w.services[region] = transitOf(t, region)
		w.buckets[region] = newPlaces(servers, false, true).open(t, region, servers[i%len(servers)].Endpoint, nil, false)
	}
	w.o.Bucket = func(region, bucket string) (storage.Store, error) {
		if s, ok := w.buckets[region]; ok {
			return s[bucket], nil
		}
		return nil, nil
	}
	w.o.Wrapper = func(region string, local keys.Wrapper) keys.Wrapper {
		if s, ok := w.services[region]; ok {
			return s
		}
		return local
	}
	return w
}

// backUp keeps a copy of everything but the key services.
func (w *servedWard) backUp(t *testing.T) {
	t.Helper()
	w.dump = databaseLike(t, w.o.DSN)
	for region, buckets := range w.buckets {
		w.kept[region] = make(map[string]map[string][]byte)
		for bucket, s := range buckets {
			all := make(map[string][]byte)
			for info, err := range s.List(t.Context(), "", "") {
				if err != nil {
					t.Fatal(err)
				}
				body, err := s.Get(t.Context(), info.Key, 0, -1)
				if err != nil {
					t.Fatal(err)
				}
				data, err := io.ReadAll(body)
				if err := errors.Join(err, body.Close()); err != nil {
					t.Fatal(err)
				}
				all[info.Key] = data
			}
			w.kept[region][bucket] = all
		}
	}
}

// putBack puts every copy back that is not there any more, and tells how many that were.
func (w *servedWard) putBack(t *testing.T) (n int) {
	t.Helper()
	for region, buckets := range w.kept {
		for bucket, all := range buckets {
			for key, data := range all {
				err := w.buckets[region][bucket].Put(t.Context(), key, storage.Body{ReaderAt: bytes.NewReader(data), Size: int64(len(data)), SHA256: sha256.Sum256(data)})
				switch {
				case err == nil:
					n++
				case !errors.Is(err, storage.ErrExist):
					t.Fatalf("%s: %v", region, err)
				}
			}
		}
	}
	return n
}

// wrapsOf are the copies of a patient's wraps in the backup of a region.
func (w *servedWard) wrapsOf(t *testing.T, region string, p record.PatientToken) (found []keys.Bound) {
	t.Helper()
	for key, blob := range w.kept[region]["keys"] {
		parts := strings.Split(key, "/") // wraps/KIND/SHARD/VERSION/TOKEN.GENERATION
		if len(parts) != 5 || parts[4] != string(p)+".1" {
			continue
		}
		found = append(found, keys.Bound{Binding: keys.Binding{Kind: keys.Kind(parts[1]), Token: string(p), Generation: 1},
			Wrap: keys.Wrap{Shard: parts[2], Version: 1, Blob: string(bytes.TrimSpace(blob))}})
	}
	return found
}

// databaseLike copies a database that nobody uses just now.
func databaseLike(t *testing.T, dsn string) string {
	t.Helper()
	from, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("the DSN is not a URL")
	}
	to := *from
	to.Path = "/vault_" + string(record.NewObjectID())
	run := func(statement string) {
		admin, err := sql.Open("pgx", os.Getenv("MEDVAULT_TEST_POSTGRES"))
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		if _, err := admin.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE DATABASE " + to.Path[1:] + " TEMPLATE " + from.Path[1:])
	t.Cleanup(func() { run("DROP DATABASE " + to.Path[1:] + " WITH (FORCE)") })
	return to.String()
}

// With PostgreSQL, Vault and S3: after an erasure every backup made before is put back, and
// nothing of the patient opens by what the key services have now, while another patient of
// the same shard still does.
func TestPromise5_3OnRealServers(t *testing.T) {
	t.Parallel()
	now := newClock()
	w := newServedWard(t, now)
	h := vaulttest.New(t, w.o)
	gone, _ := ctOf(t, h, 9400, 1)
	kept, doc := ctOf(t, h, 9401, 1) // these engines have one shard of each kind
	copied(t, h)
	if err := h.ExportLog(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	w.backUp(t)
	for region, s := range w.services {
		if wraps := w.wrapsOf(t, region, gone.Patient); len(wraps) != 2 {
			t.Fatalf("%s: %d wraps in the backup; want one of each kind", region, len(wraps))
		} else if _, err := s.Unwrap(t.Context(), wraps); err != nil {
			t.Fatalf("%s: the wraps of the backup do not open before the erasure: %v", region, err)
		}
	}

	h = vaulttest.New(t, w.o)
	n := patientsOwn
	n.Patient = gone.Patient
	cert := certified(t, h, now, erasePatient(t, h, n).ID)
	if cert.State != vault.CertificateComplete {
		t.Errorf("certificate: %q, %v; want it complete", cert.State, cert.Pending())
	}
	checkCertificate(t, cert)
	if err := h.ExportLog(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	h.Stop()

	dead := func() {
		t.Helper()
		for region, s := range w.services {
			for _, wrap := range w.wrapsOf(t, region, gone.Patient) {
				if _, err := s.Unwrap(t.Context(), []keys.Bound{wrap}); !errors.Is(err, keys.ErrRefused) {
					t.Errorf("%s: an old %s wrap: %v; want it refused", region, wrap.Binding.Kind, err)
				}
			}
		}
	}
	stands := func(h *vaulttest.House) {
		t.Helper()
		if _, err := h.Open(t.Context(), quality, vault.Ref{Patient: gone.Patient}); !errors.Is(err, record.ErrErased) {
			t.Errorf("the erased patient: %v; want erased", err)
		}
		if _, err := h.Open(t.Context(), quality, vault.Ref{Document: gone.ID}); !errors.Is(err, record.ErrErased) && !errors.Is(err, record.ErrNotFound) {
			t.Errorf("their document: %v; want erased", err)
		}
		readable(t, h, kept.Patient, doc)
	}
	dead()
	if n := w.putBack(t); n < 9 { // three objects and six wraps at least
		t.Errorf("%d copies were put back; want the object and two wraps in each region", n)
	}
	h = vaulttest.New(t, w.o)
	stands(h)
	h.Stop()

	old := w.o
	old.DSN = w.dump
	old.Dir = t.TempDir() // not even the spool is left
	for _, part := range []string{"regions", "keys"} {
		copyTo(t, filepath.Join(w.o.Dir, part), filepath.Join(old.Dir, part)) // of the region abroad
	}
	if _, err := vaulttest.Open(t.Context(), old); !errors.Is(err, vault.ErrCatalogBehind) {
		t.Fatalf("a start on the old catalog: %v; want it refused", err)
	}
	if _, err := vaulttest.ImportLog(t.Context(), old, "cn-east", vaulttest.Actor(record.RoleOperator)); err != nil {
		t.Fatalf("import: %v", err)
	}
	now.forward(time.Minute) // so that the import's own lease of the log is over
	h = vaulttest.New(t, old)
	stands(h)
	dead()
}
