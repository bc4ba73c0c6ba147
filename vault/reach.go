package vault

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
	"medvault/vault/residency"
)

// mayLie says whether the objects of a patient who has said this may lie in a country.
func (v *Vault) mayLie(country, home string, said []consent.Statement) residency.Verdict {
	return v.flow(residency.Flow{Home: home, To: country, Consent: consent.Stored(said, country, v.cfg.Now())})
}

// mayOpen says whether keys may lie in a country that open there what lies there.
func (v *Vault) mayOpen(country, home string, said []consent.Statement) residency.Verdict {
	return v.flow(residency.Flow{Home: home, To: country, Consent: consent.Opened(said, country, v.cfg.Now())})
}

func (v *Vault) flow(f residency.Flow) residency.Verdict {
	f.Home = cmp.Or(f.Home, v.cfg.Home) // about no patient, or of one nobody knows
	return residency.Permit(f, v.cfg.Registers, v.cfg.Now())
}

// lieIn names the regions where a patient's objects may lie by the law of residency.
func (v *Vault) lieIn(p catalog.Patient, said []consent.Statement) []string {
	return v.regionsWhere(func(r storage.Region) bool { return v.mayLie(r.Jurisdiction, p.Country, said).Permit })
}

// openIn names the regions where a patient's wraps may lie.
func (v *Vault) openIn(p catalog.Patient, said []consent.Statement) []string {
	return v.regionsWhere(func(r storage.Region) bool { return v.mayOpen(r.Jurisdiction, p.Country, said).Permit })
}

// permitted names the regions where a patient's objects may lie, by what they have said,
// and that take anything new.
func (v *Vault) permitted(p catalog.Patient, said ...consent.Statement) []string {
	return slices.DeleteFunc(v.lieIn(p, said), func(r string) bool { return !v.takes(r) })
}

// near keeps the regions of the patient's own country. An upload waits for these alone:
// abroad everything goes by jobs, which ask for consent when they come to it.
func (v *Vault) near(p catalog.Patient, regions []string) []string {
	return v.regionsWhere(func(r storage.Region) bool {
		return r.Jurisdiction == cmp.Or(p.Country, v.cfg.Home) && slices.Contains(regions, r.Name)
	})
}

func (v *Vault) regionsWhere(is func(storage.Region) bool) (names []string) {
	for _, r := range v.cfg.Regions.Regions() {
		if is(r) {
			names = append(names, r.Name)
		}
	}
	return names
}

// said reads what a patient has said, outside a transaction.
func (v *Vault) said(ctx context.Context, p record.PatientToken) (all []consent.Statement, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		all, err = v.consents(ctx, tx, p)
		return err
	})
	return all, err
}

// stillReaches fails with errChanged when the regions that a patient's consent reaches are
// not those that it reached before. Under the patient's row lock nothing is promised to a
// region whose consent has just gone, and nothing misses one that was just given.
func (v *Vault) stillReaches(ctx context.Context, tx *catalog.Tx, p catalog.Patient, before []consent.Statement) error {
	now, err := v.consents(ctx, tx, p.Token)
	if err != nil {
		return err
	}
	if !slices.Equal(v.lieIn(p, before), v.lieIn(p, now)) || !slices.Equal(v.openIn(p, before), v.openIn(p, now)) {
		return fmt.Errorf("%w: consent changed meanwhile", errChanged)
	}
	return nil
}
