package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"medvault/keys/envelope"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// settle applies the records that change what other records and documents say, now that
// all of these are there.
func (r *rebuild) settle(ctx context.Context) error {
	for _, kind := range []string{recordCareEnd, recordConsentEnd, recordReview, recordGuardianEnd, recordBreakglassReview, recordHoldEnd, recordRestrictionEnd, recordCorrection, recordCorrectionUndo} {
		for after := record.ObjectID(""); ; {
			var page []catalog.Object
			err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
				page, err = tx.Records(ctx, kind, after, rebuildPage)
				return err
			})
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			after = page[len(page)-1].ID
			if err := r.apply(ctx, kind, page); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(r.settleMoves(ctx), r.settleCorrections(ctx)); err != nil {
		return err
	}
	return r.followConsents(ctx)
}

func (r *rebuild) apply(ctx context.Context, kind string, page []catalog.Object) error {
	values := make([]json.RawMessage, len(page))
	carried := make([]facts, len(page)) // of the documents that reviews are about
	err := r.each(ctx, len(page), func(ctx context.Context, i int) (err error) {
		if values[i], err = r.recordOf(ctx, page[i]); err == nil && kind == recordReview {
			carried[i], err = r.reviewed(ctx, values[i])
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		for i, value := range values {
			var err error
			switch kind {
			case recordReview:
				err = r.applyReview(ctx, tx, value, carried[i])
			case recordGuardianEnd, recordBreakglassReview, recordHoldEnd:
				err = applyGuardians(ctx, tx, kind, page[i].Patient, value)
			case recordRestrictionEnd:
				err = applyRestrictionEnd(ctx, tx, page[i].Patient, value)
			case recordCorrection, recordCorrectionUndo:
				err = applyCorrection(ctx, tx, kind, page[i].Patient, value)
			case recordConsentEnd:
				err = r.applyConsentEnd(ctx, tx, page[i].Patient, value)
			default:
				err = r.applyCareEnd(ctx, tx, page[i].Patient, value)
			}
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return fmt.Errorf("record %s: %w", page[i].ID, err)
			}
		}
		return nil
	})
}

// recordOf opens a record.
func (r *rebuild) recordOf(ctx context.Context, o catalog.Object) (value json.RawMessage, err error) {
	k, err := r.v.openKeys(ctx, catalog.Patient{Token: o.Patient, Generation: o.Generation})
	if err != nil {
		return nil, err
	}
	sealed, err := r.v.open(ctx, o, k, record.ViewDeidentified)
	if err != nil {
		return nil, err
	}
	return value, readPart(ctx, sealed, envelope.Content, &value)
}

func (r *rebuild) applyCareEnd(ctx context.Context, tx *catalog.Tx, p record.PatientToken, value json.RawMessage) error {
	var end careEnd
	if err := json.Unmarshal(value, &end); err != nil {
		return err
	}
	err := tx.EndCare(ctx, p, end.Care, end.Ended, end.By)
	if !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	cares, listing := tx.Cares(ctx, p)
	if slices.ContainsFunc(cares, func(c catalog.Care) bool { return c.ID == end.Care }) {
		return listing // another record ends it earlier
	}
	return errors.Join(err, listing)
}

func (r *rebuild) applyConsentEnd(ctx context.Context, tx *catalog.Tx, p record.PatientToken, value json.RawMessage) error {
	var end consentEnd
	if err := json.Unmarshal(value, &end); err != nil {
		return err
	}
	return tx.EndConsent(ctx, p, end.Consent, end.Ended, end.By)
}

// followConsents leaves the jobs that make the regions abroad follow what patients have
// said: what was under way when the catalog was lost begins again, and what is done
// already finds nothing to do.
func (r *rebuild) followConsents(ctx context.Context) error {
	var places []place
	for _, p := range r.cfg.Places {
		places = append(places, place{p.Name, p.Jurisdiction, true})
	}
	for after := record.PatientToken(""); ; {
		var page []record.PatientToken
		err := r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
			if page, err = tx.Consenting(ctx, after, rebuildPage); err != nil {
				return err
			}
			for _, token := range page {
				p, said, err := r.v.standingOf(ctx, tx, token)
				if err != nil {
					return err
				}
				for _, s := range said {
					if s.Decision != consent.Permit || s.Country == "" {
						continue
					}
					ever := s
					ever.Ended, ever.Until, ever.From = nil, nil, time.Time{}
					// What it once permitted and does not now goes, what it permits comes.
					err := errors.Join(r.v.followIn(ctx, tx, p, places, s.ID, []consent.Statement{ever}, said),
						r.v.followIn(ctx, tx, p, places, s.ID, nil, said))
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1]
	}
}

// reviewed opens the facts of what stands in the place of a reviewed document.
func (r *rebuild) reviewed(ctx context.Context, value json.RawMessage) (f facts, err error) {
	var said reviewRecord
	if err := json.Unmarshal(value, &said); err != nil {
		return f, err
	}
	var d catalog.Document
	err = r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		now, err := tx.Current(ctx, said.Object)
		if err == nil {
			d, err = tx.Document(ctx, now)
		}
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	return r.v.factsOf(ctx, d)
}

// applyReview notes a refusal with what it is about, or with what stands in its place: as
// long as nobody has released it in between, it holds on.
func (r *rebuild) applyReview(ctx context.Context, tx *catalog.Tx, value json.RawMessage, now facts) error {
	var said reviewRecord
	if err := json.Unmarshal(value, &said); err != nil {
		return err
	}
	current, err := tx.Current(ctx, said.Object)
	if err != nil {
		return err
	}
	d, err := tx.Document(ctx, current)
	if err != nil {
		return err
	}
	if d.Held == "" || d.Review != "" || current != said.Object && now.Release != nil {
		return nil
	}
	return tx.Review(ctx, current, said.ID)
}

// nameMissing names whatever the log commits and this region does not give back, and
// freezes the patients of whom a record is missing.
func (r *rebuild) nameMissing(ctx context.Context) error {
	for {
		var ids []record.ObjectID
		var leaves [][]byte
		err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			ids, leaves, err = tx.Unaccounted(ctx, record.ObjectID(r.at.Position), rebuildPage)
			return err
		})
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return errors.Join(r.resumeErasures(ctx), r.sendAway(ctx), r.thaw(ctx), r.freezeAgain(ctx))
		}
		last := string(ids[len(ids)-1])
		err = r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			for _, data := range leaves {
				leaf, err := audit.ParseLeaf(data)
				if err != nil {
					return err
				}
				if err := r.nameLost(ctx, tx, leaf); err != nil {
					return err
				}
			}
			return r.note(ctx, tx, last)
		})
		if err != nil {
			return err
		}
		r.at.Position = last
	}
}

