package token

import (
	"encoding/binary"
	"errors"
	"math/big"

	"medvault/keys"
)

// Recipient makes pseudonyms for what one recipient is given for one purpose. They
// are made of pseudonyms, never of identifiers, and cannot be joined with those of the
// vault or of another recipient or purpose. Safe for concurrent use; it shows its key
// to nobody.
type Recipient struct{ key keys.DEK }

// Recipient derives the pseudonyms for a recipient and a purpose. Both are taken by
// every letter; padding does not count.
func (t *Tokens) Recipient(name, purpose string) (*Recipient, error) {
	if name = trim(name); name == "" {
		return nil, errors.New("tokens: a recipient needs a name")
	}
	key, err := child(t.recipient, string(lengthPrefixed(name, purpose)))
	if err != nil {
		return nil, err
	}
	return &Recipient{key}, nil
}

// Patient stands for a patient token: "r" and 26 lower-case base32 digits, as long as
// the token itself.
func (r *Recipient) Patient(token string) string {
	return "r" + lower.EncodeToString(mac(r.key, "patient", token)[:tokenBytes])
}

// UID stands for a mapped UID: "2.25." and 128 bits in decimal.
func (r *Recipient) UID(mapped string) string {
	return "2.25." + new(big.Int).SetBytes(mac(r.key, "uid", trim(mapped))[:tokenBytes]).String()
}

// ID stands for a token of another identifier, in the same form: see Tokens.ID.
func (r *Recipient) ID(attribute, token string, limit int) string {
	if token = trim(token); token == "" {
		return ""
	}
	digits := upper.EncodeToString(mac(r.key, "id", attribute, token)[:tokenBytes])
	return digits[:min(len(digits), max(limit, 0))]
}

func lengthPrefixed(inputs ...string) (b []byte) {
	for _, input := range inputs {
		b = binary.BigEndian.AppendUint64(b, uint64(len(input)))
		b = append(b, input...)
	}
	return b
}
