package dicom

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"medvault/imaging"
	"medvault/imaging/pixel"
)

// maxCoded is the longest compressed frame that is held in memory.
const maxCoded = 2 * pixel.MaxFrame

// repainter decodes compressed frames as they pass, paints them, and writes them
// coded again (RLE) or native. One frame is held at a time. The script gets what was
// replaced.
//
// A frame that does not decode is copied as it is among RLE frames, black among native
// ones, and told by failed: what cannot be painted must not be shown.
type repainter struct {
	plan    *maskPlan
	canvas  *canvas // of one frame, at offset 0
	content *hashed
	patch   *imaging.ScriptWriter

	head     [8]byte // of the item being read
	headed   int
	rest     int64 // bytes of its value that are to come
	item     []byte
	items    int // begun, the offset table included
	frame    []byte
	begun    bool         // a frame is being gathered
	done     int64        // frames written
	written  [][][2]int64 // where they lie in the content
	failed   bool
	original []byte // items of the frame being gathered, with their headers (RLE)
}

func newRepainter(plan *maskPlan, content *hashed, patch *imaging.ScriptWriter) *repainter {
	return &repainter{plan: plan, content: content, patch: patch, canvas: newCanvas(plan.decoded, 1, plan.palette, plan.masks)}
}

// Write takes items with their headers, up to the sequence delimiter.
func (r *repainter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if r.headed < len(r.head) {
			k := copy(r.head[r.headed:], p)
			r.headed += k
			p = p[k:]
			if r.headed == len(r.head) {
				if err := r.begin(); err != nil {
					return 0, err
				}
			}
			continue
		}
		k := min(r.rest, int64(len(p)))
		if err := r.take(p[:k]); err != nil {
			return 0, err
		}
		p = p[k:]
		if r.rest -= k; r.rest == 0 {
			if err := r.endItem(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// begin has read a header.
func (r *repainter) begin() error {
	if binary.LittleEndian.Uint16(r.head[2:]) == tagSequenceDelim.Element() {
		if err := r.endFrame(); err != nil {
			return err
		}
		r.headed = 0
		return r.end()
	}
	r.rest = int64(binary.LittleEndian.Uint32(r.head[4:]))
	r.items++
	r.item = r.item[:0]
	if r.plan.how == recoded || r.items == 1 {
		r.patch.Put(r.head[:])
	}
	if r.rest == 0 {
		return r.endItem()
	}
	return nil
}

// take gathers a part of an item's value.
func (r *repainter) take(p []byte) error {
	if r.plan.how == recoded || r.items == 1 {
		r.patch.Put(p)
	}
	if r.items == 1 {
		return nil // an offset table that will not be true
	}
	if len(r.item)+len(r.frame)+len(p) > maxCoded {
		return &imaging.Refusal{Code: "frame-too-long", Offset: -1, Advice: "a compressed frame is far longer than its pixels are; send the file again"}
	}
	r.item = append(r.item, p...)
	return nil
}

func (r *repainter) endItem() error {
	r.headed = 0
	switch {
	case r.items == 1 && r.plan.how == inFrames: // an empty table says that there is none
		return r.emit([]byte("\xFE\xFF\x00\xE0\x00\x00\x00\x00"))
	case r.items == 1:
		return nil
	}
	several := r.plan.shape.Frames > 1
	starts := !r.begun || several && (r.plan.how == inFrames || codestreamBegins(r.item[:min(2, len(r.item))]))
	if starts {
		if err := r.endFrame(); err != nil {
			return err
		}
		r.begun = true
	}
	r.frame = append(r.frame, r.item...)
	if r.plan.how == inFrames {
		r.original = append(append(r.original, r.head[:]...), r.item...)
	}
	return nil
}

// endFrame has gathered a frame.
func (r *repainter) endFrame() error {
	if !r.begun {
		return nil
	}
	defer func() {
		r.frame, r.original, r.begun = r.frame[:0], r.original[:0], false
		r.done++
	}()
	if r.plan.how == recoded {
		if r.done >= int64(r.plan.shape.Frames) {
			r.failed = true // more frames than the attributes tell of
			return nil
		}
		return r.native()
	}
	return r.coded()
}

func (r *repainter) emit(b []byte) error {
	r.patch.Drop(int64(len(b)))
	if _, err := r.content.Write(b); err != nil {
		return fmt.Errorf("write content: %w", err)
	}
	return nil
}

// samples decodes and paints the frame gathered; false where that cannot be done.
func (r *repainter) samples() ([]byte, bool) {
	samples, err := pixel.Decode(r.plan.syntax, r.plan.shape, r.frame)
	if err != nil {
		return nil, false
	}
	r.paint(samples)
	return samples, true
}

func (r *repainter) paint(samples []byte) {
	one := *r.canvas
	one.shape.Frames = 1
	one.every, one.frame = r.canvas.bands(r.done), nil
	one.paint(samples, 0)
}

// native writes the frame gathered as samples.
func (r *repainter) native() error {
	samples, ok := r.samples()
	if !ok {
		r.failed = true
		samples = r.blank()
	}
	return r.emit(samples)
}

// blank is a black frame.
func (r *repainter) blank() []byte {
	return bytes.Repeat(r.canvas.pattern[0], r.plan.decoded.Rows*r.plan.decoded.Columns)
}

// coded writes the frame gathered as one RLE fragment; as it came, where no mask is.
func (r *repainter) coded() error {
	if len(r.canvas.bands(r.done)) == 0 {
		return r.copyFrame()
	}
	samples, ok := r.samples()
	if !ok {
		r.failed = true
		return r.copyFrame()
	}
	coded, err := pixel.EncodeRLE(r.plan.decoded, samples)
	if err != nil {
		return err
	}
	item := append([]byte("\xFE\xFF\x00\xE0"), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(item[4:], uint32(len(coded)))
	if err := r.emit(item); err != nil {
		return err
	}
	r.written = append(r.written, [][2]int64{{r.content.n, int64(len(coded))}})
	r.patch.Put(r.original)
	return r.emit(coded)
}

// copyFrame lets the items of the frame pass.
func (r *repainter) copyFrame() error {
	var fragments [][2]int64
	for at := 0; at < len(r.original); {
		length := int64(binary.LittleEndian.Uint32(r.original[at+4:]))
		fragments = append(fragments, [2]int64{r.content.n + int64(at) + 8, length})
		at += 8 + int(length)
	}
	r.written = append(r.written, fragments)
	r.patch.Copy(int64(len(r.original)))
	if _, err := r.content.Write(r.original); err != nil {
		return fmt.Errorf("write content: %w", err)
	}
	return nil
}

// end has met the delimiter.
func (r *repainter) end() error {
	if r.plan.how == inFrames {
		r.failed = r.failed || r.done != int64(r.plan.shape.Frames)
		r.patch.Copy(int64(len(r.head)))
		_, err := r.content.Write(r.head[:])
		return err
	}
	r.patch.Put(r.head[:])
	for ; r.done < int64(r.plan.shape.Frames); r.done++ {
		r.failed = true
		if err := r.emit(r.blank()); err != nil {
			return err
		}
	}
	if frames := r.plan.decoded.FrameBits() / 8 * r.done; frames%2 == 1 {
		return r.emit([]byte{0})
	}
	return nil
}

// frames is where the frames lie now; at is where the pixel data begins.
func (r *repainter) frames(at int64) *imaging.Frames {
	n := r.plan.shape.Frames
	switch {
	case r.plan.how == recoded:
		return &imaging.Frames{Count: n, Offset: at, Length: r.plan.decoded.FrameBits() / 8}
	case len(r.written) == n:
		return &imaging.Frames{Count: n, Fragments: r.written}
	}
	return nil
}
