package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// A cosignature says that a verifier with a key of its own has seen a checkpoint, and
// that the log had only grown since the one it saw before. It is the signature line of
// C2SP tlog-cosignature, cosignature/v1 by Ed25519, to be put behind the checkpoint's
// own; in a region it lies beside the checkpoint, under the verifier's key hash.

// ErrRolledBack says that a log has fewer leaves than it was seen to have.
var ErrRolledBack = errors.New("the log was put back")

// Cosigner signs checkpoints that its owner has compared. The key cannot be printed or
// marshalled.
type Cosigner struct {
	cosignerKey
	sign func(msg []byte) []byte
}

// cosignerKey is the public half.
type cosignerKey struct {
	name   string
	hash   uint32
	public ed25519.PublicKey
}

const algCosignature = 4 // C2SP signed-note, signature types

// NewCosigner makes a cosigner from a name, without spaces or plus signs, and the 32
// bytes of an Ed25519 seed.
func NewCosigner(name string, seed []byte) (*Cosigner, error) {
	if name == "" || strings.ContainsAny(name, " +\n") || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("cosigner: needs a name without spaces or plus signs, and %d bytes", ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	c := &Cosigner{sign: func(msg []byte) []byte { return ed25519.Sign(private, msg) }}
	c.name, c.public = name, private.Public().(ed25519.PublicKey)
	c.hash = cosignerHash(name, c.public)
	return c, nil
}

func cosignerHash(name string, public ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), append([]byte{algCosignature}, public...)...))
	return binary.BigEndian.Uint32(sum[:4])
}

// VerifierKey is the public key in the form of C2SP signed-note: NAME+HASH+KEY.
func (c *Cosigner) VerifierKey() string {
	return fmt.Sprintf("%s+%08x+%s", c.name, c.hash, base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, c.public...)))
}

// Cosign signs a checkpoint, whose own signature the caller has checked, as seen at a time.
func (c *Cosigner) Cosign(checkpoint []byte, at time.Time) (line []byte, err error) {
	text, err := noteText(checkpoint)
	if err != nil {
		return nil, err
	}
	sig := binary.BigEndian.AppendUint32(nil, c.hash)
	sig = binary.BigEndian.AppendUint64(sig, uint64(at.Unix()))
	sig = append(sig, c.sign(cosigned(text, at.Unix()))...)
	return fmt.Appendf(nil, "— %s %s\n", c.name, base64.StdEncoding.EncodeToString(sig)), nil
}

// Key is where the cosignature of a checkpoint lies in a region.
func (c *Cosigner) Key(size int64) string {
	return fmt.Sprintf("%s%s/%08x", CosignaturePrefix, sizeName(size), c.hash)
}

// cosigned is what a cosignature signs.
func cosigned(text []byte, unix int64) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", unix), text...)
}

// noteText is the text of a note without its signatures.
func noteText(signed []byte) ([]byte, error) {
	at := bytes.LastIndex(signed, []byte("\n\n"))
	if at < 0 {
		return nil, errors.New("cosignature: the checkpoint is no signed note")
	}
	return signed[:at+1], nil
}

// OpenCosignature checks a cosignature line of a checkpoint with a verifier key, as
// VerifierKey gives it, and tells when it was made.
func OpenCosignature(checkpoint, line []byte, vkey string) (at time.Time, err error) {
	key, err := parseCosignerKey(vkey)
	if err != nil {
		return at, err
	}
	text, err := noteText(checkpoint)
	if err != nil {
		return at, err
	}
	encoded, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), "— "+key.name+" ")
	sig, bad := base64.StdEncoding.DecodeString(encoded)
	if !ok || bad != nil || len(sig) != 12+ed25519.SignatureSize || base64.StdEncoding.EncodeToString(sig) != encoded || binary.BigEndian.Uint32(sig) != key.hash {
		return at, errors.New("cosignature: not a line of this key")
	}
	unix := binary.BigEndian.Uint64(sig[4:])
	if unix > 1<<40 || !ed25519.Verify(key.public, cosigned(text, int64(unix)), sig[12:]) {
		return at, errors.New("cosignature: the signature is not of this checkpoint")
	}
	return time.Unix(int64(unix), 0).UTC(), nil
}

