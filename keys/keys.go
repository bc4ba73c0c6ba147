// Package keys holds what protects documents: data encryption keys (DEKs), and
// the contract of the services that wrap them under key encryption keys (KEKs).
package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
)

// Kind says what a DEK opens.
type Kind string

const (
	Content  Kind = "content"
	Identity Kind = "identity"
	House    Kind = "house"
)

// Errors of every Wrapper.
var (
	ErrUnavailable = errors.New("key service unavailable")
	ErrRefused     = errors.New("key service refuses") // wrong context, trimmed version, missing policy
	ErrNoKey       = errors.New("no such key")
)

// DEK is a 256-bit data encryption key. It cannot be printed, logged or
// marshalled: the bytes live inside a func. The zero DEK holds no key.
type DEK struct{ key func() *[32]byte }

// NewDEK returns a fresh random key.
func NewDEK() DEK {
	var b [32]byte
	rand.Read(b[:])
	return DEKFrom(b)
}

// DEKFrom wraps existing key bytes.
func DEKFrom(b [32]byte) DEK { return DEK{key: func() *[32]byte { return &b }} }

// IsZero says whether there is no key inside.
func (d DEK) IsZero() bool { return d.key == nil }

// Bytes returns the key bytes; the slice must not be kept or changed.
// It panics on the zero DEK: a programming error, no input can cause it.
func (d DEK) Bytes() []byte { return d.key()[:] }

const hidden = "[redacted]"

// Format hides the key from every verb of fmt.
func (d DEK) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue hides the key from slog.
func (d DEK) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText fails, so that no encoder can write a key.
func (d DEK) MarshalText() ([]byte, error) { return nil, errors.New("a key cannot be marshalled") }

// Binding says whose key it is. It is authenticated by the wrap: a wrap opened
// under another binding is ErrRefused.
type Binding struct {
	Kind       Kind
	Token      string // patient token; "house" and a name for house keys
	Generation uint32
}

// Context is the byte string handed to the key service.
func (b Binding) Context() []byte {
	return fmt.Appendf(nil, "%s|%s|%d", b.Kind, b.Token, b.Generation)
}

// Wrap is a DEK wrapped under version Version of KEK shard Shard.
type Wrap struct {
	Shard   string `json:"shard"` // "00" … "ff"; "house"
	Version int    `json:"version"`
	Blob    string `json:"blob"` // the service's own ciphertext
}

// Key is where this wrap lies in a region's keys bucket.
func (w Wrap) Key(b Binding) string {
	if b.Kind == House {
		return fmt.Sprintf("house/%s/%d/%d", b.Token, w.Version, b.Generation)
	}
	return fmt.Sprintf("wraps/%s/%s/%d/%s.%d", b.Kind, w.Shard, w.Version, b.Token, b.Generation)
}

// Bound is a binding with its key or its wrap.
type Bound struct {
	Binding
	DEK  DEK
	Wrap Wrap
}

// Wrapper is one key service: HashiCorp Vault's transit engine, or a local file
// for development. Batches answer in order; one bad item fails the whole call
// with an error that names the item by position, never by key.
// Safe for concurrent use. Errors: ErrUnavailable (try later), ErrRefused,
// ErrNoKey.
type Wrapper interface {
	// Name of the service, as regions refer to it.
	Name() string
	// Wrap wraps each item's DEK under the current version of its shard.
	Wrap(ctx context.Context, items []Bound) ([]Wrap, error)
	// Unwrap opens each item's Wrap.
	Unwrap(ctx context.Context, items []Bound) ([]DEK, error)
	// Rewrap moves each item's Wrap to the current version of its shard without
	// showing the key to anyone but the service.
	Rewrap(ctx context.Context, items []Bound) ([]Wrap, error)
	// Rotate makes a new version of a shard and returns it.
	Rotate(ctx context.Context, kind Kind, shard string) (int, error)
	// Version tells the current version of a shard and the oldest that still opens.
	Version(ctx context.Context, kind Kind, shard string) (current, oldest int, err error)
	// Trim makes every version below version unable to open anything, for good.
	Trim(ctx context.Context, kind Kind, shard string, version int) error
	// Shard is where b's KEK lies: the first byte of the token's hash bits modulo
	// the number of shards, as two hex digits; "house" for house keys.
	Shard(b Binding) string
	// Health is nil when the service can wrap and unwrap now.
	Health(ctx context.Context) error
}
