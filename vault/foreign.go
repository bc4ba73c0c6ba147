package vault

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// stray is a name in a region's bucket that no record accounts for.
type stray struct {
	bucket           storage.Store
	key              string
	evidence, repair string
}

// unexpected adds a name of the data bucket that the manifest does not hold, unless
// it is of those that nobody promised and that belong there all the same.
func (c *verification) unexpected(strays []stray, r storage.Region, key string) []stray {
	switch class, _, _ := strings.Cut(key, "/"); {
	case class == key: // a file beside the folders
	case class == "probe": // what a region's driver tries itself out with
		return strays
	case class == "quarantine":
		c.quarantined()
		return strays
	case r.OneBucket && (class == "wraps" || class == "house"):
		return strays // keyNames looks at these
	}
	return append(strays, stray{r.Data, key, "no record names it", "quarantine"})
}

// keyNames walks the listing of a region's keys and returns what is not a wrap that
// the catalog knows. No patient's consent covers reading abroad, so abroad that is
// every wrap.
func (c *verification) keyNames(ctx context.Context, r storage.Region) (strays []stray, err error) {
	prefixes := []string{""}
	if r.OneBucket {
		prefixes = []string{"house/", "wraps/"}
	}
	for _, prefix := range prefixes {
		for info, err := range r.Keys.List(ctx, prefix, "") {
			if err != nil {
				return strays, fmt.Errorf("%w: %w", errRegion, err)
			}
			class, _, folder := strings.Cut(info.Key, "/")
			switch wrap := class == "house" || class == "wraps"; {
			case folder && class == "probe":
			case folder && class == "quarantine":
				c.quarantined()
			case folder && wrap && !c.atHome(r):
				strays = append(strays, stray{r.Keys, info.Key, "no key may lie abroad", "delete it and rotate its shard"})
			default:
				known, err := c.knownWrap(ctx, r, info.Key)
				if err != nil {
					return strays, err
				}
				if !known {
					strays = append(strays, stray{r.Keys, info.Key, "no wrap of the catalog lies there", "find out who put it there and delete it"})
				}
			}
		}
	}
	return strays, nil
}

// knownWrap says whether a key is one under which the region's key service wrapped a
// DEK that the catalog knows: under the current version of its shard, or under an
// older one that is not trimmed yet. The catalog knows a DEK before any region does.
func (c *verification) knownWrap(ctx context.Context, r storage.Region, key string) (known bool, err error) {
	b, w, ok := parseWrapKey(key)
	if !ok {
		return false, nil
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
		return nil
	})
	return known, err
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

// strays names what no record knows. An upload may have been between its quorum and
// its commit, so each is looked at again after a moment.
func (c *verification) strays(ctx context.Context, r storage.Region, strays []stray) error {
	if len(strays) == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
	}
	for _, s := range strays {
		name := printable(s.key)
		if id, ok := objectAt(s.key); ok {
			name = string(id)
			promised, err := c.promised(ctx, id, s.key, r.Name)
			if err != nil {
				return err
			}
			if promised {
				continue
			}
		}
		if _, err := s.bucket.Head(ctx, s.key); errors.Is(err, storage.ErrNotExist) {
			continue // taken away since
		}
		c.found(Finding{Type: "foreign", Region: r.Name, Object: name, Evidence: s.evidence, Repair: s.repair})
	}
	return nil
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
