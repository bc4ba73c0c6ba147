package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"medvault/keys"
	"medvault/keys/envelope"
	"medvault/storage"
	"medvault/storage/replica"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// repairWrap puts a wrap back where it must lie. One that does not open is not put
// anywhere.
func (v *Vault) repairWrap(ctx context.Context, a record.Actor, r storage.Region, f Finding) (string, error) {
	b, _, ok := parseWrapKey(f.Object)
	if !ok {
		return "", fmt.Errorf("%q names no wrap", printable(f.Object))
	}
	var rows []catalog.WrapRow
	may := r.Jurisdiction == v.cfg.Home
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if rows, err = tx.Wraps(ctx, b.Token, b.Generation); err == nil && b.Kind != keys.House {
			may, err = v.mayUnlockOf(ctx, tx, r, record.PatientToken(b.Token))
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if !may { // any more: it was looked at a while ago
		return "", errMayNotLie
	}
	service := v.cfg.Services[r.Name]
	for _, row := range rows {
		if row.Service != service.Name() || row.Kind != b.Kind {
			continue
		}
		good, err := v.goodWrap(ctx, service, row, rows)
		if err != nil {
			return "", err
		}
		if err := replaceWrap(ctx, r, good); err != nil {
			return "", err
		}
		leaf := v.stepLeaf(a, "wrap.repaired", f)
		if patient, err := record.ParsePatientToken(b.Token); err == nil {
			leaf.Patient = patient
		}
		return "it opens, and was read back", v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			if _, err := v.brought(ctx, tx, record.PatientToken(b.Token), r, true); err != nil {
				return err
			}
			return appendLeaf(ctx, tx, leaf)
		})
	}
	return "", errors.New("the catalog has no such wrap")
}

// goodWrap is openingWrap, and what replaces the catalog's is recorded.
func (v *Vault) goodWrap(ctx context.Context, s keys.Wrapper, row catalog.WrapRow, rows []catalog.WrapRow) (catalog.WrapRow, error) {
	good, err := v.openingWrap(ctx, s, row, rows)
	if err != nil || good == row {
		return good, err
	}
	return v.recordWrap(ctx, s, good)
}

// openingWrap returns a wrap that its service opens: the catalog's, another region's under
// the same service, or a new one of the key that another service opens.
func (v *Vault) openingWrap(ctx context.Context, s keys.Wrapper, row catalog.WrapRow, rows []catalog.WrapRow) (catalog.WrapRow, error) {
	opens := func(w keys.Wrap) (bool, error) {
		_, err := s.Unwrap(ctx, []keys.Bound{{Binding: row.Binding, Wrap: w}})
		if errors.Is(err, keys.ErrUnavailable) {
			return false, unavailable("keys", err)
		}
		return err == nil, nil
	}
	if ok, err := opens(row.Wrap); ok || err != nil {
		return row, err
	}
	for _, r := range v.regionsOf(s) {
		blob, err := wrapBytes(ctx, r, row.Wrap.Key(row.Binding), len(row.Blob)+1<<10)
		if err != nil {
			continue // the next region may have it
		}
		found := row
		found.Blob = blob
		ok, err := opens(found.Wrap)
		if ok || err != nil {
			return found, err
		}
	}
	var others []catalog.WrapRow
	for _, other := range rows {
		if other.Service != s.Name() {
			others = append(others, other)
		}
	}
	dek, err := v.unwrap(ctx, others, row.Kind)
	if err != nil {
		return row, err
	}
	return wrapOne(ctx, s, row.Binding, dek)
}

// recordWrap puts a wrap in the place of the catalog's. One of a version that a rotation
// has passed by since is moved first.
func (v *Vault) recordWrap(ctx context.Context, s keys.Wrapper, row catalog.WrapRow) (catalog.WrapRow, error) {
	replace := func() error {
		return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.ReplaceWrap(ctx, row) })
	}
	err := replace()
	if !errors.Is(err, catalog.ErrChanged) {
		return row, err
	}
	moved, err := s.Rewrap(ctx, []keys.Bound{{Binding: row.Binding, Wrap: row.Wrap}})
	if err != nil {
		return row, err
	}
	row.Wrap = moved[0]
	return row, replace()
}

// replaceWrap is putWrap where other bytes may lie: the store keeps those until the right
// ones were read back.
func replaceWrap(ctx context.Context, r storage.Region, row catalog.WrapRow) error {
	key, blob := row.Wrap.Key(row.Binding), []byte(row.Blob)
	bad, err := r.Keys.Head(ctx, key)
	if errors.Is(err, storage.ErrNotExist) {
		return putWrap(ctx, r, row)
	}
	if err != nil {
		return err
	}
	bad.SHA256 = [32]byte{} // not evidence; its version is the condition
	return r.Keys.Repair(ctx, key, bad, storage.Body{ReaderAt: bytes.NewReader(blob), Size: int64(len(blob)), SHA256: sha256.Sum256(blob)})
}

// repairIndex reads the tail that the catalog keeps of an object from a region whose
// bytes are right.
func (v *Vault) repairIndex(ctx context.Context, a record.Actor, _ storage.Region, f Finding) (string, error) {
	var o catalog.Object
	var placed map[string]bool
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if o, err = tx.Object(ctx, record.ObjectID(f.Object)); err != nil {
			return err
		}
		placed, err = tx.Placements(ctx, o.ID)
		return err
	})
	if err != nil {
		return "", err
	}
	for _, r := range v.cfg.Regions.Regions() {
		if !placed[r.Name] || storage.Verify(ctx, persistent{r.Data}, o.Key(), o.Size, o.SHA256) != nil {
			continue
		}
		tail, err := tailOf(ctx, r.Data, o)
		if err != nil {
			continue // it has changed since; the next region may be better
		}
		return "read again from " + r.Name, v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			if err := tx.SetFooter(ctx, o.ID, tail); err != nil {
				return err
			}
			return appendLeaf(ctx, tx, v.repairLeaf(a, "index.repaired", f, o, r.Name))
		})
	}
	return "", replica.ErrNoCopy
}

// tailOf is sealed.tail for an object in a store. Of what has no who, nothing is kept.
func tailOf(ctx context.Context, from storage.Store, o catalog.Object) ([]byte, error) {
	d, err := envelope.Inspect(readAt{ctx, from, o.Key()}, o.Size)
	if err != nil {
		return nil, err
	}
	at := o.Size
	for _, p := range d.Parts {
		if p.Name == envelope.Who {
			at = p.Offset
		}
	}
	if at < o.Size && o.Size-at > maxTail {
		at = o.Size - d.Footer
	}
	tail := make([]byte, o.Size-at)
	if len(tail) == 0 {
		return tail, nil
	}
	if _, err := (readAt{ctx, from, o.Key()}).ReadAt(tail, at); err != nil && err != io.EOF {
		return nil, err
	}
	return tail, nil
}
