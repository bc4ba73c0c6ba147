package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/keys"
	"medvault/storage"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// A process that stores one document and then, while it stores a second, is killed
// with SIGKILL at the n-th of its dealings with the outside: each read of the
// upload, each call of a region, each call of a key service, before and after.

const (
	crashDir   = "MEDVAULT_CRASH_DIR"
	crashPoint = "MEDVAULT_CRASH_POINT"

	crashRelease = "MEDVAULT_CRASH_RELEASE" // see supersede_test.go
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		point, err := strconv.ParseInt(os.Getenv(crashPoint), 10, 64)
		switch {
		case err != nil:
		case os.Getenv(crashLoad) != "":
			err = loadForEver(dir, os.Getenv(crashLoad) == "all")
		case os.Getenv(crashLanes) != "":
			err = storeForLanes(dir, os.Getenv(crashLanes))
		case os.Getenv(crashRedact) != "":
			err = redactForEver(dir, os.Getenv(crashRedact))
		case os.Getenv(crashErase) != "":
			err = eraseAndDie(dir, record.PatientToken(os.Getenv(crashErase)), point)
		case os.Getenv(crashRelease) != "":
			err = releaseAndDie(dir, point)
		default:
			err = storeAndDie(dir, point)
		}
		fmt.Fprintln(os.Stderr, "child ended:", err)
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// crashDocument is large enough that its upload takes several reads, and each is the
// first of its patient, so that keys are made and wrapped on the way.
func crashDocument(instance int) []byte {
	return imagingtest.CT(imagingtest.NewPatient(uint64(90+instance)), imagingtest.Options{Study: 1, Series: 1, Instance: instance, Rows: 256, Columns: 256})
}

func storeAndDie(dir string, point int64) error {
	k := &killer{at: -1}
	h, err := vaulttest.Open(context.Background(), vaulttest.Options{
		Dir:     dir,
		Store:   func(_, _ string, s storage.Store) storage.Store { return deadlyStore{s, k} },
		Wrapper: func(_ string, w keys.Wrapper) keys.Wrapper { return deadlyWrapper{w, k} },
	})
	if err != nil {
		return err
	}
	for instance := 1; instance <= 2; instance++ {
		if instance == 2 {
			k.arm(point)
		}
		r, err := h.Put(context.Background(), radiology, vault.Upload{Body: deadlyReader{bytes.NewReader(crashDocument(instance)), k}})
		if err != nil {
			return err
		}
		fmt.Println("acknowledged", instance, r.ID) // unbuffered: the parent sees it although we die
	}
	return errors.New("lived through it")
}

// killer ends the process at the n-th call of step after arm.
type killer struct {
	at   int64
	seen atomic.Int64
}

func (k *killer) arm(n int64) { k.at = n; k.seen.Store(0) }

func (k *killer) step() {
	if k.seen.Add(1) == k.at {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal ends us
	}
}

type deadlyReader struct {
	io.Reader
	k *killer
}

func (r deadlyReader) Read(p []byte) (int, error) {
	r.k.step()
	return r.Reader.Read(p[:min(len(p), 16<<10)])
}

type deadlyStore struct {
	storage.Store
	k *killer
}

func (s deadlyStore) Put(ctx context.Context, key string, body storage.Body) error {
	s.k.step()
	defer s.k.step()
	return s.Store.Put(ctx, key, body)
}

func (s deadlyStore) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	s.k.step()
	return s.Store.Get(ctx, key, offset, length)
}

func (s deadlyStore) Delete(ctx context.Context, key string) error {
	s.k.step()
	defer s.k.step()
	return s.Store.Delete(ctx, key)
}

func (s deadlyStore) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	s.k.step()
	return s.Store.List(ctx, prefix, after)
}

type deadlyWrapper struct {
	keys.Wrapper
	k *killer
}

func (w deadlyWrapper) Wrap(ctx context.Context, items []keys.Bound) ([]keys.Wrap, error) {
	w.k.step()
	defer w.k.step()
	return w.Wrapper.Wrap(ctx, items)
}

func TestKillAtAnyPointOfTheStoreFlow(t *testing.T) {
	// 24 points cover the reads of the second upload, its puts in three regions, their
	// reading back, and the time after the acknowledgement.
	for point := int64(1); point <= 24; point += apart {
		t.Run(strconv.FormatInt(point, 10), func(t *testing.T) {
			t.Parallel()
			killAt(t, t.TempDir(), point)
		})
	}
}

func killAt(t *testing.T, dir string, point int64) {
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+dir, crashPoint+"="+strconv.FormatInt(point, 10))
	out, err := child.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("child = %v; want it killed", err)
	}
	killed := exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	if !killed && !bytes.Contains(exit.Stderr, []byte("lived through it")) {
		t.Fatalf("child = %v: %s", err, exit.Stderr)
	}
	if !killed && point <= 20 {
		t.Errorf("the child lived through point %d: the store flow has fewer than 20", point)
	}
	acknowledged := bytes.Count(out, []byte("acknowledged"))
	if acknowledged == 0 {
		t.Fatal("the first document was not acknowledged")
	}

	h := vaulttest.New(t, vaulttest.Options{Dir: dir})
	first, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(crashDocument(1))})
	if err != nil || !first.Present {
		t.Fatalf("the first document after the restart: present %v, %v; want it there", first.Present, err)
	}
	treat(t, h, first.Patient)
	if got := read(t, open(t, h, clinician, vault.Ref{Document: first.ID})[0]); !bytes.Equal(got, crashDocument(1)) {
		t.Error("the acknowledged document did not come back")
	}
	page, err := h.Find(t.Context(), quality, vault.Query{Level: vault.LevelInstance})
	if err != nil || len(page.Matches) < acknowledged || len(page.Matches) > 2 {
		t.Fatalf("found %d instances, %v; %d were acknowledged", len(page.Matches), err, acknowledged)
	}
	for _, m := range page.Matches {
		read(t, open(t, h, quality, vault.Ref{Study: m.Study, Series: m.Series, Instance: m.Instance})[0]) // whole: its hash is checked
	}
	// What the crash left unreferenced is gone, and nothing that was promised is amiss.
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
	second, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(crashDocument(2))})
	if err != nil {
		t.Fatalf("second document sent again = %v", err)
	}
	if second.Present != (len(page.Matches) == 2) {
		t.Errorf("second document present %v with %d visible", second.Present, len(page.Matches))
	}
	treat(t, h, second.Patient)
	if got := read(t, open(t, h, clinician, vault.Ref{Document: second.ID})[0]); !bytes.Equal(got, crashDocument(2)) {
		t.Error("the second document did not come back")
	}
	if report, err := h.AuditVerify(t.Context(), vaulttest.Actor(record.RoleAuditor)); err != nil || !report.Intact {
		t.Errorf("AuditVerify = %+v, %v; want intact", report, err)
	}
}
