package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/staff"
)

// StaffPerson is one entry of the staff register: a person, or a machine that sends and
// fetches documents. Every change is a house record, of the whole entry, and a leaf. The
// catalog knows people by their subject only; names and trainings are sealed.
type StaffPerson struct {
	Subject     string        `json:"subject"` // as the identity provider names them
	Revision    int64         `json:"revision"`
	Kind        string        `json:"kind"`           // staff.Person or staff.Service
	Name        string        `json:"name,omitempty"` // left out of lists
	Roles       []record.Role `json:"roles"`
	Institution string        `json:"institution"`
	Country     string        `json:"country,omitempty"` // where they read from, ISO 3166-1 alpha-2; "": the institution's
	State       string        `json:"state"`             // staff.Active or staff.Halted
	Trainings   []Training    `json:"trainings,omitempty"`
	By          string        `json:"by,omitempty"` // who made this revision

	// What follows is computed when it is asked for.
	Trained      *time.Time      `json:"trained,omitempty"`      // last training
	TrainingEnds *time.Time      `json:"trainingEnds,omitempty"` // when access ends without another
	Standing     string          `json:"standing,omitempty"`     // see vault/staff
	Warnings     []staff.Warning `json:"warnings,omitempty"`
}

// Training is an attestation that a person was trained in data protection.
type Training struct {
	At        time.Time `json:"at"`
	Reference string    `json:"reference,omitempty"` // course or certificate
	By        string    `json:"by,omitempty"`        // who attested it
}

// StaffInstitution is an institution whose people use the vault.
type StaffInstitution struct {
	ID             string     `json:"id"`
	Revision       int64      `json:"revision"`
	Name           string     `json:"name,omitempty"`
	Country        string     `json:"country"`
	Issuer         string     `json:"issuer"`                   // default Issuer of Patient ID (0010,0021) of what its people send
	Own            bool       `json:"own,omitempty"`            // the house itself: it signs no agreement with itself
	Agreement      string     `json:"agreement,omitempty"`      // "evidence:" and the id of the signed compliance agreement's document; older ones a reference in words
	AgreementUntil *time.Time `json:"agreementUntil,omitempty"` // until when it binds; nil: none was signed
	State          string     `json:"state"`
	By             string     `json:"by,omitempty"`
}

// Types of house records.
const (
	recordStaffPerson      = "staff-person"
	recordStaffInstitution = "staff-institution"
)

// standing says how an actor stands by the register, and fills in what the register, and
// not a token, says of them. It is asked in the transaction of every decision, so that
// what is taken away is gone with the next request in every gateway.
func (v *Vault) standing(ctx context.Context, tx *catalog.Tx, a record.Actor) (record.Actor, string, error) {
	if a.Inside {
		return a, staff.House, nil
	}
	if v.cfg.InsecureActors {
		if staff.Outside(a.Role) {
			return a, staff.Self, nil
		}
		return a, staff.Good, nil
	}
	entry, p, i, err := v.staffEntry(ctx, tx, a)
	if err != nil {
		return a, "", err
	}
	stands, role := staff.Of(entry, a.Role, v.cfg.Now())
	if stands == staff.Good {
		a.Role, a.Institution, a.Issuer, a.Country = role, i.ID, i.Issuer, cmp.Or(p.Country, i.Country)
	}
	return a, stands, nil
}

// staffEntry reads what the register says of an actor; entry is nil when it says nothing.
func (v *Vault) staffEntry(ctx context.Context, tx *catalog.Tx, a record.Actor) (entry *staff.Entry, p catalog.StaffPerson, i catalog.StaffInstitution, err error) {
	if staff.Outside(a.Role) {
		return nil, p, i, nil
	}
	p, i, err = tx.StaffEntry(ctx, a.ID)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, p, i, nil
	}
	if err != nil {
		return nil, p, i, fmt.Errorf("staff register: %w", err)
	}
	return entryOf(p, i), p, i, nil
}

func entryOf(p catalog.StaffPerson, i catalog.StaffInstitution) *staff.Entry {
	return &staff.Entry{Kind: p.Kind, State: p.State, Roles: p.Roles, Trained: p.Trained,
		Institution: staff.Institution{State: i.State, Own: i.Own, Agreement: i.AgreementUntil}}
}

