package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newDiscloseCommand(a *app) *cobra.Command {
	return newGroup("disclose", "give third parties originals of a patient: the treating hospital, the law, whom the patient agrees to",
		newDiscloseProposeCommand(a), newDiscloseDecideCommand(a, "approve", true), newDiscloseDecideCommand(a, "refuse", false),
		newDiscloseGiveCommand(a), newDiscloseListCommand(a))
}

func newDiscloseProposeCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewDisclosure
	var basis string
	var documents []string
	cmd := &cobra.Command{
		Use:   "propose PATIENT RECIPIENT",
		Short: "propose one; another person approves it",
		Long: "A treating hospital and whom the patient agrees to must stand in the register of recipients, the\n" +
			"latter with a written consent that names them. Nothing is given to authorities abroad.",
		Example: "  medvault disclose propose p… 'Haidian District Court' --basis court-order --reference '(2026)京0108民初1234号'",
		Args:    wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := record.ParsePatientToken(args[0])
			if err != nil {
				return usagef("disclose propose: %w", err)
			}
			n.Patient, n.Recipient, n.Basis = token, args[1], vault.DisclosureBasis(basis)
			for _, d := range documents {
				n.Documents = append(n.Documents, record.ObjectID(d))
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			d, err := to.ProposeDisclosure(cmd.Context(), n)
			if err != nil {
				return err
			}
			return a.print(d, func(w io.Writer) { table(w, disclosureRows([]vault.Disclosure{d})) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&basis, "basis", "", "treating-hospital, statute, court-order or consent (required)")
	f.StringVar(&n.Reference, "reference", "", "number of the order, statute or referral (required)")
	f.StringVar(&n.Country, "country", "", "of an authority (default: home)")
	f.StringSliceVar(&documents, "document", nil, "id of a document, again and again (default: all of the patient's)")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

func newDiscloseDecideCommand(a *app, name string, approve bool) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   name + " ID",
		Short: name + " a proposed one: another person than the one who proposed it",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := record.ParseObjectID(args[0])
			if err != nil {
				return usagef("disclose %s: %w", name, err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			d, err := to.DecideDisclosure(cmd.Context(), id, approve)
			if err != nil {
				return err
			}
			return a.print(d, func(w io.Writer) { table(w, disclosureRows([]vault.Disclosure{d})) })
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newDiscloseGiveCommand(a *app) *cobra.Command {
	var at connection
	var out string
	cmd := &cobra.Command{
		Use:   "give ID -o FILE.zip",
		Short: "write the originals of an approved one into a new file, within a week of the approval",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.giveDisclosure(cmd.Context(), &at, args[0], out)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write; must not be there (required)")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// givenDisclosure is the JSON of disclose give.
type givenDisclosure struct {
	File string `json:"file"`
	Size int64  `json:"size"`
}

func (a *app) giveDisclosure(ctx context.Context, at *connection, arg, out string) error {
	id, err := record.ParseObjectID(arg)
	if err != nil {
		return usagef("disclose give: %w", err)
	}
	if out == "" {
		return usagef("disclose give needs -o FILE")
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := from.GiveDisclosure(ctx, id, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(out)) // half a file must not look whole
	}
	return a.print(givenDisclosure{out, n}, func(w io.Writer) { fmt.Fprintf(w, "%s: %d bytes\n", out, n) })
}

// listedDisclosures is the JSON of disclose list.
type listedDisclosures struct {
	Disclosures []vault.Disclosure `json:"disclosures"`
}

func newDiscloseListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the newest",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := at.open()
			if err != nil {
				return err
			}
			list, err := from.Disclosures(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(listedDisclosures{append([]vault.Disclosure{}, list...)}, func(w io.Writer) { table(w, disclosureRows(list)) })
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func disclosureRows(list []vault.Disclosure) [][]string {
	rows := [][]string{{"ID", "STATE", "PATIENT", "RECIPIENT", "BASIS", "REFERENCE", "DOCUMENTS", "GIVEN"}}
	for _, d := range list {
		given := "-"
		if len(d.Given) > 0 {
			given = d.Given[len(d.Given)-1].At.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{string(d.ID), d.State, string(d.Patient), d.Recipient, string(d.Basis), d.Reference, fmt.Sprint(len(d.Documents)), given})
	}
	return rows
}
