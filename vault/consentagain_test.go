package vault_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
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
