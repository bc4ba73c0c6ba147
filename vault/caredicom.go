package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"medvault/keys/envelope"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/staff"
)

// CareFromDICOM says which physicians named in a DICOM document treat its patient from its
// upload on. The zero value is none. Whoever a document names is taken only when the staff
// register knows exactly one active clinician of the uploader's own institution by it, and
// never who uploaded it: nobody lets themselves in.
type CareFromDICOM struct {
	// Attributes that count, by keyword: see PhysicianAttributes. Where an identification
	// sequence counts and names somebody, the name beside it does not.
	Attributes []string
	Period     time.Duration     // how long they treat; 0 turns it off
	People     map[string]string // Code Value (0008,0100) to the subject on the register; others are subjects themselves
}

// physicians are the attributes that name people, at the top level of a document.
var physicians = []struct{ role, name, nameTag, codes, codesTag string }{
	{"performing", "PerformingPhysicianName", "00081050", "PerformingPhysicianIdentificationSequence", "00081052"},
	{"ordering", "RequestingPhysician", "00321032", "RequestingPhysicianIdentificationSequence", "00321031"},
	{"referring", "ReferringPhysicianName", "00080090", "ReferringPhysicianIdentificationSequence", "00080096"},
}

// PhysicianAttributes are the keywords that CareFromDICOM.Attributes may hold.
func PhysicianAttributes() (keywords []string) {
	for _, p := range physicians {
		keywords = append(keywords, p.name, p.codes)
	}
	return keywords
}

// originDICOM begins the origin of relationships that a document's physicians make.
const originDICOM = "dicom"

type carePayload struct {
	Instance    string `json:"instance"` // mapped
	By          string `json:"by"`       // who uploaded it
	Institution string `json:"institution"`
}

// careLater leaves the job that makes relationships of a document's physicians, in the
// transaction that commits it. They are the same throughout a series, of which one job
// waits at a time.
func (v *Vault) careLater(ctx context.Context, tx *catalog.Tx, a record.Actor, in *incoming) error {
	if v.cfg.CareFrom.Period <= 0 || in.kind != record.KindDICOM {
		return nil
	}
	a, _, err := v.standing(ctx, tx, a)
	if err != nil || a.Institution == "" {
		return err
	}
	return tx.Enqueue(ctx, newJob(jobCare, in.series, carePayload{in.instance, a.ID, a.Institution}, v.cfg.Now()))
}

// careFromDICOM states that the physicians of a document treat its patient, once for each
// of them and study: whoever ended such a relationship has ended it.
func (v *Vault) careFromDICOM(ctx context.Context, job catalog.Job, owner string) error {
	var said carePayload
	if err := json.Unmarshal(job.Payload, &said); err != nil {
		return err
	}
	d, err := v.byInstance(ctx, said.Instance)
	if err == nil && v.cfg.CareFrom.Period > 0 {
		err = v.takePhysicians(ctx, d, said)
	}
	switch {
	case errors.Is(err, catalog.ErrNotFound), errors.Is(err, record.ErrNotFound), // removed since
		errors.Is(err, record.ErrDenied), errors.Is(err, record.ErrErased): // written down by the guard
	case err != nil:
		return fmt.Errorf("physicians of %s: %w", d.ID, err)
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, nil)
}

func (v *Vault) takePhysicians(ctx context.Context, d catalog.Document, said carePayload) error {
	named, err := v.physiciansOf(ctx, d)
	if err != nil || len(named) == 0 {
		return err
	}
	inside := record.Actor{ID: "medvault", Role: record.RoleAdmin, Country: v.cfg.Home, Purpose: record.PurposeSystem, Inside: true}
	now := v.cfg.Now()
	news := VisitCare{Visit: d.Study}
	origin := v.visitOrigin(inside, originDICOM, d.Study)
	var before []catalog.Care
	if err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		before, err = tx.Cares(ctx, d.Patient)
		return err
	}); err != nil {
		return unavailable("catalog", err)
	}
	for _, one := range named {
		who, err := v.resolve(ctx, one, said.Institution)
		if err != nil {
			return err
		}
		stated := func(c catalog.Care) bool { return c.Origin == origin && c.Clinician == who }
		again := func(c NewCare) bool { return c.Clinician == who }
		if who == "" || who == said.By || slices.ContainsFunc(before, stated) || slices.ContainsFunc(news.State, again) {
			continue
		}
		news.State = append(news.State, NewCare{Clinician: who, Role: one.role, From: now, Until: now.Add(v.cfg.CareFrom.Period)})
	}
	if len(news.State) == 0 {
		return nil
	}
	_, err = v.TakeCareNews(ctx, inside, d.Patient, CareNews{Source: originDICOM, Message: d.Instance, Visits: []VisitCare{news}})
	return err
}

// physician is somebody whom a document names: by a code or, without one, by names.
type physician struct {
	role, code string
	names      []string // keys of one name, see nameKeys
}

