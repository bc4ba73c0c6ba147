package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
	"medvault/vault/residency"
)

// Disclosure gives a third party originals of a patient. One person proposes it, another
// approves it, and within a week after that it is given out, every time with a leaf for
// each document, which the patient sees in the access log. It is a house record, whole at
// every revision: it names the patient by token and outlives them.
//
// Only the treating hospital, the law with due procedure and the patient's explicit consent
// are bases; each needs what the law asks of it. Nothing passes that the rules of residency
// refuse.
type Disclosure struct {
	ID        record.ObjectID     `json:"id"`
	Revision  int64               `json:"revision"`
	Patient   record.PatientToken `json:"patient"`
	Recipient string              `json:"recipient"` // institution
	Country   string              `json:"country"`   // of the recipient, ISO 3166-1 alpha-2
	Basis     DisclosureBasis     `json:"basis"`
	Reference string              `json:"reference"`         // number of the order, statute or referral; no names
	Consent   record.ObjectID     `json:"consent,omitempty"` // that covers it, of basis consent
	Documents []record.ObjectID   `json:"documents"`         // what is given
	State     string              `json:"state"`             // "proposed", "approved" or "refused"
	Proposed  time.Time           `json:"proposed"`
	By        string              `json:"by"`
	Decided   *time.Time          `json:"decided,omitempty"`
	DecidedBy string              `json:"decidedBy,omitempty"`
	Until     *time.Time          `json:"until,omitempty"` // until when it is given out
	Given     []GivenOut          `json:"given,omitempty"`
}

// GivenOut is one time at which it was given out.
type GivenOut struct {
	At time.Time `json:"at"`
	By string    `json:"by"`
}

// DisclosureBasis is by which right a third party is given anything.
type DisclosureBasis string

const (
	DiscloseToHospital DisclosureBasis = "treating-hospital"
	DiscloseByStatute  DisclosureBasis = "statute"
	DiscloseByCourt    DisclosureBasis = "court-order"
	DiscloseByConsent  DisclosureBasis = "consent"
)

// DisclosureBases lists them.
func DisclosureBases() []DisclosureBasis {
	return []DisclosureBasis{DiscloseToHospital, DiscloseByStatute, DiscloseByCourt, DiscloseByConsent}
}

// authority says whether the recipient is one to whom the law itself gives it.
func (b DisclosureBasis) authority() bool { return b == DiscloseByStatute || b == DiscloseByCourt }

// States of a disclosure.
const (
	DisclosureProposed = "proposed"
	DisclosureApproved = "approved"
	DisclosureRefused  = "refused"
)

const (
	recordDisclosure = "disclosure"

	giveWithin = 7 * 24 * time.Hour // of the approval
	mostGiven  = 10_000             // documents of one disclosure
)

// NewDisclosure is what is proposed.
type NewDisclosure struct {
	Patient   record.PatientToken `json:"patient"`
	Recipient string              `json:"recipient"`
	Country   string              `json:"country,omitempty"` // of an authority; default home. Of others it is the register's
	Basis     DisclosureBasis     `json:"basis"`
	Reference string              `json:"reference"`
	Documents []record.ObjectID   `json:"documents,omitempty"` // default all of the patient's
}

// reference is a number under which it can be found: at least one digit, and no names.
var reference = regexp.MustCompile(`^[\p{Han}A-Za-z0-9()（）〔〕\[\]./_-]{0,47}[0-9][\p{Han}A-Za-z0-9()（）〔〕\[\]./_-]{0,48}$`)

func (n NewDisclosure) check() error {
	refuse := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case !isToken(n.Patient):
		return refuse("bad-patient", "name the patient by their token")
	case !institution(n.Recipient):
		return refuse("bad-recipient", "name the recipient, an institution: at most 64 characters, no control characters, no spaces around it")
	case !slices.Contains(DisclosureBases(), n.Basis):
		return refuse("basis-required", "basis is treating-hospital, statute, court-order or consent: nothing is given to third parties without one")
	case !reference.MatchString(n.Reference):
		return refuse("reference-required", "give the number of the order, statute, referral or consent, as (2026)京0108民初1234号: letters and digits, no spaces and no names")
	case n.Country != "" && !countryCode(n.Country):
		return refuse("bad-country", "country is an ISO 3166-1 alpha-2 code as SG")
	case n.Country != "" && !n.Basis.authority():
		return refuse("bad-country", "leave the country out: the register of recipients says it")
	case len(n.Documents) > mostGiven:
		return refuse("too-many-documents", "at most 10,000 documents at once")
	}
	for _, id := range n.Documents {
		if _, err := record.ParseObjectID(string(id)); err != nil {
			return refuse("bad-document", "documents are named by their ids")
		}
	}
	return nil
}

