package subject_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"

	"medvault/imaging/subject"
)

func utf16Text(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func encoded(t testing.TB, set interface{ Bytes([]byte) ([]byte, error) }, text string) string {
	t.Helper()
	b, err := set.Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func latin1(text string) []byte {
	b, err := charmap.ISO8859_1.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return nil
	}
	return b
}

func shiftJIS(text string) []byte {
	b, err := japanese.ShiftJIS.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return nil
	}
	return b
}

func TestScanner(t *testing.T) {
	s := subject.New(patient)
	for _, c := range []struct {
		name, bytes string
		want        string // kinds
	}{
		{"nothing", "SIEMENS CHEST 1.2.840.10008.5.1.4.1.1.2", ""},
		{"id", "xxMRN-0482913yy", "id"},
		{"id in another case", "mrn-0482913", "id"},
		{"id without prefix", "A 0482913 B", "id"},
		{"id without zeros", "=482913", "id"},
		{"id in a longer number", "104829130", ""},
		{"id in a fraction", "0.482913", ""},
		{"short id", "4711", ""},
		{"family name", "for Zhang.", "name"},
		{"family name in another case", "ZHANG", "name"},
		{"family name in a longer word", "Zhangjiakou", ""},
		{"family name before a tag", "ZHANG\x54\x00\x10\x00", "name"},
		{"family name behind a length in big endian", "LO\x00\x41ZHANG", "name"},
		{"names in one word", "ZhangXiaoDong", "name"},
		{"umlaut in UTF-8", "für Müller", "name"},
		{"umlaut in capitals", "MÜLLER", "name"},
		{"umlaut in Latin-1", encoded(t, charmap.ISO8859_1.NewEncoder(), "Müller"), "name"},
		{"umlaut written out", "MUELLER", "name"},
		{"wide, little endian", utf16Text(binary.LittleEndian, "xx Zhang yy"), "name"},
		{"wide, big endian", utf16Text(binary.BigEndian, "xx ZHANG yy"), "name"},
		{"wide, in a longer word", utf16Text(binary.LittleEndian, "Zhangjiakou"), ""},
		{"wide id", utf16Text(binary.BigEndian, "482913"), "id"},
		{"wide characters, little endian", utf16Text(binary.LittleEndian, "小東"), "name"},
		{"wide characters, big endian", utf16Text(binary.BigEndian, "張小東"), "name"},
		{"characters in UTF-8", "為小東", "name"},
		{"simplified", "张小东", "name"},
		{"characters in GB 18030", encoded(t, simplifiedchinese.GB18030.NewEncoder(), "張小東"), "name"},
		{"simplified in GB 18030", encoded(t, simplifiedchinese.GB18030.NewEncoder(), "小东"), "name"},
		{"characters in Shift-JIS", encoded(t, japanese.ShiftJIS.NewEncoder(), "小東"), "name"},
		{"birth date", "B19710713E", "date"},
		{"birth date with dots", "13.07.1971", "date"},
		{"birth date in Chinese", encoded(t, simplifiedchinese.GB18030.NewEncoder(), "1971年7月13日"), "date"},
		{"date in a UID", "1.2.19710713.5", ""},
		{"telephone", "13800138000", "phone"},
		{"e-mail", "XD.ZHANG88@EXAMPLE.COM", "name email"},
		{"street", "at 12 Hauptstraße, 10115 Berlin", "address"},
		{"a physician", "GREGORY HOUSE", "other"},
		{"a physician's family name", "HOUSE", ""},
		{"several", "ZHANG 482913", "name id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, padding := range []int{0, 5, 32<<10 - 3, 70000} {
				text := strings.Repeat("\x00\x01", padding/2) + c.bytes + strings.Repeat("\x00 ", padding/2)
				for _, step := range []int{len(text), 1, 3, 4096} {
					if len(text) > 1000 && step < 1000 {
						continue
					}
					sc := s.Scanner(latin1, shiftJIS)
					for part := range slices.Chunk([]byte(text), max(1, step)) {
						if n, err := sc.Write(part); n != len(part) || err != nil {
							t.Fatalf("Write = %d, %v", n, err)
						}
					}
					if got := kinds(sc.Found()); got != c.want {
						t.Errorf("padding %d, in steps of %d: found %q; want %q", padding, step, got, c.want)
					}
				}
			}
		})
	}
}

func kinds(list []subject.Kind) string {
	var names []string
	for _, k := range list {
		names = append(names, k.String())
	}
	return strings.Join(names, " ")
}

func TestScannerValue(t *testing.T) {
	s := subject.New(subject.Known{Names: []string{"Wang^Li=王^李"}, IDs: []string{"4711", "A7"}, Dates: []string{"19710713"}})
	for _, c := range []struct {
		text   string
		number bool
		want   string
	}{
		{"4711", true, "id"},
		{`1.5\4711`, true, "id"},
		{"0.4711", true, ""},
		{"147110", true, ""},
		{"a7", false, "id"},
		{"a7", true, ""},
		{"Model A7", false, ""},
		{"for wang", false, "name"},
		{"Wangari", false, ""},
		{"Li", false, ""},
		{"LiWang", false, "name"},
		{"王李", false, "name"},
		{"王記", false, ""},
		{"1971-07-13", false, "date"},
		{"13912345678", false, ""},
	} {
		sc := s.Scanner()
		sc.Value(c.text, c.number)
		if got := kinds(sc.Found()); got != c.want {
			t.Errorf("%q: found %q; want %q", c.text, got, c.want)
		}
	}
}

// TestScannerRaw looks for a name in a set that nobody has declared.
func TestScannerRaw(t *testing.T) {
	const raw = "\xba\xe3\xd7\xdd\xd5\xe6^A"
	sc := subject.New(subject.Known{Raw: []string{raw}}).Scanner()
	for text, want := range map[string]string{"of A": "", "of \xba\xe3\xd7\xdd\xd5\xe6, A": "name"} {
		if _, err := sc.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := kinds(sc.Found()); got != want && want != "" {
			t.Errorf("%q: found %q; want %q", text, got, want)
		}
	}
}

// TestNothingKnown asks for no match where nothing is looked for.
func TestNothingKnown(t *testing.T) {
	s := subject.New(subject.Known{Names: []string{"", "^", "=", "\x00"}, IDs: []string{" "}, Dates: []string{"", "1971"}, Others: []string{"^^"}})
	sc := s.Scanner()
	text := "Zhang 4711 \x00\x00\x00"
	if _, err := sc.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if found := sc.Found(); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	if found := s.Find(text); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

// header is like that of a CT: short texts between binary headers.
func header() []byte {
	var b bytes.Buffer
	for i := range 170 {
		fmt.Fprintf(&b, "\x08\x00%c\x00LO\x14\x00SOMETHING ORD %02d\\1.%d ", i, i%100, i)
	}
	return b.Bytes()
}

func BenchmarkScanner(b *testing.B) {
	head := header()
	s := subject.New(patient)
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			s.Scanner(latin1)
		}
	})
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(int64(len(head)))
		sc := s.Scanner(latin1)
		for b.Loop() {
			sc.Write(head)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	text := "CT chest with contrast. Findings: there is a nodule of 5 mm in the right upper lobe. 13.05.2024"
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			subject.New(patient).Find(text)
		}
	})
	b.Run("next", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		s := subject.New(patient)
		for b.Loop() {
			s.Find(text)
		}
	})
}
