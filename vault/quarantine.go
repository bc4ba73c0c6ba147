package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"medvault/storage"
	"medvault/storage/replica"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// orphansFolder is where orphans lie in quarantine: not under their own names, so that
// deleting the object of that name does not delete them.
const orphansFolder = "orphans/"

// quarantine puts aside what no record names: a copy in quarantine first, read back and
// written down, then the original goes.
func (v *Vault) quarantine(ctx context.Context, a record.Actor, r storage.Region, f Finding) (string, error) {
	key, err := v.unrecorded(ctx, r, f)
	if err != nil {
		return "", err
	}
	return "two persons delete it from there", v.putAside(ctx, a, r, r, key, f)
}

// unrecorded finds the key of a stray, and looks again whether a record names it by now.
func (v *Vault) unrecorded(ctx context.Context, r storage.Region, f Finding) (string, error) {
	candidates := []string{f.Object}
	if id, err := record.ParseObjectID(f.Object); err == nil {
		candidates = []string{id.Key(catalog.ClassObjects), id.Key(catalog.ClassRecords)}
	}
	c := &verification{v: v}
	for _, key := range candidates {
		if storage.CheckKey(key) != nil {
			continue
		}
		if id, ok := objectAt(key); ok {
			promised, err := c.promised(ctx, id, key, r.Name)
			if err != nil {
				return "", err
			}
			if promised {
				continue
			}
		}
		_, err := r.Data.Head(ctx, key)
		if err == nil {
			return key, nil
		}
		if !errors.Is(err, storage.ErrNotExist) {
			return "", err
		}
	}
	return "", errors.New("it is gone, recorded by now, or its name is no key")
}

// putAside moves an object into the quarantine of a region.
func (v *Vault) putAside(ctx context.Context, a record.Actor, from, to storage.Region, key string, f Finding) error {
	file, body, err := v.fetchStray(ctx, from.Data, key)
	if err != nil {
		return err
	}
	defer file.Close() // unlinked already, and read only
	aside := storage.QuarantineKey(orphansFolder+key, v.cfg.Now())
	if err := to.Data.Put(ctx, aside, body); err != nil {
		return err
	}
	if err := storage.Verify(ctx, to.Data, aside, body.Size, body.SHA256); err != nil {
		return err
	}
	if err := v.writeStep(ctx, v.stepLeaf(a, "object.quarantined", f)); err != nil {
		return err
	}
	// Only now: until here there were two.
	return removed(ctx, from, key)
}

// fetchStray reads an object, whatever it is, into a file that has no name any more. The
// caller closes it.
func (v *Vault) fetchStray(ctx context.Context, from storage.Store, key string) (*os.File, storage.Body, error) {
	file, err := os.CreateTemp(v.cfg.Spool, "stray-*")
	if err != nil {
		return nil, storage.Body{}, fmt.Errorf("spool: %w", err)
	}
	sum := sha256.New()
	size, err := fill(ctx, io.MultiWriter(file, sum), from, key)
	if err = errors.Join(err, os.Remove(file.Name())); err != nil {
		return nil, storage.Body{}, errors.Join(err, file.Close())
	}
	return file, storage.Body{ReaderAt: file, Size: size, SHA256: [32]byte(sum.Sum(nil))}, nil
}

func fill(ctx context.Context, to io.Writer, from storage.Store, key string) (int64, error) {
	source, err := from.Get(ctx, key, 0, -1)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(to, source)
	return n, errors.Join(err, source.Close())
}

// removeForbidden takes what may not lie in a region away from there. What a record
// names must lie in a permitted region first; what none names is put aside at home.
func (v *Vault) removeForbidden(ctx context.Context, a record.Actor, r storage.Region, f Finding) (string, error) {
	id, err := record.ParseObjectID(f.Object)
	if err != nil {
		return v.removeForbiddenWrap(ctx, a, r, f)
	}
	o, err := v.elsewhere(ctx, r, id)
	if errors.Is(err, catalog.ErrNotFound) {
		key, err := v.unrecorded(ctx, r, f)
		if err != nil {
			return "", err
		}
		for _, home := range v.homeRegions() {
			if err = v.putAside(ctx, a, r, home, key, f); err == nil {
				return "kept in quarantine in " + home.Name, nil
			}
		}
		return "", err
	}
	if err != nil {
		return "", err
	}
	if err := v.writeStep(ctx, v.stepLeaf(a, "object.forbidden", f)); err != nil {
		return "", err
	}
	if err := removed(ctx, r, o.Key()); err != nil {
		return "", err
	}
	return "permitted regions have it", v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.Removed(ctx, o.ID, r.Name); err != nil {
			return err
		}
		return appendLeaf(ctx, tx, v.repairLeaf(a, "object.removed", f, o, r.Name))
	})
}

// elsewhere reads a recorded object that lies, with the right bytes, in a region where
// it may; without one, replica.ErrNoCopy.
func (v *Vault) elsewhere(ctx context.Context, not storage.Region, id record.ObjectID) (o catalog.Object, err error) {
	var placed map[string]bool
	var country string
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if o, err = tx.Object(ctx, id); err != nil {
			return err
		}
		if placed, err = tx.Placements(ctx, id); err != nil {
			return err
		}
		p, err := tx.Patient(ctx, o.Patient)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		country = p.Country
		return err
	})
	if err != nil {
		return o, err
	}
	for _, r := range v.cfg.Regions.Regions() {
		if r.Name == not.Name || !placed[r.Name] {
			continue
		}
		may, err := v.mayHold(ctx, r, o.Patient, country)
		if err != nil {
			return o, err
		}
		if may && (o.SupersededBy != "" || storage.Verify(ctx, persistent{r.Data}, o.Key(), o.Size, o.SHA256) == nil) {
			return o, nil
		}
	}
	if o.SupersededBy != "" {
		return o, nil // nobody needs it
	}
	return o, replica.ErrNoCopy
}

