package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"medvault/storage"
	"medvault/storage/dir"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// survivor is the region that is left, and the one that is farthest away.
const survivor = "cn-south"

// distant is a store that every object takes a while to.
type distant struct {
	storage.Store
	delay time.Duration
}

func (d distant) Put(ctx context.Context, key string, body storage.Body) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d.delay):
	}
	return d.Store.Put(ctx, key, body)
}

// measureDisaster kills a gateway that stores documents, destroys its catalog and two of
// its three regions, and makes the catalog anew from the third: once with a quorum of two,
// where what had not reached the survivor is lost, and once with all three, where nothing
// may be. Every document that the survivor held must come back byte for byte, and every
// other one that its log knows of must be named.
func measureDisaster(ctx context.Context, b *backends, dir string, o options) (rows []row, err error) {
	for _, on := range []struct {
		kind      string
		s3        bool
		documents int
	}{{"directories", false, o.disasterDocs}, {"S3", true, o.disasterDocs / 4}} {
		if on.s3 && b == nil {
			continue
		}
		for _, all := range []bool{false, true} {
			name := fmt.Sprintf("disaster-%s-%v", on.kind[:2], all)
			h := house{Dir: filepath.Join(dir, name)}
			if on.s3 {
				h.Dir = filepath.Join(dir, fmt.Sprintf("disaster%v", all))
				h = b.house(h.Dir)
			}
			h.AckAll, h.LogExport, h.Delay = all, 2*time.Second, 10*time.Millisecond
			if !all { // so far away that its copies fall behind
				h.Delay = 150 * time.Millisecond
			}
			more, err := h.disaster(ctx, on.kind, on.documents, o)
			if rows = append(rows, more...); err != nil {
				return rows, fmt.Errorf("disaster on %s, ack all %v: %w", on.kind, all, err)
			}
		}
	}
	return rows, nil
}

// disasterSide makes small documents: it is about how many there are.
const disasterSide = 64

func (h house) disaster(ctx context.Context, kind string, documents int, o options) (rows []row, err error) {
	quorum := "quorum 2 of 3"
	if h.AckAll {
		quorum = "ack: all"
	}
	fmt.Fprintf(os.Stderr, "bench: disaster on %s after %d documents, %s\n", kind, documents, quorum)
	began := time.Now()
	docs, err := h.killUnderLoad(ctx, documents, o.parallel)
	if err != nil {
		return nil, err
	}
	rows = append(rows, row{Name: fmt.Sprintf("load until killed, %s, %s", kind, quorum), Count: len(docs), Seconds: time.Since(began).Seconds(),
		PerSecond: float64(len(docs)) / time.Since(began).Seconds()})
	if err := h.destroy(); err != nil {
		return rows, err
	}
	h.Delay, h.LogExport = 0, 0
	held, err := h.heldBySurvivor(ctx)
	if err != nil {
		return rows, err
	}
	a, err := once(ctx, h, task{Do: "rebuild"})
	if err != nil {
		return rows, err
	}
	done := a.Rebuilt
	inLog, err := h.inLog(ctx, docs)
	if err != nil {
		return rows, err
	}
	named := make(map[string]string)
	for _, f := range done.Findings {
		named[f.Object] = f.Type
	}
	back := make(map[string]int)
	lostNamed, lostUnknown := 0, 0
	for id, n := range docs {
		switch {
		case held[id]:
			back[id] = n
		case inLog[id] && named[id] != vault.RebuildLostHere:
			return rows, fmt.Errorf("document %d (%s) is in the log, not in the region, and named %q", n, id, named[id])
		case inLog[id]:
			lostNamed++
		default:
			lostUnknown++
		}
	}
	if h.AckAll && len(back) < len(docs) {
		return rows, fmt.Errorf("%d acknowledged documents lost with ack: all", len(docs)-len(back))
	}
	r := row{Name: "rebuild from one region, " + kind, Count: int(done.Objects), Seconds: done.Seconds, PerSecond: float64(done.Objects) / done.Seconds,
		ServerCPUms: a.CPU / float64(done.Objects) * 1e3, PeakMiB: a.PeakMiB, MinutesPer100000: done.MinutesPer100000,
		Note: fmt.Sprintf("%s: of %d acknowledged %d had reached the survivor, %d lost and named, %d lost behind its log (leaf %d)",
			quorum, len(docs), len(back), lostNamed, lostUnknown, done.Log.Size)}
	rows = append(rows, r)
	a, err = once(ctx, h, task{Do: "compare", Docs: back, Parallel: o.parallel, Side: disasterSide})
	if err != nil {
		return rows, err
	}
	return append(rows, row{Name: "all of them opened, byte for byte, " + kind, Count: int(a.Count), Seconds: a.Seconds, PerSecond: float64(a.Count) / a.Seconds}), nil
}

