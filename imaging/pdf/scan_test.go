package pdf_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"golang.org/x/image/tiff"

	"medvault/imaging/imagingtest"
	"medvault/imaging/pdf"
	"medvault/imaging/pdf/pdftest"
)

// sheetOfPaper is white, with a line.
func sheetOfPaper(width, height int) image.Image {
	m := image.NewGray(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = 0xFF
	}
	for x := width / 4; x < width/2; x++ {
		m.SetGray(x, height/2, color.Gray{})
	}
	return m
}

// tiffOf is a TIFF of one page.
func tiffOf(t *testing.T, m image.Image) []byte {
	var b bytes.Buffer
	if err := tiff.Encode(&b, m, &tiff.Options{Compression: tiff.Deflate}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// directory is where the last page of a TIFF of this machine's make is described, and
// where it says which page is next.
func directory(file []byte) (at, next uint32) {
	at = binary.LittleEndian.Uint32(file[4:])
	return at, at + 2 + 12*uint32(binary.LittleEndian.Uint16(file[at:]))
}

// withTwoPages repeats the page of a TIFF: a second directory describes the same pixels.
func withTwoPages(file []byte) []byte {
	at, next := directory(file)
	if next+4 > uint32(len(file)) { // the last number may be left out
		file = append(file, make([]byte, next+4-uint32(len(file)))...)
	}
	again := bytes.Clone(file[at : next+4])
	binary.LittleEndian.PutUint32(file[next:], uint32(len(file)))
	return append(file, again...)
}

// withoutEnd has a page that is followed by itself.
func withoutEnd(file []byte) []byte {
	at, next := directory(file)
	if next+4 > uint32(len(file)) {
		file = append(file, make([]byte, next+4-uint32(len(file)))...)
	}
	binary.LittleEndian.PutUint32(file[next:], at)
	return file
}

// claiming is a PNG whose header says that it is that large.
func claiming(t *testing.T, width, height uint32) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, sheetOfPaper(8, 8)); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	binary.BigEndian.PutUint32(data[16:], width)
	binary.BigEndian.PutUint32(data[20:], height)
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	return data
}

// Scans are opened by the process, never by the gateway: what is wrong with one is told,
// and its pages wait for a person.
func TestScansOfPaper(t *testing.T) {
	t.Parallel()
	c := pdftest.Config(t)
	c.OCR = nil
	r, err := pdf.NewRedactor(c)
	if err != nil {
		t.Fatal(err)
	}
	p := imagingtest.NewPatient(4)
	var photo, picture bytes.Buffer
	if err := jpeg.Encode(&photo, sheetOfPaper(400, 300), nil); err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(&picture, sheetOfPaper(400, 300)); err != nil {
		t.Fatal(err)
	}
	// A comment in the head, as cameras and scanners write: nothing of it goes over.
	named := append([]byte("\xFF\xD8\xFF\xFE\x00\x20"), append(append([]byte(p.ID), make([]byte, 30-len(p.ID))...), photo.Bytes()[2:]...)...)
	for name, row := range map[string]struct {
		data  []byte
		pages int // 0: none can be made
	}{
		"JPEG":                     {photo.Bytes(), 1},
		"JPEG with a comment":      {named, 1},
		"PNG":                      {picture.Bytes(), 1},
		"TIFF":                     {tiffOf(t, sheetOfPaper(400, 300)), 1},
		"TIFF of two pages":        {withTwoPages(tiffOf(t, sheetOfPaper(400, 300))), 2},
		"TIFF without an end":      {withoutEnd(tiffOf(t, sheetOfPaper(400, 300))), 0},
		"PNG cut short":            {picture.Bytes()[:picture.Len()/2], 0},
		"JPEG of nothing":          {[]byte("\xFF\xD8\xFF\xE0"), 0},
		"PNG of a thousand metres": {claiming(t, 1<<31-1, 1<<31-1), 0},
		"PNG of 900 megapixels":    {claiming(t, 30_000, 30_000), 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Redact(context.Background(), row.data, known(p), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Pages != row.pages || (got.PDF != nil) != (row.pages > 0) || got.Held == "" {
				t.Fatalf("%d pages in %d bytes, held %q; want %d, held", got.Pages, len(got.PDF), got.Held, row.pages)
			}
			if row.pages == 0 && got.Held != pdf.HeldPicture {
				t.Errorf("held %q; want %q", got.Held, pdf.HeldPicture)
			}
			if bytes.Contains(got.PDF, []byte(p.ID)) {
				t.Error("the comment went over")
			}
		})
	}
}
