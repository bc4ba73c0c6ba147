// Command bench measures a whole vault over HTTP, and before that what this machine
// can do at all, so that the numbers can be read anywhere:
//
//	go run ./scripts/bench                 builds medvault, starts `medvault dev`, measures it
//	go run ./scripts/bench --only identity    only how identity is taken out, beside other programs
//	go run ./scripts/bench --only instances    only single instances, beside Orthanc where it is installed
//	go run ./scripts/bench --only regions    verification, listing, gateways beside each other, disaster and log, over real servers; each also by its own name
//	go run ./scripts/bench --url URL --store-token T --open-token T    measures a vault that runs
//
// JSON goes to standard output, a table to standard error. CPU and memory of the
// server are known only when bench started it. Every document that is read back is
// compared with what was sent.
package main

import (
	"context"
	"encoding/json"
	"errors"
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

	regionDocs, disasterDocs, logRows int
	listSizes                         sizes
	readRate                          float64
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
	flag.StringVar(&o.only, "only", "", "identity: take identity out of documents, and nothing of a vault; instances: store and open single ones; regions: all of verify, list, gateways, disaster, log")
	flag.IntVar(&o.regionDocs, "region-docs", 600, "with --only verify and gateways: documents of 0.5 MB in three S3 regions")
	o.listSizes = sizes{10_000, 100_000}
	flag.Var(&o.listSizes, "list-sizes", "with --only list: objects in a region (add 1000000 for the whole bar: a million files, some minutes)")
	flag.Float64Var(&o.readRate, "read-rate", 15, "with --only gateways: documents a second that each of two gateways serves")
	flag.IntVar(&o.disasterDocs, "disaster-docs", 5_000, "with --only disaster: documents stored before the gateway is killed; a quarter of them on S3")
	flag.IntVar(&o.logRows, "log-rows", 50_000, "with --only log: leaves and objects in the catalog")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) == 2 && os.Args[1] == workerArg {
		if err := work(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench worker:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
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
	P99ms       float64 `json:"p99Ms,omitempty"`
	EachMs      float64 `json:"eachMs,omitempty"`  // by the clock
	PeakMiB     float64 `json:"peakMiB,omitempty"` // of the server, during this row
	HeapMiB     float64 `json:"heapMiB,omitempty"` // of it, that was alive after a collection

	MinutesPer100000 float64 `json:"minutesPer100000,omitempty"` // objects
	Note             string  `json:"note,omitempty"`
}

func run(ctx context.Context, o options) error {
	out := results{Time: time.Now().UTC(), Machine: machine{CPUs: runtime.NumCPU(), Model: cpuModel(), Go: runtime.Version()}}
	fmt.Fprintln(os.Stderr, "bench: limits of this machine")
	limits, err := measureLimits()
	if err != nil {
		return err
	}
	out.Rows = append(out.Rows, limits...)

	if measures := regionsOnly(o.only); len(measures) > 0 {
		rows, err := measureRegions(ctx, measures, o)
		out.Rows = append(out.Rows, rows...)
		return errors.Join(err, out.print()) // what was measured before an error is worth having
	}
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
	fmt.Fprintf(w, "\n%-52s %8s %9s %9s %9s %12s %9s %9s %9s %9s %9s %9s %9s\n", "", "count", "seconds", "MB/s", "per s", "CPU ms each",
		"ms each", "p50 ms", "p95 ms", "p99 ms", "peak MiB", "heap MiB", "min/100k")
	for _, r := range rows {
		fmt.Fprintf(w, "%-52s %8s %9s %9s %9s %12s %9s %9s %9s %9s %9s %9s %9s\n", r.Name, number("%.0f", float64(r.Count)), number("%.2f", r.Seconds),
			number("%.0f", r.MBPerSecond), number("%.1f", r.PerSecond), number("%.3f", r.ServerCPUms), number("%.3f", r.EachMs),
			number("%.2f", r.P50ms), number("%.2f", r.P95ms), number("%.2f", r.P99ms), number("%.0f", r.PeakMiB), number("%.1f", r.HeapMiB), number("%.2f", r.MinutesPer100000))
		if r.Note != "" {
			fmt.Fprintln(w, "    "+r.Note)
		}
	}
}
