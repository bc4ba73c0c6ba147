package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// patientKeys are the two DEKs of one generation of one patient.
type patientKeys struct {
	Token             record.PatientToken
	Generation        uint32
	Content, Identity keys.DEK
}

// sealingKeys returns the keys a document is to be sealed under. A new patient's are
// made here and kept in memory, shared by the uploads that are under way, until fixKeys
// records them with the first document that proves good: a refused one leaves nothing.
// done must be called when the upload has ended.
func (v *Vault) sealingKeys(ctx context.Context, p catalog.Patient) (k patientKeys, done func(), err error) {
	k, err = v.openKeys(ctx, p)
	if !errors.Is(err, errNoWraps) {
		return k, func() {}, err
	}
	lent := v.fresh.borrow(p)
	done = func() { v.fresh.giveBack(p.Token) }
	// The keys may have been fixed, and forgotten here, since the first look. From now on
	// whoever fixes them in this process holds the same ones.
	if k, err = v.openKeys(ctx, p); errors.Is(err, errNoWraps) {
		return lent, done, nil
	}
	done()
	return k, func() {}, err
}

// fixKeys records a new patient with keys that were made for the first documents.
// Whoever comes first fixes them. Should another gateway have been first, this upload
// has been sealed under keys nobody will know: it has to be sent again.
func (v *Vault) fixKeys(ctx context.Context, p catalog.Patient, k patientKeys) error {
	fixed, err := v.openKeys(ctx, p)
	if errors.Is(err, errNoWraps) {
		if err := v.recordKeys(ctx, p, k); err != nil {
			return err
		}
		fixed, err = v.openKeys(ctx, p)
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(fixed.Content.Bytes(), k.Content.Bytes()) || !bytes.Equal(fixed.Identity.Bytes(), k.Identity.Bytes()) {
		return unavailable("keys", errors.New("another gateway stored this new patient's first document at the same time"))
	}
	return nil
}

// recordKeys wraps new keys by every home service that answers and records them, with
// their patient.
func (v *Vault) recordKeys(ctx context.Context, p catalog.Patient, k patientKeys) error {
	for try := 1; ; try++ {
		err := v.tryRecordKeys(ctx, p, k)
		if !errors.Is(err, catalog.ErrChanged) || try == 5 {
			return err
		}
		// A shard was rotated meanwhile.
	}
}

func (v *Vault) tryRecordKeys(ctx context.Context, p catalog.Patient, k patientKeys) error {
	var rows []catalog.WrapRow
	var errs []error
	for _, s := range v.homeServices() {
		items := k.bound(s)
		wrapped, err := s.Wrap(ctx, items)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Name(), err))
			continue
		}
		for i, b := range items {
			rows = append(rows, catalog.WrapRow{Binding: b.Binding, Service: s.Name(), Wrap: wrapped[i]})
		}
	}
	if len(rows) == 0 {
		return unavailable("keys", fmt.Errorf("wrap a new patient's keys: %w", errors.Join(errs...)))
	}
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if _, _, err := tx.EnsurePatient(ctx, p); err != nil {
			return err
		}
		_, _, err := tx.FixWraps(ctx, rows)
		return err
	})
	if errors.Is(err, catalog.ErrChanged) {
		return unavailable("keys", err)
	}
	if err != nil {
		return fmt.Errorf("fix a new patient's keys: %w", err)
	}
	return nil
}

// freshKeys are keys of patients of whom nothing is stored yet.
type freshKeys struct {
	mu   sync.Mutex
	keys map[record.PatientToken]*lentKeys
}

type lentKeys struct {
	patientKeys
	users int
}

func (f *freshKeys) borrow(p catalog.Patient) patientKeys {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys == nil {
		f.keys = make(map[record.PatientToken]*lentKeys)
	}
	k := f.keys[p.Token]
	if k == nil {
		k = &lentKeys{patientKeys: patientKeys{Token: p.Token, Generation: p.Generation, Content: keys.NewDEK(), Identity: keys.NewDEK()}}
		f.keys[p.Token] = k
	}
	k.users++
	return k.patientKeys
}

func (f *freshKeys) giveBack(p record.PatientToken) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k := f.keys[p]; k != nil {
		if k.users--; k.users == 0 {
			delete(f.keys, p)
		}
	}
}

var errNoWraps = errors.New("no wraps")

