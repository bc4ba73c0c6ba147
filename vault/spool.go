package vault

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"medvault/storage"
)

// spoolInMemory is how much ciphertext a spool keeps before it goes to a file.
const spoolInMemory = 2 << 20

// spool holds ciphertext on its way to the regions: small ones in memory, large
// ones in a file that has no name, so that a crash leaves nothing.
type spool struct {
	spools *spools
	mem    *[]byte // nil once spilled or closed
	file   *os.File
	size   int64
	sum    hash.Hash
}

// spools makes spools and keeps their memory for the next.
type spools struct {
	dir    string
	memory sync.Pool // of *[]byte
}

func newSpools(dir string) *spools {
	return &spools{dir: dir, memory: sync.Pool{New: func() any { return new([]byte) }}}
}

func (s *spools) open() *spool {
	return &spool{spools: s, mem: s.memory.Get().(*[]byte), sum: sha256.New()}
}

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && len(*s.mem)+len(p) > spoolInMemory {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	n := len(p)
	var err error
	if s.file != nil {
		n, err = s.file.Write(p)
	} else {
		*s.mem = append(*s.mem, p...)
	}
	s.size += int64(n)
	s.sum.Write(p[:n])
	return n, err
}

func (s *spool) spill() error {
	f, err := os.CreateTemp(s.spools.dir, "spool-")
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if _, err := f.Write(*s.mem); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.forget()
	return nil
}

// forget gives the memory to the next spool.
func (s *spool) forget() {
	if s.mem != nil {
		*s.mem = (*s.mem)[:0]
		s.spools.memory.Put(s.mem)
		s.mem = nil
	}
}

// body is what was written, ready to be stored; valid until Close.
func (s *spool) body() storage.Body {
	b := storage.Body{Size: s.size, Hashed: true}
	s.sum.Sum(b.SHA256[:0])
	if s.file != nil {
		b.ReaderAt = s.file
	} else {
		b.ReaderAt = storage.Memory(*s.mem)
	}
	return b
}

func (s *spool) reader() io.Reader { return s.body().Reader() }

// Close gives memory and disk back.
func (s *spool) Close() error {
	s.forget()
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
