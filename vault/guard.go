package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"medvault/imaging"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
	"medvault/vault/residency"
	"medvault/vault/staff"
)

// act is something an actor wants to do.
type act struct {
	Actor   record.Actor
	Action  record.Action
	Patient record.PatientToken // "" when it is not about one patient
	Object  record.ObjectID
	Held    string // why the object's de-identified view is held back
	Kind    record.Kind
	Origin  string // why the vault itself acts, as "dev-auto-care"

	Recipient string // institution to which an export goes
	Evidence  string // hex SHA-256 of the document of the house in which the act's ground is written
	Birth     string // that a document on its way in states of the patient
}

// perform decides an act, does it and writes its leaf, in one transaction. A
// refusal writes its leaf at once and does nothing. do may be nil: then the leaf is
// all there is before the act. do may add to the leaf; it may run more than once. What do
// refuses is undone, and written down as asked for in vain.
// Unless the error is errUncertain, nothing was done.
func (v *Vault) perform(ctx context.Context, a act, do func(tx *catalog.Tx, d access.Decision, leaf *audit.Leaf) error) (access.Decision, error) {
	var d access.Decision
	var began, committing bool
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		began, committing = true, false
		if d, err = v.decide(ctx, tx, a); err != nil {
			return unavailable("catalog", err)
		}
		leaf := v.leaf(a, d)
		if d.Allow && do != nil {
			if err := do(tx, d, &leaf); err != nil {
				return err
			}
		}
		if err := appendLeaf(ctx, tx, leaf); err != nil {
			return unavailable("log", err)
		}
		committing = true
		return nil
	})
	switch {
	case err == nil:
	case committing:
		return access.Decision{}, fmt.Errorf("%w: %w", errUncertain, unavailable("catalog", err))
	case !began:
		return access.Decision{}, unavailable("catalog", err)
	default:
		return access.Decision{}, v.inVain(ctx, a, err)
	}
	return d, refusal(a, d)
}

// inVain writes down that an act which the policies permit came to nothing, because what
// it is about is not there or does not let itself be done, and returns why. Only an actor
// who may know of it comes this far, so that the second transaction tells nothing. What
// failed for no fault of the actor's has no leaf.
func (v *Vault) inVain(ctx context.Context, a act, err error) error {
	said := new(record.Refusal)
	switch {
	case errors.As(err, &said) && said.Kind != record.ErrUnavailable:
	case errors.Is(err, record.ErrNotFound):
		said = &record.Refusal{Kind: record.ErrNotFound, Code: reasonAbsent}
	default:
		return err
	}
	if unlogged := v.deny(ctx, a, said.Code); unlogged != nil {
		return unlogged
	}
	return err
}

// errUncertain: the commit failed, and may have happened all the same.
var errUncertain = errors.New("commit in doubt")

// refuse writes down the refusal of an act that was decided before, and returns it.
// Should the policies permit it by now, the act still is not done: it is for the next
// request.
func (v *Vault) refuse(ctx context.Context, a act) error {
	var d access.Decision
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		if d, err = v.decide(ctx, tx, a); err != nil || d.Allow {
			return err
		}
		return appendLeaf(ctx, tx, v.leaf(a, d))
	})
	if err != nil {
		return unavailable("log", err)
	}
	if d.Allow {
		return unavailable("decision", errChanged)
	}
	return refusal(a, d)
}

// turnDown writes down why an act that the policies permit was not done, and returns
// why.
func (v *Vault) turnDown(ctx context.Context, a act, why *record.Refusal) error {
	if err := v.deny(ctx, a, why.Code); err != nil {
		return err
	}
	return why
}

func (v *Vault) deny(ctx context.Context, a act, code string) error {
	leaf := v.leaf(a, access.Decision{Reason: code})
	if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return appendLeaf(ctx, tx, leaf) }); err != nil {
		return unavailable("log", err)
	}
	return nil
}

