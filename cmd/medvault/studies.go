package main

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"medvault/api/client"
	"medvault/vault/record"
)

func newStudiesCommand(a *app) *cobra.Command {
	var at connection
	var patient string
	cmd := &cobra.Command{
		Use:   "studies [--patient ID]",
		Short: "list the studies you may see",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.studies(cmd.Context(), &at, patient) },
	}
	cmd.Flags().StringVar(&patient, "patient", "", "only of this patient: [ISSUER^^]ID")
	at.addFlags(cmd, record.RoleClinician)
	return cmd
}

// listedStudies is the JSON of studies.
type listedStudies struct {
	Studies []client.StudyInfo `json:"studies"`
}

func (a *app) studies(ctx context.Context, at *connection, patient string) error {
	match := make(map[string]string)
	if issuer, id, hasIssuer := strings.Cut(patient, "^^"); hasIssuer {
		match["IssuerOfPatientID"], match["PatientID"] = issuer, id
	} else if patient != "" {
		match["PatientID"] = patient
	}
	vault, err := at.open()
	if err != nil {
		return err
	}
	found, err := vault.Studies(ctx, match)
	if err != nil {
		return err
	}
	return a.print(listedStudies{append([]client.StudyInfo{}, found...)}, func(w io.Writer) {
		rows := [][]string{{"DATE", "PATIENT", "NAME", "MODALITY", "INSTANCES", "DESCRIPTION", "STUDY"}}
		for _, s := range found {
			rows = append(rows, []string{s.Date, s.PatientID, s.PatientName, strings.Join(s.Modalities, " "),
				strconv.Itoa(s.Instances), s.Description, s.Study})
		}
		table(w, rows)
	})
}
