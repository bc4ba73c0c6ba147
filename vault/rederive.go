package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Rederivation is one run that brings all documents to today's rules. One person
// proposes it, another approves; then jobs supersede what would come out differently.
type Rederivation struct {
	ID         string     `json:"id"`
	State      string     `json:"state"` // "proposed", "running", "done"
	Rules      string     `json:"rules"` // digest of the rules it was proposed for
	Reason     string     `json:"reason"`
	ProposedBy string     `json:"proposedBy"`
	ProposedAt time.Time  `json:"proposedAt"`
	ApprovedBy string     `json:"approvedBy,omitempty"`
	ApprovedAt *time.Time `json:"approvedAt,omitempty"`
	Listed     int64      `json:"listed"`     // documents that were scrubbed by other rules, found so far
	Superseded int64      `json:"superseded"` // that came out differently
	Unchanged  int64      `json:"unchanged"`  // that came out the same
	Refused    int64      `json:"refused"`    // that could not be done: their patient is frozen, or the rules refuse them
}

// ProposeRederivation writes a proposal down. It changes nothing until another person
// approves it.
func (v *Vault) ProposeRederivation(ctx context.Context, a record.Actor, reason string) (Rederivation, error) {
	if err := checkReason(reason, nobody); err != nil {
		return Rederivation{}, err
	}
	id := record.NewObjectID()
	r := catalog.Rederivation{ID: string(id), Rules: v.rules(), Reason: reason, ProposedBy: a.ID, Proposed: v.cfg.Now()}
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionRederivePropose, Object: id},
		func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) error { return tx.InsertRederivation(ctx, r) })
	if err != nil {
		return Rederivation{}, err
	}
	return rederivationOf(r), nil
}

// ApproveRederivation starts a proposed re-derivation. Whoever proposed it cannot
// approve it; approved already, or proposed for other rules than today's: ErrConflict.
func (v *Vault) ApproveRederivation(ctx context.Context, a record.Actor, id record.ObjectID) (Rederivation, error) {
	var r catalog.Rederivation
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionRederiveApprove, Object: id}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) (err error) {
		if r, err = tx.Rederivation(ctx, string(id)); err != nil {
			return notFound(err)
		}
		switch {
		case r.ProposedBy == a.ID:
			return record.Refuse(record.ErrDenied, "second-person", "another person than the one who proposed it has to approve")
		case r.Rules != v.rules():
			return record.Refuse(record.ErrConflict, "rules-changed", "the rules have changed since it was proposed: propose it anew")
		}
		r.ApprovedBy, r.Approved = a.ID, v.cfg.Now()
		err = tx.ApproveRederivation(ctx, r.ID, r.ApprovedBy, r.Approved)
		if errors.Is(err, catalog.ErrChanged) {
			return record.Refuse(record.ErrConflict, "approved-already", "somebody has approved it already")
		}
		if err != nil {
			return err
		}
		leaf.Persons = []string{r.ProposedBy, r.ApprovedBy}
		return tx.Enqueue(ctx, newJob(jobList, r.ID, rederivePayload{Rederivation: r.ID}, v.cfg.Now()))
	})
	if err != nil {
		return Rederivation{}, err
	}
	return rederivationOf(r), nil
}

// Rederivations lists the newest re-derivations; with an id only that one, and
// ErrNotFound where there is none.
func (v *Vault) Rederivations(ctx context.Context, a record.Actor, id record.ObjectID) ([]Rederivation, error) {
	var rows []catalog.Rederivation
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionRederiveRead, Object: id},
		func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
			if id == "" {
				rows, err = tx.Rederivations(ctx, 100)
				return err
			}
			r, err := tx.Rederivation(ctx, string(id))
			rows = []catalog.Rederivation{r}
			return notFound(err)
		})
	if err != nil {
		return nil, err
	}
	list := make([]Rederivation, 0, len(rows))
	for _, r := range rows {
		list = append(list, rederivationOf(r))
	}
	return list, nil
}