// ProposeDisclosure puts on record that a third party is to be given documents of a
// patient. What the basis lacks is said at once. Acts of the guard: disclosure.propose.
func (v *Vault) ProposeDisclosure(ctx context.Context, a record.Actor, n NewDisclosure) (Disclosure, error) {
	if err := n.check(); err != nil {
		return Disclosure{}, err
	}
	d := Disclosure{ID: record.NewObjectID(), Revision: 1, Patient: n.Patient, Recipient: n.Recipient, Country: n.Country, Basis: n.Basis, Reference: n.Reference,
		State: DisclosureProposed, Proposed: v.cfg.Now().UTC().Truncate(time.Millisecond), By: a.ID}
	if n.Basis.authority() {
		d.Country = cmp.Or(n.Country, v.cfg.Home)
	} else {
		d.Country = v.cfg.Registers.CountryOf(n.Recipient)
	}
	proposing := v.disclosing(a, record.ActionDisclosePropose, d)
	if err := v.mayDisclose(ctx, proposing, &d); err != nil {
		return Disclosure{}, err
	}
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		docs, err := v.toDisclose(ctx, tx, n.Patient, n.Documents)
		d.Documents = nil
		for _, doc := range docs {
			d.Documents = append(d.Documents, doc.ID)
		}
		return err
	})
	if err != nil {
		return Disclosure{}, err
	}
	return d, v.putDisclosure(ctx, proposing, d, string(d.Basis))
}

// disclosing is an act about a disclosure: the policies are told its basis.
func (v *Vault) disclosing(a record.Actor, action record.Action, d Disclosure) act {
	return act{Actor: a, Action: action, Patient: d.Patient, Origin: string(d.Basis)}
}

// toDisclose finds what is to be given: the named documents of the patient, or all.
func (v *Vault) toDisclose(ctx context.Context, tx *catalog.Tx, p record.PatientToken, ids []record.ObjectID) ([]catalog.Document, error) {
	docs, err := tx.Documents(ctx, catalog.Scope{Patient: p})
	if err != nil {
		return nil, err
	}
	unknown := record.Refuse(record.ErrInvalid, "document-unknown", "name documents of this patient, or none for all of them")
	if len(ids) == 0 {
		if len(docs) == 0 || len(docs) > mostGiven {
			return nil, unknown
		}
		return docs, nil
	}
	byID := make(map[record.ObjectID]catalog.Document)
	for _, d := range docs {
		byID[d.ID] = d
	}
	chosen := make([]catalog.Document, 0, len(ids))
	for _, id := range ids {
		current, err := tx.Current(ctx, id) // one that was superseded leads to what stands in its place
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return nil, err
		}
		d, known := byID[current]
		if err != nil || !known {
			return nil, unknown
		}
		chosen = append(chosen, d)
	}
	return chosen, nil
}

// mayDisclose asks the guard, and then for what the basis needs; a refusal is written down.
func (v *Vault) mayDisclose(ctx context.Context, doing act, d *Disclosure) error {
	if err := v.may(ctx, doing); err != nil {
		return err
	}
	var why *record.Refusal
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		why, err = v.basisLacks(ctx, tx, d)
		return err
	})
	if err != nil {
		return unavailable("catalog", err)
	}
	if why != nil {
		doing.Recipient = d.Recipient
		return v.turnDown(ctx, doing, why)
	}
	return nil
}

// basisLacks says why a disclosure may not be: what its basis needs is not there, the
// patient has refused it, or the rules of residency do not let it pass. Of basis consent
// it fills in which.
func (v *Vault) basisLacks(ctx context.Context, tx *catalog.Tx, d *Disclosure) (*record.Refusal, error) {
	p, err := tx.Patient(ctx, d.Patient)
	if err != nil {
		return nil, notFound(err)
	}
	said, err := v.consents(ctx, tx, d.Patient)
	if err != nil {
		return nil, err
	}
	denied := func(code, advice string) (*record.Refusal, error) {
		return &record.Refusal{Kind: record.ErrDenied, Code: code, Advice: advice}, nil
	}
	now, home := v.cfg.Now(), cmp.Or(p.Country, v.cfg.Home)
	use := consent.Use{Purpose: record.PurposeTreat, Recipient: d.Recipient}
	if d.Country != home {
		use.Country = d.Country
	}
	flow := residency.Flow{Home: home, To: d.Country, Recipient: d.Recipient, Consent: consent.Given(said, use, now)}
	switch {
	case d.Basis.authority() && d.Country != home:
		// Personal Information Protection Law, article 41.
		return denied("foreign-authority", "nothing is given to courts and authorities abroad without leave of the competent authority at home: they have to ask it")
	case d.Basis.authority():
		flow.Recipient = "" // the law, not an agreement, binds it
	case consent.Refused(said, use, now):
		return denied("restricted", ownAdvice("restricted"))
	case d.Basis == DiscloseByConsent:
		i := slices.IndexFunc(said, func(s consent.Statement) bool {
			return s.Decision == consent.Permit && s.Live(now) && s.Evidence != "" && s.Recipient == d.Recipient && s.Country == use.Country && s.Purpose != record.PurposeResearch
		})
		if i < 0 {
			return denied("no-disclosure-consent", "the patient's written consent that names this recipient is not on record")
		}
		d.Consent, flow.Consent = said[i].ID, true
	}
	if verdict := v.flow(flow); !verdict.Permit {
		return denied(verdict.Reason, cmp.Or(residencyAdvice(verdict.Reason), residencyAdvice(reasonResidency)))
	}
	return nil, nil
}