// Recognize is asked at the door about whoever has proven who they are, before any act:
// the actor as the staff register knows them, and what is about to end their access. Who
// may not act at all is refused and told why. The guard asks again at every act.
func (v *Vault) Recognize(ctx context.Context, a record.Actor) (_ record.Actor, soon []staff.Warning, err error) {
	var stands string
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		known, s, err := v.standing(ctx, tx, a)
		if err != nil || s != staff.Good || v.cfg.InsecureActors {
			stands = s
			return err
		}
		entry, _, _, err := v.staffEntry(ctx, tx, known)
		if entry != nil {
			soon = staff.Warnings(entry, v.cfg.Now())
		}
		stands = s
		if a.Role == "" && a.Purpose == record.DefaultPurpose("") {
			known.Purpose = record.DefaultPurpose(known.Role) // the token named no role that could have one
		}
		a = known
		return err
	})
	if err != nil {
		return a, nil, unavailable("catalog", err)
	}
	if advice := staff.Advice(stands); advice != "" {
		return a, nil, record.Refuse(record.ErrDenied, stands, advice)
	}
	return a, soon, nil
}

// Staff lists up to limit entries of the register behind a subject, without names and
// single trainings. Acts of the guard: staff.list.
func (v *Vault) Staff(ctx context.Context, a record.Actor, after string, limit int) ([]StaffPerson, error) {
	list := []StaffPerson{}
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionStaffList}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) error {
		people, err := tx.StaffPeople(ctx, after, limit)
		if err != nil {
			return err
		}
		all, err := tx.StaffInstitutions(ctx)
		if err != nil {
			return err
		}
		institutions := make(map[string]catalog.StaffInstitution)
		for _, i := range all {
			institutions[i.ID] = i
		}
		list = list[:0]
		for _, p := range people {
			list = append(list, v.tellPerson(p, institutions[p.Institution]))
		}
		return nil
	})
	return list, err
}

// StaffMember shows one entry whole. Unknown: ErrNotFound.
func (v *Vault) StaffMember(ctx context.Context, a record.Actor, subject string) (StaffPerson, error) {
	var row catalog.StaffPerson
	var institution catalog.StaffInstitution
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionStaffList}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
		row, institution, err = tx.StaffEntry(ctx, subject)
		return notFound(err)
	})
	if err != nil {
		return StaffPerson{}, err
	}
	return v.wholePerson(ctx, row, institution)
}

// Me tells an actor their own entry, as StaffMember does. It needs no right but to be on
// the register.
func (v *Vault) Me(ctx context.Context, a record.Actor) (StaffPerson, error) {
	var row catalog.StaffPerson
	var institution catalog.StaffInstitution
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, institution, err = tx.StaffEntry(ctx, a.ID)
		return notFound(err)
	})
	if err != nil {
		return StaffPerson{}, err
	}
	return v.wholePerson(ctx, row, institution)
}

// wholePerson adds to a row what is sealed in its record.
func (v *Vault) wholePerson(ctx context.Context, row catalog.StaffPerson, i catalog.StaffInstitution) (StaffPerson, error) {
	var sealed StaffPerson
	if err := v.readHouseRecord(ctx, row.Record, &sealed); err != nil {
		return sealed, err
	}
	p := v.tellPerson(row, i)
	p.Name, p.Trainings, p.By = sealed.Name, sealed.Trainings, sealed.By
	return p, nil
}

func (v *Vault) tellPerson(row catalog.StaffPerson, i catalog.StaffInstitution) StaffPerson {
	p := StaffPerson{Subject: row.Subject, Revision: row.Revision, Kind: row.Kind, Roles: row.Roles, Institution: row.Institution, Country: row.Country, State: row.State}
	entry := entryOf(row, i)
	if !row.Trained.IsZero() {
		ends := entry.TrainingEnds()
		p.Trained, p.TrainingEnds = &row.Trained, &ends
	}
	if p.Standing, _ = staff.Of(entry, row.Roles[0], v.cfg.Now()); p.Standing == staff.Good {
		p.Warnings = staff.Warnings(entry, v.cfg.Now())
	}
	return p
}

// Institutions lists the institutions of the register.
func (v *Vault) Institutions(ctx context.Context, a record.Actor) ([]StaffInstitution, error) {
	list := []StaffInstitution{}
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionStaffList}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) error {
		all, err := tx.StaffInstitutions(ctx)
		list = list[:0]
		for _, row := range all {
			list = append(list, institutionOf(row))
		}
		return err
	})
	return list, err
}

func institutionOf(row catalog.StaffInstitution) StaffInstitution {
	i := StaffInstitution{ID: row.ID, Revision: row.Revision, Name: row.Name, Country: row.Country, Issuer: row.Issuer, Own: row.Own,
		Agreement: row.Agreement, State: row.State}
	if !row.AgreementUntil.IsZero() {
		i.AgreementUntil = &row.AgreementUntil
	}
	return i
}