func rederivationOf(r catalog.Rederivation) Rederivation {
	d := Rederivation{ID: r.ID, State: "proposed", Rules: r.Rules, Reason: r.Reason, ProposedBy: r.ProposedBy, ProposedAt: r.Proposed,
		ApprovedBy: r.ApprovedBy, Listed: r.Total, Superseded: r.Superseded, Unchanged: r.Unchanged, Refused: r.Refused}
	if !r.Approved.IsZero() {
		d.State, d.ApprovedAt = "running", &r.Approved
	}
	if r.Listed && r.Superseded+r.Unchanged+r.Refused >= r.Total {
		d.State = "done"
	}
	return d
}

// rules is a digest of the rules of every kind of document.
func (v *Vault) rules() string {
	sum := sha256.New()
	byKind := v.rulesByKind()
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		fmt.Fprintf(sum, "%s %s\n", kind, byKind[kind])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (v *Vault) rulesByKind() map[record.Kind]string {
	rules := make(map[record.Kind]string)
	for kind, s := range v.cfg.Scrubbers {
		rules[kind] = s.Rules().Digest
	}
	return rules
}

// rederivePayload is what a job of a re-derivation is about; Object is "" for the job
// that lists.
type rederivePayload struct {
	Rederivation string          `json:"rederivation"`
	Object       record.ObjectID `json:"object,omitempty"`
}

// stalePage is how many documents are listed at once.
const stalePage = 500

// listStale leaves a job for every document that was scrubbed by other rules. It goes
// on where a crash has cut it off.
func (v *Vault) listStale(ctx context.Context, job catalog.Job, owner string) error {
	r, _, err := v.approved(ctx, job)
	if err != nil {
		return err
	}
	for !r.Listed {
		var page []record.ObjectID
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
			if page, err = tx.Stale(ctx, v.rulesByKind(), r.Position, stalePage); err != nil {
				return err
			}
			for _, id := range page {
				if err := tx.Enqueue(ctx, newJob(jobRederive, r.ID+"/"+string(id), rederivePayload{r.ID, id}, v.cfg.Now())); err != nil {
					return err
				}
			}
			return tx.AdvanceRederivation(ctx, r, page)
		})
		if err != nil {
			return err
		}
		if r.Listed = len(page) == 0; !r.Listed {
			r.Position = page[len(page)-1]
		}
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, nil)
}

// approved reads the re-derivation that a job belongs to, and the document it is for. A gateway that works by other
// rules than those it was approved for leaves the job to one that does not.
func (v *Vault) approved(ctx context.Context, job catalog.Job) (r catalog.Rederivation, object record.ObjectID, err error) {
	var p rederivePayload
	if err := json.Unmarshal(job.Payload, &p); err != nil {
		return r, "", err
	}
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		r, err = tx.Rederivation(ctx, p.Rederivation)
		return err
	})
	switch {
	case err != nil:
		return r, "", err
	case r.Approved.IsZero():
		return r, "", errors.New("the re-derivation is not approved")
	case r.Rules != v.rules():
		return r, "", errors.New("the re-derivation was approved for other rules than this gateway works by")
	}
	return r, p.Object, nil
}

// originRederive is the origin of what a re-derivation does.
const originRederive = "rederive"

// errUnchanged: today's rules make of a document what it is.
var errUnchanged = errors.New("comes out the same")

