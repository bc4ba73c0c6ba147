package vault

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"medvault/vault/access"
	"medvault/vault/alarm"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Breakglass is one emergency: a clinician was let at the originals of a patient whom they
// do not treat, or at a child's in quarantine. The data protection officer is alarmed at
// once and looks at it within a day.
type Breakglass struct {
	ID         record.ObjectID     `json:"id"`
	Patient    record.PatientToken `json:"patient"`
	Actor      string              `json:"actor"`
	Minor      bool                `json:"minor,omitempty"`
	Reason     string              `json:"reason,omitempty"` // sealed; left out of lists
	Opened     time.Time           `json:"opened"`
	Until      time.Time           `json:"until"`    // when it closes
	ReviewBy   time.Time           `json:"reviewBy"` // when the review is due
	Overdue    bool                `json:"overdue,omitempty"`
	Reviewed   *time.Time          `json:"reviewed,omitempty"`
	ReviewedBy string              `json:"reviewedBy,omitempty"`
	Outcome    string              `json:"outcome,omitempty"` // "justified" or "unjustified"
	Note       string              `json:"note,omitempty"`    // of the review, sealed; left out of lists
}

const (
	breakglassOpen   = time.Hour      // for one patient and one person
	breakglassReview = 24 * time.Hour // until somebody has to have looked at it
)

// Types of records about emergencies.
const (
	recordBreakglass       = "break-glass"
	recordBreakglassReview = "break-glass-review"
)

// BreakGlass lets a clinician at a patient's originals for an hour, for emergency
// treatment (ETREAT), with a reason. While it is open the same again changes nothing. Acts
// of the guard: breakglass.open. Whoever may not know of the patient: ErrNotFound.
func (v *Vault) BreakGlass(ctx context.Context, a record.Actor, p record.PatientToken, reason *record.Emergency) (Breakglass, error) {
	if reason == nil {
		return Breakglass{}, record.Refuse(record.ErrInvalid, access.ReasonEmergency, ageAdvice(access.ReasonEmergency))
	}

	opening := act{Actor: a, Action: record.ActionBreakglassOpen, Patient: p}
	if err := v.may(ctx, opening); err != nil {
		return Breakglass{}, err
	}
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	b := Breakglass{ID: record.NewObjectID(), Patient: p, Actor: a.ID, Reason: reason.Text(), Opened: now, Until: now.Add(breakglassOpen), ReviewBy: now.Add(breakglassReview)}
	opening.Object = b.ID
	var live catalog.Breakglass
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if b.Minor, err = v.minor(ctx, tx, p); err != nil {
			return err
		}
		live, err = tx.LiveBreakglass(ctx, a.ID, p, now)
		return err
	})
	if err == nil {
		return v.tellBreakglass(live), nil
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return Breakglass{}, unavailable("catalog", err)
	}
	err = v.putRecord(ctx, opening, b.ID, recordBreakglass, b, func(tx *catalog.Tx) (err error) {
		// Under the patient's row lock: two gateways at once open it once. The other one's
		// clock may be ahead, or it began later and was faster.
		for _, at := range []time.Time{now, now.Add(time.Minute)} {
			if live, err = tx.LiveBreakglass(ctx, a.ID, p, at); err == nil {
				return errBroken
			}
			if !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
		}
		if err := tx.InsertBreakglass(ctx, b.row()); err != nil {
			return err
		}
		return v.raise(ctx, tx, alarm.Alarm{Kind: alarm.BreakglassOpened, About: string(b.ID), Due: b.ReviewBy}, "")
	})
	if errors.Is(err, errBroken) {
		return v.tellBreakglass(live), nil
	}
	if err != nil {
		return Breakglass{}, err
	}
	v.cfg.Log.Warn("glass broken: the data protection officer has to look at it", "id", b.ID, "actor", b.Actor, "minor", b.Minor, "review_by", b.ReviewBy)
	b.Reason = ""
	return b, nil
}

// errBroken: the glass was broken meanwhile, by the same person for the same patient.
var errBroken = errors.New("glass broken already")

func (b Breakglass) row() catalog.Breakglass {
	return catalog.Breakglass{ID: b.ID, Patient: b.Patient, Actor: b.Actor, Opened: b.Opened, Until: b.Until, ReviewBy: b.ReviewBy}
}

func (v *Vault) tellBreakglass(g catalog.Breakglass) Breakglass {
	return Breakglass{ID: g.ID, Patient: g.Patient, Actor: g.Actor, Opened: g.Opened.UTC(), Until: g.Until.UTC(), ReviewBy: g.ReviewBy.UTC(),
		Overdue: g.Reviewed == nil && !v.cfg.Now().Before(g.ReviewBy), Reviewed: g.Reviewed, ReviewedBy: g.ReviewedBy, Outcome: g.Outcome}
}

// PatientNamed is the token of the patient with this number, for who has nothing but that;
// issuer "" is the actor's institution's. It tells nothing of whether there is one.
func (v *Vault) PatientNamed(a record.Actor, issuer, number string) record.PatientToken {
	if issuer == "" {
		issuer = a.Issuer
	}
	return record.PatientToken(v.tokens.Patient(issuer, number))
}

// BreakglassQuery asks for a part of the list.
type BreakglassQuery struct {
	Waiting bool            // only those nobody has looked at
	After   record.ObjectID // the last one of the page before
	Limit   int             // default 100, at most 1000
}

