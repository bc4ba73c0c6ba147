package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/pdf"
	"medvault/keys"
	"medvault/keys/insecure"
	"medvault/keys/transit"
	"medvault/storage"
	"medvault/storage/aws"
	"medvault/storage/dir"
	"medvault/storage/minio"
	"medvault/storage/replica"
	"medvault/vault"
	"medvault/vault/access"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// house is a vault with the parts it stands on, opened here and closed here.
type house struct {
	vault   *vault.Vault
	closers []func() error
}

// build makes a vault of what a configuration names. It is the one place that knows
// every concrete type. autoCare is the dev clinician, "" everywhere else.
func build(ctx context.Context, cfg *Config, log *slog.Logger, autoCare string) (*house, error) {
	h := new(house)
	var err error
	if h.vault, err = h.vaultOf(ctx, cfg, log, autoCare); err != nil {
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

func (h *house) vaultOf(ctx context.Context, cfg *Config, log *slog.Logger, autoCare string) (*vault.Vault, error) {
	if err := os.MkdirAll(cfg.Spool, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	engine, err := access.New(nil)
	if err != nil {
		return nil, fmt.Errorf("access policies: %w", err)
	}
	services, err := h.keyServices(cfg)
	if err != nil {
		return nil, err
	}
	regions, byRegion, err := openRegions(ctx, cfg, services)
	if err != nil {
		return nil, err
	}
	set, err := replica.New(replica.Config{Regions: regions, Spool: cfg.Spool})
	if err != nil {
		return nil, err
	}
	dsn, err := cfg.Catalog.Resolve()
	if err != nil {
		return nil, err
	}
	index, err := catalog.Open(ctx, catalog.Config{DSN: dsn})
	if err != nil {
		return nil, err
	}
	h.closers = append(h.closers, index.Close)
	return vault.New(ctx, vault.Config{
		Catalog: index, Regions: set, Services: byRegion, Access: engine,
		Scrubbers: map[record.Kind]imaging.Scrubber{record.KindDICOM: dicom.New(), record.KindPDF: pdf.New()},
		Home:      cfg.Home, Spool: cfg.Spool, Quorum: cfg.Write.Quorum.Of,
		Workers: cfg.Workers.Count, Poll: cfg.Workers.Poll, AutoCare: autoCare, Log: log,
	})
}

// keyServices opens each key service by its name.
func (h *house) keyServices(cfg *Config) (map[string]keys.Wrapper, error) {
	services := make(map[string]keys.Wrapper)
	for _, s := range cfg.Keys.Services {
		w, err := h.keyService(cfg, s)
		if err != nil {
			return nil, fmt.Errorf("key service %s: %w", s.Name, err)
		}
		services[s.Name] = w
	}
	return services, nil
}

func (h *house) keyService(cfg *Config, s KeyServiceConfig) (keys.Wrapper, error) {
	if s.Driver == "insecure" {
		return insecure.New(insecure.Config{Name: s.Name, Path: s.File, Shards: cfg.Keys.Shards})
	}
	roleID, err := s.AppRole.RoleIDFile.Read()
	if err != nil {
		return nil, err
	}
	w, err := transit.New(transit.Config{
		Name: s.Name, Address: s.Address, Mount: s.Mount, Shards: cfg.Keys.Shards, CAFile: s.CAFile,
		Auth: transit.Auth{RoleID: roleID, SecretID: s.AppRole.SecretIDFile.Read}, // read again at each login
	})
	if err != nil {
		return nil, err
	}
	h.closers = append(h.closers, w.Close)
	return w, nil
}

// openRegions opens the buckets of each region, and says which key service each uses.
func openRegions(ctx context.Context, cfg *Config, services map[string]keys.Wrapper) ([]storage.Region, map[string]keys.Wrapper, error) {
	var regions []storage.Region
	byRegion := make(map[string]keys.Wrapper)
	for _, c := range cfg.Regions {
		r := storage.Region{Name: c.Name, Jurisdiction: c.Jurisdiction}
		var err error
		if r.Data, err = openBucket(ctx, c, c.Bucket); err == nil {
			r.Keys, err = openBucket(ctx, c, c.KeysBucket)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("region %s: %w", c.Name, err)
		}
		regions, byRegion[c.Name] = append(regions, r), services[c.Keys]
	}
	return regions, byRegion, nil
}

func openBucket(ctx context.Context, c RegionConfig, bucket string) (storage.Store, error) {
	if c.Driver == "dir" {
		return dir.New(c.Path)
	}
	access, err := c.AccessKeyFile.Read()
	if err != nil {
		return nil, err
	}
	secret, err := c.SecretKeyFile.Read()
	if err != nil {
		return nil, err
	}
	if c.Driver == "aws" {
		return aws.New(ctx, aws.Config{Endpoint: c.Endpoint, Region: c.Region, Bucket: bucket, AccessKey: access, SecretKey: secret})
	}
	return minio.New(ctx, minio.Config{Endpoint: c.Endpoint, Region: c.Region, Bucket: bucket, AccessKey: access, SecretKey: secret,
		Insecure: c.InsecurePlaintext})
}
