package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"medvault/keys/envelope"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Attestation proves how identity was taken out of one document: its leaf, and that
// the leaf is in the log. It verifies without the vault. It holds no patient data.
type Attestation struct {
	Object       record.ObjectID `json:"object"`
	Leaf         string          `json:"leaf"`       // the commit leaf as it lies in the log
	Number       int64           `json:"number"`     // of the leaf
	Inclusion    []string        `json:"inclusion"`  // hashes in base64, as in RFC 6962 2.1.1
	Checkpoint   string          `json:"checkpoint"` // signed head of the log
	LogKey       string          `json:"logKey"`     // verifier key as the vault tells it: compare it with one from elsewhere
	Original     *Opening        `json:"original,omitempty"`
	SupersededBy record.ObjectID `json:"supersededBy,omitempty"` // what stands in the document's place now
}

// Opening opens the commitment to the original. Those who may not see the original do
// not get it, and nobody once the patient's identity key is destroyed.
type Opening struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Salt   string `json:"salt"` // hex
}

// Attested is what a verified Attestation says.
type Attested struct {
	Leaf     audit.Leaf
	Leaves   int64          // of the log that the checkpoint covers
	Original *audit.Opening // nil when it was not opened
}

// Attest proves an object's commit, under a checkpoint signed just now. Roles whose
// view is the original also get what opens the commitment to it.
func (v *Vault) Attest(ctx context.Context, a record.Actor, id record.ObjectID) (Attestation, error) {
	row, err := v.attestable(ctx, id)
	if errors.Is(err, record.ErrNotFound) {
		return Attestation{}, v.absent(ctx, a, record.ActionAttest)
	}
	if err != nil {
		return Attestation{}, err
	}
	d, err := v.perform(ctx, act{Actor: a, Action: record.ActionAttest, Patient: row.Patient, Object: id, Kind: row.Kind}, nil)
	if err != nil {
		return Attestation{}, err
	}
	if err := v.log.Flush(ctx); err != nil {
		return Attestation{}, unavailable("log", err)
	}
	n, err := v.cfg.Catalog.CommitLeaf(ctx, id)
	if errors.Is(err, catalog.ErrNotFound) {
		return Attestation{}, record.Refuse(record.ErrNotFound, "not-in-log", "the log has no leaf that commits this document")
	}
	if err != nil {
		return Attestation{}, err
	}
	proof, err := audit.ProveInclusion(ctx, v.cfg.Catalog, v.logKey, n)
	if err != nil {
		return Attestation{}, fmt.Errorf("%w: attest %s: %w", record.ErrTampered, id, err)
	}
	at := Attestation{Object: id, Leaf: string(proof.Leaf), Number: n, Inclusion: []string{}, Checkpoint: string(proof.Checkpoint),
		LogKey: v.logVKey, SupersededBy: row.SupersededBy}
	for _, h := range proof.Path {
		at.Inclusion = append(at.Inclusion, h.String())
	}
	if d.View == record.ViewOriginal {
		at.Original, err = v.openOriginal(ctx, row, proof.Leaf)
	}
	return at, err
}

// attestable finds the row of a document, also of one that was superseded.
func (v *Vault) attestable(ctx context.Context, id record.ObjectID) (row catalog.Object, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err = tx.Object(ctx, id)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) || err == nil && row.Class != catalog.ClassObjects {
		return row, record.ErrNotFound
	}
	return row, err
}

// openOriginal finds what opens a leaf's commitment, nil where nothing does any more:
// the leaf is older than attestations, or the generation of keys it was made under has
// passed.
func (v *Vault) openOriginal(ctx context.Context, row catalog.Object, data []byte) (*Opening, error) {
	leaf, err := audit.ParseLeaf(data)
	if err != nil {
		return nil, fmt.Errorf("%w: attest %s: %w", record.ErrTampered, row.ID, err)
	}
	if leaf.Commit == nil || leaf.Commit.Attest == nil {
		return nil, nil
	}
	current := row
	var patient catalog.Patient
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if row.SupersededBy != "" {
			if current, err = tx.Object(ctx, row.SupersededBy); err != nil {
				return err
			}
		}
		patient, err = tx.Patient(ctx, row.Patient)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attest %s: %w", row.ID, err)
	}
	if leaf.Commit.Generation != patient.Generation || current.Generation != patient.Generation {
		return nil, nil
	}
	k, err := v.openKeys(ctx, patient)
	if err != nil {
		return nil, err
	}
	salt, err := attestSalt(k, row.ID)
	if err != nil {
		return nil, err
	}
	o, err := v.open(ctx, current, k, record.ViewOriginal)
	if err != nil {
		return nil, err
	}
	var w who
	if err := readPart(ctx, o, envelope.Who, &w); err != nil {
		return nil, fmt.Errorf("attest %s: %w", row.ID, err)
	}
	opening := audit.Opening{Size: w.Size, Salt: salt}
	if opening.SHA256, err = parseSHA256(w.SHA256); err != nil {
		return nil, fmt.Errorf("%w: attest %s: %w", record.ErrTampered, row.ID, err)
	}
	switch {
	case opening.Commitment() == leaf.Commit.Attest.Original:
		return &Opening{Size: w.Size, SHA256: w.SHA256, Salt: hex.EncodeToString(salt[:])}, nil
	case row.SupersededBy != "": // by another original
		return nil, nil
	}
	return nil, fmt.Errorf("%w: attest %s: the log names another original", record.ErrTampered, row.ID)
}

// Verify checks everything an attestation says against a verifier key of the log
// (NAME+HASH+KEY) that its reader trusts.
func (at Attestation) Verify(logKey string) (Attested, error) {
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return Attested{}, fmt.Errorf("attestation: the key of the log: %w", err)
	}
	proof := audit.Proof{Number: at.Number, Leaf: []byte(at.Leaf), Checkpoint: []byte(at.Checkpoint)}
	for _, text := range at.Inclusion {
		h, err := tlog.ParseHash(text)
		if err != nil {
			return Attested{}, errors.New("attestation: the inclusion proof is not of hashes")
		}
		proof.Path = append(proof.Path, h)
	}
	if err := proof.Check(verifier); err != nil {
		return Attested{}, fmt.Errorf("attestation: %w", err)
	}
	tree, err := audit.OpenCheckpoint(proof.Checkpoint, verifier)
	if err != nil {
		return Attested{}, fmt.Errorf("attestation: %w", err)
	}
	leaf, err := audit.ParseLeaf(proof.Leaf)
	if err != nil {
		return Attested{}, fmt.Errorf("attestation: %w", err)
	}
	if leaf.Commit == nil || leaf.Object != at.Object {
		return Attested{}, errors.New("attestation: the leaf commits another object")
	}
	said := Attested{Leaf: leaf, Leaves: tree.N}
	if at.Original == nil {
		return said, nil
	}
	opening, err := at.Original.parse()
	if err != nil {
		return Attested{}, fmt.Errorf("attestation: %w", err)
	}
	if leaf.Commit.Attest == nil || opening.Commitment() != leaf.Commit.Attest.Original {
		return Attested{}, errors.New("attestation: the log commits to another original")
	}
	said.Original = &opening
	return said, nil
}

func (o Opening) parse() (opening audit.Opening, err error) {
	opening.Size = o.Size
	if opening.SHA256, err = parseSHA256(o.SHA256); err != nil {
		return opening, err
	}
	if opening.Salt, err = parseSHA256(o.Salt); err != nil {
		return opening, errors.New("a salt that is none")
	}
	return opening, nil
}

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
		Original: audit.Opening{Size: s.original.size, SHA256: s.original.sum, Salt: salt}.Commitment(),
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
