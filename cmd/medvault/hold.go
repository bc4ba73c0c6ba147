package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newHoldCommand(a *app) *cobra.Command {
	return newGroup("hold", "legal holds: while one stands, nothing of a patient is destroyed",
		newHoldAddCommand(a), newHoldListCommand(a), newHoldLiftCommand(a))
}

func newHoldAddCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewHold
	var review string
	cmd := &cobra.Command{
		Use:     "add PATIENT --reason TEXT --authority NAME --review DATE",
		Short:   "put a legal hold on a patient's documents",
		Example: "  medvault hold add p… --reason 'pending lawsuit' --authority 'District Court' --review 2027-06-01",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if n.Review, err = dayOrTime(review); err != nil {
				return usagef("hold add --review: %w", err)
			}
			return a.addHold(cmd.Context(), &at, args[0], n)
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Reason, "reason", "", "why nothing may be destroyed; sealed (required)")
	f.StringVar(&n.Authority, "authority", "", "who asked for it; sealed (required)")
	f.StringVar(&n.Reference, "reference", "", "of the authority; sealed")
	f.StringVar(&review, "review", "", "when somebody looks whether it is still needed, as 2027-06-01 (required)")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// dayOrTime reads a day, or a time.
func dayOrTime(text string) (time.Time, error) {
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return day, nil
	}
	return time.Parse(time.RFC3339, text)
}

func (a *app) addHold(ctx context.Context, at *connection, patient string, n vault.NewHold) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("hold add: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	h, err := to.AddHold(ctx, token, n)
	if err != nil {
		return err
	}
	return a.print(h, func(w io.Writer) { table(w, holdRows([]vault.Hold{h})) })
}

func newHoldListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list PATIENT",
		Short: "list a patient's legal holds, lifted ones included",
		Args:  wantArgs(1, 1),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.listHolds(cmd.Context(), &at, args[0]) },
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// listedHolds is the JSON of hold list.
type listedHolds struct {
	Holds []vault.Hold `json:"holds"`
}

func (a *app) listHolds(ctx context.Context, at *connection, patient string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("hold list: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	list, err := from.Holds(ctx, token)
	if err != nil {
		return err
	}
	return a.print(listedHolds{append([]vault.Hold{}, list...)}, func(w io.Writer) { table(w, holdRows(list)) })
}

func newHoldLiftCommand(a *app) *cobra.Command {
	var at connection
	var reason string
	cmd := &cobra.Command{
		Use:   "lift PATIENT HOLD --reason TEXT",
		Short: "lift a legal hold",
		Args:  wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.liftHold(cmd.Context(), &at, args[0], args[1], reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it is lifted; sealed (required)")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// liftedHold is the JSON of hold lift.
type liftedHold struct {
	Lifted record.ObjectID `json:"lifted"`
}

func (a *app) liftHold(ctx context.Context, at *connection, patient, hold, reason string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("hold lift: %w", err)
	}
	id, err := record.ParseObjectID(hold)
	if err != nil {
		return usagef("hold lift: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	if err := to.LiftHold(ctx, token, id, reason); err != nil {
		return err
	}
	return a.print(liftedHold{id}, func(w io.Writer) { io.WriteString(w, "lifted\n") })
}

func holdRows(list []vault.Hold) [][]string {
	rows := [][]string{{"ID", "AUTHORITY", "REASON", "REVIEW", "PLACED", "BY", "LIFTED"}}
	for _, h := range list {
		review := h.Review.Local().Format(time.DateOnly)
		if h.Overdue {
			review += " OVERDUE"
		}
		rows = append(rows, []string{string(h.ID), h.Authority, h.Reason, review, h.Placed.Local().Format(time.DateOnly), h.By, optionalTime(h.Lifted)})
	}
	return rows
}
