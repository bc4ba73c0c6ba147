package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"medvault/api/client"
	"medvault/vault"
	"medvault/vault/record"
)

func newAgreementCommand(a *app) *cobra.Command {
	var at connection
	var document, expires, output string
	cmd := &cobra.Command{
		Use:   "agreement INSTITUTION (--document FILE --expires DATE | --output FILE)",
		Short: "store the signed compliance agreement by which an institution is bound, or get it back",
		Long: `agreement stores the signed document, a PDF, sealed under the house's key; its SHA-256 stands
in the log. DATE is the last day on which it binds, YYYY-MM-DD by the calendar at home: after
it the institution's staff are refused. --output writes the document that is stored.`,
		Example: "  medvault staff agreement north-clinic --document signed.pdf --expires 2028-12-31",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case (document == "") == (output == ""), (document == "") != (expires == ""):
				return usageError{errors.New("staff agreement needs --document FILE and --expires DATE, or --output FILE")}
			case output != "":
				return fetchAgreement(cmd.Context(), &at, args[0], output)
			}
			return a.setAgreement(cmd.Context(), &at, args[0], document, expires)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&document, "document", "", "the signed agreement, a PDF of at most 8 MiB")
	flags.StringVar(&expires, "expires", "", "last day on which it binds, YYYY-MM-DD")
	flags.StringVarP(&output, "output", "o", "", "where to write the stored document")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

func (a *app) setAgreement(ctx context.Context, at *connection, institution, document, expires string) error {
	file, err := os.Open(document)
	if err != nil {
		return usageError{err}
	}
	defer file.Close() // reading
	to, err := at.open()
	if err != nil {
		return err
	}
	bound, err := to.SetAgreement(ctx, institution, expires, file)
	if err != nil {
		return err
	}
	return a.print(bound, func(w io.Writer) { table(w, institutionRows([]vault.StaffInstitution{bound})) })
}

func fetchAgreement(ctx context.Context, at *connection, institution, output string) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usageError{err}
	}
	if err := errors.Join(from.Agreement(ctx, institution, file), file.Close()); err != nil {
		return errors.Join(err, os.Remove(output))
	}
	return nil
}

// keepAgreement leaves an institution bound as it is.
func keepAgreement(ctx context.Context, from *client.Client, i *vault.StaffInstitution) error {
	all, err := from.Institutions(ctx)
	if err != nil {
		return err
	}
	for _, now := range all {
		if now.ID == i.ID {
			i.Agreement, i.AgreementUntil = now.Agreement, now.AgreementUntil
		}
	}
	return nil
}
