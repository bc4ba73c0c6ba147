package vault_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/storage/dir"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

func idle(t *testing.T, h *vaulttest.House, kinds ...string) bool {
	t.Helper()
	for _, kind := range kinds {
		if n, err := h.Catalog.Pending(context.Background(), kind); err != nil || n > 0 {
			return false
		}
	}
	return true
}

// Copies that a withdrawal stopped are made when consent is given again before everything
// was cleared.
func TestConsentGivenAgainWhileItIsClearedBringsEverythingThere(t *testing.T) {
	t.Parallel()
	h, faults := faultyHouse(t, fast())
	there := faults[vaulttest.Foreign+"/data"]
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	stores := vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Evidence: evidence.ID}
	there.Inject(storetest.Fault{Op: "put", Err: errors.New("broken")})
	c := consentTo(t, h, r.Patient, stores)
	await(t, "copies fail", func() bool { return state(t, h, vaulttest.Foreign).Failures > 0 })
	there.Inject(storetest.Fault{Op: "delete", Err: errors.New("broken")})
	withdraw(t, h, r.Patient, c.ID)
	await(t, "the copies are given up", func() bool { return idle(t, h, "copy", "consent-keys-out", "consent-objects-out") })
	there.Heal()
	consentTo(t, h, r.Patient, stores)
	await(t, "all objects abroad", func() bool {
		objects, _ := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects) >= 3 && state(t, h, vaulttest.Foreign).Pending == 0 && idle(t, h, "remove", "copy", "consent-reach")
	})
	clean(t, h, vault.LevelRead)
}

// deletes is a store after whose first Delete of an object something happens; the caller
// does not hear that it was done.
type deletes struct {
	storage.Store
	after *atomic.Pointer[func()]
}

func (s deletes) Delete(ctx context.Context, key string) error {
	err := s.Store.Delete(ctx, key)
	if after := s.after.Load(); after != nil && strings.HasPrefix(key, "objects/") && s.after.CompareAndSwap(after, nil) {
		(*after)()
		return errors.Join(errors.New("cut"), err)
	}
	return err
}

func TestAnObjectDeletedWhileConsentIsGivenAgainComesBack(t *testing.T) {
	t.Parallel()
	var after atomic.Pointer[func()]
	o := fast()
	o.Store = func(region, bucket string, s storage.Store) storage.Store {
		if region != vaulttest.Foreign || bucket != "data" {
			return s
		}
		return deletes{s, &after}
	}
	h := vaulttest.New(t, o)
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	stores := vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Evidence: evidence.ID}
	c := consentTo(t, h, r.Patient, stores)
	await(t, "objects abroad", func() bool {
		return state(t, h, vaulttest.Foreign).Objects >= 3 && state(t, h, vaulttest.Foreign).Pending == 0
	})
	given := make(chan error, 1)
	again := func() {
		_, err := h.AddConsent(context.Background(), dpo, r.Patient, stores)
		for deadline := time.Now().Add(time.Minute); err == nil && !idle(t, h, "consent-reach") && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		given <- err
	}
	after.Store(&again)
	withdraw(t, h, r.Patient, c.ID)
	if err := <-given; err != nil {
		t.Fatalf("AddConsent = %v", err)
	}
	await(t, "nothing is under way", func() bool {
		return state(t, h, vaulttest.Foreign).Pending == 0 && idle(t, h, "remove", "copy", "consent-keys-out", "consent-objects-out")
	})
	clean(t, h, vault.LevelRead)
}

func TestAConsentEndsByItsDateInARegionThatJoinedLater(t *testing.T) {
	t.Parallel()
	at := new(movedClock)
	o := fast()
	o.Dir, o.Now, o.Without = t.TempDir(), at.now, []string{vaulttest.Foreign}
	h := vaulttest.New(t, o)
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	until := at.now().Add(2 * time.Hour)
	consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Until: &until, Evidence: evidence.ID})
	h.Stop()
	if _, err := dir.New(dir.Config{Root: filepath.Join(o.Dir, "regions", vaulttest.Foreign), Create: true}); err != nil {
		t.Fatal(err)
	}
	o.Without = nil
	h = vaulttest.New(t, o)
	await(t, "objects abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects) >= 3 && len(wraps) == 2 && state(t, h, vaulttest.Foreign).Pending == 0
	})
	at.forward(3 * time.Hour)
	await(t, "nothing abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects)+len(wraps) == 0
	})
	clean(t, h, vault.LevelList)
}

