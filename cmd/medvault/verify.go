package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

// verifying is what the flags of verify say.
type verifying struct {
	vault.VerifyOptions
	limit, resume string
	report        string // file to write
	check, key    string // file to check, and the key
	history       bool
}

func newVerifyCommand(a *app) *cobra.Command {
	var at connection
	var o verifying
	cmd := &cobra.Command{
		Use:   "verify [--level list|checksum|read|decrypt|log] [--region REGION] [--sample N|n/t]",
		Short: "prove that every region holds what it must hold",
		Long: `verify compares the regions with what the vault acknowledged, and names what is missing,
damaged, foreign, or where it may not lie. Exit code 3: there are findings.

Level list compares names and sizes. Level checksum also asks each store for the SHA-256
it took itself; where a store has none the report says so. Level read reads every byte.
None of these touches a key. Level decrypt has the gateway open every part of every
object with its patient's keys, and says pass or fail. Level log compares each region
with what its own copy of the log says, and asks the catalog nothing; with --sample it
reads those, --sample 1/1 all.

--sample n/t looks at group n of t: t runs cover everything. --sample N looks at so many
objects of every region at random, and the report says what that is worth. A verification
that was cut goes on with --resume. The report is signed with the log's key: --report
keeps it, --check-report proves it anywhere.`,
		Example: "  medvault verify --level read --sample 3/30 --limit 50MiB\n  medvault verify --level decrypt --sample 3000 --report monday.json\n  medvault verify --check-report monday.json --key 'medvault+1a2b3c4d+AbCd…'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.check != "" {
				return a.checkReport(o.check, o.key)
			}
			if err := o.settle(); err != nil {
				return err
			}
			if o.history {
				return a.verifications(cmd.Context(), &at)
			}
			return a.verify(cmd.Context(), &at, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Level, "level", vault.LevelList, "list: names and sizes; checksum: the stores' own sums; read: every byte; decrypt: every part opens; log: against the region's own log")
	f.StringVar(&o.Region, "region", "", "only this region (default: all)")
	f.StringVar(&o.Sample, "sample", "", "n/t: group n of t; N: so many objects of every region at random (default: all)")
	f.StringVar(&o.limit, "limit", "", "read no more than so much a second, as 50MiB (default: no limit)")
	f.StringVar(&o.resume, "resume", "", "go on with the verification of that id, which was cut")
	f.StringVar(&o.report, "report", "", "write the signed report into this file")
	f.StringVar(&o.check, "check-report", "", "check a report that was kept; needs --key and no vault")
	f.StringVar(&o.key, "key", "", "with --check-report: the log's verifier key, NAME+HASH+KEY")
	f.BoolVar(&o.history, "history", false, "list the newest verifications")
	at.addFlags(cmd, record.RoleOperator)
	return cmd
}

// settle reads the flags that are not plain values.
func (o *verifying) settle() (err error) {
	if !slices.Contains(vault.Levels(), o.Level) {
		return usagef("--level %s: want %s", o.Level, strings.Join(vault.Levels(), ", "))
	}
	if o.Limit, err = parseBytes(o.limit); err != nil {
		return usagef("--limit %s: %w", o.limit, err)
	}
	if o.resume != "" {
		if o.Resume, err = record.ParseObjectID(o.resume); err != nil {
			return usagef("--resume: %w", err)
		}
	}
	return nil
}

// parseBytes reads a number of bytes, as 1048576, 512KiB, 50MiB or 1GiB; "" is 0.
func parseBytes(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	number, unit := text, int64(1)
	for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if n, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = n, size
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > (1<<62)/unit {
		return 0, errors.New("want a number of bytes, as 1048576, 512KiB, 50MiB or 1GiB")
	}
	return n * unit, nil
}

