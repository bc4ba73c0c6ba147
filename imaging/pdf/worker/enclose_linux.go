package worker

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"medvault/imaging/pdf/wire"
)

// enclose takes from the process what it needs no more: files and network, other
// programs, memory and time beyond the limits. It cannot be undone.
func enclose(memory, cpu int64) (e wire.Enclosure) {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"limits", func() error { return limit(memory, cpu) }},
		{"seccomp", filter},
	} {
		if step.do() == nil {
			e.Has = append(e.Has, step.name)
		} else {
			e.Missing = append(e.Missing, step.name)
		}
	}
	return e
}

// limit sets the limits of this process. RLIMIT_DATA counts what is written to, not what
// is reserved; Go reserves far more.
func limit(memory, cpu int64) error {
	set := func(which int, n uint64) error {
		return unix.Setrlimit(which, &unix.Rlimit{Cur: n, Max: n})
	}
	errs := []error{
		set(unix.RLIMIT_CORE, 0), set(unix.RLIMIT_FSIZE, 0), set(unix.RLIMIT_NOFILE, 64),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
	}
	if memory > 0 {
		errs = append(errs, set(unix.RLIMIT_DATA, uint64(memory)))
	}
	if cpu > 0 {
		errs = append(errs, set(unix.RLIMIT_CPU, uint64(cpu)))
	}
	return errors.Join(errs...)
}

// filter leaves to all threads the system calls of calls(), refuses the others, and lets
// nothing be gained by starting a program.
func filter() error {
	arch, numbers := calls()
	if arch == 0 {
		return errors.ErrUnsupported
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	program := program(arch, numbers)
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const setModeFilter, allThreads = 1, 1
	if r, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, allThreads, uintptr(unsafe.Pointer(&fprog))); errno != 0 || r != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// program is the filter: another architecture ends the process, calls of the list pass,
// threads may begin but no process, all else is refused.
func program(arch uint32, numbers []uint32) []unix.SockFilter {
	const (
		load, equal, set, back             = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, unix.BPF_RET | unix.BPF_K
		kill, allow, refuse         uint32 = 0x80000000, 0x7fff0000, 0x00050000 | uint32(unix.EPERM)
		absent                      uint32 = 0x00050000 | uint32(unix.ENOSYS)
		nrAt, archAt, firstArgument        = 0, 4, 16
	)
	p := []unix.SockFilter{
		{Code: load, K: archAt}, {Code: equal, Jt: 1, K: arch}, {Code: back, K: kill},
		{Code: load, K: nrAt},
	}
	for _, n := range numbers {
		p = append(p, unix.SockFilter{Code: equal, Jf: 1, K: n}, unix.SockFilter{Code: back, K: allow})
	}
	return append(p,
		unix.SockFilter{Code: equal, Jf: 1, K: unix.SYS_CLONE3}, // its arguments cannot be looked at; libraries fall back to clone
		unix.SockFilter{Code: back, K: absent},
		unix.SockFilter{Code: equal, Jf: 3, K: unix.SYS_CLONE},
		unix.SockFilter{Code: load, K: firstArgument},
		unix.SockFilter{Code: set, Jf: 1, K: unix.CLONE_THREAD},
		unix.SockFilter{Code: back, K: allow},
		unix.SockFilter{Code: back, K: refuse},
	)
}

// mapped is a file's bytes, read by the kernel as they are looked at. They stay when
// nothing can be opened any more.
func mapped(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
}
