package vault

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/storage"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// supersession is a new object for a document that is stored: the one way a sealed
// document changes.
type supersession struct {
	act      act              // who does it, and why; Object is the old one
	old      catalog.Document // as it was looked at
	persons  []string         // on whose word, where the vault itself acts
	decision *decision        // of a person who has looked at the old one
	known    *acquaintance    // what to redact by; nil: it is gathered where it is needed
	giveUp   bool             // what is to be redacted stays held
	moved    *moving          // to another patient
	// accept looks at what the document became before anything is stored; its error ends
	// the supersession.
	accept func(imaging.Scrubbed) error
}

// decision is what a person decided about a withheld document. It is sealed with the
// object that came of it: the reason may not leave the patient's keys.
type decision struct {
	imaging.Release
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

func (d *decision) release() *imaging.Release {
	if d == nil {
		return nil
	}
	return &d.Release
}

// supersede seals a document anew, by today's rules and a person's decision, under a
// new object id and the patient's keys of now, and puts it in the old one's place. The old object
// goes from every region a while later, so that those who are reading it can finish.
// When another was first, the error is ErrConflict and nothing has changed.
func (v *Vault) supersede(ctx context.Context, s supersession) (record.ObjectID, error) {
	patient, err := v.patientOf(ctx, s.old)
	if err != nil {
		return "", err
	}
	was, err := v.openKeys(ctx, sealedFor(patient, s.old.Object))
	if err != nil {
		return "", err
	}
	owner := patient
	if s.moved != nil {
		patient = s.moved.to
	}
	k, err := v.openKeys(ctx, patient)
	if err != nil {
		return "", err
	}
	in, err := v.comeInAgain(ctx, s, was)
	if err != nil {
		return "", err
	}
	defer in.close()
	if s.moved != nil {
		in.arrive(v, *s.moved)
	}
	in.country = patient.Country
	if in.corrections, err = v.correctionsOf(ctx, patient); err != nil {
		return "", err
	}
	report, err := v.reportOf(ctx, s.old.ID)
	if err != nil {
		return "", err
	}
	if in.waits() && s.known == nil {
		who, err := v.acquainted(ctx, patient, k)
		if err != nil {
			return "", err
		}
		if s.moved != nil { // the document names whom it was stored under
			other, err := v.acquainted(ctx, owner, was)
			if err != nil {
				return "", err
			}
			who = v.acquaintanceOf(both(who.Known, other.Known))
		}
		s.known = &who
	}
	in.known, in.giveUp, in.parent = s.known, s.giveUp, report.Parent
	if in.nesting, err = v.nestingOf(ctx, in.parent); err != nil {
		return "", err
	}
	sealed, err := v.seal(ctx, in.incoming, k)
	if err != nil {
		return "", err
	}
	defer sealed.close()
	if v.fingerprint(in.incoming) != s.old.Fingerprint {
		return "", fmt.Errorf("%w: %s does not restore to what came in", record.ErrTampered, s.old.ID)
	}
	if s.accept != nil {
		if err := s.accept(sealed.scrubbed); err != nil {
			return "", err
		}
	}
	if err := v.proveRestorable(ctx, sealed, k); err != nil {
		return "", err
	}
	if err := v.storeAttachments(ctx, in.incoming, sealed.scrubbed.Attachments); err != nil {
		return "", err
	}
	said, err := v.said(ctx, patient.Token)
	if err != nil {
		return "", err
	}
	permitted := v.permitted(patient, said...)
	placed, err := v.place(ctx, sealed, k, v.near(patient, permitted))
	if err != nil {
		return "", err
	}
	// A crash before this line leaves only unreferenced objects.
	if err := v.commitInPlace(ctx, s, in.incoming, patient, said, sealed, permitted, placed); err != nil {
		return "", err
	}
	return sealed.id, nil
}

func (v *Vault) reportOf(ctx context.Context, id record.ObjectID) (r catalog.Report, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		r, err = tx.Report(ctx, id)
		if errors.Is(err, catalog.ErrNotFound) {
			return changedMeanwhile
		}
		return err
	})
	return r, err
}

func (v *Vault) patientOf(ctx context.Context, d catalog.Document) (p catalog.Patient, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err = tx.Patient(ctx, d.Patient)
		return err
	})
	return p, err
}