// Cosignature is a cosignature line as it lies in a region: who says that it is theirs,
// and when they say they made it. Check tells whether that is so.
type Cosignature struct {
	Size       int64     `json:"size"` // leaves of the checkpoint
	Name       string    `json:"name"`
	Key        string    `json:"key"` // hash of the verifier's key, 8 hex digits
	At         time.Time `json:"at"`
	Checkpoint string    `json:"checkpoint"`
	Line       string    `json:"line"`
}

// Check compares the cosignature with a verifier key, as VerifierKey gives it.
func (c Cosignature) Check(vkey string) error {
	at, err := OpenCosignature([]byte(c.Checkpoint), []byte(c.Line), vkey)
	if err == nil && !at.Equal(c.At) {
		err = errors.New("cosignature: made at another time than told")
	}
	return err
}

const maxCosignature = 1 << 10 // bytes

// Cosignatures lists the cosignatures that lie in a region beside checkpoints of it, in
// ascending order of size. What is no line of that form is passed over.
func Cosignatures(ctx context.Context, get func(ctx context.Context, key string) (io.ReadCloser, error),
	list func(ctx context.Context, prefix string) iter.Seq2[string, error]) (found []Cosignature, err error) {
	f := files{get, list}
	for key, err := range list(ctx, CosignaturePrefix) {
		if err != nil {
			return nil, fmt.Errorf("list cosignatures: %w", err)
		}
		name, hash, _ := strings.Cut(strings.TrimPrefix(key, CosignaturePrefix), "/")
		size, ok := parseSize(name)
		if !ok || !isHex(hash, 8) {
			continue
		}
		c := Cosignature{Size: size, Key: hash}
		line, err := f.read(ctx, key, maxCosignature)
		if err != nil {
			return nil, fmt.Errorf("cosignature of %d leaves: %w", size, err)
		}
		checkpoint, err := f.read(ctx, CheckpointKey(size), maxCheckpoint)
		if err != nil {
			return nil, fmt.Errorf("checkpoint of %d leaves: %w", size, err)
		}
		if c.Line, c.Checkpoint = string(line), string(checkpoint); c.told() {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b Cosignature) int { return int(a.Size - b.Size) })
	return found, nil
}

// told reads what the line says of itself.
func (c *Cosignature) told() bool {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(c.Line, "\n"), "— ")
	name, encoded, ok2 := strings.Cut(rest, " ")
	sig, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || !ok2 || err != nil || len(sig) != 12+ed25519.SignatureSize || fmt.Sprintf("%08x", binary.BigEndian.Uint32(sig)) != c.Key {
		return false
	}
	unix := binary.BigEndian.Uint64(sig[4:])
	c.Name, c.At = name, time.Unix(int64(min(unix, 1<<40)), 0).UTC()
	return true
}

func parseCosignerKey(vkey string) (k cosignerKey, err error) {
	parts := strings.SplitN(strings.TrimSpace(vkey), "+", 3)
	if len(parts) == 3 {
		raw, bad := base64.StdEncoding.DecodeString(parts[2])
		if bad == nil && len(raw) == 1+ed25519.PublicKeySize && raw[0] == algCosignature {
			k = cosignerKey{name: parts[0], public: raw[1:]}
			k.hash = cosignerHash(k.name, k.public)
			if fmt.Sprintf("%08x", k.hash) == parts[1] {
				return k, nil
			}
		}
	}
	return k, errors.New("cosignature: not a verifier key NAME+HASH+KEY of type cosignature/v1")
}

// GrownFrom is nil when the log that l is has only grown since the checkpoint last, which
// the log's key signed: the consistency proof of RFC 6962, from the tiles that lie in the
// region. ErrRolledBack and ErrForked say that it has not; any other error, that it could
// not be told.
func (l *RegionLog) GrownFrom(ctx context.Context, last []byte, key note.Verifier) error {
	seen, err := OpenCheckpoint(last, key)
	if err != nil {
		return fmt.Errorf("checkpoint seen before: %w", err)
	}
	if seen.N > l.Size {
		return fmt.Errorf("%w: %d leaves were seen, now it has %d", ErrRolledBack, seen.N, l.Size)
	}
	root, err := l.RootAt(ctx, seen.N)
	if err != nil {
		return err
	}
	if root != seen.Hash {
		return fmt.Errorf("%w: within the %d leaves that were seen", ErrForked, seen.N)
	}
	return nil
}
