package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// instance is number n of the documents that workers store, of a dozen patients.
func instance(n int, side int) []byte {
	return imagingtest.CT(imagingtest.NewPatient(uint64(400+n%12)), imagingtest.Options{Study: 1, Series: 1, Instance: n + 1, Rows: side, Columns: side})
}

// acknowledged is one document that a worker has stored.
type acknowledged struct {
	Number int
	ID     string
}

// store stores documents, count of them or for ever, tells of each as soon as it is
// acknowledged when that is for ever, and otherwise of all, once all regions hold them.
func (s *site) store(ctx context.Context, t task, stream *json.Encoder) (answer, error) {
	var next atomic.Int64
	told, work := make(chan acknowledged), new(errgroup.Group)
	use := beginUsage()
	for range t.Parallel {
		work.Go(func() error {
			for {
				n := int(next.Add(1)) - 1
				if t.Count > 0 && n >= t.Count {
					return nil
				}
				r, err := s.h.Put(ctx, radiology, vault.Upload{Body: bytes.NewReader(instance(n, t.Side))})
				if err != nil {
					return fmt.Errorf("store document %d: %w", n, err)
				}
				told <- acknowledged{n, string(r.ID)}
			}
		})
	}
	ended := make(chan error, 1)
	go func() {
		ended <- work.Wait()
		close(told)
	}()
	docs := make(map[string]int)
	for a := range told {
		if t.Count > 0 {
			docs[a.ID] = a.Number
		} else if err := stream.Encode(a); err != nil {
			return answer{}, err
		}
	}
	a := use.end()
	a.Docs, a.Count = docs, int64(len(docs))
	return a, errors.Join(<-ended, s.settled(ctx))
}

// settled waits until every region holds what it was promised.
func (s *site) settled(ctx context.Context) error {
	for {
		states, err := s.h.State(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(states, func(s vault.RegionStatus) bool { return s.Pending > 0 }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// treat makes the clinician treat whose documents these are.
func (s *site) treat(ctx context.Context, docs map[string]int) error {
	seen := make(map[record.PatientToken]bool)
	for id := range maps.Keys(docs) {
		var of record.PatientToken
		treats := false
		err := s.h.Catalog.View(ctx, func(tx *catalog.Tx) error {
			d, err := tx.Document(ctx, record.ObjectID(id))
			if err != nil {
				return err
			}
			of = d.Patient
			treats, err = tx.Treats(ctx, clinician.ID, of, time.Now())
			return err
		})
		if errors.Is(err, catalog.ErrNotFound) {
			continue // lost
		}
		if err == nil && !treats && !seen[of] {
			_, err = s.h.AddCare(ctx, dpo, of, clinician.ID, time.Time{})
		}
		if err != nil {
			return fmt.Errorf("treat: %w", err)
		}
		seen[of] = true
	}
	return nil
}

// fetch reads a document as who treats the patient sees it.
func (s *site) fetch(ctx context.Context, id string, into io.Writer) error {
	opened, err := s.h.Open(ctx, clinician, vault.Ref{Document: record.ObjectID(id)})
	if err != nil {
		return err
	}
	if len(opened.Documents) != 1 {
		return fmt.Errorf("open %s: %d documents", id, len(opened.Documents))
	}
	r, err := opened.Documents[0].Reader(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(into, r)
	return errors.Join(err, r.Close())
}

// compare reads documents and compares them byte for byte with what was sent.
func (s *site) compare(ctx context.Context, t task) (answer, error) {
	if err := s.treat(ctx, t.Docs); err != nil {
		return answer{}, err
	}
	use, work := beginUsage(), new(errgroup.Group)
	work.SetLimit(t.Parallel)
	for id, n := range t.Docs {
		work.Go(func() error {
			var got bytes.Buffer
			if err := s.fetch(ctx, id, &got); err != nil {
				return fmt.Errorf("document %d (%s) does not come back: %w", n, id, err)
			}
			if !bytes.Equal(got.Bytes(), instance(n, t.Side)) {
				return fmt.Errorf("document %d (%s) comes back with other bytes", n, id)
			}
			return nil
		})
	}
	err := work.Wait()
	a := use.end()
	a.Count = int64(len(t.Docs))
	return a, err
}
