package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"sync"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// VerifyOptions chooses what to prove.
type VerifyOptions struct {
	Level  string // "list" or "read"
	Region string // "" is all
}

// Finding is one thing that is not as it must be.
type Finding struct {
	Type     string `json:"type"`   // missing, wrong-size, damaged, foreign, unreachable, index-damaged
	Region   string `json:"region"` // or "catalog"
	Object   string `json:"object"` // object id, or the key where there is none
	Evidence string `json:"evidence"`
	Repair   string `json:"repair"`
}

// Report of a verification.
type Report struct {
	Level    string    `json:"level"`
	Regions  []string  `json:"regions"`
	Checked  int64     `json:"checked"` // objects and wraps
	Findings []Finding `json:"findings"`
	// Quarantined counts the bad bytes that repairs have put aside.
	Quarantined int64 `json:"quarantined"`
}

// Verify compares regions with what the catalog says they hold, and names what nobody
// put there: at level list by names and sizes, at level read by the SHA-256 of every
// object's bytes, with which the catalog's own copy of its end is compared too. It
// touches no key. progress may be nil.
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
	check := &verification{v: v, level: o.Level, report: Report{Level: o.Level, Findings: []Finding{}}, progress: progress, badRows: make(map[record.ObjectID]bool)}
	if err := check.count(ctx, regions); err != nil {
		return Report{}, err
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
	progress func(done, total int64)

	mu      sync.Mutex
	total   int64
	report  Report
	badRows map[record.ObjectID]bool // of the catalog
}

// count tells what there is to check: the objects that regions hold and the wraps of
// their key services.
func (c *verification) count(ctx context.Context, regions []storage.Region) error {
	return c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		c.total = 0 // a view may run again
		for _, r := range regions {
			objects, _, _, err := tx.RegionStats(ctx, r.Name)
			if err != nil {
				return err
			}
			c.total += objects
			if !c.atHome(r) {
				continue
			}
			wraps, err := tx.CountWraps(ctx, c.v.cfg.Services[r.Name].Name())
			if err != nil {
				return err
			}
			c.total += wraps
		}
		return nil
	})
}

func (c *verification) atHome(r storage.Region) bool { return r.Jurisdiction == c.v.cfg.Home }

func (c *verification) found(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Findings = append(c.report.Findings, f)
}

func (c *verification) checked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Checked++
	c.tell()
}

// spared says that one of those counted is not to be checked.
func (c *verification) spared() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	c.tell()
}

// tell reports the progress; c.mu is held.
func (c *verification) tell() {
	c.total = max(c.total, c.report.Checked) // uploads go on meanwhile
	if c.progress != nil {
		c.progress(c.report.Checked, c.total)
	}
}

func (c *verification) quarantined() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Quarantined++
}

// readers is how many objects of a region are read at once.
const readers = 4

