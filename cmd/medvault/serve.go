package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"medvault/api/identity"
	"medvault/api/transport"
	"medvault/vault/record"
)

func newServeCommand(a *app) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "run a gateway for production",
		Long: "Runs one gateway as the configuration says; scripts/deploy/config.example.yaml documents\n" +
			"every key. Any number of gateways share one PostgreSQL. SIGINT or SIGTERM ends it after\n" +
			"what it accepted is finished.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return usageError{errors.New("serve needs --config FILE")}
			}
			cfg, err := loadConfig(path)
			if err != nil {
				return usageError{err}
			}
			return serve(cmd.Context(), cfg, slog.New(slog.NewJSONHandler(a.stderr, nil)))
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "the configuration file")
	return cmd
}

func serve(ctx context.Context, cfg *Config, log *slog.Logger) error {
	if err := hideMemory(); err != nil {
		return err
	}
	auth, err := openID(ctx, cfg)
	if err != nil {
		return err
	}
	console, err := cfg.console(auth)
	if err != nil {
		return err
	}
	h, err := build(ctx, cfg, log, options{autoCare: nobody})
	if err != nil {
		return err
	}
	return h.gateway(ctx, cfg, auth, console, log, func() error {
		if !cfg.ContentOnly {
			if err := beginRegister(ctx, h.vault, cfg, log); err != nil {
				return err
			}
		}
		log.Info("ready", "listen", cfg.Listen, "url", cfg.PublicURL)
		return nil
	})
}

// nobody treats new patients on their own: care relationships are made on purpose.
const nobody = ""

// openID believes the tokens of the configured issuer.
func openID(ctx context.Context, cfg *Config) (*identity.OIDC, error) {
	c := cfg.Identity
	roots, err := readRoots("identity.caFile", c.CAFile)
	if err != nil {
		return nil, err
	}
	profile, err := transport.ParseProfile(cfg.TLS.Profile)
	if err != nil {
		return nil, fmt.Errorf("tls.profile: %w", err)
	}
	roles := make(map[string]record.Role)
	for value, role := range c.Roles {
		roles[value] = record.Role(role)
	}
	return identity.NewOIDC(ctx, identity.OIDCConfig{
		Issuer: c.Issuer, Audience: c.Audience, Roles: roles, Skew: c.ClockSkew,
		Institution: c.Institution, PatientIssuer: c.PatientIssuer, Country: c.Country,
		Claims: identity.Claims{Role: c.RoleClaim, Institution: c.InstitutionClaim, PatientIssuer: c.PatientIssuerClaim,
			Country: c.CountryClaim, Purpose: c.PurposeClaim, Scope: c.ScopeClaim, Patient: c.PatientClaim},
		RequireScopes: c.RequireScopes, Clients: c.Clients,
		Client: profile.HTTPClient(roots),
	})
}
