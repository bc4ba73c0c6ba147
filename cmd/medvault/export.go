package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

// exporting is what export was asked for.
type exporting struct {
	at             connection
	deidentified   bool
	study, patient string
	recipient, dir string
}

func newExportCommand(a *app) *cobra.Command {
	var ask exporting
	cmd := &cobra.Command{
		Use:   "export --deidentified (--study UID | --patient TOKEN) --recipient NAME -o DIR",
		Short: "give a recipient de-identified copies",
		Long: `export --deidentified writes the de-identified instances of a study or a patient as
files, under UIDs, tokens and dates that only this recipient gets: what two recipients,
or one for two purposes, are given cannot be joined. The same recipient gets the same
bytes again. manifest.json lists the files with their SHA-256 and says how many
documents are withheld.

The study UID is that of the de-identified view. The recipient is an institution; its
name stands in the log.`,
		Example: "  medvault export --dev .medvault --deidentified --study 2.25.1234 --recipient \"University A\" -o out",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ask.check(); err != nil {
				return err
			}
			return a.export(cmd.Context(), &ask)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&ask.deidentified, "deidentified", false, "export de-identified views (required)")
	f.StringVar(&ask.study, "study", "", "study to export, by its UID in the de-identified view")
	f.StringVar(&ask.patient, "patient", "", "patient to export, by token")
	f.StringVar(&ask.recipient, "recipient", "", "institution that gets the files (required)")
	f.StringVarP(&ask.dir, "output", "o", "", "directory the files are written to; made when absent (required)")
	ask.at.addFlags(cmd, record.RoleQuality)
	return cmd
}

func (e *exporting) check() error {
	switch {
	case !e.deidentified:
		return usagef("export: give --deidentified")
	case (e.study == "") == (e.patient == ""):
		return usagef("export: give --study UID or --patient TOKEN")
	case e.study != "" && !uid.MatchString(e.study):
		return usagef("export: --study %q is no UID", e.study)
	case e.recipient == "":
		return usagef("export: to whom? give --recipient NAME")
	case e.dir == "":
		return usagef("export: where to? give -o DIR")
	}
	if e.patient != "" {
		if _, err := record.ParsePatientToken(e.patient); err != nil {
			return usagef("export: --patient: %w", err)
		}
	}
	return nil
}

const manifestName = "manifest.json"

// export brings the files, then holds them against the manifest.
func (a *app) export(ctx context.Context, ask *exporting) error {
	from, err := ask.at.open()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(ask.dir, 0o700); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	f := &fetcher{dir: ask.dir, out: fetched{Written: []string{}, Present: []string{}}, progress: a.newProgress("export", -1, true)}
	sums := make(map[string]string)
	request := vault.ExportRequest{Study: ask.study, Patient: record.PatientToken(ask.patient), Recipient: ask.recipient}
	manifest, err := from.Export(ctx, request, func(instance string, r io.Reader) error {
		// The name comes from outside and becomes part of a path.
		if !uid.MatchString(instance) {
			return errors.New("export: the vault names an instance by no UID")
		}
		sum := sha256.New()
		err := f.keep(instance+".dcm", func(w io.Writer) (string, error) {
			_, err := io.Copy(io.MultiWriter(w, sum), r)
			return "", err
		})
		sums[instance] = hex.EncodeToString(sum.Sum(nil))
		return err
	})
	f.progress.finish()
	if err != nil {
		return err
	}
	for _, entry := range manifest.Instances {
		if sums[entry.Instance] != entry.SHA256 {
			return fmt.Errorf("export: %s is not what the manifest lists", entry.Instance)
		}
	}
	if len(sums) != len(manifest.Instances) {
		return errors.New("export: the manifest does not list all that came")
	}
	if err := writeManifest(f, manifest); err != nil {
		return err
	}
	return a.print(exportResult{f.out.Written, f.out.Present, manifest}, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %d, present already %d, in %s\n", len(f.out.Written), len(f.out.Present), ask.dir)
		if manifest.Withheld > 0 {
			fmt.Fprintf(w, "withheld: %d documents have no view that can be given now\n", manifest.Withheld)
		}
	})
}

// exportResult is the JSON of export.
type exportResult struct {
	Written  []string             `json:"written"`
	Present  []string             `json:"present"` // were there already with the same bytes
	Manifest vault.ExportManifest `json:"manifest"`
}

func writeManifest(f *fetcher, m vault.ExportManifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return f.keep(manifestName, func(w io.Writer) (string, error) {
		_, err := w.Write(append(data, '\n'))
		return "", err
	})
}
