package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
)

// House keys belong to no single patient. Every home region's key service wraps
// each of them, and the wraps lie in the home regions under house/.
const (
	houseToken = "house-token" // patient tokens, UIDs, ids
	houseIndex = "house-index" // blind index
	houseLog   = "house-log"   // seed of the log's signing key
)

// houseRecords is the DEK of house records. Vaults older than these have none before
// their next start, so it is loaded apart (see loadRecordsKey).
const houseRecords = "house-records"

var houseNames = []string{houseToken, houseIndex, houseLog}

// houseGeneration is the first and, until rollover exists, the only one.
const houseGeneration = 1

// ErrForeignRegions says that the catalog is new but a region already belongs to a
// vault: going on would give every patient a second token.
var ErrForeignRegions = errors.New("the catalog is empty but a region holds a vault's house keys")

func houseBinding(name string) keys.Binding {
	return keys.Binding{Kind: keys.House, Token: name, Generation: houseGeneration}
}

func (v *Vault) loadHouse(ctx context.Context) (map[string]keys.DEK, error) {
	house := make(map[string]keys.DEK)
	for _, name := range houseNames {
		dek, err := v.houseKey(ctx, name)
		if err != nil {
			return nil, err
		}
		house[name] = dek
	}
	return house, nil
}

// loadRecordsKey loads the key of house records, making it where neither the catalog nor
// a home region has one.
func (v *Vault) loadRecordsKey(ctx context.Context) (err error) {
	v.records, err = v.houseKey(ctx, houseRecords)
	return err
}

func (v *Vault) houseKey(ctx context.Context, name string) (keys.DEK, error) {
	rows, err := v.wraps(ctx, name, houseGeneration)
	if err != nil {
		return keys.DEK{}, fmt.Errorf("house keys: %w", err)
	}
	if len(rows) == 0 {
		if rows, err = v.makeHouseKey(ctx, name); err != nil {
			return keys.DEK{}, err
		}
	}
	dek, err := v.unwrap(ctx, rows, keys.House)
	if err != nil {
		return keys.DEK{}, fmt.Errorf("house key %s: %w", name, err)
	}
	return dek, v.placeHouseKey(ctx, name, dek, rows)
}

func (v *Vault) makeHouseKey(ctx context.Context, name string) ([]catalog.WrapRow, error) {
	for _, r := range v.homeRegions() {
		found, _, err := newestHouseWrap(ctx, r.Keys, r, v.cfg.Services[r.Name], name)
		switch {
		case errors.Is(err, ErrNoHouseKeys):
			continue
		case err != nil:
			// A region that cannot be asked might hold them: a new key is made only when
			// every home region has shown that it has none.
			return nil, fmt.Errorf("a new vault needs every home region: region %s: %w", r.Name, err)
		case name != houseRecords:
			return nil, fmt.Errorf("%w: region %s: point the catalog setting at the vault's own database, or rebuild it", ErrForeignRegions, r.Name)
		}
		// The vault is ours, by its other keys: another gateway made this one just now, or
		// the catalog was made anew from a region that had not got it yet.
		err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.TakeWrap(ctx, found) })
		if err != nil {
			return nil, err
		}
		return v.wraps(ctx, name, houseGeneration)
	}
	dek := keys.NewDEK()
	var rows []catalog.WrapRow
	for _, s := range v.homeServices() {
		row, err := wrapOne(ctx, s, houseBinding(name), dek)
		if err != nil {
			return nil, fmt.Errorf("wrap house key %s by %s: %w", name, s.Name(), err)
		}
		rows = append(rows, row)
	}
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		_, rows, err = tx.FixWraps(ctx, rows)
		return err
	})
	return rows, err
}

// newestHouseWrap finds a house key's wrap of the newest version among a region's keys
// that its key service opens, and tells whether the region lists one. None there at all:
// ErrNoHouseKeys.
func newestHouseWrap(ctx context.Context, from storage.Store, r storage.Region, s keys.Wrapper, name string) (newest catalog.WrapRow, listed bool, err error) {
	for info, err := range from.List(ctx, "house/"+name+"/", "") {
		if err != nil {
			return newest, false, fmt.Errorf("house keys of region %s: %w", r.Name, err)
		}
		if b, w, ok := parseWrapKey(info.Key); ok && b == houseBinding(name) && w.Version > newest.Version {
			newest = catalog.WrapRow{Binding: b, Service: s.Name(), Wrap: w}
		}
	}
	if listed = newest.Version > 0; listed {
		if newest.Blob, err = readWrap(ctx, r, newest); err != nil {
			return newest, listed, err
		}
		_, err = s.Unwrap(ctx, []keys.Bound{{Binding: newest.Binding, Wrap: newest.Wrap}})
		if err == nil || errors.Is(err, keys.ErrUnavailable) {
			return newest, listed, err
		}
	}
	// A listing may leave it out, and what came may have come wrong.
	found, err := wrapNamed(ctx, r, s, houseBinding(name))
	if errors.Is(err, errNoWraps) && !listed && !errors.Is(err, keys.ErrRefused) {
		err = ErrNoHouseKeys
	}
	if err != nil {
		return newest, listed, fmt.Errorf("region %s: %s: %w", r.Name, name, err)
	}
	return found, listed, nil
}

// placeHouseKey makes sure that the wraps lie in the home regions; a region that is
// down gets them at a later start. One must hold them.
func (v *Vault) placeHouseKey(ctx context.Context, name string, dek keys.DEK, rows []catalog.WrapRow) error {
	var errs []error
	regions := v.homeRegions()
	for _, r := range regions {
		// One that hangs does not keep a gateway from starting.
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		if _, err := v.placeWrap(ctx, r, houseBinding(name), dek, rows); err != nil {
			v.cfg.Log.Warn("house key not placed", "region", r.Name, "err", err)
			errs = append(errs, fmt.Errorf("region %s: %w", r.Name, err))
		}
	}
	if len(errs) == len(regions) {
		return fmt.Errorf("house key %s: no home region holds it: %w", name, errors.Join(errs...))
	}
	return nil
}

// identityOf names a vault by a child of its log key: the same in every gateway, and
// another after every new beginning.
func identityOf(logKey keys.DEK) (string, error) {
	b, err := hkdf.Key(sha512.New, logKey.Bytes(), nil, "medvault vault id", 16)
	if err != nil {
		return "", fmt.Errorf("vault id: %w", err)
	}
	return hex.EncodeToString(b), nil
}

func (v *Vault) homeRegions() (home []storage.Region) {
	for _, r := range v.cfg.Regions.Regions() {
		if r.Jurisdiction == v.cfg.Home {
			home = append(home, r)
		}
	}
	return home
}

// homeServices lists the key services of the home regions, each once.
func (v *Vault) homeServices() (services []keys.Wrapper) {
	seen := make(map[string]bool)
	for _, r := range v.homeRegions() {
		if s := v.cfg.Services[r.Name]; !seen[s.Name()] {
			seen[s.Name()] = true
			services = append(services, s)
		}
	}
	return services
}
