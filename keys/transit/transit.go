// Package transit wraps DEKs by the transit engine of HashiCorp Vault.
//
// Every shard is one derived key of the engine, "medvault-content-00" to
// "medvault-identity-ff" and "medvault-house". A wrap is bound to its patient by
// the derivation context, never by associated data: rewrap does not take that.
//
// Two credentials, made by Provision, share the work. The application's may
// encrypt, decrypt, rewrap and read versions; it can neither make, rotate nor
// trim a key. The rotation's may rotate, trim, rewrap and read versions; it
// cannot open a wrap. A Service can do what its credential may; the rest is
// keys.ErrRefused. Only who rotates gives it both.
package transit

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"medvault/keys"
)

// Secret yields a credential. It is called whenever one is needed, so it may
// read a file that is rotated; being a func it cannot be printed or marshalled.
type Secret func() (string, error)

// Fixed is a Secret that does not change.
func Fixed(s string) Secret { return func() (string, error) { return s, nil } }

// Auth is how to log in: a token, or an AppRole.
type Auth struct {
	Token    Secret // used as it is and never renewed: for administration and tests
	RoleID   string // of an AppRole, with SecretID
	SecretID Secret
	Mount    string // of the AppRole method; default "approle"
}

// Config says where the engine is.
type Config struct {
	Name      string // how regions refer to this service; required
	Address   string // "https://host:8200"; required
	Namespace string // Vault Enterprise only
	CAFile    string // PEM; default: the system's
	Auth      Auth   // required
	// Rotation, an AppRole, is the credential of Rotate and Trim; default Auth's.
	Rotation *Auth
	// TLS of the connection, whose roots CAFile replaces; default TLS 1.2 and up.
	TLS      *tls.Config
	Mount    string // of the engine; default "transit"
	Prefix   string // of key names; default "medvault-"
	Shards   int    // per kind, 1 to 256; default 256
	MaxBatch int    // items in one request; default 500
	// Timeout of one request with its retries; default 10 s.
	Timeout time.Duration
}

// Service is a keys.Wrapper over one transit engine.
type Service struct {
	config  Config
	client  *api.Client
	session *session // nil with a fixed token
	rotator *Service // with the rotation's credential; nil: this one rotates
}

var _ keys.Wrapper = (*Service)(nil)

// New checks the configuration and starts logging in. It does not wait for the
// server: until one answers, every call is keys.ErrUnavailable. Close ends it.
func New(config Config) (*Service, error) {
	config, err := config.complete()
	if err != nil {
		return nil, fmt.Errorf("transit: %w", err)
	}
	client, err := config.dial(0) // a timeout of its own would cut off raw answers; post and read set it
	if err != nil {
		return nil, fmt.Errorf("transit %s: %w", config.Name, err)
	}
	rotator, err := newRotator(config)
	if err != nil {
		return nil, err
	}
	s := &Service{config: config, client: client, rotator: rotator}
	if config.Auth.Token != nil {
		token, err := config.Auth.Token()
		if err != nil {
			return nil, fmt.Errorf("transit %s: read token: %w", config.Name, err)
		}
		client.SetToken(token)
		return s, nil
	}
	if s.session, err = startSession(config, client); err != nil {
		return nil, fmt.Errorf("transit %s: %w", config.Name, err)
	}
	return s, nil
}

// newRotator is the second session of a service that has both credentials.
func newRotator(config Config) (*Service, error) {
	if config.Rotation == nil {
		return nil, nil
	}
	config.Auth, config.Rotation = *config.Rotation, nil
	return New(config)
}

// Close ends renewal and waits for it. The token dies with its time to live.
func (s *Service) Close() error {
	if s.rotator != nil {
		s.rotator.Close() // as this: never an error
	}
	if s.session != nil {
		s.session.close()
	}
	return nil
}

// Name of the service.
func (s *Service) Name() string { return s.config.Name }

// Shard tells b's shard.
func (s *Service) Shard(b keys.Binding) string { return keys.ShardOf(b, s.config.Shards) }

