package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"medvault/vault/record"
)

func newAuditCommand(a *app) *cobra.Command {
	return newGroup("audit", "the log of every act", newAuditVerifyCommand(a), newAuditExportCommand(a), newAuditSnapshotCommand(a),
		newAuditImportCommand(a), newAuditCosignCommand(a))
}

func newAuditVerifyCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "prove that the log is whole and unchanged",
		Long:  "verify has the log recomputed from its leaves and compared with its signed head,\nand that with the newest checkpoint of every region.\nExit code 3: the log is broken, put back or forked, and where.",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.verifyAudit(cmd.Context(), &at) },
	}
	at.addFlags(cmd, record.RoleAuditor)
	return cmd
}

func (a *app) verifyAudit(ctx context.Context, at *connection) error {
	with, err := at.open()
	if err != nil {
		return err
	}
	report, err := with.AuditVerify(ctx)
	if err != nil {
		return err
	}
	err = a.print(report, func(w io.Writer) {
		verdict := "intact"
		if !report.Intact {
			verdict = "BROKEN: " + printable(report.Evidence)
		}
		fmt.Fprintf(w, "log of %d leaves, %d pending, root %s: %s\n", report.Size, report.Pending, printable(report.Root), verdict)
		for _, r := range report.Regions {
			fmt.Fprintf(w, "  %s: %d leaves  %s\n", printable(r.Region), r.Size, printable(r.Problem))
		}
	})
	if err != nil {
		return err
	}
	if !report.Intact {
		return findingsError{errors.New("audit verify: the log is broken")}
	}
	return nil
}