func (v *Vault) removeForbiddenWrap(ctx context.Context, a record.Actor, r storage.Region, f Finding) (string, error) {
	b, w, ok := parseWrapKey(f.Object)
	if !ok {
		return "", fmt.Errorf("%q names no wrap", printable(f.Object))
	}
	leaf := v.stepLeaf(a, "wrap.removed", f)
	if patient, err := record.ParsePatientToken(b.Token); err == nil {
		leaf.Patient = patient
	}
	// Whoever read the wrap may have kept it: it is to open nothing any more. Ordered
	// before it goes, because nothing would find it afterwards.
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := appendLeaf(ctx, tx, leaf); err != nil {
			return err
		}
		return v.orderRenewal(ctx, tx, v.cfg.Services[r.Name].Name(), b.Kind, w.Shard, "forbidden-wrap")
	})
	if err != nil {
		return "", err
	}
	return "whoever read it may have kept it: its shard is rotated and trimmed", r.Keys.Delete(ctx, f.Object)
}

// Quarantined is something that was put aside in a region.
type Quarantined struct {
	ID         string     `json:"id"`
	Region     string     `json:"region"`
	Bucket     string     `json:"bucket"` // "data" or "keys"
	Key        string     `json:"key"`
	Size       int64      `json:"size"`
	Since      time.Time  `json:"since"`
	ProposedBy string     `json:"proposedBy,omitempty"` // for deletion
	ProposedAt *time.Time `json:"proposedAt,omitempty"`
}

// Quarantine lists what lies in quarantine in every region that answers; those that do
// not are named.
func (v *Vault) Quarantine(ctx context.Context, a record.Actor) (list []Quarantined, away []string, err error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionRegions}, nil); err != nil {
		return nil, nil, err
	}
	list, away = v.inQuarantine(ctx)
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		for i := range list {
			p, err := tx.Proposal(ctx, list[i].ID)
			if errors.Is(err, catalog.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			list[i].ProposedBy, list[i].ProposedAt = p.By, &p.At
		}
		return nil
	})
	return list, away, err
}

func (v *Vault) inQuarantine(ctx context.Context) (list []Quarantined, away []string) {
	for _, r := range v.cfg.Regions.Regions() {
		buckets := []struct {
			name  string
			store storage.Store
		}{{"data", r.Data}, {"keys", r.Keys}}
		if r.OneBucket {
			buckets = buckets[:1]
		}
		for _, b := range buckets {
			for info, err := range (persistent{b.store}).List(ctx, "quarantine/", "") {
				if err != nil {
					away = append(away, r.Name)
					break
				}
				sum := sha256.Sum256([]byte(r.Name + "|" + b.name + "|" + info.Key))
				list = append(list, Quarantined{ID: hex.EncodeToString(sum[:16]), Region: r.Name, Bucket: b.name, Key: printable(info.Key), Size: info.Size, Since: since(info)})
			}
		}
	}
	return list, slices.Compact(away)
}

// since is when something was put aside: the end of its name says so.
func since(info storage.Info) time.Time {
	nanos, err := strconv.ParseInt(info.Key[strings.LastIndexByte(info.Key, '.')+1:], 10, 64)
	if err != nil {
		return info.Modified.UTC()
	}
	return time.Unix(0, nanos).UTC().Truncate(time.Millisecond)
}

// Discard deletes something from quarantine for good. The first person proposes it, and
// another one who asks the same has it deleted. deleted tells which of the two it was.
func (v *Vault) Discard(ctx context.Context, a record.Actor, id record.ObjectID) (item Quarantined, deleted bool, err error) {
	discarding := act{Actor: a, Action: record.ActionDiscard, Object: id}
	if err := v.may(ctx, discarding); err != nil {
		return item, false, err
	}
	list, _ := v.inQuarantine(ctx)
	i := slices.IndexFunc(list, func(q Quarantined) bool { return q.ID == string(id) })
	if i < 0 {
		return item, false, v.inVain(ctx, discarding, record.ErrNotFound)
	}
	item = list[i]
	_, err = v.perform(ctx, discarding, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		deleted = false
		p, err := tx.Proposal(ctx, item.ID)
		if errors.Is(err, catalog.ErrNotFound) {
			p = catalog.Proposal{Item: item.ID, By: a.ID, At: v.cfg.Now()}
			item.ProposedBy, item.ProposedAt = p.By, &p.At
			leaf.Reason = "proposed"
			return tx.Propose(ctx, p)
		}
		if err != nil {
			return err
		}
		if p.By == a.ID {
			return record.Refuse(record.ErrDenied, "second-person", "another person than the one who proposed it has to delete it")
		}
		item.ProposedBy, item.ProposedAt, deleted = p.By, &p.At, true
		leaf.Reason, leaf.Persons = "deleted", []string{p.By, a.ID}
		return tx.DropProposal(ctx, item.ID)
	})
	if err != nil || !deleted {
		return item, false, err
	}
	// The leaf is there: what was allowed may happen now.
	return item, true, v.discardItem(ctx, item)
}

func (v *Vault) discardItem(ctx context.Context, item Quarantined) error {
	r, ok := v.cfg.Regions.Region(item.Region)
	if !ok || storage.CheckKey(item.Key) != nil {
		return record.ErrNotFound
	}
	store := r.Data
	if item.Bucket == "keys" {
		store = r.Keys
	}
	err := store.Delete(ctx, item.Key)
	var locked *storage.LockedError
	if errors.As(err, &locked) {
		return record.Refuse(record.ErrConflict, "locked", locked.Error())
	}
	if err != nil {
		return unavailable("region", err)
	}
	return nil
}
