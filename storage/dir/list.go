package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"medvault/storage"
)

// batch is how many names of one folder are held at a time. A folder with more
// is read several times over, so that memory does not grow with it.
const batch = 8192

// List walks the folders in byte order of the full key. Files that are no
// objects (foreign names, links) are yielded too, so that whoever compares with a
// manifest sees them. SHA256 is zero.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		if err := storage.CheckPrefix(prefix); err != nil {
			yield(storage.Info{}, fmt.Errorf("list: %w", err))
			return
		}
		if err := s.present(); err != nil {
			yield(storage.Info{}, fmt.Errorf("list: %w", err))
			return
		}
		w := walk{ctx: ctx, s: s, prefix: prefix, after: after, yield: yield}
		folder := prefix[:strings.LastIndexByte(prefix, '/')+1]
		if err := w.folder(folder); err != nil && !errors.Is(err, errStop) {
			yield(storage.Info{}, fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

var errStop = errors.New("the caller has seen enough")

type walk struct {
	ctx           context.Context
	s             *Store
	prefix, after string
	yield         func(storage.Info, error) bool
}

// folder yields what lies below the folder, which is "" or ends in "/".
func (w *walk) folder(folder string) error {
	last := ""
	for {
		names, err := w.names(folder, last)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, name := range names {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if err := w.entry(folder + name); err != nil {
				return err
			}
		}
		last = names[len(names)-1]
	}
}

func (w *walk) entry(key string) error {
	if strings.HasSuffix(key, "/") {
		return w.folder(key)
	}
	info, err := os.Lstat(w.s.path(key))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted since its folder was read
		}
		return err
	}
	if !w.yield(describe(key, info), nil) {
		return errStop
	}
	return nil
}

// names returns the smallest names of the folder above last that can hold keys
// to be listed, in ascending order, subfolders with a slash at the end: that is
// how "a/b" sorts after "a.b".
func (w *walk) names(folder, last string) ([]string, error) {
	f, err := os.Open(w.s.path(folder))
	if err != nil {
		if folder != "" && errors.Is(w.s.notExist(err), storage.ErrNotExist) {
			return nil, nil
		}
		return nil, err // without its directory a bucket is not empty but away
	}
	defer f.Close() // opened for reading
	var names []string
	for {
		if err := w.ctx.Err(); err != nil {
			return nil, err
		}
		entries, err := f.ReadDir(1024)
		for _, e := range entries {
			name := e.Name()
			if e.IsDir() {
				name += "/"
			}
			if name > last && w.wanted(folder+name) {
				names = append(names, name)
			}
		}
		if len(names) >= 2*batch || err != nil {
			slices.Sort(names)
			names = names[:min(len(names), batch)]
		}
		if err == io.EOF {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// wanted tells whether key, or for a folder any key in it, is to be listed.
func (w *walk) wanted(key string) bool {
	if key == markName || key == tmpName+"/" {
		return false
	}
	if !strings.HasSuffix(key, "/") {
		return key > w.after && strings.HasPrefix(key, w.prefix)
	}
	return (key > w.after || strings.HasPrefix(w.after, key)) &&
		(strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key))
}