// rederiveObject supersedes one document, unless it comes out the same.
func (v *Vault) rederiveObject(ctx context.Context, job catalog.Job, owner string) error {
	r, object, err := v.approved(ctx, job)
	if err != nil {
		return err
	}
	var d catalog.Document
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		d, err = tx.Document(ctx, object)
		return err
	})
	if err == nil {
		err = v.rederive(ctx, r, d)
	} else if errors.Is(err, catalog.ErrNotFound) { // superseded already, perhaps by an attempt that was cut off
		err = changedMeanwhile
	}
	var superseded, unchanged, refused int64
	var why *record.Refusal
	switch {
	case err == nil, errors.As(err, &why) && why.Kind == record.ErrConflict:
		superseded = 1
	case errors.Is(err, errUnchanged):
		unchanged = 1
	case errors.As(err, &why) && (why.Kind == record.ErrDenied || why.Kind == record.ErrErased || why.Kind == record.ErrUnreadable),
		errors.Is(err, record.ErrNotFound): // the guard's word for a patient nobody may know of
		refused = 1
		v.cfg.Log.Warn("not re-derived", "object", d.ID, "err", err)
	default:
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		if unchanged > 0 {
			if err := tx.ByRules(ctx, d.ID, v.rulesByKind()[d.Kind]); err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
		}
		return tx.CountRederived(ctx, r.ID, superseded, unchanged, refused)
	})
}

func (v *Vault) rederive(ctx context.Context, r catalog.Rederivation, d catalog.Document) error {
	was, err := v.factsOf(ctx, d)
	if err != nil {
		return err
	}
	_, err = v.supersede(ctx, supersession{
		act: act{
			Actor:  record.Actor{ID: "medvault", Role: record.RoleOperator, Country: v.cfg.Home, Purpose: record.PurposeSystem, Inside: true},
			Action: record.ActionSupersede, Patient: d.Patient, Object: d.ID, Origin: originRederive,
		},
		old: d, decision: was.Release, persons: []string{r.ProposedBy, r.ApprovedBy},
		accept: func(now imaging.Scrubbed) error {
			if !compare(d, was, now).any() {
				return errUnchanged
			}
			return nil
		},
	})
	return err
}

// factsOf opens what is sealed about a document's content.
func (v *Vault) factsOf(ctx context.Context, d catalog.Document) (f facts, err error) {
	p, err := v.patientOf(ctx, d)
	if err != nil {
		return f, err
	}
	k, err := v.openKeys(ctx, sealedFor(p, d.Object))
	if err != nil {
		return f, err
	}
	o, err := v.open(ctx, d.Object, k, record.ViewDeidentified)
	if err != nil {
		return f, err
	}
	if err := readPart(ctx, o, envelope.Facts, &f); err != nil {
		return f, fmt.Errorf("open %s: %w", d.ID, err)
	}
	return f, nil
}

// Change is how one document would come out differently by today's rules. It holds
// counts and codes only.
type Change struct {
	Object  record.ObjectID `json:"object"`
	Rules   Turn            `json:"rules"` // digests
	Content bool            `json:"content"`
	Tags    TagCounts       `json:"tags"` // of the attributes on the first level
	Held    *Turn           `json:"held,omitempty"`
	Pixels  *Turn           `json:"pixels,omitempty"`
	Advice  bool            `json:"advice,omitempty"`  // reasons or suggested masks of a withheld view
	Refused string          `json:"refused,omitempty"` // code, when it cannot be done
}

// Turn is a value before and after.
type Turn struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// TagCounts says how many attributes of the de-identified view would appear, go, or have
// another value.
type TagCounts struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
}

func (c Change) any() bool { return c.Content || c.Held != nil || c.Pixels != nil || c.Advice }

func compare(d catalog.Document, was facts, now imaging.Scrubbed) Change {
	c := Change{Object: d.ID, Rules: Turn{d.Rules, now.Report.Rules.Digest}, Content: was.SHA256 != now.Facts.SHA256}
	c.Tags = compareTags(was.Attributes, now.Facts.Attributes)
	if d.Held != now.Held && (d.Review == "" || now.Held != "") { // what a person withheld stays so
		c.Held = &Turn{d.Held, now.Held}
	}
	if was.Report.Pixels != "" && was.Report.Pixels != now.Report.Pixels { // older objects do not say
		c.Pixels = &Turn{was.Report.Pixels, now.Report.Pixels}
	}
	c.Advice = now.Held != "" && (!slices.Equal(was.Report.Reasons, now.Report.Reasons) || !slices.Equal(was.Report.Suggest, now.Report.Suggest))
	return c
}