// reasonAbsent is in the leaf of an act on what is not there.
const reasonAbsent = "absent"

// absent writes down that an actor asked for what is not there, and says so. It reads and
// writes what the refusal of something that is there reads and writes, so that how long
// it takes tells nothing; and whoever tries ids leaves a trace.
func (v *Vault) absent(ctx context.Context, a record.Actor, action record.Action) error {
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := v.decide(ctx, tx, nothing(a, action)); err != nil {
			return err
		}
		// What was asked for is not written down: it may be an original UID.
		return appendLeaf(ctx, tx, v.leaf(act{Actor: a, Action: action}, access.Decision{Reason: reasonAbsent}))
	})
	if err != nil {
		return unavailable("log", err)
	}
	return record.ErrNotFound
}

// nothing is an act on an object that nobody has.
func nothing(a record.Actor, action record.Action) act {
	return act{Actor: a, Action: action, Patient: "paaaaaaaaaaaaaaaaaaaaaaaaaa", Object: "00000000000000000000000000000000"}
}

// ActionSession is what a caller is refused who does not come as far as an act.
const ActionSession record.Action = "session.refused"

// Refused writes down that a caller was turned away before any act: no identity, or
// a purpose nobody may claim. who may be zero; reason is a code. What cannot be
// written down is an error, and then nothing may be answered but that.
func (v *Vault) Refused(ctx context.Context, who record.Actor, reason string) error {
	if who.ID == "" {
		who.ID = "unknown"
	}
	leaf := audit.Leaf{Time: v.cfg.Now(), Actor: who.ID, Role: who.Role, Purpose: who.Purpose, Action: ActionSession,
		Decision: audit.Deny, Reason: reason, Address: who.Address}
	leaf.Credential = v.blindCredential(who.Credentials)
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return appendLeaf(ctx, tx, leaf) })
	if err != nil {
		return unavailable("log", err)
	}
	return nil
}

// decide gathers the facts of an act and asks the policies. It writes nothing:
// whoever calls it writes the leaf in the same transaction, before the act.
func (v *Vault) decide(ctx context.Context, tx *catalog.Tx, a act) (access.Decision, error) {
	f, err := v.grounds(ctx, tx, a)
	if err != nil {
		return access.Decision{}, err
	}
	if f.revoked {
		return access.Decision{Reason: reasonRevoked, MayKnow: a.Patient == ""}, nil
	}
	d := v.cfg.Access.Decide(f.Request)
	d.Reason = f.reason(d.Reason)
	return v.within(a, d), nil
}

// grounds are everything that an act's decision depends on.
type grounds struct {
	access.Request
	revoked bool
	flow    residency.Verdict
}

func (v *Vault) grounds(ctx context.Context, tx *catalog.Tx, a act) (f grounds, err error) {
	actor, stands, err := v.standing(ctx, tx, a.Actor)
	if err != nil {
		return f, err
	}
	a.Actor = actor
	f.Request = access.Request{Actor: actor, Standing: stands, Action: a.Action, Now: v.cfg.Now(), Origin: a.Origin, Kind: a.Kind}
	if f.revoked, err = tx.Revoked(ctx, actor); err != nil || f.revoked {
		return f, err
	}
	if a.Patient != "" {
		patient, flow, err := v.patientFacts(ctx, tx, a)
		if err != nil {
			return f, err
		}
		f.Patient, f.flow = &patient, flow
	}
	if a.Object != "" {
		f.Document = &access.Document{Held: a.Held, Kind: a.Kind}
	}
	return f, nil
}

// reason says which register says no, where it is residency that refuses.
func (f grounds) reason(said string) string {
	if said == reasonResidency && f.flow.Reason != residency.NoConsentAbroad {
		return f.flow.Reason
	}
	return said
}

// reasonResidency is the @reason of the policy that holds acts to the rules of residency.
const reasonResidency = "residency"

