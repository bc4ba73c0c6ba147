package vault_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"medvault/vault"
)

func TestProofKnowsTheSameBytesAgain(t *testing.T) {
	const piece = 64 << 10
	for _, size := range []int{0, 1, piece - 1, piece, piece + 1, 2 * piece, 3*piece + 77} {
		data := make([]byte, size)
		rand.Read(data)
		for _, cut := range [][2]int{{4096, 32 << 10}, {1 << 20, 1 << 20}, {piece, 1000}, {777, piece}} {
			if err := vault.SameBytes(data, data, cut[0], cut[1]); err != nil {
				t.Errorf("%d bytes in pieces of %v: %v", size, cut, err)
			}
			for name, other := range map[string][]byte{
				"a byte more":      append(bytes.Clone(data), 0),
				"a piece more":     append(bytes.Clone(data), make([]byte, piece)...),
				"a byte less":      data[:max(0, size-1)],
				"a piece less":     data[:max(0, size-piece)],
				"first bit":        flipped(data, 0),
				"last bit":         flipped(data, size-1),
				"pieces exchanged": exchanged(data, piece),
			} {
				if bytes.Equal(other, data) {
					continue // nothing to take away or to exchange
				}
				if err := vault.SameBytes(data, other, cut[0], cut[1]); err == nil {
					t.Errorf("%d bytes in pieces of %v, %s: passes for the same", size, cut, name)
				}
			}
		}
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	if at >= 0 && at < len(b) {
		b[at] ^= 1
	}
	return b
}

func exchanged(b []byte, piece int) []byte {
	if len(b) < 2*piece {
		return b
	}
	return append(append(bytes.Clone(b[piece:2*piece]), b[:piece]...), b[2*piece:]...)
}
