package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"medvault/keys"
	"medvault/vault/catalog/internal/query"
	"medvault/vault/record"
)

// WrapRow is a DEK wrapped by one key service: one per (token, generation, kind,
// service). House keys lie in the same table under their "house-…" token.
type WrapRow struct {
	keys.Binding
	Service string
	keys.Wrap
}

// After is the cursor of ShardWraps that goes on behind this row.
func (r WrapRow) After() string { return fmt.Sprintf("%s.%d", r.Token, r.Generation) }

// FixWraps fixes the DEKs of one (token, generation), which all rows share. The
// first caller wins and their rows stay; everyone gets the winner's rows. ErrChanged
// when a row's Version is below its shard's current version.
func (t *Tx) FixWraps(ctx context.Context, rows []WrapRow) (won bool, _ []WrapRow, err error) {
	if len(rows) == 0 {
		return false, nil, errors.New("fix wraps: no rows")
	}
	token, generation := rows[0].Token, rows[0].Generation
	for _, r := range rows {
		if r.Token != token || r.Generation != generation {
			return false, nil, errors.New("fix wraps: rows of more than one token and generation")
		}
	}
	if won, err = t.winGeneration(ctx, rows[0].Binding); err != nil {
		return false, nil, err
	}
	if won {
		if err := t.insertWraps(ctx, rows); err != nil {
			return false, nil, err
		}
	}
	there, err := t.Wraps(ctx, token, generation)
	return won, there, err
}

// AddWraps stores wraps of known DEKs, for further services or in a rebuild; one
// that is there stays as it is, and the DEKs count as fixed. It locks the shards' rows, and is refused with
// ErrChanged when a row's Version is below its shard's current version.
func (t *Tx) AddWraps(ctx context.Context, rows []WrapRow) error {
	for _, r := range rows {
		if _, err := t.winGeneration(ctx, r.Binding); err != nil {
			return err
		}
	}
	return t.insertWraps(ctx, rows)
}

func (t *Tx) winGeneration(ctx context.Context, b keys.Binding) (won bool, err error) {
	n, err := t.q.WinGeneration(ctx, query.WinGenerationParams{Token: b.Token, Generation: int64(b.Generation), FixedAt: millis(t.c.now())})
	return n == 1, attempt(err, "fix wraps of %s", b.Token)
}

func (t *Tx) insertWraps(ctx context.Context, rows []WrapRow) error {
	if err := t.notBuried(ctx, rows); err != nil {
		return err
	}
	if err := t.lockShards(ctx, rows); err != nil {
		return err
	}
	for _, r := range rows {
		_, err := t.q.InsertWrap(ctx, query.InsertWrapParams{Token: r.Token, Generation: int64(r.Generation), Kind: string(r.Kind),
			Service: r.Service, Shard: r.Shard, Version: int64(r.Version), Blob: r.Blob})
		if err != nil {
			return attempt(err, "add wrap of %s by %s", r.Token, r.Service)
		}
	}
	return nil
}

// notBuried refuses wraps of keys that are destroyed: somebody may still hold them in
// memory. The patient's row is locked, so that no erasure passes by.
func (t *Tx) notBuried(ctx context.Context, rows []WrapRow) error {
	for _, r := range rows {
		if r.Kind == keys.House {
			continue
		}
		if _, err := t.LockPatient(ctx, record.PatientToken(r.Token)); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		dead, err := t.Dead(ctx, record.PatientToken(r.Token), r.Generation)
		if err == nil && dead {
			err = ErrChanged
		}
		if err != nil {
			return attempt(err, "add wrap of %s: generation %d is destroyed", r.Token, r.Generation)
		}
	}
	return nil
}

// ReplaceWrap stores the rewrapped DEK in place of the one that is there. Absent:
// ErrNotFound. ErrChanged when Version is below the shard's current version or below
// that of the row that is there.
func (t *Tx) ReplaceWrap(ctx context.Context, r WrapRow) error {
	if err := t.lockShards(ctx, []WrapRow{r}); err != nil {
		return err
	}
	n, err := t.q.ReplaceWrap(ctx, query.ReplaceWrapParams{Token: r.Token, Generation: int64(r.Generation), Kind: string(r.Kind),
		Service: r.Service, Shard: r.Shard, Version: int64(r.Version), Blob: r.Blob})
	if err != nil || n == 1 {
		return attempt(err, "replace wrap of %s by %s", r.Token, r.Service)
	}
	there, err := t.Wraps(ctx, r.Token, r.Generation)
	if err != nil {
		return err
	}
	for _, old := range there {
		if old.Kind == r.Kind && old.Service == r.Service {
			return attempt(ErrChanged, "replace wrap of %s by %s: version %d is there", r.Token, r.Service, old.Version)
		}
	}
	return attempt(ErrNotFound, "replace wrap of %s by %s", r.Token, r.Service)
}

