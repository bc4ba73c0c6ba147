package reports

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
	"unicode/utf16"
)

// file is a PDF while it is written. Objects are numbered as they are reserved.
type file struct {
	bytes.Buffer
	offsets map[int]int
	count   int
	seal    *sealing // encrypts strings and streams where it is set

	packed []packed // objects that go into an object stream; nil where there is none
	pack   bool
	prev   int // of the revision before
}

type packed struct {
	number int
	body   string
}

func newFile(version string) *file {
	f := &file{offsets: map[int]int{}}
	f.WriteString("%PDF-" + version + "\n%\xE2\xE3\xCF\xD3\n")
	return f
}

// reserve gives the number of an object that is written later.
func (f *file) reserve() int {
	f.count++
	return f.count
}

// put writes object n: no stream.
func (f *file) put(n int, body string) {
	if f.pack {
		f.packed = append(f.packed, packed{n, body})
		return
	}
	f.offsets[n] = f.Len()
	fmt.Fprintf(f, "%d 0 obj\n%s\nendobj\n", n, body)
}

// add writes an object under a new number.
func (f *file) add(body string) int {
	n := f.reserve()
	f.put(n, body)
	return n
}

// stream writes a stream; entries stand in its dictionary besides its length.
func (f *file) stream(entries string, data []byte, compress bool) int {
	n := f.reserve()
	f.putStream(n, entries, data, compress)
	return n
}

func (f *file) putStream(n int, entries string, data []byte, compress bool) {
	if compress {
		entries += " /Filter /FlateDecode"
		data = deflated(data)
	}
	if f.seal != nil {
		data = f.seal.encrypt(data)
	}
	f.offsets[n] = f.Len()
	fmt.Fprintf(f, "%d 0 obj\n<< /Length %d %s >>\nstream\n", n, len(data), entries)
	f.Write(data)
	f.WriteString("\nendstream\nendobj\n")
}

func deflated(data []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(data) // a bytes.Buffer does not fail
	z.Close()
	return b.Bytes()
}

// end writes the cross-reference: a table, or with packed objects two streams.
func (f *file) end(trailer string) {
	if len(f.packed) > 0 {
		f.endPacked(trailer)
		return
	}
	start := f.Len()
	f.WriteString("xref\n0 1\n0000000000 65535 f \n")
	for n := 1; n <= f.count; n++ {
		if at, ok := f.offsets[n]; ok {
			fmt.Fprintf(f, "%d 1\n%010d 00000 n \n", n, at)
		}
	}
	if f.prev > 0 {
		trailer += fmt.Sprintf(" /Prev %d", f.prev)
	}
	fmt.Fprintf(f, "trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n", f.count+1, trailer, start)
	f.prev = start
	f.offsets = map[int]int{}
}

func (f *file) endPacked(trailer string) {
	var head, body strings.Builder
	where := map[int]int{}
	for i, p := range f.packed {
		fmt.Fprintf(&head, "%d %d ", p.number, body.Len())
		body.WriteString(p.body + "\n")
		where[p.number] = i
	}
	holder := f.stream(fmt.Sprintf("/Type /ObjStm /N %d /First %d", len(f.packed), head.Len()), []byte(head.String()+body.String()), true)
	table := f.reserve()
	start := f.Len()
	f.offsets[table] = start
	var rows []byte
	row := func(kind byte, a, b int) {
		rows = append(rows, kind, byte(a>>24), byte(a>>16), byte(a>>8), byte(a), byte(b>>8), byte(b))
	}
	row(0, 0, 65535)
	for n := 1; n <= f.count; n++ {
		if i, ok := where[n]; ok {
			row(2, holder, i)
		} else {
			row(1, f.offsets[n], 0)
		}
	}
	data := deflated(rows)
	fmt.Fprintf(f, "%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 2] /Filter /FlateDecode /Length %d %s >>\nstream\n", table, f.count+1, len(data), trailer)
	f.Write(data)
	fmt.Fprintf(f, "\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n", start)
}

// text is a text string: in UTF-16 where it has to be.
func (f *file) text(s string) string {
	var raw []byte
	if strings.ContainsFunc(s, func(c rune) bool { return c > 126 }) {
		raw = []byte{0xFE, 0xFF}
		for _, u := range utf16.Encode([]rune(s)) {
			raw = append(raw, byte(u>>8), byte(u))
		}
	} else {
		raw = []byte(s)
	}
	if f.seal != nil {
		raw = f.seal.encrypt(raw)
		return fmt.Sprintf("<%X>", raw)
	}
	if len(raw) > 1 && raw[0] == 0xFE {
		return fmt.Sprintf("<%X>", raw)
	}
	return "(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(s) + ")"
}
