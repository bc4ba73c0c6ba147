package vault

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// unwritten is a store that is only read: a Put of what lies there already is success,
// everything else that would change it is refused.
type unwritten struct{ persistent }

func (u unwritten) Put(ctx context.Context, key string, body storage.Body) error {
	err := storage.Compare(ctx, u.Store, key, body)
	if errors.Is(err, storage.ErrCorrupt) {
		return fmt.Errorf("put %s: %w", key, storage.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w: it is only read", key, storage.ErrDenied)
	}
	return nil
}

func (u unwritten) Delete(_ context.Context, key string) error {
	return fmt.Errorf("delete %s: %w: it is only read", key, storage.ErrDenied)
}

func (u unwritten) Repair(_ context.Context, key string, _ storage.Info, _ storage.Body) error {
	return fmt.Errorf("repair %s: %w: it is only read", key, storage.ErrDenied)
}

// batches gathers what comes one by one.
func batches[T any](all iter.Seq2[T, error], n int) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var batch []T
		for one, err := range all {
			if err != nil {
				yield(nil, err)
				return
			}
			if batch = append(batch, one); len(batch) < n {
				continue
			}
			if !yield(batch, nil) {
				return
			}
			batch = nil
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

// pages does what is listed page by page: do reads, and what it returns writes, in one
// transaction with the place that was reached.
func (r *rebuild) pages(ctx context.Context, list iter.Seq2[storage.Info, error], do func(context.Context, []storage.Info) (func(*catalog.Tx) error, error)) error {
	for page, err := range batches(list, rebuildPage) {
		if err != nil {
			return err
		}
		write, err := do(ctx, page)
		if err != nil {
			return err
		}
		last := page[len(page)-1].Key
		err = r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			if err := write(tx); err != nil {
				return err
			}
			return r.note(ctx, tx, last)
		})
		if err != nil {
			return err
		}
		r.at.Position = last
		r.tell()
	}
	return nil
}

// each does n things, some of them at once.
func (r *rebuild) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * r.v.cfg.Workers)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// takeObjects takes in what leaves name and nothing has superseded; the rest waits.
func (r *rebuild) takeObjects(ctx context.Context, class string) error {
	return r.takeListed(ctx, r.from.Data.List(ctx, class+"/", r.at.Position), "")
}

// takeAgain looks once more, by its name, for whatever the log names and was not taken in:
// the listing may have left it out, or its bytes have come wrong.
func (r *rebuild) takeAgain(ctx context.Context, class string) error {
	return r.takeListed(ctx, func(yield func(storage.Info, error) bool) {
		after, _ := objectAt(r.at.Position)
		for {
			var ids []record.ObjectID
			var leaves [][]byte
			err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
				ids, leaves, err = tx.Unaccounted(ctx, after, rebuildPage)
				return err
			})
			if err != nil {
				yield(storage.Info{}, err)
				return
			}
			for i, data := range leaves {
				leaf, err := audit.ParseLeaf(data)
				if err == nil && objectOf(leaf).Class != class {
					continue
				}
				if !yield(storage.Info{Key: ids[i].Key(class)}, err) {
					return
				}
			}
			if len(ids) == 0 {
				return
			}
			after = ids[len(ids)-1]
		}
	}, "")
}

// tookAgain takes back what was said of an object that a second look has found good, or
// says that the listing had left it out.
func (r *rebuild) tookAgain(ctx context.Context, tx *catalog.Tx, t taken) error {
	named, err := tx.RebuildFindings(ctx, r.from.Name, "", catalog.RebuildFinding{Key: t.key}, 1)
	if err != nil {
		return err
	}
	if len(named) > 0 && named[0].Key == t.key {
		return tx.DropRebuildFinding(ctx, r.from.Name, t.key, named[0].Type)
	}
	return r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildListing, Object: string(t.id), Class: t.object.Class, Patient: t.object.Patient,
		Evidence: "it lies there, and the region's listing left it out: what no leaf names may be left out as well", Repair: "rebuild again once the region lists what it holds"})
}

// Types of findings that takeWaiting settles: they say what waits.
const (
	rebuildLeaving     = "leaving"     // the log says that another stands in its place: taken back where that is not here
	rebuildUnconfirmed = "unconfirmed" // no leaf names it: taken in where it verifies to its last byte
)

// takeWaiting takes in what has waited.
func (r *rebuild) takeWaiting(ctx context.Context, kind string) error {
	waiting := func(yield func(storage.Info, error) bool) {
		for after := (catalog.RebuildFinding{Key: r.at.Position, Type: "~"}); ; {
			var page []catalog.RebuildFinding
			err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
				page, err = tx.RebuildFindings(ctx, r.from.Name, kind, after, rebuildPage)
				return err
			})
			if err != nil {
				yield(storage.Info{}, err)
				return
			}
			for _, f := range page {
				if after = f; !yield(storage.Info{Key: f.Key}, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
		}
	}
	return r.takeListed(ctx, waiting, kind)
}

// takeListed takes in what is listed; waited is why it was left until now, "" when this is
// the first look at it.
func (r *rebuild) takeListed(ctx context.Context, list iter.Seq2[storage.Info, error], waited string) error {
	return r.pages(ctx, list, func(ctx context.Context, infos []storage.Info) (func(*catalog.Tx) error, error) {
		all := make([]taken, len(infos))
		err := r.each(ctx, len(infos), func(ctx context.Context, i int) (err error) {
			all[i], err = r.examine(ctx, infos[i], waited)
			return err
		})
		for _, t := range all {
			if t.later == "" && t.id != "" {
				r.state.Objects++
				r.state.Bytes += t.bytes
			}
		}
		return func(tx *catalog.Tx) error {
			for i := range all {
				if err := r.take(ctx, tx, all[i], waited); err != nil {
					return fmt.Errorf("%s: %w", all[i].key, err)
				}
			}
			return nil
		}, err
	})
}
