package main

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"io"
	"os"
	"strings"

	"filippo.io/age"
)

// sealing is how a package is encrypted. age (X25519 or scrypt, ChaCha20-Poly1305) is what
// people can open anywhere, and is not approved by FIPS 140-3. Whoever names a key of age
// asks for that, and is told; where the environment enforces FIPS (GODEBUG=fips140=only), it
// takes --outside-fips as well.
type sealing struct {
	name, words string
	recipients  []age.Recipient // none: plain
}

// errFIPS is what is said where age is refused.
var errFIPS = usageError{errors.New("export: the environment enforces FIPS 140-3 (GODEBUG=fips140=only), which age does not meet (X25519, scrypt, ChaCha20-Poly1305): give --outside-fips to use it all the same")}

// mayLeaveFIPS says whether age may be used.
func mayLeaveFIPS(allowed bool) bool {
	return allowed || !fips140.Enforced() || !strings.Contains(os.Getenv("GODEBUG"), "fips140=only")
}

// seal finds out how the package is to be encrypted.
func (e *exporting) seal() (sealing, error) {
	ways := 0
	for _, given := range []bool{len(e.recipients) > 0, e.passphrase != "", e.plain} {
		if given {
			ways++
		}
	}
	switch {
	case ways == 0:
		return sealing{}, usagef("export: for whom? give --age-recipient age1… or --passphrase-file FILE; a package that is not encrypted needs --insecure-plain")
	case ways > 1:
		return sealing{}, usagef("export: give one of --age-recipient, --passphrase-file and --insecure-plain")
	case e.plain:
		return sealing{name: "no", words: "NOT encrypted: whoever has the file can read it"}, nil
	case !mayLeaveFIPS(e.outside):
		return sealing{}, errFIPS
	}
	var s sealing
	if e.passphrase != "" {
		word, err := readPassphrase(e.passphrase)
		if err != nil {
			return s, err
		}
		var scrypt *age.ScryptRecipient
		err = outside(func() (err error) { scrypt, err = age.NewScryptRecipient(word); return err })
		if err != nil {
			return s, usagef("export: --passphrase-file: %w", err)
		}
		s.recipients, s.name, s.words = []age.Recipient{scrypt}, "age-scrypt", "encrypted with the passphrase, outside of FIPS 140-3 (age -d opens it)"
		return s, nil
	}
	for _, text := range e.recipients {
		var r *age.X25519Recipient
		err := outside(func() (err error) { r, err = age.ParseX25519Recipient(text); return err })
		if err != nil {
			return s, usagef("export: --age-recipient is a public key of age, as age1…, from age-keygen")
		}
		s.recipients = append(s.recipients, r)
	}
	s.name, s.words = "age-x25519", "encrypted to the recipient's key, outside of FIPS 140-3 (age -d -i KEY opens it)"
	return s, nil
}

// outside runs do, which uses age, outside of FIPS 140-3.
func outside(do func() error) (err error) {
	fips140.WithoutEnforcement(func() { err = do() })
	return err
}

// write gives what do writes to w, encrypted.
func (s sealing) write(w io.Writer, do func(io.Writer) error) error {
	if len(s.recipients) == 0 {
		return do(w)
	}
	return outside(func() error {
		out, err := age.Encrypt(w, s.recipients...)
		if err != nil {
			return err
		}
		if err := do(out); err != nil {
			return err
		}
		return out.Close()
	})
}

const minPassphrase = 12

func readPassphrase(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", usagef("export: --passphrase-file: %w", err)
	}
	word := strings.TrimRight(string(data), "\r\n")
	if len([]rune(word)) < minPassphrase {
		return "", usagef("export: --passphrase-file: a passphrase has at least %d characters", minPassphrase)
	}
	return word, nil
}

// opened is a package on disk, readable at any place.
type opened struct {
	io.ReaderAt
	size int64
	file *os.File
}

func (o opened) Close() error { return o.file.Close() }

// openPackage opens a package, decrypting it as it is read.
func openPackage(path, identities, passphrase string, outsideAllowed bool) (o opened, err error) {
	if o.file, err = os.Open(path); err != nil {
		return o, err
	}
	defer func() {
		if err != nil {
			o.file.Close()
		}
	}()
	info, err := o.file.Stat()
	if err != nil {
		return o, err
	}
	o.ReaderAt, o.size = o.file, info.Size()
	const magic = "age-encryption.org/"
	head := make([]byte, len(magic))
	if _, err := o.file.ReadAt(head, 0); err != nil || !bytes.Equal(head, []byte(magic)) {
		return o, nil // a zip, as whoever reads it will find out
	}
	if !mayLeaveFIPS(outsideAllowed) {
		return o, errFIPS
	}
	keys, err := identitiesOf(identities, passphrase)
	if err != nil {
		return o, err
	}
	err = outside(func() (err error) {
		o.ReaderAt, o.size, err = age.DecryptReaderAt(o.file, info.Size(), keys...)
		return err
	})
	return o, err
}

func identitiesOf(identities, passphrase string) (keys []age.Identity, err error) {
	switch {
	case identities != "":
		f, err := os.Open(identities)
		if err != nil {
			return nil, usagef("export verify: --identity-file: %w", err)
		}
		defer f.Close()
		err = outside(func() (err error) { keys, err = age.ParseIdentities(f); return err })
		if err != nil {
			return nil, usagef("export verify: --identity-file holds no identity of age")
		}
		return keys, nil
	case passphrase != "":
		word, err := readPassphrase(passphrase)
		if err != nil {
			return nil, err
		}
		key, err := age.NewScryptIdentity(word)
		if err != nil {
			return nil, err
		}
		key.SetMaxWorkFactor(22)
		return []age.Identity{key}, nil
	}
	return nil, usageError{errors.New("export verify: the package is encrypted: give --identity-file or --passphrase-file")}
}
