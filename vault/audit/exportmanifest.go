package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Manifest says what one region must hold, at least as of a size of the log: every
// change of a leaf before Tree.N is in it, and of later ones perhaps some, which the
// leaves from Tree.N on then say again. Its entries lie in pages of their own; it holds
// their sums. It is a signed note:
//
//	medvault-manifest/v1
//	NAME of the log
//	REGION
//	SIZE ROOT             of the log
//	OBJECTS BYTES
//	ENTRIES SHA256        of each page, in order; the page is log/pages/SHA256
//
// and a page is a line for each object, in byte order of key:
//
//	KEY SIZE SHA256 GENERATION
type Manifest struct {
	Region  string
	Tree    tlog.Tree // size and root of the log
	Objects int64
	Bytes   int64
	Pages   []Page
}

// Page is one page of a manifest.
type Page struct {
	Entries int
	SHA256  [32]byte
}

// Key names the page. A page that did not change is not written again.
func (p Page) Key() string { return PagePrefix + hex.EncodeToString(p.SHA256[:]) }

// Entry is one object that a region must hold.
type Entry struct {
	Key        string
	Size       int64
	SHA256     [32]byte // of the ciphertext
	Generation uint32
}

const (
	manifestTitle = "medvault-manifest/v1"
	pageEntries   = 8192
	maxPage       = pageEntries * 1100 // bytes; a key has at most 900
	maxManifest   = 64 << 20           // bytes
)

// ManifestKey names the manifest of a size of the log.
func ManifestKey(size int64) string { return ManifestPrefix + sizeName(size) }

// WritePages makes a manifest of entries, which come in byte order of key, and gives its
// pages to put one by one, in constant memory. The manifest itself is to be signed and
// written after that, so that whoever finds it finds its pages.
func WritePages(ctx context.Context, region string, tree tlog.Tree, entries iter.Seq2[Entry, error], put func(ctx context.Context, key string, data []byte) error) (Manifest, error) {
	m := Manifest{Region: region, Tree: tree}
	var page bytes.Buffer
	var last string
	n := 0
	turn := func() error {
		if n == 0 {
			return nil
		}
		p := Page{Entries: n, SHA256: sha256.Sum256(page.Bytes())}
		if err := put(ctx, p.Key(), page.Bytes()); err != nil {
			return fmt.Errorf("manifest of %s: %w", region, err)
		}
		m.Pages = append(m.Pages, p)
		page.Reset()
		n = 0
		return nil
	}
	for e, err := range entries {
		if err != nil {
			return m, fmt.Errorf("manifest of %s: %w", region, err)
		}
		if e.Key <= last || strings.ContainsAny(e.Key, " \n") {
			return m, fmt.Errorf("manifest of %s: entries are not in order of key", region)
		}
		last = e.Key
		fmt.Fprintf(&page, "%s %d %x %d\n", e.Key, e.Size, e.SHA256, e.Generation)
		m.Objects++
		m.Bytes += e.Size
		if n++; n == pageEntries {
			if err := turn(); err != nil {
				return m, err
			}
		}
	}
	return m, turn()
}

// SameObjects tells whether two manifests of a region name the same objects.
func (m Manifest) SameObjects(o Manifest) bool {
	return m.Region == o.Region && slices.Equal(m.Pages, o.Pages)
}

// Manifest signs a manifest.
func (s *Signer) Manifest(m Manifest) ([]byte, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n%s\n%s\n%d %s\n%d %d\n", manifestTitle, s.name, m.Region, m.Tree.N, m.Tree.Hash, m.Objects, m.Bytes)
	for _, p := range m.Pages {
		fmt.Fprintf(&text, "%d %x\n", p.Entries, p.SHA256)
	}
	signed, err := note.Sign(&note.Note{Text: text.String()}, s)
	if err != nil {
		return nil, fmt.Errorf("sign manifest of %s: %w", m.Region, err)
	}
	return signed, nil
}

