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

func newGuardiansCommand(a *app) *cobra.Command {
	return newGroup("guardians", "whose identity acts for a patient: guardians of children, and patients for themselves",
		newGuardiansAddCommand(a), newGuardiansEndCommand(a), newGuardiansListCommand(a))
}

func newGuardiansAddCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewGuardian
	var evidence, from, until string
	cmd := &cobra.Command{
		Use:   "add PATIENT SUBJECT",
		Short: "put on record whose identity acts for a patient",
		Long: "add puts a guardian on record, who sees a child's documents, reads their access log and\ngives consent until the child comes of age. With --relation self it is the patient's own\nidentity.\n\n" +
			"PATIENT is the patient token that upload prints; SUBJECT the subject of the person's token.",
		Example: "  medvault guardians add p… zhang-mei --relation mother --evidence 0123…",
		Args:    wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			n.Subject, n.Evidence = args[1], record.ObjectID(evidence)
			if n.From, err = timeFlag("--from", from); err != nil {
				return err
			}
			if n.Until, err = timeFlag("--until", until); err != nil {
				return err
			}
			return a.addGuardian(cmd.Context(), &at, args[0], n)
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Relation, "relation", "guardian", "mother, father, guardian or self")
	f.StringVar(&evidence, "evidence", "", "id of the stored document that proves it; only self needs none")
	f.StringVar(&from, "from", "", "when it begins, RFC 3339 (default: now)")
	f.StringVar(&until, "until", "", "when it ends, RFC 3339 (default: open)")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func (a *app) addGuardian(ctx context.Context, at *connection, patient string, n vault.NewGuardian) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("guardians add: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	g, err := to.AddGuardian(ctx, token, n)
	if err != nil {
		return err
	}
	return a.print(g, func(w io.Writer) { table(w, guardianRows([]vault.Guardian{g})) })
}

func newGuardiansEndCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "end PATIENT ID",
		Short: "end what a guardian may do, now",
		Args:  wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.endGuardian(cmd.Context(), &at, args[0], args[1])
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// endedGuardian is the JSON of guardians end.
type endedGuardian struct {
	Ended record.ObjectID `json:"ended"`
}

func (a *app) endGuardian(ctx context.Context, at *connection, patient, guardian string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("guardians end: %w", err)
	}
	id, err := record.ParseObjectID(guardian)
	if err != nil {
		return usagef("guardians end: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	if err := to.EndGuardian(ctx, token, id); err != nil {
		return err
	}
	return a.print(endedGuardian{id}, func(w io.Writer) { io.WriteString(w, "ended\n") })
}

func newGuardiansListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list PATIENT",
		Short: "list whose identity acts or has acted for a patient",
		Args:  wantArgs(1, 1),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.listGuardians(cmd.Context(), &at, args[0]) },
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// listedGuardians is the JSON of guardians list.
type listedGuardians struct {
	Guardians []vault.Guardian `json:"guardians"`
}

func (a *app) listGuardians(ctx context.Context, at *connection, patient string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("guardians list: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	list, err := from.Guardians(ctx, token)
	if err != nil {
		return err
	}
	return a.print(listedGuardians{append([]vault.Guardian{}, list...)}, func(w io.Writer) { table(w, guardianRows(list)) })
}

func guardianRows(list []vault.Guardian) [][]string {
	rows := [][]string{{"ID", "SUBJECT", "RELATION", "FROM", "UNTIL", "ENDED", "EVIDENCE"}}
	for _, g := range list {
		rows = append(rows, []string{string(g.ID), g.Subject, g.Relation, g.From.Local().Format(time.DateTime), optionalTime(g.Until), optionalTime(g.Ended),
			cmp.Or(string(g.Evidence), "-")})
	}
	return rows
}

// optionalTime is a time as tables show it, "-" for none.
func optionalTime(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}
