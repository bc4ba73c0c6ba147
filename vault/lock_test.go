package vault_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"medvault/storage"
	"medvault/storage/minio"
	"medvault/storage/s3"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

const locking = "cn-south"

// lockingHouse is a vault one region of which lies in a bucket with object lock.
func lockingHouse(t *testing.T) vaulttest.Options {
	t.Helper()
	server, name := storetest.Servers(t)[0], storetest.BucketName()
	return vaulttest.Options{Dir: t.TempDir(), Linger: 1, Bucket: func(region, bucket string) (storage.Store, error) {
		if region != locking || bucket != "data" {
			return nil, nil
		}
		return minio.New(context.Background(), minio.Config{Endpoint: server.Endpoint, AccessKey: server.Access, SecretKey: server.Secret, Region: "us-east-1",
			Bucket: name, PathStyle: true, Insecure: true, CreateBucket: true, ObjectLock: true, Limits: s3.Limits{MaxRetention: time.Hour}})
	}}
}

func locks(mode storage.LockMode, d time.Duration) map[string]vault.RegionTerms {
	return map[string]vault.RegionTerms{locking: {Lock: vault.RegionLock{Mode: mode, For: d}}}
}

// there tells what the store of the locking region says of an object.
func there(t *testing.T, h *vaulttest.House, id record.ObjectID) storage.Info {
	t.Helper()
	r, _ := h.Set.Region(locking)
	info, err := r.Data.Head(t.Context(), id.Key("objects"))
	if err != nil {
		t.Fatalf("Head = %v", err)
	}
	return info
}

func TestLocksAreSetAfterTheCommit(t *testing.T) {
	t.Parallel()
	o := lockingHouse(t)
	h := vaulttest.New(t, o)
	early := put(t, h, ct(patient(), 1)) // before anybody asked for locks
	eventually(t, "three copies", func() bool { return len(holders(t, h, early.ID)) == 3 })
	if info := there(t, h, early.ID); !info.LockedUntil.IsZero() {
		t.Errorf("locked until %s though nobody asked for it", info.LockedUntil)
	}
	h.Stop()

	o.Terms = locks(storage.Governance, time.Hour)
	h = vaulttest.New(t, o)
	late := put(t, h, ct(patient(), 2))
	eventually(t, "three copies", func() bool { return len(holders(t, h, late.ID)) == 3 })
	eventually(t, "it is locked", func() bool { return !there(t, h, late.ID).LockedUntil.IsZero() })
	if info := there(t, h, late.ID); info.LockMode != storage.Governance || time.Until(info.LockedUntil) < 50*time.Minute {
		t.Errorf("locked = %s until %s", info.LockMode, info.LockedUntil)
	}
	eventually(t, "no lock is to be set", func() bool { return state(t, h, locking).Lock.Pending == 0 })
	if s := state(t, h, locking); s.Lock.Mode != "governance" || s.Failures != 0 {
		t.Errorf("the region's state = %+v", s)
	}
	if r := verify(t, h, "list"); len(r.Findings) > 0 {
		t.Errorf("findings of level list = %+v", r.Findings)
	}
	r := verify(t, h, "read")
	if len(r.Findings) != 1 || r.Findings[0].Type != vault.FindingUnlocked || r.Findings[0].Object != string(early.ID) || r.Findings[0].Region != locking {
		t.Fatalf("findings = %+v; want %s unlocked", r.Findings, early.ID)
	}
	done := mend(t, h, vault.RepairOptions{Level: "read"})
	if len(done.Steps) != 1 || done.Steps[0].Outcome != vault.OutcomeRepaired || done.Left != 0 {
		t.Errorf("repair = %+v", done)
	}
	if there(t, h, early.ID).LockMode != storage.Governance {
		t.Error("the repair did not lock it")
	}
	if r := verify(t, h, "read"); len(r.Findings) > 0 {
		t.Errorf("findings after the repair = %+v", r.Findings)
	}
	if n := len(leaves(t, h, "object.locked")); n != 1 {
		t.Errorf("%d leaves of the repair; want 1", n)
	}
}

func TestWhatALockKeepsIsRemovedAfterItsDate(t *testing.T) {
	t.Parallel()
	o := lockingHouse(t)
	o.Terms = locks(storage.Compliance, 15*time.Second)
	h := vaulttest.New(t, o)
	old := put(t, h, burned(patient(), 1))
	eventually(t, "three copies", func() bool { return len(holders(t, h, old.ID)) == 3 })
	eventually(t, "it is locked", func() bool { return there(t, h, old.ID).LockMode == storage.Compliance })
	until := there(t, h, old.ID).LockedUntil
	release(t, h, old.ID, vault.Mask{Width: 4, Height: 4})
	eventually(t, "it is written down as dead", func() bool { return state(t, h, locking).Lock.Dead == 1 })
	s := state(t, h, locking)
	if s.Lock.DeadUntil == nil || !s.Lock.DeadUntil.Equal(until) || s.Failures != 0 {
		t.Errorf("dead until %v with %d failures; want %s and none", s.Lock.DeadUntil, s.Failures, until)
	}
	kept := leaves(t, h, "object.locked-dead")
	if len(kept) != 1 || kept[0].Object != old.ID || !strings.HasPrefix(kept[0].Reason, "until ") || kept[0].Commit.Regions[0] != locking {
		t.Errorf("leaves of what is kept = %+v", kept)
	}
	for time.Now().Before(until) && len(holders(t, h, old.ID)) > 0 {
		time.Sleep(200 * time.Millisecond) // nothing tells that a store's lock has ended
	}
	eventually(t, "it is gone after its date", func() bool {
		return len(holders(t, h, old.ID)) == 0 && state(t, h, locking).Lock.Dead == 0
	})
	if time.Now().Before(until) {
		t.Error("removed before its lock ended")
	}
	if n := len(leaves(t, h, "object.removed")); n != 3 {
		t.Errorf("%d leaves of removals; want one of each region", n)
	}
}
