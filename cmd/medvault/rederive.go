package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newRederiveCommand(a *app) *cobra.Command {
	var at connection
	var dryRun, propose, list bool
	var approve, status, reason string
	cmd := &cobra.Command{
		Use:   "rederive --dry-run | --propose --reason TEXT | --approve ID | --status ID | --list",
		Short: "bring stored documents to today's rules of de-identification",
		Long: `rederive finds documents that were scrubbed by other tables, options or rules than
today's, and seals those anew that come out differently. What a reviewer masked stays
masked, what one refused stays withheld.

--dry-run tells which would change, and how, and changes nothing. To do it, one person
proposes and another approves; then it runs by itself, and --status tells how far it is.`,
		Example: "  medvault rederive --dry-run\n  medvault rederive --propose --reason 'PS3.15 2026d'\n  medvault rederive --approve 3f… --dev .medvault --as admin",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen := 0
			for _, yes := range []bool{dryRun, propose, approve != "", status != "", list} {
				if yes {
					chosen++
				}
			}
			if chosen != 1 {
				return usagef("rederive: give one of --dry-run, --propose, --approve, --status and --list")
			}
			if approve != "" && at.dev != "" && !cmd.Flags().Changed("as") {
				at.as = string(record.RoleAdmin) // another person than who proposes
			}
			ctx := cmd.Context()
			switch {
			case dryRun:
				return a.planRederivation(ctx, &at)
			case propose:
				if reason == "" {
					return usagef("rederive --propose: give --reason")
				}
				return a.proposeRederivation(ctx, &at, reason)
			case approve != "":
				return a.approveRederivation(ctx, &at, approve)
			case list:
				return a.listRederivations(ctx, &at)
			}
			return a.rederivationStatus(ctx, &at, status)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&dryRun, "dry-run", false, "tell what would change, and change nothing")
	f.BoolVar(&propose, "propose", false, "propose it, for another person to approve")
	f.StringVar(&reason, "reason", "", "with --propose: why, at most 200 characters, naming no patient")
	f.StringVar(&approve, "approve", "", "approve the proposal of that id, which another person made")
	f.StringVar(&status, "status", "", "tell how far that one is")
	f.BoolVar(&list, "list", false, "list the newest")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// planned is the JSON of rederive --dry-run.
type planned struct {
	vault.Plan
	Changes []vault.Change `json:"changes"`
}

func (a *app) planRederivation(ctx context.Context, at *connection) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	p := planned{Changes: []vault.Change{}}
	p.Plan, err = from.PlanRederivation(ctx, func(c vault.Change) error {
		p.Changes = append(p.Changes, c)
		return nil
	})
	if err != nil {
		return err
	}
	return a.print(p, func(w io.Writer) {
		fmt.Fprintf(w, "%d documents were scrubbed by other rules: %d would change, %d come out the same, %d cannot be done\n", p.Checked, p.Changed, p.Unchanged, p.Refused)
		if len(p.Changes) == 0 {
			return
		}
		rows := [][]string{{"OBJECT", "ADDED", "REMOVED", "CHANGED", "WITHHELD", "PIXELS", "REFUSED"}}
		turn := func(t *vault.Turn) string {
			if t == nil {
				return "-"
			}
			none := func(s string) string {
				if s == "" {
					return "none"
				}
				return s
			}
			return none(t.From) + " > " + none(t.To)
		}
		for _, c := range p.Changes {
			rows = append(rows, []string{string(c.Object), strconv.Itoa(c.Tags.Added), strconv.Itoa(c.Tags.Removed), strconv.Itoa(c.Tags.Changed),
				turn(c.Held), turn(c.Pixels), c.Refused})
		}
		table(w, rows)
	})
}

func (a *app) proposeRederivation(ctx context.Context, at *connection, reason string) error {
	to, err := at.open()
	if err != nil {
		return err
	}
	r, err := to.ProposeRederivation(ctx, reason)
	if err != nil {
		return err
	}
	return a.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "proposed: %s\nanother person runs: medvault rederive --approve %s\n", r.ID, r.ID)
	})
}

func (a *app) approveRederivation(ctx context.Context, at *connection, text string) error {
	id, err := record.ParseObjectID(text)
	if err != nil {
		return usagef("rederive --approve: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	r, err := to.ApproveRederivation(ctx, id)
	if err != nil {
		return err
	}
	return a.print(r, func(w io.Writer) { table(w, rederivationRows([]vault.Rederivation{r})) })
}

func (a *app) rederivationStatus(ctx context.Context, at *connection, text string) error {
	id, err := record.ParseObjectID(text)
	if err != nil {
		return usagef("rederive --status: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	r, err := from.Rederivation(ctx, id)
	if err != nil {
		return err
	}
	return a.print(r, func(w io.Writer) { table(w, rederivationRows([]vault.Rederivation{r})) })
}

// listedRederivations is the JSON of rederive --list.
type listedRederivations struct {
	Rederivations []vault.Rederivation `json:"rederivations"`
}

func (a *app) listRederivations(ctx context.Context, at *connection) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	list, err := from.Rederivations(ctx)
	if err != nil {
		return err
	}
	return a.print(listedRederivations{append([]vault.Rederivation{}, list...)}, func(w io.Writer) { table(w, rederivationRows(list)) })
}

func rederivationRows(list []vault.Rederivation) [][]string {
	rows := [][]string{{"ID", "STATE", "LISTED", "SUPERSEDED", "UNCHANGED", "REFUSED", "PROPOSED BY", "AT", "APPROVED BY"}}
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, r := range list {
		rows = append(rows, []string{r.ID, r.State, count(r.Listed), count(r.Superseded), count(r.Unchanged), count(r.Refused),
			r.ProposedBy, r.ProposedAt.Local().Format(time.DateTime), r.ApprovedBy})
	}
	return rows
}
