// Package envelope holds the sealed format: one object per document or record,
// self-describing, written in one pass, its parts sealed independently.
//
// All numbers are big endian.
//
//	object   prefix | part … part | footer | tail
//
//	prefix   magic "MVOBJ\x01"   6
//	         object id          16   random, also the object's name in a region
//	         length, patient  1+n    patient token; n at most 64
//	         generation          4   of the patient's keys
//	         seal id            16   random, fresh for every sealing
//	         kind                1   what the document is (record.Kind)
//
//	part     salt               32   random
//	         commitment         32
//	         chunk … chunk           65,536 bytes of plaintext each, the last one
//	                                 1 to 65,536; an empty part has one empty chunk
//
//	chunk    nonce              12   random
//	         ciphertext          n   AES-256-GCM, additional data = index 8 | final 1
//	         tag                16   final is 1 for the last chunk of a part, else 0
//
//	footer   salt               32
//	         commitment         32
//	         prefix                  repeated, so that a reader needs the footer only
//	         count               1   of parts, at most 16; then for each part
//	           length, name    1+n   n at most 32
//	           offset            8   of the part's salt in the object
//	           length            8   sealed, with salt and commitment
//	           plain length      8
//	           salt             32
//	           commitment       32
//	         HMAC-SHA256        32   over the footer up to here
//
//	tail     footer length       4
//	         magic "MVEND\x01"   6
//
// Every part, and the footer, has keys of its own:
//
//	64 bytes = HKDF-SHA512(DEK, salt, info = prefix | length 1, name)
//
// The first 32 are the AES-256 key (for the footer, whose name is "footer", the
// HMAC key), the last 32 the commitment. The commitment tells a wrong key, and
// binds the key to the object, its patient, generation, sealing, kind and part
// before any chunk is opened. It depends only on what is known before the first
// byte, so sealing streams.
//
// Parts "content" and "facts", and the footer, are under the content key; parts
// "identity", "manifest" and "who" are under the identity key. Parts lie in any order, with
// nothing between them.
//
// Only the standard library is used, and only what Go's FIPS 140-3 module
// approves: nonces are drawn inside NewGCMWithRandomNonce. A part's key is its
// own, so the bound of 2^32 random nonces is 256 TiB a part.
package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"medvault/keys"
)

// The parts of an object. Each occurs at most once.
const (
	Content  = "content"  // content key: the de-identified document
	Facts    = "facts"    // content key: what may be searched without identity
	Identity = "identity" // identity key: how to restore the original from Content
	Who      = "who"      // identity key: the identifying attributes
	Manifest = "manifest" // identity key: what was taken out of a page, and where it stood; optional
)

// Errors of reading. Each is wrapped with the part and chunk it concerns.
var (
	// ErrTampered: the bytes are not what was sealed, or belong to another object.
	ErrTampered = errors.New("sealed object was changed")
	// ErrWrongKey: the key does not open this, or is of another patient or object.
	ErrWrongKey = errors.New("key does not open this sealed object")
	// ErrTruncated: bytes are missing at the end.
	ErrTruncated = errors.New("sealed object is cut short")
	// ErrNoIdentityKey: the part is under the identity key, and none was given.
	ErrNoIdentityKey = errors.New("no identity key given")
	// ErrNoPart: the object has no such part.
	ErrNoPart = errors.New("sealed object has no such part")
)

// Header is what an object says of itself in clear.
type Header struct {
	Object     [16]byte
	Patient    string // patient token, at most 64 bytes
	Generation uint32 // of the patient's keys
	Seal       [16]byte
	Kind       uint8
}

// Keys are the two DEKs of one generation of one patient. A reader without the
// identity key leaves Identity zero.
type Keys struct{ Content, Identity keys.DEK }

const (
	magic    = "MVOBJ\x01"
	endMagic = "MVEND\x01"

	chunkSize = 64 << 10
	overhead  = 12 + 16 // nonce and tag of a chunk
	headSize  = 32 + 32 // salt and commitment of a part
	macSize   = 32
	tailSize  = 4 + len(endMagic)

	maxPatient = 64
	maxName    = 32
	maxParts   = 16

	footerName = "footer"
)

// appendPrefix appends the prefix of an object with header h.
func appendPrefix(b []byte, h Header) []byte {
	b = append(b, magic...)
	b = append(b, h.Object[:]...)
	b = append(b, byte(len(h.Patient)))
	b = append(b, h.Patient...)
	b = binary.BigEndian.AppendUint32(b, h.Generation)
	b = append(b, h.Seal[:]...)
	return append(b, h.Kind)
}

// derive gives the key and commitment of one part, or of the footer.
func derive(dek keys.DEK, salt [32]byte, prefix []byte, name string) (key, commitment [32]byte, err error) {
	info := fmt.Sprintf("%s%c%s", prefix, len(name), name)
	okm, err := hkdf.Key(sha512.New, dek.Bytes(), salt[:], info, 64)
	if err != nil {
		return key, commitment, fmt.Errorf("derive key of %s: %w", name, err)
	}
	copy(key[:], okm[:32])
	copy(commitment[:], okm[32:])
	clear(okm)
	return key, commitment, nil
}

// newAEAD returns AES-256-GCM drawing its own nonces.
func newAEAD(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// keyOf tells which key seals a part.
func (k Keys) keyOf(name string) (keys.DEK, error) {
	switch name {
	case Content, Facts:
		return k.Content, nil
	case Identity, Who, Manifest:
		if k.Identity.IsZero() {
			return keys.DEK{}, fmt.Errorf("part %s: %w", name, ErrNoIdentityKey)
		}
		return k.Identity, nil
	}
	return keys.DEK{}, fmt.Errorf("part %q: %w", name, ErrNoPart)
}

// chunks is how many chunks a part of plain bytes has.
func chunks(plain int64) int64 {
	return max(1, (plain+chunkSize-1)/chunkSize)
}

// sealedSize is the length of a part of plain bytes.
func sealedSize(plain int64) int64 {
	return headSize + plain + chunks(plain)*overhead
}

// additional fills in what is authenticated with chunk index of a part.
func additional(aad *[9]byte, index int64, final bool) []byte {
	binary.BigEndian.PutUint64(aad[:8], uint64(index))
	aad[8] = 0
	if final {
		aad[8] = 1
	}
	return aad[:]
}
