package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"medvault/keys"
	"medvault/keys/envelope"
	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// stray is a name in a region's bucket that no record accounts for.
type stray struct {
	bucket storage.Store
	info   storage.Info
	wrap   bool // in the bucket of keys, or a name of those
}

const (
	// maxStrays is how many strays are looked at together.
	maxStrays = 1000
	// orphanAge is how old an object that no record names must be before it counts: a
	// younger one may belong to an upload that is not recorded yet.
	orphanAge = 24 * time.Hour
)

// unexpected takes a name of the data bucket that no record accounts for, unless it is
// of those that nobody promised and that belong there all the same.
func (c *verification) unexpected(ctx context.Context, r storage.Region, info storage.Info) error {
	switch class, _, _ := strings.Cut(info.Key, "/"); {
	case class == info.Key: // a file beside the folders
	case class == "probe": // what a region's driver tries itself out with
		return nil
	case class == "quarantine":
		c.quarantined()
		return nil
	case r.OneBucket && (class == "wraps" || class == "house"):
		return nil // keyNames looks at these
	case audit.IsLogName(info.Key, r.Jurisdiction == c.v.cfg.Home):
		return nil
	case class+"/" == tombstones && r.Jurisdiction == c.v.cfg.Home:
		if token, generation, ok := graveOf(info.Key); ok {
			if dead, err := c.v.isDead(ctx, token, generation); err != nil || dead {
				return err
			}
		}
	}
	return c.stray(ctx, r, stray{bucket: r.Data, info: info})
}

// stray keeps a stray to be looked at again, a while after it was met.
func (c *verification) stray(ctx context.Context, r storage.Region, s stray) error {
	c.strays = append(c.strays, s)
	if len(c.strays) < maxStrays {
		return nil
	}
	return c.settleStrays(ctx, r)
}

// keyNames walks the listing of a region's keys, behind a key, and names what is not a
// wrap that the catalog knows, or one that may not lie there.
func (c *verification) keyNames(ctx context.Context, r storage.Region, from string) error {
	prefixes := []string{""}
	if r.OneBucket {
		prefixes = []string{"house/", "wraps/"}
	}
	for _, prefix := range prefixes {
		for info, err := range r.Keys.List(ctx, prefix, from) {
			if err != nil {
				return ofRegion(err)
			}
			if err := c.keyName(ctx, r, info); err != nil {
				return err
			}
			if err := c.advance(ctx, r, "names", info.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *verification) keyName(ctx context.Context, r storage.Region, info storage.Info) error {
	switch class, _, folder := strings.Cut(info.Key, "/"); {
	case folder && class == "probe":
		return nil
	case folder && class == "quarantine":
		c.quarantined()
		return nil
	}
	known, permitted, err := c.knownWrap(ctx, r, info.Key)
	if err != nil || known && permitted {
		return err
	}
	if known {
		c.forbidden(r, info.Key)
		return nil
	}
	return c.stray(ctx, r, stray{bucket: r.Keys, info: info, wrap: true})
}

// knownWrap says whether a key is one under which the region's key service wrapped a
// DEK that the catalog knows: under the current version of its shard, or under an
// older one that is not trimmed yet, and whether its patient's keys may lie there. The
// catalog knows a DEK before any region does.
func (c *verification) knownWrap(ctx context.Context, r storage.Region, key string) (known, permitted bool, err error) {
	b, w, ok := parseWrapKey(key)
	if !ok {
		return false, false, nil
	}
	service := c.v.cfg.Services[r.Name].Name()
	err = c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		known = false
		rows, err := tx.Wraps(ctx, b.Token, b.Generation)
		if err != nil {
			return err
		}
		// A rotation brings the new wrap to the region before the catalog has it.
		current, err := tx.Shard(ctx, service, b.Kind, w.Shard)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Service == service && row.Kind == b.Kind && row.Shard == w.Shard && w.Version <= max(row.Version, current) {
				known = true
			}
		}
		if b.Kind == keys.House {
			permitted = r.Jurisdiction == c.v.cfg.Home
			return nil
		}
		permitted, err = c.v.mayUnlockOf(ctx, tx, r, record.PatientToken(b.Token))
		return err
	})
	return known, permitted, err
}

// parseWrapKey is keys.Wrap.Key backwards. What that would not have written is not ok.
func parseWrapKey(key string) (b keys.Binding, w keys.Wrap, ok bool) {
	var version, generation string
	switch parts := strings.Split(key, "/"); {
	case len(parts) == 4 && parts[0] == "house":
		b.Kind, b.Token, w.Shard, version, generation = keys.House, parts[1], keys.HouseShard, parts[2], parts[3]
	case len(parts) == 5 && parts[0] == "wraps":
		b.Kind, w.Shard, version = keys.Kind(parts[1]), parts[2], parts[3]
		b.Token, generation, _ = strings.Cut(parts[4], ".")
	}
	number, err := strconv.ParseUint(generation, 10, 32)
	if err != nil {
		return b, w, false
	}
	b.Generation = uint32(number)
	if w.Version, err = strconv.Atoi(version); err != nil || w.Version < 1 {
		return b, w, false
	}
	return b, w, w.Key(b) == key
}

