// Package insecure wraps DEKs under KEKs that lie in a local file in clear: for
// development and tests. Whoever reads the file reads every document.
package insecure

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"medvault/keys"
)

// Config says where the keys are.
type Config struct {
	Name   string // how regions refer to this service; required
	Path   string // of the key file; required, made when absent, its folder too
	Shards int    // per kind, 1 to 256; default 8
}

// Service is a keys.Wrapper over one key file. One process may use a file at a
// time.
type Service struct {
	config Config

	mu   sync.RWMutex
	keks map[string]kek // by keys.KEKName
}

var _ keys.Wrapper = (*Service)(nil)

// kek is one shard with every version that still opens.
type kek struct {
	Current  int            `json:"current"`
	Oldest   int            `json:"oldest"`
	Versions map[int][]byte `json:"versions"`
}

// file is the key file.
type file struct {
	Warning string         `json:"warning"`
	KEKs    map[string]kek `json:"keks"`
}

const warning = "these keys open every document and lie here in clear: development only"

// New opens the key file, or makes one. A file that is damaged, or that others
// may read, is refused and left as it is.
func New(config Config) (*Service, error) {
	if config.Shards == 0 {
		config.Shards = 8
	}
	switch {
	case config.Name == "":
		return nil, errors.New("insecure keys: name is required")
	case config.Path == "":
		return nil, errors.New("insecure keys: path is required")
	case config.Shards < 1 || config.Shards > 256:
		return nil, fmt.Errorf("insecure keys: %d shards; allowed are 1 to 256", config.Shards)
	}
	s := &Service{config: config}
	keks, err := read(config.Path)
	if errors.Is(err, fs.ErrNotExist) {
		keks = map[string]kek{}
		err = os.MkdirAll(filepath.Dir(config.Path), 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("insecure keys: %w", err)
	}
	if s.addMissing(keks) {
		if err := write(config.Path, keks); err != nil {
			return nil, fmt.Errorf("insecure keys: %w", err)
		}
	}
	s.keks = keks
	return s, nil
}

// addMissing gives every configured shard a first key.
func (s *Service) addMissing(keks map[string]kek) (added bool) {
	for _, kind := range []keys.Kind{keys.Content, keys.Identity, keys.House} {
		for _, shard := range keys.ShardNames(kind, s.config.Shards) {
			name, err := keys.KEKName(kind, shard)
			if err != nil {
				panic(err) // our own shard names are shards
			}
			if _, ok := keks[name]; !ok {
				keks[name] = kek{Current: 1, Oldest: 1, Versions: map[int][]byte{1: newKEK()}}
				added = true
			}
		}
	}
	return added
}

func newKEK() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}

// Name of the service.
func (s *Service) Name() string { return s.config.Name }

// Shard tells b's shard.
func (s *Service) Shard(b keys.Binding) string { return keys.ShardOf(b, s.config.Shards) }

// Wrap wraps each item's DEK.
func (s *Service) Wrap(ctx context.Context, items []keys.Bound) ([]keys.Wrap, error) {
	return each(ctx, s, "wrap", items, func(item keys.Bound) (keys.Wrap, error) {
		return s.wrap(item.Binding, s.Shard(item.Binding), item.DEK)
	})
}

// Unwrap opens each item's Wrap.
func (s *Service) Unwrap(ctx context.Context, items []keys.Bound) ([]keys.DEK, error) {
	return each(ctx, s, "unwrap", items, s.unwrap)
}

// Rewrap moves each item's Wrap to the current version of its shard.
func (s *Service) Rewrap(ctx context.Context, items []keys.Bound) ([]keys.Wrap, error) {
	return each(ctx, s, "rewrap", items, func(item keys.Bound) (keys.Wrap, error) {
		dek, err := s.unwrap(item)
		if err != nil {
			return keys.Wrap{}, err
		}
		return s.wrap(item.Binding, item.Wrap.Shard, dek)
	})
}

// each does one thing to every item of a batch, under the lock for reading.
func each[R any](ctx context.Context, s *Service, what string, items []keys.Bound, do func(keys.Bound) (R, error)) ([]R, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	results := make([]R, len(items))
	for i, item := range items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if results[i], err = do(item); err != nil {
			return nil, fmt.Errorf("%s: item %d: %w", what, i, err)
		}
	}
	return results, nil
}

const blobPrefix = "insecure:v"

func (s *Service) wrap(b keys.Binding, shard string, dek keys.DEK) (keys.Wrap, error) {
	k, err := s.kek(b.Kind, shard)
	if err != nil {
		return keys.Wrap{}, err
	}
	if dek.IsZero() {
		return keys.Wrap{}, fmt.Errorf("no key to wrap: %w", keys.ErrRefused)
	}
	aead, err := k.aead(k.Current, b)
	if err != nil {
		return keys.Wrap{}, err
	}
	sealed := aead.Seal(nil, nil, dek.Bytes(), nil)
	return keys.Wrap{Shard: shard, Version: k.Current,
		Blob: fmt.Sprintf("%s%d:%s", blobPrefix, k.Current, base64.StdEncoding.EncodeToString(sealed))}, nil
}

