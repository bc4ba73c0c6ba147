package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"medvault/vault/record"
)

// Static knows a fixed set of tokens: for development. It keeps their SHA-256 only.
type Static struct{ people []person }

type person struct {
	digest [32]byte
	actor  record.Actor
}

var _ Authenticator = (*Static)(nil)

// minTokenLength refuses tokens that can be guessed.
const minTokenLength = 32

// NewStatic takes tokens to actors. A token needs 32 characters, an actor an id and
// a role; no two people share an id.
func NewStatic(tokens map[string]record.Actor) (*Static, error) {
	s := &Static{}
	seen := map[string]bool{}
	for token, a := range tokens {
		switch {
		case a.ID == "" || a.Role == "":
			return nil, errors.New("static tokens: an actor needs an id and a role")
		case seen[a.ID]:
			return nil, fmt.Errorf("static tokens: two actors have the id %s", a.ID)
		case len(token) < minTokenLength:
			return nil, fmt.Errorf("static tokens: the token of %s is shorter than %d characters", a.ID, minTokenLength)
		}
		seen[a.ID] = true
		digest := sha256.Sum256([]byte(token))
		a.Credentials = "static:" + hex.EncodeToString(digest[:8])
		s.people = append(s.people, person{digest, a})
	}
	return s, nil
}

// Authenticate compares with every token in constant time.
func (s *Static) Authenticate(_ context.Context, token string) (record.Actor, error) {
	digest := sha256.Sum256([]byte(token))
	var found record.Actor
	for _, p := range s.people {
		if subtle.ConstantTimeCompare(digest[:], p.digest[:]) == 1 {
			found = p.actor
		}
	}
	if found.ID == "" {
		return record.Actor{}, errToken("token-unknown", "this token is not known here")
	}
	return found, nil
}

// NewToken returns a fresh random token for NewStatic: 256 bits.
func NewToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return "mv_" + base64.RawURLEncoding.EncodeToString(b[:])
}

// DevActor is the one person of a role in a development vault.
func DevActor(r record.Role) record.Actor {
	return record.Actor{ID: "dev-" + string(r), Role: r, Institution: "dev", Issuer: "dev", Country: "CN"}
}

// errToken is the refusal of a token that proves nothing.
func errToken(code, advice string) error {
	return record.Refuse(record.ErrUnauthenticated, code, advice)
}