// patientFacts tells what the policies need to know of a patient, and why the rules of
// residency let this act at the documents or do not. Consent is read here, in the guard's
// own transaction, so that what is given or withdrawn acts on the next request.
func (v *Vault) patientFacts(ctx context.Context, tx *catalog.Tx, a act) (access.Patient, residency.Verdict, error) {
	facts, flow := access.Patient{Token: a.Patient}, residency.Verdict{}
	p, err := tx.Patient(ctx, a.Patient)
	switch {
	case errors.Is(err, catalog.ErrNotFound): // a new patient
	case err != nil:
		return facts, flow, fmt.Errorf("patient's state: %w", err)
	default:
		facts.State = p.State
	}
	said, err := tx.Consents(ctx, a.Patient)
	if err != nil {
		return facts, flow, fmt.Errorf("consents: %w", err)
	}
	if facts.Minor, err = v.minor(ctx, tx, a.Patient); err != nil {
		return facts, flow, fmt.Errorf("age: %w", err)
	}
	if _, born := v.bornMinor(a.Birth); born || facts.Minor {
		facts.Minor, facts.GuardianConsent = true, consent.Guarded(said, v.cfg.Now())
		said = consent.OfChild(said, v.cfg.Now())
	}
	facts.Research, facts.Restricted, flow = v.covered(a, cmp.Or(p.Country, v.cfg.Home), said)
	facts.Residency = flow.Permit
	if facts.Limited, err = tx.Restricted(ctx, a.Patient); err != nil {
		return facts, flow, err
	}
	if facts.Treats, err = tx.Treats(ctx, a.Actor.ID, a.Patient, v.cfg.Now()); err != nil {
		return facts, flow, fmt.Errorf("care relationship: %w", err)
	}
	if facts.Treats {
		if facts.Essential, err = tx.Essential(ctx, a.Actor.ID, a.Patient, v.cfg.Now()); err != nil {
			return facts, flow, fmt.Errorf("care relationship: %w", err)
		}
	}
	if facts.Own, facts.Guardian, err = v.actsFor(ctx, tx, a.Actor, a.Patient); err != nil {
		return facts, flow, fmt.Errorf("who acts for a patient: %w", err)
	}
	if facts.Emergency, err = v.emergency(ctx, tx, a.Actor, a.Patient); err != nil {
		return facts, flow, fmt.Errorf("emergency: %w", err)
	}
	return facts, flow, nil
}

// covered says what a patient's statements and the rules of residency make of an act: of
// the person who acts where they are and, when something is given away, of whom it is
// given to as well.
func (v *Vault) covered(a act, home string, said []consent.Statement) (research, restricted bool, flow residency.Verdict) {
	now := v.cfg.Now()
	abroad := func(country string) string {
		if country == home {
			return ""
		}
		return country
	}
	reader := consent.Use{Purpose: a.Actor.Purpose, Recipient: a.Actor.Institution, Country: abroad(a.Actor.Country)}
	research, restricted = consent.Research(said, reader, now), consent.Refused(said, reader, now)
	flow = v.flow(residency.Flow{Home: home, To: a.Actor.Country, Consent: consent.Abroad(said, reader, now)})
	if a.Recipient == "" || !flow.Permit {
		return research, restricted, flow
	}
	to := consent.Use{Purpose: a.Actor.Purpose, Recipient: a.Recipient, Country: abroad(v.cfg.Registers.CountryOf(a.Recipient))}
	return research && consent.Research(said, to, now), restricted || consent.Refused(said, to, now),
		v.flow(residency.Flow{Home: home, Recipient: a.Recipient, Consent: consent.Given(said, to, now)})
}

