package vault

import (
	"context"
	"time"

	"medvault/vault/breach"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Incident is a breach, or the drill of one: a house record, whole at every revision. What
// it says in words is sealed with it; the catalog knows the clock alone.
type Incident struct {
	ID         record.ObjectID `json:"id"`
	Revision   int64           `json:"revision"`
	Drill      bool            `json:"drill"` // nothing has happened, nothing is contained, nobody is told
	What       string          `json:"what"`
	Discovered time.Time       `json:"discovered"` // the clock runs from then
	Opened     time.Time       `json:"opened"`
	By         string          `json:"by"`
	State      string          `json:"state"` // DossierOpen, DossierTold or DossierClosed

	Scopes      []IncidentScope  `json:"scopes"`      // what the intruder may have acted by: see Affected
	Containment []breach.Measure `json:"containment"` // what was done; in a drill, what would be
	Authority   []Told           `json:"authority"`   // when the authorities were told
	Told        *time.Time       `json:"told,omitempty"`
	TellNobody  string           `json:"tellNobody,omitempty"` // why nobody has to be told (PIPL, article 57)
	Closed      *time.Time       `json:"closed,omitempty"`
	ClosedBy    string           `json:"closedBy,omitempty"`
	Outcome     string           `json:"outcome,omitempty"` // what came of it, in words

	// What follows is computed when it is asked for.
	Clock        breach.Clock `json:"clock"`
	PatientsTold int          `json:"patientsTold"`
}

// Told says when somebody was told of a breach.
type Told struct {
	At        time.Time `json:"at"`
	By        string    `json:"by"`
	How       string    `json:"how"`                 // a code, as "letter" or "online-form"
	Reference string    `json:"reference,omitempty"` // of the receipt
}

func (i Incident) row() catalog.Dossier {
	d := catalog.Dossier{ID: i.ID, Revision: i.Revision, Kind: recordIncident, State: i.State, Opened: i.Opened, Closed: i.Closed}
	if i.State == DossierOpen && !i.Drill { // a drill alarms nobody
		d.Due = i.Discovered.Add(breach.Within)
	}
	return d
}

// NewIncident is a breach to be put on record.
type NewIncident struct {
	What       string          `json:"what"`
	Discovered *time.Time      `json:"discovered,omitempty"` // default now
	Drill      bool            `json:"drill,omitempty"`
	Scopes     []IncidentScope `json:"scopes,omitempty"`
}

// OpenIncident starts the clock of a breach. Acts of the guard: incident.work.
func (v *Vault) OpenIncident(ctx context.Context, a record.Actor, n NewIncident) (Incident, error) {
	now := v.nowMillis()
	i := Incident{ID: record.NewObjectID(), Revision: 1, Drill: n.Drill, What: n.What, Discovered: now, Opened: now, By: a.ID, State: DossierOpen,
		Scopes: append([]IncidentScope{}, n.Scopes...), Containment: []breach.Measure{}, Authority: []Told{}}
	if n.Discovered != nil {
		i.Discovered = n.Discovered.UTC().Truncate(time.Millisecond)
	}
	switch {
	case n.What == "" || !noteText(n.What):
		return i, record.Refuse(record.ErrInvalid, "bad-what", "say what happened, in at most 4000 characters")
	case i.Discovered.After(now) || i.Discovered.Before(now.AddDate(-1, 0, 0)):
		return i, record.Refuse(record.ErrInvalid, "bad-discovered", "discovered lies in the last year")
	}
	for _, s := range i.Scopes {
		if err := v.checkScope(s); err != nil {
			return i, err
		}
	}
	working := act{Actor: a, Action: record.ActionIncidentWork}
	if err := v.putDossier(ctx, working, i, i.did("opened"), nil); err != nil {
		return i, err
	}
	return v.tellIncident(ctx, i)
}

// did is the code of what was done, marked when it is a drill.
func (i Incident) did(what string) string {
	if i.Drill {
		return "drill-" + what
	}
	return what
}

// tellIncident adds how the clock stands now.
func (v *Vault) tellIncident(ctx context.Context, i Incident) (Incident, error) {
	i.Clock = breach.Stand(i.Discovered, v.cfg.Now(), i.Told)
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		sent, err := tx.BreachNotices(ctx, i.ID)
		i.PatientsTold = len(sent)
		return err
	})
	if err != nil {
		return i, unavailable("catalog", err)
	}
	return i, nil
}

