package worker

import (
	"bytes"
	"io"
	"io/fs"
	"strings"
	"time"
)

// fontPath is where pdfium looks. The directories above it must be there too: mounted
// at /usr/share/fonts itself the font would not be found, without any error.
const fontPath = "usr/share/fonts/font.ttc"

// fs is all of the file system that pdfium has: read only, and in memory, so that no
// file need be opened for it.
func (f font) fs() fs.FS { return fontFS(f) }

type fontFS struct{ data []byte }

func (f fontFS) Open(name string) (fs.File, error) {
	switch {
	case !fs.ValidPath(name):
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	case name == fontPath && f.data != nil:
		return &fontFile{Reader: bytes.NewReader(f.data), size: int64(len(f.data))}, nil
	case name == "." || strings.HasPrefix(fontPath, name+"/"):
		below := strings.TrimPrefix(strings.TrimPrefix(fontPath, name), "/")
		if name == "." {
			below = fontPath
		}
		child, _, deeper := strings.Cut(below, "/")
		d := &fontDir{name: name}
		if deeper || f.data != nil {
			d.entries = []fs.DirEntry{fs.FileInfoToDirEntry(info{name: child, dir: deeper, size: int64(len(f.data))})}
		}
		return d, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

type fontFile struct {
	*bytes.Reader
	size int64
}

func (f *fontFile) Stat() (fs.FileInfo, error) { return info{name: "font.ttc", size: f.size}, nil }
func (f *fontFile) Close() error               { return nil }

type fontDir struct {
	name    string
	entries []fs.DirEntry
}

func (d *fontDir) Stat() (fs.FileInfo, error) { return info{name: d.name, dir: true}, nil }
func (d *fontDir) Close() error               { return nil }
func (d *fontDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: fs.ErrInvalid}
}

func (d *fontDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.entries
	d.entries = nil
	if len(rest) == 0 && n > 0 {
		return nil, io.EOF
	}
	return rest, nil
}

type info struct {
	name string
	dir  bool
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
