package dir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// direct says whether bytes of f go between a buffer and the disk without a copy in the
// page cache. It is an error where the file system cannot do that.
func direct(f *os.File, on bool) error {
	flags := 0
	if on {
		flags = unix.O_DIRECT
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETFL, flags) // of the flags that can be set no other is
	return os.NewSyscallError("fcntl", err)
}

// unaligned says that a file system wants other buffers, or pieces, for direct use.
func unaligned(err error) bool { return errors.Is(err, unix.EINVAL) }

// moveNew gives a file another name, where that is free. On a file system that cannot
// do so in one step the first name stays as well.
func moveNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return os.Link(from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
