package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"medvault/vault/record"
)

// packageTitle begins the signed text of a package, so that it is taken for nothing else
// that the same key signs.
const packageTitle = "medvault package v1"

// Package is what the log's key signs of a package that a patient was given.
type Package struct {
	ID       record.ObjectID
	Patient  record.PatientToken
	Created  time.Time // kept to the second
	Manifest [32]byte  // SHA-256 of the manifest, which names every file
}

// Package signs a package.
func (s *Signer) Package(p Package) ([]byte, error) {
	text := fmt.Sprintf("%s\n%s\n%s\n%s\n%s\n%x\n", packageTitle, s.name, p.ID, p.Patient, p.Created.UTC().Format(time.RFC3339), p.Manifest)
	signed, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return nil, fmt.Errorf("sign package %s: %w", p.ID, err)
	}
	return signed, nil
}

// OpenPackage checks the signature and form of a package's signature.
func OpenPackage(signed []byte, v note.Verifier) (Package, error) {
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return Package{}, fmt.Errorf("package: %w", err)
	}
	p, err := parsePackage(n.Text, v.Name())
	if err != nil {
		return Package{}, fmt.Errorf("package: %w", err)
	}
	return p, nil
}

func parsePackage(text, name string) (p Package, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 6 || lines[0] != packageTitle || lines[1] != name {
		return p, errors.New("not a package of this log")
	}
	if p.ID, err = record.ParseObjectID(lines[2]); err != nil {
		return p, err
	}
	if p.Patient, err = record.ParsePatientToken(lines[3]); err != nil {
		return p, err
	}
	if p.Created, err = time.Parse(time.RFC3339, lines[4]); err != nil {
		return p, errors.New("the time is none")
	}
	if !isSHA256(lines[5]) {
		return p, errors.New("the sum of the manifest is none")
	}
	hex.Decode(p.Manifest[:], []byte(lines[5])) // 64 hex digits, seen above
	return p, nil
}
