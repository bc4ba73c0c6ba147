// Package vaulttest makes whole vaults for tests: directory regions, local keys and
// an SQLite catalog, all under one directory, with every real component in place.
package vaulttest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/fhir"
	"medvault/imaging/render"
	"medvault/imaging/report"
	"medvault/keys"
	"medvault/keys/insecure"
	"medvault/storage"
	"medvault/storage/dir"
	"medvault/storage/replica"
	"medvault/vault"
	"medvault/vault/access"
	"medvault/vault/atna"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/residency"
)

// Home of the test vault, and where its foreign region lies.
const (
	Home    = "CN"
	Foreign = "sg-1"
)

// Regions of the test vault in their order: three at home and one abroad.
func Regions() []string { return []string{"cn-north", "cn-east", "cn-south", Foreign} }

// Options of a test vault; the zero value is a fresh one in a temporary directory.
type Options struct {
	Dir      string                                                     // default t.TempDir()
	Bucket   func(region, bucket string) (storage.Store, error)         // opens a bucket that is no directory; nil, nil: it is one after all
	Store    func(region, bucket string, s storage.Store) storage.Store // decorates each bucket ("data" or "keys")
	Wrapper  func(region string, w keys.Wrapper) keys.Wrapper           // decorates each key service
	DSN      string                                                     // default SQLite under Dir
	AutoCare string
	Linger   time.Duration    // how long a superseded object stays; default 100 ms
	Poll     time.Duration    // how often an idle worker looks for work; default as in production
	Lease    time.Duration    // how long a job is one gateway's after its last word; default as in production
	DICOM    imaging.Scrubber // default dicom.New()
	Reports  report.Config    // default: reports are withheld whole
	Split    bool             // keys lie in a directory of their own (NAME-keys), as in a bucket of their own
	Verify   []vault.VerifyEvery
	Log      *slog.Logger
	Now      func() time.Time
	Links    map[string]vault.Link // how much of a region background copies may take
	Terms    map[string]vault.RegionTerms
	Without  []string // regions that are not configured (any more)

	Registers *residency.Registers // default TrialRegisters

	Quorum    func(permitted int) int
	Drill     vault.DrillEvery
	Gateway   vault.Gateway
	ATNA      *atna.Receiver
	LogExport time.Duration // how often the log goes to the regions; default only when asked to

	CareFrom vault.CareFromDICOM

	Attachments vault.Attachments

	ContentOnly bool // a gateway of content keys alone, beside one that has them all

	Alarms  vault.AlarmConfig // who is told what is due; default nobody
	Officer vault.Officer     // default nobody

	Register bool // the staff register is asked; default: everybody is who they say
}

// TrialRegisters know that the country of the foreign region is adequate, and take whoever
// is named as a recipient for an institution at home.
func TrialRegisters() residency.Registers {
	expires := time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)
	return residency.Registers{
		Countries:  map[string]residency.Country{"SG": {Document: "trial", Expires: expires}},
		Recipients: map[string]residency.Recipient{residency.Anyone: {Country: Home, Document: "trial", Expires: expires}},
	}
}

func (o Options) registers() residency.Registers {
	if o.Registers == nil {
		return TrialRegisters()
	}
	return *o.Registers
}

// House is a running vault and what it is made of.
type House struct {
	*vault.Vault
	Dir     string
	Catalog *catalog.Catalog
	Set     *replica.Set
	stop    func()
}

// New runs a vault until the test ends.
func New(t testing.TB, o Options) *House {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	h, err := Open(t.Context(), o)
	if err != nil {
		t.Fatalf("test vault: %v", err)
	}
	t.Cleanup(h.Stop)
	return h
}

// Open runs a vault until Stop.
func Open(ctx context.Context, o Options) (*House, error) {
	if o.DSN == "" {
		o.DSN = "sqlite:" + filepath.Join(o.Dir, "catalog.db")
	}
	spool := filepath.Join(o.Dir, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return nil, err
	}
	index, err := catalog.Open(ctx, catalog.Config{DSN: o.DSN, Now: o.Now})
	if err != nil {
		return nil, err
	}
	h := &House{Dir: o.Dir, Catalog: index}
	cfg, err := h.parts(ctx, o, spool)
	if err == nil {
		h.Vault, err = vault.New(ctx, cfg)
	}
	if err != nil {
		return nil, errors.Join(err, index.Close())
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(run)
	}()
	h.stop = func() {
		cancel()
		<-done
		index.Close()
	}
	return h, nil
}