// sealedFor is the patient with the generation of keys that an object is sealed under: it
// is another than theirs while a document of theirs is erased.
func sealedFor(p catalog.Patient, o catalog.Object) catalog.Patient {
	p.Generation = o.Generation
	return p
}

// openKeys unwraps the patient's keys, or takes them from the cache when they are
// of the patient's current generation.
func (v *Vault) openKeys(ctx context.Context, p catalog.Patient) (patientKeys, error) {
	if p.Token == record.House && p.Generation == houseGeneration {
		return v.houseKeys()
	}
	if k, ok := v.deks.get(p.Token, p.Generation); ok {
		return k, nil
	}
	rows, err := v.wraps(ctx, string(p.Token), p.Generation)
	if err != nil {
		return patientKeys{}, err
	}
	if len(rows) > 0 {
		if err := v.writeUnwrap(ctx, p); err != nil {
			return patientKeys{}, unavailable("log", err)
		}
	}
	k, err := v.unwrapKeys(ctx, p, rows)
	if err != nil && len(rows) > 0 {
		// What was read may have been trimmed before it was opened: then there are others.
		now, again := v.wraps(ctx, string(p.Token), p.Generation)
		if again == nil && slices.Equal(now, rows) {
			// Or the catalog was put back from a backup: then the regions have newer ones.
			now, again = v.retakeWraps(ctx, p)
		}
		if again != nil || slices.Equal(now, rows) {
			return k, err
		}
		k, err = v.unwrapKeys(ctx, p, now)
	}
	if err != nil {
		return k, err
	}
	v.deks.put(k)
	return k, nil
}

// retakeWraps takes a patient's wraps from the home regions into a catalog whose own open
// nothing any more, and returns what it has then.
func (v *Vault) retakeWraps(ctx context.Context, p catalog.Patient) ([]catalog.WrapRow, error) {
	for _, r := range v.homeRegions() {
		for _, kind := range patientKinds {
			if v.cfg.ContentOnly && kind == keys.Identity {
				continue
			}
			row, err := wrapNamed(ctx, r, v.cfg.Services[r.Name], keys.Binding{Kind: kind, Token: string(p.Token), Generation: p.Generation})
			if err != nil {
				v.cfg.Log.Warn("no newer wrap in a region", "region", r.Name, "err", err)
				continue
			}
			err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.TakeWrap(ctx, row) })
			if err != nil && !errors.Is(err, catalog.ErrChanged) {
				return nil, err
			}
		}
	}
	return v.wraps(ctx, string(p.Token), p.Generation)
}

func (v *Vault) unwrapKeys(ctx context.Context, p catalog.Patient, rows []catalog.WrapRow) (k patientKeys, err error) {
	k = patientKeys{Token: p.Token, Generation: p.Generation}
	if len(rows) == 0 {
		return k, errNoWraps
	}
	if k.Content, err = v.unwrap(ctx, rows, keys.Content); err != nil {
		return k, err
	}
	if v.cfg.ContentOnly {
		return k, nil
	}
	k.Identity, err = v.unwrap(ctx, rows, keys.Identity)
	return k, err
}

func (k patientKeys) binding(kind keys.Kind) keys.Binding {
	return keys.Binding{Kind: kind, Token: string(k.Token), Generation: k.Generation}
}

// bindings of the wraps that a region must hold before it counts.
func (k patientKeys) bindings() []keys.Binding {
	if k.Token == record.House {
		return []keys.Binding{houseBinding(houseRecords)}
	}
	return []keys.Binding{k.binding(keys.Content), k.binding(keys.Identity)}
}

func (k patientKeys) bound(s keys.Wrapper) []keys.Bound {
	items := []keys.Bound{{Binding: k.binding(keys.Content), DEK: k.Content}, {Binding: k.binding(keys.Identity), DEK: k.Identity}}
	for i := range items {
		items[i].Wrap.Shard = s.Shard(items[i].Binding)
	}
	return items
}

