package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"sync"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// RegionStatus is what the vault knows of one region.
type RegionStatus struct {
	Name         string `json:"name"`
	Jurisdiction string `json:"jurisdiction"`
	Reachable    bool   `json:"reachable"`
	KeyService   bool   `json:"keyService"` // it can wrap and unwrap now
	Objects      int64  `json:"objects"`    // the catalog says it holds
	Bytes        int64  `json:"bytes"`
	Pending      int64  `json:"pending"` // copies still to be made
	Problem      string `json:"problem,omitempty"`
}

// Regions tells the state of every region.
func (v *Vault) Regions(ctx context.Context, a record.Actor) ([]RegionStatus, error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionRegions}, nil); err != nil {
		return nil, err
	}
	return v.State(ctx)
}

// State is Regions for monitoring: as Ready it asks no actor and writes no leaf.
func (v *Vault) State(ctx context.Context) ([]RegionStatus, error) {
	regions := v.cfg.Regions.Regions()
	states := make([]RegionStatus, len(regions))
	var wg sync.WaitGroup
	for i, r := range regions {
		wg.Go(func() { states[i] = v.probe(ctx, r) })
	}
	wg.Wait()
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		for i := range states {
			s := &states[i]
			if s.Objects, s.Bytes, s.Pending, err = tx.RegionStats(ctx, s.Name); err != nil {
				return err
			}
		}
		return nil
	})
	return states, err
}

// probeTimeout bounds how long a region or key service may take to answer a probe.
const probeTimeout = 3 * time.Second

// probe asks a region and its key service for a sign of life.
func (v *Vault) probe(ctx context.Context, r storage.Region) RegionStatus {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s := RegionStatus{Name: r.Name, Jurisdiction: r.Jurisdiction, Reachable: true, KeyService: true}
	for _, bucket := range []storage.Store{r.Data, r.Keys} {
		if _, err := bucket.Head(ctx, "probe/none"); err != nil && !errors.Is(err, storage.ErrNotExist) {
			s.Reachable, s.Problem = false, "region does not answer"
		}
	}
	if err := v.cfg.Services[r.Name].Health(ctx); err != nil {
		s.KeyService = false
		s.Problem = strings.TrimPrefix(s.Problem+"; key service does not answer", "; ")
	}
	return s
}

// health says whether enough home regions with their key services answer to store
// and open, and names those that do not.
func (v *Vault) health(ctx context.Context) (ready bool, missing []string) {
	home := v.homeRegions()
	states := make([]RegionStatus, len(home))
	var wg sync.WaitGroup
	for i, r := range home {
		wg.Go(func() { states[i] = v.probe(ctx, r) })
	}
	wg.Wait()
	for _, s := range states {
		if s.Problem != "" {
			missing = append(missing, s.Name+": "+s.Problem)
		}
	}
	return len(home)-len(missing) >= v.cfg.Quorum(len(home)), missing
}

// VerifyOptions chooses what to prove.
type VerifyOptions struct {
	Level  string // "list" or "read"
	Region string // "" is all
}

// Finding is one thing that is not as it must be.
type Finding struct {
	Type     string `json:"type"` // missing, wrong-size, damaged, foreign, unreachable
	Region   string `json:"region"`
	Object   string `json:"object"` // object id, or the key where there is none
	Evidence string `json:"evidence"`
	Repair   string `json:"repair"`
}

// Report of a verification.
type Report struct {
	Level    string    `json:"level"`
	Regions  []string  `json:"regions"`
	Checked  int64     `json:"checked"`
	Findings []Finding `json:"findings"`
}

// Verify compares regions with what the catalog says they hold: at level list the
// names and sizes, at level read the SHA-256 of every object's bytes, and at both
// the presence of every wrap. It touches no key. progress may be nil.
func (v *Vault) Verify(ctx context.Context, a record.Actor, o VerifyOptions, progress func(done, total int64)) (Report, error) {
	if o.Level != "list" && o.Level != "read" {
		return Report{}, record.Refuse(record.ErrInvalid, "unknown-level", "level is list or read")
	}
	regions := v.cfg.Regions.Regions()
	if o.Region != "" {
		r, ok := v.cfg.Regions.Region(o.Region)
		if !ok {
			return Report{}, record.Refuse(record.ErrInvalid, "unknown-region", "see the list of regions")
		}
		regions = []storage.Region{r}
	}
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionVerify}, nil); err != nil {
		return Report{}, err
	}
	check := &verification{v: v, level: o.Level, report: Report{Level: o.Level, Findings: []Finding{}}, progress: progress}
	states, err := v.State(ctx)
	if err != nil {
		return Report{}, err
	}
	for _, s := range states {
		if o.Region == "" || s.Name == o.Region {
			check.total += s.Objects
		}
	}
	for _, r := range regions {
		check.report.Regions = append(check.report.Regions, r.Name)
		if err := check.region(ctx, r); err != nil {
			return Report{}, err
		}
	}
	return check.report, nil
}

type verification struct {
	v        *Vault
	level    string
	total    int64
	progress func(done, total int64)

	mu     sync.Mutex
	report Report
}