// OpenManifest checks a manifest's signature and form.
func OpenManifest(signed []byte, v note.Verifier) (Manifest, error) {
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	m, err := parseManifest(n.Text, v.Name())
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

func parseManifest(text, name string) (m Manifest, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 5 || lines[0] != manifestTitle || lines[1] != name {
		return m, errors.New("not of this log")
	}
	m.Region = lines[2]
	size, root, _ := strings.Cut(lines[3], " ")
	if m.Tree.N, err = strconv.ParseInt(size, 10, 64); err != nil || m.Tree.N < 0 {
		return m, errors.New("the size is not a number")
	}
	if m.Tree.Hash, err = tlog.ParseHash(root); err != nil {
		return m, errors.New("the root is not a hash")
	}
	if _, err := fmt.Sscanf(lines[4], "%d %d", &m.Objects, &m.Bytes); err != nil || m.Objects < 0 || m.Bytes < 0 {
		return m, errors.New("the counts are not numbers")
	}
	var objects int64
	for i, line := range lines[5:] {
		entries, sum, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(entries)
		if err != nil || n < 1 || n > pageEntries || !isSHA256(sum) {
			return m, fmt.Errorf("page %d is not a count and a sum", i)
		}
		p := Page{Entries: n}
		hex.Decode(p.SHA256[:], []byte(sum)) // 64 hex digits, seen above
		m.Pages, objects = append(m.Pages, p), objects+int64(n)
	}
	if objects != m.Objects {
		return m, errors.New("the pages do not add up")
	}
	return m, nil
}

// RegionManifest is a region's newest manifest as it lies there.
type RegionManifest struct {
	Manifest
	Signed []byte // the note
	files  files
}

// ErrNoManifest says that a region holds no manifest of itself that the key has signed.
var ErrNoManifest = errors.New("no manifest")

// ReadManifest finds the newest manifest of a region that the key has signed, as
// ReadRegion finds its checkpoint, and passes over those of heads that are lost. Where
// there is none: ErrNoManifest.
func ReadManifest(ctx context.Context, region string, get func(ctx context.Context, key string) (io.ReadCloser, error),
	list func(ctx context.Context, prefix string) iter.Seq2[string, error], key note.Verifier, lost ...tlog.Tree) (*RegionManifest, error) {
	f := files{get, list}
	sizes, err := f.sizes(ctx, ManifestPrefix)
	if err != nil {
		return nil, fmt.Errorf("list manifests: %w", err)
	}
	for _, size := range slices.Backward(sizes) {
		signed, err := f.read(ctx, ManifestKey(size), maxManifest)
		if err != nil {
			return nil, fmt.Errorf("manifest of %d leaves: %w", size, err)
		}
		m, err := OpenManifest(signed, key)
		if err == nil && m.Tree.N == size && m.Region == region && !slices.Contains(lost, m.Tree) {
			return &RegionManifest{m, signed, f}, nil
		}
	}
	return nil, ErrNoManifest
}

// Entries yields what the region must hold, in byte order of key and in constant memory.
// Each page was compared with the manifest before an entry of it is yielded. It ends
// after an error.
func (m *RegionManifest) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, p := range m.Pages {
			entries, err := m.page(ctx, p)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (m *RegionManifest) page(ctx context.Context, p Page) ([]Entry, error) {
	data, err := m.files.read(ctx, p.Key(), maxPage)
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(data) != p.SHA256 {
		return nil, fmt.Errorf("%s: its bytes do not have the signed sum", p.Key())
	}
	entries := make([]Entry, 0, p.Entries)
	for line := range strings.Lines(string(data)) {
		e, err := parseEntry(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("%s: entry %d: %w", p.Key(), len(entries), err)
		}
		entries = append(entries, e)
	}
	if len(entries) != p.Entries {
		return nil, fmt.Errorf("%s: %d entries, must be %d", p.Key(), len(entries), p.Entries)
	}
	return entries, nil
}

func parseEntry(line string) (e Entry, err error) {
	fields := strings.Split(line, " ")
	if len(fields) != 4 || !isSHA256(fields[2]) {
		return e, errors.New("not a key, size, sum and generation")
	}
	generation, err := strconv.ParseUint(fields[3], 10, 32)
	if err != nil {
		return e, errors.New("the generation is not a number")
	}
	if e.Size, err = strconv.ParseInt(fields[1], 10, 64); err != nil || e.Size < 0 {
		return e, errors.New("the size is not a number")
	}
	hex.Decode(e.SHA256[:], []byte(fields[2])) // 64 hex digits, seen above
	e.Key, e.Generation = fields[0], uint32(generation)
	return e, nil
}
