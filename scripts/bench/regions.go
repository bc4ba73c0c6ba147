package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// regionMeasures are those about regions, by the name that --only gives them.
func regionMeasures() []regionMeasure {
	return []regionMeasure{
		{"verify", true, measureReading},
		{"list", false, measureListing},
		{"gateways", true, measureGateways},
		{"disaster", false, measureDisaster},
		{"log", false, measureLogs},
	}
}

type regionMeasure struct {
	name    string
	servers bool // cannot do without
	run     func(ctx context.Context, b *backends, dir string, o options) ([]row, error)
}

// regionsOnly chooses measures by --only: "regions" is all.
func regionsOnly(only string) []regionMeasure {
	return slices.DeleteFunc(regionMeasures(), func(m regionMeasure) bool { return only != "regions" && only != m.name })
}

// measureRegions measures vaults without HTTP, each of its own, over real servers and
// over directories.
func measureRegions(ctx context.Context, measures []regionMeasure, o options) (rows []row, err error) {
	scratch, err := os.MkdirTemp(o.dir, "medvault-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o711); err != nil { // PostgreSQL runs as its own user below here
		return nil, err
	}
	b, err := startBackends(ctx, filepath.Join(scratch, "servers"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: only directories are measured:", err)
		b = nil
	} else {
		defer b.stop()
	}
	for _, m := range measures {
		if b == nil && m.servers {
			continue
		}
		dir := filepath.Join(scratch, m.name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return rows, err
		}
		more, err := m.run(ctx, b, dir, o)
		if rows = append(rows, more...); err != nil {
			return rows, fmt.Errorf("%s: %w", m.name, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return rows, err
		}
	}
	return rows, nil
}