// region checks one region. A region that breaks off is a finding, not an error.
func (c *verification) region(ctx context.Context, r storage.Region) error {
	r.Data, r.Keys = persistent{r.Data}, persistent{r.Keys}
	read := make(chan catalog.Expected)
	var wg sync.WaitGroup
	errs := make([]error, readers)
	for i := range readers {
		wg.Go(func() {
			for e := range read {
				if err := c.read(ctx, r, e); err != nil {
					errs[i] = err
				}
			}
		})
	}
	strays, err := c.compare(ctx, r, read)
	close(read)
	wg.Wait()
	if failed := errors.Join(errs...); failed != nil && ctx.Err() == nil {
		return failed
	}
	if err == nil && c.atHome(r) {
		err = c.wraps(ctx, r)
	}
	if err == nil {
		var more []stray
		more, err = c.keyNames(ctx, r)
		strays = append(strays, more...)
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

// compare walks the whole listing of a region's data and the manifest side by side,
// both sorted by key, in constant memory but for what is found. It returns what no
// record names.
func (c *verification) compare(ctx context.Context, r storage.Region, read chan<- catalog.Expected) (strays []stray, err error) {
	next, stop := iter.Pull2(r.Data.List(ctx, "", ""))
	defer stop()
	there, listErr, more := next()
	for e, err := range c.manifest(ctx, r.Name) {
		if err != nil {
			return strays, err
		}
		for ; more && listErr == nil && there.Key < e.Key; there, listErr, more = next() {
			strays = c.unexpected(strays, r, there.Key)
		}
		if listErr != nil {
			return strays, fmt.Errorf("%w: %w", errRegion, listErr)
		}
		present := false
		if more && there.Key == e.Key {
			present = there.Size == e.Size
			there, listErr, more = next()
		}
		if e.Leaves { // a job takes it away, or just has
			if e.Placed {
				c.spared()
			}
			continue
		}
		if !present {
			if present, err = c.lookAgain(ctx, r, e); err != nil {
				return strays, err
			}
		}
		switch {
		case present && c.level == "read":
			read <- e
		case present || e.Placed:
			c.checked()
		}
	}
	for ; more && listErr == nil; there, listErr, more = next() {
		strays = c.unexpected(strays, r, there.Key)
	}
	if listErr != nil {
		return strays, fmt.Errorf("%w: %w", errRegion, listErr)
	}
	return strays, nil
}

// lookAgain asks for an object itself before it is accused: a page of the listing may
// be older than the manifest. It says whether the object lies there in its size, and
// names what does not.
func (c *verification) lookAgain(ctx context.Context, r storage.Region, e catalog.Expected) (present bool, err error) {
	info, err := r.Data.Head(ctx, e.Key)
	if errors.Is(err, storage.ErrNotExist) {
		return false, c.absent(ctx, r.Name, e)
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", errRegion, err)
	}
	if info.Size != e.Size {
		c.found(Finding{Type: "wrong-size", Region: r.Name, Object: string(e.ID),
			Evidence: fmt.Sprintf("%d bytes, must be %d", info.Size, e.Size), Repair: repairObject})
		return false, nil
	}
	return true, nil
}

// manifest yields what a region must hold, in order of key.
func (c *verification) manifest(ctx context.Context, region string) iter.Seq2[catalog.Expected, error] {
	return func(yield func(catalog.Expected, error) bool) {
		for after := ""; ; {
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
		o, err := c.object(ctx, e.ID)
		if err != nil || c.v.cfg.Now().Sub(o.Created) < copyGrace {
			return err
		}
	}
	evidence := "not there"
	if !e.Placed {
		evidence = "its copy is still to be made"
	}
	c.found(Finding{Type: "missing", Region: region, Object: string(e.ID), Evidence: evidence, Repair: repairObject})
	return nil
}

// read streams an object and compares its hash, and its last bytes with those that
// the catalog keeps. Its error is the catalog's.
func (c *verification) read(ctx context.Context, r storage.Region, e catalog.Expected) error {
	defer c.checked()
	o, err := c.object(ctx, e.ID)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil // removed since
	}
	if err != nil {
		return err
	}
	body, err := r.Data.Get(ctx, e.Key, 0, -1)
	sum, last := sha256.New(), &lastBytes{n: len(o.Footer)}
	if err == nil {
		_, err = io.Copy(io.MultiWriter(sum, last), body)
		err = errors.Join(err, body.Close())
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.found(Finding{Type: "damaged", Region: r.Name, Object: string(e.ID), Evidence: "cannot be read to its end", Repair: repairObject})
	case [32]byte(sum.Sum(nil)) != e.SHA256:
		c.found(Finding{Type: "damaged", Region: r.Name, Object: string(e.ID), Evidence: fmt.Sprintf("SHA-256 is %x, must be %x", sum.Sum(nil), e.SHA256),
			Repair: repairObject})
	case !bytes.Equal(last.kept, o.Footer):
		c.indexDamaged(e.ID)
	}
	return nil
}

func (c *verification) object(ctx context.Context, id record.ObjectID) (o catalog.Object, err error) {
	err = c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		o, err = tx.Object(ctx, id)
		return err
	})
	return o, err
}

// indexDamaged names a row of the catalog once, however many regions show it.
func (c *verification) indexDamaged(id record.ObjectID) {
	c.mu.Lock()
	known := c.badRows[id]
	c.badRows[id] = true
	c.mu.Unlock()
	if !known {
		c.found(Finding{Type: "index-damaged", Region: "catalog", Object: string(id),
			Evidence: "the tail it keeps is not the end of the object", Repair: "rebuild the row from a region"})
	}
}

// lastBytes keeps the last n bytes of what is written to it.
type lastBytes struct {
	n    int
	kept []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	if excess := len(l.kept) + len(p) - l.n; excess > 0 {
		l.kept = l.kept[min(excess, len(l.kept)):]
	}
	l.kept = append(l.kept, p[max(0, len(p)-l.n):]...)
	return len(p), nil
}

// wraps checks that a home region holds the wraps its own key service made.
func (c *verification) wraps(ctx context.Context, r storage.Region) error {
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
		if err != nil {
			return err
		}
		if !needed {
			c.spared()
			return nil
		}
		// An upload may have put it there between the two questions.
		info, err = r.Keys.Head(ctx, key)
		if errors.Is(err, storage.ErrNotExist) {
			c.checked()
			c.found(Finding{Type: "missing", Region: r.Name, Object: key, Evidence: "the wrap is not there", Repair: repairWrap})
			return nil
		}
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

// needsWrap says whether the region holds anything that the wrap opens. An upload
// that found no quorum leaves wraps that no region was ever given.
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
