package dicom_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/pixel"
)

// TestMasksOnRealFiles paints over the first rows of every real file that has pixels,
// restores it, and compares the rows below with what dcmtk decodes.
func TestMasksOnRealFiles(t *testing.T) {
	files := corpus(t)
	_, err := exec.LookPath("dcmdjpeg")
	second := err == nil
	outcomes, compared := map[string]int{}, 0
	for i, path := range files {
		original, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		plain, untouched, _, err := scrubAnyone(original, nil)
		if err != nil || plain.Facts.Frames == nil {
			continue
		}
		rows, columns := size(t, plain)
		if rows < 2 || columns < 1 {
			continue
		}
		mask := imaging.Mask{Width: columns, Height: rows / 2}
		out, content, script, err := scrubAnyone(original, &imaging.Release{Masks: []imaging.Mask{mask}})
		var refusal *imaging.Refusal
		if errors.As(err, &refusal) {
			outcomes[refusal.Code+" "+plain.Facts.TransferSyntax]++
			continue
		}
		if err != nil {
			t.Errorf("file %d: %v", i, err)
			continue
		}
		outcomes[out.Report.Pixels]++
		if err := restored(original, content, script); err != nil {
			t.Errorf("file %d: %v", i, err)
		}
		var before, after []byte
		switch syntax := plain.Facts.TransferSyntax; {
		case out.Facts.Frames == nil:
		case out.Report.Pixels == "masked" && syntax != pixel.RLE:
			before, after = frameBytes(t, plain, untouched)[0], frameBytes(t, out, content)[0]
		case !second:
		case syntax == pixel.RLE:
			before, after = decoded(t, "dcmdrle", original), decoded(t, "dcmdrle", content)
		case syntax == pixel.JPEGFirst || syntax == pixel.JPEGLossless || syntax == pixel.JPEGLS || syntax == pixel.JPEGLSNear:
			tool := "dcmdjpeg"
			if syntax == pixel.JPEGLS || syntax == pixel.JPEGLSNear {
				tool = "dcmdjpls"
			}
			before, after = decoded(t, tool, original), frameBytes(t, out, content)[0]
			if shownValue(t, plain, "00280006") != shownValue(t, out, "00280006") {
				continue // dcmtk keeps planes, we do not
			}
		}
		if before == nil || after == nil {
			continue
		}
		compared++
		below := len(before) * (rows - rows/2) / rows
		if shownValue(t, plain, "00280006") == "1" && shownValue(t, plain, "00280002") == "3" {
			below /= 3 // of the last plane
		}
		if len(before) != len(after) || below > 1 && !bytes.Equal(before[len(before)-below+1:], after[len(after)-below+1:]) {
			t.Errorf("file %d, %s: pixels below the mask are not the same", i, plain.Facts.TransferSyntax)
		}
	}
	t.Logf("%d files: %v; %d compared", len(files), outcomes, compared)
	if (outcomes["masked"] < 200 || second && compared < 200) && !raced {
		t.Errorf("%d masked, %d compared; want at least 200 of each", outcomes["masked"], compared)
	}
}

func scrubAnyone(original []byte, release *imaging.Release) (out imaging.Scrubbed, content, script []byte, err error) {
	from := &socket{r: bytes.NewReader(original), h: sha256.New()}
	in, err := dicom.BeginAnyone(from)
	if err != nil {
		return out, nil, nil, err
	}
	var c, p bytes.Buffer
	out, err = in.Scrub(pseudonyms("anyone"), release, from.original, &c, &p)
	return out, c.Bytes(), p.Bytes(), err
}

func size(t *testing.T, out imaging.Scrubbed) (rows, columns int) {
	t.Helper()
	var a map[string]struct{ Value []json.RawMessage }
	if err := json.Unmarshal(out.Facts.Attributes, &a); err != nil {
		t.Fatal(err)
	}
	number := func(tag string) (n int) {
		if len(a[tag].Value) > 0 && json.Unmarshal(a[tag].Value[0], &n) != nil {
			return 0
		}
		return n
	}
	return number("00280010"), number("00280011")
}

// decoded is the first frame of what dcmtk makes of a file; nil where it cannot.
func decoded(t *testing.T, tool string, data []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{in, out}
	if tool == "dcmdjpeg" {
		args = append([]string{"+cn"}, args...) // no colour converted
	}
	if exec.Command(tool, args...).Run() != nil {
		return nil
	}
	back, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	scrubbed, content, _, err := scrubAnyone(back, nil)
	if err != nil || scrubbed.Facts.Frames == nil || scrubbed.Facts.Frames.Fragments != nil {
		return nil
	}
	return frameBytes(t, scrubbed, content)[0]
}
