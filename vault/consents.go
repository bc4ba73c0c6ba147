package vault

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// Types of records about consent. They are placed at home alone; abroad they come, like all
// of a patient, by jobs.
const (
	recordConsent    = "consent"
	recordConsentEnd = "consent-end"
)

func aboutConsent(recordType string) bool {
	return recordType == recordConsent || recordType == recordConsentEnd
}

// Consent is what a patient has said about the use of their documents: a record, sealed
// and replicated like a document.
type Consent struct {
	ID        record.ObjectID     `json:"id"`
	Patient   record.PatientToken `json:"patient"`
	Purpose   record.Purpose      `json:"purpose"`             // HL7 v3 PurposeOfUse, or "*"
	Recipient string              `json:"recipient,omitempty"` // institution
	Country   string              `json:"country,omitempty"`   // ISO 3166-1 alpha-2; left out: home
	Decision  string              `json:"decision"`            // "permit", "refuse" or "restrict"; "withdrawn" when it was
	Reading   bool                `json:"reading,omitempty"`   // a permit for a country covers reading there, not storage alone
	From      time.Time           `json:"from"`
	Until     *time.Time          `json:"until,omitempty"`
	Evidence  record.ObjectID     `json:"evidence,omitempty"` // the document, of this patient, in which it is written
	By        string              `json:"by"`
	Recorded  time.Time           `json:"recorded"`
	Said      string              `json:"said,omitempty"` // what the decision was before it was withdrawn
	Withdrawn *time.Time          `json:"withdrawn,omitempty"`
	EndedBy   string              `json:"withdrawnBy,omitempty"`
	Guardian  string              `json:"guardian,omitempty"` // subject of the guardian who said it for a child
}

// withdrawnDecision is the decision of a consent that was withdrawn.
const withdrawnDecision = "withdrawn"

// NewConsent is what is to be put on record.
type NewConsent struct {
	Purpose   record.Purpose  `json:"purpose"`
	Recipient string          `json:"recipient,omitempty"`
	Country   string          `json:"country,omitempty"`
	Decision  string          `json:"decision,omitempty"` // "permit" (default), "refuse" or "restrict"
	Reading   bool            `json:"reading,omitempty"`
	From      *time.Time      `json:"from,omitempty"` // default now
	Until     *time.Time      `json:"until,omitempty"`
	Evidence  record.ObjectID `json:"evidence,omitempty"`
	Guardian  string          `json:"guardian,omitempty"` // subject of the guardian who says it; a guardian's own is filled in
}

// AddConsent puts on record what a patient has said. It acts on the next request in every
// gateway; what it permits abroad is copied there, and what it refuses there is taken
// away, by jobs. A permit for research, for a country or for everything needs its
// evidence. For a child only a guardian on record permits anything, in writing: then the
// child's documents leave quarantine. Acts of the guard: consent.add.
func (v *Vault) AddConsent(ctx context.Context, a record.Actor, p record.PatientToken, n NewConsent) (Consent, error) {
	if a.Role == record.RoleGuardian {
		n.Guardian = a.ID
	}
	s, err := v.statement(a, p, n)
	if err != nil {
		return Consent{}, err
	}
	c := consentOf(s)
	err = v.putRecord(ctx, act{Actor: a, Action: record.ActionConsentAdd, Patient: p, Object: s.ID}, s.ID, recordConsent, c, func(tx *catalog.Tx) error {
		if err := errors.Join(evidenceOf(ctx, tx, p, s.Evidence), v.mayPermit(ctx, tx, s)); err != nil {
			return err
		}
		return v.change(ctx, tx, p, s.ID, func() error { return tx.InsertConsent(ctx, s) })
	})
	return c, err
}

func (v *Vault) statement(a record.Actor, p record.PatientToken, n NewConsent) (consent.Statement, error) {
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	s := consent.Statement{ID: record.NewObjectID(), Patient: p, Purpose: n.Purpose, Recipient: n.Recipient, Country: n.Country,
		Decision: consent.Decision(n.Decision), Reading: n.Reading, From: now, Until: n.Until, Evidence: n.Evidence, By: a.ID, Recorded: now, Guardian: n.Guardian}
	if s.Decision == "" {
		s.Decision = consent.Permit
	}
	if n.From != nil {
		s.From = *n.From
	}
	if s.Country == v.cfg.Home && s.Decision == consent.Permit {
		s.Country = ""
	}
	refuse := func(code, advice string) (consent.Statement, error) {
		return s, record.Refuse(record.ErrInvalid, code, advice)
	}
	switch {
	case !consent.Known(s.Purpose):
		return refuse("bad-purpose", `purpose is an HL7 v3 PurposeOfUse code as TREAT, HQUALIMP or HRESCH, or "*"`)
	case !slices.Contains([]consent.Decision{consent.Permit, consent.Refuse, consent.Restrict}, s.Decision):
		return refuse("bad-decision", "decision is permit, refuse or restrict")
	case s.Country != "" && !countryCode(s.Country):
		return refuse("bad-country", "country is an ISO 3166-1 alpha-2 code as SG")
	case s.Country == v.cfg.Home: // nothing would come of it: a use at home has no country
		return refuse("bad-country", "leave the country out: a refusal without one holds at home and abroad")
	case s.Recipient != "" && !institution(s.Recipient):
		return refuse("bad-recipient", "name the recipient, an institution: at most 64 characters, no control characters, no spaces around it")
	case s.Reading && (s.Country == "" || s.Decision != consent.Permit):
		return refuse("bad-reading", "reading belongs to a permit for a country")
	case s.Until != nil && (!s.Until.After(s.From) || !s.Until.After(now)):
		return refuse("until-in-the-past", "until must lie in the future, behind from")
	case s.NeedsEvidence() && s.Evidence == "":
		return refuse("evidence-required", "store the written consent as a document of this patient first, and name its id as evidence")
	}
	if s.Evidence != "" {
		if _, err := record.ParseObjectID(string(s.Evidence)); err != nil {
			return refuse("bad-evidence", "evidence is the id of a stored document")
		}
	}
	return s, nil
}

