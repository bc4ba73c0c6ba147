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

// measureReading has regions read to their last byte, and rclone read the same buckets:
// `rclone check --download` streams every object from two of them and compares the bytes,
// without a hash, so that of three buckets it reads one twice; `rclone hashsum sha256
// --download` hashes one bucket. The vault streams every object once and compares its
// SHA-256 with the catalog's, and reads the wraps besides. It is timed within a process
// that runs, as a gateway does; rclone from its start to its end.
func measureReading(ctx context.Context, b *backends, dir string, o options) (rows []row, err error) {
	compared := installed(ctx, "rclone")
	h := b.house(filepath.Join(dir, "read"))
	h.AckAll = true
	fmt.Fprintf(os.Stderr, "bench: %d documents of 0.5 MB into three S3 regions\n", o.regionDocs)
	stored, err := once(ctx, h, task{Do: "store", Count: o.regionDocs, Parallel: o.parallel, Side: 512})
	if err != nil {
		return nil, err
	}
	rows = append(rows, row{Name: "store into three S3 regions, ack: all", Count: o.regionDocs, Seconds: stored.Seconds, PerSecond: float64(o.regionDocs) / stored.Seconds,
		ServerCPUms: stored.CPU / float64(o.regionDocs) * 1e3, PeakMiB: stored.PeakMiB})
	w, err := startWorker(ctx, h)
	if err != nil {
		return rows, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	home := homeRegions()
	ours := []*row{{Name: "verify read, two regions"}, {Name: "verify read, three regions"}, {Name: "verify read, one region"}}
	theirs := []*row{{Name: "rclone check --download, the same two"}, {Name: "rclone check --download, three: 1 with 2, 1 with 3"},
		{Name: "rclone hashsum sha256 --download, the same one"}, {Name: "rclone listing nothing: its start and end"}}
	for range readRounds {
		for i, regions := range [][]string{home[:2], home, home[:1]} {
			a, err := w.do(task{Do: "verify", Level: vault.LevelRead, Regions: regions})
			if err != nil {
				return rows, err
			}
			if len(a.Findings) > 0 {
				return rows, fmt.Errorf("verify: findings in what is whole: %q", a.Findings)
			}
			ours[i].best(a)
		}
		if !compared {
			continue
		}
		for i, commands := range [][][]string{
			{h.rcloneCheck(0, 1)},
			{h.rcloneCheck(0, 1), h.rcloneCheck(0, 2)},
			{{"hashsum", "sha256", "--download", h.rcloneObjects(0)}},
			{{"lsf", "--max-depth", "1", h.rcloneObjects(0) + "/none"}},
		} {
			var a answer
			for _, command := range commands {
				one, err := h.rclone(ctx, command)
				if err != nil {
					return rows, err
				}
				a.Seconds, a.CPU, a.PeakMiB = a.Seconds+one.Seconds, a.CPU+one.CPU, max(a.PeakMiB, one.PeakMiB)
			}
			if i < len(ours) { // of what is to be proven, whoever reads it twice
				a.Bytes, a.Count = ours[i].Bytes, int64(ours[i].Count)
			}
			theirs[i].best(a)
		}
	}
	for i, r := range theirs {
		if i < len(ours) {
			rows = append(rows, *ours[i])
		}
		if compared {
			rows = append(rows, *r)
		}
	}
	return rows, nil
}

// installed says whether a program to compare with is there, once the project's script
// has had a chance to install it.
func installed(ctx context.Context, program string) bool {
	_, err := exec.LookPath(program)
	if err == nil {
		return true
	}
	install := exec.CommandContext(ctx, "scripts/backends/install", "bench")
	install.Stderr = os.Stderr
	if err = install.Run(); err == nil {
		_, err = exec.LookPath(program)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: without %s there is nothing to compare with: %v\n", program, err)
	}
	return err == nil
}

// best keeps the quickest of several runs of the same.
func (r *row) best(a answer) {
	if r.Seconds > 0 && r.Seconds <= a.Seconds {
		return
	}
	r.Count, r.Bytes, r.Seconds, r.PeakMiB, r.HeapMiB = int(a.Count), a.Bytes, a.Seconds, a.PeakMiB, a.HeapMiB
	if a.Count > 0 {
		r.MBPerSecond, r.PerSecond, r.ServerCPUms = float64(a.Bytes)/1e6/a.Seconds, float64(a.Count)/a.Seconds, a.CPU/float64(a.Count)*1e3
	}
}

// rcloneObjects is the objects of a home region as rclone calls them.
func (h house) rcloneObjects(n int) string {
	return fmt.Sprintf("REGION%d:%s/objects", n, h.Buckets[homeRegions()[n]])
}

func (h house) rcloneCheck(one, other int) []string {
	return []string{"check", "--download", h.rcloneObjects(one), h.rcloneObjects(other)}
}

// rclone runs it as it comes.
func (h house) rclone(ctx context.Context, command []string) (a answer, err error) {
	c := exec.CommandContext(ctx, "rclone", command...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.Dir, "RCLONE_CONFIG=" + os.DevNull} // nothing of the machine's own settings
	for n := range homeRegions() {
		for key, value := range map[string]string{"TYPE": "s3", "PROVIDER": "Other", "ACCESS_KEY_ID": h.Access, "SECRET_ACCESS_KEY": h.Secret,
			"ENDPOINT": h.Endpoints[n], "REGION": "us-east-1", "FORCE_PATH_STYLE": "true"} {
			c.Env = append(c.Env, fmt.Sprintf("RCLONE_CONFIG_REGION%d_%s=%s", n, key, value))
		}
	}
	began := time.Now()
	text, err := c.CombinedOutput()
	if err != nil || command[0] == "check" && !strings.Contains(string(text), "0 differences found") {
		return a, fmt.Errorf("rclone %s: %w: %.500s", command[0], err, text)
	}
	usage, _ := c.ProcessState.SysUsage().(*syscall.Rusage)
	return answer{Seconds: time.Since(began).Seconds(), CPU: processorTime(c.ProcessState), PeakMiB: float64(usage.Maxrss) / 1024}, nil
}

// house is one whose home regions are buckets of these servers.
func (b *backends) house(dir string) house {
	h := house{Dir: dir, Endpoints: b.endpoints, Access: b.access, Secret: b.secret, Buckets: make(map[string]string)}
	for _, region := range homeRegions() {
		h.Buckets[region] = "bench-" + filepath.Base(dir) + "-" + region
	}
	return h
}
