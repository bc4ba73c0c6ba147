package vault_test

import (
	"sync"
	"testing"

	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// A person who asks two gateways at once, as a browser that tries again does, breaks the
// glass once: one record, one alarm, one review.
func TestTwoGatewaysBreakTheGlassOnce(t *testing.T) {
	t.Parallel()
	o := vaulttest.Options{Dir: t.TempDir()}
	gateways := []*vaulttest.House{vaulttest.New(t, o), vaulttest.New(t, o)}
	p := put(t, gateways[0], ct(patient(), 1)).Patient
	inEmergency := clinician
	inEmergency.Purpose = record.PurposeETreat
	why, err := record.NewEmergency("unconscious, allergies unknown")
	if err != nil {
		t.Fatal(err)
	}
	var (
		asking sync.WaitGroup
		mu     sync.Mutex
		opened = make(map[record.ObjectID]bool)
	)
	for i := range 8 {
		asking.Go(func() {
			b, err := gateways[i%2].BreakGlass(t.Context(), inEmergency, p, why)
			if err != nil {
				t.Errorf("BreakGlass = %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			opened[b.ID] = true
		})
	}
	asking.Wait()
	list, err := gateways[1].Breakglasses(t.Context(), dpo, vault.BreakglassQuery{})
	if err != nil || len(list) != 1 || len(opened) != 1 || !opened[list[0].ID] {
		t.Errorf("emergencies = %d, %v; answers name %d; want the same one", len(list), err, len(opened))
	}
}