// physiciansOf reads whom the sealed identity of a document names.
func (v *Vault) physiciansOf(ctx context.Context, d catalog.Document) (all []physician, err error) {
	p, err := v.patientOf(ctx, d)
	if err != nil {
		return nil, err
	}
	k, err := v.openKeys(ctx, sealedFor(p, d.Object))
	if err != nil {
		return nil, err
	}
	o, err := v.open(ctx, d.Object, k, record.ViewOriginal)
	if err != nil {
		return nil, err
	}
	var w who
	if err := readPart(ctx, o, envelope.Who, &w); err != nil {
		return nil, err
	}
	var attributes map[string]struct{ Value json.RawMessage }
	if json.Unmarshal(w.Attributes, &attributes) != nil {
		return nil, nil // it names nobody that can be read
	}
	counts := func(keyword string) bool { return slices.Contains(v.cfg.CareFrom.Attributes, keyword) }
	for _, kind := range physicians {
		before := len(all)
		if counts(kind.codes) {
			for _, code := range codesOf(attributes[kind.codesTag].Value) {
				all = append(all, physician{role: kind.role, code: code})
			}
		}
		if len(all) == before && counts(kind.name) {
			for _, keys := range personNames(attributes[kind.nameTag].Value) {
				all = append(all, physician{role: kind.role, names: keys})
			}
		}
	}
	return all[:min(len(all), maxPhysicians)], nil
}

// maxPhysicians bounds whom one document makes a relationship with.
const maxPhysicians = 16

// codesOf are the codes of Person Identification Code Sequences (0040,1101), the first of
// each item of an identification sequence as DICOM JSON (PS3.18 F).
func codesOf(sequence json.RawMessage) (codes []string) {
	type coded struct {
		Value struct{ Value []string } `json:"00080100"`
	}
	var items []struct {
		Person struct{ Value []coded } `json:"00401101"`
	}
	if json.Unmarshal(sequence, &items) != nil {
		return nil
	}
	for _, item := range items {
		if ids := item.Person.Value; len(ids) > 0 && len(ids[0].Value.Value) == 1 && ids[0].Value.Value[0] != "" {
			codes = append(codes, ids[0].Value.Value[0])
		}
	}
	return codes
}

// personNames are the keys of each value of a PN attribute as DICOM JSON.
func personNames(values json.RawMessage) (all [][]string) {
	var names []struct{ Alphabetic, Ideographic, Phonetic string }
	if json.Unmarshal(values, &names) != nil {
		return nil
	}
	for _, n := range names {
		var keys []string
		for _, group := range []string{n.Alphabetic, n.Ideographic} {
			parts := strings.Split(group, "^")
			keys = append(keys, nameKeys(strings.Join(parts[:min(len(parts), 3)], " "))...) // without prefix and suffix
		}
		if len(keys) > 0 {
			all = append(all, keys)
		}
	}
	return all
}

// nameKeys are what a name is compared by: its words whatever their order, and, of one
// written without spaces, the whole. One Latin word is no name.
func nameKeys(name string) (keys []string) {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("^,.;=", r) })
	if strings.ContainsFunc(name, func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana)
	}) {
		if joined := strings.Join(words, ""); len([]rune(joined)) > 1 {
			keys = append(keys, joined)
		}
		return keys
	}
	if len(words) > 1 {
		slices.Sort(words)
		keys = append(keys, strings.Join(words, " "))
	}
	return keys
}

// resolve is the subject of the one active clinician of an institution whom a physician
// is; "" when there is none, or more than one.
func (v *Vault) resolve(ctx context.Context, one physician, institution string) (subject string, err error) {
	if one.code != "" {
		return v.byCode(ctx, one.code, institution)
	}
	colleagues, err := v.colleagues(ctx, institution)
	if err != nil {
		return "", err
	}
	for _, p := range colleagues {
		keys, err := v.namesOf(ctx, p)
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(one.names, k) }) {
			continue
		}
		if subject != "" {
			return "", nil
		}
		subject = p.Subject
	}
	return subject, nil
}

func (v *Vault) byCode(ctx context.Context, code, institution string) (string, error) {
	if subject := v.cfg.CareFrom.People[code]; subject != "" {
		code = subject
	}
	var p catalog.StaffPerson
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		p, _, err = tx.StaffEntry(ctx, code)
		return err
	})
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return "", nil
	case err != nil:
		return "", unavailable("catalog", err)
	case !treatsAt(p, institution):
		return "", nil
	}
	return p.Subject, nil
}

func treatsAt(p catalog.StaffPerson, institution string) bool {
	return p.Institution == institution && p.Kind == staff.Person && p.State == staff.Active && slices.Contains(p.Roles, record.RoleClinician)
}

// colleagues are the active clinicians of an institution.
func (v *Vault) colleagues(ctx context.Context, institution string) (list []catalog.StaffPerson, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		list = nil
		for after := ""; ; {
			page, err := tx.StaffPeople(ctx, after, 1000)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, p := range page {
				if after = p.Subject; treatsAt(p, institution) {
					list = append(list, p)
				}
			}
		}
	})
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	return list, nil
}

// namesOf are the keys of a person's name, which lies sealed. A record never changes, so
// that what was read of one is remembered.
func (v *Vault) namesOf(ctx context.Context, p catalog.StaffPerson) ([]string, error) {
	if keys, ok := v.names.Load(p.Record); ok {
		return keys.([]string), nil
	}
	var sealed StaffPerson
	if err := v.readHouseRecord(ctx, p.Record, &sealed); err != nil {
		return nil, err
	}
	keys := nameKeys(sealed.Name)
	v.names.Store(p.Record, keys)
	return keys, nil
}
