package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newVerifyCommand(a *app) *cobra.Command {
	var at connection
	var o vault.VerifyOptions
	cmd := &cobra.Command{
		Use:   "verify [--level list|read] [--region REGION]",
		Short: "prove that every region holds what it must hold",
		Long: `verify compares the regions with what the vault acknowledged. Level list compares
names and sizes; level read also reads every object and compares its SHA-256. No key
is touched. Exit code 3: something is missing, damaged or foreign, and is named.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Level != "list" && o.Level != "read" {
				return usagef("--level %s: want list or read", o.Level)
			}
			return a.verify(cmd.Context(), &at, o)
		},
	}
	cmd.Flags().StringVar(&o.Level, "level", "list", "list: names and sizes; read: every byte")
	cmd.Flags().StringVar(&o.Region, "region", "", "only this region (default: all)")
	at.addFlags(cmd, record.RoleOperator)
	return cmd
}

func (a *app) verify(ctx context.Context, at *connection, o vault.VerifyOptions) error {
	with, err := at.open()
	if err != nil {
		return err
	}
	bar := a.newProgress("verify", -1, false)
	report, err := with.Verify(ctx, o, bar.set)
	bar.finish()
	if err != nil {
		return err
	}
	err = a.print(report, func(w io.Writer) {
		fmt.Fprintf(w, "level %s: checked %d objects in %d regions, %d findings\n", report.Level, report.Checked, len(report.Regions), len(report.Findings))
		if len(report.Findings) == 0 {
			return
		}
		rows := [][]string{{"FINDING", "REGION", "OBJECT", "EVIDENCE", "REPAIR"}}
		for _, f := range report.Findings {
			rows = append(rows, []string{f.Type, f.Region, f.Object, f.Evidence, f.Repair})
		}
		table(w, rows)
	})
	if err != nil {
		return err
	}
	if n := len(report.Findings); n > 0 {
		return findingsError{fmt.Errorf("verify: %d findings", n)}
	}
	return nil
}