// returning is a stored document on its way in again.
type returning struct {
	*incoming
	original io.ReadCloser
}

func (r *returning) close() error { return r.original.Close() }

// comeInAgain restores the original of a stored document and reads its header, as
// receive does with an upload. What it is named and labelled stays.
func (v *Vault) comeInAgain(ctx context.Context, s supersession, k patientKeys) (*returning, error) {
	o, err := v.open(ctx, s.old.Object, k, record.ViewOriginal)
	if err != nil {
		return nil, err
	}
	var was who
	if err := readPart(ctx, o, envelope.Who, &was); err != nil {
		return nil, fmt.Errorf("open %s: %w", s.old.ID, err)
	}
	in := &incoming{
		kind: s.old.Kind, patient: s.old.Patient, study: s.old.Study, series: s.old.Series, instance: s.old.Instance,
		category: s.old.Category, title: was.Title, patientName: was.PatientName, media: was.MediaType, by: s.old.By, review: s.old.Review, supersedes: s.old.ID, scrubber: v.cfg.Scrubbers[s.old.Kind], decision: s.decision,
	}
	if s.old.Review != "" && s.decision == nil {
		in.withhold = s.old.Held // a person has said so, and no rule says otherwise
	}
	original := restore(ctx, o)
	in.tap = newTap(original)
	in.body = bufio.NewReaderSize(in.tap, 64<<10)
	if in.Incoming, err = in.scrubber.Begin(in.body); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s again: %w", s.old.ID, uploadError(err)), original.Close())
	}
	in.identity = in.Incoming.Identity()
	in.moved = was.Moved
	in.identity.PatientID, in.identity.Issuer, in.aliased = was.PatientID, was.Issuer, was.Stored.Aliased // with the uploader's default
	if in.birth = was.BirthDate; in.birth != "" {
		in.identity.BirthDate = in.birth
	}
	if in.patientName != "" {
		in.identity.PatientName = in.patientName
	}
	return &returning{in, original}, nil
}

var errSuperseded = errors.New("another object stands in its place already")

// commitInPlace is commit for a document that is known: the new row stands in the old
// one's place, one leaf names both, and jobs will take the old object away.
func (v *Vault) commitInPlace(ctx context.Context, s supersession, in *incoming, p catalog.Patient, said []consent.Statement, sealed *sealed, permitted, placed []string) error {
	doc, err := v.document(s.act.Actor, in, sealed)
	if err != nil {
		v.discard(ctx, sealed)
		return err
	}
	if s.decision == nil || doc.Held != "" {
		doc.Review = s.old.Review
	}
	attest, err := v.attest(sealed, placed)
	if err != nil {
		v.discard(ctx, sealed)
		return err
	}
	what := s.act
	what.Object = sealed.id
	_, err = v.perform(ctx, what, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		if err := lockOwners(ctx, tx, p.Token, s.old.Patient); err != nil {
			return err
		}
		if s.moved != nil { // a hold that was placed since the order: it would be left behind
			if err := v.notHeld(ctx, tx, s.old.Patient); err != nil {
				return err
			}
		}
		now, err := tx.Patient(ctx, p.Token)
		if err != nil {
			return err
		}
		if now.State != catalog.Active || now.Generation != p.Generation || now.Corrected != p.Corrected {
			return fmt.Errorf("%w: patient changed meanwhile", errChanged)
		}
		if err := v.stillReaches(ctx, tx, p, said); err != nil {
			return err
		}
		if s.moved != nil {
			if err := v.stillMovable(ctx, tx, s.old.Patient, p.Token); err != nil {
				return err
			}
		}
		still, err := tx.Document(ctx, s.old.ID)
		if errors.Is(err, catalog.ErrNotFound) {
			return errSuperseded
		}
		if err != nil {
			return err
		}
		if still.Review != s.old.Review {
			return fmt.Errorf("%w: a person has decided about the document meanwhile", errChanged)
		}
		if err := tx.Supersede(ctx, s.old.ID, doc); err != nil {
			return err
		}
		report := catalog.Report{ID: sealed.id, Parent: in.parent}
		if in.known != nil {
			report.Known = in.known.digest
		}
		if err := tx.SetReport(ctx, report); err != nil {
			return err
		}
		if err := v.takeAwayEverywhere(ctx, tx, s.old.ID); err != nil {
			return err
		}
		describeCommit(leaf, doc.Object, permitted)
		leaf.Commit.Attest, leaf.Commit.Supersedes, leaf.Persons = attest, s.old.ID, s.persons
		return v.promise(ctx, tx, doc.Object, permitted, placed)
	})
	switch {
	case err == nil:
		v.settle(sealed)
		return nil
	case errors.Is(err, errUncertain): // the objects stay until the intent is looked at
		return err
	}
	v.discard(ctx, sealed)
	switch {
	case errors.Is(err, errSuperseded), errors.Is(err, errChanged) && s.act.Origin == "": // a person looks again, a job tries again
		return v.turnDown(ctx, s.act, changedMeanwhile)
	case errors.Is(err, errChanged):
		return unavailable("document", err)
	}
	return err
}

