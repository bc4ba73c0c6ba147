package dicom

import (
	"io"

	"medvault/imaging"
)

// Frames reads a document up to the end of its pixel data and tells where its frames
// lie in it. In a deflated document the offset of native frames is that in the inflated
// one: read them with Value.
func (Scrubber) Frames(r io.Reader) (*imaging.Frames, error) {
	s := Split(r)
	var f framing
	for {
		segment, err := s.Next()
		if err == io.EOF {
			return nil, imaging.ErrNoValue
		}
		if err != nil {
			return nil, err
		}
		f.syntax = s.Syntax
		f.segment(segment)
		if !segment.Bulk {
			return nil, imaging.ErrNoValue
		}
		e := &segment.Elements[len(segment.Elements)-1]
		if !pixels(e.Tag) {
			if _, err := s.CopyBulk(io.Discard, nil); err != nil {
				return nil, err
			}
			continue
		}
		if err := f.follow(s, e, s.offset(), io.Discard); err != nil {
			return nil, err
		}
		if table := f.table(); table != nil {
			return table, nil
		}
		return nil, imaging.ErrNoValue
	}
}
