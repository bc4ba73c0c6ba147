package vault

import (
	"context"
	"fmt"
	"strings"

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

	Regions []RegionLog `json:"regions"` // what each region holds of it

	Lost []audit.LostHead `json:"lost,omitempty"` // heads in regions whose last leaves are lost, as leaves of the log state
	Key  string           `json:"key"`            // verifies its checkpoints; C2SP signed-note
}

// AuditVerify recomputes the log from its leaves and compares it with its hashes, the
// signed head, and the newest checkpoint of each region. It first appends what is
// pending, so that it speaks of every act before it.
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
	report := AuditReport{Size: r.Size, Root: r.Root.String(), Pending: r.Pending, Intact: r.Intact, Evidence: r.Evidence, Key: v.logVKey}
	if report.Regions, err = v.compareLogs(ctx); err != nil {
		return AuditReport{}, err
	}
	var unstated string
	if report.Lost, unstated, err = v.breaks(ctx); err != nil {
		return AuditReport{}, err
	}
	if unstated != "" && report.Intact {
		report.Intact, report.Evidence = false, unstated
	}
	for _, l := range report.Regions {
		if l.Finding && report.Intact {
			report.Intact, report.Evidence = false, fmt.Sprintf("region %s: %s", l.Region, l.Problem)
		}
	}
	return report, nil
}

// ReadLog gives file the whole log as C2SP clients read it: tiles and leaves, then the
// checkpoint that covers them, last, so that whoever has it has all. Names are relative
// to the log's own place, as tile/0/000 and checkpoint; file must be done with data when
// it returns. Nothing is given that the checkpoint does not cover.
func (v *Vault) ReadLog(ctx context.Context, a record.Actor, file func(name string, data []byte) error) error {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionAuditRead}, nil); err != nil {
		return err
	}
	if err := v.log.Flush(ctx); err != nil {
		return unavailable("log", err)
	}
	head, err := v.cfg.Catalog.LogHead(ctx)
	if err != nil {
		return unavailable("log", err)
	}
	tree, err := audit.OpenCheckpoint(head.Checkpoint, v.logKey)
	if err != nil {
		return fmt.Errorf("%w: log head: %w", record.ErrTampered, err)
	}
	err = audit.ExportTiles(ctx, v.cfg.Catalog, tree, 0, func(_ context.Context, key string, data []byte) error {
		return file(strings.TrimPrefix(key, audit.LogPrefix), data)
	})
	if err != nil {
		return err
	}
	return file("checkpoint", head.Checkpoint)
}