// placeWraps makes sure that a region holds the patient's wraps under its own key
// service. The first time they are read back; later it is enough that they are there,
// since wraps are immutable.
func (v *Vault) placeWraps(ctx context.Context, k patientKeys, region string) error {
	r, ok := v.cfg.Regions.Region(region)
	if !ok {
		return fmt.Errorf("no region %s", region)
	}
	if v.held.has(k, region) {
		there, err := v.stillHolds(ctx, k, r)
		if there || err != nil {
			return err
		}
	}
	bindings := k.bindings()
	rows, err := v.wraps(ctx, bindings[0].Token, k.Generation)
	if err != nil {
		return err
	}
	var placed []catalog.WrapRow
	for _, b := range bindings {
		dek := k.Content
		if b.Kind == keys.Identity {
			dek = k.Identity
		}
		row, err := v.placeWrap(ctx, r, b, dek, rows)
		if err != nil {
			return err
		}
		placed = append(placed, row)
	}
	v.held.add(k, region, placed)
	return nil
}

// placeWrap puts the wrap of a key by the region's service there. rows are the key's as
// they were read.
func (v *Vault) placeWrap(ctx context.Context, r storage.Region, b keys.Binding, dek keys.DEK, rows []catalog.WrapRow) (row catalog.WrapRow, err error) {
	const tries = 5
	for try := 1; ; try++ {
		row, err = v.rowFor(ctx, r, b, dek, rows)
		if err == nil {
			row, err = v.upToDate(ctx, v.cfg.Services[r.Name], row)
		}
		var behind bool
		if err == nil {
			if err = putWrap(ctx, r, row); err != nil {
				return row, err
			}
			// A rotation that had listed the region before our wrap came there does not
			// wait for it. One that has not will find it.
			behind, err = v.behind(ctx, row)
		}
		if err == nil && !behind {
			return row, nil
		}
		if err != nil && !errors.Is(err, catalog.ErrChanged) {
			return row, err
		}
		if try == tries {
			return row, unavailable("keys", fmt.Errorf("place a wrap of the %s key in %s: its shard is rotated again and again", b.Kind, r.Name))
		}
		if rows, err = v.wraps(ctx, b.Token, b.Generation); err != nil {
			return row, err
		}
	}
}

// behind says whether a wrap is of an older version than its shard has now.
func (v *Vault) behind(ctx context.Context, row catalog.WrapRow) (behind bool, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		current, err := tx.Shard(ctx, row.Service, row.Kind, row.Shard)
		behind = row.Version < current
		return err
	})
	return behind, err
}

// upToDate moves a wrap that a rotation has not come to yet. Moved or gone meanwhile:
// catalog.ErrChanged.
func (v *Vault) upToDate(ctx context.Context, s keys.Wrapper, row catalog.WrapRow) (catalog.WrapRow, error) {
	behind, err := v.behind(ctx, row)
	if err != nil || !behind {
		return row, err
	}
	moved, err := s.Rewrap(ctx, []keys.Bound{{Binding: row.Binding, Wrap: row.Wrap}})
	if errors.Is(err, keys.ErrRefused) { // trimmed since we read it
		return row, fmt.Errorf("%w: %w", catalog.ErrChanged, err)
	}
	if err != nil {
		return row, err
	}
	row.Wrap = moved[0]
	return row, v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.MoveWrap(ctx, row) })
}

// stillHolds says whether the region has both wraps that were placed there.
func (v *Vault) stillHolds(ctx context.Context, k patientKeys, r storage.Region) (bool, error) {
	for _, row := range v.held.wraps(k, r.Name) {
		_, err := r.Keys.Head(ctx, row.Wrap.Key(row.Binding))
		if errors.Is(err, storage.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look for wrap: %w", err)
		}
	}
	return true, nil
}

// rowFor returns the wrap by a region's service. When it was not there at the time the
// key was made, or when the catalog was made anew from another region, the one that the
// region holds is recorded, or a new one is made.
func (v *Vault) rowFor(ctx context.Context, r storage.Region, b keys.Binding, dek keys.DEK, rows []catalog.WrapRow) (catalog.WrapRow, error) {
	s := v.cfg.Services[r.Name]
	for _, row := range rows {
		if row.Service == s.Name() && row.Kind == b.Kind {
			return row, nil
		}
	}
	row, err := wrapThere(ctx, r, s, b, dek)
	if err == nil {
		// One of an older version is not recorded any more.
		var behind bool
		if behind, err = v.behind(ctx, row); behind && err == nil {
			err = errNoWraps
		}
	}
	if errors.Is(err, errNoWraps) {
		row, err = wrapOne(ctx, s, b, dek)
	}
	if err != nil {
		return row, err
	}
	if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		err := tx.AddWraps(ctx, []catalog.WrapRow{row})
		if errors.Is(err, catalog.ErrExist) { // another gateway was first: its wrap is the one
			return nil
		}
		return err
	}); err != nil {
		return row, err
	}
	rows, err = v.wraps(ctx, b.Token, b.Generation)
	if err != nil {
		return row, err
	}
	for _, r := range rows {
		if r.Service == s.Name() && r.Kind == b.Kind {
			return r, nil
		}
	}
	return row, fmt.Errorf("wrap of %s by %s was not recorded", b.Kind, s.Name())
}