// Breakglasses lists emergencies, the newest first, without their reasons. Acts of the
// guard: breakglass.list.
func (v *Vault) Breakglasses(ctx context.Context, a record.Actor, q BreakglassQuery) (list []Breakglass, err error) {
	if q.Limit <= 0 || q.Limit > maxResults {
		q.Limit = 100
	}
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionBreakglassList}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) error {
		list = []Breakglass{}
		rows, err := tx.Breakglasses(ctx, q.Waiting, q.After, q.Limit)
		for _, g := range rows {
			b := v.tellBreakglass(g)
			if b.Minor, err = v.minor(ctx, tx, g.Patient); err != nil {
				return err
			}
			list = append(list, b)
		}
		return err
	})
	return list, err
}

// ReadBreakglass tells one emergency with its reason. Acts of the guard: breakglass.review.
func (v *Vault) ReadBreakglass(ctx context.Context, a record.Actor, id record.ObjectID) (Breakglass, error) {
	var row catalog.Breakglass
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionBreakglassReview}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) (err error) {
		if row, err = tx.Breakglass(ctx, id); err != nil {
			return notFound(err)
		}
		leaf.Patient, leaf.Object, leaf.Reason = row.Patient, id, "read"
		return nil
	})
	if err != nil {
		return Breakglass{}, err
	}
	b := v.tellBreakglass(row)
	var sealed Breakglass
	if err := v.readHouseRecord(ctx, id, &sealed); err != nil {
		return b, err
	}
	b.Reason, b.Minor = sealed.Reason, sealed.Minor
	return b, nil
}

// BreakglassReview is what came of looking at an emergency.
type BreakglassReview struct {
	Outcome string `json:"outcome"` // "justified" or "unjustified"
	Note    string `json:"note"`    // sealed
}

type breakglassReviewed struct {
	Breakglass record.ObjectID `json:"breakglass"`
	Outcome    string          `json:"outcome"`
	Note       string          `json:"note"`
	At         time.Time       `json:"at"`
	By         string          `json:"by"`
}

// ReviewBreakglass puts on record what came of looking at an emergency. Another person
// than the one who broke the glass, once. Acts of the guard: breakglass.review.
func (v *Vault) ReviewBreakglass(ctx context.Context, a record.Actor, id record.ObjectID, r BreakglassReview) error {
	switch {
	case !slices.Contains([]string{"justified", "unjustified"}, r.Outcome):
		return record.Refuse(record.ErrInvalid, "bad-outcome", "outcome is justified or unjustified")
	case !utf8.ValidString(r.Note) || utf8.RuneCountInString(r.Note) > 4000:
		return record.Refuse(record.ErrInvalid, "bad-note", "a note has at most 4000 characters")
	}
	reviewing := act{Actor: a, Action: record.ActionBreakglassReview}
	if err := v.may(ctx, reviewing); err != nil {
		return err
	}
	var row catalog.Breakglass
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.Breakglass(ctx, id)
		return notFound(err)
	})
	if errors.Is(err, record.ErrNotFound) {
		return v.absent(ctx, a, record.ActionBreakglassReview)
	}
	if err != nil {
		return unavailable("catalog", err)
	}
	if row.Actor == a.ID {
		return v.turnDown(ctx, reviewing, &record.Refusal{Kind: record.ErrDenied, Code: "second-person", Advice: "another person than the one who broke the glass has to look at it"})
	}
	if row.Reviewed != nil {
		return v.turnDown(ctx, reviewing, reviewedAlready)
	}
	done := breakglassReviewed{Breakglass: id, Outcome: r.Outcome, Note: r.Note, At: v.cfg.Now().UTC().Truncate(time.Millisecond), By: a.ID}
	reviewing.Patient, reviewing.Object = row.Patient, id
	err = v.putRecord(ctx, reviewing, record.NewObjectID(), recordBreakglassReview, done, func(tx *catalog.Tx) error {
		return tx.ReviewBreakglass(ctx, id, done.At, done.By, done.Outcome)
	})
	if errors.Is(err, record.ErrNotFound) {
		return reviewedAlready
	}
	return err
}

var reviewedAlready = &record.Refusal{Kind: record.ErrConflict, Code: "reviewed", Advice: "somebody has looked at this emergency already"}

// BreakglassDue counts the emergencies that nobody has looked at, and of them those whose
// review is overdue.
func (v *Vault) BreakglassDue(ctx context.Context) (waiting, overdue int, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		waiting, overdue, err = tx.UnreviewedBreakglass(ctx, v.cfg.Now())
		return err
	})
	return waiting, overdue, err
}

// lookupInEmergency breaks the glass for the one patient whose documents were refused, when
// the actor has said why, and looks again. Without a reason what was refused stays so.
func (v *Vault) lookupInEmergency(ctx context.Context, a record.Actor, ref Ref, found lookedUp) (lookedUp, error) {
	if a.Emergency == nil || len(found.refused) == 0 {
		return found, nil
	}
	patient := found.refused[0].Patient
	for _, r := range found.refused {
		if r.Patient != patient {
			return found, nil // one emergency, one patient
		}
	}
	_, err := v.BreakGlass(ctx, a, patient, a.Emergency)
	if errors.Is(err, record.ErrNotFound) || errors.Is(err, record.ErrDenied) {
		return found, nil // the refusal to break it is written down, that to read follows
	}
	if err != nil {
		return found, err
	}
	return v.lookup(ctx, a, ref)
}