// settleStrays judges the strays met so far. An upload may have been between its quorum
// and its commit, so those that are young are looked at a moment later.
func (c *verification) settleStrays(ctx context.Context, r storage.Region) error {
	strays := c.strays
	c.strays = nil
	for _, s := range strays {
		if age := c.age(s.info); age < time.Hour {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
			break
		}
	}
	for _, s := range strays {
		if err := c.judge(ctx, r, s); err != nil {
			return err
		}
	}
	return nil
}

// age is how long ago something was written; a time that is not told, or is still to
// come, hides nothing.
func (c *verification) age(info storage.Info) time.Duration {
	age := c.v.cfg.Now().Sub(info.Modified)
	if info.Modified.IsZero() || age < -time.Hour {
		return orphanAge
	}
	return age
}

// judge names a stray, if it still lies there and still is one.
func (c *verification) judge(ctx context.Context, r storage.Region, s stray) error {
	foreign := Finding{Type: FindingForeign, Region: r.Name, Object: printable(s.info.Key), Evidence: "no record names it", Repair: "quarantine"}
	id, ok := objectAt(s.info.Key)
	switch {
	case s.wrap:
		foreign.Evidence, foreign.Repair = "no wrap of the catalog lies there", "find out who put it there and delete it"
	case ok:
		foreign.Object = string(id)
		promised, err := c.promised(ctx, id, s.info.Key, r.Name)
		if err != nil || promised {
			return err
		}
	}
	if _, err := s.bucket.Head(ctx, s.info.Key); errors.Is(err, storage.ErrNotExist) {
		return nil // taken away since
	} else if away(err) {
		return ofRegion(err)
	}
	if !ok || s.wrap {
		c.found(foreign)
		return nil
	}
	// Not authenticated: whoever forges it names a patient who may lie there, and then it
	// is an orphan.
	d, err := envelope.Inspect(readAt{ctx, s.bucket, s.info.Key}, s.info.Size)
	if away(err) {
		return ofRegion(err) // an upload under way is not to be taken for something strange
	}
	if raw, _ := id.Bytes(); err != nil || d.Header.Object != raw {
		foreign.Evidence = "no record names it, and it is no sealed object of that name"
		c.found(foreign)
		return nil
	}
	return c.orphan(ctx, r, s, id, record.PatientToken(d.Header.Patient))
}

// away tells an error of a region from one of what was asked of it.
func away(err error) bool {
	return errors.Is(err, storage.ErrAway) || errors.Is(err, storage.ErrDenied) || errors.Is(err, storage.ErrClock)
}

// orphan names a sealed object that no record promises to the region.
func (c *verification) orphan(ctx context.Context, r storage.Region, s stray, id record.ObjectID, patient record.PatientToken) error {
	var country string
	err := c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err := tx.Patient(ctx, patient)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		country = p.Country
		return err
	})
	if err != nil {
		return err
	}
	may, err := c.v.mayHold(ctx, r, patient, country)
	if err != nil {
		return err
	}
	age := c.age(s.info)
	switch {
	case !may:
		c.forbidden(r, string(id))
	case age < orphanAge:
		c.note(Note{Type: NoteYoungOrphan, Region: r.Name, Object: string(id), Evidence: fmt.Sprintf("no record names it; it lies there for %s", age.Round(time.Second))})
	default:
		c.found(Finding{Type: FindingOrphan, Region: r.Name, Object: string(id), Evidence: "sealed, and no record promises it to this region", Repair: "quarantine"})
	}
	return nil
}

// readAt reads an object of a store piece by piece.
type readAt struct {
	ctx   context.Context
	store storage.Store
	key   string
}

func (r readAt) ReadAt(p []byte, at int64) (int, error) {
	body, err := r.store.Get(r.ctx, r.key, at, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer body.Close() // reading: everything that counts was said by Read
	return io.ReadFull(body, p)
}

// objectAt tells which object would lie under a key.
func objectAt(key string) (record.ObjectID, bool) {
	class, _, _ := strings.Cut(key, "/")
	id, err := record.ParseObjectID(key[strings.LastIndexByte(key, '/')+1:])
	if err != nil || class != catalog.ClassObjects && class != catalog.ClassRecords {
		return "", false
	}
	return id, id.Key(class) == key
}

// promised says whether by now the object is to lie in the region, under that very key.
func (c *verification) promised(ctx context.Context, id record.ObjectID, key, region string) (promised bool, err error) {
	err = c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		promised = false
		o, err := tx.Object(ctx, id)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		if err != nil || o.Key() != key {
			return err
		}
		regions, err := tx.Placements(ctx, id)
		_, promised = regions[region]
		return err
	})
	return promised, err
}

// printable quotes a name that is no key: it may hold anything.
func printable(key string) string {
	if storage.CheckKey(key) == nil {
		return key
	}
	return strconv.QuoteToASCII(key)
}
