package catalog

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"medvault/vault/record"
)

// StaffPerson is one person or service on the staff register.
type StaffPerson struct {
	Subject     string // as the identity provider names them
	Revision    int64
	Record      record.ObjectID // the house record of this revision
	Kind        string
	Roles       []record.Role
	Institution string
	Country     string // "": the institution's
	State       string
	Trained     time.Time // last attested training; zero: never
}

// StaffInstitution is one institution on the staff register.
type StaffInstitution struct {
	ID             string
	Revision       int64
	Record         record.ObjectID
	Name           string
	Country        string
	Issuer         string // default Issuer of Patient ID of what its people send
	Own            bool
	Agreement      string // reference of the signed compliance agreement
	AgreementUntil time.Time
	State          string
}

const (
	personColumns      = "p.subject, p.revision, p.record, p.kind, p.roles, p.institution, p.country, p.state, p.trained_at"
	institutionColumns = "i.id, i.revision, i.record, i.name, i.country, i.issuer, i.own, i.agreement, i.agreement_until, i.state"
)

// PutStaffPerson writes one revision of a person. It must be the one after what is there:
// ErrChanged. Where newer is all that is asked (a rebuild), an older revision changes
// nothing.
func (t *Tx) PutStaffPerson(ctx context.Context, p StaffPerson, newer bool) error {
	roles := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		roles[i] = string(r)
	}
	var b builder
	b.add("INSERT INTO staff_people (subject, revision, record, kind, roles, institution, country, state, trained_at)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", p.Subject, p.Revision, string(p.Record), p.Kind, strings.Join(roles, " "), p.Institution, p.Country, p.State, millis(p.Trained))
	b.add(" ON CONFLICT (subject) DO UPDATE SET revision = excluded.revision, record = excluded.record, kind = excluded.kind, roles = excluded.roles," +
		" institution = excluded.institution, country = excluded.country, state = excluded.state, trained_at = excluded.trained_at")
	return attempt(t.putRevision(ctx, &b, "staff_people", p.Revision, newer), "staff register: person")
}

// PutStaffInstitution is PutStaffPerson for an institution.
func (t *Tx) PutStaffInstitution(ctx context.Context, i StaffInstitution, newer bool) error {
	own := int64(0)
	if i.Own {
		own = 1
	}
	var b builder
	b.add("INSERT INTO staff_institutions (id, revision, record, name, country, issuer, own, agreement, agreement_until, state)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", i.ID, i.Revision, string(i.Record), i.Name, i.Country, i.Issuer, own, i.Agreement, millis(i.AgreementUntil), i.State)
	b.add(" ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, record = excluded.record, name = excluded.name, country = excluded.country," +
		" issuer = excluded.issuer, own = excluded.own, agreement = excluded.agreement, agreement_until = excluded.agreement_until, state = excluded.state")
	return attempt(t.putRevision(ctx, &b, "staff_institutions", i.Revision, newer), "staff register: institution %s", i.ID)
}

// putRevision finishes an upsert of a revision. Two who change the same row at once meet
// here: the second finds that its revision is not the next.
func (t *Tx) putRevision(ctx context.Context, b *builder, table string, revision int64, newer bool) error {
	if newer {
		b.add(" WHERE "+table+".revision < ?", revision)
	} else {
		b.add(" WHERE "+table+".revision = ?", revision-1)
	}
	t.staff = nil
	n, err := t.exec(ctx, b)
	if err == nil && n == 0 && !newer {
		err = ErrChanged
	}
	return err
}

