package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// A process that erases a patient is killed with SIGKILL at the n-th of its calls of
// regions and key services. The next goes on: the patient is dead everywhere, all others
// open.

const crashErase = "MEDVAULT_CRASH_ERASE" // token of the patient

// buryingStore and buryingKeys are steps at what the others leave out.
type buryingStore struct{ deadlyStore }

func (s buryingStore) Head(ctx context.Context, key string) (storage.Info, error) {
	s.k.step()
	return s.Store.Head(ctx, key)
}

type buryingKeys struct{ deadlyWrapper }

func (w buryingKeys) Unwrap(ctx context.Context, items []keys.Bound) ([]keys.DEK, error) {
	w.k.step()
	return w.Wrapper.Unwrap(ctx, items)
}

func (w buryingKeys) Rewrap(ctx context.Context, items []keys.Bound) ([]keys.Wrap, error) {
	w.k.step()
	defer w.k.step()
	return w.Wrapper.Rewrap(ctx, items)
}

func (w buryingKeys) Rotate(ctx context.Context, kind keys.Kind, shard string) (int, error) {
	w.k.step()
	defer w.k.step()
	return w.Wrapper.Rotate(ctx, kind, shard)
}

func (w buryingKeys) Version(ctx context.Context, kind keys.Kind, shard string) (int, int, error) {
	w.k.step()
	return w.Wrapper.Version(ctx, kind, shard)
}

func (w buryingKeys) Trim(ctx context.Context, kind keys.Kind, shard string, version int) error {
	w.k.step()
	defer w.k.step()
	return w.Wrapper.Trim(ctx, kind, shard, version)
}

// eraseAndDie erases a patient until the certificate, and tells how many calls that took.
func eraseAndDie(dir string, p record.PatientToken, point int64) error {
	k, now, ctx := &killer{at: -1}, newClock(), context.Background()
	h, err := vaulttest.Open(ctx, vaulttest.Options{
		Dir: dir, Now: now.now, Poll: 5 * time.Millisecond,
		Store:   func(_, _ string, s storage.Store) storage.Store { return buryingStore{deadlyStore{s, k}} },
		Wrapper: func(_ string, w keys.Wrapper) keys.Wrapper { return buryingKeys{deadlyWrapper{w, k}} },
	})
	if err != nil {
		return err
	}
	n := patientsOwn
	n.Patient = p
	k.arm(point)
	e, err := h.ProposeErasure(ctx, dpo, n)
	if err != nil {
		return err
	}
	if e, err = h.ApproveErasure(ctx, eraseAdmin, e.ID); err != nil {
		return err
	}
	now.forward(10 * time.Minute)
	for began := time.Now(); e.State != catalog.ErasureDone; {
		if time.Since(began) > 2*time.Minute {
			return errors.New("it is not certified")
		}
		time.Sleep(20 * time.Millisecond)
		now.forward(time.Second) // so that what waits is due
		list, err := h.Erasures(ctx, dpo, e.ID, "")
		if err != nil {
			return err
		}
		e = list[0]
	}
	fmt.Println(k.seen.Load())
	return errors.New("lived through it")
}

func TestKillAtAnyPointOfAnErasure(t *testing.T) {
	t.Parallel()
	w := buriedWard{o: vaulttest.Options{Dir: t.TempDir(), Now: newClock().now, Poll: 5 * time.Millisecond}}
	h := vaulttest.New(t, w.o)
	w.gone, w.kept, w.doc = sameShard(t, h, 9480)
	copied(t, h)
	h.Stop()
	const never = 1 << 40
	calls := w.killedAt(t, never)
	if calls < 60 {
		t.Fatalf("the erasure took %d calls; it has more", calls)
	}
	// The jobs go on side by side, so that the same point is not the same call each time:
	// a fair sample of all points is taken.
	points := int64(24)
	if raced {
		points = 4
	}
	for i := range points {
		point := 1 + i*(calls-1)/points
		t.Run(strconv.FormatInt(point, 10), func(t *testing.T) {
			t.Parallel()
			w.killedAt(t, point)
		})
	}
}

// killedAt kills an erasure at a point, has the next process go on, and tells how many
// calls the first lived to see, if it did.
func (w buriedWard) killedAt(t *testing.T, point int64) (calls int64) {
	t.Helper()
	back := w.copyOf(t)
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+back.o.Dir, crashPoint+"="+strconv.FormatInt(point, 10), crashErase+"="+string(w.gone.Patient))
	out, err := child.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("child = %v; want it killed", err)
	}
	if killed := exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL; !killed {
		if !bytes.Contains(exit.Stderr, []byte("lived through it")) {
			t.Fatalf("child = %v: %s", err, exit.Stderr)
		}
		if calls, err = strconv.ParseInt(string(bytes.TrimSpace(out)), 10, 64); err != nil {
			t.Fatal(err)
		}
	}

	back.now = newClock()
	back.now.forward(24 * time.Hour) // the leases of the dead one are over, and nothing waits
	back.o.Now = back.now.now
	h := vaulttest.New(t, back.o)
	n := patientsOwn
	n.Patient = w.gone.Patient
	list, err := h.Erasures(t.Context(), dpo, "", w.gone.Patient)
	switch {
	case err != nil:
		t.Fatal(err)
	case len(list) == 0: // nobody was told that it is proposed
		back.erasure = erasePatient(t, h, n).ID
	case list[0].State == catalog.ErasureProposed:
		if _, err := h.Open(t.Context(), quality, vault.Ref{Patient: w.gone.Patient}); err != nil {
			t.Errorf("proposed, and not approved: %v; want it read", err)
		}
		if _, err := h.ApproveErasure(t.Context(), eraseAdmin, list[0].ID); err != nil {
			t.Fatal(err)
		}
		back.erasure = list[0].ID
	default:
		back.erasure = list[0].ID
	}
	cert := certified(t, h, back.now, back.erasure)
	if cert.State != vault.CertificateComplete {
		t.Errorf("certificate: %q, %v; want it complete", cert.State, cert.Pending())
	}
	checkCertificate(t, cert)
	back.standsErased(t, h)
	for _, region := range vaulttest.Regions() {
		at := filepath.Join(back.o.Dir, "regions", region)
		for _, left := range [][]string{filesNamed(t, filepath.Join(at, "wraps"), string(w.gone.Patient)), filesNamed(t, at, string(w.gone.ID))} {
			if len(left) > 0 {
				t.Errorf("%s holds %v; want nothing of the patient", region, left)
			}
		}
	}
	h.Stop()
	old := w // the wraps as they were before
	old.o.Dir = back.o.Dir
	old.nothingOpens(t, w.o.Dir)
	return calls
}