func (c *verification) found(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Findings = append(c.report.Findings, f)
}

func (c *verification) checked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Checked++
	if c.progress != nil {
		c.progress(c.report.Checked, c.total)
	}
}

// readers is how many objects of a region are read at once.
const readers = 4

// region checks one region. A region that breaks off is a finding, not an error.
func (c *verification) region(ctx context.Context, r storage.Region) error {
	read := make(chan catalog.Expected)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for e := range read {
				c.read(ctx, r, e)
			}
		})
	}
	strays, err := c.compare(ctx, r, read)
	close(read)
	wg.Wait()
	if err == nil {
		err = c.wraps(ctx, r)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if !errors.Is(err, errRegion) {
			return err
		}
		c.found(Finding{Type: "unreachable", Region: r.Name, Object: "", Evidence: "the region broke off while it was listed", Repair: "bring the region back and verify again"})
	}
	return c.strays(ctx, r, strays)
}

// errRegion marks errors of a region's store, as against the catalog's.
var errRegion = errors.New("region")

// compare walks the region's listing and the manifest side by side, both sorted by
// key, in constant memory but for what is found. It returns the keys no record names.
func (c *verification) compare(ctx context.Context, r storage.Region, read chan<- catalog.Expected) (strays []string, err error) {
	for _, class := range []string{"objects/", "records/"} {
		next, stop := iter.Pull2(r.Data.List(ctx, class, ""))
		defer stop()
		there, listErr, more := next()
		for e, err := range c.manifest(ctx, r.Name, class) {
			if err != nil {
				return strays, err
			}
			for more && listErr == nil && there.Key < e.Key {
				strays = append(strays, there.Key)
				there, listErr, more = next()
			}
			if listErr != nil {
				return strays, fmt.Errorf("%w: %w", errRegion, listErr)
			}
			if !more || there.Key != e.Key {
				if err := c.absent(ctx, r.Name, e); err != nil {
					return strays, err
				}
				continue
			}
			c.checked()
			if there.Size != e.Size {
				c.found(Finding{Type: "wrong-size", Region: r.Name, Object: string(e.ID),
					Evidence: fmt.Sprintf("%d bytes, must be %d", there.Size, e.Size), Repair: repairObject})
			} else if c.level == "read" {
				read <- e
			}
			there, listErr, more = next()
		}
		for ; more && listErr == nil; there, listErr, more = next() {
			strays = append(strays, there.Key)
		}
		if listErr != nil {
			return strays, fmt.Errorf("%w: %w", errRegion, listErr)
		}
	}
	return strays, nil
}

// manifest yields what a region must hold of one class, in order of key.
func (c *verification) manifest(ctx context.Context, region, class string) iter.Seq2[catalog.Expected, error] {
	return func(yield func(catalog.Expected, error) bool) {
		after := class
		for {
			var page []catalog.Expected
			err := c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
				page, err = tx.Manifest(ctx, region, after, 1000)
				return err
			})
			if err != nil {
				yield(catalog.Expected{}, err)
				return
			}
			for _, e := range page {
				if !strings.HasPrefix(e.Key, class) {
					return
				}
				if !yield(e, nil) {
					return
				}
				after = e.Key
			}
			if len(page) == 0 {
				return
			}
		}
	}
}

const repairObject = "copy from a region that passes read"

// copyGrace is how long a promised copy may be on its way before its absence counts.
const copyGrace = time.Minute

// absent names an object that is not in the listing, unless its copy is on its way.
func (c *verification) absent(ctx context.Context, region string, e catalog.Expected) error {
	if !e.Placed {
		var o catalog.Object
		err := c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			o, err = tx.Object(ctx, e.ID)
			return err
		})
		if err != nil || c.v.cfg.Now().Sub(o.Created) < copyGrace {
			return err
		}
	}
	evidence := "not in the listing"
	if !e.Placed {
		evidence = "its copy is still to be made"
	}
	c.found(Finding{Type: "missing", Region: region, Object: string(e.ID), Evidence: evidence, Repair: repairObject})
	return nil
}

// read streams an object and compares its hash.
func (c *verification) read(ctx context.Context, r storage.Region, e catalog.Expected) {
	body, err := r.Data.Get(ctx, e.Key, 0, -1)
	sum := sha256.New()
	if err == nil {
		_, err = io.Copy(sum, body)
		err = errors.Join(err, body.Close())
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.found(Finding{Type: "damaged", Region: r.Name, Object: string(e.ID), Evidence: "cannot be read to its end", Repair: repairObject})
	case [32]byte(sum.Sum(nil)) != e.SHA256:
		c.found(Finding{Type: "damaged", Region: r.Name, Object: string(e.ID), Evidence: fmt.Sprintf("SHA-256 is %x, must be %x", sum.Sum(nil), e.SHA256),
			Repair: repairObject})
	}
}