// AddStaff puts somebody on the register. On it already: ErrConflict.
func (v *Vault) AddStaff(ctx context.Context, a record.Actor, p StaffPerson) (StaffPerson, error) {
	return v.changePerson(ctx, a, p.Subject, false, func(now *StaffPerson) error {
		if now.Revision != 0 {
			return record.Refuse(record.ErrConflict, "on-register", "somebody is on the register under this subject: change that entry")
		}
		p.Revision = 0
		*now = p
		return nil
	})
}

// ChangeStaff changes an entry of the register; change may run more than once. Unknown:
// ErrNotFound. Changed by somebody else meanwhile: ErrConflict.
func (v *Vault) ChangeStaff(ctx context.Context, a record.Actor, subject string, change func(*StaffPerson) error) (StaffPerson, error) {
	return v.changePerson(ctx, a, subject, false, func(now *StaffPerson) error {
		if now.Revision == 0 {
			return record.ErrNotFound
		}
		return change(now)
	})
}

// errSame: a change changes nothing.
var errSame = errors.New("nothing changes")

// changePerson writes the next revision of an entry; a dry run stops before that.
func (v *Vault) changePerson(ctx context.Context, a record.Actor, subject string, dry bool, change func(*StaffPerson) error) (StaffPerson, error) {
	changing := act{Actor: a, Action: record.ActionStaffManage}
	if err := v.may(ctx, changing); err != nil {
		return StaffPerson{}, err
	}
	if subject == a.ID && !a.Inside {
		return StaffPerson{}, v.turnDown(ctx, changing, ownEntry)
	}
	var row catalog.StaffPerson
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, _, err = tx.StaffEntry(ctx, subject)
		return err
	})
	var p StaffPerson
	switch {
	case err == nil:
		if err := v.readHouseRecord(ctx, row.Record, &p); err != nil {
			return p, err
		}
	case !errors.Is(err, catalog.ErrNotFound):
		return p, unavailable("catalog", err)
	}
	if err := change(&p); err != nil {
		return p, v.inVain(ctx, changing, err)
	}
	// A change says nothing of these.
	p.Subject, p.Revision, p.By = subject, row.Revision+1, a.ID
	p.Trained, p.TrainingEnds, p.Standing, p.Warnings = nil, nil, "", nil
	for i, t := range p.Trainings {
		p.Trainings[i].At, p.Trainings[i].By = t.At.UTC(), cmp.Or(t.By, a.ID)
	}
	if err := p.check(v.cfg.Now()); err != nil {
		return p, err
	}
	id := record.NewObjectID()
	row = p.row(id)
	if dry {
		return p, nil
	}
	var institution catalog.StaffInstitution
	err = v.putHouseRecord(ctx, changing, id, recordStaffPerson, p, func(tx *catalog.Tx) (err error) {
		institution, err = tx.StaffInstitution(ctx, p.Institution)
		if errors.Is(err, catalog.ErrNotFound) {
			return noInstitution
		}
		if err != nil {
			return err
		}
		return outrun(tx.PutStaffPerson(ctx, row, false))
	})
	if err != nil {
		return p, err
	}
	told := v.tellPerson(row, institution)
	told.Name, told.Trainings, told.By = p.Name, p.Trainings, p.By
	return told, nil
}

var noInstitution = &record.Refusal{Kind: record.ErrInvalid, Code: "no-institution", Advice: "add the institution first"}

var ownEntry = &record.Refusal{Kind: record.ErrDenied, Code: "own-entry", Advice: "nobody changes their own entry in the staff register: ask another administrator"}

func (p StaffPerson) row(id record.ObjectID) catalog.StaffPerson {
	row := catalog.StaffPerson{Subject: p.Subject, Revision: p.Revision, Record: id, Kind: p.Kind, Roles: p.Roles, Institution: p.Institution, Country: p.Country, State: p.State}
	for _, t := range p.Trainings {
		if t.At.After(row.Trained) {
			row.Trained = t.At
		}
	}
	return row
}