func (a *app) verify(ctx context.Context, at *connection, o verifying) error {
	with, err := at.open()
	if err != nil {
		return err
	}
	var id record.ObjectID
	o.Begun = func(begun record.ObjectID) { id = begun }
	bar := a.newProgress("verify", -1, false)
	report, err := with.Verify(ctx, o.VerifyOptions, bar.set)
	bar.finish()
	if err != nil {
		if id != "" {
			err = fmt.Errorf("%w\nto go on: medvault verify --resume %s", err, id)
		}
		return err
	}
	if o.report != "" {
		if err := writeReport(o.report, report); err != nil {
			return err
		}
	}
	return a.printReport(report)
}

func writeReport(path string, r vault.Report) error {
	data, err := r.File()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}

// printReport ends with findingsError when there are any.
func (a *app) printReport(r vault.Report) error {
	found := int64(0)
	for _, n := range r.Counts {
		found += n
	}
	err := a.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "level %s: checked %d objects in %d regions, %d findings\n", r.Level, r.Checked, len(r.Regions), found)
		for _, c := range r.Coverage {
			fmt.Fprintf(w, "%s: %d of %d objects proven; had 1 in 1000 been damaged, this would have shown it with %.1f %%\n", c.Region, c.Proven, c.Objects, 100*c.Detection)
		}
		for _, n := range r.Notes {
			fmt.Fprintf(w, "note: %s %s %s: %s", n.Type, n.Region, printable(n.Object), n.Evidence)
			if n.Count > 0 {
				fmt.Fprintf(w, " (%d objects)", n.Count)
			}
			fmt.Fprintln(w)
		}
		for _, kind := range slices.Sorted(maps.Keys(r.Counts)) {
			fmt.Fprintf(w, "%s: %d\n", kind, r.Counts[kind])
		}
		if len(r.Findings) == 0 {
			return
		}
		rows := [][]string{{"FINDING", "REGION", "OBJECT", "EVIDENCE", "REPAIR"}}
		for _, f := range r.Findings {
			rows = append(rows, []string{f.Type, f.Region, f.Object, f.Evidence, f.Repair})
		}
		table(w, rows)
		if r.Omitted > 0 {
			fmt.Fprintf(w, "and %d more\n", r.Omitted)
		}
	})
	if err != nil {
		return err
	}
	if found > 0 {
		return findingsError{fmt.Errorf("verify: %d findings", found)}
	}
	return nil
}

// checkReport proves a report without any vault.
func (a *app) checkReport(path, key string) error {
	if key == "" {
		return usagef("verify --check-report: give the log's verifier key with --key")
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return usageError{err}
	}
	report, err := vault.CheckReport(file, key)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !a.json {
		fmt.Fprintf(a.stdout, "signed by %s: verification %s, %s to %s\n", strings.SplitN(key, "+", 2)[0], report.ID,
			report.Started.Format(time.RFC3339), report.Ended.Format(time.RFC3339))
	}
	return a.printReport(report)
}

// history is the JSON of verify --history.
type history struct {
	Verifications []vault.Verification   `json:"verifications"`
	Last          []vault.RegionVerified `json:"last"`
}

func (a *app) verifications(ctx context.Context, at *connection) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	list, last, err := from.Verifications(ctx)
	if err != nil {
		return err
	}
	return a.print(history{append([]vault.Verification{}, list...), append([]vault.RegionVerified{}, last...)}, func(w io.Writer) {
		rows := [][]string{{"ID", "STARTED", "LEVEL", "SAMPLE", "STATE", "CHECKED", "FINDINGS", "BY"}}
		for _, v := range list {
			rows = append(rows, []string{v.ID, v.Started.Local().Format(time.DateTime), v.Level, v.Sample, v.State,
				fmt.Sprintf("%d/%d", v.Checked, v.Total), strconv.FormatInt(v.Findings, 10), v.Actor})
		}
		table(w, rows)
		rows = [][]string{{"REGION", "LEVEL", "LAST VERIFIED", "FINDINGS"}}
		for _, v := range last {
			rows = append(rows, []string{v.Region, v.Level, v.At.Local().Format(time.DateTime), strconv.FormatInt(v.Findings, 10)})
		}
		table(w, rows)
	})
}
