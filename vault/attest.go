package vault

import (
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"medvault/vault/audit"
	"medvault/vault/record"
)

// attest says how the identity was taken out of a document that was placed in
// regions: codes, counts and digests, nothing of its patient.
func (v *Vault) attest(s *sealed, placed []string) (*audit.Attest, error) {
	salt, err := attestSalt(s.keys, s.id)
	if err != nil {
		return nil, err
	}
	view, err := parseSHA256(s.scrubbed.Facts.SHA256)
	if err != nil {
		return nil, fmt.Errorf("attest %s: %w", s.id, err)
	}
	report := s.scrubbed.Report
	return &audit.Attest{
		Original: audit.CommitOriginal(salt, s.original.size, s.original.sum),
		Size:     s.scrubbed.Facts.Size, SHA256: view,
		Edition: report.Rules.Edition, Profile: report.Rules.Profile, Options: report.Rules.Options, Rules: report.Rules.Digest,
		Actions: report.Actions, Residual: report.Residual, Pixels: report.Pixels, Held: s.scrubbed.Held,
		Keys: v.keyVersions(s.keys, placed),
	}, nil
}

// attestSalt hides the original behind the commitment of its leaf. It is a child of
// the patient's identity key, so that it dies with it, and so does the last way to
// recognise a copy of the original by the log.
func attestSalt(k patientKeys, id record.ObjectID) ([32]byte, error) {
	b, err := hkdf.Key(sha512.New, k.Identity.Bytes(), nil, "medvault attest|"+string(id), 32)
	if err != nil {
		return [32]byte{}, fmt.Errorf("attest %s: %w", id, err)
	}
	return [32]byte(b), nil
}

func parseSHA256(s string) (sum [32]byte, err error) {
	if n, err := hex.Decode(sum[:], []byte(s)); err != nil || n != len(sum) || len(s) != 2*len(sum) {
		return sum, errors.New("a SHA-256 that is none")
	}
	return sum, nil
}

// keyVersions names what the patient's keys are wrapped under where the document
// lies, each service once.
func (v *Vault) keyVersions(k patientKeys, placed []string) (versions []audit.KeyVersion) {
	for _, region := range placed {
		for _, row := range v.held.wraps(k, region) {
			kv := audit.KeyVersion{Service: row.Service, Kind: string(row.Kind), Shard: row.Shard, Version: row.Version}
			if !slices.Contains(versions, kv) {
				versions = append(versions, kv)
			}
		}
	}
	return versions
}
