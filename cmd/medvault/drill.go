package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
)

// DrillConfig is how often a gateway tries whether everything would come back from one
// region. Without it none does.
type DrillConfig struct {
	Every   time.Duration `yaml:"every"`
	From    string        `yaml:"from"`
	Sample  int           `yaml:"sample"`  // documents to open whole; default 100
	Reports string        `yaml:"reports"` // directory for the reports; default none is kept
}

const drillSample = 100

// schedule is what a checked configuration says.
func (c DrillConfig) schedule() vault.DrillEvery {
	e := vault.DrillEvery{Every: c.Every, Region: c.From, Sample: c.Sample, Reports: c.Reports}
	if e.Sample == 0 {
		e.Sample = drillSample
	}
	return e
}

func (c DrillConfig) check(found *checks, home string, regions []RegionConfig) {
	if c == (DrillConfig{}) {
		return
	}
	if c.Every < time.Hour {
		found.add("drill.every", "found %s, want at least 1h", c.Every)
	}
	if c.Sample < 0 {
		found.add("drill.sample", "found %d, want a number of documents", c.Sample)
	}
	if c.Reports != "" {
		found.absolute("drill.reports", c.Reports)
	}
	for _, r := range regions {
		if r.Name == c.From && r.Jurisdiction == home {
			return
		}
	}
	found.add("drill.from", "found %q, want the name of a region in %s", c.From, home)
}

func newDrillCommand(a *app) *cobra.Command {
	var at offline
	var from, report, check, key string
	sample := drillSample
	cmd := &cobra.Command{
		Use:   "drill (--config FILE | --dev DIR) --from REGION",
		Short: "try whether everything would come back from one region, and how fast",
		Long: `drill does what "medvault rebuild" does, into a scratch place below the spool, and takes
that away afterwards. It opens a sample of documents whole. It reads the region and its
key service and writes to neither; catalog and gateways are not touched, and may work on.
What is stored or removed meanwhile may show as a finding. The report is signed: --report
keeps it, --check-report proves it anywhere.

Exit code 3: something would not have come back, and what.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if check != "" {
				return a.checkDrill(check, key)
			}
			return a.drill(cmd.Context(), &at, from, sample, report)
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "region to come back from (required)")
	f.IntVar(&sample, "sample", sample, "how many documents to open whole")
	f.StringVar(&report, "report", "", "keep the report in this file")
	f.StringVar(&check, "check-report", "", "check a report that was kept; needs --key and no vault")
	f.StringVar(&key, "key", "", "with --check-report: the log's verifier key, NAME+HASH+KEY")
	at.addFlags(cmd)
	return cmd
}

func (a *app) drill(ctx context.Context, at *offline, from string, sample int, report string) (err error) {
	cfg, unlock, err := at.open(false)
	if err != nil {
		return err
	}
	h := new(house)
	defer func() { err = errors.Join(err, h.close(), unlock()) }()
	parts, err := h.rebuildParts(ctx, cfg, from, a.warnings())
	if err != nil {
		return err
	}
	bar := a.newProgress("drill", -1, false)
	parts.Progress = func(p vault.RebuildProgress) { bar.set(p.Objects, -1) }
	done, err := vault.Drill(ctx, parts, sample)
	bar.finish()
	if errors.Is(err, vault.ErrNoHouseKeys) {
		return refusedError{err}
	}
	if err != nil {
		return err
	}
	if report != "" {
		data, err := done.File()
		if err != nil {
			return err
		}
		if err := replaceFile(report, data); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
	}
	return a.printDrill(done)
}

// checkDrill proves a report without any vault.
func (a *app) checkDrill(path, key string) error {
	if key == "" {
		return usagef("drill --check-report: give the log's verifier key with --key")
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return usageError{err}
	}
	done, err := vault.CheckDrill(file, key)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !a.json {
		fmt.Fprintf(a.stdout, "signed by %s: drill from %s, %s\n", strings.SplitN(key, "+", 2)[0], done.Rebuild.Region, done.Rebuild.Started.Format(time.RFC3339))
	}
	return a.printDrill(done)
}

func (a *app) printDrill(done vault.Drilled) error {
	err := a.print(done, func(w io.Writer) {
		printRebuilt(w, done.Rebuild)
		fmt.Fprintf(w, "%d documents opened whole, %d of them not as they were; all of it took %s\n",
			done.Sampled, len(done.Failed), time.Duration(done.Seconds*float64(time.Second)).Round(time.Second/10))
	})
	if err != nil {
		return err
	}
	if n := done.Lacks(); n > 0 {
		return findingsError{fmt.Errorf("drill: %d findings about what would not come back", n)}
	}
	return nil
}
