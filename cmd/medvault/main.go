//go:debug fips140=only

// Command medvault is an encrypted vault for medical documents: its gateway, and
// the commands of those who work with it.
//
// Every command answers with an exit code (see exit.go), writes what it found to
// standard output (--json: one JSON document) and everything else, progress and
// errors, to standard error.
//
// It runs with Go's FIPS 140-3 module alone: an algorithm outside it is an error.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	if isPDFWorker(os.Args) {
		os.Exit(openPDFs(os.Args))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program; tests call it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr}
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return a.exit(root.ExecuteContext(ctx))
}

// app is what the commands share: where they write, and how.
type app struct {
	stdout, stderr io.Writer
	json           bool
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "medvault",
		Short:         "an encrypted vault for medical documents",
		Long:          "Medvault keeps medical images and documents sealed in several regions and shows\nthem only to those who may see them.\n\nStart with:  medvault dev",
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true, // run prints them, once
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON document instead of text")
	root.AddCommand(
		newUploadCommand(a),
		newFetchCommand(a),
		newStudiesCommand(a),
		newDocumentsCommand(a),
		newCareCommand(a),
		newConsentCommand(a),
		newGuardiansCommand(a),
		newCorrectionsCommand(a),
		newBreakglassCommand(a),
		newCasesCommand(a),
		newDiscloseCommand(a),
		newHoldCommand(a),
		newEraseCommand(a),
		newStaffCommand(a),
		newPolicyCommand(a),
		newReviewsCommand(a),
		newRederiveCommand(a),
		newRegionsCommand(a),
		newVerifyCommand(a),
		newRepairCommand(a),
		newRebuildCommand(a),
		newDrillCommand(a),
		newAuditCommand(a),
		newTokensCommand(a),
		newRevokeCommand(a),
		newIncidentCommand(a),
		newFreezeCommand(a, false),
		newFreezeCommand(a, true),
		newFindingsCommand(a),
		newAccessReviewCommand(a),
		newEvidenceCommand(a),
		newAttestCommand(a),
		newConformanceCommand(a),
		newExportCommand(a),
		newPushCommand(a),
		newKeysCommand(a),
		newInspectCommand(a),
		newDevCommand(a),
		newServeCommand(a),
	)
	return root
}

// newGroup makes a command that only holds others.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	group.AddCommand(commands...)
	return group
}
