package vault_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"medvault/keys"
	"medvault/keys/insecure"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// TestAnErasureAmongMany erases one patient of a shard of MEDVAULT_TEST_ERASE patients in a
// catalog of 256 times as many, and prints the processor time of it: 390 is a shard of
// 100,000 patients.
func TestAnErasureAmongMany(t *testing.T) {
	many, err := strconv.Atoi(os.Getenv("MEDVAULT_TEST_ERASE"))
	if err != nil {
		t.Skip("set MEDVAULT_TEST_ERASE=390 to erase one of so many patients of a shard")
	}
	now := newClock()
	dir := t.TempDir()
	h := vaulttest.New(t, vaulttest.Options{Dir: dir, Now: now.now, Wrapper: func(region string, _ keys.Wrapper) keys.Wrapper {
		s, err := insecure.New(insecure.Config{Name: region, Path: filepath.Join(dir, "keys", "one-"+region+".json"), Shards: 1})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}})
	n := patientsOwn
	for i := range many {
		r, _ := ctOf(t, h, uint64(20_000+i), 1)
		n.Patient = r.Patient
	}
	copied(t, h)
	err = h.Catalog.Update(t.Context(), func(tx *catalog.Tx) error { return others(t.Context(), tx, 255*many, now.now()) })
	if err != nil {
		t.Fatal(err)
	}
	before, began := processor(t), time.Now()
	e := erasePatient(t, h, n)
	eventually(t, "the keys are dead in every region", func() bool {
		c, err := h.ErasureCertificate(t.Context(), dpo, e.ID)
		if err != nil {
			return false
		}
		for _, r := range c.Regions {
			if r.Keys == "pending" {
				now.forward(time.Second)
				return false
			}
		}
		return true
	})
	t.Logf("%d patients, %d of the shard: %.2f s of processor time and %.1f s until their keys were dead in three regions",
		256*many, many, (processor(t) - before).Seconds(), time.Since(began).Seconds())
}

// others are patients of other shards, of whom the catalog knows.
func others(ctx context.Context, tx *catalog.Tx, n int, at time.Time) error {
	for i := range n {
		token := "p" + strings.NewReplacer("0", "a", "1", "b", "8", "x", "9", "y").Replace(fmt.Sprintf("%026d", i))
		if _, _, err := tx.EnsurePatient(ctx, catalog.Patient{Token: record.PatientToken(token), Generation: 1, State: catalog.Active, Country: vaulttest.Home, Created: at}); err != nil {
			return err
		}
	}
	return nil
}

func processor(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
