package vault

import (
	"context"
	"slices"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/breach"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// PatientNotice is what one patient is to be told, and when they were.
type PatientNotice struct {
	breach.Draft
	Sent *Told `json:"sent,omitempty"`
}

// sentNotices is the record of patients being told of a breach. The vault sends nothing
// itself: it knows no address of a patient.
type sentNotices struct {
	Incident record.ObjectID       `json:"incident"`
	Patients []record.PatientToken `json:"patients"`
	Told
}

func (s sentNotices) rows(id record.ObjectID) []catalog.BreachNotice {
	rows := make([]catalog.BreachNotice, len(s.Patients))
	for n, p := range s.Patients {
		rows[n] = catalog.BreachNotice{Incident: s.Incident, Patient: p, At: s.At, By: s.By, How: s.How, Record: id}
	}
	return rows
}

// breachFacts are what is known of an incident now.
func (v *Vault) breachFacts(ctx context.Context, i Incident, of Affected, by string) (breach.Facts, error) {
	o := v.cfg.Officer
	f := breach.Facts{Incident: string(i.ID), Drill: i.Drill, What: i.What, Discovered: i.Discovered, Due: i.Discovered.Add(breach.Within), Patients: len(of.Patients),
		Acts: make(map[string]int64), Done: i.Containment, Officer: breach.Contact{Name: o.Name, Email: o.Email, Phone: o.Phone, Address: o.Address}, At: v.nowMillis(), By: by}
	patients := make([]record.PatientToken, len(of.Patients))
	var all []AffectedAct
	for n, p := range of.Patients {
		patients[n] = p.Patient
		for _, one := range p.How {
			f.Acts[one.Act] += one.Times
		}
		all = append(all, p.How...)
	}
	if len(all) > 0 {
		first, last := bounds(all)
		f.First, f.Last = &first, &last
	}
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		sent, err := tx.BreachNotices(ctx, i.ID)
		if err != nil {
			return err
		}
		f.Told = len(sent)
		f.Categories, err = tx.Categories(ctx, patients)
		return err
	})
	if err != nil {
		return f, unavailable("catalog", err)
	}
	return f, nil
}

// IncidentReport is what the authorities are told, as it is known now. Acts of the guard:
// incident.read.
func (v *Vault) IncidentReport(ctx context.Context, a record.Actor, id record.ObjectID) (breach.Facts, error) {
	i, of, err := v.incidentNow(ctx, a, id, "report")
	if err != nil {
		return breach.Facts{}, err
	}
	return v.breachFacts(ctx, i, of, a.ID)
}

// incidentNow is an incident with whom it affects, once it is in the log that it is read.
func (v *Vault) incidentNow(ctx context.Context, a record.Actor, id record.ObjectID, why string) (i Incident, of Affected, err error) {
	if i, err = v.incident(ctx, a, record.ActionIncidentRead, id); err != nil {
		return i, of, err
	}
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionIncidentRead, Object: id}, func(_ *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Reason = i.did(why)
		return nil
	})
	if err == nil {
		of, err = v.affected(ctx, i)
	}
	return i, of, err
}

// Notices drafts what every affected patient is told, in Chinese and English. Acts of the
// guard: incident.read.
func (v *Vault) Notices(ctx context.Context, a record.Actor, id record.ObjectID) ([]PatientNotice, error) {
	i, of, err := v.incidentNow(ctx, a, id, "notices")
	if err != nil {
		return nil, err
	}
	facts, err := v.breachFacts(ctx, i, of, a.ID)
	if err != nil {
		return nil, err
	}
	list := make([]PatientNotice, len(of.Patients))
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		sent, err := tx.BreachNotices(ctx, id)
		if err != nil {
			return err
		}
		told := make(map[record.PatientToken]*Told)
		for _, s := range sent {
			told[s.Patient] = &Told{At: s.At.UTC(), By: s.By, How: s.How}
		}
		for n, p := range of.Patients {
			kinds, err := tx.Categories(ctx, []record.PatientToken{p.Patient})
			if err != nil {
				return err
			}
			theirs := make(map[string]int64)
			for _, one := range p.How {
				theirs[one.Act] += one.Times
			}
			first, last := bounds(p.How)
			list[n] = PatientNotice{Draft: breach.Notice(facts, string(p.Patient), theirs, first, last, kinds), Sent: told[p.Patient]}
		}
		return nil
	})
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	return list, nil
}

