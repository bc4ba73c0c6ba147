package worker

import "golang.org/x/sys/unix"

// calls are what a Go program needs that only computes and speaks over pipes.
func calls() (arch uint32, numbers []uint32) { return unix.AUDIT_ARCH_AARCH64, common() }
