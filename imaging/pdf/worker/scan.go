package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/tiff"
)

// What a scan of paper may have.
const (
	maxScanPixels = 40 << 20 // of one page
	maxScanPages  = 200
)

// headBytes are those within which a PDF says that it is one.
const headBytes = 1024

// isPicture reports whether a document is a JPEG, PNG or TIFF, of which a PDF is to be made
// first.
func isPicture(document []byte) bool {
	if bytes.Contains(document[:min(len(document), headBytes)], []byte("%PDF-")) {
		return false
	}
	for _, magic := range []string{"\xFF\xD8\xFF", "\x89PNG\r\n\x1A\n", "II*\x00", "MM\x00*"} {
		if bytes.HasPrefix(document, []byte(magic)) {
			return true
		}
	}
	return false
}

var errScan = errors.New("no picture that can be opened")

// paper makes a PDF of a picture, a page for each of its pages.
func paper(scan []byte) ([]byte, error) {
	if !bytes.HasPrefix(scan, []byte("\xFF\xD8")) {
		var w writer
		if err := pictures(scan, w.picture); err != nil {
			return nil, err
		}
		return w.end(), nil
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(scan))
	if err != nil || !drawable(c) {
		return nil, errScan
	}
	var w writer
	switch components(scan) {
	case 1:
		w.page(c.Width, c.Height, orientation(scan), "/DeviceGray", "/DCTDecode", scan)
	case 3:
		w.page(c.Width, c.Height, orientation(scan), "/DeviceRGB", "/DCTDecode", scan)
	default: // four inks: as seen
		m, err := jpeg.Decode(bytes.NewReader(scan))
		if err != nil {
			return nil, errScan
		}
		w.picture(m)
	}
	return w.end(), nil
}

func drawable(c image.Config) bool {
	return c.Width > 0 && c.Height > 0 && c.Width <= 1<<15 && c.Height <= 1<<15 && c.Width*c.Height <= maxScanPixels
}

// pictures opens a PNG, or every page of a TIFF, one after the other.
func pictures(scan []byte, each func(image.Image)) error {
	if bytes.HasPrefix(scan, []byte("\x89PNG")) {
		c, err := png.DecodeConfig(bytes.NewReader(scan))
		if err != nil || !drawable(c) {
			return errScan
		}
		m, err := png.Decode(bytes.NewReader(scan))
		if err != nil {
			return errScan
		}
		each(m)
		return nil
	}
	offsets, err := directories(scan)
	if err != nil {
		return err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if scan[0] == 'M' {
		order = binary.BigEndian
	}
	one, pixels := bytes.Clone(scan), 0
	for _, at := range offsets { // the decoder opens the first directory only
		order.PutUint32(one[4:], at)
		c, err := tiff.DecodeConfig(bytes.NewReader(one))
		if err != nil || !drawable(c) {
			return errScan
		}
		if pixels += c.Width * c.Height; pixels > 4*maxScanPixels {
			return errScan
		}
		m, err := tiff.Decode(bytes.NewReader(one))
		if err != nil {
			return errScan
		}
		each(m)
	}
	return nil
}

// directories lists where the pages of a TIFF are described (TIFF 6.0, section 2).
func directories(scan []byte) (offsets []uint32, err error) {
	if len(scan) < 8 {
		return nil, errScan
	}
	var order binary.ByteOrder = binary.LittleEndian
	if scan[0] == 'M' {
		order = binary.BigEndian
	}
	for at := order.Uint32(scan[4:]); at != 0; {
		if int64(at)+2 > int64(len(scan)) || len(offsets) >= maxScanPages {
			return nil, errScan
		}
		offsets = append(offsets, at)
		next := int64(at) + 2 + 12*int64(order.Uint16(scan[at:]))
		if next+4 > int64(len(scan)) {
			return nil, errScan
		}
		at = order.Uint32(scan[next:])
	}
	if len(offsets) == 0 {
		return nil, errScan
	}
	return offsets, nil
}

// segments calls do with the marker and value of each segment of a JPEG before its
// pixels, until it returns false.
func segments(scan []byte, do func(marker byte, value []byte) bool) {
	for at := 2; at+4 <= len(scan) && scan[at] == 0xFF; {
		marker, length := scan[at+1], int(binary.BigEndian.Uint16(scan[at+2:]))
		if marker == 0xFF {
			at++
			continue
		}
		if marker == 0xDA || length < 2 || at+2+length > len(scan) || !do(marker, scan[at+4:at+2+length]) {
			return
		}
		at += 2 + length
	}
}

// components of a JPEG: 1 is grey, 3 is colour, 4 are inks.
func components(scan []byte) (n int) {
	segments(scan, func(marker byte, value []byte) bool {
		frame := marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC
		if frame && len(value) >= 6 {
			n = int(value[5])
		}
		return !frame
	})
	return n
}

// orientation is how many degrees clockwise a JPEG is to be turned to be seen upright
// (EXIF 2.3, tag 0x0112); mirrored ones are left as they are.
func orientation(scan []byte) (turn int) {
	segments(scan, func(marker byte, value []byte) bool {
		if marker != 0xE1 || !bytes.HasPrefix(value, []byte("Exif\x00\x00")) || len(value) < 16 {
			return true
		}
		t := value[6:]
		var order binary.ByteOrder = binary.LittleEndian
		if t[0] == 'M' {
			order = binary.BigEndian
		}
		at := int64(order.Uint32(t[4:]))
		if at+2 > int64(len(t)) {
			return false
		}
		for n := int64(order.Uint16(t[at:])); n > 0 && at+14 <= int64(len(t)); n, at = n-1, at+12 {
			if order.Uint16(t[at+2:]) == 0x0112 {
				turn = map[uint16]int{3: 180, 6: 90, 8: 270}[order.Uint16(t[at+10:])]
			}
		}
		return false
	})
	return turn
}

// say is fmt.Fprintf into memory.
func say(b *bytes.Buffer, format string, args ...any) { fmt.Fprintf(b, format, args...) }