// lockShards holds the rows' shards until the end of the transaction, so that no
// rotation passes by a wrap that is being stored.
func (t *Tx) lockShards(ctx context.Context, rows []WrapRow) error {
	rows = slices.Clone(rows)
	// One order for everyone, or two transactions would wait for each other.
	slices.SortFunc(rows, func(a, b WrapRow) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Shard, b.Shard))
	})
	for _, r := range rows {
		_, err := t.q.InsertShard(ctx, query.InsertShardParams{Service: r.Service, Kind: string(r.Kind), Shard: r.Shard})
		if err != nil {
			return attempt(err, "lock shard %s/%s/%s", r.Service, r.Kind, r.Shard)
		}
		version, err := t.q.LockShard(ctx, query.LockShardParams{Service: r.Service, Kind: string(r.Kind), Shard: r.Shard})
		if err == nil && int64(r.Version) < version {
			err = fmt.Errorf("wrap of version %d, shard is at %d: %w", r.Version, version, ErrChanged)
		}
		if err != nil {
			return attempt(err, "lock shard %s/%s/%s", r.Service, r.Kind, r.Shard)
		}
	}
	return nil
}

// Wraps reads all wraps of one (token, generation) by kind and service; none is no
// error.
func (t *Tx) Wraps(ctx context.Context, token string, generation uint32) ([]WrapRow, error) {
	rows, err := t.q.ListWraps(ctx, query.ListWrapsParams{Token: token, Generation: int64(generation)})
	return wrapRows(rows), attempt(err, "wraps of %s", token)
}

// ShardWraps lists a shard's wraps of versions below belowVersion in a stable
// order, up to limit behind the cursor after ("" at first, then After of the last
// row).
func (t *Tx) ShardWraps(ctx context.Context, service string, kind keys.Kind, shard string, belowVersion int, after string, limit int) ([]WrapRow, error) {
	p := query.ListShardWrapsParams{Service: service, Kind: string(kind), Shard: shard, Below: int64(belowVersion), AfterGeneration: -1, MaxRows: limit32(limit)}
	if after != "" {
		dot := strings.LastIndexByte(after, '.')
		generation, err := strconv.ParseUint(after[dot+1:], 10, 32)
		if dot < 0 || err != nil {
			return nil, errors.New("wraps of a shard: the cursor is not TOKEN.GENERATION")
		}
		p.AfterToken, p.AfterGeneration = after[:dot], int64(generation)
	}
	rows, err := t.q.ListShardWraps(ctx, p)
	return wrapRows(rows), attempt(err, "wraps of shard %s/%s/%s", service, kind, shard)
}

// CountWraps counts the wraps of one key service.
func (t *Tx) CountWraps(ctx context.Context, service string) (int64, error) {
	n, err := t.q.CountWraps(ctx, service)
	return n, attempt(err, "count wraps of %s", service)
}

// Begun says whether any key was ever fixed. Until then the vault is yet to begin.
func (t *Tx) Begun(ctx context.Context) (bool, error) {
	begun, err := t.q.AnyGeneration(ctx)
	return begun, attempt(err, "look for keys")
}

// Shard reads the current version of a shard; 0 when none was set.
func (t *Tx) Shard(ctx context.Context, service string, kind keys.Kind, shard string) (version int, err error) {
	v, err := t.q.GetShard(ctx, query.GetShardParams{Service: service, Kind: string(kind), Shard: shard})
	if err = attempt(err, "shard %s/%s/%s", service, kind, shard); errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return int(v), err
}

// SetShard raises the current version of a shard; from then on no wrap below it is
// stored. Lowering it is ErrChanged.
func (t *Tx) SetShard(ctx context.Context, service string, kind keys.Kind, shard string, version int) error {
	n, err := t.q.SetShard(ctx, query.SetShardParams{Service: service, Kind: string(kind), Shard: shard, Version: int64(version)})
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return attempt(err, "set shard %s/%s/%s to %d", service, kind, shard, version)
}

func wrapRows(rows []query.Wrap) []WrapRow {
	wraps := make([]WrapRow, len(rows))
	for i, r := range rows {
		wraps[i] = WrapRow{
			Binding: keys.Binding{Kind: keys.Kind(r.Kind), Token: r.Token, Generation: uint32(r.Generation)},
			Service: r.Service,
			Wrap:    keys.Wrap{Shard: r.Shard, Version: int(r.Version), Blob: r.Blob},
		}
	}
	return wraps
}
