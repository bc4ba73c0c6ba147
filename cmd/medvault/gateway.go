package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"medvault/api"
	"medvault/api/identity"
	"medvault/api/transport"
	"medvault/vault/record"
)

// gateway runs a vault behind a listener until ctx ends, then finishes what was
// accepted, lets the workers return and closes the parts. ready is called once the
// listener answers.
func (h *house) gateway(ctx context.Context, cfg *Config, auth identity.Authenticator, console *api.Console, log *slog.Logger, ready func() error) (err error) {
	// Little of what an upload needs lives long: collecting less often saves a tenth of
	// its CPU for some tens of megabytes.
	debug.SetGCPercent(400)
	defer func() { err = errors.Join(err, h.close()) }()
	server, listener, err := h.listen(cfg, auth, console, log)
	if err != nil {
		return err
	}
	messages, arriving, err := cfg.HL7.server(cfg, h.vault, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	// The vault's own work goes on until the last request has been answered.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	worked := make(chan error, 1)
	go func() { worked <- h.vault.Run(work) }()
	served := make(chan error, 1)
	serving, unserve := context.WithCancel(ctx)
	go func() { served <- server.Serve(serving, listener) }()
	heard := make(chan error, 1)
	go func() {
		if messages == nil {
			heard <- nil
			return
		}
		defer unserve() // a gateway that hears no discharge any more must not serve on
		heard <- messages.Serve(serving, arriving)
	}()

	if err = ready(); err != nil {
		unserve()
	}
	err = errors.Join(err, <-served)
	unserve()
	err = errors.Join(err, <-heard)
	stop()
	return errors.Join(err, <-worked)
}

func (h *house) listen(cfg *Config, auth identity.Authenticator, console *api.Console, log *slog.Logger) (*api.Server, net.Listener, error) {
	var tlsConfig *tls.Config
	if cfg.TLS.Cert != "" {
		profile, err := transport.ParseProfile(cfg.TLS.Profile)
		if err != nil {
			return nil, nil, fmt.Errorf("tls.profile: %w", err)
		}
		certificate, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
		if err != nil {
			return nil, nil, fmt.Errorf("tls.cert: %w", err)
		}
		tlsConfig = profile.Server(certificate)
		authorities, err := readRoots("tls.clientCAs", cfg.TLS.ClientCAs)
		if err != nil {
			return nil, nil, err
		}
		if authorities != nil {
			tlsConfig = transport.AskClients(tlsConfig, authorities, cfg.TLS.RequireClientCerts)
		}
	}
	certificates, err := cfg.Identity.certificates()
	if err != nil {
		return nil, nil, err
	}
	metrics := prometheus.NewRegistry()
	if err := metrics.Register(newVaultMetrics(h.vault, log)); err != nil {
		return nil, nil, fmt.Errorf("metrics: %w", err)
	}
	if err := metrics.Register(newVerifyMetrics(h.vault, log)); err != nil {
		return nil, nil, fmt.Errorf("metrics: %w", err)
	}
	if err := registerBreakglassMetrics(metrics, h.vault, log); err != nil {
		return nil, nil, fmt.Errorf("metrics: %w", err)
	}
	receivers, tokens, err := cfg.Transfers.receivers(transport.Profile(cfg.TLS.Profile))
	if err != nil {
		return nil, nil, err
	}
	server, err := api.New(api.Config{Vault: h.vault, Auth: auth, Console: console, Receivers: receivers, ReceiverTokens: tokens, PublicURL: cfg.PublicURL, Log: log, TLS: tlsConfig,
		Grace: cfg.ShutdownGrace, Registry: metrics, Certificates: certificates, Limits: cfg.Limits.limits(), Security: cfg.Security.contact()})
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	return server, listener, nil
}

// certificates says whom client certificates prove; nil: nobody.
func (c IdentityConfig) certificates() (*identity.Certificates, error) {
	if len(c.Certificates.People) == 0 {
		return nil, nil
	}
	people := make(map[string]record.Actor)
	for name, who := range c.Certificates.People {
		people[name] = record.Actor{ID: name, Role: record.Role(who.Role), Institution: cmp.Or(who.Institution, c.Institution),
			Issuer: cmp.Or(who.PatientIssuer, c.PatientIssuer), Country: cmp.Or(who.Country, c.Country), Scopes: strings.Join(who.Scopes, " ")}
	}
	return identity.NewCertificates(identity.CertificatesConfig{Subject: c.Certificates.Subject, People: people})
}
