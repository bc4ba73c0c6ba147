package subject_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf8"

	"medvault/imaging/subject"
)

// FuzzFind asks that matches lie in the text, in order, at whole characters, that
// what is planted is found, and that any values can be looked for.
func FuzzFind(f *testing.F) {
	for _, text := range []string{
		"CT chest of Zhang, Xiaodong, 13.07.1971", "张 小东 2024年3月5日 一九七一年七月十三日", "Z h a n g", "0 0 0482913", "+86 (138) 0013-8000",
		"a@b@c.de@@", "11010519491231002X", "Müller-Weiß’s", "北京市朝阳区建国路88号", "\xff\xfe\x00Z\u0308", "5. Mar. 24, 31-DEC-99",
	} {
		f.Add(text, "Zhang^Wei=張^偉")
	}
	s := subject.New(patient)
	f.Fuzz(func(t *testing.T, text, value string) {
		check := func(s *subject.Subject, text string) []subject.Match {
			at := 0
			found := s.Find(text)
			for _, m := range found {
				if m.Start < at || m.End <= m.Start || m.End > len(text) || m.Kind < subject.Name || m.Kind > subject.Other {
					t.Fatalf("%+v in %q after %d", m, text, at)
				}
				at = m.End
				if utf8.ValidString(text) && !utf8.ValidString(text[m.Start:m.End]) {
					t.Fatalf("%+v cuts a character of %q", m, text)
				}
			}
			for _, d := range s.Days(text) {
				if d.Start < 0 || d.End <= d.Start || d.End > len(text) {
					t.Fatalf("%+v in %q", d, text)
				}
				if got := d.Shift(text, 0); !strings.ContainsAny(got, "0123456789一二三四五六七八九十") {
					t.Fatalf("%q moved by no day is %q", text[d.Start:d.End], got)
				}
			}
			return found
		}
		check(s, text)
		check(subject.New(subject.Known{Names: []string{value}, IDs: []string{value}, Dates: []string{value}, Phones: []string{value},
			Addresses: []string{value}, Emails: []string{value}, UIDs: []string{value}, Others: []string{value}}), text)
		for _, planted := range []string{"Zhang", "xiaodong zhang", "MRN-0482913", "小东", "13.07.1971", "xd.zhang88@example.com"} {
			before := text + "\n"
			covered := false
			for _, m := range check(s, before+planted+"\n"+text) {
				covered = covered || m.Start <= len(before) && m.End >= len(before)+len(planted)
			}
			if !covered {
				t.Fatalf("%q is not found behind %q", planted, before)
			}
		}
	})
}

// FuzzScanner asks that what is found is there, that what is there is found, and that
// it does not matter how the bytes come.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("xxQuxleyPN\x00\x41"), uint16(3), "Quxley^Ann")
	f.Add([]byte("Q\x00u\x00x\x00l\x00e\x00y 770 112233"), uint16(1), "王^小東")
	f.Fuzz(func(t *testing.T, data []byte, step uint16, value string) {
		s := subject.New(subject.Known{Names: []string{"Quxley"}, IDs: []string{"77112233"}})
		found := func(data []byte, step int) []subject.Kind {
			sc := s.Scanner()
			for len(data) > 0 {
				n := min(step, len(data))
				if _, err := sc.Write(data[:n]); err != nil {
					t.Fatal(err)
				}
				data = data[n:]
			}
			return sc.Found()
		}
		whole := found(data, len(data)+1)
		if got := found(data, int(step)+1); kinds(got) != kinds(whole) {
			t.Fatalf("in steps of %d: %v; whole: %v", step+1, got, whole)
		}
		narrow := bytes.ToLower(bytes.ReplaceAll(data, []byte{0}, nil))
		for _, k := range whole {
			if !bytes.Contains(narrow, map[subject.Kind][]byte{subject.Name: []byte("quxley"), subject.ID: []byte("77112233")}[k]) {
				t.Fatalf("%v found, not in %q", k, data)
			}
		}
		for _, planted := range []string{" Quxley ", " QUXLEY ", " 77112233 ", utf16Text(binary.LittleEndian, " Quxley "), utf16Text(binary.BigEndian, " 77112233 ")} {
			if got := found(append(append(bytes.Clone(data), planted...), data...), int(step)+1); len(got) == 0 {
				t.Fatalf("%q is not found in %q", planted, data)
			}
		}
		any := subject.New(subject.Known{Names: []string{value}, IDs: []string{value}, Dates: []string{value}, Phones: []string{value},
			Addresses: []string{value}, Emails: []string{value}, UIDs: []string{value}, Others: []string{value}}).Scanner(latin1)
		if _, err := any.Write(data); err != nil {
			t.Fatal(err)
		}
		any.Value(string(data), false)
		any.Found()
	})
}
