package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"medvault/api/transport"
	"medvault/vault"
	"medvault/vault/record"
)

func newPushCommand(a *app) *cobra.Command {
	var at connection
	var patient string
	var request vault.PushRequest
	var ground vault.Ground
	cmd := &cobra.Command{
		Use:   "push --patient PATIENT --recipient NAME [--to URL] [--study UID]",
		Short: "send a patient's images to another institution, at the patient's request",
		Long: `push sends the original DICOM instances of a patient to another institution's DICOMweb
server (STOW-RS), by study, and puts on record what it answered to each. The patient or the
guardian asks; for whoever cannot, the data protection officer does with --case, by a case
of portability. What a third party is given otherwise takes an approved --disclosure, and
is no more than that names. The institution must be in the register of recipients with a live agreement,
and abroad the patient's written consent must cover it. Its address is the register's; --to
says it where the register may be added to, as in a dev vault. TLS is asked of every address
that is not this machine.

Reports are no DICOM and stay: medvault export --patient gives them. What the institution
has already it may be sent again. With instances that it did not take the exit code is 3.
The patient is a token or [ISSUER^^]PATIENTID.`,
		Example: `  medvault push --dev .medvault --patient DEV-0001 --recipient "Hospital B" --to http://127.0.0.1:8043/dicomweb`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ground.Case != "" && ground.Disclosure != "" {
				return usagef("push: give --case or --disclosure")
			}
			if ground != (vault.Ground{}) && !cmd.Flags().Changed("as") {
				at.as = string(record.RoleDPO)
			}
			if patient == "" || request.Recipient == "" {
				return usagef("push: give --patient and --recipient")
			}
			if request.To != "" {
				if err := transport.CheckURL(request.To); err != nil {
					return usagef("push: --to: %w", err)
				}
			}
			request.PackageRequest = namedPatient(patient)
			request.Ground = ground
			return a.push(cmd.Context(), &at, request)
		},
	}
	f := cmd.Flags()
	f.StringVar(&patient, "patient", "", "patient: a token or [ISSUER^^]PATIENTID (required)")
	f.StringVar(&request.Recipient, "recipient", "", "institution, as the register of recipients names it (required)")
	f.StringVar(&request.To, "to", "", "address of its DICOMweb services (default: the register's)")
	f.StringVar(&request.Study, "study", "", "one study alone, by its UID")
	f.StringVar((*string)(&ground.Case), "case", "", "by the data protection officer: the case of portability")
	f.StringVar((*string)(&ground.Disclosure), "disclosure", "", "by the data protection officer: the approved disclosure")
	at.addFlags(cmd, record.RolePatient)
	return cmd
}

// namedPatient reads a token or [ISSUER^^]PATIENTID.
func namedPatient(text string) (r vault.PackageRequest) {
	if token, err := record.ParsePatientToken(text); err == nil {
		r.Patient = token
	} else if issuer, id, ok := strings.Cut(text, "^^"); ok {
		r.Issuer, r.PatientID = issuer, id
	} else {
		r.PatientID = text
	}
	return r
}

func (a *app) push(ctx context.Context, at *connection, request vault.PushRequest) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	progress := a.newProgress("push", -1, false)
	receipt, err := from.Push(ctx, request, func(done, of int) { progress.set(int64(done), int64(of)) })
	progress.finish()
	if err != nil {
		return err
	}
	err = a.print(receipt, func(w io.Writer) {
		fmt.Fprintf(w, "%s has %d instances; receipt %s\n", printable(receipt.Recipient), receipt.Stored, receipt.ID)
		if receipt.Unsent > 0 {
			fmt.Fprintf(w, "not sent: %d documents that are no DICOM; medvault export gives them\n", receipt.Unsent)
		}
		if receipt.Withheld > 0 {
			fmt.Fprintf(w, "withheld: %d documents exist and were not to be given\n", receipt.Withheld)
		}
	})
	if err == nil && receipt.Failed > 0 {
		err = findingsError{fmt.Errorf("push: %d of %d instances were not taken; the receipt says why", receipt.Failed, receipt.Failed+receipt.Stored)}
	}
	return err
}
