package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// Attest says how identity was taken out of a document. It is part of the commit
// leaf, so that it can be neither changed nor left out later. It holds no patient
// data: the original is named by a commitment (see Opening), because its plain
// hash would tell whoever has a copy whose token stands beside it.
type Attest struct {
	Original [32]byte       // commitment to size and SHA-256 of the original
	Size     int64          // of the content: the de-identified view
	SHA256   [32]byte       // of the content
	Edition  string         // of the standard's tables
	Profile  string         // name of the set of options
	Options  []string       // the set
	Rules    string         // hex SHA-256 of everything that decided; "" when there are no rules
	Actions  map[string]int // how many elements met which action
	Residual string         // result of the search of the content for the patient's own values
	Pixels   string         // what was done to the pixels
	Held     string         // why the view is withheld; "" when it may be shown
	Keys     []KeyVersion   // what the patient's keys were wrapped under; their generation is the commit's
}

// KeyVersion names the KEK of one key service under which a DEK of the patient was
// wrapped when the document was acknowledged.
type KeyVersion struct {
	Service string `json:"service"`
	Kind    string `json:"kind"` // of the DEK: content or identity
	Shard   string `json:"shard"`
	Version int    `json:"version"` // at least 1
}

// Opening is what opens the commitment to an original.
type Opening struct {
	Size   int64
	SHA256 [32]byte
	Salt   [32]byte // random, or a child of a key that can be destroyed
}

// Commitment names a document only to whoever has its opening: SHA-256 over a label,
// salt, size (8 bytes, big endian) and SHA-256 of the original. By the commitment
// alone a copy of the original cannot be recognised, nor once the salt is destroyed.
func (o Opening) Commitment() [32]byte {
	data := append([]byte("medvault original 1|"), o.Salt[:]...)
	data = binary.BigEndian.AppendUint64(data, uint64(o.Size))
	return sha256.Sum256(append(data, o.SHA256[:]...))
}

type wireAttest struct {
	Original string         `json:"original"`
	Size     int64          `json:"size"`
	SHA256   string         `json:"sha256"`
	Edition  string         `json:"edition,omitempty"`
	Profile  string         `json:"profile,omitempty"`
	Options  []string       `json:"options,omitempty"`
	Rules    string         `json:"rules,omitempty"`
	Actions  map[string]int `json:"actions,omitempty"`
	Residual string         `json:"residual,omitempty"`
	Pixels   string         `json:"pixels,omitempty"`
	Held     string         `json:"held,omitempty"`
	Keys     []KeyVersion   `json:"keys,omitempty"`
}

func (a *Attest) wire() *wireAttest {
	if a == nil {
		return nil
	}
	return &wireAttest{Original: hex.EncodeToString(a.Original[:]), Size: a.Size, SHA256: hex.EncodeToString(a.SHA256[:]),
		Edition: a.Edition, Profile: a.Profile, Options: a.Options, Rules: a.Rules, Actions: a.Actions,
		Residual: a.Residual, Pixels: a.Pixels, Held: a.Held, Keys: a.Keys}
}

// attest is what a checked wireAttest says.
func (w *wireAttest) attest() *Attest {
	if w == nil {
		return nil
	}
	a := &Attest{Size: w.Size, Edition: w.Edition, Profile: w.Profile, Options: w.Options, Rules: w.Rules, Actions: w.Actions,
		Residual: w.Residual, Pixels: w.Pixels, Held: w.Held, Keys: w.Keys}
	hex.Decode(a.Original[:], []byte(w.Original)) // check has seen 64 hex digits
	hex.Decode(a.SHA256[:], []byte(w.SHA256))
	return a
}

// check returns the texts that must be UTF-8.
func (w *wireAttest) check() (texts []string, err error) {
	if w.Size < 0 {
		return nil, errors.New("attest of a negative size")
	}
	if !isSHA256(w.Original) || !isSHA256(w.SHA256) || w.Rules != "" && !isSHA256(w.Rules) {
		return nil, errors.New("attest: a digest is not 64 lower-case hex digits")
	}
	// Codes and counts only: no place here for a value of the document.
	codes := append([]string{w.Residual, w.Pixels, w.Held}, w.Options...)
	for action, n := range w.Actions {
		if n < 1 {
			return nil, errors.New("attest: an action is not counted")
		}
		codes = append(codes, action)
	}
	for _, k := range w.Keys {
		if k.Version < 1 || k.Service == "" || k.Shard == "" || k.Kind != "content" && k.Kind != "identity" {
			return nil, errors.New("attest: a key version is not whole")
		}
		texts = append(texts, k.Service, k.Shard)
	}
	for _, code := range codes {
		if !isCode(code) {
			return nil, errors.New("attest: a code is not of lower-case letters, digits, - and _")
		}
	}
	return append(texts, w.Edition, w.Profile), nil
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && hex.EncodeToString(b) == s
}

func isCode(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) <= 64
}