// leaf is the log line of a decided act.
func (v *Vault) leaf(a act, d access.Decision) audit.Leaf {
	l := audit.Leaf{
		Time: v.cfg.Now(), Actor: a.Actor.ID, Role: a.Actor.Role, Purpose: a.Actor.Purpose,
		Action: a.Action, Patient: a.Patient, Object: a.Object, Origin: a.Origin, Recipient: a.Recipient,
		View: d.View, Policies: d.Policies, Obligations: d.Obligations, Reason: d.Reason, Decision: audit.Deny,
		Scope: d.Scope, Evidence: a.Evidence, Address: a.Actor.Address,
	}
	l.Credential = v.blindCredential(a.Actor.Credentials)
	if d.Allow {
		l.Decision = audit.Allow
	}
	return l
}

func appendLeaf(ctx context.Context, tx *catalog.Tx, l audit.Leaf) error {
	data, err := l.Encode()
	if err != nil {
		return fmt.Errorf("log leaf: %w", err)
	}
	return tx.AppendLeaf(ctx, data)
}

// refusal is what the actor is told: nil when allowed, and "not found" where even
// the existence may not be known.
func refusal(a act, d access.Decision) error {
	switch {
	case d.Allow:
		return nil
	case !d.MayKnow:
		return record.ErrNotFound
	case d.Reason == "erased":
		return record.Refuse(record.ErrErased, d.Reason, "this patient's documents were destroyed")
	case d.Reason == "held-for-review" && a.Held == imaging.Pending:
		return record.Refuse(record.ErrDenied, imaging.Pending, "the de-identified view is not made yet: try again later")
	case d.Reason == reasonRevoked:
		return errRevoked()
	}
	return record.Refuse(record.ErrDenied, d.Reason, cmp.Or(ownAdvice(d.Reason), residencyAdvice(d.Reason), ageAdvice(d.Reason), staff.Advice(d.Reason),
		"the vault's policies refuse this act to this role, purpose or person"))
}

// ownAdvice says what the guard knows of a reason; "" when it is another's.
func ownAdvice(reason string) string {
	switch reason {
	case "restricted":
		return "the patient has refused or restricted this use"
	case "processing-restricted":
		return "what is stored of the patient is limited to storage and legal claims"
	case "held-for-review":
		return "the de-identified view waits for a person's review"
	case reasonContentOnly:
		return "this gateway serves the de-identified view alone: ask another"
	}
	return ""
}

// residencyAdvice says what would have to be there for data to go where they may not; ""
// when the reason is another.
func residencyAdvice(reason string) string {
	switch reason {
	case reasonResidency:
		return "the patient's written consent for that country is not on record"
	case residency.NotAdequate:
		return "no finding is on record that the country protects data adequately"
	case residency.AdequacyExpired:
		return "the finding that the country protects data adequately has expired: renew it in the register of countries"
	case residency.RecipientUnknown:
		return "the recipient is not in the register of recipients: an agreement comes first"
	case residency.AgreementExpired:
		return "the agreement with the recipient has expired: renew it in the register of recipients"
	case residency.RecipientMoved:
		return "the register says that the recipient is in another country"
	case residency.CountryUnknown:
		return "the country of whoever asks, or of the recipient, is not known"
	}
	return ""
}

// windows remembers which reads have a live leaf, so that the next one of the same
// kind need not ask the catalog again. The catalog decides; this only saves asking.
type windows struct {
	now func() time.Time

	mu   sync.Mutex
	live map[string]time.Time
}

func newWindows(now func() time.Time) *windows {
	return &windows{now: now, live: make(map[string]time.Time)}
}

func windowKey(a record.Actor, view record.View, id record.ObjectID) string {
	return strconv.Quote(a.ID) + string(a.Role) + "|" + string(a.Purpose) + "|" + string(view) + "|" + string(id)
}

func (w *windows) open(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	until, ok := w.live[key]
	return ok && w.now().Before(until)
}

// opened notes leaves written just now; since was taken before they were, so no entry
// outlives its leaf's window.
func (w *windows) opened(since time.Time, keys []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.live) > 100_000 {
		clear(w.live)
	}
	for _, k := range keys {
		w.live[k] = since.Add(readWindow)
	}
}
