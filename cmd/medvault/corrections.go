package main

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/imaging"
	"medvault/vault"
	"medvault/vault/record"
)

func newCorrectionsCommand(a *app) *cobra.Command {
	return newGroup("corrections", "what a patient's record says instead of their documents",
		newCorrectionsAddCommand(a), newCorrectionsUndoCommand(a), newCorrectionsListCommand(a), newCorrectionsMoveCommand(a))
}

func newCorrectionsAddCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewCorrection
	var set []string
	var document, evidence string
	cmd := &cobra.Command{
		Use:   "add PATIENT",
		Short: "correct name, id, birth date, sex or address of a patient, or the category of a document",
		Long: "add puts a correction on record. The documents keep their bytes; whoever reads them with\nidentity is given the corrected values, with what stood there before in Original Attributes\nSequence (0400,0561), and the patient is found by the corrected values alone.\n\n" +
			"Values are " + strings.Join(imaging.Correctable(), ", ") + ".\nPATIENT is the patient token that upload prints.",
		Example: "  medvault corrections add p… --set PatientName=Zhang^Wei --reason 'as the identity card says'\n" +
			"  medvault corrections add p… --set PatientBirthDate=19840203 --evidence 0123… --reason …\n" +
			"  medvault corrections add p… --document 0123… --category result --reason …",
		Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Document, n.Evidence = record.ObjectID(document), record.ObjectID(evidence)
			for _, s := range set {
				keyword, value, ok := strings.Cut(s, "=")
				if !ok {
					return usagef("corrections add: write --set KEYWORD=VALUE")
				}
				if n.Values == nil {
					n.Values = make(map[string]string)
				}
				n.Values[keyword] = value
			}
			return a.correct(cmd.Context(), &at, args[0], n)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&set, "set", nil, "KEYWORD=VALUE; an empty value says that nothing is known; may be given again")
	f.StringVar(&document, "document", "", "that alone it is about")
	f.StringVar(&n.Category, "category", "", "the right category of the document")
	f.StringVar(&evidence, "evidence", "", "id of the stored document that proves it; a birth date or Patient ID needs one")
	f.StringVar(&n.Case, "case", "", "the case in which it was decided")
	f.StringVar(&n.Reason, "reason", "", "why; sealed (required)")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func (a *app) correct(ctx context.Context, at *connection, patient string, n vault.NewCorrection) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("corrections add: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	c, err := to.Correct(ctx, token, n)
	if err != nil {
		return err
	}
	return a.print(c, func(w io.Writer) { table(w, correctionRows([]vault.Correction{c})) })
}

func newCorrectionsUndoCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "undo PATIENT ID",
		Short: "take a correction back: what it said is not told any more",
		Args:  wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.uncorrect(cmd.Context(), &at, args[0], args[1])
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// undoneCorrection is the JSON of corrections undo.
type undoneCorrection struct {
	Undone record.ObjectID `json:"undone"`
}

func (a *app) uncorrect(ctx context.Context, at *connection, patient, correction string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("corrections undo: %w", err)
	}
	id, err := record.ParseObjectID(correction)
	if err != nil {
		return usagef("corrections undo: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	if err := to.Uncorrect(ctx, token, id); err != nil {
		return err
	}
	return a.print(undoneCorrection{id}, func(w io.Writer) { io.WriteString(w, "undone\n") })
}

func newCorrectionsListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list PATIENT",
		Short: "list what was corrected about a patient",
		Args:  wantArgs(1, 1),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.listCorrections(cmd.Context(), &at, args[0]) },
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// listedCorrections is the JSON of corrections list.
type listedCorrections struct {
	Corrections []vault.Correction `json:"corrections"`
}

func (a *app) listCorrections(ctx context.Context, at *connection, patient string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("corrections list: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	list, err := from.Corrections(ctx, token)
	if err != nil {
		return err
	}
	return a.print(listedCorrections{append([]vault.Correction{}, list...)}, func(w io.Writer) { table(w, correctionRows(list)) })
}

func correctionRows(list []vault.Correction) [][]string {
	rows := [][]string{{"ID", "SAYS", "DOCUMENT", "BY", "RECORDED", "UNDONE"}}
	for _, c := range list {
		var says []string
		for _, keyword := range slices.Sorted(maps.Keys(c.Values)) {
			says = append(says, keyword+"="+c.Values[keyword])
		}
		if c.Category != "" {
			says = append(says, "category "+c.Before+" → "+c.Category)
		}
		document := "all"
		if c.Document != "" {
			document = string(c.Document)
		}
		rows = append(rows, []string{string(c.ID), strings.Join(says, ", "), document, c.By, c.Recorded.Local().Format(time.DateTime), optionalTime(c.Undone)})
	}
	return rows
}

func newCorrectionsMoveCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewMove
	var documents []string
	cmd := &cobra.Command{
		Use:   "move FROM TO",
		Short: "make documents of one patient another's: two Patient IDs of one person, or a wrong one",
		Long: "move seals documents anew under the keys of the patient they belong to, in the background, and\nshows them with that patient's name, id, birth date and sex. Without --document all move, and\nwhat comes later under the first Patient ID goes to the second patient. Moving back undoes it.\n\n" +
			"FROM and TO are patient tokens; documents of both are stored.",
		Example: "  medvault corrections move p… p… --reason 'one person with two numbers'",
		Args:    wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, d := range documents {
				id, err := record.ParseObjectID(d)
				if err != nil {
					return usagef("corrections move: %w", err)
				}
				n.Documents = append(n.Documents, id)
			}
			return a.moveDocuments(cmd.Context(), &at, args[0], args[1], n)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&documents, "document", nil, "only this one; may be given again")
	f.StringVar(&n.Case, "case", "", "the case in which it was decided")
	f.StringVar(&n.Reason, "reason", "", "why; sealed (required)")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func (a *app) moveDocuments(ctx context.Context, at *connection, from, to string, n vault.NewMove) error {
	token, err := record.ParsePatientToken(from)
	if err != nil {
		return usagef("corrections move: %w", err)
	}
	if n.To, err = record.ParsePatientToken(to); err != nil {
		return usagef("corrections move: %w", err)
	}
	server, err := at.open()
	if err != nil {
		return err
	}
	m, err := server.MoveDocuments(ctx, token, n)
	if err != nil {
		return err
	}
	return a.print(m, func(w io.Writer) { io.WriteString(w, "ordered: "+string(m.ID)+"\n") })
}