// Wrap wraps each item's DEK.
func (s *Service) Wrap(ctx context.Context, items []keys.Bound) ([]keys.Wrap, error) {
	in := make([]input, len(items))
	defer clearInput(in)
	for i, item := range items {
		name, err := s.key(item.Kind, s.Shard(item.Binding))
		if err != nil {
			return nil, fmt.Errorf("wrap: item %d: %w", i, err)
		}
		if item.DEK.IsZero() {
			return nil, fmt.Errorf("wrap: item %d: no key to wrap: %w", i, keys.ErrRefused)
		}
		in[i] = input{key: name, Context: item.Context(), Plaintext: bytes.Clone(item.DEK.Bytes())}
	}
	out, err := s.batch(ctx, "encrypt", in)
	if err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	return wraps("wrap", out, func(i int) string { return s.Shard(items[i].Binding) })
}

// Unwrap opens each item's Wrap.
func (s *Service) Unwrap(ctx context.Context, items []keys.Bound) ([]keys.DEK, error) {
	in, err := s.wrapped(items)
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	out, err := s.batch(ctx, "decrypt", in)
	defer clearOutput(out)
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	deks := make([]keys.DEK, len(items))
	for i, o := range out {
		if len(o.Plaintext) != 32 {
			return nil, fmt.Errorf("unwrap: item %d: wrap holds no DEK: %w", i, keys.ErrRefused)
		}
		deks[i] = keys.DEKFrom([32]byte(o.Plaintext))
	}
	return deks, nil
}

// Rewrap moves each item's Wrap to the current version of its shard. The key is
// never seen outside the server.
func (s *Service) Rewrap(ctx context.Context, items []keys.Bound) ([]keys.Wrap, error) {
	in, err := s.wrapped(items)
	if err != nil {
		return nil, fmt.Errorf("rewrap: %w", err)
	}
	out, err := s.batch(ctx, "rewrap", in)
	if err != nil {
		return nil, fmt.Errorf("rewrap: %w", err)
	}
	return wraps("rewrap", out, func(i int) string { return items[i].Wrap.Shard })
}

// wrapped makes the input of decrypt and rewrap.
func (s *Service) wrapped(items []keys.Bound) ([]input, error) {
	in := make([]input, len(items))
	for i, item := range items {
		name, err := s.key(item.Kind, item.Wrap.Shard)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		if version, ok := versionOf(item.Wrap.Blob); !ok || version != item.Wrap.Version {
			return nil, fmt.Errorf("item %d: no wrap of version %d: %w", i, item.Wrap.Version, keys.ErrRefused)
		}
		in[i] = input{key: name, Context: item.Context(), Ciphertext: item.Wrap.Blob}
	}
	return in, nil
}

// wraps turns ciphertexts into wraps.
func wraps(what string, out []output, shard func(i int) string) ([]keys.Wrap, error) {
	list := make([]keys.Wrap, len(out))
	for i, o := range out {
		version, ok := versionOf(o.Ciphertext)
		if !ok {
			return nil, fmt.Errorf("%s: item %d: the answer is no ciphertext: %w", what, i, keys.ErrUnavailable)
		}
		list[i] = keys.Wrap{Shard: shard(i), Version: version, Blob: o.Ciphertext}
	}
	return list, nil
}

// versionOf reads the key version of a ciphertext "vault:v3:…".
func versionOf(ciphertext string) (int, bool) {
	rest, ok := strings.CutPrefix(ciphertext, "vault:v")
	number, _, colon := strings.Cut(rest, ":")
	version, err := strconv.Atoi(number)
	return version, ok && colon && err == nil && version > 0
}

// key is the engine's name of a shard.
func (s *Service) key(kind keys.Kind, shard string) (string, error) {
	name, err := keys.KEKName(kind, shard)
	return s.config.Prefix + name, err
}

// input is one item of a batch; encoding/json writes bytes as base64, as the
// engine wants them.
type input struct {
	key        string
	Context    []byte `json:"context"`
	Plaintext  []byte `json:"plaintext,omitempty"`
	Ciphertext string `json:"ciphertext,omitempty"`
}

type output struct {
	Plaintext  []byte `json:"plaintext"`
	Ciphertext string `json:"ciphertext"`
	Error      string `json:"error"`
}

func clearInput(in []input) {
	for _, i := range in {
		clear(i.Plaintext)
	}
}

func clearOutput(out []output) {
	for _, o := range out {
		clear(o.Plaintext)
	}
}

