package vaulttest

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"medvault/imaging/dicom"
	"medvault/keys"
	"medvault/storage"
	"medvault/storage/replica"
	"medvault/vault"
	"medvault/vault/access"
	"medvault/vault/catalog"
	"medvault/vault/residency"
)

// Rebuild makes the catalog of a stopped vault anew from one region. logs are further
// regions whose logs may be read.
func Rebuild(ctx context.Context, o Options, from string, logs ...string) (vault.Rebuilt, error) {
	return RebuildWith(ctx, o, from, func(cfg *vault.RebuildConfig) error {
		for _, name := range logs {
			r, _, err := o.region(name, false)
			if err != nil {
				return err
			}
			if name == Foreign {
				cfg.Abroad = append(cfg.Abroad, r)
				continue
			}
			cfg.Logs = append(cfg.Logs, r)
		}
		return nil
	})
}

// RebuildWith is Rebuild with a configuration that change has changed.
func RebuildWith(ctx context.Context, o Options, from string, change func(*vault.RebuildConfig) error) (done vault.Rebuilt, err error) {
	if o.DSN == "" {
		o.DSN = "sqlite:" + filepath.Join(o.Dir, "catalog.db")
	}
	index, err := catalog.Open(ctx, catalog.Config{DSN: o.DSN, Now: o.Now})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	cfg, err := o.rebuild(from)
	if err != nil {
		return done, err
	}
	cfg.Catalog = index
	if err := change(&cfg); err != nil {
		return done, err
	}
	return vault.Rebuild(ctx, cfg)
}

func (o Options) rebuild(from string) (cfg vault.RebuildConfig, err error) {
	region, service, err := o.region(from, false)
	if err != nil {
		return cfg, err
	}
	spool := filepath.Join(o.Dir, "spool", "rebuild")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return cfg, err
	}
	set, err := replica.New(replica.Config{Regions: []storage.Region{region}, Spool: spool})
	if err != nil {
		return cfg, err
	}
	engine, err := access.New(nil)
	if err != nil {
		return cfg, err
	}
	if o.DICOM == nil {
		o.DICOM = dicom.New()
	}
	cfg = vault.RebuildConfig{Config: vault.Config{Regions: set, Services: map[string]keys.Wrapper{from: service}, Access: engine,
		Home: Home, Spool: spool, Log: o.Log, Now: o.Now, InsecureActors: !o.Register, Terms: o.Terms,
		Scrubbers: o.scrubbers()}}
	cfg.Registers = o.registers()
	for _, name := range Regions() {
		place := residency.Region{Name: name, Jurisdiction: Home}
		if name == Foreign {
			place.Jurisdiction = "SG"
		}
		cfg.Places = append(cfg.Places, place)
	}
	return cfg, nil
}
