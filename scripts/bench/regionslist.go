package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"medvault/keys"
	"medvault/keys/envelope"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// root is where the files of a home region's data lie.
func (h house) root(n int) string { return filepath.Join(h.Dir, "regions", homeRegions()[n]) }

// fill adds rows and files to the first region as uploads would leave them, many times as
// fast: the files have their size and no bytes. Files below Files of the task, where the
// region's server keeps them.
func (s *site) fill(ctx context.Context, t task) (answer, error) {
	if t.From == 0 { // whoever is named in a row is known
		if _, err := s.h.Put(ctx, radiology, vault.Upload{Body: bytes.NewReader(instance(0, 16))}); err != nil {
			return answer{}, err
		}
		if err := s.settled(ctx); err != nil {
			return answer{}, err
		}
	}
	patient, err := s.patient(ctx)
	if err != nil {
		return answer{}, err
	}
	region, use := homeRegions()[:1], beginUsage()
	for n := t.From; n < t.Count; {
		err := s.h.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			for range min(2000, t.Count-n) {
				n++
				o := catalog.Object{ID: record.NewObjectID(), Class: catalog.ClassRecords, Patient: patient, Generation: 1, Seal: "00", Kind: record.KindRecord,
					Size: int64(1000 + n%1000), Created: time.Now()}
				if err := emptyFile(filepath.Join(t.Files, filepath.FromSlash(o.Key())), o.Size); err != nil {
					return err
				}
				if err := errors.Join(tx.InsertRecord(ctx, o, "bench"), tx.PlaceNew(ctx, o, region, region, time.Now())); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return answer{}, err
		}
	}
	return use.end(), nil
}

// patient is the token of the one patient there is.
func (s *site) patient(ctx context.Context) (token record.PatientToken, err error) {
	err = s.h.Catalog.View(ctx, func(tx *catalog.Tx) error {
		page, err := tx.Accounts(ctx, homeRegions()[0], "", false, 1)
		if err == nil && len(page) == 0 {
			err = errors.New("the region holds nothing")
		}
		if err == nil {
			token = page[0].Patient
		}
		return err
	})
	return token, err
}

