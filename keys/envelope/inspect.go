package envelope

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Description is what an object tells without keys. Nothing of it is
// authenticated.
type Description struct {
	Header Header
	Size   int64
	Parts  []PartDescription
	Footer int64 // length of footer and tail
}

// PartDescription is one line of the part table.
type PartDescription struct {
	Name   string
	Offset int64
	Length int64 // sealed
	Plain  int64
	Chunks int64
}

// Inspect reads prefix and footer of an object of size bytes.
func Inspect(r io.ReaderAt, size int64) (Description, error) {
	d := Description{Size: size}
	front := make([]byte, min(max(size, 0), overRead))
	if _, err := r.ReadAt(front, 0); err != nil && !errors.Is(err, io.EOF) {
		return d, fmt.Errorf("inspect: %w", err)
	}
	header, prefixLength, err := parsePrefix(front)
	if err != nil {
		return d, fmt.Errorf("inspect: %w", err)
	}
	d.Header = header

	if size < int64(tailSize) {
		return d, fmt.Errorf("inspect: %w", ErrTruncated)
	}
	end := make([]byte, min(size, overRead))
	if _, err := r.ReadAt(end, size-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
		return d, fmt.Errorf("inspect: %w", err)
	}
	raw, err := cutFooter(end, size)
	if err != nil {
		return d, fmt.Errorf("inspect: %w", err)
	}
	f, err := parseFooter(raw)
	if err != nil {
		return d, fmt.Errorf("inspect: %w", err)
	}
	if f.header != header || len(f.prefix) != prefixLength {
		return d, fmt.Errorf("inspect: prefix and footer disagree: %w", ErrTampered)
	}
	return f.describe(size), nil
}

// Describe is Inspect by the footer alone, as ReadFooter got it from an object of size
// bytes.
func Describe(footer []byte, size int64) (Description, error) {
	f, err := parseFooter(footer)
	if err != nil {
		return Description{Size: size}, fmt.Errorf("describe: %w", err)
	}
	return f.describe(size), nil
}

func (f footer) describe(size int64) Description {
	d := Description{Header: f.header, Size: size, Footer: size - f.end}
	for _, p := range f.parts {
		d.Parts = append(d.Parts, PartDescription{Name: p.name, Offset: p.offset, Length: p.length, Plain: p.plain, Chunks: chunks(p.plain)})
	}
	return d
}

// String tells the description in words, one fact a line.
func (d Description) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sealed object, %d bytes, format 1\n", d.Size)
	fmt.Fprintf(&b, "object      %s\n", hex.EncodeToString(d.Header.Object[:]))
	fmt.Fprintf(&b, "patient     %q, key generation %d\n", d.Header.Patient, d.Header.Generation)
	fmt.Fprintf(&b, "sealing     %s\n", hex.EncodeToString(d.Header.Seal[:]))
	fmt.Fprintf(&b, "kind        %d\n", d.Header.Kind)
	for _, p := range d.Parts {
		fmt.Fprintf(&b, "part        %q at %d: %d bytes sealed, %d bytes plain, chunks: %d, under the %s key\n",
			p.Name, p.Offset, p.Length, p.Plain, p.Chunks, underKey(p.Name))
	}
	fmt.Fprintf(&b, "footer      %d bytes at %d\n", d.Footer, d.Size-d.Footer)
	b.WriteString("nothing of this is authenticated: that needs the content key\n")
	return b.String()
}

func underKey(name string) string {
	switch name {
	case Content, Facts:
		return "content"
	case Identity, Who:
		return "identity"
	}
	return "unknown"
}
