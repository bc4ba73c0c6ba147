//go:build !linux

package dir

import (
	"errors"
	"os"
)

func direct(*os.File, bool) error { return errors.ErrUnsupported }

func unaligned(error) bool { return false }

func moveNew(from, to string) error { return os.Link(from, to) }
