package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newRevokeCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewRevocation
	var before string
	cmd := &cobra.Command{
		Use:   "revoke (--subject ID | --credential ID) --reason CODE",
		Short: "refuse a person or a credential from the next request on, everywhere",
		Long: "revoke acts in every gateway on the next request; what streams already ends by itself.\n" +
			"A credential is named by its kind and id: jti:… or jwt:… of a token, token:… of an API\n" +
			"token, x509:… (SHA-256) or serial:… of a certificate. With --issued-before only what was\n" +
			"issued up to then is refused, so that a new log-in helps; without, all is, until lifted.\n" +
			"The log has pseudonyms of credentials: who knows no more revokes the person.",
		Example: "  medvault revoke --subject dr-li --reason left\n" +
			"  medvault revoke --credential serial:1a2b --reason lost\n" +
			"  medvault revoke --subject dr-li --issued-before now --reason stolen",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (n.Subject == "") == (n.Credential == "") {
				return usageError{errors.New("revoke: give --subject or --credential")}
			}
			if before != "" {
				at, err := parseBefore(before)
				if err != nil {
					return err
				}
				n.IssuedBefore = &at
			}
			return a.revoke(cmd.Context(), &at, n)
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Subject, "subject", "", "the person or machine")
	f.StringVar(&n.Credential, "credential", "", "the credential")
	f.StringVar(&n.Reason, "reason", "", "why, in lower-case words with hyphens, as lost")
	f.StringVar(&before, "issued-before", "", "now, or RFC 3339: refuse only what was issued up to then")
	at.addFlags(cmd, record.RoleDPO)
	cmd.AddCommand(newRevokeListCommand(a), newRevokeLiftCommand(a))
	return cmd
}

func parseBefore(text string) (time.Time, error) {
	if text == "now" {
		return time.Now().Truncate(time.Second), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usagef("--issued-before %q: want now, or a time like 2027-03-31T18:00:00+08:00", text)
	}
	return at, nil
}

func (a *app) revoke(ctx context.Context, at *connection, n vault.NewRevocation) error {
	to, err := at.open()
	if err != nil {
		return err
	}
	made, err := to.Revoke(ctx, n)
	if err != nil {
		return err
	}
	return a.print(made, func(w io.Writer) { fmt.Fprintf(w, "%s\n", made.ID) })
}

func newRevokeListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list revocations, lifted ones included",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := at.open()
			if err != nil {
				return err
			}
			list, err := from.Revocations(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(listedRevocations{append([]vault.Revocation{}, list...)}, func(w io.Writer) { table(w, revocationRows(list)) })
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// listedRevocations is the JSON of revoke list.
type listedRevocations struct {
	Revocations []vault.Revocation `json:"revocations"`
}

func revocationRows(list []vault.Revocation) [][]string {
	rows := [][]string{{"ID", "REVOKED", "ISSUED BEFORE", "REASON", "SINCE", "BY", "LIFTED"}}
	for _, r := range list {
		rows = append(rows, []string{string(r.ID), r.Subject + r.Credential, localTime(r.IssuedBefore), r.Reason, localTime(&r.Made), r.By, localTime(r.Lifted)})
	}
	return rows
}

func newRevokeLiftCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "lift ID",
		Short: "lift a revocation",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := record.ParseObjectID(args[0])
			if err != nil {
				return usagef("revoke lift: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			if err := to.Reinstate(cmd.Context(), id); err != nil {
				return err
			}
			return a.print(liftedRevocation{id}, func(w io.Writer) { io.WriteString(w, "lifted\n") })
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// liftedRevocation is the JSON of revoke lift.
type liftedRevocation struct {
	Lifted record.ObjectID `json:"lifted"`
}