// ImportLog is vault.ImportLog on the parts of a test vault that does not run.
func ImportLog(ctx context.Context, o Options, region string, a record.Actor) (done vault.LogImport, err error) {
	index, err := catalog.Open(ctx, catalog.Config{DSN: cmp.Or(o.DSN, "sqlite:"+filepath.Join(o.Dir, "catalog.db")), Now: o.Now})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	cfg, err := (&House{Dir: o.Dir, Catalog: index}).parts(ctx, o, filepath.Join(o.Dir, "spool"))
	if err != nil {
		return done, err
	}
	return vault.ImportLog(ctx, cfg, region, a)
}

// parts makes what the vault is built of, over its catalog. As in production only a new
// vault makes the directories of its regions.
func (h *House) parts(ctx context.Context, o Options, spool string) (vault.Config, error) {
	var begun bool
	err := h.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		begun, err = tx.Begun(ctx)
		return err
	})
	if err != nil {
		return vault.Config{}, err
	}
	var regions []storage.Region
	services := make(map[string]keys.Wrapper)
	for _, name := range Regions() {
		if slices.Contains(o.Without, name) {
			continue
		}
		region, service, err := o.region(name, !begun)
		if err != nil {
			return vault.Config{}, err
		}
		regions, services[name] = append(regions, region), service
	}
	if h.Set, err = replica.New(replica.Config{Regions: regions, Spool: spool}); err != nil {
		return vault.Config{}, err
	}
	if o.DICOM == nil {
		o.DICOM = dicom.New()
	}
	engine, err := access.New(nil)
	if err != nil {
		return vault.Config{}, err
	}
	return vault.Config{
		Registers: o.registers(),
		Catalog:   h.Catalog, Regions: h.Set, Services: services, Access: engine, Home: Home, Spool: spool, Terms: o.Terms,
		Scrubbers: o.scrubbers(), Attachments: o.Attachments, RenderPage: o.Reports.Page,
		Render: render.PNG, Linger: cmp.Or(o.Linger, 100*time.Millisecond), AutoCare: o.AutoCare, CareFrom: o.CareFrom, Verify: o.Verify, Log: o.Log, Now: o.Now,
		LogExport: cmp.Or(o.LogExport, -1), Poll: o.Poll, Lease: o.Lease, Links: o.Links, Quorum: o.Quorum, Drill: o.Drill, Gateway: o.Gateway, ATNA: o.ATNA, InsecureActors: !o.Register, ContentOnly: o.ContentOnly, Alarms: o.Alarms, Officer: o.Officer,
	}, nil
}

func (o Options) scrubbers() map[record.Kind]imaging.Scrubber {
	images := o.DICOM
	if base, ok := images.(dicom.Scrubber); ok {
		images = report.NewImages(base, o.Reports)
	}
	return map[record.Kind]imaging.Scrubber{
		record.KindDICOM: images, record.KindPDF: report.New(o.Reports), record.KindScan: report.NewScans(o.Reports), record.KindFHIR: fhir.New(),
	}
}

func (o Options) region(name string, create bool) (storage.Region, keys.Wrapper, error) {
	r := storage.Region{Name: name, Jurisdiction: Home, OneBucket: !o.Split}
	if name == Foreign {
		r.Jurisdiction = "SG"
	}
	var err error
	if r.Data, err = o.bucket(name, "data", name, create); err != nil {
		return r, nil, err
	}
	if r.Keys = r.Data; o.Split || o.Bucket != nil {
		if r.Keys, err = o.bucket(name, "keys", name+"-keys", create); err != nil {
			return r, nil, err
		}
		r.OneBucket = false
	}
	if o.Store != nil {
		r.Data, r.Keys = o.Store(name, "data", r.Data), o.Store(name, "keys", r.Keys)
	}
	w, err := insecure.New(insecure.Config{Name: name, Path: filepath.Join(o.Dir, "keys", name+".json"), Shards: 8})
	if err != nil {
		return r, nil, err
	}
	if o.Wrapper != nil {
		return r, o.Wrapper(name, w), nil
	}
	return r, w, nil
}

// bucket opens a bucket of a region: what the options say, or a directory.
func (o Options) bucket(region, bucket, folder string, create bool) (storage.Store, error) {
	if o.Bucket != nil {
		if s, err := o.Bucket(region, bucket); s != nil || err != nil {
			return s, err
		}
	}
	return dir.New(dir.Config{Root: filepath.Join(o.Dir, "regions", folder), Create: create})
}

// Stop ends the vault and waits for its workers.
func (h *House) Stop() {
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// Actor is a person of that role, at home, acting for the role's own purpose.
func Actor(role record.Role) record.Actor {
	return record.Actor{ID: string(role) + "-1", Role: role, Institution: "test-hospital", Issuer: "TEST", Country: Home, Purpose: record.DefaultPurpose(role)}
}
