package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"medvault/storage/replica"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// Kinds of jobs.
const (
	jobCopy     = "copy"             // a sealed object to a region
	jobRemove   = "remove"           // a superseded object from a region
	jobLock     = "lock"             // an object where it lies, against deletion
	jobList     = "rederive"         // the documents of a re-derivation
	jobRederive = "rederive-objects" // one of them
	jobWalk     = "walk"             // over all objects, on a region's account
	jobCare     = "care-from-dicom"  // of the physicians whom a document names
)

const sweep = 10 * time.Minute

type objectPayload struct {
	Object record.ObjectID `json:"object"`
	Region string          `json:"region"`
}

// copyJob is the promise that an object will lie in a region.
func copyJob(id record.ObjectID, region string, at time.Time) catalog.Job {
	return objectJob(jobCopy, id, region, at)
}

// removeJob is the promise that an object will not lie in a region any more.
func removeJob(id record.ObjectID, region string, at time.Time) catalog.Job {
	return objectJob(jobRemove, id, region, at)
}

func objectJob(kind string, id record.ObjectID, region string, at time.Time) catalog.Job {
	job := newJob(kind, string(id)+"@"+region, objectPayload{id, region}, at)
	job.Region = region
	return job
}

func newJob(kind, key string, payload any, at time.Time) catalog.Job {
	data, err := json.Marshal(payload)
	if err != nil {
		panic(err) // strings
	}
	return catalog.Job{Kind: kind, Key: key, Payload: data, NotBefore: at}
}

// work does the jobs that are about no region until ctx ends. Any number of gateways
// share the job table.
func (v *Vault) work(ctx context.Context) {
	owner := string(record.NewObjectID())
	for ctx.Err() == nil {
		jobs, err := v.cfg.Catalog.Lease(ctx, []string{jobAlarm, jobRenew, jobReach, jobPrepare, jobCertify, jobCare, jobKnown, jobRedact, jobReindex, jobMove, jobWalk, jobList, jobRederive}, 1, v.cfg.Lease, owner)
		if err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("lease a job", "err", err)
		}
		if len(jobs) == 0 {
			wait(ctx, v.cfg.Poll)
			continue
		}
		for _, job := range jobs {
			v.run(ctx, job, owner)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// tidy forgets what is over and takes away what crashes left, now and then.
func (v *Vault) tidy(ctx context.Context) {
	for {
		if err := v.recover(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("take away unfinished objects", "err", err)
		}
		if err := v.resumeRenewals(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("resume renewals of keys", "err", err)
		}
		if err := v.resumeRedactions(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("resume the redaction of reports", "err", err)
		}
		if err := v.forsake(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("give up removals from regions that are configured no more", "err", err)
		}
		if err := v.comeOfAge(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("look who has come of age", "err", err)
		}
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			return errors.Join(tx.SweepReadWindows(ctx, v.cfg.Now()), tx.SweepFailures(ctx))
		})
		if err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("sweep read windows and failures", "err", err)
		}
		if wait(ctx, sweep); ctx.Err() != nil {
			return
		}
	}
}

// run does one job and tells why it could not be done, "" when it was; then it is tried
// again later, at growing distances.
func (v *Vault) run(ctx context.Context, job catalog.Job, owner string) (code string) {
	held, stop := v.keepLease(ctx, job, owner)
	err := v.do(held, job, owner)
	stop()
	if err == nil {
		return ""
	}
	code = failureCode(err)
	at := v.cfg.Now().Add(backoff(job.Attempt))
	if ctx.Err() != nil { // this gateway stops: nobody failed, and another may go on
		code, at = "", v.cfg.Now()
	}
	v.cfg.Log.Warn("job not done yet", "job", job.Kind, "key", job.Key, "attempt", job.Attempt, "code", code, "err", err)
	if err := v.cfg.Catalog.Retry(context.WithoutCancel(ctx), job, owner, at, code); err != nil {
		v.cfg.Log.Error("put a job back", "err", err)
	}
	return code
}

func (v *Vault) do(ctx context.Context, job catalog.Job, owner string) error {
	switch job.Kind {
	case jobAlarm:
		return v.sendAlarm(ctx, job, owner)
	case jobRenew:
		return v.renewJob(ctx, job, owner)
	case jobList:
		return v.listStale(ctx, job, owner)
	case jobReach, jobUnlock, jobKeysOut, jobObjectsOut:
		return v.doConsent(ctx, job, owner)
	case jobErase:
		return v.eraseThere(ctx, job, owner)
	case jobPrepare:
		return v.prepareErasure(ctx, job, owner)
	case jobCertify:
		return v.certifyJob(ctx, job, owner)
	case jobWalk:
		return v.walk(ctx, job, owner)
	case jobCare:
		return v.careFromDICOM(ctx, job, owner)
	case jobRederive:
		return v.rederiveObject(ctx, job, owner)
	case jobRedact:
		return v.redactReport(ctx, job, owner)
	case jobKnown:
		return v.lookAtReports(ctx, job, owner)
	case jobReindex:
		return v.reindex(ctx, job, owner)
	case jobMove:
		return v.moveJob(ctx, job, owner)
	}
	var o objectPayload
	if err := json.Unmarshal(job.Payload, &o); err != nil {
		return err
	}
	switch job.Kind {
	case jobRemove:
		return v.removeObject(ctx, job, owner, o)
	case jobLock:
		return v.lockObject(ctx, job, owner, o)
	}
	return v.copyObject(ctx, job, owner, o)
}

