package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"medvault/api/transport"
	"medvault/imaging/report"
	"medvault/keys"
	"medvault/storage"
	"medvault/storage/replica"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/residency"
)

func newRebuildCommand(a *app) *cobra.Command {
	var at offline
	var from string
	cmd := &cobra.Command{
		Use:   "rebuild (--config FILE | --dev DIR) --from REGION",
		Short: "make a lost catalog anew from one region and its key service",
		Long: `rebuild makes the catalog that the configuration names, which must be empty, from one
region of the home jurisdiction and that region's key service. No gateway may run. It
takes over the region's log and compares its root; then it reads every object and record
there, compares its SHA-256 with the log, opens it, and writes its row. Nothing is
written into the region. Of other regions that answer only the log is read, so that the
new log goes on where the longest ends.

What lies there and no leaf names is taken in with a leaf of its own, if it opens whole,
and listed. What the log names and the region lacks is listed with the regions that were
promised it, and where that is a record its patient is frozen. What was lost of the log
itself nobody can list: the report says up to when it is known.

Cut off, the same command goes on where it was. Another region brings what this one
lacked: run it again with --from OTHER before a gateway starts. Afterwards the gateways
bring every other region what it must hold.

Exit code 3: something did not come back, and what. Exit code 4: the catalog is in use,
or two regions' logs differ.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.rebuild(cmd.Context(), &at, from) },
	}
	cmd.Flags().StringVar(&from, "from", "", "region to make the catalog from (required)")
	at.addFlags(cmd)
	return cmd
}

func (a *app) rebuild(ctx context.Context, at *offline, from string) (err error) {
	cfg, unlock, err := at.open(true)
	if err != nil {
		return err
	}
	h := new(house)
	defer func() { err = errors.Join(err, h.close(), unlock()) }()
	parts, err := h.rebuildParts(ctx, cfg, from, a.warnings())
	if err != nil {
		return err
	}
	if parts.Logs, parts.Abroad, err = otherLogs(ctx, cfg, from, a.warnings()); err != nil {
		return err
	}
	if parts.Catalog, err = h.openCatalog(ctx, cfg); err != nil {
		return err
	}
	bar := a.newProgress("rebuild", -1, false)
	parts.Progress = func(p vault.RebuildProgress) { bar.set(p.Objects, -1) }
	done, err := vault.Rebuild(ctx, parts)
	bar.finish()
	if errors.Is(err, vault.ErrCatalogInUse) || errors.Is(err, vault.ErrLogForked) || errors.Is(err, vault.ErrNoHouseKeys) {
		return refusedError{err}
	}
	if err != nil {
		return err
	}
	if err := a.print(done, func(w io.Writer) { printRebuilt(w, done) }); err != nil {
		return err
	}
	lacks := 0
	for _, f := range done.Findings {
		if f.Lacks() {
			lacks++
		}
	}
	if lacks > 0 {
		return findingsError{fmt.Errorf("rebuild: %d findings about what did not come back", lacks)}
	}
	return nil
}

func printRebuilt(w io.Writer, d vault.Rebuilt) {
	fmt.Fprintf(w, "%d documents and %d records of %d patients from %s in %s: %d objects, %.1f MiB, %.1f minutes per 100,000 objects\n",
		d.Documents, d.Records, d.Patients, d.Region, time.Duration(d.Seconds*float64(time.Second)).Round(time.Second/10),
		d.Objects, float64(d.Bytes)/(1<<20), d.MinutesPer100000)
	if d.Log.Size == 0 {
		fmt.Fprintln(w, "log: the region has none; how much of it was lost is not known")
	} else {
		fmt.Fprintf(w, "log: known up to leaf %d of %s, as %s has it; later ones are lost, their number is not known\n",
			d.Log.Size, d.Log.Newest.Format(time.RFC3339), d.Log.Region)
	}
	for _, l := range d.Log.Lost {
		fmt.Fprintf(w, "log: %s holds a signed head of %d leaves, of which %d are lost; a leaf states it\n", l.Region, l.Size, l.Lost)
	}
	fmt.Fprintf(w, "log now: %d leaves, root %s\n", d.Size, d.Root)
	if len(d.Findings) == 0 {
		return
	}
	rows := [][]string{{"FINDING", "REGION", "OBJECT", "EVIDENCE", "PROMISED TO", "REPAIR"}}
	for _, f := range d.Findings {
		rows = append(rows, []string{f.Type, f.Region, f.Object, f.Evidence, fmt.Sprint(f.Promised), f.Repair})
	}
	table(w, rows)
}

func (a *app) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// openCatalog opens the database that the configuration names.
func (h *house) openCatalog(ctx context.Context, cfg *Config) (*catalog.Catalog, error) {
	profile, err := transport.ParseProfile(cfg.TLS.Profile)
	if err != nil {
		return nil, fmt.Errorf("tls.profile: %w", err)
	}
	dsn, err := cfg.Catalog.Resolve()
	if err != nil {
		return nil, err
	}
	index, err := catalog.Open(ctx, catalog.Config{DSN: dsn, TLS: profile.Client(nil)})
	if err == nil {
		h.closers = append(h.closers, index.Close)
	}
	return index, err
}

// rebuildParts opens one region and its key service, and nothing else: the others may be
// gone for ever.
func (h *house) rebuildParts(ctx context.Context, cfg *Config, from string, log *slog.Logger) (parts vault.RebuildConfig, err error) {
	alone, service, err := cfg.only(from)
	if err != nil {
		return parts, err
	}
	profile, err := transport.ParseProfile(cfg.TLS.Profile)
	if err != nil {
		return parts, fmt.Errorf("tls.profile: %w", err)
	}
	// Not the gateway's own: what its spool says is unfinished the lost catalog may have
	// known as finished.
	spool := filepath.Join(cfg.Spool, "rebuild")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return parts, fmt.Errorf("spool: %w", err)
	}
	wrapper, err := h.keyService(cfg, service, profile, false)
	if err != nil {
		return parts, fmt.Errorf("key service %s: %w", service.Name, err)
	}
	regions, services, err := openRegions(ctx, alone, profile, map[string]keys.Wrapper{service.Name: wrapper}, false)
	if err != nil {
		return parts, err
	}
	set, err := replica.New(replica.Config{Regions: regions, Spool: spool})
	if err != nil {
		return parts, err
	}
	engine, err := cfg.engine()
	if err != nil {
		return parts, fmt.Errorf("policies: %w", err)
	}
	scrubber, err := cfg.Deidentification.scrubber()
	if err != nil {
		return parts, err
	}
	parts.Config = vault.Config{Regions: set, Services: services, Access: engine, Home: cfg.Home, Spool: spool, Workers: cfg.Workers.Count, Log: log,
		Scrubbers: scrubbers(scrubber, report.Config{})}
	if parts.Terms, err = cfg.terms(); err != nil {
		return parts, err
	}
	if parts.Registers, err = cfg.Transfers.registers(); err != nil {
		return parts, err
	}
	for _, r := range cfg.Regions {
		parts.Places = append(parts.Places, residency.Region{Name: r.Name, Jurisdiction: r.Jurisdiction})
	}
	return parts, nil
}

// only is a copy of the configuration with one region, and that region's key service.
func (c *Config) only(region string) (*Config, KeyServiceConfig, error) {
	if region == "" {
		return nil, KeyServiceConfig{}, usagef("--from REGION: from which?")
	}
	for _, r := range c.Regions {
		if r.Name != region {
			continue
		}
		for _, s := range c.Keys.Services {
			if s.Name == r.Keys {
				alone := *c
				alone.Regions = []RegionConfig{r}
				return &alone, s, nil
			}
		}
	}
	return nil, KeyServiceConfig{}, usagef("--from %s: the configuration has no such region", region)
}

// otherTimeout bounds how long another region is waited for.
const otherTimeout = 10 * time.Second

// otherLogs opens the other regions that answer, at home and abroad.
func otherLogs(ctx context.Context, cfg *Config, from string, log *slog.Logger) (others, abroad []storage.Region, err error) {
	profile, err := transport.ParseProfile(cfg.TLS.Profile)
	if err != nil {
		return nil, nil, fmt.Errorf("tls.profile: %w", err)
	}
	for _, c := range cfg.Regions {
		if c.Name == from {
			continue
		}
		alone := *cfg
		alone.Regions = []RegionConfig{c}
		opening, cancel := context.WithTimeout(ctx, otherTimeout)
		regions, _, err := openRegions(opening, &alone, profile, nil, false)
		cancel()
		if err != nil {
			log.Warn("region does not answer; its log is not compared", "region", c.Name, "err", err)
			continue
		}
		if c.Jurisdiction != cfg.Home {
			abroad = append(abroad, regions...)
			continue
		}
		others = append(others, regions...)
	}
	return others, abroad, nil
}