func emptyFile(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// damage does to the first region, five times each, what a look at names and sizes must
// find, and puts its one document abroad. The answer's findings are those that verify must
// have.
func (s *site) damage(ctx context.Context, t task) (a answer, err error) {
	var page []catalog.Account
	err = s.h.Catalog.View(ctx, func(tx *catalog.Tx) error {
		document, err := tx.Accounts(ctx, homeRegions()[0], "", false, 1)
		if err != nil {
			return err
		}
		page, err = tx.Accounts(ctx, homeRegions()[0], "records/80", false, 10)
		page = append(document, page...)
		return err
	})
	if err != nil {
		return a, err
	}
	found := func(kind, region, object string) { a.Findings = append(a.Findings, kind+" "+region+" "+object) }
	home := homeRegions()[0]
	for i, e := range page {
		path := filepath.Join(t.Files, filepath.FromSlash(e.Key()))
		switch {
		case i == 0:
			found(vault.FindingForbidden, vaulttest.Foreign, string(e.ID))
			abroad := filepath.Join(s.spec.Dir, "regions", vaulttest.Foreign, filepath.FromSlash(e.Key()))
			var sealed []byte
			if sealed, err = os.ReadFile(path); err == nil {
				err = errors.Join(os.MkdirAll(filepath.Dir(abroad), 0o700), os.WriteFile(abroad, sealed, 0o600))
			}
		case i%2 == 0:
			found(vault.FindingMissing, home, string(e.ID))
			err = os.Remove(path)
		default:
			found(vault.FindingWrongSize, home, string(e.ID))
			err = os.Truncate(path, e.Size-1)
		}
		if err != nil {
			return a, err
		}
	}
	for range 5 {
		id, sealed, err := orphan(page[0].Patient)
		if err != nil {
			return a, err
		}
		foreign := "objects/" + string(id)[:2] + "/" + string(id) + ".old"
		found(vault.FindingOrphan, home, string(id))
		found(vault.FindingForeign, home, foreign)
		for key, data := range map[string][]byte{id.Key(catalog.ClassObjects): sealed, foreign: []byte("what is this")} {
			path, old := filepath.Join(t.Files, filepath.FromSlash(key)), time.Now().Add(-25*time.Hour)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600), os.Chtimes(path, old, old)); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// orphan seals an object that no record names.
func orphan(patient record.PatientToken) (id record.ObjectID, sealed []byte, err error) {
	id = record.NewObjectID()
	raw, err := id.Bytes()
	if err != nil {
		return id, nil, err
	}
	var out bytes.Buffer
	sealer, err := envelope.NewSealer(&out, envelope.Header{Object: raw, Patient: string(patient), Generation: 1, Kind: uint8(record.KindRecord)},
		envelope.Keys{Content: keys.NewDEK(), Identity: keys.NewDEK()})
	if err != nil {
		return id, nil, err
	}
	part, err := sealer.Part(envelope.Content)
	if err == nil {
		err = errors.Join(part.Close(), sealer.Close())
	}
	return id, out.Bytes(), err
}

// rawList lists a region's data with nothing beside it.
func (s *site) rawList(ctx context.Context, t task) (a answer, err error) {
	data, err := s.spec.data(ctx, t.Number)
	if err != nil {
		return a, err
	}
	use, n := beginUsage(), int64(0)
	for _, err := range data.List(ctx, "", "") {
		if err != nil {
			return a, err
		}
		n++
	}
	a = use.end()
	a.Count = n
	return a, nil
}

// measureListing compares a region's names and sizes with the catalog at growing numbers
// of objects, beside the listing alone.
func measureListing(ctx context.Context, b *backends, dir string, o options) (rows []row, err error) {
	h := house{Dir: filepath.Join(dir, "list")}
	rows, err = listing(ctx, h, h.root(0), "directory", o.listSizes)
	if err != nil || b == nil {
		return rows, err
	}
	onS3 := b.house(filepath.Join(dir, "lists3"))
	sizes := slices.DeleteFunc(slices.Clone(o.listSizes), func(n int) bool { return n > 100_000 })
	more, err := listing(ctx, onS3, b.files(0, onS3.Buckets[homeRegions()[0]]), "S3", sizes)
	return append(rows, more...), err
}

func listing(ctx context.Context, h house, files, kind string, sizes []int) (rows []row, err error) {
	defer os.RemoveAll(files)
	from := 0
	for _, n := range sizes {
		fmt.Fprintf(os.Stderr, "bench: %d objects in a %s region\n", n, kind)
		if _, err := once(ctx, h, task{Do: "fill", From: from, Count: n, Files: files}); err != nil {
			return rows, err
		}
		from = n
		more, err := listed(ctx, h, files, kind, n)
		if rows = append(rows, more...); err != nil {
			return rows, err
		}
	}
	planted, err := once(ctx, h, task{Do: "damage", Files: files})
	if err != nil {
		return rows, err
	}
	a, err := once(ctx, h, task{Do: "verify", Level: vault.LevelList})
	if err != nil {
		return rows, err
	}
	slices.Sort(a.Findings)
	slices.Sort(planted.Findings)
	if !slices.Equal(a.Findings, planted.Findings) {
		return rows, fmt.Errorf("verify list: found %q; planted %q", a.Findings, planted.Findings)
	}
	r := listRow(fmt.Sprintf("verify list, %s: %d of %d damages found", kind, len(a.Findings), len(planted.Findings)), a)
	return append(rows, r), nil
}

// listed measures at one size.
func listed(ctx context.Context, h house, files, kind string, n int) (rows []row, err error) {
	w, err := startWorker(ctx, h)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	a, err := w.do(task{Do: "verify", Level: vault.LevelList, Regions: homeRegions()[:1]})
	if err != nil {
		return nil, err
	}
	if len(a.Findings) > 0 {
		return nil, fmt.Errorf("verify list: findings in what is whole: %.500q", a.Findings)
	}
	rows = append(rows, listRow("verify list, "+kind, a))
	if a, err = w.do(task{Do: "list"}); err != nil {
		return rows, err
	}
	rows = append(rows, listRow("listing alone, "+kind, a))
	if h.onS3() {
		return rows, nil
	}
	a, err = find(ctx, files)
	return append(rows, listRow("find -printf, unsorted", a)), err
}

func listRow(name string, a answer) row {
	return row{Name: name, Count: int(a.Count), Seconds: a.Seconds, PerSecond: float64(a.Count) / a.Seconds, ServerCPUms: a.CPU / float64(a.Count) * 1e3,
		PeakMiB: a.PeakMiB, HeapMiB: a.HeapMiB}
}

// find has GNU find print names and sizes.
func find(ctx context.Context, dir string) (a answer, err error) {
	began := time.Now()
	c := exec.CommandContext(ctx, "find", dir, "-type", "f", "-printf", "%P %s\n")
	out, err := c.Output()
	if err != nil {
		return a, fmt.Errorf("find: %w", err)
	}
	return answer{Seconds: time.Since(began).Seconds(), CPU: processorTime(c.ProcessState), Count: int64(bytes.Count(out, []byte("\n")))}, nil
}

// sizes are a list of numbers, as a flag.
type sizes []int

func (s *sizes) String() string { return fmt.Sprint(*s) }

func (s *sizes) Set(text string) error {
	*s = nil
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 100 || len(*s) > 0 && n <= (*s)[len(*s)-1] {
			return errors.New("want ascending numbers of at least 100 objects, separated by commas")
		}
		*s = append(*s, n)
	}
	return nil
}
