package dicom_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"medvault/imaging/dicom"
)

// corpus lists the real DICOM files, with the race detector one of eight, or skips.
func corpus(tb testing.TB) []string {
	root := os.Getenv("MEDVAULT_CORPUS")
	if root == "" {
		root = "../../../shared/corpus"
	}
	root = filepath.Join(root, "dicom")
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		tb.Skip("set MEDVAULT_CORPUS to the folder with real files")
	}
	if err != nil {
		tb.Fatal(err)
	}
	if raced {
		var some []string
		for i := 0; i < len(files); i += 8 {
			some = append(some, files[i])
		}
		return some
	}
	return files
}

// TestSplitterAgainstPydicom compares tags, VRs, lengths and offsets of every
// element of every real file with those that pydicom finds.
func TestSplitterAgainstPydicom(t *testing.T) {
	files := corpus(t)
	python := "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import pydicom").Run(); err != nil {
		t.Skip("install Debian's python3-pydicom")
	}
	command := exec.Command(python, append([]string{"testdata/elements.py"}, files...)...)
	var out bytes.Buffer
	command.Stdout = &out
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	same, differ, skipped := 0, 0, 0
	lines := bufio.NewScanner(&out)
	var number int
	var state string
	var want []string
	compare := func() {
		if state == "" {
			return
		}
		data, err := os.ReadFile(files[number])
		if err != nil {
			t.Fatal(err)
		}
		got, err := elements(bytes.NewReader(data))
		switch {
		case state != "file" || err != nil:
			skipped++
		case equal(got, want):
			same++
		default:
			differ++
			t.Errorf("file %d of the corpus: %d elements; pydicom finds %d, or others", number, len(got), len(want))
		}
	}
	for lines.Scan() {
		var n int
		var s string
		if c, _ := fmt.Sscanf(lines.Text(), "%s %d", &s, &n); c == 2 && (s == "file" || s == "error" || s == "deflated") {
			compare()
			state, number, want = s, n, want[:0]
		} else if s == "broken" {
			state = s
		} else {
			want = append(want, lines.Text())
		}
	}
	compare()
	if same < 850 && !raced {
		t.Errorf("%d files compared; want at least 850 of the %d", same, len(files))
	}
	t.Logf("same %d, different %d, not comparable %d", same, differ, skipped)
}

func equal(got, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		g, w := got[i], want[i]
		if g == w || strings.Contains(w, "?") && g[:8] == w[:8] && strings.HasSuffix(g, w[10:]) {
			continue
		}
		// Without a VR in the header the two dictionaries may differ; a UN of
		// undefined length is a sequence for pydicom.
		if len(g) < 11 || len(w) < 11 || g[:9] != w[:9] || g[11:] != w[11:] ||
			w[9:11] != "--" && !(g[9:11] == "UN" && w[9:11] == "SQ") && g[9:11] != "--" {
			return false
		}
	}
	return true
}

// elements lists a document in the form of testdata/elements.py.
func elements(r io.Reader) ([]string, error) {
	var list []string
	s := dicom.Split(r)
	for {
		segment, err := s.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(segment.Elements); i++ {
			e := &segment.Elements[i]
			if e.VR == 0 || e.Tag.Group() == 2 {
				continue
			}
			vr := e.VR.String()
			if e.Flags&dicom.Implicit != 0 {
				vr = "--"
			}
			list = append(list, strings.TrimSpace(fmt.Sprintf("%08X %s %08X %d", uint32(e.Tag), vr, e.Length, e.Value)))
			if e.VR == dicom.UN && e.Length != dicom.Undefined {
				i = int(e.Next) - 1 // pydicom does not look inside
			}
		}
		if segment.Bulk {
			if _, err := s.CopyBulk(io.Discard, nil); err != nil {
				return nil, err
			}
		}
	}
}
