package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newTokensCommand(a *app) *cobra.Command {
	return newGroup("tokens", "the API tokens of machines",
		newTokensCreateCommand(a), newTokensListCommand(a), newTokensRevokeCommand(a))
}

func newTokensCreateCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewAPIToken
	var role, purpose string
	var days int
	cmd := &cobra.Command{
		Use:   "create SUBJECT",
		Short: "make an API token and print it, once",
		Long: "create makes a credential for a machine. SUBJECT is service:NAME, as the log will name it.\n" +
			"The token is printed on standard output and can be had nowhere again: the vault keeps a\n" +
			"keyed hash of it.",
		Example: "  medvault tokens create service:ct-1 --for radiology --scope system/ImagingStudy.c --days 90",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Subject, n.Role, n.Purpose = args[0], record.Role(role), record.Purpose(purpose)
			n.Expires = time.Now().Add(time.Duration(min(days, 1000)) * 24 * time.Hour).UTC().Truncate(time.Second)
			return a.createToken(cmd.Context(), &at, n)
		},
	}
	f := cmd.Flags()
	f.StringVar(&role, "for", "", "role: radiology, quality, researcher, operator or auditor")
	f.StringVar(&purpose, "bind", "", "the only purpose of use it may claim, an HL7 v3 code (default: the role's)")
	f.StringArrayVar(&n.Scopes, "scope", nil, "SMART on FHIR v2 scope, as system/ImagingStudy.c; may be repeated")
	f.StringVar(&n.Label, "label", "", "a note for the list")
	f.IntVar(&days, "days", 90, "how long it is good, at most 365")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// createdToken is the JSON of tokens create.
type createdToken struct {
	vault.APIToken
	Token string `json:"token"`
}

func (a *app) createToken(ctx context.Context, at *connection, n vault.NewAPIToken) error {
	to, err := at.open()
	if err != nil {
		return err
	}
	made, secret, err := to.CreateAPIToken(ctx, n)
	if err != nil {
		return err
	}
	return a.print(createdToken{made, secret}, func(w io.Writer) {
		fmt.Fprintln(w, secret)
		fmt.Fprintf(a.stderr, "token %s of %s, good until %s; it is not shown again\n", made.ID, made.Subject, made.Expires.Local().Format(time.DateTime))
	})
}

func newTokensListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list API tokens, those that have ended included",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.listTokens(cmd.Context(), &at) },
	}
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// listedTokens is the JSON of tokens list.
type listedTokens struct {
	Tokens []vault.APIToken `json:"tokens"`
}

func (a *app) listTokens(ctx context.Context, at *connection) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	list, err := from.APITokens(ctx)
	if err != nil {
		return err
	}
	return a.print(listedTokens{append([]vault.APIToken{}, list...)}, func(w io.Writer) {
		rows := [][]string{{"ID", "SUBJECT", "ROLE", "SCOPES", "EXPIRES", "LAST USED", "REVOKED", "LABEL"}}
		for _, k := range list {
			rows = append(rows, []string{string(k.ID), k.Subject, string(k.Role), k.Scopes, localTime(&k.Expires), localTime(k.LastUsed), localTime(k.Revoked), k.Label})
		}
		table(w, rows)
	})
}

func localTime(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

func newTokensRevokeCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "end an API token now, in every gateway",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := record.ParseObjectID(args[0])
			if err != nil {
				return usagef("tokens revoke: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			if err := to.RevokeAPIToken(cmd.Context(), id); err != nil {
				return err
			}
			return a.print(revokedToken{id}, func(w io.Writer) { io.WriteString(w, "revoked\n") })
		},
	}
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// revokedToken is the JSON of tokens revoke.
type revokedToken struct {
	Revoked record.ObjectID `json:"revoked"`
}
