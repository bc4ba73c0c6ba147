package vault

import (
	"context"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // when a day begins at home does not depend on the machine

	"medvault/keys/token"
	"medvault/vault/access"
	"medvault/vault/alarm"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// ofAge is how old a patient must be to decide for themselves.
const ofAge = 18

// The guard has to know at every act whether a patient is under age. For that the catalog
// keeps the birth dates of children, and of nobody else, sealed under a child of the index
// key. The latest date that any document of the patient states counts: a document that
// makes a patient older by mistake must not take a child's protection away. A patient of
// whom no document states a date is not known to be a child and is treated as of age: the
// birth date decides, and a hospital cannot close every record that came without one. PDF
// reports have none of their own; whoever uploads one may state it.

// zoneOf is the time zone in which a country counts its days.
func zoneOf(country string) (*time.Location, error) {
	zone := map[string]string{"CN": "Asia/Shanghai", "HK": "Asia/Hong_Kong", "MO": "Asia/Macau", "TW": "Asia/Taipei", "SG": "Asia/Singapore",
		"JP": "Asia/Tokyo", "KR": "Asia/Seoul", "TH": "Asia/Bangkok", "MY": "Asia/Kuala_Lumpur", "DE": "Europe/Berlin", "GB": "Europe/London",
		"CH": "Europe/Zurich"}[country]
	if zone == "" {
		zone = "Etc/GMT+12" // where a day ends last: nobody comes of age early
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("calendar of %s: %w", country, err)
	}
	return loc, nil
}

// underAge says whether somebody born on that day is a child now, by the calendar at home.
// Who was born on 29 February comes of age on 1 March where there is no such day.
func (v *Vault) underAge(birth time.Time) bool {
	comes := time.Date(birth.Year()+ofAge, birth.Month(), birth.Day(), 0, 0, 0, 0, v.zone)
	return v.cfg.Now().Before(comes)
}

// bornMinor says whether a document's date, "" when it states none, makes its patient a
// child. A date that is still to come is no birth date.
func (v *Vault) bornMinor(date string) (birth time.Time, minor bool) {
	birth, err := token.ParseDay(date)
	if err != nil || birth.After(v.cfg.Now().AddDate(0, 0, 2)) {
		return birth, false
	}
	return birth, v.underAge(birth)
}

// minor says whether a patient is a child now.
func (v *Vault) minor(ctx context.Context, tx *catalog.Tx, p record.PatientToken) (bool, error) {
	m, err := tx.Minor(ctx, p)
	if errors.Is(err, catalog.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	birth, err := v.tokens.OpenBirth(string(p), m.Birth)
	if err != nil {
		return true, nil // a date that does not open takes no protection away
	}
	return v.underAge(birth), nil
}

// consents lists what was said about a patient as far as it counts: of a child nothing is
// permitted but by a guardian (consent.OfChild).
func (v *Vault) consents(ctx context.Context, tx *catalog.Tx, p record.PatientToken) ([]consent.Statement, error) {
	said, err := tx.Consents(ctx, p)
	if err != nil {
		return nil, err
	}
	minor, err := v.minor(ctx, tx, p)
	if err != nil || !minor {
		return said, err
	}
	return consent.OfChild(said, v.cfg.Now()), nil
}

// heard is what counts of what was said, once a document with this birth date is stored.
func (v *Vault) heard(said []consent.Statement, date string) []consent.Statement {
	if _, minor := v.bornMinor(date); minor {
		return consent.OfChild(said, v.cfg.Now())
	}
	return said
}

// ActionCaseOpen is in the leaf that says that a case is to be settled by people.
const ActionCaseOpen record.Action = "case.opened"

// ageAdvice tells who is refused for a patient's age what to do; "" when the reason is
// another.
func ageAdvice(reason string) string {
	switch reason {
	case "guardian-consent-missing":
		return "the patient is under age and no guardian has agreed in writing: ask the guardian, and put the consent on record"
	case "essential-staff-only":
		return "the patient is under age: only members of the care team who are stated as essential may do this"
	case "guardian-ended":
		return "the patient is of age, or not known to be a child, and decides alone"
	case "guardian-acts":
		return "the patient is under age: a guardian acts for them"
	case access.ReasonEmergency:
		return "say what the emergency is, in the header Reason: then you are let in for an hour, and it is looked at"
	}
	return ""
}

// CaseGuardianConsent is the type of case in which a guardian has to be asked.
const CaseGuardianConsent = "guardian-consent"

// noteBirth takes in the birth date that a document of a locked patient states. A child of
// whom the vault had not known gets their protection, and the case in which the guardian
// is asked, with this transaction; copies abroad that nobody may have permitted go.
func (v *Vault) noteBirth(ctx context.Context, tx *catalog.Tx, p catalog.Patient, date string, by record.ObjectID) error {
	birth, minor := v.bornMinor(date)
	if !minor {
		return nil
	}
	known, err := tx.Minor(ctx, p.Token)
	if err == nil {
		if before, err := v.tokens.OpenBirth(string(p.Token), known.Birth); err == nil && !birth.After(before) {
			return nil
		}
	} else if !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	first := err != nil
	before, err := v.consents(ctx, tx, p.Token)
	if err != nil {
		return err
	}
	if err := tx.PutMinor(ctx, catalog.Minor{Patient: p.Token, Birth: v.tokens.SealBirth(string(p.Token), birth), Since: v.cfg.Now()}); err != nil || !first {
		return err
	}
	after, err := v.consents(ctx, tx, p.Token)
	if err != nil {
		return err
	}
	if err := v.follow(ctx, tx, p, by, before, after); err != nil || consent.Guarded(after, v.cfg.Now()) {
		return err
	}
	leaf := v.leaf(act{Actor: v.self(), Action: ActionCaseOpen, Patient: p.Token, Object: by}, access.Decision{Allow: true})
	leaf.Reason = CaseGuardianConsent
	if err := appendLeaf(ctx, tx, leaf); err != nil {
		return err
	}
	return v.raise(ctx, tx, alarm.Alarm{Kind: alarm.GuardianConsent, About: string(by)}, "")
}

// comeOfAge forgets children who are of age now, so that searches find them: every day
// once by each gateway, before the first search, and now and then between. The guard does
// not wait for it. No leaf says so: its time would be a birthday.
func (v *Vault) comeOfAge(ctx context.Context) error {
	today := v.cfg.Now().In(v.zone).Format(time.DateOnly)
	if done := v.grownUp.Load(); done != nil && *done == today {
		return nil
	}
	for after := record.PatientToken(""); ; {
		var page []catalog.Minor
		err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			page, err = tx.Minors(ctx, after, 500)
			return err
		})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			v.grownUp.Store(&today)
			return nil
		}
		for _, m := range page {
			after = m.Patient
			birth, err := v.tokens.OpenBirth(string(m.Patient), m.Birth)
			if err != nil || v.underAge(birth) {
				continue
			}
			if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return v.grow(ctx, tx, m.Patient) }); err != nil {
				return err
			}
		}
	}
}