func (r *rebuild) nameLost(ctx context.Context, tx *catalog.Tx, leaf audit.Leaf) error {
	o := objectOf(leaf)
	p, err := r.v.owner(ctx, tx, o.Patient)
	if err != nil {
		return err
	}
	if dead, err := tx.Dead(ctx, o.Patient, o.Generation); err != nil || dead {
		return errors.Join(err, r.leaveDead(ctx, tx, o, leaf.Commit.Regions))
	}
	// What is damaged, or opened by no key, was named already.
	named, err := tx.RebuildFindings(ctx, r.from.Name, "", catalog.RebuildFinding{Key: o.Key()}, 1)
	if err != nil {
		return err
	}
	if len(named) == 0 || named[0].Key != o.Key() {
		f := RebuildFinding{Type: RebuildElsewhere, Object: string(o.ID), Class: o.Class, Patient: o.Patient, Promised: leaf.Commit.Regions,
			Evidence: "the log promises it to other regions only", Repair: "rebuild from one of these too"}
		for _, region := range leaf.Commit.Regions {
			if region == r.from.Name {
				f.Type, f.Evidence = RebuildLostHere, "the log promises it to this region, which does not have it"
			}
		}
		if err := r.found(ctx, tx, o.Key(), f); err != nil {
			return err
		}
	}
	if o.Class != catalog.ClassRecords || o.Patient == record.House {
		return nil
	}
	return r.freeze(ctx, tx, p)
}

// sendAway leaves jobs that take superseded objects out of the regions.
func (r *rebuild) sendAway(ctx context.Context) error {
	for after := record.ObjectID(""); ; {
		var page []record.ObjectID
		err := r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
			if page, err = tx.Leaving(ctx, RebuildTwin, after, rebuildPage); err != nil {
				return err
			}
			for _, id := range page {
				if err := r.v.takeAwayEverywhere(ctx, tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1]
	}
}

// freeze lets nothing be done with a patient of whom a record is missing: it may have
// said that something is forbidden.
func (r *rebuild) freeze(ctx context.Context, tx *catalog.Tx, p catalog.Patient) error {
	if p.State == catalog.Active {
		p.State = catalog.Frozen
		leaf := r.leaf(ActionFrozen)
		leaf.Patient, leaf.Reason = p.Token, "record-lost"
		if err := errors.Join(tx.UpdatePatient(ctx, p), appendLeaf(ctx, tx, leaf)); err != nil {
			return err
		}
	}
	f := RebuildFinding{Type: RebuildFrozen, Object: string(p.Token), Patient: p.Token,
		Evidence: "a record about this patient is missing", Repair: "rebuild from a region that has it"}
	return errors.Join(r.found(ctx, tx, frozenKey+string(p.Token), f),
		tx.AddRebuildFinding(ctx, everyRebuild, catalog.RebuildFinding{Key: frozenKey + string(p.Token), Type: RebuildFrozen, Patient: p.Token, Data: []byte("{}")}))
}

const (
	frozenKey    = "patients/" // begins the keys of findings about frozen patients
	everyRebuild = ""          // stands for the region of what every rebuild must know
)

// thaw takes back what this rebuild or an earlier one has frozen, where no record is
// missing any more.
func (r *rebuild) thaw(ctx context.Context) error {
	return r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		frozen, err := tx.RebuildFindings(ctx, everyRebuild, RebuildFrozen, catalog.RebuildFinding{}, 0)
		if err != nil {
			return err
		}
		lacking, err := tx.RebuildFindings(ctx, r.from.Name, RebuildFrozen, catalog.RebuildFinding{}, 0)
		if err != nil {
			return err
		}
		still := make(map[string]bool)
		for _, f := range lacking {
			still[f.Key] = true
		}
		for _, f := range frozen {
			if still[f.Key] {
				continue
			}
			if err := r.thawPatient(ctx, tx, f); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *rebuild) thawPatient(ctx context.Context, tx *catalog.Tx, f catalog.RebuildFinding) error {
	if err := tx.DropRebuildFinding(ctx, everyRebuild, f.Key, f.Type); err != nil {
		return err
	}
	p, err := tx.Patient(ctx, f.Patient)
	if err != nil || p.State != catalog.Frozen {
		return err
	}
	if still, err := frozenByPerson(ctx, tx, p.Token); err != nil || still {
		return err
	}
	p.State = catalog.Active
	leaf := r.leaf(ActionThawed)
	leaf.Patient = p.Token
	return errors.Join(tx.UpdatePatient(ctx, p), appendLeaf(ctx, tx, leaf))
}
