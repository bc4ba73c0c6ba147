// Package dir is a directory as one bucket: a key is a path below it.
//
// Next to the objects lie two names that no key can have: `~bucket`, by which a
// bucket is told from the bare mount point of one that is away, and `~tmp` for files
// being written. A key cannot be both an object and the folder of another object.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"medvault/storage"
)

const (
	markName = "~bucket"
	tmpName  = "~tmp"
	// staleAfter is how old a file being written must be before it counts as
	// left over by a crash: another process may be writing to the same bucket.
	staleAfter = 24 * time.Hour
)

// Store is a directory as a bucket. Create with New.
type Store struct {
	root    string
	buffers sync.Pool // *[256 << 10]byte
	settled sync.Map  // directory → struct{}: it and its parents are on disk
	repairs sync.Mutex
}

var (
	_ storage.Store  = (*Store)(nil)
	_ storage.Prober = (*Store)(nil)
)

// Config says which directory.
type Config struct {
	Root string // required
	// Create makes the bucket where it is missing. Only a new vault wants that: a
	// bucket that was lost must not come back empty and pass for a healthy one. To
	// begin again with an empty disk, make the directory and a file ~bucket in it.
	Create bool
	// Folders are made when the bucket is opened, so that no Put waits for one. A Put
	// makes those that are missing; those that cannot be made now are left to it.
	Folders []string
}

// New opens a bucket and removes what a crash more than a day ago left half-written.
// Without Create it opens one that is away all the same, which is a directory that is
// not there or is not marked as a bucket: a disk that is not mounted, or one that was
// lost. Every call fails with storage.ErrAway until it is back.
func New(c Config) (*Store, error) {
	root, err := filepath.Abs(c.Root)
	if err != nil {
		return nil, fmt.Errorf("open bucket directory: %w", err)
	}
	s := &Store{root: root, buffers: sync.Pool{New: func() any { return new([256 << 10]byte) }}}
	if c.Create {
		if err := s.create(); err != nil {
			return nil, fmt.Errorf("make bucket directory: %w", err)
		}
	}
	if s.present() != nil {
		return s, nil
	}
	if err := s.sweep(time.Now().Add(-staleAfter)); err != nil {
		return nil, fmt.Errorf("open bucket directory: %w", err)
	}
	for _, name := range c.Folders {
		if err := storage.CheckKey(name); err != nil {
			return nil, fmt.Errorf("folder: %w", err)
		}
	}
	_ = s.makeFolders(c.Folders) // the first Put that needs one says why it cannot
	return s, nil
}

// create makes the directory and marks it, on disk when it returns.
func (s *Store) create() error {
	if err := os.MkdirAll(s.tmp(), 0o700); err != nil {
		return err
	}
	mark, err := os.OpenFile(s.mark(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(mark.Close(), syncDir(s.root), syncDir(filepath.Dir(s.root)))
}

// present is nil when the bucket is there.
func (s *Store) present() error {
	if _, err := os.Lstat(s.mark()); err != nil {
		return fmt.Errorf("%w: bucket directory: %v", storage.ErrAway, err) // hides fs.ErrNotExist, which is said of objects
	}
	return nil
}

func (s *Store) mark() string { return filepath.Join(s.root, markName) }
func (s *Store) tmp() string  { return filepath.Join(s.root, tmpName) }
func (s *Store) path(key string) string {
	return s.root + string(filepath.Separator) + filepath.FromSlash(key)
}

// sweep removes files being written that nobody has touched since before.
func (s *Store) sweep(before time.Time) error {
	entries, err := os.ReadDir(s.tmp())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // emptied by somebody
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // its writer has just finished
		}
		if err != nil {
			return err
		}
		if info.ModTime().Before(before) {
			if err := os.Remove(filepath.Join(s.tmp(), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// Get opens the file and reads the range from it. A file that shrinks while it
// is read fails with io.ErrUnexpectedEOF.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := s.admit(ctx, key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	f, size, err := s.open(key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if length < 0 {
		length = size - offset
	}
	if offset < 0 || length < 0 || offset > size-length {
		f.Close()
		return nil, fmt.Errorf("get %s: %d bytes from %d of %d: %w", key, length, offset, size, storage.ErrRange)
	}
	if offset > 0 {
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			f.Close()
			return nil, fmt.Errorf("get %s: %w", key, err)
		}
	}
	return storage.ExactReader(ctx, f, length), nil
}

func (s *Store) open(key string) (*os.File, int64, error) {
	f, err := os.Open(s.path(key))
	if err != nil {
		return nil, 0, s.notExist(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = storage.ErrNotExist // a folder of other objects
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Head tells size and Version. SHA256 is zero: a directory cannot tell without
// reading.
func (s *Store) Head(ctx context.Context, key string) (storage.Info, error) {
	if err := s.admit(ctx, key); err != nil {
		return storage.Info{}, fmt.Errorf("head: %w", err)
	}
	info, err := os.Lstat(s.path(key))
	if err != nil {
		return storage.Info{}, fmt.Errorf("head %s: %w", key, s.notExist(err))
	}
	if !info.Mode().IsRegular() {
		return storage.Info{}, fmt.Errorf("head %s: %w", key, storage.ErrNotExist)
	}
	return describe(key, info), nil
}

// describe names a file by inode, time of its last change and size: what is put
// in its place by Repair or from outside has another Version.
func describe(key string, info fs.FileInfo) storage.Info {
	version := fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), info.Size())
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		version = fmt.Sprintf("%x-%s", st.Ino, version)
	}
	return storage.Info{Key: key, Size: info.Size(), Version: version, Modified: info.ModTime()}
}

// Delete removes the object and what Repair has put in quarantine of it.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.admit(ctx, key); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	// Quarantine first: whoever sees the object gone may rely on its copies
	// being gone too.
	for name, err := range s.List(ctx, storage.QuarantinePrefix(key), "") {
		if err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
		if storage.IsQuarantineOf(key, name.Key) {
			if err := s.remove(name.Key); err != nil {
				return fmt.Errorf("delete %s: quarantine: %w", key, translate(err))
			}
		}
	}
	if err := s.remove(key); err != nil {
		return fmt.Errorf("delete %s: %w", key, translate(err))
	}
	return nil
}

func (s *Store) remove(key string) error {
	path := s.path(key)
	info, err := os.Lstat(path)
	if err != nil {
		if errors.Is(s.notExist(err), storage.ErrNotExist) {
			return nil
		}
		return err
	}
	if info.IsDir() {
		return nil // a folder of other objects: no object of this name
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// admit comes first in every method but List. Its error does not quote the key, which
// may be anything.
func (s *Store) admit(ctx context.Context, key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.present()
}

// notExist translates what the file system says of an absent object: also a path
// through a file is absent. A bucket that went away meanwhile is not empty.
func (s *Store) notExist(err error) error {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return translate(err)
	}
	if err := s.present(); err != nil {
		return err
	}
	return storage.ErrNotExist
}

// translate says in the words of package storage what the file system says of the whole
// disk.
func translate(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", storage.ErrFull, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", storage.ErrDenied, err)
	}
	return err
}

// Probe tells what a directory can do: it hashes what it is given, and keeps neither a
// sum nor versions nor locks.
func (s *Store) Probe(context.Context) (storage.Capabilities, error) {
	if err := s.present(); err != nil {
		return storage.Capabilities{}, fmt.Errorf("probe: %w", err)
	}
	return storage.Capabilities{
		ConditionalPut: true, ConditionalReplace: true, ConditionalComplete: true, ChecksumSHA256: true,
		UploadsListed: true, ListAfter: true, Ranges: true,
	}, nil
}
