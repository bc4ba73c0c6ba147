package worker

import "golang.org/x/sys/unix"

// calls are what a Go program needs that only computes and speaks over pipes.
func calls() (arch uint32, numbers []uint32) {
	return unix.AUDIT_ARCH_X86_64, append(common(), unix.SYS_EPOLL_WAIT, unix.SYS_ARCH_PRCTL)
}