func (s *Service) unwrap(item keys.Bound) (keys.DEK, error) {
	k, err := s.kek(item.Kind, item.Wrap.Shard)
	if err != nil {
		return keys.DEK{}, err
	}
	version, encoded, ok := strings.Cut(strings.TrimPrefix(item.Wrap.Blob, blobPrefix), ":")
	if !ok || version != strconv.Itoa(item.Wrap.Version) {
		return keys.DEK{}, fmt.Errorf("no wrap of version %d: %w", item.Wrap.Version, keys.ErrRefused)
	}
	sealed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return keys.DEK{}, fmt.Errorf("no wrap: %w", keys.ErrRefused)
	}
	aead, err := k.aead(item.Wrap.Version, item.Binding)
	if err != nil {
		return keys.DEK{}, err
	}
	plain, err := aead.Open(nil, nil, sealed, nil)
	if err != nil || len(plain) != 32 {
		return keys.DEK{}, fmt.Errorf("wrap does not open under this binding: %w", keys.ErrRefused)
	}
	defer clear(plain)
	return keys.DEKFrom([32]byte(plain)), nil
}

// kek finds a shard. The caller holds the lock.
func (s *Service) kek(kind keys.Kind, shard string) (kek, error) {
	name, err := keys.KEKName(kind, shard)
	if err != nil {
		return kek{}, err
	}
	k, ok := s.keks[name]
	if !ok {
		return kek{}, fmt.Errorf("shard %s: %w", name, keys.ErrNoKey)
	}
	return k, nil
}

// aead derives the key that wraps under version for one binding.
func (k kek) aead(version int, b keys.Binding) (cipher.AEAD, error) {
	secret, ok := k.Versions[version]
	if !ok {
		return nil, fmt.Errorf("version %d of %d to %d: %w", version, k.Oldest, k.Current, keys.ErrRefused)
	}
	key, err := hkdf.Key(sha512.New, secret, nil, "medvault insecure wrap|"+string(b.Context()), 32)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Rotate makes a new version of a shard.
func (s *Service) Rotate(ctx context.Context, kind keys.Kind, shard string) (int, error) {
	return s.change(ctx, "rotate", kind, shard, func(k *kek) error {
		k.Current++
		k.Versions[k.Current] = newKEK()
		return nil
	})
}

// Trim deletes every version below version.
func (s *Service) Trim(ctx context.Context, kind keys.Kind, shard string, version int) error {
	_, err := s.change(ctx, "trim", kind, shard, func(k *kek) error {
		if version > k.Current {
			return fmt.Errorf("to version %d of %d: %w", version, k.Current, keys.ErrRefused)
		}
		k.Oldest = max(k.Oldest, version)
		maps.DeleteFunc(k.Versions, func(v int, _ []byte) bool { return v < version })
		return nil
	})
	return err
}

// change alters one shard: first in the file, and only then for everyone.
func (s *Service) change(ctx context.Context, what string, kind keys.Kind, shard string, alter func(*kek) error) (current int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.kek(kind, shard)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	k.Versions = maps.Clone(k.Versions)
	if err := alter(&k); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	changed := maps.Clone(s.keks)
	name, err := keys.KEKName(kind, shard)
	if err != nil {
		return 0, err
	}
	changed[name] = k
	if err := write(s.config.Path, changed); err != nil {
		return 0, fmt.Errorf("%s: %w: %w", what, keys.ErrUnavailable, err)
	}
	s.keks = changed
	return k.Current, nil
}

// Version tells the current and the oldest version of a shard.
func (s *Service) Version(ctx context.Context, kind keys.Kind, shard string) (current, oldest int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, err := s.kek(kind, shard)
	return k.Current, k.Oldest, err
}

// Health is nil while the key file is there: a vault whose keys would not
// outlive the process must not take documents.
func (s *Service) Health(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := os.Stat(s.config.Path); err != nil {
		return fmt.Errorf("key file: %w: %w", keys.ErrUnavailable, err)
	}
	return nil
}

func read(path string) (map[string]kek, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("others may read %s: chmod 600 it", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f file
	if err := json.Unmarshal(raw, &f); err != nil || len(f.KEKs) == 0 {
		return nil, fmt.Errorf("%s is no key file", path) // the parser's error could quote a key
	}
	for name, k := range f.KEKs {
		for v := k.Oldest; v <= k.Current; v++ {
			if len(k.Versions[v]) != 32 {
				return nil, fmt.Errorf("%s: shard %s lacks version %d", path, name, v)
			}
		}
	}
	return f.KEKs, nil
}

// write replaces the file in one step: a crash leaves the old or the new one.
func write(path string, keks map[string]kek) error {
	raw, err := json.MarshalIndent(file{Warning: warning, KEKs: keks}, "", "  ")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(raw)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
