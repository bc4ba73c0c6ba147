package vault

import (
	"context"
	"errors"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// RetentionStatus says until when a patient's documents are kept, and from what that is
// counted: all of it times of acts, none of it clinical.
type RetentionStatus struct {
	Patient    record.PatientToken `json:"patient"`
	Last       time.Time           `json:"lastTreatment"`     // the last document stored, or the end of the last care relationship
	Ongoing    bool                `json:"ongoing,omitempty"` // somebody treats them now: it is counted anew every day
	Until      time.Time           `json:"until"`
	Categories []string            `json:"categories"`
	Documents  int64               `json:"documents"`
	Table      string              `json:"table"` // version of the table that says for how long
}

// retention works out until when a patient's documents are kept: from what was stored and
// from who treated them. Whatever is stored or ends later moves it.
func (v *Vault) retention(ctx context.Context, tx *catalog.Tx, p catalog.Patient) (RetentionStatus, error) {
	s := RetentionStatus{Patient: p.Token, Categories: []string{}, Table: v.cfg.Retention.Version}
	tr, err := tx.Treatment(ctx, p.Token, v.cfg.Now())
	if errors.Is(err, catalog.ErrNotFound) { // nothing is kept of them but that they were here
		tr, err = catalog.Treatment{Last: p.Created}, nil
	}
	if err != nil {
		return s, err
	}
	home := p.Country
	if home == "" {
		home = v.cfg.Home
	}
	s.Last, s.Ongoing, s.Documents = tr.Last.UTC(), tr.Ongoing, tr.Documents
	s.Categories = append(s.Categories, tr.Categories...)
	s.Until = v.cfg.Retention.Rule(home).Until(tr.Last.In(v.zone), tr.Categories...)
	return s, nil
}
