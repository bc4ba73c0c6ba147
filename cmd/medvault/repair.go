package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newRepairCommand(a *app) *cobra.Command {
	var at connection
	var o vault.RepairOptions
	var object, quarantine string
	cmd := &cobra.Command{
		Use:   "repair [--dry-run] [--region REGION] [--object ID] [--level LEVEL] | --quarantine list | --quarantine delete:ID",
		Short: "verify, and mend what is found",
		Long: `repair verifies first. Damaged and missing objects are copied from a region whose bytes
are right, and the bad ones kept until the new ones were read back; wraps are put back
once they are seen to open; objects that no record names are put in quarantine; what may
not lie where it lies is removed there. Every step is in the log. Exit code 3: something
is left.

--quarantine list shows what was put aside. --quarantine delete:ID proposes to delete it
for good, and deletes it when another person says the same.`,
		Example: "  medvault repair --dry-run\n  medvault repair --region cn-east\n  medvault repair --quarantine delete:3f… --dev .medvault --as admin",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if id, discard := strings.CutPrefix(quarantine, "delete:"); discard {
				return a.discard(cmd.Context(), &at, id)
			}
			switch quarantine {
			case "":
			case "list":
				return a.quarantine(cmd.Context(), &at)
			default:
				return usagef("--quarantine %s: want list or delete:ID", quarantine)
			}
			if object != "" {
				if o.Object, err = record.ParseObjectID(object); err != nil {
					return usagef("--object: %w", err)
				}
			}
			if err := (&verifying{VerifyOptions: vault.VerifyOptions{Level: o.Level}}).settle(); err != nil {
				return err
			}
			return a.repair(cmd.Context(), &at, o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.DryRun, "dry-run", false, "tell what would be done, and do nothing")
	f.StringVar(&o.Region, "region", "", "only this region (default: all)")
	f.StringVar(&object, "object", "", "only the object of this id (default: all)")
	f.StringVar(&o.Level, "level", vault.LevelRead, "of the verification: list, checksum, read, decrypt or log")
	f.StringVar(&quarantine, "quarantine", "", "list, or delete:ID")
	at.addFlags(cmd, record.RoleOperator)
	return cmd
}

func (a *app) repair(ctx context.Context, at *connection, o vault.RepairOptions) error {
	with, err := at.open()
	if err != nil {
		return err
	}
	bar := a.newProgress("verify", -1, false)
	report, err := with.Repair(ctx, o, bar.set)
	bar.finish()
	if err != nil {
		return err
	}
	err = a.print(report, func(w io.Writer) {
		fmt.Fprintf(w, "level %s: checked %d objects in %d regions, %d findings, %d left\n", report.Level, report.Checked, len(report.Regions), len(report.Steps), report.Left)
		if len(report.Steps) == 0 {
			return
		}
		rows := [][]string{{"FINDING", "REGION", "OBJECT", "OUTCOME", "DETAIL"}}
		for _, s := range report.Steps {
			rows = append(rows, []string{s.Type, s.Region, s.Object, s.Outcome, s.Detail})
		}
		table(w, rows)
	})
	if err != nil {
		return err
	}
	if report.Left > 0 {
		return findingsError{fmt.Errorf("repair: %d findings are left", report.Left)}
	}
	return nil
}

// inQuarantine is the JSON of repair --quarantine list.
type inQuarantine struct {
	Quarantine []vault.Quarantined `json:"quarantine"`
	Away       []string            `json:"away"` // regions that did not answer
}

func (a *app) quarantine(ctx context.Context, at *connection) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	list, away, err := from.Quarantine(ctx)
	if err != nil {
		return err
	}
	return a.print(inQuarantine{append([]vault.Quarantined{}, list...), append([]string{}, away...)}, func(w io.Writer) {
		rows := [][]string{{"ID", "REGION", "KEY", "BYTES", "SINCE", "DELETION PROPOSED BY"}}
		for _, q := range list {
			rows = append(rows, []string{q.ID, q.Region, q.Key, fmt.Sprint(q.Size), q.Since.Local().Format(time.DateTime), q.ProposedBy})
		}
		table(w, rows)
		for _, region := range away {
			fmt.Fprintf(w, "%s does not answer\n", region)
		}
	})
}

// discarded is the JSON of repair --quarantine delete:ID.
type discarded struct {
	vault.Quarantined
	Deleted bool `json:"deleted"`
}

func (a *app) discard(ctx context.Context, at *connection, text string) error {
	id, err := record.ParseObjectID(text)
	if err != nil {
		return usagef("--quarantine delete: %w", err)
	}
	with, err := at.open()
	if err != nil {
		return err
	}
	item, deleted, err := with.Discard(ctx, id)
	if err != nil {
		return err
	}
	return a.print(discarded{item, deleted}, func(w io.Writer) {
		if deleted {
			fmt.Fprintf(w, "deleted from %s: %s\n", item.Region, item.Key)
			return
		}
		fmt.Fprintf(w, "proposed; another person runs: medvault repair --quarantine delete:%s\n", item.ID)
	})
}