// What came abroad behind a withdrawal and was deleted by a gateway that was killed then
// is dead all the same.
func TestWrapsThatACutAttemptDeletedAreTrimmed(t *testing.T) {
	t.Parallel()
	var during atomic.Pointer[func()]
	var cut atomic.Bool
	var shared keys.Wrapper
	var version atomic.Int64 // of the last wrap that came abroad
	var shard atomic.Pointer[string]
	o := fast()
	o.Split = true
	o.Wrapper = func(_ string, w keys.Wrapper) keys.Wrapper {
		if shared == nil {
			shared = w
		}
		return shared
	}
	o.Store = func(region, bucket string, s storage.Store) storage.Store {
		if region != vaulttest.Foreign || bucket != "keys" {
			return s
		}
		return wrapsAbroad{s, &during, &cut, func(key string) {
			parts := strings.Split(key, "/") // wraps/KIND/SHARD/VERSION/TOKEN.GENERATION
			if n, err := strconv.Atoi(parts[3]); err == nil && parts[1] == string(keys.Identity) {
				version.Store(int64(n))
				shard.Store(&parts[2])
			}
		}}
	}
	h := vaulttest.New(t, o)
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	said := make(chan vault.Consent, 1)
	gone := make(chan error, 1)
	withdrawn := func() { // while the second wrap is on its way
		c := <-said
		for waits := int64(2); waits > 1; time.Sleep(10 * time.Millisecond) { // until this is the only one under way
			waits = 0
			for _, kind := range []string{"copy", "consent-reach", "consent-unlock"} {
				n, err := h.Catalog.Pending(context.Background(), kind)
				if waits += n; err != nil {
					gone <- err
					return
				}
			}
		}
		err := h.WithdrawConsent(context.Background(), dpo, r.Patient, c.ID)
		for deadline := time.Now().Add(time.Minute); err == nil && !idle(t, h, "consent-keys-out", "renew-keys") && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		cut.Store(true)
		gone <- err
	}
	during.Store(&withdrawn)
	said <- consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: evidence.ID})
	if err := <-gone; err != nil {
		t.Fatalf("WithdrawConsent = %v", err)
	}
	await(t, "nothing abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		_, split := lying(t, h.Dir, vaulttest.Foreign+"-keys")
		return len(objects)+len(wraps)+len(split) == 0 && !cut.Load() && idle(t, h, "copy", "remove", "consent-keys-out", "consent-objects-out", "renew-keys")
	})
	if _, oldest, err := shared.Version(t.Context(), keys.Identity, *shard.Load()); err != nil || oldest <= int(version.Load()) {
		t.Errorf("the oldest version that opens is %d, %v; a wrap of version %d lay abroad", oldest, err, version.Load())
	}
}

// wrapsAbroad is a store of keys: during the first Put of an identity key's wrap something
// happens, and of the Delete of the last one the caller does not hear that it was done.
type wrapsAbroad struct {
	storage.Store
	during *atomic.Pointer[func()]
	cut    *atomic.Bool
	came   func(key string)
}

func (s wrapsAbroad) Put(ctx context.Context, key string, body storage.Body) error {
	if now := s.during.Load(); now != nil && strings.HasPrefix(key, "wraps/identity/") && s.during.CompareAndSwap(now, nil) {
		(*now)()
	}
	err := s.Store.Put(ctx, key, body)
	if err == nil && strings.HasPrefix(key, "wraps/") {
		s.came(key)
	}
	return err
}

func (s wrapsAbroad) Delete(ctx context.Context, key string) error {
	err := s.Store.Delete(ctx, key)
	if s.cut.Load() && strings.HasPrefix(key, "wraps/identity/") {
		for range s.List(ctx, "wraps/identity/", "") {
			return err // not the last
		}
		s.cut.Store(false)
		return errors.Join(errors.New("cut"), err)
	}
	return err
}

// A lock that was still to be set when consent was withdrawn is not set any more.
func TestNothingIsLockedThatIsOnItsWayOut(t *testing.T) {
	t.Parallel()
	o := fast()
	o.Dir = t.TempDir()
	o.Terms = map[string]vault.RegionTerms{vaulttest.Foreign: {Lock: vault.RegionLock{Mode: storage.Governance, For: time.Hour}}}
	var keeps, locks *storetest.Faulty
	o.Store = func(region, bucket string, s storage.Store) storage.Store {
		if region != vaulttest.Foreign || bucket != "data" {
			return s
		}
		keeps = storetest.NewFaulty(lockable{s})
		locks = storetest.NewFaulty(keeps)
		locks.Inject(storetest.Fault{Op: "lock", Err: errors.New("broken")})
		return locks
	}
	h := vaulttest.New(t, o)
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	c := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Evidence: evidence.ID})
	await(t, "objects abroad", func() bool {
		return state(t, h, vaulttest.Foreign).Objects >= 3 && state(t, h, vaulttest.Foreign).Lock.Pending >= 3
	})
	keeps.Inject(storetest.Fault{Op: "delete", Err: errors.New("broken")})
	withdraw(t, h, r.Patient, c.ID)
	await(t, "removals are ordered", func() bool { return !idle(t, h, "remove") && idle(t, h, "consent-keys-out", "consent-objects-out") })
	locks.Heal()
	await(t, "no lock waits", func() bool { return idle(t, h, "lock") })
	if n := keeps.Count("lock"); n > 0 {
		t.Errorf("%d objects were locked after consent for them was withdrawn", n)
	}
	keeps.Heal()
	await(t, "nothing abroad", func() bool { objects, _ := lying(t, h.Dir, vaulttest.Foreign); return len(objects) == 0 })
}

