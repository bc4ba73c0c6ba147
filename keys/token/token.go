// Package token makes what stands for identity outside sealed bytes: patient
// tokens, mapped UIDs, tokens for other identifiers, and the terms of the blind
// index. All are keyed hashes, each under an HKDF child of its own of one of two
// house keys: the token key (what documents and regions carry) and the index key
// (what only the catalog carries, and what can be rotated by indexing anew).
//
// Every input of a hash is preceded by its length, so no two inputs run together.
package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"medvault/keys"
)

// Tokens makes tokens and terms. Safe for concurrent use. Like a DEK it shows
// its keys to nobody.
type Tokens struct {
	patient, uid, id, recipient keys.DEK
	apiToken                    keys.DEK
	address                     keys.DEK
	fingerprint, index          keys.DEK
	birth                       cipher.AEAD
}

// New derives the children of both keys.
func New(tokenKey, indexKey keys.DEK) (*Tokens, error) {
	if tokenKey.IsZero() || indexKey.IsZero() {
		return nil, errors.New("tokens: token key and index key are required")
	}
	if subtle.ConstantTimeCompare(tokenKey.Bytes(), indexKey.Bytes()) == 1 {
		return nil, errors.New("tokens: token key and index key must differ")
	}
	t := &Tokens{index: indexKey}
	for _, c := range []struct {
		field  *keys.DEK
		parent keys.DEK
		name   string
	}{
		{&t.patient, tokenKey, "patient"},
		{&t.uid, tokenKey, "uid"},
		{&t.id, tokenKey, "id"},
		{&t.recipient, tokenKey, "recipient"},
		{&t.apiToken, tokenKey, "api-token"},
		{&t.address, tokenKey, "address"},
		{&t.fingerprint, indexKey, "fingerprint"},
	} {
		var err error
		if *c.field, err = child(c.parent, c.name); err != nil {
			return nil, fmt.Errorf("tokens: %w", err)
		}
	}
	birth, err := child(indexKey, "birth-date")
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	block, err := aes.NewCipher(birth.Bytes())
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	t.birth, err = cipher.NewGCMWithRandomNonce(block)
	return t, err
}

// child derives the key for one purpose.
func child(parent keys.DEK, name string) (keys.DEK, error) {
	b, err := hkdf.Key(sha512.New, parent.Bytes(), nil, "medvault token 1|"+name, 32)
	if err != nil {
		return keys.DEK{}, err
	}
	defer clear(b)
	return keys.DEKFrom([32]byte(b)), nil
}

// mac hashes inputs, each behind its length.
func mac(key keys.DEK, inputs ...string) []byte {
	h := hmac.New(sha256.New, key.Bytes())
	var length [8]byte
	for _, input := range inputs {
		binary.BigEndian.PutUint64(length[:], uint64(len(input)))
		h.Write(length[:])
		h.Write([]byte(input))
	}
	return h.Sum(nil)
}

const tokenBytes = 16

var (
	lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	upper = base32.StdEncoding.WithPadding(base32.NoPadding) // legal in every VR of text, CS too
)

// trim takes off the padding of a DICOM value, which is no part of it.
func trim(value string) string { return strings.Trim(value, " \x00") }

// Patient is the patient token of (issuer, PatientID): "p" and 26 lower-case
// base32 digits. Padding does not count, letter case does.
func (t *Tokens) Patient(issuer, patientID string) string {
	return "p" + lower.EncodeToString(mac(t.patient, trim(issuer), trim(patientID))[:tokenBytes])
}

// UID maps a UID by its value to "2.25." and 128 bits in decimal. UIDs that the
// standard defines must stay what they are; the caller sees to that.
func (t *Tokens) UID(uid string) string {
	n := new(big.Int).SetBytes(mac(t.uid, trim(uid))[:tokenBytes])
	return "2.25." + n.String()
}

// ID is the token of another identifier, such as an accession number: at most
// limit and 26 upper-case base32 digits, legal in SH (limit 16), LO, CS and the
// like. The same value of two attributes gives two tokens. An empty value stays
// empty.
func (t *Tokens) ID(attribute, value string, limit int) string {
	if value = trim(value); value == "" {
		return ""
	}
	digits := upper.EncodeToString(mac(t.id, attribute, value)[:tokenBytes])
	return digits[:min(len(digits), max(limit, 0))]
}

// Fingerprint finds repeats of a document by the SHA-256 of its original, in 64
// hex digits.
func (t *Tokens) Fingerprint(original [32]byte) string {
	return hex.EncodeToString(mac(t.fingerprint, string(original[:])))
}

// APIToken is what is kept of the API token of a machine, in 64 hex digits.
func (t *Tokens) APIToken(secret string) string { return hex.EncodeToString(mac(t.apiToken, secret)) }

// Address is the pseudonym of a network address in the log, in 26 lower-case base32 digits.
func (t *Tokens) Address(address string) string {
	return lower.EncodeToString(mac(t.address, address)[:tokenBytes])
}

// Terms are the blind index terms of values of one attribute, in order: 26
// lower-case base32 digits each, under a key of that attribute's own. Values must
// be in one form when stored and when searched: see NameTerms, Day and Normal.
func (t *Tokens) Terms(attribute string, values ...string) ([]string, error) {
	key, err := child(t.index, "index|"+attribute)
	if err != nil {
		return nil, fmt.Errorf("index terms: %w", err)
	}
	terms := make([]string, len(values))
	for i, value := range values {
		terms[i] = lower.EncodeToString(mac(key, value)[:tokenBytes])
	}
	return terms, nil
}
