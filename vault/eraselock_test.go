package vault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"medvault/storage"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// What an object lock keeps is dead: the certificate names it with its date, and is complete.
func TestCertificateNamesWhatALockKeeps(t *testing.T) {
	t.Parallel()
	o := lockingHouse(t)
	o.Terms = locks(storage.Compliance, time.Hour)
	o.Terms["cn-east"] = vault.RegionTerms{KeySnapshots: 14 * 24 * time.Hour}
	now := newClock()
	now.ms.Store(time.Now().UnixMilli()) // the store goes by its own
	o.Now, o.Poll = now.now, 5*time.Millisecond
	h := vaulttest.New(t, o)
	gone, kept, doc := sameShard(t, h, 9450)
	copied(t, h)
	eventually(t, "it is locked", func() bool {
		now.forward(time.Second) // so that what waits is due
		return !there(t, h, gone.ID).LockedUntil.IsZero()
	})
	eventually(t, "no lock is to be set", func() bool { return state(t, h, locking).Lock.Pending == 0 })
	until := there(t, h, gone.ID).LockedUntil

	n := patientsOwn
	n.Patient = gone.Patient
	cert := certified(t, h, now, erasePatient(t, h, n).ID)
	checkCertificate(t, cert)
	if cert.State != vault.CertificateComplete {
		t.Errorf("certificate: %q, %v; want it complete: what is locked is dead", cert.State, cert.Pending())
	}
	for _, r := range cert.Regions {
		switch r.Region {
		case locking:
			if r.Locked == 0 || r.LockedUntil == nil || r.LockedUntil.Before(until) {
				t.Fatalf("%s: %+v; want objects locked until %s at least", r.Region, r, until)
			}
			if want := fmt.Sprintf("done; %d objects unreadable, ciphertext retained until %s", r.Locked, r.LockedUntil.Format(time.RFC3339)); r.Status != want || r.Keys != "destroyed" {
				t.Errorf("%s: %q, keys %s; want %q, destroyed", r.Region, r.Status, r.Keys, want)
			}
		default:
			if r.Status != "done" || r.Locked != 0 {
				t.Errorf("%s: %+v; want it done, nothing locked", r.Region, r)
			}
		}
		if told := r.SnapshotsUntil != nil; told != (r.Region == "cn-east") || told && !r.SnapshotsUntil.Equal(r.KeysDead.Add(14*24*time.Hour)) {
			t.Errorf("%s: snapshots until %v; want two weeks from %v in cn-east alone", r.Region, r.SnapshotsUntil, r.KeysDead)
		}
	}
	if info := there(t, h, gone.ID); info.LockMode != storage.Compliance {
		t.Errorf("the ciphertext lies there with lock %q; want it kept", info.LockMode)
	}
	if _, err := h.Open(t.Context(), quality, vault.Ref{Patient: gone.Patient}); !errors.Is(err, record.ErrErased) {
		t.Errorf("the erased patient: %v; want erased", err)
	}
	readable(t, h, kept.Patient, doc)
}