// batch sends in to the engine, one request for each key and MaxBatch items, and
// answers in order.
func (s *Service) batch(ctx context.Context, operation string, in []input) ([]output, error) {
	positions := map[string][]int{}
	var names []string // in order of first use
	for i, item := range in {
		if positions[item.key] == nil {
			names = append(names, item.key)
		}
		positions[item.key] = append(positions[item.key], i)
	}
	out := make([]output, len(in))
	for _, name := range names {
		for at := positions[name]; len(at) > 0; {
			n := min(len(at), s.config.MaxBatch)
			if err := s.request(ctx, operation, name, in, out, at[:n]); err != nil {
				clearOutput(out)
				return nil, err
			}
			at = at[n:]
		}
	}
	return out, nil
}

// request sends the items at the given positions, all of one key.
func (s *Service) request(ctx context.Context, operation, name string, in []input, out []output, at []int) error {
	body := map[string]any{}
	items := make([]input, len(at))
	for n, i := range at {
		items[n] = in[i]
	}
	body["batch_input"] = items
	if operation != "rewrap" { // rewrap answers item by item anyway
		body["partial_failure_response_code"] = 200
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	defer clear(raw)

	var answer struct {
		Data struct {
			Results []output `json:"batch_results"`
		} `json:"data"`
	}
	err = s.call(ctx, func() error { return s.post(ctx, operation+"/"+name, raw, &answer) })
	if refused := new(api.ResponseError); errors.As(err, &refused) && refused.StatusCode == 400 && len(refused.Errors) == 0 {
		// So the engine answers when it refuses every single item.
		return fmt.Errorf("item %d: %w", at[0], keys.ErrRefused)
	}
	if err != nil {
		return s.missing(ctx, name, err)
	}
	if len(answer.Data.Results) != len(at) {
		return fmt.Errorf("%d answers for %d items: %w", len(answer.Data.Results), len(at), keys.ErrUnavailable)
	}
	for n, i := range at {
		out[i] = answer.Data.Results[n]
		if out[i].Error != "" {
			clearOutput(answer.Data.Results)
			return fmt.Errorf("item %d: %w: %s", i, keys.ErrRefused, out[i].Error)
		}
	}
	return nil
}

// maxAnswer bounds what is read from the server.
const maxAnswer = 16 << 20

// post writes raw to a path of the engine and reads the answer, wiping it after.
func (s *Service) post(ctx context.Context, path string, raw []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	response, err := s.client.Logical().WriteRawWithContext(ctx, s.config.Mount+"/"+path, raw)
	if response != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return err
	}
	text := bytes.NewBuffer(make([]byte, 0, max(512, min(response.ContentLength+512, maxAnswer))))
	defer func() { clear(text.Bytes()) }()
	if _, err := text.ReadFrom(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return err
	}
	if answer == nil || text.Len() == 0 {
		return nil
	}
	return json.Unmarshal(text.Bytes(), answer)
}

// Rotate makes a new version of a shard.
func (s *Service) Rotate(ctx context.Context, kind keys.Kind, shard string) (int, error) {
	if s.rotator != nil {
		return s.rotator.Rotate(ctx, kind, shard)
	}
	name, err := s.key(kind, shard)
	if err == nil {
		err = s.missing(ctx, name, s.call(ctx, func() error { return s.post(ctx, "keys/"+name+"/rotate", nil, nil) }))
	}
	if err != nil {
		return 0, fmt.Errorf("rotate: %w", err)
	}
	current, _, err := s.Version(ctx, kind, shard)
	return current, err
}

// Version tells the current and the oldest version of a shard.
func (s *Service) Version(ctx context.Context, kind keys.Kind, shard string) (current, oldest int, err error) {
	name, err := s.key(kind, shard)
	if err != nil {
		return 0, 0, fmt.Errorf("version: %w", err)
	}
	k, err := s.read(ctx, name)
	if err != nil {
		return 0, 0, fmt.Errorf("version: %w", err)
	}
	return k.Latest, k.oldest(), nil
}

// keyInfo is what the engine tells of a key.
type keyInfo struct {
	Type      string `json:"type"`
	Derived   bool   `json:"derived"`
	Latest    int    `json:"latest_version"`
	Decrypt   int    `json:"min_decryption_version"`
	Encrypt   int    `json:"min_encryption_version"`
	Available int    `json:"min_available_version"`
}

func (k keyInfo) oldest() int { return max(1, k.Decrypt, k.Available) }