// putDisclosure writes a revision of a disclosure, with the leaf that the patient sees.
func (v *Vault) putDisclosure(ctx context.Context, doing act, d Disclosure, did string) error {
	id := record.NewObjectID()
	return outrun(v.putHouseRecord(ctx, doing, id, recordDisclosure, d, func(tx *catalog.Tx) error {
		why, err := v.basisLacks(ctx, tx, &d) // again, in the transaction that makes it count
		if err != nil {
			return err
		}
		if why != nil && d.State != DisclosureRefused {
			return why
		}
		if err := tx.PutDisclosure(ctx, d.row(id), false); err != nil {
			return err
		}
		leaf := v.leaf(doing, allowed)
		leaf.Object, leaf.Recipient, leaf.Reason = d.ID, d.Recipient, did
		return appendLeaf(ctx, tx, leaf)
	}))
}

func (d Disclosure) row(id record.ObjectID) catalog.Disclosure {
	return catalog.Disclosure{ID: d.ID, Revision: d.Revision, Record: id, Patient: d.Patient, State: d.State, Proposed: d.Proposed}
}

// wholeDisclosure reads one with what is sealed. Unknown: ErrNotFound.
func (v *Vault) wholeDisclosure(ctx context.Context, id record.ObjectID) (d Disclosure, err error) {
	var row catalog.Disclosure
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.Disclosure(ctx, id)
		return notFound(err)
	})
	if err != nil {
		return d, err
	}
	return d, v.readHouseRecord(ctx, row.Record, &d)
}

// DecideDisclosure approves or refuses a proposed disclosure: another person than the one
// who proposed it. Acts of the guard: disclosure.approve.
func (v *Vault) DecideDisclosure(ctx context.Context, a record.Actor, id record.ObjectID, approve bool) (Disclosure, error) {
	d, err := v.wholeDisclosure(ctx, id)
	if errors.Is(err, record.ErrNotFound) {
		return Disclosure{}, v.absent(ctx, a, record.ActionDiscloseApprove)
	}
	if err != nil {
		return Disclosure{}, err
	}
	deciding := v.disclosing(a, record.ActionDiscloseApprove, d)
	if err := v.may(ctx, deciding); err != nil {
		return Disclosure{}, err
	}
	switch {
	case d.By == a.ID:
		return Disclosure{}, v.turnDown(ctx, deciding, &record.Refusal{Kind: record.ErrDenied, Code: "second-person", Advice: "another person than the one who proposed it has to approve it"})
	case d.State != DisclosureProposed:
		return Disclosure{}, record.Refuse(record.ErrConflict, "disclosure-decided", "this disclosure is decided already")
	}
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	until := now.Add(giveWithin)
	d.Revision, d.Decided, d.DecidedBy, d.State = d.Revision+1, &now, a.ID, DisclosureRefused
	if approve {
		if err := v.mayDisclose(ctx, deciding, &d); err != nil {
			return Disclosure{}, err
		}
		d.State, d.Until = DisclosureApproved, &until
	}
	return d, v.putDisclosure(ctx, deciding, d, d.State)
}

// Disclosed is what is given out.
type Disclosed struct {
	Disclosure Disclosure
	Documents  []*Handle // originals, in the order of the disclosure
}