// wraps checks that the region holds the wraps its own key service made, and a
// foreign one none.
func (c *verification) wraps(ctx context.Context, r storage.Region) error {
	if r.Jurisdiction != c.v.cfg.Home {
		return c.foreignWraps(ctx, r)
	}
	for row, err := range c.serviceWraps(ctx, c.v.cfg.Services[r.Name].Name()) {
		if err != nil {
			return err
		}
		if err := c.wrap(ctx, r, row); err != nil {
			return err
		}
	}
	return nil
}

func (c *verification) wrap(ctx context.Context, r storage.Region, row catalog.WrapRow) error {
	key := row.Wrap.Key(row.Binding)
	info, err := r.Keys.Head(ctx, key)
	if errors.Is(err, storage.ErrNotExist) {
		needed, err := c.needsWrap(ctx, r.Name, row)
		if err != nil || !needed {
			return err
		}
		c.checked()
		c.found(Finding{Type: "missing", Region: r.Name, Object: key, Evidence: "the wrap is not there", Repair: repairWrap})
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errRegion, err)
	}
	c.checked()
	if info.Size != int64(len(row.Blob)) {
		c.found(Finding{Type: "wrong-size", Region: r.Name, Object: key,
			Evidence: fmt.Sprintf("%d bytes, must be %d", info.Size, len(row.Blob)), Repair: repairWrap})
	} else if c.level == "read" {
		c.readWrap(ctx, r, key, row.Blob)
	}
	return nil
}

const repairWrap = "put the catalog's wrap there again"

// maxShards is the most KEK shards a key service may have of one kind.
const maxShards = 256

// serviceWraps yields all wraps of one key service, shard by shard.
func (c *verification) serviceWraps(ctx context.Context, service string) iter.Seq2[catalog.WrapRow, error] {
	const page = 500
	return func(yield func(catalog.WrapRow, error) bool) {
		for _, kind := range []keys.Kind{keys.House, keys.Content, keys.Identity} {
			for _, shard := range keys.ShardNames(kind, maxShards) {
				for after, more := "", true; more; {
					var rows []catalog.WrapRow
					err := c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
						rows, err = tx.ShardWraps(ctx, service, kind, shard, math.MaxInt, after, page)
						return err
					})
					if err != nil {
						yield(catalog.WrapRow{}, err)
						return
					}
					for _, row := range rows {
						if !yield(row, nil) {
							return
						}
						after = row.After()
					}
					more = len(rows) == page
				}
			}
		}
	}
}

// needsWrap says whether the region holds anything that the wrap opens. Keys are
// fixed before the first document is sealed, so a refused upload leaves wraps that
// no region was ever given.
func (c *verification) needsWrap(ctx context.Context, region string, row catalog.WrapRow) (needed bool, err error) {
	if row.Kind == keys.House {
		return true, nil
	}
	err = c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		docs, err := tx.Documents(ctx, catalog.Scope{Patient: record.PatientToken(row.Token)})
		if err != nil {
			return err
		}
		for _, d := range docs {
			placed, err := tx.Placements(ctx, d.ID)
			if err != nil || placed[region] {
				needed = placed[region]
				return err
			}
		}
		return nil
	})
	return needed, err
}

// foreignWraps: no patient's consent covers reading abroad, so no wrap may lie there.
func (c *verification) foreignWraps(ctx context.Context, r storage.Region) error {
	for _, class := range []string{"house/", "wraps/"} {
		for info, err := range r.Keys.List(ctx, class, "") {
			if err != nil {
				return fmt.Errorf("%w: %w", errRegion, err)
			}
			c.found(Finding{Type: "foreign", Region: r.Name, Object: info.Key, Evidence: "no key may lie abroad", Repair: "delete it and rotate its shard"})
		}
	}
	return nil
}

func (c *verification) readWrap(ctx context.Context, r storage.Region, key, want string) {
	body, err := r.Keys.Get(ctx, key, 0, -1)
	var got []byte
	if err == nil {
		got, err = io.ReadAll(io.LimitReader(body, int64(len(want))+1))
		err = errors.Join(err, body.Close())
	}
	if err != nil || string(got) != want {
		c.found(Finding{Type: "damaged", Region: r.Name, Object: key, Evidence: "the wrap is not what its key service made", Repair: repairWrap})
	}
}

// strays names what no record knows. An upload may have been between its quorum and
// its commit, so each is looked at again after a moment.
func (c *verification) strays(ctx context.Context, r storage.Region, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
	}
	for _, key := range keys {
		id, err := record.ParseObjectID(key[strings.LastIndexByte(key, '/')+1:])
		name := key
		if err == nil {
			name = string(id)
			promised, err := c.promised(ctx, id, r.Name)
			if err != nil {
				return err
			}
			if promised {
				continue
			}
		}
		if _, err := r.Data.Head(ctx, key); errors.Is(err, storage.ErrNotExist) {
			continue // taken away since
		}
		c.found(Finding{Type: "foreign", Region: r.Name, Object: name, Evidence: "no record names it", Repair: "quarantine"})
	}
	return nil
}

func (c *verification) promised(ctx context.Context, id record.ObjectID, region string) (promised bool, err error) {
	err = c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		regions, err := tx.Placements(ctx, id)
		_, promised = regions[region]
		return err
	})
	return promised, err
}
