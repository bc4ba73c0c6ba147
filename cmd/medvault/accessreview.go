package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newAccessReviewCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access-review",
		Short: "the quarterly review of who has access",
		Long: `access-review start lists everybody on the staff register with roles, institution, training
and last use; privileged ones are marked. Every line is decided, keep or remove, and nobody
decides their own; then somebody signs. What is to be removed is carried out by
medvault staff; the evidence of the quarter says what was not.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAccessReviewStart(a), newAccessReviewShow(a), newAccessReviewDecide(a), newAccessReviewSign(a))
	return cmd
}

func reviewTable(w io.Writer, r vault.AccessReview) {
	rows := [][]string{{"SUBJECT", "ROLES", "", "INSTITUTION", "STATE", "TRAINED", "LAST USE", "DECISION", "BY"}}
	for _, l := range r.Lines {
		roles := make([]string, len(l.Roles))
		for n, role := range l.Roles {
			roles[n] = string(role)
		}
		rows = append(rows, []string{l.Subject, strings.Join(roles, " "), map[bool]string{true: "privileged"}[l.Privileged], l.Institution, l.State,
			optionalTime(l.Trained), optionalTime(l.LastUse), dash(l.Decision), dash(l.By)})
	}
	fmt.Fprintf(w, "review %s of %s: %s\n", r.ID, r.Quarter, r.State)
	table(w, rows)
}

func newAccessReviewStart(a *app) *cobra.Command {
	var at connection
	var quarter string
	cmd := &cobra.Command{
		Use: "start [--quarter 2026Q4]", Short: "begin a review", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			to, err := at.open()
			if err != nil {
				return err
			}
			r, err := to.StartAccessReview(cmd.Context(), quarter)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { reviewTable(w, r) })
		},
	}
	cmd.Flags().StringVar(&quarter, "quarter", "", "default the one of now")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// listedAccessReviews is the JSON of access-review show without an id.
type listedAccessReviews struct {
	Reviews []vault.AccessReview `json:"accessReviews"`
}

func newAccessReviewShow(a *app) *cobra.Command {
	var at connection
	var out string
	cmd := &cobra.Command{
		Use: "show [ID] [-o FILE]", Short: "show a review, or list them; with -o write its signed file", Args: wantArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := at.open()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				list, err := to.AccessReviews(cmd.Context())
				if err != nil {
					return err
				}
				return a.print(listedAccessReviews{append([]vault.AccessReview{}, list...)}, func(w io.Writer) {
					rows := [][]string{{"ID", "QUARTER", "STATE", "LINES", "BEGUN BY"}}
					for _, r := range list {
						rows = append(rows, []string{string(r.ID), r.Quarter, r.State, fmt.Sprint(len(r.Lines)), r.By})
					}
					table(w, rows)
				})
			}
			id, err := record.ParseObjectID(args[0])
			if err != nil {
				return usagef("access-review show: %w", err)
			}
			file, err := to.AccessReviewFile(cmd.Context(), id)
			if err != nil {
				return err
			}
			if out != "" {
				if err := os.WriteFile(out, file, 0o600); err != nil {
					return fmt.Errorf("access-review show: %w", err)
				}
			}
			var r vault.AccessReview
			if err := json.Unmarshal(file, &r); err != nil {
				return fmt.Errorf("access-review show: %w", err)
			}
			return a.print(r, func(w io.Writer) { reviewTable(w, r) })
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write the review as it is signed into this file")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newAccessReviewDecide(a *app) *cobra.Command {
	var at connection
	var d vault.AccessDecisions
	cmd := &cobra.Command{
		Use: "decide ID keep|remove (SUBJECT… | --all)", Short: "decide lines; --all: every line that is open but the own", Args: wantArgs(2, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := record.ParseObjectID(args[0])
			if err != nil {
				return usagef("access-review decide: %w", err)
			}
			d.Decision, d.Subjects = args[1], args[2:]
			to, err := at.open()
			if err != nil {
				return err
			}
			r, err := to.DecideAccess(cmd.Context(), id, d)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { reviewTable(w, r) })
		},
	}
	cmd.Flags().BoolVar(&d.All, "all", false, "every line that is not decided yet, but the own")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newAccessReviewSign(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use: "sign ID", Short: "sign a review of which every line is decided", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := record.ParseObjectID(args[0])
			if err != nil {
				return usagef("access-review sign: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			r, err := to.SignAccessReview(cmd.Context(), id)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { reviewTable(w, r) })
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}
