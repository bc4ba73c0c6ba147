package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// CareNews is what one message of a hospital's system says of who treats a patient.
type CareNews struct {
	Source  string // of what kind: "hl7", "dicom"; it becomes the origin of relationships and leaves
	Message string // what no other message of this sender is called; it acts once within 30 days
	Visits  []VisitCare
	Unnamed int // people it names whom nobody here can be told from
}

// VisitCare is what is new of one visit, or one order. Only relationships of the same
// visit, told by the same actor, are touched.
type VisitCare struct {
	Visit    string      // the sender's number of it
	State    []NewCare   // who treats; whoever is known to already stays as they are
	Complete []string    // roles of which State names everybody: whoever else has one ends now
	Ended    []CareParty // who does not treat any more
	EndAll   *time.Time  // the visit is over: everybody ends then, or now if that is past
}

// CareParty is somebody in a role.
type CareParty struct{ Clinician, Role string }

// CareChanged tells what came of news.
type CareChanged struct {
	Stated, Ended int
	Again         bool        // the message was acted upon before
	Unknown       []CareParty // who is not on the staff register: nothing was stated of them
}

// messagesKept is how long a message is known again.
const messagesKept = 30 * 24 * time.Hour

// TakeCareNews changes who treats a patient, all of it or nothing: every relationship that
// is stated or ended is a record of its own with its leaf. When it returns nil it is
// committed. Acts of the guard: care.add and care.end, or care.list where nothing
// changes. Whoever is not on the staff register is left out; when nothing but such people
// would be new: ErrInvalid, unknown-clinician. Unknown patient: ErrNotFound.
func (v *Vault) TakeCareNews(ctx context.Context, a record.Actor, p record.PatientToken, n CareNews) (done CareChanged, err error) {
	var cares []catalog.Care
	var unknown []CareParty
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if n.Visits, unknown, err = v.onRegister(ctx, tx, n.Visits); err != nil {
			return err
		}
		cares, err = tx.Cares(ctx, p)
		return err
	})
	if err != nil {
		return done, err
	}
	puts, done, err := v.newsPuts(a, p, n, cares)
	if err != nil {
		return done, err
	}
	if done.Unknown = unknown; len(puts) == 0 && len(unknown)+n.Unnamed > 0 {
		return done, unknownClinician
	}
	take := func(tx *catalog.Tx) error {
		if err := tx.TakeMessage(ctx, v.tokens.ID("care-message", a.ID+"\x00"+n.Message, 64), v.cfg.Now(), messagesKept); err != nil {
			return err
		}
		now, err := tx.Cares(ctx, p)
		if err == nil && !slices.EqualFunc(now, cares, sameCare) {
			err = errChanged // by another message: this one is sent again
		}
		return err
	}
	if len(puts) == 0 {
		err = v.noNews(ctx, a, p, n, take)
	} else {
		err = v.putRecords(ctx, p, puts, take)
	}
	if errors.Is(err, catalog.ErrExist) {
		return CareChanged{Again: true}, nil
	}
	return done, err
}

// noNews takes a message that changes nothing.
func (v *Vault) noNews(ctx context.Context, a record.Actor, p record.PatientToken, n CareNews, take func(tx *catalog.Tx) error) error {
	look := act{Actor: a, Action: record.ActionCareList, Patient: p, Origin: n.Source}
	_, err := v.perform(ctx, look, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) error {
		if _, err := tx.Patient(ctx, p); err != nil {
			return notFound(err)
		}
		return take(tx)
	})
	if errors.Is(err, errChanged) {
		return unavailable("patient", err)
	}
	return err
}

func sameCare(a, b catalog.Care) bool {
	same := func(x, y *time.Time) bool { return x == nil && y == nil || x != nil && y != nil && x.Equal(*y) }
	return a.ID == b.ID && same(a.Ended, b.Ended)
}

// onRegister leaves out of visits who is not on the staff register.
func (v *Vault) onRegister(ctx context.Context, tx *catalog.Tx, visits []VisitCare) (known []VisitCare, unknown []CareParty, err error) {
	if v.cfg.InsecureActors {
		return visits, nil, nil
	}
	for _, visit := range visits {
		var state []NewCare
		for _, c := range visit.State {
			switch _, _, err := tx.StaffEntry(ctx, c.Clinician); {
			case err == nil:
				state = append(state, c)
			case errors.Is(err, catalog.ErrNotFound):
				unknown = append(unknown, CareParty{c.Clinician, c.Role})
			default:
				return nil, nil, unavailable("catalog", err)
			}
		}
		visit.State = state
		known = append(known, visit)
	}
	return known, unknown, nil
}

var unknownClinician = &record.Refusal{Kind: record.ErrInvalid, Code: "unknown-clinician", Advice: "nobody the message names as treating is on the staff register"}

// newsPuts are the records that news make, given what is known of the patient.
func (v *Vault) newsPuts(a record.Actor, p record.PatientToken, n CareNews, cares []catalog.Care) (puts []recordPut, done CareChanged, err error) {
	now := v.cfg.Now()
	for _, visit := range n.Visits {
		origin := v.visitOrigin(a, n.Source, visit.Visit)
		open := make(map[CareParty]bool)
		for _, c := range cares {
			if c.Origin != origin || c.Ended != nil && !c.Ended.After(now) || c.Until != nil && !c.Until.After(now) {
				continue
			}
			at, ends := visit.ends(c, now)
			if ends && (c.Ended == nil || at.Before(*c.Ended)) {
				end := careEnd{Care: c.ID, Ended: at, By: a.ID}
				puts = append(puts, end.put(a, p, n.Source))
				done.Ended++
			}
			if !ends && c.Ended == nil {
				open[CareParty{c.Clinician, c.Role}] = true
			}
		}
		for _, stated := range visit.State {
			who := CareParty{stated.Clinician, stated.Role}
			if open[who] {
				continue
			}
			open[who] = true
			stated.Origin = origin
			c, err := stated.care(a, p, now)
			if err != nil {
				return nil, done, err
			}
			put := c.put(a)
			put.act.Origin = n.Source
			puts = append(puts, put)
			done.Stated++
		}
	}
	return puts, done, nil
}

// visitOrigin is the origin of the relationships of one visit, told by an actor.
func (v *Vault) visitOrigin(a record.Actor, source, visit string) string {
	if visit == "" {
		return source
	}
	return source + ":" + v.tokens.ID("care-visit", a.ID+"\x00"+visit, 26)
}

// ends says whether news of a visit end a relationship of it, and when.
func (n VisitCare) ends(c catalog.Care, now time.Time) (at time.Time, ends bool) {
	who := CareParty{c.Clinician, c.Role}
	stays := func(s NewCare) bool { return s.Clinician == who.Clinician && s.Role == who.Role }
	switch {
	case n.EndAll != nil && n.EndAll.After(now):
		return *n.EndAll, true
	case n.EndAll != nil, slices.Contains(n.Ended, who):
		return now, true
	}
	return now, slices.Contains(n.Complete, c.Role) && !slices.ContainsFunc(n.State, stays)
}

// put is the record of an end.
func (e careEnd) put(a record.Actor, p record.PatientToken, origin string) recordPut {
	return recordPut{act: act{Actor: a, Action: record.ActionCareEnd, Patient: p, Object: e.Care, Origin: origin}, id: record.NewObjectID(), recordType: recordCareEnd, value: e,
		change: func(ctx context.Context, tx *catalog.Tx) error { return tx.EndCare(ctx, p, e.Care, e.Ended, e.By) }}
}
