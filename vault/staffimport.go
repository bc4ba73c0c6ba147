package vault

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// StaffLine is one line of an import into the staff register: a person or an institution.
// What a line leaves empty stays as it is on the register.
type StaffLine struct {
	Line        int // in the file, for the report
	Person      *StaffPerson
	Institution *StaffInstitution
	Refused     string // why the line cannot be read; then the other two are nil
}

// StaffImported tells what became of one line.
type StaffImported struct {
	Line    int    `json:"line"`
	Name    string `json:"name"`    // subject of the person, id of the institution
	Outcome string `json:"outcome"` // ImportAdded and its like
	Reason  string `json:"reason,omitempty"`
}

// Outcomes of a line.
const (
	ImportAdded     = "added"
	ImportChanged   = "changed"
	ImportUnchanged = "unchanged"
	ImportRefused   = "refused"
)

// MayManageStaff refuses whoever may not change the staff register, before anything of what
// they send is read.
func (v *Vault) MayManageStaff(ctx context.Context, a record.Actor) error {
	return v.may(ctx, act{Actor: a, Action: record.ActionStaffManage})
}

// ImportStaff brings lines into the staff register, each on its own: a refused one stops
// no other. A dry run says what would happen and writes nothing. An error is one after
// which it made no sense to go on; the lines before it are done.
func (v *Vault) ImportStaff(ctx context.Context, a record.Actor, lines []StaffLine, dry bool) ([]StaffImported, error) {
	if err := v.MayManageStaff(ctx, a); err != nil {
		return nil, err
	}
	coming := make(map[string]bool) // institutions of this import, which a dry run does not write
	report := []StaffImported{}
	for _, l := range lines {
		done := StaffImported{Line: l.Line}
		var err error
		switch {
		case l.Institution != nil:
			done.Name = l.Institution.ID
			if done.Outcome, err = v.importInstitution(ctx, a, *l.Institution, dry); err == nil {
				coming[l.Institution.ID] = true
			}
		case l.Person != nil:
			done.Name = l.Person.Subject
			done.Outcome, err = v.importPerson(ctx, a, *l.Person, coming, dry)
		default:
			done.Outcome, done.Reason = ImportRefused, l.Refused
		}
		refused := new(record.Refusal)
		switch {
		case err == nil:
		case errors.Is(err, record.ErrUnavailable) || !errors.As(err, &refused):
			return report, err
		default:
			done.Outcome, done.Reason = ImportRefused, refused.Code
		}
		report = append(report, done)
	}
	return report, nil
}

func (v *Vault) importInstitution(ctx context.Context, a record.Actor, i StaffInstitution, dry bool) (string, error) {
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		before, err := tx.StaffInstitution(ctx, i.ID)
		if err == nil {
			i.keep(institutionOf(before))
		}
		return notFound(err)
	})
	if err == nil || errors.Is(err, record.ErrNotFound) {
		err = v.putInstitution(ctx, act{Actor: a, Action: record.ActionStaffManage}, &i, dry)
	} else {
		err = unavailable("catalog", err)
	}
	switch {
	case errors.Is(err, errSame):
		return ImportUnchanged, nil
	case i.Revision > 1:
		return ImportChanged, err
	}
	return ImportAdded, err
}

// keep takes over what i leaves empty from what is on the register.
func (i *StaffInstitution) keep(before StaffInstitution) {
	i.Own = i.Own || before.Own
	i.Name, i.Country, i.Issuer = cmp.Or(i.Name, before.Name), cmp.Or(i.Country, before.Country), cmp.Or(i.Issuer, before.Issuer)
	i.State = cmp.Or(i.State, before.State)
	if i.Agreement == "" && i.AgreementUntil == nil {
		i.Agreement, i.AgreementUntil = before.Agreement, before.AgreementUntil
	}
}

func (v *Vault) importPerson(ctx context.Context, a record.Actor, p StaffPerson, coming map[string]bool, dry bool) (string, error) {
	outcome := ImportChanged
	_, err := v.changePerson(ctx, a, p.Subject, dry, func(now *StaffPerson) error {
		before := *now
		if now.Revision == 0 {
			outcome = ImportAdded
		}
		now.take(p)
		if now.Revision != 0 && now.same(before) {
			return errSame
		}
		if !dry || coming[now.Institution] {
			return nil
		}
		return v.institutionThere(ctx, now.Institution)
	})
	if errors.Is(err, errSame) {
		return ImportUnchanged, nil
	}
	return outcome, err
}

func (v *Vault) institutionThere(ctx context.Context, id string) error {
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		_, err := tx.StaffInstitution(ctx, id)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return noInstitution
	}
	return err
}

// take takes over what another version of an entry says.
func (p *StaffPerson) take(from StaffPerson) {
	for _, f := range []struct {
		into *string
		from string
	}{{&p.Kind, from.Kind}, {&p.Name, from.Name}, {&p.Institution, from.Institution}, {&p.Country, from.Country}, {&p.State, from.State}} {
		if f.from != "" {
			*f.into = f.from
		}
	}
	if len(from.Roles) > 0 {
		p.Roles = from.Roles
	}
	trainings := slices.Clone(p.Trainings)
	for _, t := range from.Trainings {
		known := func(u Training) bool { return u.At.Equal(t.At) }
		if !slices.ContainsFunc(trainings, known) {
			trainings = append(trainings, t)
		}
	}
	slices.SortStableFunc(trainings, func(a, b Training) int { return a.At.Compare(b.At) })
	p.Trainings = trainings
}

// same compares what take can change.
func (p StaffPerson) same(q StaffPerson) bool {
	roles := func(p StaffPerson) []record.Role { return slices.Compact(slices.Sorted(slices.Values(p.Roles))) }
	times := func(p StaffPerson) (at []time.Time) {
		for _, t := range p.Trainings {
			at = append(at, t.At.UTC())
		}
		return at
	}
	return p.Kind == q.Kind && p.Name == q.Name && p.Institution == q.Institution && p.Country == q.Country && p.State == q.State &&
		slices.Equal(roles(p), roles(q)) && slices.EqualFunc(times(p), times(q), time.Time.Equal)
}
