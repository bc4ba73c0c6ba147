package vault

import (
	"context"

	"medvault/vault/breach"
	"medvault/vault/record"
)

// Containment is something to be done at once against a breach.
type Containment struct {
	Do     string `json:"do"`               // one of Containments
	Target string `json:"target,omitempty"` // the person, credential, patient or region; of rotate-keys none
}

// Containments are what can be done against a breach.
func Containments() []string {
	return []string{"revoke-person", "revoke-credential", "freeze-patient", "thaw-patient", "freeze-region", "thaw-region", "rotate-keys"}
}

// Contain does one thing against a breach, and lists it in the incident. It acts on the
// next request in every gateway, and is decided and logged as what it is (revocation.add,
// patient.freeze, regions.manage, keys.rotate), so that whoever may not do it alone may
// not here. In a drill it is only listed. Acts of the guard: incident.work.
func (v *Vault) Contain(ctx context.Context, a record.Actor, id record.ObjectID, c Containment) (Incident, error) {
	i, err := v.incident(ctx, a, record.ActionIncidentWork, id)
	if err != nil {
		return i, err
	}
	if i.State == DossierClosed {
		return i, record.Refuse(record.ErrConflict, "closed", "this incident is closed: what is new is another incident")
	}
	// The deed first: what is listed has been done. Should the list fail, the deed has its own leaf.
	if err := v.carryOut(ctx, a, i, c); err != nil {
		return i, err
	}
	return v.workOnIncident(ctx, a, id, func(i *Incident) (string, error) {
		i.Containment = append(i.Containment, breach.Measure{Did: c.Do, Target: c.Target, At: v.nowMillis(), By: a.ID})
		return c.Do, nil
	}, nil)
}

func (v *Vault) carryOut(ctx context.Context, a record.Actor, i Incident, c Containment) (err error) {
	switch c.Do {
	case "revoke-person", "revoke-credential", "freeze-patient", "thaw-patient", "freeze-region", "thaw-region":
		if c.Target == "" || !name(c.Target, 1, maxSubject) {
			return record.Refuse(record.ErrInvalid, "target-missing", "say whom or what: target")
		}
	case "rotate-keys":
	default:
		return record.Refuse(record.ErrInvalid, "bad-containment", "do is revoke-person, revoke-credential, freeze-patient, thaw-patient, freeze-region, thaw-region or rotate-keys")
	}
	if i.Drill {
		return nil
	}
	switch c.Do {
	case "revoke-person":
		_, err = v.Revoke(ctx, a, NewRevocation{Subject: c.Target, Reason: "breach"})
	case "revoke-credential":
		_, err = v.Revoke(ctx, a, NewRevocation{Credential: c.Target, Reason: "breach"})
	case "freeze-patient":
		_, err = v.FreezePatient(ctx, a, record.PatientToken(c.Target), "breach", i.ID)
	case "thaw-patient":
		_, err = v.ThawPatient(ctx, a, record.PatientToken(c.Target))
	case "freeze-region":
		err = v.OrderRegion(ctx, a, c.Target, OrderFreeze)
	case "thaw-region":
		err = v.OrderRegion(ctx, a, c.Target, OrderThaw)
	case "rotate-keys":
		_, err = v.RotateKeys(ctx, a)
	}
	return err
}