// killUnderLoad has a gateway store documents until so many are acknowledged, and kills
// it. Their numbers, by id.
func (h house) killUnderLoad(ctx context.Context, documents, clients int) (map[string]int, error) {
	w, err := startWorker(ctx, h)
	if err != nil {
		return nil, err
	}
	docs := make(map[string]int)
	err = w.send(task{Do: "store", Parallel: clients, Side: disasterSide})
	for err == nil && len(docs) < documents {
		var a struct {
			acknowledged
			Error string
		}
		if err = w.out.Decode(&a); err == nil && a.Error != "" {
			err = fmt.Errorf("worker: %s", a.Error)
		}
		docs[a.ID] = a.Number
	}
	if killed := w.cmd.Process.Kill(); err == nil {
		err = killed
	}
	w.cmd.Wait() // it was killed
	return docs, err
}

// destroy loses the catalog, the disk of the gateway, and every home region but the
// survivor; empty new ones stand in their place.
func (h house) destroy() error {
	for _, name := range []string{"catalog.db", "catalog.db-wal", "catalog.db-shm", "spool"} {
		if err := os.RemoveAll(filepath.Join(h.Dir, name)); err != nil {
			return err
		}
	}
	for n, region := range homeRegions() {
		if region == survivor {
			continue
		}
		if err := os.Remove(filepath.Join(h.Dir, "keys", region+".json")); err != nil {
			return err
		}
		if h.onS3() {
			h.Buckets[region] += "-new"
			continue
		}
		if err := os.RemoveAll(h.root(n)); err != nil {
			return err
		}
		if _, err := dir.New(dir.Config{Root: h.root(n), Create: true}); err != nil {
			return err
		}
	}
	return nil
}

func (h house) heldBySurvivor(ctx context.Context) (map[string]bool, error) {
	data, err := h.data(ctx, len(homeRegions())-1)
	if err != nil {
		return nil, err
	}
	held := make(map[string]bool)
	for info, err := range data.List(ctx, catalog.ClassObjects+"/", "") {
		if err != nil {
			return nil, err
		}
		held[filepath.Base(info.Key)] = true
	}
	return held, nil
}

// inLog says which documents the log names that was taken over from the survivor.
func (h house) inLog(ctx context.Context, docs map[string]int) (map[string]bool, error) {
	index, err := catalog.Open(ctx, catalog.Config{DSN: "sqlite:" + filepath.Join(h.Dir, "catalog.db")})
	if err != nil {
		return nil, err
	}
	defer index.Close()
	in := make(map[string]bool)
	for id := range docs {
		_, err := index.CommitLeaf(ctx, record.ObjectID(id))
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return nil, err
		}
		in[id] = err == nil
	}
	return in, nil
}

// rebuild makes the catalog anew from the survivor.
func (s *site) rebuild(ctx context.Context) (a answer, err error) {
	o, err := s.spec.options(ctx)
	if err != nil {
		return a, err
	}
	use := beginUsage()
	done, err := vaulttest.Rebuild(ctx, o, survivor)
	a = use.end()
	a.Rebuilt = &done
	return a, err
}
