package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"medvault/imaging"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// The view of a report takes long to make, and needs to know the patient from elsewhere.
// An upload is acknowledged with the original sealed and the view held; a job makes the
// view by supersede. Whenever more becomes known of a patient, another job looks for
// reports that were redacted with less.

const (
	jobRedact = "redact"  // one report
	jobKnown  = "reknown" // a patient's reports that were redacted with less than is known now
)

// originRedact is the origin of what a redaction does.
const originRedact = "redact"

const (
	// redactTries is how often the redactor may fail for its own reasons before a person
	// has to look; redactCrashes how often the whole gateway may go down with it.
	redactTries   = 6
	redactCrashes = 20

	// knownDelay gathers what is learnt from one study into one look.
	knownDelay = 2 * time.Second

	reportsPage = 200
)

// redactionFailed is why the view of a report is withheld that could not be redacted.
const redactionFailed = "redaction-failed"

type redactPayload struct {
	Object record.ObjectID `json:"object"`
}

type knownPayload struct {
	Patient record.PatientToken `json:"patient"`
}

func (v *Vault) redactLater(ctx context.Context, tx *catalog.Tx, id record.ObjectID) error {
	return tx.Enqueue(ctx, newJob(jobRedact, string(id), redactPayload{id}, v.cfg.Now()))
}

// waits says whether a document is to be redacted in the background.
func (in *incoming) waits() bool {
	r, ok := in.Incoming.(imaging.Redactable)
	return ok && r.Waits()
}

// noteReport leaves the job that redacts a new document, and the one that looks at the
// patient's other reports where the document may tell more of who that is.
func (v *Vault) noteReport(ctx context.Context, tx *catalog.Tx, in *incoming, id record.ObjectID) error {
	tells := true
	if in.series != "" {
		n, err := tx.InSeries(ctx, in.patient, in.series)
		if err != nil {
			return err
		}
		tells = n <= 1
	}
	if tells {
		if err := v.lookAtReportsLater(ctx, tx, in.patient); err != nil {
			return err
		}
	}
	report := catalog.Report{ID: id, Parent: in.parent}
	if in.waits() {
		report.Known = catalog.KnownPending
		if err := v.redactLater(ctx, tx, id); err != nil {
			return err
		}
	}
	if report.Known == "" && report.Parent == "" {
		return nil
	}
	return tx.SetReport(ctx, report)
}

// lookAtReportsLater leaves the job that looks at a patient's reports, of whom more is known
// now.
func (v *Vault) lookAtReportsLater(ctx context.Context, tx *catalog.Tx, p record.PatientToken) error {
	others, err := tx.HasReports(ctx, p)
	if err != nil || !others {
		return err
	}
	return tx.Enqueue(ctx, newJob(jobKnown, string(p), knownPayload{p}, v.cfg.Now().Add(knownDelay)))
}

// redactReport makes the view of one report, unless it is what it would become.
func (v *Vault) redactReport(ctx context.Context, job catalog.Job, owner string) error {
	var p redactPayload
	if err := json.Unmarshal(job.Payload, &p); err != nil {
		return err
	}
	var d catalog.Document
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		now, err := tx.Current(ctx, p.Object)
		if err == nil {
			d, err = tx.Document(ctx, now)
		}
		return err
	})
	var seen int
	if err == nil {
		seen, err = v.redact(ctx, d, job.Attempt)
	}
	why := new(record.Refusal)
	switch {
	case err == nil, errors.Is(err, catalog.ErrNotFound):
	case errors.As(err, &why) && (why.Kind == record.ErrDenied || why.Kind == record.ErrErased), errors.Is(err, record.ErrNotFound):
		v.cfg.Log.Warn("not redacted", "object", d.ID, "err", err) // the patient is frozen or erased
	default: // of what another superseded first as well: it may have been a person's release, with less known
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		if seen == 0 {
			return nil
		}
		return v.nothingNew(ctx, tx, d.Patient, seen)
	})
}

