package main

import (
	"cmp"
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newCareCommand(a *app) *cobra.Command {
	return newGroup("care", "who treats a patient, and so may see the originals",
		newCareAddCommand(a), newCareEndCommand(a), newCareListCommand(a))
}

func newCareAddCommand(a *app) *cobra.Command {
	var at connection
	var from, until string
	var n vault.NewCare
	cmd := &cobra.Command{
		Use:     "add PATIENT CLINICIAN",
		Short:   "state that a clinician treats a patient from now on",
		Long:    "add writes a care relationship. PATIENT is the patient token that upload prints;\nCLINICIAN is the subject of the clinician's token.",
		Example: "  medvault care add p… dr-li --until 2027-03-31T18:00:00+08:00",
		Args:    wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Clinician = args[1]
			return a.addCare(cmd.Context(), &at, args[0], n, from, until)
		},
	}
	cmd.Flags().StringVar(&until, "until", "", "when it ends, RFC 3339 (default: open)")
	cmd.Flags().StringVar(&from, "from", "", "when it begins, RFC 3339 (default: now)")
	cmd.Flags().StringVar(&n.Role, "role", "", "as what: attending, nurse, …")
	cmd.Flags().BoolVar(&n.Essential, "essential", false, "the treatment cannot go on without them")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

func (a *app) addCare(ctx context.Context, at *connection, patient string, n vault.NewCare, from, until string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("care add: %w", err)
	}
	for _, f := range []struct {
		flag, text string
		into       *time.Time
	}{{"--from", from, &n.From}, {"--until", until, &n.Until}} {
		if f.text == "" {
			continue
		}
		if *f.into, err = time.Parse(time.RFC3339, f.text); err != nil {
			return usagef("%s %q: want a time like 2027-03-31T18:00:00+08:00", f.flag, f.text)
		}
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	care, err := to.StateCare(ctx, token, n)
	if err != nil {
		return err
	}
	return a.print(care, func(w io.Writer) { table(w, careRows([]vault.Care{care})) })
}

func newCareEndCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "end PATIENT ID",
		Short: "end a care relationship now",
		Args:  wantArgs(2, 2),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.endCare(cmd.Context(), &at, args[0], args[1]) },
	}
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// endedCare is the JSON of care end.
type endedCare struct {
	Ended record.ObjectID `json:"ended"`
}

func (a *app) endCare(ctx context.Context, at *connection, patient, care string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("care end: %w", err)
	}
	id, err := record.ParseObjectID(care)
	if err != nil {
		return usagef("care end: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	if err := to.EndCare(ctx, token, id); err != nil {
		return err
	}
	return a.print(endedCare{id}, func(w io.Writer) { io.WriteString(w, "ended\n") })
}

func newCareListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list PATIENT",
		Short: "list a patient's care relationships, ended ones included",
		Args:  wantArgs(1, 1),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.listCare(cmd.Context(), &at, args[0]) },
	}
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// listedCare is the JSON of care list.
type listedCare struct {
	CareTeam []vault.Care `json:"careTeam"`
}

func (a *app) listCare(ctx context.Context, at *connection, patient string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("care list: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	team, err := from.ListCare(ctx, token)
	if err != nil {
		return err
	}
	return a.print(listedCare{append([]vault.Care{}, team...)}, func(w io.Writer) { table(w, careRows(team)) })
}

func careRows(team []vault.Care) [][]string {
	rows := [][]string{{"ID", "CLINICIAN", "ROLE", "ESSENTIAL", "FROM", "UNTIL", "ENDED", "ORIGIN"}}
	when := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.Local().Format(time.DateTime)
	}
	for _, c := range team {
		essential := "-"
		if c.Essential {
			essential = "yes"
		}
		rows = append(rows, []string{string(c.ID), c.Clinician, cmp.Or(c.Role, "-"), essential, when(&c.From), when(c.Until), when(c.Ended), c.Origin})
	}
	return rows
}
