package vault

import (
	"context"

	"medvault/vault/audit"
	"medvault/vault/record"
)

// AuditReport is what a check of the log found.
type AuditReport struct {
	Size     int64  `json:"size"` // leaves
	Root     string `json:"root"` // base64 tree hash
	Pending  int64  `json:"pending"`
	Intact   bool   `json:"intact"`
	Evidence string `json:"evidence,omitempty"` // first place that does not hold
}

// AuditVerify recomputes the log from its leaves and compares it with its hashes and
// the signed head. It first appends what is pending, so that it speaks of every act
// before it.
func (v *Vault) AuditVerify(ctx context.Context, a record.Actor) (AuditReport, error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionAuditRead}, nil); err != nil {
		return AuditReport{}, err
	}
	if err := v.log.Flush(ctx); err != nil {
		return AuditReport{}, err
	}
	r, err := audit.Verify(ctx, v.cfg.Catalog, v.logKey)
	if err != nil {
		return AuditReport{}, err
	}
	return AuditReport{Size: r.Size, Root: r.Root.String(), Pending: r.Pending, Intact: r.Intact, Evidence: r.Evidence}, nil
}