// check fills in the defaults and refuses what cannot be meant.
func (p *StaffPerson) check(now time.Time) error {
	p.Kind, p.State = cmp.Or(p.Kind, staff.Person), cmp.Or(p.State, staff.Active)
	slices.Sort(p.Roles)
	p.Roles = slices.Compact(p.Roles)
	bad := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case !name(p.Subject, 1, 255) || strings.ContainsFunc(p.Subject, unicode.IsSpace) || p.Subject == "medvault" || strings.HasPrefix(p.Subject, "local:"):
		return bad("bad-subject", "name the person as the identity provider does: up to 255 characters without spaces; medvault and local: are the vault's own")
	case p.Kind != staff.Person && p.Kind != staff.Service:
		return bad("bad-kind", "kind is person or service")
	case p.State != staff.Active && p.State != staff.Halted:
		return bad("bad-state", "state is active or suspended")
	case !name(p.Name, 0, 255):
		return bad("bad-name", "a name has at most 255 characters")
	case !country(p.Country) && p.Country != "":
		return bad("bad-country", "country is an ISO 3166-1 code of two capital letters; left out, it is the institution's")
	case slices.Equal(p.Roles, []record.Role{record.RoleInterface}) && p.Kind == staff.Service:
	case len(p.Roles) == 0 || slices.ContainsFunc(p.Roles, func(r record.Role) bool { return staff.Outside(r) || !slices.Contains(record.Roles(), r) }):
		return bad("bad-roles", "give one or more roles of staff: radiology, clinician, quality, researcher, operator, dpo, reviewer, auditor, admin; or interface alone, to a service")
	}
	for _, t := range p.Trainings {
		if t.At.IsZero() || t.At.After(now) || !name(t.Reference, 0, 255) {
			return bad("bad-training", "a training lies in the past, and its reference has at most 255 characters")
		}
	}
	return nil
}

func name(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}

func country(s string) bool {
	return len(s) == 2 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// PutInstitution adds an institution, or changes the one with this id.
func (v *Vault) PutInstitution(ctx context.Context, a record.Actor, i StaffInstitution) (StaffInstitution, error) {
	err := v.putInstitution(ctx, act{Actor: a, Action: record.ActionStaffManage}, &i, false)
	if errors.Is(err, errSame) {
		i.Revision--
		err = nil
	}
	return i, err
}

func (v *Vault) putInstitution(ctx context.Context, changing act, i *StaffInstitution, dry bool) error {
	if err := v.may(ctx, changing); err != nil {
		return err
	}
	i.State = cmp.Or(i.State, staff.Active)
	if err := i.check(); err != nil {
		return err
	}
	var before catalog.StaffInstitution
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		before, err = tx.StaffInstitution(ctx, i.ID)
		return err
	})
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return unavailable("catalog", err)
	}
	if i.Own && !before.Own && !changing.Actor.Inside {
		return notOwn
	}
	if changing.Evidence == "" && !i.keepsAgreement(institutionOf(before)) {
		return agreementNeedsDocument
	}
	i.Revision, i.By = before.Revision+1, changing.Actor.ID
	id := record.NewObjectID()
	row := i.row(id)
	if row.Revision, row.Record = before.Revision, before.Record; row == before {
		return errSame
	}
	if dry {
		return nil
	}
	return v.putHouseRecord(ctx, changing, id, recordStaffInstitution, i, func(tx *catalog.Tx) error {
		return outrun(tx.PutStaffInstitution(ctx, i.row(id), false))
	})
}

// notOwn: by it, whoever administers the register would take the agreement off a partner.
var notOwn = &record.Refusal{Kind: record.ErrInvalid, Code: "own-institution", Advice: "the configuration alone names the house's own institution; every other one is bound by an agreement"}

func (i StaffInstitution) row(id record.ObjectID) catalog.StaffInstitution {
	row := catalog.StaffInstitution{ID: i.ID, Revision: i.Revision, Record: id, Name: i.Name, Country: i.Country, Issuer: i.Issuer, Own: i.Own,
		Agreement: i.Agreement, State: i.State}
	if i.AgreementUntil != nil {
		row.AgreementUntil = i.AgreementUntil.Truncate(time.Millisecond).UTC()
	}
	return row
}