// grow makes a child who has come of age a patient like others.
func (v *Vault) grow(ctx context.Context, tx *catalog.Tx, token record.PatientToken) error {
	p, err := tx.LockPatient(ctx, token)
	if err != nil {
		return err
	}
	if minor, err := v.minor(ctx, tx, token); err != nil || minor {
		return err // a document made them younger meanwhile
	}
	said, err := tx.Consents(ctx, token)
	if err != nil {
		return err
	}
	if err := tx.DropMinor(ctx, token); err != nil {
		return err
	}
	return v.follow(ctx, tx, p, record.ObjectID(token), consent.OfChild(said, v.cfg.Now()), said)
}

// guardianCases lists up to limit children behind a token whose guardians have to be asked;
// last is the token behind which there may be more. It follows from what is known of the
// patients and cannot disagree with it: who gives consent closes it.
func (v *Vault) guardianCases(ctx context.Context, tx *catalog.Tx, after record.PatientToken, limit int) (list []Case, last record.PatientToken, err error) {
	page, err := tx.Minors(ctx, after, limit)
	if err != nil {
		return nil, "", err
	}
	if len(page) == limit {
		last = page[limit-1].Patient
	}
	for _, m := range page {
		said, err := tx.Consents(ctx, m.Patient)
		if err != nil {
			return nil, "", err
		}
		minor, err := v.minor(ctx, tx, m.Patient)
		if err != nil {
			return nil, "", err
		}
		if !minor || consent.Guarded(said, v.cfg.Now()) {
			continue
		}
		c := Case{Patient: m.Patient, Type: CaseGuardianConsent, State: "waiting", Opened: m.Since.UTC()}
		if consent.Refused(said, consent.Use{Purpose: record.PurposeTreat}, v.cfg.Now()) {
			c.State = "refused"
		}
		list = append(list, c)
	}
	return list, last, nil
}
