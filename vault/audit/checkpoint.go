package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A checkpoint is a signed note in the form of C2SP tlog-checkpoint:
//
//	NAME of the log, which is the signer's
//	SIZE in leaves
//	ROOT tree hash in base64
//
//	— NAME signature

// Signer signs checkpoints with Ed25519. The key cannot be printed or marshalled.
type Signer struct {
	name     string
	hash     uint32
	key      string
	verifier note.Verifier
	sign     func(msg []byte) []byte
}

var _ note.Signer = (*Signer)(nil)

// NewSigner makes a signer from a name, without spaces or plus signs, and the 32
// bytes of an Ed25519 seed.
func NewSigner(name string, seed []byte) (*Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("log signer: the seed must have %d bytes", ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	vkey, err := note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("log signer: %w", err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("log signer: %w", err)
	}
	return &Signer{name: name, hash: verifier.KeyHash(), key: vkey, verifier: verifier,
		sign: func(msg []byte) []byte { return ed25519.Sign(private, msg) }}, nil
}

// Name of the log.
func (s *Signer) Name() string { return s.name }

// KeyHash implements note.Signer.
func (s *Signer) KeyHash() uint32 { return s.hash }

// Sign implements note.Signer.
func (s *Signer) Sign(msg []byte) ([]byte, error) { return s.sign(msg), nil }

// VerifierKey is the public key in the form of C2SP signed-note: NAME+HASH+KEY.
func (s *Signer) VerifierKey() string { return s.key }

// Verifier checks what the signer signs; it holds only the public key.
func (s *Signer) Verifier() note.Verifier { return s.verifier }

// Checkpoint signs a tree.
func (s *Signer) Checkpoint(size int64, root tlog.Hash) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", s.name, size, root)
	signed, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint of %d leaves: %w", size, err)
	}
	return signed, nil
}

// OpenCheckpoint checks a checkpoint's signature and form and returns its tree.
func OpenCheckpoint(signed []byte, v note.Verifier) (tlog.Tree, error) {
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != v.Name() {
		return tlog.Tree{}, errors.New("checkpoint: not of this log or not of three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, errors.New("checkpoint: the size is not a number")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, errors.New("checkpoint: the root is not a hash")
	}
	return tlog.Tree{N: size, Hash: root}, nil
}
