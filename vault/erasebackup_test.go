package vault_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"medvault/keys"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// buriedWard is a stopped vault with a patient who was erased, another whose keys lie in
// the same shards' service, and everything as it was before the erasure.
type buriedWard struct {
	o          vaulttest.Options
	now        *clock
	gone, kept vault.Receipt
	doc        []byte
	before     string // a copy of catalog and regions
	erasure    record.ObjectID
	logKey     string
}

func newBuriedWard(t *testing.T) buriedWard {
	t.Helper()
	w := buriedWard{now: newClock(), before: t.TempDir()}
	w.o = vaulttest.Options{Dir: t.TempDir(), Now: w.now.now, Poll: 5 * time.Millisecond}
	h := vaulttest.New(t, w.o)
	w.gone, w.kept, w.doc = sameShard(t, h, 9300)
	copied(t, h)
	if err := h.ExportLog(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	for _, part := range []string{"catalog.db", "regions"} {
		copyTo(t, filepath.Join(w.o.Dir, part), filepath.Join(w.before, part))
	}
	h = vaulttest.New(t, w.o)
	n := patientsOwn
	n.Patient = w.gone.Patient
	w.erasure = erasePatient(t, h, n).ID
	cert := certified(t, h, w.now, w.erasure)
	checkCertificate(t, cert)
	w.logKey = cert.LogKey
	if err := h.ExportLog(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	return w
}

// copyTo copies a file or a tree; what is there already stays.
func copyTo(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if _, err := os.Stat(target); err == nil {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// nothingOpens fails if a wrap that lies in any region opens a key of the erased patient.
func (w buriedWard) nothingOpens(t *testing.T, root string) {
	t.Helper()
	tried := 0
	ward := &ward{dir: root}
	for _, region := range vaulttest.Regions() {
		service := localKeys(t, w.o.Dir, region)
		for _, kind := range []keys.Kind{keys.Content, keys.Identity} {
			for _, wrap := range ward.lying(t, region, kind, string(w.gone.Patient)) {
				tried++
				if _, err := service.Unwrap(t.Context(), []keys.Bound{wrap}); !errors.Is(err, keys.ErrRefused) {
					t.Errorf("%s: a %s wrap of version %d: %v; want it refused", region, kind, wrap.Wrap.Version, err)
				}
			}
		}
	}
	if tried < 6 {
		t.Errorf("%d wraps were tried; want those of three regions and two kinds", tried)
	}
}

// After an erasure, with every backup made before put back, nothing of the patient opens;
// another patient of the same shard still does.
func TestPromise5_3BackupsOpenNothing(t *testing.T) {
	t.Parallel()
	w := newBuriedWard(t)

	t.Run("the backup by itself", func(t *testing.T) { w.nothingOpens(t, w.before) })

	t.Run("bucket copies put back", func(t *testing.T) {
		back := w.copyOf(t)
		copyTo(t, filepath.Join(w.before, "regions"), filepath.Join(back.o.Dir, "regions"))
		back.nothingOpens(t, back.o.Dir)
		h := vaulttest.New(t, back.o)
		back.standsErased(t, h)
		if _, err := h.RotateKeys(t.Context(), eraseAdmin); err != nil { // wraps that were put back hold nothing up
			t.Errorf("rotate: %v", err)
		}
	})

	t.Run("catalog and bucket copies put back", func(t *testing.T) {
		back := w.copyOf(t)
		copyTo(t, filepath.Join(w.before, "regions"), filepath.Join(back.o.Dir, "regions"))
		back.oldCatalog(t, w.before)
		if _, err := vaulttest.Open(t.Context(), back.o); !errors.Is(err, vault.ErrCatalogBehind) {
			t.Fatalf("a start on the old catalog: %v; want it refused", err)
		}
		if _, err := vaulttest.ImportLog(t.Context(), back.o, "cn-east", vaulttest.Actor(record.RoleOperator)); err != nil {
			t.Fatalf("import: %v", err)
		}
		h := vaulttest.New(t, back.o)
		back.standsErased(t, h)
		back.now.forward(time.Minute) // so that the import's own lease of the log is over
		// The record of the proposal is not in this catalog: the erasure goes by its approval.
		list, err := h.Erasures(t.Context(), dpo, "", w.gone.Patient)
		if err != nil || len(list) != 1 {
			t.Fatalf("erasures: %+v, %v; want the one that is obeyed", list, err)
		}
		// It is carried out anew; what it waits for, and who vouches, is said meanwhile.
		cert, err := h.ErasureCertificate(t.Context(), dpo, list[0].ID)
		if err != nil || cert.State != vault.CertificatePending || len(cert.Pending()) == 0 {
			t.Errorf("certificate: %q, %v, %v; want it pending", cert.State, cert.Pending(), err)
		}
		if file, err := cert.File(); err != nil {
			t.Error(err)
		} else if _, err := vault.CheckCertificate(file, w.logKey); err != nil {
			t.Errorf("the pending certificate: %v", err)
		}
	})

	t.Run("a new catalog from one region", func(t *testing.T) {
		back := w.copyOf(t)
		copyTo(t, filepath.Join(w.before, "regions"), filepath.Join(back.o.Dir, "regions"))
		if err := os.Remove(filepath.Join(back.o.Dir, "catalog.db")); err != nil {
			t.Fatal(err)
		}
		if _, err := vaulttest.Rebuild(t.Context(), back.o, "cn-south"); err != nil {
			t.Fatalf("rebuild: %v", err)
		}
		back.now.forward(time.Minute) // so that the rebuild's own lease of the log is over
		h := vaulttest.New(t, back.o)
		back.standsErased(t, h)
		cert, err := h.ErasureCertificate(t.Context(), dpo, w.erasure)
		if err != nil {
			t.Fatalf("certificate after a rebuild: %v", err)
		}
		checkCertificate(t, cert)
	})

	t.Run("everything put back, the log of the regions too", func(t *testing.T) {
		back := w.copyOf(t)
		for _, part := range []string{"catalog.db", "catalog.db-wal", "catalog.db-shm", "regions"} {
			if err := os.RemoveAll(filepath.Join(back.o.Dir, part)); err != nil {
				t.Fatal(err)
			}
		}
		copyTo(t, w.before, back.o.Dir)
		back.nothingOpens(t, back.o.Dir)
		h, err := vaulttest.Open(t.Context(), back.o)
		if err != nil {
			return // not even the house's keys open
		}
		defer h.Stop()
		if _, err := h.Open(t.Context(), quality, vault.Ref{Patient: w.gone.Patient}); err == nil {
			t.Error("the erased patient's documents open")
		}
	})
}

// copyOf is the vault in another place.
func (w buriedWard) copyOf(t *testing.T) buriedWard {
	t.Helper()
	to := w
	to.o.Dir = t.TempDir()
	copyTo(t, w.o.Dir, to.o.Dir)
	return to
}

func (w buriedWard) oldCatalog(t *testing.T, from string) {
	t.Helper()
	for _, name := range []string{"catalog.db", "catalog.db-wal", "catalog.db-shm"} {
		if err := os.Remove(filepath.Join(w.o.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	copyTo(t, filepath.Join(from, "catalog.db"), filepath.Join(w.o.Dir, "catalog.db"))
}

// standsErased fails unless the one patient is erased, and the other's document comes back.
func (w buriedWard) standsErased(t *testing.T, h *vaulttest.House) {
	t.Helper()
	for _, ref := range []vault.Ref{{Patient: w.gone.Patient}, {Document: w.gone.ID}} {
		if _, err := h.Open(t.Context(), quality, ref); !errors.Is(err, record.ErrErased) && !(ref.Document != "" && errors.Is(err, record.ErrNotFound)) {
			t.Errorf("Open(%+v) = %v; want erased", ref, err)
		}
	}
	readable(t, h, w.kept.Patient, w.doc)
	for _, region := range vaulttest.Regions()[:3] {
		found := filesNamed(t, filepath.Join(h.Dir, "regions", region, "tombstones"), string(w.gone.Patient))
		if len(found) != 1 || !strings.HasSuffix(found[0], ".1") {
			t.Errorf("%s: tombstones %v; want the one", region, found)
		}
	}
}
