//go:build !linux

package worker

import (
	"os"

	"medvault/imaging/pdf/wire"
)

// enclose does nothing here: WebAssembly alone stands between a document and the machine.
func enclose(int64, int64) wire.Enclosure {
	return wire.Enclosure{Missing: []string{"limits", "seccomp"}}
}

func mapped(path string) ([]byte, error) { return os.ReadFile(path) }
