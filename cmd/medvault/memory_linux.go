package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hideMemory keeps what this process has in memory, keys among it, out of core dumps,
// and out of the reach of other processes of the same user (ptrace, /proc/PID/mem and
// environ). It is called before the first secret is read.
func hideMemory() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("disable core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("disable core dumps: %w", err)
	}
	return nil
}