// changedMeanwhile is what whoever came second is told.
var changedMeanwhile = &record.Refusal{Kind: record.ErrConflict, Code: "superseded", Advice: "the document has changed since it was looked at: look at it again"}

// takeAwayEverywhere leaves jobs that remove a superseded object from every region that
// holds it, was promised it, or is being sent it.
func (v *Vault) takeAwayEverywhere(ctx context.Context, tx *catalog.Tx, id record.ObjectID) error {
	regions, err := tx.Placements(ctx, id)
	if err != nil {
		return err
	}
	for region := range regions {
		if err := tx.Enqueue(ctx, removeJob(id, region, v.cfg.Now().Add(v.cfg.Linger))); err != nil {
			return err
		}
	}
	return nil
}

// takeAway leaves the job for one region, where the object may lie again.
func (v *Vault) takeAway(ctx context.Context, tx *catalog.Tx, id record.ObjectID, region string) error {
	if err := tx.Promise(ctx, id, []string{region}); err != nil {
		return err
	}
	return tx.Enqueue(ctx, removeJob(id, region, v.cfg.Now().Add(v.cfg.Linger)))
}

// removeTime bounds one removal from one region.
const removeTime = time.Minute

// removeObject removes all versions of an object from a region, when it is superseded or
// no consent covers it there, and writes down that it is gone.
func (v *Vault) removeObject(ctx context.Context, job catalog.Job, owner string, at objectPayload) error {
	r, ok := v.cfg.Regions.Region(at.Region)
	if !ok {
		return fmt.Errorf("no region %s", at.Region)
	}
	var o catalog.Object
	var why string
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if o, err = tx.Object(ctx, at.Object); err == nil {
			why, err = v.whyRemove(ctx, tx, o, r)
		}
		return err
	})
	if err != nil {
		return err
	}
	if why == "" { // consent was given again
		return v.keepThere(ctx, job, owner, o, r)
	}
	err = removed(ctx, r, o.Key())
	if kept := new(storage.LockedError); errors.As(err, &kept) {
		return v.keepLocked(ctx, job, owner, o, r.Name, why, kept.Until)
	}
	if err != nil {
		return fmt.Errorf("region %s: %w", r.Name, err)
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		if err := errors.Join(v.wasRemoved(ctx, tx, o, r), tx.Unlocked(ctx, o.ID, r.Name)); err != nil {
			return err
		}
		return appendLeaf(ctx, tx, audit.Leaf{
			Time: v.cfg.Now(), Actor: "medvault", Role: record.RoleOperator, Purpose: record.PurposeSystem, Action: "object.removed",
			Patient: o.Patient, Object: o.ID, Decision: audit.Allow, Origin: why,
			Commit: &audit.Commit{Kind: o.Kind, Size: o.Size, SHA256: o.SHA256, Generation: o.Generation, Seal: o.Seal, Regions: []string{r.Name}},
		})
	})
}

// removed deletes an object and looks whether it is gone.
func removed(ctx context.Context, r storage.Region, key string) error {
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	if err := r.Data.Delete(ctx, key); err != nil {
		return err
	}
	switch _, err := r.Data.Head(ctx, key); {
	case errors.Is(err, storage.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return errors.New("the object is still there")
}