// Incidents lists them, the newest first; open: those that are not closed. Acts of the
// guard: incident.read.
func (v *Vault) Incidents(ctx context.Context, a record.Actor, open bool) ([]Incident, error) {
	list, err := listDossiers[Incident](ctx, v, act{Actor: a, Action: record.ActionIncidentRead}, catalog.DossierFilter{Kind: recordIncident, Open: open})
	for n := range list {
		if list[n], err = v.tellIncident(ctx, list[n]); err != nil {
			return nil, err
		}
	}
	return list, err
}

// ReadIncident tells one. Acts of the guard: incident.read. Unknown: ErrNotFound.
func (v *Vault) ReadIncident(ctx context.Context, a record.Actor, id record.ObjectID) (Incident, error) {
	i, err := v.incident(ctx, a, record.ActionIncidentRead, id)
	if err != nil {
		return i, err
	}
	// What is read of a breach is read for the log, too.
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionIncidentRead, Object: id}, nil); err != nil {
		return i, err
	}
	return v.tellIncident(ctx, i)
}

func (v *Vault) incident(ctx context.Context, a record.Actor, action record.Action, id record.ObjectID) (i Incident, err error) {
	return i, v.readDossier(ctx, act{Actor: a, Action: action}, recordIncident, id, &i)
}

// workOnIncident changes one that is not closed: it is read, changed by do, which says what
// was done as a code, and written. Somebody who changes it at the same time is found out.
func (v *Vault) workOnIncident(ctx context.Context, a record.Actor, id record.ObjectID, do func(i *Incident) (did string, err error), change func(tx *catalog.Tx) error) (Incident, error) {
	i, err := v.incident(ctx, a, record.ActionIncidentWork, id)
	if err != nil {
		return i, err
	}
	if i.State == DossierClosed {
		return i, record.Refuse(record.ErrConflict, "closed", "this incident is closed: what is new is another incident")
	}
	did, err := do(&i)
	if err != nil {
		return i, err
	}
	i.Revision++
	if err := v.putDossier(ctx, act{Actor: a, Action: record.ActionIncidentWork}, i, i.did(did), change); err != nil {
		return i, err
	}
	return v.tellIncident(ctx, i)
}

// AddScope says what else the intruder may have acted by. Who was told stays told; the
// clock runs again when there may be others.
func (v *Vault) AddScope(ctx context.Context, a record.Actor, id record.ObjectID, s IncidentScope) (Incident, error) {
	if err := v.checkScope(s); err != nil {
		return Incident{}, err
	}
	return v.workOnIncident(ctx, a, id, func(i *Incident) (string, error) {
		i.Scopes, i.State, i.Told = append(i.Scopes, s), DossierOpen, nil
		return "scope-added", nil
	}, nil)
}

// CloseIncident ends one. Before everybody was told it takes a reason why nobody has to be
// (tellNobody); a drill takes none. Acts of the guard: incident.work.
func (v *Vault) CloseIncident(ctx context.Context, a record.Actor, id record.ObjectID, outcome, tellNobody string) (Incident, error) {
	if outcome == "" || !noteText(outcome) || !noteText(tellNobody) {
		return Incident{}, record.Refuse(record.ErrInvalid, "bad-outcome", "say what came of it, in at most 4000 characters")
	}
	return v.workOnIncident(ctx, a, id, func(i *Incident) (string, error) {
		if i.State != DossierTold && tellNobody == "" && !i.Drill {
			return "", record.Refuse(record.ErrConflict, "not-told", "patients or authorities have not been told: record that they were, or why nobody has to be")
		}
		now := v.nowMillis()
		i.State, i.Closed, i.ClosedBy, i.Outcome, i.TellNobody = DossierClosed, &now, a.ID, outcome, tellNobody
		return DossierClosed, nil
	}, nil)
}