func countryCode(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// institution says whether a name may be an institution's.
func institution(name string) bool {
	return name != "" && name == strings.TrimSpace(name) && utf8.ValidString(name) && utf8.RuneCountInString(name) <= 64 &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

// evidenceOf checks that a consent's evidence is a stored document of its patient.
func evidenceOf(ctx context.Context, tx *catalog.Tx, p record.PatientToken, evidence record.ObjectID) error {
	if evidence == "" {
		return nil
	}
	current, err := tx.Current(ctx, evidence)
	if err == nil {
		var d catalog.Document
		if d, err = tx.Document(ctx, current); err == nil && d.Patient == p {
			return nil
		}
	}
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	return record.Refuse(record.ErrInvalid, "evidence-unknown", "the evidence is no stored document of this patient")
}

// change changes what a patient has said, under their row's lock, and orders what follows
// from it in the regions abroad.
func (v *Vault) change(ctx context.Context, tx *catalog.Tx, patient record.PatientToken, by record.ObjectID, do func() error) error {
	p, err := tx.Patient(ctx, patient) // locked by putRecord
	if err != nil {
		return err
	}
	before, err := v.consents(ctx, tx, patient)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	after, err := v.consents(ctx, tx, patient)
	if err != nil {
		return err
	}
	return v.follow(ctx, tx, p, by, before, after)
}

// WithdrawConsent ends a statement now: a permit is withdrawn, a refusal or restriction
// lifted. The end is a record of its own. What lies abroad and is not covered any more is
// taken away by jobs: its keys first. Unknown or ended already: ErrNotFound.
func (v *Vault) WithdrawConsent(ctx context.Context, a record.Actor, p record.PatientToken, id record.ObjectID) error {
	end := consentEnd{Consent: id, Ended: v.cfg.Now().UTC().Truncate(time.Millisecond), By: a.ID}
	return v.putRecord(ctx, act{Actor: a, Action: record.ActionConsentWithdraw, Patient: p, Object: id}, record.NewObjectID(), recordConsentEnd, end, func(tx *catalog.Tx) error {
		return v.change(ctx, tx, p, id, func() error { return tx.EndConsent(ctx, p, id, end.Ended, a.ID) })
	})
}

type consentEnd struct {
	Consent record.ObjectID `json:"consent"`
	Ended   time.Time       `json:"ended"`
	By      string          `json:"by"`
}

// ListConsents lists what a patient has said, in the order in which it was recorded, what
// was withdrawn included.
func (v *Vault) ListConsents(ctx context.Context, a record.Actor, p record.PatientToken) ([]Consent, error) {
	var said []consent.Statement
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionConsentList, Patient: p},
		func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
			if _, err := tx.Patient(ctx, p); err != nil {
				return notFound(err)
			}
			said, err = tx.Consents(ctx, p)
			return err
		})
	if err != nil {
		return nil, err
	}
	list := make([]Consent, 0, len(said))
	for _, s := range said {
		list = append(list, consentOf(s))
	}
	return list, nil
}

func consentOf(s consent.Statement) Consent {
	c := Consent{ID: s.ID, Patient: s.Patient, Purpose: s.Purpose, Recipient: s.Recipient, Country: s.Country, Decision: string(s.Decision),
		Reading: s.Reading, From: s.From.UTC(), Until: s.Until, Evidence: s.Evidence, By: s.By, Recorded: s.Recorded.UTC(), Withdrawn: s.Ended, EndedBy: s.EndedBy, Guardian: s.Guardian}
	if s.Ended != nil {
		c.Decision, c.Said = withdrawnDecision, c.Decision
	}
	return c
}

// statement is a record of consent as the catalog keeps it.
func (c Consent) statement() consent.Statement {
	return consent.Statement{ID: c.ID, Patient: c.Patient, Purpose: c.Purpose, Recipient: c.Recipient, Country: c.Country, Decision: consent.Decision(c.Decision),
		Reading: c.Reading, From: c.From, Until: c.Until, Evidence: c.Evidence, By: c.By, Recorded: c.Recorded, Guardian: c.Guardian}
}
