package vault

import "slices"

// SameBytes sends one stream and then another through a proof, in pieces of those
// sizes, and returns what it says.
func SameBytes(first, second []byte, firstPiece, secondPiece int) error {
	p := newProof()
	for piece := range slices.Chunk(first, firstPiece) {
		p.note(piece)
	}
	s := p.second()
	for piece := range slices.Chunk(second, secondPiece) {
		if _, err := s.Write(piece); err != nil {
			return err
		}
	}
	return s.end()
}
