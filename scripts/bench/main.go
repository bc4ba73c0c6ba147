// Command bench measures a whole vault over HTTP, and before that what this machine
// can do at all, so that the numbers can be read anywhere:
//
//	go run ./scripts/bench                 builds medvault, starts `medvault dev`, measures it
//	go run ./scripts/bench --only identity    only how identity is taken out, beside other programs
//	go run ./scripts/bench --only instances    only single instances, beside Orthanc where it is installed
//	go run ./scripts/bench --url URL --store-token T --open-token T    measures a vault that runs
//
// JSON goes to standard output, a table to standard error. CPU and memory of the
// server are known only when bench started it. Every document that is read back is
// compared with what was sent.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"medvault/imaging/imagingtest"
)

type options struct {
	url, storeToken, openToken string
	instances, parallel        int
	frameReads                 int
	largeFrames                int
	dir                        string
	only                       string
}

func main() {
	var o options
	flag.StringVar(&o.url, "url", "", "measure the vault at this URL instead of starting one")
	flag.StringVar(&o.storeToken, "store-token", "", "with --url: token of who may store (radiology)")
	flag.StringVar(&o.openToken, "open-token", "", "with --url: token of who may open (a clinician in a care relationship)")
	flag.IntVar(&o.instances, "instances", 200, "CT instances of 0.5 MB to store and open")
	flag.IntVar(&o.parallel, "parallel", 4, "clients at once")
	flag.IntVar(&o.frameReads, "frame-reads", 100, "single frames read from the multi-frame object")
	flag.IntVar(&o.largeFrames, "large", 4096, "frames of 0.5 MB in the large upload (4096: 2 GiB); 0 leaves it out")
	flag.StringVar(&o.dir, "dir", "", "where the started vault keeps its data (default: a temporary directory, removed afterwards)")
	flag.StringVar(&o.only, "only", "", "identity: take identity out of documents, and nothing of a vault; instances: store and open single ones")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// results is the JSON.
type results struct {
	Time    time.Time `json:"time"`
	Machine machine   `json:"machine"`
	Rows    []row     `json:"rows"`
	// Score is that of taking identity out, by an answer key.
	Score *imagingtest.Result `json:"score,omitempty"`
}

type machine struct {
	CPUs  int    `json:"cpus"`
	Model string `json:"model"`
	Go    string `json:"go"`
}

// row is one measurement. Fields that were not measured are left out.
type row struct {
	Name        string  `json:"name"`
	Count       int     `json:"count,omitempty"`
	Bytes       int64   `json:"bytes,omitempty"`
	Seconds     float64 `json:"seconds"`
	MBPerSecond float64 `json:"mbPerSecond,omitempty"`
	PerSecond   float64 `json:"perSecond,omitempty"`
	ServerCPUms float64 `json:"serverCpuMs,omitempty"` // per item
	P50ms       float64 `json:"p50Ms,omitempty"`
	P95ms       float64 `json:"p95Ms,omitempty"`
	PeakMiB     float64 `json:"peakMiB,omitempty"` // of the server, during this row
}

func run(ctx context.Context, o options) error {
	out := results{Time: time.Now().UTC(), Machine: machine{CPUs: runtime.NumCPU(), Model: cpuModel(), Go: runtime.Version()}}
	fmt.Fprintln(os.Stderr, "bench: limits of this machine")
	limits, err := measureLimits()
	if err != nil {
		return err
	}
	out.Rows = append(out.Rows, limits...)

	if o.only != "instances" {
		identity, score, err := measureIdentity(ctx, o)
		if err != nil {
			return err
		}
		out.Rows, out.Score = append(out.Rows, identity...), score
	}
	if o.only == "identity" {
		return out.print()
	}

	at, err := openTarget(ctx, o)
	if err != nil {
		return err
	}
	defer at.close()
	measures := []func(context.Context, *target, options) ([]row, error){measureInstances, measureMultiFrame, measureLarge}
	if o.only == "instances" {
		measures = measures[:1]
	}
	for _, measure := range measures {
		rows, err := measure(ctx, at, o)
		if err != nil {
			return err
		}
		out.Rows = append(out.Rows, rows...)
	}

	return out.print()
}

func (r results) print() error {
	table(r.Rows)
	if r.Score != nil {
		fmt.Fprintf(os.Stderr, "\n%s", r.Score.Table())
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func table(rows []row) {
	w := os.Stderr
	number := func(format string, v float64) string {
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf(format, v)
	}
	fmt.Fprintf(w, "\n%-34s %6s %9s %9s %9s %12s %9s %9s %9s\n", "", "count", "seconds", "MB/s", "per s", "CPU ms each", "p50 ms", "p95 ms", "peak MiB")
	for _, r := range rows {
		fmt.Fprintf(w, "%-34s %6s %9s %9s %9s %12s %9s %9s %9s\n", r.Name, number("%.0f", float64(r.Count)), number("%.2f", r.Seconds),
			number("%.0f", r.MBPerSecond), number("%.1f", r.PerSecond), number("%.2f", r.ServerCPUms),
			number("%.2f", r.P50ms), number("%.2f", r.P95ms), number("%.0f", r.PeakMiB))
	}
}