func (s *Service) read(ctx context.Context, name string) (k keyInfo, err error) {
	err = s.call(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
		response, err := s.client.Logical().ReadRawWithContext(ctx, s.config.Mount+"/keys/"+name)
		if response != nil {
			defer response.Body.Close()
		}
		if err != nil {
			return err
		}
		return json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&struct {
			Data *keyInfo `json:"data"`
		}{&k})
	})
	return k, translate(ctx, err)
}

// Trim makes every version below version unable to open anything. The order is
// the safety: a minimum can be lowered again, what was trimmed is gone.
func (s *Service) Trim(ctx context.Context, kind keys.Kind, shard string, version int) error {
	if s.rotator != nil {
		return s.rotator.Trim(ctx, kind, shard, version)
	}
	name, err := s.key(kind, shard)
	if err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	k, err := s.read(ctx, name)
	switch {
	case err != nil:
		return fmt.Errorf("trim: %w", err)
	case version > k.Latest:
		return fmt.Errorf("trim to version %d of %d: %w", version, k.Latest, keys.ErrRefused)
	case version <= max(1, k.Available):
		return nil // gone already
	}
	minimums := fmt.Appendf(nil, `{"min_decryption_version":%d,"min_encryption_version":%d}`, max(version, k.Decrypt), max(version, k.Encrypt))
	err = s.call(ctx, func() error { return s.post(ctx, "keys/"+name+"/config", minimums, nil) })
	if err == nil {
		err = s.call(ctx, func() error {
			return s.post(ctx, "keys/"+name+"/trim", fmt.Appendf(nil, `{"min_available_version":%d}`, version), nil)
		})
	}
	if err != nil {
		return fmt.Errorf("trim: %w", translate(ctx, err))
	}
	return nil
}

// Health wraps and unwraps a key of no patient.
func (s *Service) Health(ctx context.Context) error {
	probe := keys.Bound{Binding: keys.Binding{Kind: keys.Content, Token: "health"}, DEK: keys.NewDEK()}
	wraps, err := s.Wrap(ctx, []keys.Bound{probe})
	if err != nil {
		return fmt.Errorf("health of transit %s: %w", s.config.Name, err)
	}
	deks, err := s.Unwrap(ctx, []keys.Bound{{Binding: probe.Binding, Wrap: wraps[0]}})
	if err != nil {
		return fmt.Errorf("health of transit %s: %w", s.config.Name, err)
	}
	if !bytes.Equal(deks[0].Bytes(), probe.DEK.Bytes()) {
		return fmt.Errorf("health of transit %s: another key came back: %w", s.config.Name, keys.ErrUnavailable)
	}
	return nil
}

// call runs do logged in. When the server no longer knows the token, it logs in
// anew and runs do once more.
func (s *Service) call(ctx context.Context, do func() error) error {
	if s.session == nil {
		return do()
	}
	if err := s.session.ready(ctx); err != nil {
		return err
	}
	token := s.client.Token()
	err := do()
	if status(err) != 403 || s.session.alive(ctx, token) {
		return err
	}
	if err := s.session.renew(ctx, token); err != nil {
		return err
	}
	return do()
}

// missing tells a refusal because a key does not exist from other refusals:
// the engine answers 403 to an application that may not make keys.
func (s *Service) missing(ctx context.Context, name string, err error) error {
	if code := status(err); code == 400 || code == 403 {
		if _, absent := s.read(ctx, name); errors.Is(absent, keys.ErrNoKey) {
			return absent
		}
	}
	return translate(ctx, err)
}

// status is the HTTP status of a refusal, or 0.
func status(err error) int {
	if response := new(api.ResponseError); errors.As(err, &response) {
		return response.StatusCode
	}
	return 0
}

// translate turns the client's errors into those of keys. What Vault says is
// kept without its URL.
func translate(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, keys.ErrUnavailable) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	response := new(api.ResponseError)
	if !errors.As(err, &response) {
		return fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	says := strings.Join(strings.Fields(strings.Join(response.Errors, "; ")), " ") // Vault's come in several lines
	switch response.StatusCode {
	case 404:
		return fmt.Errorf("%w: %s", keys.ErrNoKey, says)
	case 400, 403:
		return fmt.Errorf("%w: %d: %s", keys.ErrRefused, response.StatusCode, says)
	}
	return fmt.Errorf("%w: %d: %s", keys.ErrUnavailable, response.StatusCode, says)
}