// wrapThere finds the wrap of a key in a region, under the newest version that there is.
// None: errNoWraps. A wrap of another key is an error: two catalogs have begun with this
// patient.
func wrapThere(ctx context.Context, r storage.Region, s keys.Wrapper, b keys.Binding, dek keys.DEK) (row catalog.WrapRow, err error) {
	row = catalog.WrapRow{Binding: b, Service: s.Name(), Wrap: keys.Wrap{Shard: s.Shard(b)}}
	current, oldest, err := s.Version(ctx, b.Kind, row.Shard)
	if errors.Is(err, keys.ErrNoKey) {
		return row, errNoWraps
	}
	if err != nil {
		return row, err
	}
	for row.Version = current; row.Version >= max(oldest, 1); row.Version-- {
		row.Blob, err = readWrap(ctx, r, row)
		if errors.Is(err, storage.ErrNotExist) {
			continue
		}
		if err != nil {
			return row, err
		}
		opened, err := s.Unwrap(ctx, []keys.Bound{{Binding: b, Wrap: row.Wrap}})
		if err != nil {
			return row, fmt.Errorf("region %s: %s: %w", r.Name, s.Name(), err)
		}
		if !bytes.Equal(opened[0].Bytes(), dek.Bytes()) {
			return row, fmt.Errorf("region %s: %w: it holds another %s key under this name", r.Name, record.ErrTampered, b.Kind)
		}
		return row, nil
	}
	return row, errNoWraps
}

// wrapNamed finds, by the names it may have, the newest wrap of a key in a region that its
// key service opens: a listing may leave one out, and one that was read may have come
// wrong. None: errNoWraps, and why those that are there do not count.
func wrapNamed(ctx context.Context, r storage.Region, s keys.Wrapper, b keys.Binding) (row catalog.WrapRow, err error) {
	row = catalog.WrapRow{Binding: b, Service: s.Name(), Wrap: keys.Wrap{Shard: s.Shard(b)}}
	current, oldest, err := s.Version(ctx, b.Kind, row.Shard)
	if errors.Is(err, keys.ErrNoKey) {
		return row, errNoWraps
	}
	if err != nil {
		return row, err
	}
	errs := []error{errNoWraps}
	for row.Version = current; row.Version >= max(oldest, 1); row.Version-- {
		row.Blob, err = readWrap(ctx, r, row)
		if errors.Is(err, storage.ErrNotExist) {
			continue
		}
		if err != nil {
			return row, err
		}
		_, err = s.Unwrap(ctx, []keys.Bound{{Binding: b, Wrap: row.Wrap}})
		if err == nil || errors.Is(err, keys.ErrUnavailable) {
			return row, err
		}
		errs = append(errs, fmt.Errorf("region %s: version %d: %w", r.Name, row.Version, err))
	}
	return row, errors.Join(errs...)
}

func wrapOne(ctx context.Context, s keys.Wrapper, b keys.Binding, dek keys.DEK) (catalog.WrapRow, error) {
	w, err := s.Wrap(ctx, []keys.Bound{{Binding: b, DEK: dek, Wrap: keys.Wrap{Shard: s.Shard(b)}}})
	if err != nil {
		return catalog.WrapRow{}, err
	}
	return catalog.WrapRow{Binding: b, Service: s.Name(), Wrap: w[0]}, nil
}

// putWrap stores a wrap in a region's keys bucket and reads it back.
func putWrap(ctx context.Context, r storage.Region, row catalog.WrapRow) error {
	key, blob := row.Wrap.Key(row.Binding), []byte(row.Blob)
	err := r.Keys.Put(ctx, key, storage.Body{ReaderAt: bytes.NewReader(blob), Size: int64(len(blob)), SHA256: sha256.Sum256(blob)})
	if err != nil {
		return fmt.Errorf("put wrap: %w", err)
	}
	back, err := r.Keys.Get(ctx, key, 0, -1)
	if err != nil {
		return fmt.Errorf("read wrap back: %w", err)
	}
	defer back.Close()
	got, err := io.ReadAll(io.LimitReader(back, int64(len(blob))+1))
	if err != nil {
		return fmt.Errorf("read wrap back: %w", err)
	}
	if !bytes.Equal(got, blob) {
		return fmt.Errorf("read wrap back: %w", storage.ErrCorrupt)
	}
	return nil
}

