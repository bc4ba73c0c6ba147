package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newBreakglassCommand(a *app) *cobra.Command {
	return newGroup("breakglass", "emergencies in which somebody was let at documents, and their review",
		newBreakglassListCommand(a), newBreakglassShowCommand(a), newBreakglassReviewCommand(a))
}

func newBreakglassListCommand(a *app) *cobra.Command {
	var at connection
	var waiting bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the newest emergencies, without their reasons",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.listBreakglass(cmd.Context(), &at, waiting)
		},
	}
	cmd.Flags().BoolVar(&waiting, "waiting", false, "only those nobody has looked at")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// listedBreakglass is the JSON of breakglass list.
type listedBreakglass struct {
	Breakglass []vault.Breakglass `json:"breakglass"`
}

func (a *app) listBreakglass(ctx context.Context, at *connection, waiting bool) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	list, err := from.Breakglass(ctx, waiting)
	if err != nil {
		return err
	}
	return a.print(listedBreakglass{append([]vault.Breakglass{}, list...)}, func(w io.Writer) {
		rows := [][]string{{"ID", "PATIENT", "ACTOR", "OPENED", "REVIEW BY", "STATE"}}
		for _, b := range list {
			state := "waiting"
			switch {
			case b.Outcome != "":
				state = b.Outcome
			case b.Overdue:
				state = "OVERDUE"
			}
			rows = append(rows, []string{string(b.ID), string(b.Patient), b.Actor, b.Opened.Local().Format(time.DateTime), b.ReviewBy.Local().Format(time.DateTime), state})
		}
		table(w, rows)
	})
}

func newBreakglassShowCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "show one emergency with its reason",
		Args:  wantArgs(1, 1),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.showBreakglass(cmd.Context(), &at, args[0]) },
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func (a *app) showBreakglass(ctx context.Context, at *connection, text string) error {
	id, err := record.ParseObjectID(text)
	if err != nil {
		return usagef("breakglass show: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	b, err := from.ReadBreakglass(ctx, id)
	if err != nil {
		return err
	}
	return a.print(b, func(w io.Writer) {
		table(w, [][]string{{"PATIENT", "ACTOR", "OPENED", "UNTIL", "REASON"},
			{string(b.Patient), b.Actor, b.Opened.Local().Format(time.DateTime), b.Until.Local().Format(time.DateTime), b.Reason}})
	})
}

func newBreakglassReviewCommand(a *app) *cobra.Command {
	var at connection
	var r vault.BreakglassReview
	cmd := &cobra.Command{
		Use:     "review ID OUTCOME",
		Short:   "put on record what came of looking at an emergency",
		Long:    "review is for another person than the one who broke the glass, within 24 hours. OUTCOME is\njustified or unjustified.",
		Example: "  medvault breakglass review 0123… justified --note \"seen in the ward\"",
		Args:    wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Outcome = args[1]
			return a.reviewBreakglass(cmd.Context(), &at, args[0], r)
		},
	}
	cmd.Flags().StringVar(&r.Note, "note", "", "what was found; sealed")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// reviewedBreakglass is the JSON of breakglass review.
type reviewedBreakglass struct {
	Reviewed record.ObjectID `json:"reviewed"`
	Outcome  string          `json:"outcome"`
}

func (a *app) reviewBreakglass(ctx context.Context, at *connection, text string, r vault.BreakglassReview) error {
	id, err := record.ParseObjectID(text)
	if err != nil {
		return usagef("breakglass review: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	if err := to.ReviewBreakglass(ctx, id, r); err != nil {
		return err
	}
	return a.print(reviewedBreakglass{id, r.Outcome}, func(w io.Writer) { io.WriteString(w, "reviewed\n") })
}