// errLeaseLost ends a job whose lease may be another gateway's by now.
var errLeaseLost = errors.New("the lease of the job is over")

// keepLease renews a job's lease until stop, which waits for it to end. The context it
// returns ends with the lease: what is not certain to be this gateway's any more is not
// gone on with.
func (v *Vault) keepLease(ctx context.Context, job catalog.Job, owner string) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	over := time.AfterFunc(v.cfg.Lease, func() { cancel(errLeaseLost) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if wait(held, v.cfg.Lease/3); held.Err() != nil {
				return
			}
			asked := time.Now()
			err := v.cfg.Catalog.Renew(held, job, owner, v.cfg.Lease)
			switch {
			case err == nil:
				over.Reset(time.Until(asked.Add(v.cfg.Lease)))
			case errors.Is(err, catalog.ErrChanged):
				cancel(errLeaseLost)
			case held.Err() == nil:
				v.cfg.Log.Warn("lease not renewed", "job", job.ID, "err", err)
			}
		}
	}()
	return held, func() { over.Stop(); cancel(nil); <-done }
}

// backoff doubles from a second to five minutes, and is drawn so that what failed
// together does not come back together.
func backoff(attempt int) time.Duration {
	d := min(time.Second<<min(attempt, 9), 5*time.Minute)
	return d/2 + rand.N(d/2)
}

// copyObject copies a sealed object, with its patient's wraps, to a region that was
// promised it. No key opens anything but the wraps on the way.
func (v *Vault) copyObject(ctx context.Context, job catalog.Job, owner string, c objectPayload) error {
	r, ok := v.cfg.Regions.Region(c.Region)
	if !ok {
		return fmt.Errorf("no region %s", c.Region)
	}
	var o catalog.Object
	var p catalog.Patient
	var said []consent.Statement
	var from []string
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if o, err = tx.Object(ctx, c.Object); err != nil {
			return err
		}
		if p, err = v.owner(ctx, tx, o.Patient); err != nil {
			return err
		}
		if said, err = v.consents(ctx, tx, o.Patient); err != nil {
			return err
		}
		placed, err := tx.Placements(ctx, c.Object)
		for region, there := range placed {
			if there {
				from = append(from, region)
			}
		}
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return v.cfg.Catalog.Finish(ctx, job, owner, nil) // removed since
	}
	if err != nil {
		return err
	}
	if o.SupersededBy != "" {
		// An attempt that was cut off may have left it there.
		return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error { return v.takeAway(ctx, tx, o.ID, c.Region) })
	}
	if v.leaving(c.Region) {
		return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error { return tx.Unpromise(ctx, o.ID, c.Region) })
	}
	from = v.byRole(from)
	if v.withdrawn(p, said, r) {
		// An attempt that was cut off may have left it there, or its wraps.
		return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
			if err := tx.Promise(ctx, o.ID, []string{r.Name}); err != nil {
				return err
			}
			gone, err := v.straggles(ctx, tx, p, r, true, job.ID)
			if err != nil || gone {
				return err
			}
			return tx.Enqueue(ctx, copyJob(o.ID, r.Name, v.cfg.Now())) // consent was given again
		})
	}
	// Of a frozen patient a record may be missing in which consent was withdrawn.
	if v.abroad(p, r) && p.State != catalog.Active || !slices.Contains(v.permitted(p, said...), c.Region) {
		return fmt.Errorf("%w: region %s may not hold this patient's documents", errNotPermitted, c.Region)
	}
	k, err := v.openKeys(ctx, sealedFor(p, o))
	if err != nil {
		return err
	}
	open := slices.Contains(v.openIn(p, said), c.Region)
	if open { // otherwise it lies there without a key
		if err := v.placeWrapsInTime(ctx, k, c.Region); err != nil {
			return err
		}
	}
	if err := v.copiers[c.Region].Copy(ctx, o.ID.Key(o.Class), replica.Sum{Size: o.Size, SHA256: o.SHA256}, from, c.Region); err != nil {
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		now, err := tx.Object(ctx, o.ID)
		if err != nil {
			return err
		}
		if now.SupersededBy != "" { // while it was on its way
			return v.takeAway(ctx, tx, o.ID, c.Region)
		}
		if went, err := v.straggles(ctx, tx, p, r, open, job.ID); err != nil || went {
			return errors.Join(err, tx.Promise(ctx, o.ID, []string{r.Name}))
		}
		if err := tx.Placed(ctx, o.ID, c.Region, v.cfg.Now()); err != nil {
			return err
		}
		if err := v.followEnds(ctx, tx, p, said, r); err != nil {
			return err
		}
		if err := v.lockLater(ctx, tx, o.ID, c.Region); err != nil {
			return err
		}
		return appendLeaf(ctx, tx, audit.Leaf{
			Time: v.cfg.Now(), Actor: "medvault", Role: record.RoleOperator, Purpose: record.PurposeSystem, Action: "object.copied",
			Patient: o.Patient, Object: o.ID, Decision: audit.Allow, Commit: &audit.Commit{Kind: o.Kind, Size: o.Size, SHA256: o.SHA256, Generation: o.Generation, Seal: o.Seal, Regions: []string{c.Region}},
		})
	})
}
