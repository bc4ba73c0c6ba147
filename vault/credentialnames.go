package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"medvault/keys"
)

// The log goes to patients, line by line, and to every region: what proved an actor is in
// it by a pseudonym, as "jti/" and 26 base32 digits. It tells of what kind the credential
// was and which acts it proved, and nothing that stands in the credential itself. Whoever
// knows the credential asks the vault for its acts: see CredentialNames.

// credentialBytes is how much of the hash a pseudonym shows.
const credentialBytes = 16

var credentialDigits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// credentialKeyOf is the key of the pseudonyms: a child of the log's key, so that it is the
// same in every gateway and outlives the catalog.
func credentialKeyOf(logKey keys.DEK) (keys.DEK, error) {
	b, err := hkdf.Key(sha512.New, logKey.Bytes(), nil, "medvault log credential 1", 32)
	if err != nil {
		return keys.DEK{}, fmt.Errorf("key of credentials in the log: %w", err)
	}
	defer clear(b)
	return keys.DEKFrom([32]byte(b)), nil
}

// blindCredential is the pseudonym of the first of some credentials, which names them all
// in the log; "" of none. A gateway of content keys alone has no key of the house: it takes
// a plain hash, which tells whoever holds the credential itself that it was used.
func (v *Vault) blindCredential(credentials string) string {
	first, _, _ := strings.Cut(credentials, " ")
	if v.credentialKey.IsZero() {
		return plainCredential(first)
	}
	return credentialName(first, v.credentialKey.Bytes())
}

func plainCredential(id string) string {
	return credentialName(id, []byte("medvault log credential, no key of the house"))
}

func credentialName(id string, key []byte) string {
	if id == "" {
		return ""
	}
	kind, _, named := strings.Cut(id, ":")
	if !named {
		kind = "other"
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id))
	return kind + "/" + credentialDigits.EncodeToString(h.Sum(nil)[:credentialBytes])
}

// CredentialNames are all the names under which leaves of the log may hold a credential:
// as it was given (which is how older leaves have it, and how a pseudonym copied from a
// leaf is looked for), its pseudonym, and that of a gateway of content keys alone. Whoever
// asks the log for the acts of a credential asks for all of them.
func (v *Vault) CredentialNames(credential string) []string {
	return slices.Compact([]string{credential, v.blindCredential(credential), plainCredential(credential)})
}
