package vault

import (
	"context"
	"errors"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/rights"
)

// Ground is by which right somebody of the house gives a patient's originals away: one of
// both. Patients and guardians take their own and name none.
type Ground struct {
	Case       record.ObjectID // of access or, to an institution, of portability; the requester verified
	Disclosure record.ObjectID // approved, to the institution it goes to; not of a package
}

// originCase is the origin of acts that a patient's own request has led to.
const originCase = "case"

// giving is how a patient's originals are given away: by the patient's own act, or by the
// house on a ground, which every leaf names.
type giving struct {
	Ground
	actor     record.Actor
	patient   record.PatientToken
	recipient string
	disclosed Disclosure
	among     map[record.ObjectID]bool // what may be given; nil: everything
}

func (g giving) own() bool { return g.Ground == Ground{} }

// act is the act of giving an object, or everything.
func (g giving) act(object record.ObjectID) act {
	a := act{Actor: g.actor, Action: record.ActionExport, Patient: g.patient, Object: object, Recipient: g.recipient}
	switch {
	case g.Case != "":
		a.Action, a.Origin = record.ActionProvide, originCase
	case g.Disclosure != "":
		a.Action, a.Origin = record.ActionDiscloseGive, string(g.disclosed.Basis)
	}
	return a
}

// reason is what the leaves name: the case, or the basis as when a disclosure is given out
// by itself.
func (g giving) reason() string {
	if g.Case != "" {
		return "case " + string(g.Case)
	}
	return string(g.disclosed.Basis)
}

// on finds the ground on which originals are given away, and refuses where it does not
// stand any more. patient "": that of the case.
func (v *Vault) on(ctx context.Context, a record.Actor, ground Ground, patient record.PatientToken, recipient string) (giving, error) {
	g := giving{Ground: ground, actor: a, patient: patient, recipient: recipient}
	switch {
	case g.own():
		return g, nil
	case ground.Case != "" && ground.Disclosure != "":
		return g, record.Refuse(record.ErrInvalid, "bad-ground", "name a case or a disclosure")
	case ground.Disclosure != "" && recipient == "":
		return g, record.Refuse(record.ErrInvalid, "bad-ground", "a package is the patient's: what a third party is given is the disclosure itself, or a push")
	case ground.Disclosure != "":
		d, err := v.ApprovedDisclosure(ctx, a, ground.Disclosure, patient, recipient)
		if err != nil {
			return g, err
		}
		g.disclosed = d
		g.among, err = v.currentOf(ctx, d.Documents)
		return g, err
	}
	c, err := v.wholeCase(ctx, ground.Case)
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return g, err
	}
	if g.patient == "" {
		g.patient = c.Patient
	}
	if g.patient == "" {
		return g, v.absent(ctx, a, record.ActionProvide)
	}
	if err := v.may(ctx, g.act("")); err != nil { // before anything is told of the case
		return g, err
	}
	if err != nil || c.Patient != g.patient || !c.grantsCopies(recipient != "") {
		return g, v.turnDown(ctx, g.act(""), &record.Refusal{Kind: record.ErrDenied, Code: "case-required",
			Advice: "name a case of this patient about access or portability (of a push: portability) that is not refused or closed, and in which it was made sure who asks"})
	}
	return g, nil
}

// currentOf names documents as they are called now.
func (v *Vault) currentOf(ctx context.Context, documents []record.ObjectID) (now map[record.ObjectID]bool, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		now = make(map[record.ObjectID]bool)
		for _, id := range documents {
			current, err := tx.Current(ctx, id)
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
			now[current] = true
		}
		return nil
	})
	return now, err
}

// grantsCopies says whether a case is one by which originals are given to whoever asked, or
// to the institution that they named.
func (c Case) grantsCopies(push bool) bool {
	kind := c.Type == string(rights.Portability) || c.Type == string(rights.Access) && !push
	verified := c.Requester != nil && c.Requester.Verified != ""
	return kind && verified && c.State != string(rights.Closed) && (c.Decision == nil || c.Decision.Outcome.Executes())
}

// permit decides that originals are given away and writes its leaf.
func (v *Vault) permit(ctx context.Context, g giving, object record.ObjectID, do func(tx *catalog.Tx) error) error {
	if g.own() {
		return v.permitOriginals(ctx, g.act(object), do)
	}
	_, err := v.perform(ctx, g.act(object), func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.View, leaf.Reason = record.ViewOriginal, g.reason()
		if do == nil {
			return nil
		}
		return do(tx)
	})
	return err
}

// siftGiven takes a document that is the patient's still, and among what may be given.
func (v *Vault) siftGiven(ctx context.Context, tx *catalog.Tx, g giving, d catalog.Document, found *lookedUp) error {
	if d.Patient != g.patient { // it was moved to another patient
		return nil
	}
	if g.own() {
		return v.sift(ctx, tx, g.actor, d, true, found) // true: the original alone
	}
	if g.among != nil && !g.among[d.ID] {
		return nil
	}
	if _, ok := found.patients[d.Patient]; !ok {
		giving := g.act(d.ID)
		decision, err := v.decide(ctx, tx, giving)
		if err != nil {
			return err
		}
		if !decision.Allow {
			found.refused = append(found.refused, giving)
			found.withheld++
			return nil
		}
		p, err := tx.Patient(ctx, d.Patient)
		if err != nil {
			return err
		}
		if found.corrected[d.Patient], err = correctionRows(ctx, tx, p); err != nil {
			return err
		}
		found.patients[d.Patient] = p
	}
	found.view = record.ViewOriginal
	found.docs = append(found.docs, d)
	return nil
}

// writeGiven commits a leaf for each document that has no live one of this ground, deciding
// again in that transaction.
func (v *Vault) writeGiven(ctx context.Context, g giving, found lookedUp) error {
	if g.own() {
		return v.writeReadLeaves(ctx, g.actor, found)
	}
	if len(found.docs) == 0 {
		return nil
	}
	ids := make([]record.ObjectID, len(found.docs))
	for i, d := range found.docs {
		ids[i] = d.ID
	}
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		decision, err := v.decide(ctx, tx, g.act(ids[0]))
		if err != nil {
			return err
		}
		if !decision.Allow {
			return errChanged
		}
		window := string(g.actor.Purpose) + " " + string(g.Case+g.Disclosure)
		fresh, err := tx.ReadWindow(ctx, g.actor.ID, window, string(record.ViewOriginal), ids, found.asked, readWindow)
		if err != nil {
			return err
		}
		for _, id := range fresh {
			leaf := v.leaf(g.act(id), decision)
			leaf.View, leaf.Reason, leaf.Window = record.ViewOriginal, g.reason(), readWindow
			if err := appendLeaf(ctx, tx, leaf); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return unavailable("log", err)
	}
	return nil
}

// openGiven opens an original that is given away, if its ground stands still.
func (v *Vault) openGiven(ctx context.Context, g giving, ref Ref) (*Handle, error) {
	if g.own() {
		return v.openOriginalOf(ctx, g.actor, ref)
	}
	still, err := v.on(ctx, g.actor, g.Ground, g.patient, g.recipient)
	if err != nil {
		return nil, err
	}
	found, err := v.sifted(ctx, still, []record.ObjectID{ref.Document})
	if err != nil {
		return nil, err
	}
	if len(found.docs) != 1 {
		return nil, v.absent(ctx, g.actor, still.act("").Action)
	}
	if err := v.writeGiven(ctx, still, found); err != nil {
		return nil, err
	}
	if ref.AsReceived {
		found.corrected = nil
	}
	return v.handle(ctx, found.docs[0], found)
}
