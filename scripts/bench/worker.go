package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"medvault/storage"
	"medvault/storage/dir"
	"medvault/storage/minio"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// What is measured of a vault without HTTP runs in processes of its own, so that its
// memory and its processor time are its own, several run beside each other as gateways
// do, and one can be killed. A worker is this program again: it reads tasks from standard
// input and answers each on standard output, in JSON.

// house is the vault that a worker works in: its regions are directories, or, where
// there are endpoints, those at home are buckets.
type house struct {
	Dir       string
	DSN       string `json:",omitempty"` // default SQLite under Dir
	Endpoints []string
	Access    string
	Secret    string
	Buckets   map[string]string // of home regions, by region: the data bucket; keys lie in one more

	AckAll    bool          // acknowledged is what all home regions hold
	LogExport time.Duration // 0: only when asked to
	Delay     time.Duration // of every object on its way to the last home region
}

func (h house) onS3() bool { return len(h.Endpoints) > 0 }

func homeRegions() []string { return vaulttest.Regions()[:3] }

func (h house) options(ctx context.Context) (vaulttest.Options, error) {
	o := vaulttest.Options{Dir: h.Dir, DSN: h.DSN, LogExport: h.LogExport, Split: h.onS3()}
	if h.AckAll {
		o.Quorum = func(permitted int) int { return permitted }
	}
	buckets := make(map[string]storage.Store)
	for n, region := range homeRegions() {
		if !h.onS3() {
			break
		}
		for _, kind := range []string{"data", "keys"} {
			s, err := h.bucket(ctx, n, kind)
			if err != nil {
				return o, err
			}
			buckets[region+"/"+kind] = s
		}
	}
	o.Store = func(region, bucket string, s storage.Store) storage.Store {
		if b := buckets[region+"/"+bucket]; b != nil {
			s = b
		}
		if region == survivor && bucket == "data" && h.Delay > 0 {
			s = distant{s, h.Delay}
		}
		return s
	}
	return o, nil
}

// bucket opens a home region's bucket, and makes it where it is missing.
func (h house) bucket(ctx context.Context, n int, kind string) (storage.Store, error) {
	name := h.Buckets[homeRegions()[n]]
	if kind == "keys" {
		name += "-keys"
	}
	return minio.New(ctx, minio.Config{Endpoint: h.Endpoints[n], AccessKey: h.Access, SecretKey: h.Secret, Region: "us-east-1",
		Bucket: name, Insecure: true, PathStyle: true, CreateBucket: true, Versioning: kind == "data"})
}

// data opens a home region's data as the vault does.
func (h house) data(ctx context.Context, n int) (storage.Store, error) {
	if h.onS3() {
		return h.bucket(ctx, n, "data")
	}
	return dir.New(dir.Config{Root: h.root(n)})
}

var (
	radiology = vaulttest.Actor(record.RoleRadiology)
	clinician = vaulttest.Actor(record.RoleClinician)
	operator  = vaulttest.Actor(record.RoleOperator)
	dpo       = vaulttest.Actor(record.RoleDPO)
)

// task is what a worker is to do, in the vault that the first task names.
type task struct {
	Do    string
	House *house `json:",omitempty"`

	Count    int            `json:",omitempty"`
	From     int            `json:",omitempty"`
	Parallel int            `json:",omitempty"`
	Side     int            `json:",omitempty"` // of a CT instance, in pixels
	Level    string         `json:",omitempty"`
	Regions  []string       `json:",omitempty"`
	Limit    int64          `json:",omitempty"`
	Number   int            `json:",omitempty"` // of a home region
	Seconds  float64        `json:",omitempty"`
	Rate     float64        `json:",omitempty"`
	Files    string         `json:",omitempty"` // where a region keeps its data
	Docs     map[string]int `json:",omitempty"` // number of each document, by its id
}

