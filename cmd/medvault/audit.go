package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
)

func newAuditCommand(a *app) *cobra.Command {
	return newGroup("audit", "the log of every act", newAuditVerifyCommand(a), newAuditExportCommand(a), newAuditSnapshotCommand(a),
		newAuditImportCommand(a), newAuditCosignCommand(a), newAuditQueryCommand(a), newAccessLogCommand(a), newVerifyLineCommand(a))
}

func newAuditVerifyCommand(a *app) *cobra.Command {
	var at connection
	var ask tilesCheck
	var cosigners []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "prove that the log is whole and unchanged",
		Long:  "verify has the log recomputed from its leaves and compared with its signed head,\nand that with the newest checkpoint of every region.\n\nWith --tiles DIR, a region's directory or what audit export wrote, or --region NAME with\n--config or --dev, it asks no vault: it reads the files there alone, and needs but the\nlog's public key (--log-key). Several are compared with each other too. --known gives a\ncheckpoint that was kept: without one nobody can tell that the newest leaves were taken\naway together with their checkpoint.\n\nCosignatures are listed as they lie in the regions; --cosigner proves those of one key.\n\nExit code 3: the log is broken, put back or forked, and where, or nowhere co-signed by a\nverifier who must have.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ask.at.dev = at.dev; ask.asked() {
				return a.verifyTiles(cmd.Context(), ask)
			}
			return a.verifyAudit(cmd.Context(), &at, cosigners)
		},
	}
	at.addFlags(cmd, record.RoleAuditor)
	f := cmd.Flags()
	f.StringArrayVar(&ask.dirs, "tiles", nil, "directory with the log's tiles, to be verified without a vault; more than once")
	f.StringArrayVar(&ask.regions, "region", nil, "region of the configuration, likewise")
	f.StringVar(&ask.at.config, "config", "", "configuration that names the region")
	f.StringVar(&ask.logKey, "log-key", "", "public key of the log, NAME+HASH+KEY")
	f.StringArrayVar(&cosigners, "cosigner", nil, "public key of a verifier who must have co-signed, NAME+HASH+KEY; more than once")
	f.StringArrayVar(&ask.known, "known", nil, "file with a checkpoint of the log that was kept; more than once")
	return cmd
}

func (a *app) verifyAudit(ctx context.Context, at *connection, cosigners []string) error {
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
			for _, c := range r.Cosigned {
				fmt.Fprintf(w, "    %d leaves co-signed by %s (%s) at %s\n", c.Size, printable(c.Name), c.Key, c.At.Format(time.RFC3339))
			}
		}
	})
	if err != nil {
		return err
	}
	if !report.Intact {
		return findingsError{errors.New("audit verify: the log is broken")}
	}
	return cosignedBy(report, cosigners)
}

// cosignedBy finds out whether each of these verifiers has co-signed a head in some region.
func cosignedBy(report vault.AuditReport, vkeys []string) error {
	for _, key := range vkeys {
		good := false
		for _, r := range report.Regions {
			good = good || slices.ContainsFunc(r.Cosigned, func(c audit.Cosignature) bool { return c.Check(key) == nil })
		}
		if !good {
			return findingsError{fmt.Errorf("audit verify: no region holds a cosignature by %s", strings.SplitN(printable(key), "+", 2)[0])}
		}
	}
	return nil
}