// Notified says that somebody was told.
type Notified struct {
	Authority bool                  `json:"authority,omitempty"` // the authorities, or
	All       bool                  `json:"all,omitempty"`       // every affected patient, or
	Patients  []record.PatientToken `json:"patients,omitempty"`  // these
	How       string                `json:"how"`                 // a code, as "letter", "phone" or "online-form"
	Reference string                `json:"reference,omitempty"` // of a receipt
	At        *time.Time            `json:"at,omitempty"`        // default now
}

// RecordNotified puts on record that patients or the authorities were told. When nobody is
// left who must be, the clock stops. Acts of the guard: incident.work.
func (v *Vault) RecordNotified(ctx context.Context, a record.Actor, id record.ObjectID, n Notified) (Incident, error) {
	told := Told{At: v.nowMillis(), By: a.ID, How: n.How, Reference: n.Reference}
	if n.At != nil {
		told.At = n.At.UTC().Truncate(time.Millisecond)
	}
	bad := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case !code(n.How):
		return Incident{}, bad("bad-how", "say how they were told in lower-case words with hyphens, as letter")
	case n.Authority == (n.All || len(n.Patients) > 0) || n.All && len(n.Patients) > 0:
		return Incident{}, bad("bad-notified", "say who was told: authority, all, or patients")
	case !name(n.Reference, 0, 255) || told.At.After(v.cfg.Now()):
		return Incident{}, bad("bad-notified", "a reference has at most 255 characters, and at lies in the past")
	}
	i, err := v.incident(ctx, a, record.ActionIncidentWork, id)
	if err != nil {
		return i, err
	}
	of, err := v.affected(ctx, i)
	if err != nil {
		return i, err
	}
	if !n.Authority {
		if err := v.tellPatients(ctx, a, i, of, n, told); err != nil {
			return i, err
		}
	}
	everybody, err := v.everybodyTold(ctx, of)
	if err != nil {
		return i, err
	}
	return v.workOnIncident(ctx, a, id, func(i *Incident) (string, error) {
		did := "patients-told"
		if n.Authority {
			i.Authority, did = append(i.Authority, told), "authority-told"
		}
		if everybody && len(i.Authority) > 0 {
			i.State, i.Told = DossierTold, &told.At
		}
		return did, nil
	}, nil)
}

func (v *Vault) tellPatients(ctx context.Context, a record.Actor, i Incident, of Affected, n Notified, told Told) error {
	known := make(map[record.PatientToken]bool)
	for _, p := range of.Patients {
		known[p.Patient] = true
		if n.All {
			n.Patients = append(n.Patients, p.Patient)
		}
	}
	slices.Sort(n.Patients)
	for _, p := range n.Patients {
		if !known[p] {
			return record.Refuse(record.ErrInvalid, "not-affected", "by the log this incident does not concern one of these patients")
		}
	}
	if len(n.Patients) == 0 {
		return nil // there is nobody to tell
	}
	sent := sentNotices{Incident: i.ID, Patients: slices.Compact(n.Patients), Told: told}
	recorded := record.NewObjectID()
	return v.putHouseRecord(ctx, act{Actor: a, Action: record.ActionIncidentWork}, recorded, recordBreachNotices, sent, func(tx *catalog.Tx) error {
		return tx.InsertBreachNotices(ctx, sent.rows(recorded))
	})
}

// everybodyTold says whether no affected patient is left to be told.
func (v *Vault) everybodyTold(ctx context.Context, of Affected) (bool, error) {
	told := make(map[record.PatientToken]bool)
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		sent, err := tx.BreachNotices(ctx, of.Incident)
		for _, s := range sent {
			told[s.Patient] = true
		}
		return err
	})
	if err != nil {
		return false, unavailable("catalog", err)
	}
	return !slices.ContainsFunc(of.Patients, func(p AffectedPatient) bool { return !told[p.Patient] }), nil
}
