package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"medvault/api/client"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/rights"
)

func newCasesCommand(a *app) *cobra.Command {
	return newGroup("cases", "what people ask about their data, with the clocks that were promised",
		newCasesListCommand(a), newCasesOpenCommand(a), newCaseCommand(a, "show", "show one with its notes",
			func(ctx context.Context, to *client.Client, id record.ObjectID) (vault.Case, error) {
				return to.ReadCase(ctx, id)
			}),
		newCasesAssignCommand(a), newCasesNoteCommand(a), newCasesDecideCommand(a),
		newCaseCommand(a, "execute", "say that what was granted has been done, which stops the execution clock",
			func(ctx context.Context, to *client.Client, id record.ObjectID) (vault.Case, error) {
				return to.ExecuteCase(ctx, id)
			}),
		newCaseCommand(a, "close", "close one that is decided and, where something was granted, executed",
			func(ctx context.Context, to *client.Client, id record.ObjectID) (vault.Case, error) {
				return to.CloseCase(ctx, id)
			}),
		newRestrictCommand(a), newUnrestrictCommand(a))
}

// listedCases is the JSON of cases list.
type listedCases struct {
	Cases []vault.Case `json:"cases"`
}

func newCasesListCommand(a *app) *cobra.Command {
	var at connection
	var closed bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list what has to be settled, the oldest request first",
		Long: "Lists requests, emergencies that nobody has looked at, and children whose guardians have to be\n" +
			"asked. Patients and guardians see their own requests. Exit code 3 when a clock is overdue.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listCases(cmd.Context(), &at, closed) },
	}
	cmd.Flags().BoolVar(&closed, "closed", false, "requests that are closed too")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func (a *app) listCases(ctx context.Context, at *connection, closed bool) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	all := listedCases{Cases: []vault.Case{}}
	for next := ""; ; {
		page, following, err := from.Cases(ctx, closed, next)
		if err != nil {
			return err
		}
		if all.Cases = append(all.Cases, page...); following == "" {
			break
		}
		next = following
	}
	overdue := 0
	for _, c := range all.Cases {
		if c.Response != nil && c.Response.Standing == rights.Overdue || c.Execution != nil && c.Execution.Standing == rights.Overdue {
			overdue++
		}
	}
	err = a.print(all, func(w io.Writer) { table(w, caseRows(all.Cases)) })
	if err == nil && overdue > 0 {
		return findingsError{fmt.Errorf("%d overdue", overdue)}
	}
	return err
}

func caseRows(list []vault.Case) [][]string {
	rows := [][]string{{"ID", "TYPE", "STATE", "PATIENT", "RECEIVED", "ANSWER BY", "DO BY", "ASSIGNEE", "OUTCOME"}}
	for _, c := range list {
		outcome := "-"
		if c.Decision != nil {
			outcome = string(c.Decision.Outcome)
		}
		received := c.Received
		if received.IsZero() {
			received = c.Opened
		}
		rows = append(rows, []string{cmp.Or(string(c.ID), "-"), c.Type, c.State, cmp.Or(string(c.Patient), "-"), received.Local().Format(time.DateTime),
			clockText(c.Response), clockText(c.Execution), cmp.Or(c.Assignee, "-"), outcome})
	}
	return rows
}

// clockText is the last moment that is in time, and how it stands.
func clockText(c *vault.CaseClock) string {
	if c == nil {
		return "-"
	}
	s := c.Due.Add(-time.Second).Local().Format("2006-01-02 15:04") + " " + string(c.Standing)
	if c.Provisional {
		s += " (provisional)"
	}
	return s
}

// printCase tells one case.
func (a *app) printCase(c vault.Case) error {
	return a.print(c, func(w io.Writer) {
		table(w, caseRows([]vault.Case{c}))
		for _, n := range c.Notes {
			text := n.Text
			if n.Destroyed {
				text = "(destroyed with the patient's keys)"
			}
			fmt.Fprintf(w, "%s %s: %s\n", n.At.Local().Format(time.DateTime), n.By, text)
		}
	})
}

