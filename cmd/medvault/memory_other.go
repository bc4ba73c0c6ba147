//go:build unix && !linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hideMemory keeps what this process has in memory, keys among it, out of core dumps. It
// is called before the first secret is read.
func hideMemory() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("disable core dumps: %w", err)
	}
	return nil
}
