package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newFindingsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "findings",
		Short:   "what penetration tests and audits found, with owner and due date",
		Example: "  medvault findings open --title 'weak cipher' --severity high --owner it-li --due 2026-12-31\n  medvault findings close ID --document retest.pdf",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFindingOpenCommand(a), newFindingListCommand(a), newFindingCloseCommand(a))
	return cmd
}

func newFindingOpenCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewFinding
	var due string
	cmd := &cobra.Command{
		Use: "open --title TEXT --severity S --owner ID --due DATE", Short: "put a finding on record", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if n.Due, err = dayOrTime(due); err != nil {
				return usagef("findings open --due: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			f, err := to.OpenFinding(cmd.Context(), n)
			if err != nil {
				return err
			}
			return a.print(f, func(w io.Writer) { table(w, findingRows([]vault.SecurityFinding{f})) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Title, "title", "", "what was found; sealed (required)")
	f.StringVar(&n.Severity, "severity", "", "critical, high, medium or low (required)")
	f.StringVar(&n.Owner, "owner", "", "who sees to it (required)")
	f.StringVar(&due, "due", "", "until when (required)")
	f.StringVar(&n.Source, "source", "penetration-test", "who found it, in lower-case words with hyphens")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func findingRows(list []vault.SecurityFinding) [][]string {
	rows := [][]string{{"ID", "SEVERITY", "TITLE", "OWNER", "DUE", "STATE", "PROOF"}}
	for _, f := range list {
		state := f.State
		if f.Overdue {
			state = "overdue"
		}
		rows = append(rows, []string{string(f.ID), f.Severity, f.Title, f.Owner, f.Due.Local().Format(time.DateOnly), state, dash(f.Proof + f.Document)})
	}
	return rows
}

// listedFindings is the JSON of findings list.
type listedFindings struct {
	Findings []vault.SecurityFinding `json:"findings"`
}

func newFindingListCommand(a *app) *cobra.Command {
	var at connection
	var all bool
	cmd := &cobra.Command{
		Use: "list [--all]", Short: "list findings; exit code 3: one is overdue", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			to, err := at.open()
			if err != nil {
				return err
			}
			list, err := to.Findings(cmd.Context(), all)
			if err != nil {
				return err
			}
			err = a.print(listedFindings{append([]vault.SecurityFinding{}, list...)}, func(w io.Writer) { table(w, findingRows(list)) })
			if err == nil && slices.ContainsFunc(list, func(f vault.SecurityFinding) bool { return f.Overdue }) {
				return findingsError{fmt.Errorf("findings list: one is overdue")}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "closed ones too")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newFindingCloseCommand(a *app) *cobra.Command {
	var at connection
	var proof, document string
	cmd := &cobra.Command{
		Use: "close ID (--proof REFERENCE | --document FILE)", Short: "close a finding with its proof", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := record.ParseObjectID(args[0])
			if err != nil {
				return usagef("findings close: %w", err)
			}
			sum := ""
			if document != "" {
				if sum, err = sumOfFile(document); err != nil {
					return usageError{fmt.Errorf("findings close --document: %w", err)}
				}
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			f, err := to.CloseFinding(cmd.Context(), id, proof, sum)
			if err != nil {
				return err
			}
			return a.print(f, func(w io.Writer) { table(w, findingRows([]vault.SecurityFinding{f})) })
		},
	}
	cmd.Flags().StringVar(&proof, "proof", "", "reference, as a ticket or the number of a report")
	cmd.Flags().StringVar(&document, "document", "", "document that proves it: its SHA-256 is kept, it is not")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func sumOfFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
