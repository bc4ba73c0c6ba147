package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"

	"medvault/api/transport"
	"medvault/imaging/render"
	"medvault/keys"
	"medvault/keys/insecure"
	"medvault/keys/transit"
	"medvault/storage"
	"medvault/storage/aws"
	"medvault/storage/dir"
	"medvault/storage/minio"
	"medvault/storage/replica"
	"medvault/storage/s3"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// house is a vault with the parts it stands on, opened here and closed here.
type house struct {
	vault   *vault.Vault
	closers []func() error
}

// options are what a vault is built with beside its configuration.
type options struct {
	autoCare string // the dev clinician; nobody everywhere else
	rotation bool   // with the credentials that rotate keys: for `keys rotate` alone

	uncertified bool // dev only: regions need no certification
}

// build makes a vault of what a configuration names. It is the one place that knows
// every concrete type.
func build(ctx context.Context, cfg *Config, log *slog.Logger, o options) (*house, error) {
	h := new(house)
	parts, err := h.partsOf(ctx, cfg, log, o)
	if err == nil {
		h.vault, err = vault.New(ctx, parts)
	}
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// close closes the parts, last opened first. The vault's Run has returned.
func (h *house) close() (err error) {
	for i := len(h.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, h.closers[i]())
	}
	return err
}

// partsOf opens the parts of a vault.
func (h *house) partsOf(ctx context.Context, cfg *Config, log *slog.Logger, o options) (parts vault.Config, err error) {
	if err := os.MkdirAll(cfg.Spool, 0o700); err != nil {
		return parts, fmt.Errorf("spool: %w", err)
	}
	engine, err := cfg.engine()
	if err != nil {
		return parts, fmt.Errorf("policies: %w", err)
	}
	profile, err := transport.ParseProfile(cfg.TLS.Profile)
	if err != nil {
		return parts, fmt.Errorf("tls.profile: %w", err)
	}
	services, err := h.keyServices(cfg, profile, o.rotation)
	if err != nil {
		return parts, err
	}
	dsn, err := cfg.Catalog.Resolve()
	if err != nil {
		return parts, err
	}
	index, err := catalog.Open(ctx, catalog.Config{DSN: dsn, TLS: profile.Client(nil)})
	if err != nil {
		return parts, err
	}
	h.closers = append(h.closers, index.Close)
	var begun bool
	if err := index.View(ctx, func(tx *catalog.Tx) (err error) {
		begun, err = tx.Begun(ctx)
		return err
	}); err != nil {
		return parts, err
	}
	regions, byRegion, err := openRegions(ctx, cfg, profile, services, !begun)
	if err != nil {
		return parts, err
	}
	sayCapabilities(ctx, log, regions)
	set, err := replica.New(replica.Config{Regions: regions, Spool: cfg.Spool})
	if err != nil {
		return parts, err
	}
	repository, err := cfg.Audit.Repository.receiver(profile)
	if err != nil {
		return parts, err
	}
	gateway, err := gatewayOf(cfg, engine)
	if err != nil {
		return parts, err
	}
	verifications, err := schedule(cfg.Verify)
	if err != nil {
		return parts, fmt.Errorf("verify: %w", err)
	}
	links := make(map[string]vault.Link)
	terms, err := cfg.terms()
	if err != nil {
		return parts, err
	}
	for _, r := range cfg.Regions {
		if links[r.Name], err = r.link(); err != nil {
			return parts, fmt.Errorf("region %s: bandwidth: %w", r.Name, err)
		}
	}
	alarms, err := cfg.alarms(profile)
	if err != nil {
		return parts, err
	}
	calendar, err := cfg.calendar()
	if err != nil {
		return parts, err
	}
	kept, err := cfg.retention()
	if err != nil {
		return parts, fmt.Errorf("retention: %w", err)
	}
	registers, err := cfg.Transfers.registers()
	if err != nil {
		return parts, err
	}
	parts = vault.Config{
		Registers: registers,
		Alarms:    alarms,
		Calendar:  calendar,
		Retention: kept,
		Officer:   cfg.DPO.officer(),

		Gateway: gateway,
		ATNA:    repository,
		Links:   links,
		Terms:   terms,
		Drill:   cfg.Drill.schedule(),
		Verify:  verifications,
		Catalog: index, Regions: set, Services: byRegion, Access: engine,
		Home: cfg.Home, Spool: cfg.Spool, Quorum: cfg.Write.Quorum.Of,
		Workers: cfg.Workers.Count, Poll: cfg.Workers.Poll, LogExport: cfg.Workers.Log, AutoCare: o.autoCare, CareFrom: cfg.Care.FromDICOM.care(), ContentOnly: cfg.ContentOnly, Uncertified: o.uncertified, Render: render.PNG, Log: log,
	}
	return parts, cfg.documents(&parts)
}