// nothingNew makes a job look again when documents have arrived that it has not seen.
func (v *Vault) nothingNew(ctx context.Context, tx *catalog.Tx, p record.PatientToken, seen int) error {
	// Whoever brings a document holds this lock while it is put in, and its job may have
	// been taken for this one.
	if _, err := tx.LockPatient(ctx, p); err != nil {
		return err
	}
	now, err := tx.Witnesses(ctx, p, maxWitnesses)
	if err != nil || len(now) <= seen {
		return err
	}
	return fmt.Errorf("%w: more has become known of the patient", errChanged)
}

// redact supersedes a report by what it is with all that is known of the patient, and
// says how many documents told of that.
func (v *Vault) redact(ctx context.Context, d catalog.Document, attempt int) (seen int, err error) {
	p, err := v.patientOf(ctx, d)
	if err != nil {
		return 0, err
	}
	if p.State != catalog.Active {
		return 0, record.Refuse(record.ErrDenied, p.State, "the patient is not active")
	}
	k, err := v.openKeys(ctx, p)
	if err != nil {
		return 0, err
	}
	who, err := v.acquainted(ctx, p, k)
	if err != nil {
		return 0, err
	}
	report, err := v.reportOf(ctx, d.ID)
	if err != nil || report.Known == who.digest || report.Known == "" {
		return who.seen, err
	}
	was, err := v.factsOf(ctx, d)
	if err != nil {
		return 0, err
	}
	s := supersession{
		act:   act{Actor: v.self(), Action: record.ActionSupersede, Patient: d.Patient, Object: d.ID, Origin: originRedact},
		old:   d,
		known: &who, decision: was.Release,
		giveUp: attempt > redactCrashes,
		accept: func(now imaging.Scrubbed) error {
			if report.Known != catalog.KnownPending && !compare(d, was, now).any() {
				return errUnchanged
			}
			return nil
		},
	}
	_, err = v.supersede(ctx, s)
	if errors.Is(err, errRedactor) && attempt >= redactTries && ctx.Err() == nil {
		v.cfg.Log.Error("given up redacting", "object", d.ID, "err", err)
		s.giveUp = true
		_, err = v.supersede(ctx, s)
	}
	if errors.Is(err, errUnchanged) {
		err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.SetKnown(ctx, d.ID, who.digest) })
	}
	return who.seen, err
}

// errRedactor: it was the redactor that failed, not the document.
var errRedactor = errors.New("redact")

// lookAtReports leaves a job for every report of a patient that was redacted with less
// than is known now. A document that arrives meanwhile makes it look again.
func (v *Vault) lookAtReports(ctx context.Context, job catalog.Job, owner string) error {
	var of knownPayload
	if err := json.Unmarshal(job.Payload, &of); err != nil {
		return err
	}
	var p catalog.Patient
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		p, err = tx.Patient(ctx, of.Patient)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) || err == nil && p.State != catalog.Active {
		return v.cfg.Catalog.Finish(ctx, job, owner, nil)
	}
	if err != nil {
		return err
	}
	k, err := v.openKeys(ctx, p)
	if err != nil {
		return err
	}
	who, err := v.acquainted(ctx, p, k)
	if err != nil {
		return err
	}
	for after := record.ObjectID(""); ; {
		var page []record.ObjectID
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
			if page, err = tx.ReportsBut(ctx, p.Token, who.digest, after, reportsPage); err != nil {
				return err
			}
			for _, id := range page {
				if err := v.redactLater(ctx, tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(page) < reportsPage {
			break
		}
		after = page[len(page)-1]
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error { return v.nothingNew(ctx, tx, p.Token, who.seen) })
}

// resumeRedactions leaves jobs for reports that wait without one, as after a rebuild.
func (v *Vault) resumeRedactions(ctx context.Context) error {
	for after := record.ObjectID(""); ; {
		var page []record.ObjectID
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
			if page, err = tx.PendingReports(ctx, after, reportsPage); err != nil {
				return err
			}
			for _, id := range page {
				if err := v.redactLater(ctx, tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(page) < reportsPage {
			return err
		}
		after = page[len(page)-1]
	}
}