func (v *Vault) wraps(ctx context.Context, token string, generation uint32) (rows []catalog.WrapRow, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		rows, err = tx.Wraps(ctx, token, generation)
		return err
	})
	return rows, err
}

// unwrap opens the key of one kind by whichever service answers first in the order
// of the regions.
func (v *Vault) unwrap(ctx context.Context, rows []catalog.WrapRow, kind keys.Kind) (keys.DEK, error) {
	var errs []error
	for _, s := range v.services() {
		for _, row := range rows {
			if row.Service != s.Name() || row.Kind != kind {
				continue
			}
			deks, err := s.Unwrap(ctx, []keys.Bound{{Binding: row.Binding, Wrap: row.Wrap}})
			if err == nil {
				return deks[0], nil
			}
			errs = append(errs, fmt.Errorf("%s: %w", s.Name(), err))
		}
	}
	if len(errs) == 0 { // rows of other kinds, or of services that are gone
		errs = append(errs, errNoWraps)
	}
	return keys.DEK{}, unavailable("keys", fmt.Errorf("no key service opens the %s key: %w", kind, errors.Join(errs...)))
}

func (v *Vault) services() (services []keys.Wrapper) {
	seen := make(map[string]bool)
	for _, r := range v.cfg.Regions.Regions() {
		if s := v.cfg.Services[r.Name]; !seen[s.Name()] {
			seen[s.Name()] = true
			services = append(services, s)
		}
	}
	return services
}

// unavailable is what a client is told when keys or quorum are missing; the cause
// goes to the log only.
func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %w", record.Refuse(record.ErrUnavailable, what+"-unavailable", "try again later"), err)
}

// dekTTL is how long an unwrapped key may stay in memory, unless Config.KeyLife says
// otherwise.
const dekTTL = 5 * time.Minute

// dekCache holds unwrapped keys for minutes.
type dekCache struct {
	now  func() time.Time
	life time.Duration

	mu   sync.Mutex
	keys map[cachedUnder]cachedKeys
}

// cachedUnder: while documents of a patient are sealed anew, two generations are in use.
type cachedUnder struct {
	patient    record.PatientToken
	generation uint32
}

type cachedKeys struct {
	patientKeys
	until time.Time
}

func newDEKCache(now func() time.Time, life time.Duration) *dekCache {
	return &dekCache{now: now, life: life, keys: make(map[cachedUnder]cachedKeys)}
}

// get returns keys of exactly this generation.
func (c *dekCache) get(p record.PatientToken, generation uint32) (patientKeys, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	under := cachedUnder{p, generation}
	k, ok := c.keys[under]
	if ok && c.now().After(k.until) {
		delete(c.keys, under)
		return patientKeys{}, false
	}
	return k.patientKeys, ok
}

func (c *dekCache) put(k patientKeys) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.keys) >= 10_000 {
		for p, old := range c.keys {
			if now.After(old.until) || len(c.keys) >= 10_000 {
				delete(c.keys, p)
			}
		}
	}
	c.keys[cachedUnder{k.Token, k.Generation}] = cachedKeys{k, now.Add(c.life)}
}

// placedWraps remembers which wraps of which patient a region was seen to hold.
type placedWraps struct {
	mu   sync.Mutex
	seen map[placedWrap][]catalog.WrapRow
}

type placedWrap struct {
	patient    record.PatientToken
	generation uint32
	region     string
}

func (h *placedWraps) has(k patientKeys, region string) bool { return len(h.wraps(k, region)) > 0 }

func (h *placedWraps) wraps(k patientKeys, region string) []catalog.WrapRow {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[placedWrap{k.Token, k.Generation, region}]
}

func (h *placedWraps) add(k patientKeys, region string, rows []catalog.WrapRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil || len(h.seen) > 100_000 {
		h.seen = make(map[placedWrap][]catalog.WrapRow)
	}
	h.seen[placedWrap{k.Token, k.Generation, region}] = rows
}
