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
	recipient      string
	request        string // case in which an officer fetches a package
	output         string // a directory of de-identified copies; the file of a package

	recipients     []string // of age
	passphrase     string   // file
	plain, outside bool
	language       string
}

func newExportCommand(a *app) *cobra.Command {
	var ask exporting
	cmd := &cobra.Command{
		Use:   "export --patient PATIENT -o FILE | --deidentified (--study UID | --patient TOKEN) --recipient NAME -o DIR",
		Short: "give patients everything held of them, or a recipient de-identified copies",
		Long: `export --patient brings everything that is held of a patient into one zip file, for the
patient or the guardian who asks: the original images with a DICOMDIR that any DICOM viewer
opens, reports, the same as FHIR R4, the access log with its proofs, a page to begin with
in a browser, and a signed manifest (see export verify). The patient is a token or
[ISSUER^^]PATIENTID. For whoever cannot fetch it, the data protection officer does with
--case, once it was made sure who asks. The file is encrypted with age as it is written, to public keys or
with a passphrase; a plain one needs --insecure-plain. An export that was interrupted goes
on when the same command is run again: what has come lies encrypted in FILE.parts.

age is not approved by FIPS 140-3: the package is encrypted outside of it. Where the
environment enforces FIPS (GODEBUG=fips140=only), that takes --outside-fips.

export --deidentified writes the de-identified instances of a study or a patient as
files, under UIDs, tokens and dates that only this recipient gets: what two recipients,
or one for two purposes, are given cannot be joined. The same recipient gets the same
bytes again. manifest.json lists the files with their SHA-256 and says how many
documents are withheld. The study UID is that of the de-identified view. The recipient is
an institution; its name stands in the log.`,
		Example: `  medvault export --dev .medvault --as patient --patient DEV-0001 -o mine.zip.age --passphrase-file word.txt
  medvault export verify mine.zip.age --passphrase-file word.txt
  medvault export --dev .medvault --deidentified --study 2.25.1234 --recipient "University A" -o out`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("as") && !ask.deidentified {
				ask.at.as = string(record.RolePatient)
				if ask.request != "" {
					ask.at.as = string(record.RoleDPO)
				}
			}
			if err := ask.check(); err != nil {
				return err
			}
			if !ask.deidentified {
				return a.exportPackage(cmd.Context(), &ask)
			}
			return a.export(cmd.Context(), &ask)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&ask.deidentified, "deidentified", false, "export de-identified views for a recipient")
	f.StringVar(&ask.study, "study", "", "study to export, by its UID in the de-identified view")
	f.StringVar(&ask.patient, "patient", "", "patient to export: a token or, of a package, [ISSUER^^]PATIENTID")
	f.StringVar(&ask.request, "case", "", "by the data protection officer: the case about access or portability in which the patient asks for the package")
	f.StringVar(&ask.recipient, "recipient", "", "institution that gets the de-identified files")
	f.StringVarP(&ask.output, "output", "o", "", "file of the package, or directory of de-identified files (required)")
	f.StringArrayVar(&ask.recipients, "age-recipient", nil, "public key of age that the package is encrypted to; may be given again")
	f.StringVar(&ask.passphrase, "passphrase-file", "", "file with the passphrase that the package is encrypted with")
	f.BoolVar(&ask.plain, "insecure-plain", false, "do not encrypt the package")
	f.BoolVar(&ask.outside, "outside-fips", false, "let age encrypt although the environment enforces FIPS 140-3")
	f.StringVar(&ask.language, "language", "en", "of the access log: en or zh")
	ask.at.addFlags(cmd, record.RoleQuality)
	cmd.AddCommand(newExportVerifyCommand(a))
	return cmd
}

func (e *exporting) byCase() record.ObjectID { return record.ObjectID(e.request) }

func (e *exporting) check() error {
	if e.output == "" {
		return usagef("export: where to? give -o")
	}
	if !e.deidentified {
		switch {
		case e.study != "" || e.recipient != "":
			return usagef("export: give --deidentified for a study or a recipient; a package is of one patient, for the patient")
		case e.patient == "":
			return usagef("export: give --patient for a package, or --deidentified")
		case e.language != "en" && e.language != "zh":
			return usagef("export: --language is en or zh")
		}
		return nil
	}
	switch {
	case (e.study == "") == (e.patient == ""):
		return usagef("export: give --study UID or --patient TOKEN")
	case e.study != "" && !uid.MatchString(e.study):
		return usagef("export: --study %q is no UID", e.study)
	case e.recipient == "":
		return usagef("export: to whom? give --recipient NAME")
	case e.request != "" || len(e.recipients) > 0 || e.passphrase != "" || e.plain:
		return usagef("export: --case, --age-recipient, --passphrase-file and --insecure-plain belong to a package")
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
	if err := os.MkdirAll(ask.output, 0o700); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	f := &fetcher{dir: ask.output, out: fetched{Written: []string{}, Present: []string{}}, progress: a.newProgress("export", -1, true)}
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
		fmt.Fprintf(w, "wrote %d, present already %d, in %s\n", len(f.out.Written), len(f.out.Present), ask.output)
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