// lockable is a store that says it locks.
type lockable struct{ storage.Store }

func (lockable) Probe(context.Context) (storage.Capabilities, error) {
	return storage.Capabilities{ObjectLock: true}, nil
}
func (lockable) Lock(context.Context, string, time.Time, storage.LockMode) error { return nil }

// A repair that is bringing something abroad when consent goes does not leave it there.
func TestARepairUnderWayWhenConsentGoesLeavesNothingAbroad(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"objects/", "wraps/"} {
		t.Run(strings.Trim(prefix, "/"), func(t *testing.T) {
			t.Parallel()
			var during atomic.Pointer[func()]
			o := fast()
			o.Store = func(region, bucket string, s storage.Store) storage.Store {
				if region != vaulttest.Foreign {
					return s
				}
				return puts{s, prefix, &during}
			}
			h := vaulttest.New(t, o)
			p := patient()
			r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
			c := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: evidence.ID})
			var objects, wraps []string
			await(t, "objects abroad", func() bool {
				objects, wraps = lying(t, h.Dir, vaulttest.Foreign)
				return len(objects) >= 3 && len(wraps) == 2 && state(t, h, vaulttest.Foreign).Pending == 0 && idle(t, h, "consent-unlock")
			})
			lost := wraps[0]
			if prefix == "objects/" {
				lost = r.ID.Key("objects")
			}
			if err := os.Remove(filepath.Join(h.Dir, "regions", vaulttest.Foreign, lost)); err != nil {
				t.Fatal(err)
			}
			gone := make(chan error, 1)
			withdrawn := func() {
				err := h.WithdrawConsent(context.Background(), dpo, r.Patient, c.ID)
				for deadline := time.Now().Add(time.Minute); err == nil && !idle(t, h, "consent-keys-out", "consent-objects-out", "remove") && time.Now().Before(deadline); {
					time.Sleep(10 * time.Millisecond)
				}
				gone <- err
			}
			during.Store(&withdrawn)
			if _, err := h.Repair(t.Context(), operator, vault.RepairOptions{Level: vault.LevelRead, Region: vaulttest.Foreign}, nil); err != nil {
				t.Fatalf("Repair = %v", err)
			}
			if err := <-gone; err != nil {
				t.Fatalf("WithdrawConsent = %v", err)
			}
			await(t, "nothing abroad", func() bool {
				objects, wraps = lying(t, h.Dir, vaulttest.Foreign)
				return len(objects)+len(wraps) == 0
			})
			clean(t, h, vault.LevelList)
		})
	}
}

// puts is a store during whose next Put of some keys something happens.
type puts struct {
	storage.Store
	prefix string
	during *atomic.Pointer[func()]
}

func (s puts) Put(ctx context.Context, key string, body storage.Body) error {
	if now := s.during.Load(); now != nil && strings.HasPrefix(key, s.prefix) && s.during.CompareAndSwap(now, nil) {
		(*now)()
	}
	return s.Store.Put(ctx, key, body)
}

// A patient of whom a record is missing may have withdrawn what the catalog still has:
// while they are frozen nothing of theirs goes abroad.
func TestNothingOfAFrozenPatientGoesAbroad(t *testing.T) {
	t.Parallel()
	o := fast()
	o.Dir = t.TempDir()
	h, faults := faultyHouse(t, o) // o itself has no faults
	faults[vaulttest.Foreign+"/data"].Inject(storetest.Fault{Op: "put", Err: errors.New("broken")})
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: evidence.ID})
	await(t, "copies fail", func() bool { return state(t, h, vaulttest.Foreign).Failures > 0 })
	h.Stop() // no copy is under way when they are frozen
	become := func(state string) {
		t.Helper()
		index, err := catalog.Open(t.Context(), catalog.Config{DSN: "sqlite:" + filepath.Join(o.Dir, "catalog.db")})
		if err != nil {
			t.Fatal(err)
		}
		err = index.Update(t.Context(), func(tx *catalog.Tx) error {
			row, err := tx.LockPatient(t.Context(), r.Patient)
			if err != nil {
				return err
			}
			row.State = state
			return tx.UpdatePatient(t.Context(), row)
		})
		if err := errors.Join(err, index.Close()); err != nil {
			t.Fatal(err)
		}
	}
	become(catalog.Frozen)
	_, before := lying(t, o.Dir, vaulttest.Foreign)
	h = vaulttest.New(t, o)
	await(t, "copies wait", func() bool { return state(t, h, vaulttest.Foreign).LastFailed == "not-permitted" })
	if objects, wraps := lying(t, o.Dir, vaulttest.Foreign); len(objects) > 0 || len(wraps) > len(before) {
		t.Errorf("%d objects and %d wraps abroad of a frozen patient; want none and %d", len(objects), len(wraps), len(before))
	}
	become(catalog.Active)
	await(t, "objects abroad", func() bool {
		objects, wraps := lying(t, o.Dir, vaulttest.Foreign)
		return len(objects) >= 3 && len(wraps) == 2
	})
}
