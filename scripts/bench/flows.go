package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"medvault/imaging/imagingtest"
)

// document is a synthetic document that can be written again and again.
type document struct {
	patient imagingtest.Patient
	options imagingtest.Options
}

func (d document) path() string {
	return "/studies/" + d.patient.StudyUID(d.options) + "/series/" + d.patient.SeriesUID(d.options) +
		"/instances/" + d.patient.InstanceUID(d.options)
}

// seed makes every run new to the vault: the same bytes again would not be stored.
var seed = uint64(time.Now().UnixNano())

// measureInstances stores single CT instances, each in a request of its own as a
// modality sends them, and opens them again. The same instances go to another server,
// where one is installed, in turn with the vault.
func measureInstances(ctx context.Context, t *target, o options) (rows []row, err error) {
	all := makeInstances(o.instances)
	peer, err := openOrthanc(ctx)
	if err != nil {
		return nil, err
	}
	if peer != nil {
		defer peer.close()
	}
	fmt.Fprintf(os.Stderr, "bench: %d CT instances of %.1f MB, %d clients\n", o.instances, float64(len(all.bodies[0]))/1e6, o.parallel)
	for _, measure := range []func(context.Context, *target, string, int) (row, error){all.store, all.open} {
		r, err := measure(ctx, t, "", o.parallel)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
		if peer == nil {
			continue
		}
		if r, err = measure(ctx, peer, "Orthanc: ", o.parallel); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// instances are CT instances of one series, and one of another to begin with.
type instances struct {
	first     []byte
	documents []document
	bodies    [][]byte
	sums      [][sha256.Size]byte
	total     int64
}

func makeInstances(n int) *instances {
	patient := imagingtest.NewPatient(seed)
	i := &instances{first: imagingtest.CT(patient, imagingtest.Options{Study: 1, Series: 2, Instance: 1})}
	for k := range n {
		d := document{patient, imagingtest.Options{Study: 1, Series: 1, Instance: k + 1}}
		body := imagingtest.CT(patient, d.options)
		i.documents, i.bodies, i.sums = append(i.documents, d), append(i.bodies, body), append(i.sums, sha256.Sum256(body))
		i.total += int64(len(body))
	}
	return i
}

func (i *instances) store(ctx context.Context, t *target, whose string, clients int) (row, error) {
	send := func(ctx context.Context, body []byte) error {
		return t.store(ctx, func(w io.Writer) error { _, err := w.Write(body); return err })
	}
	// The first makes the patient and their keys; it is not part of the measurement.
	if err := send(ctx, i.first); err != nil {
		return row{}, fmt.Errorf("%sstore CT instance: %w", whose, err)
	}
	return t.each(ctx, whose+"store CT instance", len(i.bodies), i.total, clients, func(ctx context.Context, k int) error {
		return send(ctx, i.bodies[k])
	})
}

func (i *instances) open(ctx context.Context, t *target, whose string, clients int) (row, error) {
	return t.each(ctx, whose+"open CT instance", len(i.bodies), i.total, clients, func(ctx context.Context, k int) error {
		return t.open(ctx, i.documents[k], i.sums[k])
	})
}

// measureMultiFrame stores 100 frames of 0.5 MB in one object and reads single ones.
func measureMultiFrame(ctx context.Context, t *target, o options) ([]row, error) {
	d := document{imagingtest.NewPatient(seed + 1), imagingtest.Options{Study: 1, Series: 1, Instance: 1, Frames: 100}}
	fmt.Fprintln(os.Stderr, "bench: one multi-frame object of 100 frames")
	rows, err := t.storeAndOpen(ctx, "50 MB multi-frame", d)
	if err != nil {
		return nil, err
	}
	order := rand.New(rand.NewPCG(1, 2))
	times := make([]time.Duration, 0, o.frameReads)
	frames, err := t.each(ctx, "one frame of 100", o.frameReads, int64(o.frameReads)<<19, 1, func(ctx context.Context, _ int) error {
		began := time.Now()
		n, err := t.get(ctx, fmt.Sprintf("%s/frames/%d", d.path(), 1+order.IntN(100)), "application/octet-stream", io.Discard)
		if err == nil && n != 512*512*2 {
			err = fmt.Errorf("a frame has %d bytes, want %d", n, 512*512*2)
		}
		times = append(times, time.Since(began))
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(times)
	frames.P50ms = milliseconds(times[len(times)/2])
	frames.P95ms = milliseconds(times[len(times)*95/100])
	return append(rows, frames), nil
}

// measureLarge streams one object that is far larger than the server's memory may be.
func measureLarge(ctx context.Context, t *target, o options) ([]row, error) {
	if o.largeFrames == 0 {
		return nil, nil
	}
	d := document{imagingtest.NewPatient(seed + 2), imagingtest.Options{Study: 1, Series: 1, Instance: 1, Frames: o.largeFrames}}
	name := fmt.Sprintf("%d MiB object", o.largeFrames/2)
	fmt.Fprintln(os.Stderr, "bench: one", name)
	return t.storeAndOpen(ctx, name, d)
}

func (t *target) storeAndOpen(ctx context.Context, name string, d document) ([]row, error) {
	sum := sha256.New()
	size := new(counter)
	write := func(w io.Writer) error {
		return imagingtest.Stream(io.MultiWriter(w, sum, size), d.patient, d.options)
	}
	stored, err := t.each(ctx, "store "+name, 1, 0, 1, func(ctx context.Context, _ int) error { return t.store(ctx, write) })
	if err != nil {
		return nil, err
	}
	stored.Bytes = int64(*size)
	stored.MBPerSecond = float64(stored.Bytes) / 1e6 / stored.Seconds
	opened, err := t.each(ctx, "open "+name, 1, stored.Bytes, 1, func(ctx context.Context, _ int) error {
		return t.open(ctx, d, [sha256.Size]byte(sum.Sum(nil)))
	})
	return []row{stored, opened}, err
}

type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// each runs n acts with so many clients, and tells time, server CPU and memory.
func (t *target) each(ctx context.Context, name string, n int, bytes int64, clients int, act func(context.Context, int) error) (row, error) {
	t.forgetPeak()
	cpu, began := t.cpu(), time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	for i := range n {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return act(ctx, i)
		})
	}
	if err := group.Wait(); err != nil {
		return row{}, fmt.Errorf("%s: %w", name, err)
	}
	r := finished(row{Name: name, Count: n, Bytes: bytes}, began)
	r.ServerCPUms = milliseconds(t.cpu()-cpu) / float64(n)
	r.PeakMiB = t.peak()
	return r, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// store sends one instance by STOW-RS.
func (t *target) store(ctx context.Context, write func(io.Writer) error) error {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() {
		part, err := form.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/dicom"}})
		if err == nil {
			err = write(part)
		}
		if err == nil {
			err = form.Close()
		}
		writer.CloseWithError(err)
	}()
	defer reader.Close() // ends the writer when the server answers early
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.dicomweb+"/studies", reader)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+t.storeToken)
	request.Header.Set("Content-Type", `multipart/related; type="application/dicom"; boundary=`+form.Boundary())
	request.Header.Set("Accept", "application/dicom+json")
	response, err := t.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("store: status %d: %s", response.StatusCode, answer)
	}
	return err
}

