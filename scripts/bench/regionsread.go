package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"medvault/vault"
)

// verify verifies one region after the other, or all when none is named.
func (s *site) verify(ctx context.Context, t task) (answer, error) {
	regions := t.Regions
	if len(regions) == 0 {
		regions = []string{""}
	}
	use := beginUsage()
	var a answer
	for _, region := range regions {
		report, err := s.h.Verify(ctx, operator, vault.VerifyOptions{Level: t.Level, Region: region, Limit: t.Limit}, nil)
		if err != nil {
			return a, err
		}
		a.Count += report.Checked
		for _, f := range report.Findings {
			a.Findings = append(a.Findings, f.Type+" "+f.Region+" "+f.Object)
		}
	}
	took := use.end()
	a.Seconds, a.CPU, a.PeakMiB, a.HeapMiB = took.Seconds, took.CPU, took.PeakMiB, took.HeapMiB
	states, err := s.h.State(ctx)
	for _, state := range states {
		for _, region := range regions {
			if region == state.Name || region == "" {
				a.Bytes += state.Bytes
			}
		}
	}
	return a, err
}

// readRounds is how often the vault and rclone read the same buckets in turn.
const readRounds = 3

// measureReading has two regions read to their last byte, and rclone read the same two
// buckets: `rclone check --download` streams every object from both and compares the
// bytes, without hashing; the vault streams every object from both and compares its
// SHA-256 with the catalog's, and reads the wraps besides. Each is a process that is timed
// from its start to its end, so the vault's opening of catalog and regions counts.
func measureReading(ctx context.Context, b *backends, dir string, o options) (rows []row, err error) {
	if _, err := exec.LookPath("rclone"); err != nil {
		install := exec.CommandContext(ctx, "scripts/backends/install", "bench")
		install.Stderr = os.Stderr
		if err := install.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: install rclone:", err)
		}
	}
	h := b.house(filepath.Join(dir, "read"))
	h.AckAll = true
	fmt.Fprintf(os.Stderr, "bench: %d documents of 0.5 MB into three S3 regions\n", o.regionDocs)
	stored, err := once(ctx, h, task{Do: "store", Count: o.regionDocs, Parallel: o.parallel, Side: 512})
	if err != nil {
		return nil, err
	}
	rows = append(rows, row{Name: "store into three S3 regions, ack: all", Count: o.regionDocs, Seconds: stored.Seconds, PerSecond: float64(o.regionDocs) / stored.Seconds,
		ServerCPUms: stored.CPU / float64(o.regionDocs) * 1e3, PeakMiB: stored.PeakMiB})
	pair := homeRegions()[:2]
	ours, theirs := row{Name: "verify read, two regions"}, row{Name: "rclone check --download, the same two"}
	for range readRounds {
		a, err := once(ctx, h, task{Do: "verify", Level: vault.LevelRead, Regions: pair})
		if err != nil {
			return nil, err
		}
		if len(a.Findings) > 0 {
			return nil, fmt.Errorf("verify: findings in what is whole: %q", a.Findings)
		}
		ours.best(a)
		a, err = rcloneCheck(ctx, h, a.Bytes, 2*int64(o.regionDocs))
		if errors.Is(err, errNoRclone) {
			fmt.Fprintln(os.Stderr, "bench:", err)
			break
		}
		if err != nil {
			return nil, err
		}
		theirs.best(a)
	}
	all, err := once(ctx, h, task{Do: "verify", Level: vault.LevelRead})
	if err != nil {
		return nil, err
	}
	three := row{Name: "verify read, all regions"}
	three.best(all)
	rows = append(rows, ours)
	if theirs.Count > 0 {
		rows = append(rows, theirs)
	}
	return append(rows, three), nil
}

// best keeps the quickest of several runs of the same.
func (r *row) best(a answer) {
	if r.Seconds > 0 && r.Seconds <= a.Seconds {
		return
	}
	r.Count, r.Bytes, r.Seconds, r.PeakMiB, r.HeapMiB = int(a.Count), a.Bytes, a.Seconds, a.PeakMiB, a.HeapMiB
	r.MBPerSecond, r.PerSecond, r.ServerCPUms = float64(a.Bytes)/1e6/a.Seconds, float64(a.Count)/a.Seconds, a.CPU/float64(a.Count)*1e3
}

var errNoRclone = errors.New("no rclone to compare with (scripts/backends/install bench installs Debian's)")

// rcloneCheck has rclone, as it comes, compare the objects of the first two regions.
func rcloneCheck(ctx context.Context, h house, bytes, count int64) (a answer, err error) {
	program, err := exec.LookPath("rclone")
	if err != nil {
		return a, errNoRclone
	}
	began := time.Now()
	c := exec.CommandContext(ctx, program, "check", "--download", "ONE:"+h.Buckets[homeRegions()[0]]+"/objects", "TWO:"+h.Buckets[homeRegions()[1]]+"/objects")
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.Dir, "RCLONE_CONFIG=" + os.DevNull} // nothing of the machine's own settings
	for n, name := range []string{"ONE", "TWO"} {
		for key, value := range map[string]string{"TYPE": "s3", "PROVIDER": "Other", "ACCESS_KEY_ID": h.Access, "SECRET_ACCESS_KEY": h.Secret,
			"ENDPOINT": h.Endpoints[n], "REGION": "us-east-1", "FORCE_PATH_STYLE": "true"} {
			c.Env = append(c.Env, "RCLONE_CONFIG_"+name+"_"+key+"="+value)
		}
	}
	text, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "0 differences found") {
		return a, fmt.Errorf("rclone check: %w: %.500s", err, text)
	}
	usage, _ := c.ProcessState.SysUsage().(*syscall.Rusage)
	return answer{Seconds: time.Since(began).Seconds(), CPU: processorTime(c.ProcessState), PeakMiB: float64(usage.Maxrss) / 1024, Bytes: bytes, Count: count}, nil
}

// house is one whose home regions are buckets of these servers.
func (b *backends) house(dir string) house {
	h := house{Dir: dir, Endpoints: b.endpoints, Access: b.access, Secret: b.secret, Buckets: make(map[string]string)}
	for _, region := range homeRegions() {
		h.Buckets[region] = "bench-" + filepath.Base(dir) + "-" + region
	}
	return h
}