// StaffEntry reads a person with their institution, of which ID is "" when it is not
// there. Unknown: ErrNotFound. Within one transaction it is read once.
func (t *Tx) StaffEntry(ctx context.Context, subject string) (StaffPerson, StaffInstitution, error) {
	if e, ok := t.staff[subject]; ok {
		return e.person, e.institution, e.err
	}
	var b builder
	b.add("SELECT "+personColumns+", COALESCE(i.name, ''), COALESCE(i.country, ''), COALESCE(i.issuer, ''), COALESCE(i.own, 0), COALESCE(i.agreement, ''),"+
		" COALESCE(i.agreement_until, 0), COALESCE(i.state, ''), COALESCE(i.id, '')"+
		" FROM staff_people p LEFT JOIN staff_institutions i ON i.id = p.institution WHERE p.subject = ?", subject)
	var e staffEntry
	var own, until int64
	i := &e.institution
	e.err = scanPerson(t.tx.QueryRowContext(ctx, b.text.String(), b.args...), &e.person, &i.Name, &i.Country, &i.Issuer, &own, &i.Agreement, &until, &i.State, &i.ID)
	i.Own, i.AgreementUntil = own != 0, fromMillis(until)
	if errors.Is(e.err, sql.ErrNoRows) {
		e.err = ErrNotFound
	}
	if e.err == nil || errors.Is(e.err, ErrNotFound) {
		if t.staff == nil {
			t.staff = make(map[string]staffEntry)
		}
		t.staff[subject] = e
	}
	return e.person, e.institution, e.err
}

type staffEntry struct {
	person      StaffPerson
	institution StaffInstitution
	err         error
}

func scanPerson(row scanner, p *StaffPerson, more ...any) error {
	var roles string
	var trained int64
	err := row.Scan(append([]any{&p.Subject, &p.Revision, &p.Record, &p.Kind, &roles, &p.Institution, &p.Country, &p.State, &trained}, more...)...)
	for r := range strings.FieldsSeq(roles) {
		p.Roles = append(p.Roles, record.Role(r))
	}
	p.Trained = fromMillis(trained)
	return err
}

// StaffPeople lists up to limit people behind a subject, in the order of these.
func (t *Tx) StaffPeople(ctx context.Context, after string, limit int) (people []StaffPerson, err error) {
	var b builder
	b.add("SELECT "+personColumns+" FROM staff_people p WHERE p.subject > ? ORDER BY p.subject LIMIT ?", after, limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "staff register: people")
	}
	defer rows.Close()
	for rows.Next() {
		var p StaffPerson
		if err := scanPerson(rows, &p); err != nil {
			return nil, attempt(err, "staff register: people")
		}
		people = append(people, p)
	}
	return people, attempt(rows.Err(), "staff register: people")
}

// StaffInstitutions lists all institutions, in the order of their ids.
func (t *Tx) StaffInstitutions(ctx context.Context) (all []StaffInstitution, err error) {
	var b builder
	b.add("SELECT " + institutionColumns + " FROM staff_institutions i ORDER BY i.id")
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "staff register: institutions")
	}
	defer rows.Close()
	for rows.Next() {
		var i StaffInstitution
		var own, until int64
		if err := rows.Scan(&i.ID, &i.Revision, &i.Record, &i.Name, &i.Country, &i.Issuer, &own, &i.Agreement, &until, &i.State); err != nil {
			return nil, attempt(err, "staff register: institutions")
		}
		i.Own, i.AgreementUntil = own != 0, fromMillis(until)
		all = append(all, i)
	}
	return all, attempt(rows.Err(), "staff register: institutions")
}

// StaffInstitution reads one institution. Unknown: ErrNotFound.
func (t *Tx) StaffInstitution(ctx context.Context, id string) (i StaffInstitution, err error) {
	var b builder
	b.add("SELECT "+institutionColumns+" FROM staff_institutions i WHERE i.id = ?", id)
	var own, until int64
	err = t.tx.QueryRowContext(ctx, b.text.String(), b.args...).Scan(&i.ID, &i.Revision, &i.Record, &i.Name, &i.Country, &i.Issuer, &own, &i.Agreement, &until, &i.State)
	i.Own, i.AgreementUntil = own != 0, fromMillis(until)
	return i, attempt(err, "staff register: institution %s", id)
}