// open reads one instance by WADO-RS and compares it with what was sent.
func (t *target) open(ctx context.Context, d document, want [sha256.Size]byte) error {
	sum := sha256.New()
	if _, err := t.get(ctx, d.path(), "application/dicom; transfer-syntax=*", sum); err != nil {
		return err
	}
	if [sha256.Size]byte(sum.Sum(nil)) != want {
		return errors.New("open: other bytes came back than were sent")
	}
	return nil
}

// get writes the only part of a multipart/related answer to w.
func (t *target) get(ctx context.Context, path, accept string, w io.Writer) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.dicomweb+path, nil)
	if err != nil {
		return 0, err
	}
	kind, parameters, _ := mime.ParseMediaType(accept)
	acceptHeader := fmt.Sprintf("multipart/related; type=%q", kind)
	if syntax := parameters["transfer-syntax"]; syntax != "" {
		acceptHeader += "; transfer-syntax=" + syntax
	}
	request.Header.Set("Accept", acceptHeader)
	request.Header.Set("Authorization", "Bearer "+t.openToken)
	response, err := t.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return 0, fmt.Errorf("get: status %d: %s", response.StatusCode, answer)
	}
	_, parameters, err = mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil {
		return 0, fmt.Errorf("get: content type: %w", err)
	}
	parts := multipart.NewReader(response.Body, parameters["boundary"])
	part, err := parts.NextRawPart()
	if err != nil {
		return 0, fmt.Errorf("get: %w", err)
	}
	n, err := io.Copy(w, part)
	if err != nil {
		return n, fmt.Errorf("get: %w", err)
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("get: after the only part: %v, want the end", err)
	}
	return n, nil
}
