package dir

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"medvault/storage"
)

// Put writes body beside the objects, checks it, brings it to disk and moves it
// under its name, which fails where the name is taken.
func (s *Store) Put(ctx context.Context, key string, body storage.Body) error {
	if err := s.admit(ctx, key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if _, err := os.Lstat(s.path(key)); err == nil {
		return s.same(ctx, key, body) // spares writing it a second time
	}
	tmp, err := s.write(ctx, body)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, translate(err))
	}
	defer os.Remove(tmp) // gone by now, or left over: New sweeps what this misses
	err = s.place(key, func(path string) error { return moveNew(tmp, path) })
	if errors.Is(err, fs.ErrExist) {
		return s.same(ctx, key, body)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, translate(err))
	}
	return nil
}

// same answers for a name that is taken: success for the same bytes, which are
// brought to disk since their writer may not have got that far.
func (s *Store) same(ctx context.Context, key string, body storage.Body) error {
	path := s.path(key)
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("put %s: the name is a folder of other objects: %w", key, storage.ErrExist)
	}
	size, sum, err := storage.Sum(ctx, s, key)
	if err != nil {
		return fmt.Errorf("put %s: compare with what is there: %w", key, err)
	}
	if size != body.Size || sum != body.SHA256 {
		return fmt.Errorf("put %s: %w", key, storage.ErrExist)
	}
	err = syncFile(path)
	if err == nil {
		err = s.place(key, func(string) error { return nil })
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, translate(err))
	}
	return nil
}

// write brings body to disk in a file of its own and returns its path. Wrong
// bytes are ErrCorrupt and leave nothing.
func (s *Store) write(ctx context.Context, body storage.Body) (path string, err error) {
	f, err := s.draft()
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody emptied the bucket. Mkdir, not MkdirAll: a bucket that is
		// gone altogether (an unmounted disk) must not come back empty.
		if err := os.Mkdir(s.tmp(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		f, err = s.draft()
	}
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	err = s.fill(ctx, f, body)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return f.Name(), err
}

// draft makes the file of one write. A name is never taken twice by a process, and
// hardly by two.
func (s *Store) draft() (*os.File, error) {
	return os.OpenFile(filepath.Join(s.tmp(), "put-"+rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// fill writes body to f and, unless that was done, checks it against its SHA-256 on
// the way.
func (s *Store) fill(ctx context.Context, f *os.File, body storage.Body) error {
	if body.Hashed {
		lent, err := body.Lend(func(all []byte) error { return writeDirectly(f, all) })
		if lent || err != nil {
			return err
		}
	}
	buf := s.buffers.Get().(*[256 << 10]byte)
	defer s.buffers.Put(buf)
	h := sha256.New()
	if body.Hashed {
		h = nil
	}
	for at := int64(0); at < body.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		want := min(int64(len(buf)), body.Size-at)
		n, err := body.ReadAt(buf[:want], at)
		if int64(n) < want {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read body: %w", err)
		}
		if h != nil {
			h.Write(buf[:n])
		}
		if _, err := f.Write(buf[:n]); err != nil {
			return err
		}
		at += int64(n)
	}
	if h != nil && [32]byte(h.Sum(nil)) != body.SHA256 {
		return fmt.Errorf("%w: the body has another sha256 than announced", storage.ErrCorrupt)
	}
	return nil
}

// place runs put on the path of key in a folder that is on disk, and brings the
// new name to disk.
func (s *Store) place(key string, put func(path string) error) error {
	path := s.path(key)
	folder := filepath.Dir(path)
	err := s.settle(folder)
	if err == nil {
		err = put(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody removed a folder behind our back, or changed the whole disk.
		s.settled.Clear()
		if err := s.settle(folder); err != nil {
			return err
		}
		err = put(path)
	}
	if err != nil {
		return err
	}
	return syncDir(folder)
}

// settle makes folder and brings its name, and those of its parents below the
// root, to disk. Once a process is enough, but once it must be even where the
// folder exists: who made it may have crashed before it was on disk.
func (s *Store) settle(folder string) error {
	if folder == s.root {
		return nil
	}
	if _, ok := s.settled.Load(folder); ok {
		return nil
	}
	parent := filepath.Dir(folder)
	if err := s.settle(parent); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncDir(parent); err != nil {
		return err
	}
	s.settled.Store(folder, struct{}{})
	return nil
}

// makeFolders is settle for many folders, with one look at the disk for each parent.
func (s *Store) makeFolders(names []string) error {
	parents := make(map[string]bool)
	for _, name := range names {
		folder := s.path(name)
		parent := filepath.Dir(folder)
		if !parents[parent] {
			if err := s.settle(parent); err != nil {
				return err
			}
			parents[parent] = true
		}
		if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for parent := range parents {
		if err := syncDir(parent); err != nil {
			return err
		}
	}
	for _, name := range names {
		s.settled.Store(s.path(name), struct{}{})
	}
	return nil
}

func syncDir(path string) error { return syncFile(path) }

// syncFile brings a file's bytes, or a folder's names, to disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
