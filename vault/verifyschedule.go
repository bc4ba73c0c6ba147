package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// VerifyEvery is one line of the schedule of verifications.
type VerifyEvery struct {
	Level  string
	Region string        // "" is all
	Sample string        // as VerifyOptions has it; of "n/t" every run takes the next group
	Limit  int64         // bytes a second; 0 is none
	Every  time.Duration // at least a minute
}

// name is the same for the same line on every gateway.
func (e VerifyEvery) name() string { return e.Level + " " + e.Region + " " + e.Sample }

// Check refuses what cannot be verified on schedule.
func (e VerifyEvery) Check() error {
	if !slices.Contains(Levels(), e.Level) {
		return errors.New("level is list, checksum, read, decrypt or log")
	}
	s, err := parseSample(e.Sample)
	switch {
	case err != nil || e.Level == LevelList && !s.all():
		return errors.New("sample is a number of objects, or n/t with n from 1 to t, and none at level list")
	case e.Every < time.Minute:
		return errors.New("every is at least 1m")
	case e.Limit < 0:
		return errors.New("limit is a number of bytes a second")
	}
	return nil
}

// options are those of the run after so many others.
func (e VerifyEvery) options(runs int64) VerifyOptions {
	o := VerifyOptions{Level: e.Level, Region: e.Region, Sample: e.Sample, Limit: e.Limit}
	if s, err := parseSample(e.Sample); err == nil && s.groups > 0 {
		o.Sample = fmt.Sprintf("%d/%d", (s.group-1+runs)%s.groups+1, s.groups)
	}
	return o
}

// scheduleTick is how often a gateway looks whether a line of the schedule is due.
const scheduleTick = 5 * time.Second

// verifyOnSchedule keeps one line of the schedule until ctx ends. Of several gateways
// one does it, and another goes on when that one is gone.
func (v *Vault) verifyOnSchedule(ctx context.Context, e VerifyEvery) {
	for {
		if err := v.verifyWhenDue(ctx, e); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("verify on schedule", "level", e.Level, "region", e.Region, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(scheduleTick):
		}
	}
}

func (v *Vault) verifyWhenDue(ctx context.Context, e VerifyEvery) error {
	lease, owner := "schedule/"+e.name(), string(record.NewObjectID())
	var s catalog.VerifySchedule
	due := false
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		if s, err = tx.VerifySchedule(ctx, e.name()); err != nil {
			return err
		}
		if due = s.Verification != "" || !v.cfg.Now().Before(s.Next); !due {
			return nil
		}
		return tx.TakeLease(ctx, lease, owner, verifyLease)
	})
	if errors.Is(err, catalog.ErrChanged) || err == nil && !due {
		return nil // another gateway does it, or nobody need
	}
	if err != nil {
		return err
	}
	defer v.dropLease(lease, owner)
	stop := v.renewLease(ctx, lease, owner)
	defer stop()
	return v.verifyNow(ctx, e, s)
}

// verifyNow begins the run that is due, or goes on with the one that was cut.
func (v *Vault) verifyNow(ctx context.Context, e VerifyEvery, s catalog.VerifySchedule) error {
	began := v.cfg.Now()
	o := e.options(s.Runs)
	o.Resume = record.ObjectID(s.Verification)
	c, err := v.beginVerification(ctx, v.self(), o, e.name())
	if over := new(record.Refusal); errors.As(err, &over) && over.Code == "verification-ended" {
		return v.reschedule(ctx, e, s, began)
	}
	if s.Verification != "" && (errors.Is(err, record.ErrNotFound) || errors.Is(err, record.ErrConflict)) {
		s.Verification = "" // it can never go on: the next look begins anew
		return errors.Join(err, v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.SetVerifySchedule(ctx, s) }))
	}
	if err != nil {
		return err
	}
	s.Verification = c.id
	if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.SetVerifySchedule(ctx, s) }); err != nil {
		c.letGo()
		return err
	}
	report, err := c.run(ctx)
	if err != nil {
		return err
	}
	if n := report.found(); n > 0 {
		v.cfg.Log.Error("verification has findings", "level", e.Level, "verification", report.ID, "findings", n)
	}
	return v.reschedule(ctx, e, s, began)
}

func (v *Vault) reschedule(ctx context.Context, e VerifyEvery, s catalog.VerifySchedule, began time.Time) error {
	s.Next, s.Runs, s.Verification = began.Add(e.Every), s.Runs+1, ""
	return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.SetVerifySchedule(ctx, s) })
}

// self is the vault as an actor of its own.
func (v *Vault) self() record.Actor {
	return record.Actor{ID: "medvault", Role: record.RoleOperator, Country: v.cfg.Home, Purpose: record.PurposeSystem, Inside: true}
}

// renewLease keeps a lease until stop, which waits for it to end.
func (v *Vault) renewLease(ctx context.Context, name, owner string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(verifyLease / 3):
			}
			err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.TakeLease(ctx, name, owner, verifyLease) })
			if err != nil && ctx.Err() == nil {
				v.cfg.Log.Warn("lease not renewed", "lease", name, "err", err)
			}
		}
	}()
	return func() { cancel(); <-done }
}

// dropLease ends a lease, so that what was cut can go on at once.
func (v *Vault) dropLease(name, owner string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DropLease(ctx, name, owner) }); err != nil {
		v.cfg.Log.Warn("lease not ended", "lease", name, "err", err)
	}
}