// answer is what came of it.
type answer struct {
	Error   string  `json:",omitempty"`
	Seconds float64 `json:",omitempty"`
	CPU     float64 `json:",omitempty"` // seconds
	PeakMiB float64 `json:",omitempty"`
	HeapMiB float64 `json:",omitempty"` // most that was alive after a collection

	Count    int64          `json:",omitempty"`
	Bytes    int64          `json:",omitempty"`
	Findings []string       `json:",omitempty"` // "type region object"
	Docs     map[string]int `json:",omitempty"`
	Millis   []float64      `json:",omitempty"` // of each read
	Rebuilt  *vault.Rebuilt `json:",omitempty"`
	Rows     []row          `json:",omitempty"`
}

// worker is a process that does tasks, one after the other.
type worker struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	tasks *json.Encoder
	out   *json.Decoder
	house *house // not told yet
}

func startWorker(ctx context.Context, h house) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{cmd: exec.CommandContext(ctx, self, workerArg), house: &h}
	w.cmd.Env = append(os.Environ(), "GODEBUG=fips140=only") // as the product runs
	w.cmd.Stderr = os.Stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.tasks, w.out = json.NewEncoder(w.in), json.NewDecoder(out)
	return w, w.cmd.Start()
}

const workerArg = "worker"

func (w *worker) send(t task) error {
	t.House, w.house = w.house, nil
	return w.tasks.Encode(t)
}

func (w *worker) receive() (a answer, err error) {
	if err := w.out.Decode(&a); err != nil {
		return a, fmt.Errorf("worker: %w", err)
	}
	if a.Error != "" {
		return a, errors.New("worker: " + a.Error)
	}
	return a, nil
}

func (w *worker) do(t task) (answer, error) {
	if err := w.send(t); err != nil {
		return answer{}, err
	}
	a, err := w.receive()
	if err != nil {
		return a, fmt.Errorf("%s: %w", t.Do, err)
	}
	return a, nil
}

// close ends the process when it has done its tasks.
func (w *worker) close() error {
	return errors.Join(w.in.Close(), w.cmd.Wait())
}

// once has one task done by a process of its own. Seconds and CPU of the answer are
// those of the process from its start to its end.
func once(ctx context.Context, h house, t task) (answer, error) {
	began := time.Now()
	w, err := startWorker(ctx, h)
	if err != nil {
		return answer{}, err
	}
	a, err := w.do(t)
	if err := errors.Join(err, w.close()); err != nil {
		return a, err
	}
	a.Seconds, a.CPU = time.Since(began).Seconds(), processorTime(w.cmd.ProcessState)
	return a, nil
}

func processorTime(p *os.ProcessState) float64 { return (p.UserTime() + p.SystemTime()).Seconds() }

// work is a worker's life.
func work(ctx context.Context) error {
	tasks, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var at site
	defer at.close()
	for {
		var t task
		err := tasks.Decode(&t)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if t.House != nil {
			at.spec = *t.House
		}
		a, err := at.do(ctx, t, answers)
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

// site is a vault that a worker works in, opened when it is first needed.
type site struct {
	spec house
	h    *vaulttest.House
}

func (s *site) do(ctx context.Context, t task, stream *json.Encoder) (answer, error) {
	switch t.Do {
	case "rebuild":
		return s.rebuild(ctx)
	case "list":
		return s.rawList(ctx, t)
	case "log":
		return s.measureLog(ctx, t)
	}
	if s.h == nil {
		o, err := s.spec.options(ctx)
		if err != nil {
			return answer{}, err
		}
		if s.h, err = vaulttest.Open(ctx, o); err != nil {
			return answer{}, err
		}
	}
	switch t.Do {
	case "store":
		return s.store(ctx, t, stream)
	case "verify":
		return s.verify(ctx, t)
	case "fill":
		return s.fill(ctx, t)
	case "damage":
		return s.damage(ctx, t)
	case "read":
		return s.read(ctx, t)
	case "compare":
		return s.compare(ctx, t)
	}
	return answer{}, fmt.Errorf("unknown task %q", t.Do)
}

func (s *site) close() {
	if s.h != nil {
		s.h.Stop()
	}
}