func newCaseCommand(a *app, name, short string, do func(context.Context, *client.Client, record.ObjectID) (vault.Case, error)) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   name + " ID",
		Short: short,
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCase(cmd.Context(), &at, name, args[0], do)
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// withCase does something with a case and tells what it is then.
func (a *app) withCase(ctx context.Context, at *connection, name, arg string, do func(context.Context, *client.Client, record.ObjectID) (vault.Case, error)) error {
	id, err := record.ParseObjectID(arg)
	if err != nil {
		return usagef("cases %s: %w", name, err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	c, err := do(ctx, to, id)
	if err != nil {
		return err
	}
	return a.printCase(c)
}

func newCasesOpenCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewCase
	var patient, received string
	cmd := &cobra.Command{
		Use:   "open TYPE",
		Short: "put on record what somebody asks",
		Long: "TYPE is access, correction, deletion, restriction, portability, access-log, inquiry or complaint.\n" +
			"An answer is due within seven working days, to an inquiry or complaint within three, and a\n" +
			"deletion is done within fifteen, by the Chinese calendar.",
		Example: "  medvault cases open access --patient p… --verified id-document --text 'a copy of everything'",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			n.Type, n.Patient = rights.Kind(args[0]), record.PatientToken(patient)
			if n.Received, err = timeFlag("--received", received); err != nil {
				return err
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			opened, err := to.OpenCase(cmd.Context(), n)
			if err != nil {
				return err
			}
			return a.printCase(opened)
		},
	}
	f := cmd.Flags()
	f.StringVar(&patient, "patient", "", "the patient's token (required but for an inquiry or complaint)")
	f.StringVar(&n.Text, "text", "", "what they ask, in their words; sealed")
	f.StringVar(&received, "received", "", "when it arrived, RFC 3339 (default: now)")
	f.StringVar(&n.As, "by", "", "who asks: patient, guardian, representative or other")
	f.StringVar(&n.Verified, "verified", "", "how it was made sure who asks: id-document, guardian-record, notarized-authority or call-back")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newCasesAssignCommand(a *app) *cobra.Command {
	var at connection
	var w vault.CaseWork
	var state string
	cmd := &cobra.Command{
		Use:   "assign ID [WHO]",
		Short: "say who works on one, that it waits for the requester, or how it was made sure who that is",
		Args:  wantArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if w.State = rights.State(state); len(args) == 2 {
				w.Assignee = args[1]
			}
			return a.withCase(cmd.Context(), &at, "assign", args[0], func(ctx context.Context, to *client.Client, id record.ObjectID) (vault.Case, error) {
				return to.WorkOnCase(ctx, id, w)
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "open, in-progress or waiting")
	cmd.Flags().StringVar(&w.Verified, "verified", "", "how it was made sure who asks: id-document, guardian-record, notarized-authority or call-back")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newCasesNoteCommand(a *app) *cobra.Command {
	var at connection
	var shown bool
	cmd := &cobra.Command{
		Use:   "note ID TEXT",
		Short: "add a note, which is sealed",
		Args:  wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCase(cmd.Context(), &at, "note", args[0], func(ctx context.Context, to *client.Client, id record.ObjectID) (vault.Case, error) {
				if err := to.NoteOnCase(ctx, id, args[1], shown); err != nil {
					return vault.Case{}, err
				}
				return to.ReadCase(ctx, id)
			})
		},
	}
	cmd.Flags().BoolVar(&shown, "shown", false, "the requester sees it")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newCasesDecideCommand(a *app) *cobra.Command {
	var at connection
	var d vault.NewDecision
	cmd := &cobra.Command{
		Use:     "decide ID OUTCOME",
		Short:   "decide one, which stops the response clock",
		Long:    "OUTCOME is granted, partly-granted, refused or withdrawn; of an inquiry or complaint answered.\nNothing is granted before it was made sure who asks (cases assign --verified).",
		Example: "  medvault cases decide 3f… granted --basis PIPL-45 --answer 'your copy is ready'",
		Args:    wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.Outcome = rights.Outcome(args[1])
			return a.withCase(cmd.Context(), &at, "decide", args[0], func(ctx context.Context, to *client.Client, id record.ObjectID) (vault.Case, error) {
				return to.DecideCase(ctx, id, d)
			})
		},
	}
	cmd.Flags().StringVar(&d.Basis, "basis", "", "the law by name and number, as PIPL-47")
	cmd.Flags().StringVar(&d.Answer, "answer", "", "what the requester is told; sealed")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newRestrictCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "restrict PATIENT CASE",
		Short: "limit what is stored of a patient to storage and legal claims, by a case that was granted",
		Args:  wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := record.ParsePatientToken(args[0])
			if err != nil {
				return usagef("cases restrict: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			set, err := to.Restrict(cmd.Context(), token, record.ObjectID(args[1]))
			if err != nil {
				return err
			}
			return a.print(set, func(w io.Writer) { fmt.Fprintf(w, "restricted: %s\n", set.ID) })
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// liftedRestriction is the JSON of cases unrestrict.
type liftedRestriction struct {
	Lifted record.ObjectID `json:"lifted"`
}

func newUnrestrictCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "unrestrict PATIENT RESTRICTION CASE",
		Short: "lift a restriction, by another case that was granted",
		Args:  wantArgs(3, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := record.ParsePatientToken(args[0])
			if err != nil {
				return usagef("cases unrestrict: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			id := record.ObjectID(args[1])
			if err := to.Unrestrict(cmd.Context(), token, id, record.ObjectID(args[2])); err != nil {
				return err
			}
			return a.print(liftedRestriction{id}, func(w io.Writer) { io.WriteString(w, "lifted\n") })
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}