// GiveDisclosure gives out an approved disclosure: that it is given, and each document, is
// in the log before the first byte. Acts of the guard: disclosure.give.
func (v *Vault) GiveDisclosure(ctx context.Context, a record.Actor, id record.ObjectID) (*Disclosed, error) {
	d, err := v.wholeDisclosure(ctx, id)
	if errors.Is(err, record.ErrNotFound) {
		return nil, v.absent(ctx, a, record.ActionDiscloseGive)
	}
	if err != nil {
		return nil, err
	}
	giving := v.disclosing(a, record.ActionDiscloseGive, d)
	if err := v.standsApproved(ctx, giving, &d); err != nil {
		return nil, err
	}
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	d.Revision, d.Given = d.Revision+1, append(d.Given, GivenOut{now, a.ID})
	found := lookedUp{view: record.ViewOriginal, patients: make(map[record.PatientToken]catalog.Patient), corrected: make(map[record.PatientToken][]correctionRow), asked: v.cfg.Now(), by: a}
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if found.docs, err = v.toDisclose(ctx, tx, d.Patient, d.Documents); err != nil {
			return err
		}
		p, err := tx.Patient(ctx, d.Patient)
		if err != nil {
			return err
		}
		found.patients[d.Patient] = p
		found.corrected[d.Patient], err = correctionRows(ctx, tx, p) // nobody is given what is known to be wrong
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := v.putGiven(ctx, giving, d, found.docs); err != nil {
		return nil, err
	}
	out := &Disclosed{Disclosure: d}
	for _, doc := range found.docs {
		h, err := v.handle(ctx, doc, found)
		if err != nil {
			return nil, err
		}
		out.Documents = append(out.Documents, h)
	}
	return out, nil
}

// putGiven writes that a disclosure is given out, with a leaf for each document.
func (v *Vault) putGiven(ctx context.Context, giving act, d Disclosure, docs []catalog.Document) error {
	id := record.NewObjectID()
	return outrun(v.putHouseRecord(ctx, giving, id, recordDisclosure, d, func(tx *catalog.Tx) error {
		why, err := v.basisLacks(ctx, tx, &d)
		if err != nil {
			return err
		}
		if why != nil {
			return why
		}
		if err := tx.PutDisclosure(ctx, d.row(id), false); err != nil {
			return err
		}
		for _, doc := range docs {
			leaf := v.leaf(giving, access.Decision{Allow: true, View: record.ViewOriginal})
			leaf.Object, leaf.Recipient, leaf.Reason = doc.ID, d.Recipient, string(d.Basis)
			if err := appendLeaf(ctx, tx, leaf); err != nil {
				return err
			}
		}
		return nil
	}))
}

// standsApproved is nil when a disclosure was approved, is not over, and may still be.
func (v *Vault) standsApproved(ctx context.Context, giving act, d *Disclosure) error {
	if err := v.may(ctx, giving); err != nil {
		return err
	}
	switch {
	case d.State != DisclosureApproved:
		return v.turnDown(ctx, giving, &record.Refusal{Kind: record.ErrDenied, Code: "disclosure-not-approved", Advice: "another person has to approve it first"})
	case d.Until == nil || !v.cfg.Now().Before(*d.Until):
		return v.turnDown(ctx, giving, &record.Refusal{Kind: record.ErrDenied, Code: "approval-expired", Advice: "it was approved more than a week ago: propose it anew"})
	}
	return v.mayDisclose(ctx, giving, d)
}

// ApprovedDisclosure is for what gives a third party documents in another way, as a push
// or a package: the disclosure that covers it, or the refusal. The recipient and patient
// must be those of the disclosure; what is not among its Documents may not be given. Acts
// of the guard: disclosure.give.
func (v *Vault) ApprovedDisclosure(ctx context.Context, a record.Actor, id record.ObjectID, p record.PatientToken, recipient string) (Disclosure, error) {
	d, err := v.wholeDisclosure(ctx, id)
	if errors.Is(err, record.ErrNotFound) || err == nil && (d.Patient != p || d.Recipient != recipient) {
		return Disclosure{}, v.turnDown(ctx, act{Actor: a, Action: record.ActionDiscloseGive, Patient: p}, &record.Refusal{Kind: record.ErrDenied, Code: "disclosure-required",
			Advice: "an approved disclosure to this recipient about this patient comes first"})
	}
	if err != nil {
		return Disclosure{}, err
	}
	return d, v.standsApproved(ctx, v.disclosing(a, record.ActionDiscloseGive, d), &d)
}

// Disclosures lists the newest behind an id, whole. Acts of the guard: disclosure.list.
func (v *Vault) Disclosures(ctx context.Context, a record.Actor, after record.ObjectID, limit int) ([]Disclosure, error) {
	if limit <= 0 || limit > maxResults {
		limit = 100
	}
	var rows []catalog.Disclosure
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionDiscloseList}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
		rows, err = tx.Disclosures(ctx, after, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]Disclosure, len(rows))
	for i, r := range rows {
		if err := v.readHouseRecord(ctx, r.Record, &list[i]); err != nil {
			return nil, fmt.Errorf("disclosure %s: %w", r.ID, err)
		}
	}
	return list, nil
}