func (i *StaffInstitution) check() error {
	bad := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case !name(i.ID, 1, 64) || strings.Trim(i.ID, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "":
		return bad("bad-institution", "an institution's id has up to 64 of a-z, 0-9, dot, - and _")
	case !name(i.Name, 0, 255), !name(i.Agreement, 0, 255):
		return bad("bad-name", "name and agreement have at most 255 characters each")
	case !country(i.Country):
		return bad("bad-country", "country is an ISO 3166-1 code of two capital letters")
	case !name(i.Issuer, 1, 64) || strings.Contains(i.Issuer, `\`):
		return bad("bad-issuer", "issuer, the default Issuer of Patient ID, has 1 to 64 characters and no backslash")
	case i.State != staff.Active && i.State != staff.Halted:
		return bad("bad-state", "state is active or suspended")
	case i.AgreementUntil != nil && i.Agreement == "":
		return bad("no-agreement", "name the signed agreement, by document id or file number")
	}
	return nil
}

// may is whether an act would be permitted now; a refusal is written down.
func (v *Vault) may(ctx context.Context, a act) error {
	var d access.Decision
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		d, err = v.decide(ctx, tx, a)
		return err
	})
	switch {
	case err != nil:
		return unavailable("catalog", err)
	case d.Allow:
		return nil
	}
	return v.refuse(ctx, a)
}

func outrun(err error) error {
	if errors.Is(err, catalog.ErrChanged) {
		return record.Refuse(record.ErrConflict, "changed-meanwhile", "somebody changed this entry at the same time: look at it and try again")
	}
	return err
}

// originFirstAdmin marks the entries of an empty register's first administrator.
const originFirstAdmin = "first-admin"

// StaffBegun says whether anybody is on the staff register.
func (v *Vault) StaffBegun(ctx context.Context) (bool, error) {
	var people []catalog.StaffPerson
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		people, err = tx.StaffPeople(ctx, "", 1)
		return err
	})
	return len(people) > 0, err
}

// BeginStaff puts the first administrator, and the house as the institution of this id, on
// a register that is empty; on any other it does nothing. That they were trained is on
// the word of whoever configured it.
func (v *Vault) BeginStaff(ctx context.Context, subject string, house StaffInstitution) (begun bool, err error) {
	if there, err := v.StaffBegun(ctx); err != nil || there {
		return false, err
	}
	a := record.Actor{ID: "medvault", Role: record.RoleAdmin, Country: v.cfg.Home, Purpose: record.PurposeSystem, Inside: true}
	house.Own = true
	if _, err := v.PutInstitution(ctx, a, house); err != nil {
		return false, fmt.Errorf("staff register: the house: %w", err)
	}
	_, err = v.AddStaff(ctx, a, StaffPerson{Subject: subject, Roles: []record.Role{record.RoleAdmin}, Institution: house.ID,
		Trainings: []Training{{At: v.cfg.Now(), Reference: originFirstAdmin}}})
	if refused := new(record.Refusal); errors.As(err, &refused) && refused.Kind == record.ErrConflict {
		return false, nil // another gateway began at the same time
	}
	if err != nil {
		return false, fmt.Errorf("staff register: first administrator: %w", err)
	}
	return true, nil
}

// ReattestAdmin attests that an administrator was trained, now and on the word of whoever
// configured it, where no administrator can act any more: nobody else could attest it. It
// does so for one of the register whose training is all that has ended; on any other
// register it does nothing.
func (v *Vault) ReattestAdmin(ctx context.Context, subject string) (done bool, err error) {
	var standing string
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		standing, err = v.lockedOut(ctx, tx, subject)
		return err
	})
	if err != nil {
		return false, unavailable("catalog", err)
	}
	if standing != staff.TrainingExpired {
		return false, nil
	}
	a := record.Actor{ID: "medvault", Role: record.RoleAdmin, Country: v.cfg.Home, Purpose: record.PurposeSystem, Inside: true}
	_, err = v.ChangeStaff(ctx, a, subject, func(p *StaffPerson) error {
		p.Trainings = append(p.Trainings, Training{At: v.cfg.Now(), Reference: originFirstAdmin})
		return nil
	})
	if refused := new(record.Refusal); errors.As(err, &refused) && refused.Kind == record.ErrConflict {
		return false, nil // another gateway did at the same time
	}
	return err == nil, err
}

// lockedOut is how an administrator stands; "" while another, or they, can act.
func (v *Vault) lockedOut(ctx context.Context, tx *catalog.Tx, subject string) (standing string, err error) {
	for after := ""; ; {
		page, err := tx.StaffPeople(ctx, after, 1000)
		if err != nil || len(page) == 0 {
			return standing, err
		}
		for _, p := range page {
			after = p.Subject
			if !slices.Contains(p.Roles, record.RoleAdmin) {
				continue
			}
			row, institution, err := tx.StaffEntry(ctx, p.Subject)
			if err != nil {
				return "", err
			}
			stands, _ := staff.Of(entryOf(row, institution), record.RoleAdmin, v.cfg.Now())
			if stands == staff.Good && row.Kind == staff.Person {
				return "", nil
			}
			if p.Subject == subject {
				standing = stands
			}
		}
	}
}