// compareTags counts; what cannot be read counts as empty, and its content differs.
func compareTags(was, now json.RawMessage) (n TagCounts) {
	var before, after map[string]json.RawMessage
	_ = json.Unmarshal(was, &before)
	_ = json.Unmarshal(now, &after)
	for tag, value := range after {
		switch old, ok := before[tag]; {
		case !ok:
			n.Added++
		case !bytes.Equal(old, value):
			n.Changed++
		}
	}
	for tag := range before {
		if _, ok := after[tag]; !ok {
			n.Removed++
		}
	}
	return n
}

// Plan sums up what a re-derivation would do.
type Plan struct {
	Rules     string `json:"rules"`
	Checked   int64  `json:"checked"` // documents that were scrubbed by other rules
	Changed   int64  `json:"changed"`
	Unchanged int64  `json:"unchanged"`
	Refused   int64  `json:"refused"`
}

// PlanRederivation scrubs every document anew that was scrubbed by other rules, stores
// nothing, and tells which would change and how. Its leaf is committed before the first
// document is opened.
func (v *Vault) PlanRederivation(ctx context.Context, a record.Actor, tell func(Change) error) (Plan, error) {
	plan := Plan{Rules: v.rules()}
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionRederiveRead, Origin: originRederive}, nil); err != nil {
		return plan, err
	}
	for after := record.ObjectID(""); ; {
		var page []record.ObjectID
		err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			page, err = tx.Stale(ctx, v.rulesByKind(), after, stalePage)
			return err
		})
		if err != nil || len(page) == 0 {
			return plan, err
		}
		for _, id := range page {
			c, err := v.planned(ctx, id)
			if errors.Is(err, catalog.ErrNotFound) {
				continue // superseded since
			}
			if err != nil {
				return plan, err
			}
			plan.Checked++
			switch {
			case c.Refused != "":
				plan.Refused++
			case c.any():
				plan.Changed++
			default:
				plan.Unchanged++
				continue
			}
			if err := tell(c); err != nil {
				return plan, err
			}
		}
		after = page[len(page)-1]
	}
}

// planned scrubs one document into nowhere.
func (v *Vault) planned(ctx context.Context, id record.ObjectID) (Change, error) {
	var d catalog.Document
	var p catalog.Patient
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if d, err = tx.Document(ctx, id); err == nil {
			p, err = tx.Patient(ctx, d.Patient)
		}
		return err
	})
	if err != nil {
		return Change{}, err
	}
	refused := Change{Object: id, Rules: Turn{d.Rules, v.rulesByKind()[d.Kind]}}
	if p.State != catalog.Active {
		refused.Refused = p.State
		return refused, nil
	}
	var now imaging.Scrubbed
	was, err := v.factsOf(ctx, d)
	if err == nil {
		now, err = v.scrubAgain(ctx, supersession{old: d, decision: was.Release}, p)
	}
	switch why := new(record.Refusal); {
	case errors.As(err, &why) && why.Kind == record.ErrUnreadable:
		refused.Refused = why.Code
		return refused, nil
	case errors.Is(err, record.ErrTampered):
		v.cfg.Log.Error("cannot be re-derived", "object", id, "err", err)
		refused.Refused = "damaged"
		return refused, nil
	case err != nil:
		return Change{}, err
	}
	return compare(d, was, now), nil
}

func (v *Vault) scrubAgain(ctx context.Context, s supersession, p catalog.Patient) (now imaging.Scrubbed, err error) {
	k, err := v.openKeys(ctx, sealedFor(p, s.old.Object))
	if err != nil {
		return now, err
	}
	in, err := v.comeInAgain(ctx, s, k)
	if err != nil {
		return now, err
	}
	defer in.close()
	pseudonyms, err := v.pseudonyms(p.Token, k)
	if err != nil {
		return now, err
	}
	if in.waits() {
		who, err := v.acquainted(ctx, p, k)
		if err != nil {
			return now, err
		}
		in.known = &who
	}
	now, _, err = in.scrub(ctx, pseudonyms, io.Discard, io.Discard)
	return now, err
}