// keyServices opens each key service by its name.
func (h *house) keyServices(cfg *Config, profile transport.Profile, rotation bool) (map[string]keys.Wrapper, error) {
	services := make(map[string]keys.Wrapper)
	for _, s := range cfg.Keys.Services {
		w, err := h.keyService(cfg, s, profile, rotation)
		if err != nil {
			return nil, fmt.Errorf("key service %s: %w", s.Name, err)
		}
		services[s.Name] = w
	}
	return services, nil
}

func (h *house) keyService(cfg *Config, s KeyServiceConfig, profile transport.Profile, rotation bool) (keys.Wrapper, error) {
	if s.Driver == "insecure" {
		return insecure.New(insecure.Config{Name: s.Name, Path: s.File, Shards: cfg.Keys.Shards})
	}
	c := transit.Config{Name: s.Name, Address: s.Address, Mount: s.Mount, Shards: cfg.Keys.Shards, CAFile: s.CAFile, TLS: profile.Client(nil)}
	var err error
	if c.Auth, err = s.AppRole.auth(); err != nil {
		return nil, err
	}
	if rotation {
		rotating, err := s.Rotation.auth()
		if err != nil {
			return nil, err
		}
		c.Rotation = &rotating
	}
	w, err := transit.New(c)
	if err != nil {
		return nil, err
	}
	h.closers = append(h.closers, w.Close)
	return w, nil
}

func (c AppRoleConfig) auth() (transit.Auth, error) {
	roleID, err := c.RoleIDFile.Read()
	return transit.Auth{RoleID: roleID, SecretID: c.SecretIDFile.Read}, err // the secret is read again at each login
}

// openRegions opens all buckets at once, since one that is away takes its time, and
// says which key service each region uses. create makes missing directories: only in a
// vault that is yet to begin, since a region that was lost must not come back empty.
func openRegions(ctx context.Context, cfg *Config, profile transport.Profile, services map[string]keys.Wrapper, create bool) ([]storage.Region, map[string]keys.Wrapper, error) {
	regions := make([]storage.Region, len(cfg.Regions))
	byRegion := make(map[string]keys.Wrapper)
	var opening errgroup.Group
	for i, c := range cfg.Regions {
		byRegion[c.Name] = services[c.Keys]
		regions[i] = storage.Region{Name: c.Name, Jurisdiction: c.Jurisdiction, OneBucket: c.Driver == "dir"}
		open := func(bucket string, into *storage.Store) {
			opening.Go(func() error {
				opened, err := openBucket(ctx, c, bucket, profile, create)
				if err != nil {
					return fmt.Errorf("region %s: %w", c.Name, err)
				}
				*into = opened
				return nil
			})
		}
		open(c.Bucket, &regions[i].Data)
		open(c.KeysBucket, &regions[i].Keys)
	}
	return regions, byRegion, opening.Wait()
}

func openBucket(ctx context.Context, c RegionConfig, bucket string, profile transport.Profile, create bool) (storage.Store, error) {
	if c.Driver == "dir" {
		return dir.New(dir.Config{Root: c.Path, Create: create, Folders: record.Folders(catalog.ClassObjects)})
	}
	roots, err := readRoots("caFile", c.CAFile)
	if err != nil {
		return nil, err
	}
	access, secret, err := c.credentials()
	if err != nil {
		return nil, err
	}
	limits := s3.Limits{Known: !create} // a gateway starts although a region refuses it now
	if bucket == c.Bucket {             // keys are never locked: a patient's erasure is their end
		limits.MaxRetention = c.Lock.length()
	}
	if c.Driver == "aws" {
		return aws.New(ctx, aws.Config{Endpoint: c.Endpoint, Region: c.Region, Bucket: bucket, AccessKey: access, SecretKey: secret,
			PathStyle: c.PathStyle, Insecure: c.InsecurePlaintext, TLS: profile.Client(roots), Limits: limits})
	}
	return minio.New(ctx, minio.Config{Endpoint: c.Endpoint, Region: c.Region, Bucket: bucket, AccessKey: access, SecretKey: secret,
		PathStyle: c.PathStyle, Insecure: c.InsecurePlaintext, TLS: profile.Client(roots), Limits: limits})
}

// credentials of a region; none for the machine's own role.
func (c RegionConfig) credentials() (access, secret string, err error) {
	if c.AccessKeyFile == "" {
		return "", "", nil
	}
	if access, err = c.AccessKeyFile.Read(); err != nil {
		return "", "", err
	}
	secret, err = c.SecretKeyFile.Read()
	return access, secret, err
}

// readRoots reads the authorities to believe; without a file they are the system's.
// key is how the file is named in messages.
func readRoots(key, path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate", key, path)
	}
	return roots, nil
}
