package main

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"medvault/vault/record"
)

// packageSpool is a directory in which what has come of a package lies until all of it
// has, so that an export that was interrupted goes on where it was: ciphertext alone, under
// a key that the vault tells again to whoever may still have the package.
//
// A file is a row of chunks of 64 KiB, the last one shorter: nonce, AES-256-GCM of the
// bytes, tag; bound to the file's name and the number of the chunk. How many there must be
// is said by the manifest, which is signed.
type packageSpool struct {
	dir  string
	aead cipher.AEAD
}

const (
	spoolChunk    = 64 << 10
	spoolOverhead = 12 + 16
)

// spoolState says which package lies in a spool.
type spoolState struct {
	Vault   string              `json:"vault"`
	Package record.ObjectID     `json:"package"`
	Patient record.PatientToken `json:"patient"`
	Asked   string              `json:"asked"` // SHA-256 of the words by which the patient was named
	Whole   bool                `json:"whole"` // manifest and signature have come
}

const spoolStateName = "state.json"

func (s *packageSpool) unlock(key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return fmt.Errorf("export: key of the package: %w", err)
	}
	s.aead, err = cipher.NewGCMWithRandomNonce(block)
	return err
}

// state reads which package lies there; none: the zero state.
func (s *packageSpool) state() (state spoolState, err error) {
	data, err := os.ReadFile(filepath.Join(s.dir, spoolStateName))
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return state, fmt.Errorf("export: %w", err)
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return state, fmt.Errorf("export: %s is damaged; remove the directory to begin anew: %w", filepath.Join(s.dir, spoolStateName), err)
	}
	return state, nil
}

func (s *packageSpool) note(state spoolState) error {
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, spoolStateName)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return os.Rename(path+".new", path)
}

// file is where the n-th file of a package lies, its name telling nothing.
func (s *packageSpool) file(name string) string { return filepath.Join(s.dir, name+".part") }

// have is how many bytes of a file have come, in whole chunks; all of them once it is whole.
func (s *packageSpool) have(name string, size int64) (int64, error) {
	info, err := os.Stat(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	if info.Size() == spooledSize(size) {
		return size, nil
	}
	return info.Size() / (spoolChunk + spoolOverhead) * spoolChunk, nil
}

// spooledSize is what a file of a size takes on disk.
func spooledSize(size int64) int64 {
	return size + (size+spoolChunk-1)/spoolChunk*spoolOverhead
}

// add continues a file, of which from bytes are there, a number of whole chunks, with what
// r has, and says how far it came. What has come stays when r fails.
func (s *packageSpool) add(name string, from int64, r io.Reader, progress progress) (n int64, err error) {
	f, err := os.OpenFile(s.file(name), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return from, fmt.Errorf("export: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	at := from / spoolChunk * (spoolChunk + spoolOverhead)
	if err := f.Truncate(at); err != nil {
		return from, fmt.Errorf("export: %w", err)
	}
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return from, fmt.Errorf("export: %w", err)
	}
	plain, sealed := make([]byte, spoolChunk), make([]byte, 0, spoolChunk+spoolOverhead)
	for n = from; ; {
		got, readErr := io.ReadFull(r, plain)
		// A chunk that was cut is fetched again: only the end of the stream ends with less.
		if readErr != nil && readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return n, readErr
		}
		if got > 0 {
			if _, err := f.Write(s.aead.Seal(sealed[:0], nil, plain[:got], chunkName(name, n/spoolChunk))); err != nil {
				return n, fmt.Errorf("export: %w", err)
			}
			n += int64(got)
			progress.add(int64(got))
		}
		if readErr != nil {
			return n, nil
		}
	}
}

func chunkName(file string, n int64) []byte { return fmt.Appendf(nil, "%s|%d", file, n) }

// open reads a file back.
func (s *packageSpool) open(name string) (io.ReadCloser, error) {
	f, err := os.Open(s.file(name))
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return &spooledFile{spool: s, name: name, file: f, sealed: make([]byte, spoolChunk+spoolOverhead)}, nil
}

type spooledFile struct {
	spool         *packageSpool
	name          string
	file          *os.File
	n             int64
	sealed, ready []byte
}

func (f *spooledFile) Read(p []byte) (int, error) {
	if len(f.ready) == 0 {
		got, err := io.ReadFull(f.file, f.sealed)
		if err != nil && err != io.ErrUnexpectedEOF {
			return 0, err
		}
		if f.ready, err = f.spool.aead.Open(f.sealed[:0], nil, f.sealed[:got], chunkName(f.name, f.n)); err != nil {
			return 0, fmt.Errorf("export: %s is damaged; remove it and begin again", f.spool.file(f.name))
		}
		f.n++
	}
	n := copy(p, f.ready)
	f.ready = f.ready[n:]
	return n, nil
}

func (f *spooledFile) Close() error { return f.file.Close() }
