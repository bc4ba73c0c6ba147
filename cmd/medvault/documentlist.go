package main

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newDocumentsCommand(a *app) *cobra.Command {
	var at connection
	var q vault.DocumentQuery
	cmd := &cobra.Command{
		Use:   "documents [--patient ID] [--category CATEGORY]",
		Short: "list documents of every kind, by category",
		Long: `Documents lists images, reports, scans and FHIR resources that you may find, by their
category: imaging, report, history, diagnosis, result, treatment-plan, prescription,
allergy or other. Whoever sees originals has to name the patient.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.documents(cmd.Context(), &at, q) },
	}
	cmd.Flags().StringVar(&q.Patient, "patient", "", "only of this patient: a patient token or [ISSUER^^]ID")
	cmd.Flags().StringVar(&q.Category, "category", "", "only of this category")
	at.addFlags(cmd, record.RoleClinician)
	return cmd
}

func (a *app) documents(ctx context.Context, at *connection, q vault.DocumentQuery) error {
	c, err := at.open()
	if err != nil {
		return err
	}
	all := vault.DocumentPage{Documents: []vault.ListedDocument{}}
	for {
		page, err := c.Documents(ctx, q)
		if err != nil {
			return err
		}
		all.Documents = append(all.Documents, page.Documents...)
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	return a.print(all, func(w io.Writer) {
		rows := [][]string{{"DOCUMENT", "PATIENT", "CATEGORY", "KIND", "SIZE", "HELD", "TITLE"}}
		for _, d := range all.Documents {
			rows = append(rows, []string{string(d.ID), string(d.Patient), d.Category, d.Kind, strconv.FormatInt(d.Size, 10), d.Held, d.Title})
		}
		table(w, rows)
	})
}
