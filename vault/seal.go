package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// sealed is a document in its sealed form, not yet in any region.
type sealed struct {
	header   envelope.Header
	id       record.ObjectID
	class    string // objects or records
	spool    *spool
	intent   *intent // from the first region written to until the record is committed
	scrubbed imaging.Scrubbed
	original original
	whoAt    int64 // where who begins
	footerAt int64
	keys     patientKeys
	came     *tap // what it must give back; nil for a record
}

func (s *sealed) key() string { return s.id.Key(s.class) }

// close gives everything back. An intent that was not settled stays for the next start.
func (s *sealed) close() error { return errors.Join(s.intent.leave(), s.spool.Close()) }

// original is what is known of the raw input of an upload.
type original struct {
	size int64
	sum  [32]byte
}

// who is the identity that belongs to a document and is shown to those who may see
// it; it is sealed under the identity key.
type who struct {
	Attributes     json.RawMessage `json:"attributes,omitempty"` // DICOM JSON
	Study          string          `json:"study,omitempty"`
	Series         string          `json:"series,omitempty"`
	Instance       string          `json:"instance,omitempty"`
	TransferSyntax string          `json:"transferSyntax,omitempty"`
	PatientID      string          `json:"patientId"`
	Issuer         string          `json:"issuer,omitempty"`
	Title          string          `json:"title,omitempty"`
	MediaType      string          `json:"mediaType,omitempty"`   // of the original, where the kind does not say it
	PatientName    string          `json:"patientName,omitempty"` // of what does not say it itself, as its sender stated it
	BirthDate      string          `json:"birthDate,omitempty"`   // of a PDF, as its sender stated it
	Size           int64           `json:"size"`                  // of the original
	SHA256         string          `json:"sha256"`                // hex, of the original
	Stored         label           `json:"stored,omitzero"`

	Moved *imaging.Correction `json:"moved,omitempty"` // whose it is, where the document says it is another's
}

// facts are what is sealed about the content, under the content key.
type facts struct {
	imaging.Facts
	Report  imaging.Report  `json:"report"`
	Release *decision       `json:"release,omitempty"` // what a person decided who looked at it
	Review  record.ObjectID `json:"review,omitempty"`  // record of a decision about what this supersedes, which holds on
	Known   string          `json:"known,omitempty"`   // catalog.Report.Known
	Parent  record.ObjectID `json:"parent,omitempty"`  // the document it was found in

	Supersedes record.ObjectID `json:"supersedes,omitempty"`
}

// label is what a catalog knows of an object beside its content, sealed with it so that
// a lost catalog can be made anew (see rebuild.go). What was sealed before there were
// labels has none.
type label struct {
	Type     string    `json:"type,omitempty"`     // of a record
	Category string    `json:"category,omitempty"` // of a document
	By       string    `json:"by,omitempty"`       // who stored a document
	At       time.Time `json:"at,omitzero"`
	Country  string    `json:"country,omitempty"` // the patient's home
	Aliased  bool      `json:"aliased,omitempty"` // a document whose Patient ID is another's than the patient's, who is known under both
}

// seal takes the identity out of a document and seals both halves in one pass.
// Nothing but ciphertext reaches the spool.
func (v *Vault) seal(ctx context.Context, in *incoming, k patientKeys) (*sealed, error) {
	s := &sealed{id: record.NewObjectID(), class: "objects", spool: v.spools.open(), keys: k, came: in.tap}
	if err := v.sealInto(ctx, s, in); err != nil {
		return nil, errors.Join(err, s.spool.Close())
	}
	return s, nil
}

func (v *Vault) sealInto(ctx context.Context, s *sealed, in *incoming) error {
	identity, k := v.spools.open(), s.keys
	defer identity.Close()
	raw, err := s.id.Bytes()
	if err != nil {
		return err
	}
	pseudonyms, err := v.pseudonyms(in.patient, k)
	if err != nil {
		return err
	}
	sealer, err := envelope.NewSealer(s.spool, envelope.Header{
		Object: raw, Patient: string(k.Token), Generation: k.Generation, Kind: uint8(in.kind),
	}, envelope.Keys{Content: k.Content, Identity: k.Identity})
	if err != nil {
		return err
	}
	s.header = sealer.Header()
	content, err := sealer.Part(envelope.Content)
	if err != nil {
		return err
	}
	script, err := sealer.Detached(envelope.Identity, identity)
	if err != nil {
		return err
	}
	known := facts{Release: in.decision, Supersedes: in.supersedes, Parent: in.parent}
	if s.scrubbed, known.Known, err = in.scrub(ctx, pseudonyms, content, script); err != nil {
		return err
	}
	if s.scrubbed.Held == "" {
		s.scrubbed.Held = in.withhold
	}
	if err := errors.Join(content.Close(), script.Close()); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if err := sealer.Attach(envelope.Identity, identity.reader()); err != nil {
		return fmt.Errorf("seal identity: %w", err)
	}
	size, sum := in.tap.original()
	s.original = original{size, sum}
	v.refuseAttachments(in, &s.scrubbed)
	known.Facts, known.Report = s.scrubbed.Facts, s.scrubbed.Report
	known.Held = s.scrubbed.Held
	if in.decision == nil || known.Held != "" {
		known.Review = in.review
	}
	if s.scrubbed.Manifest != nil {
		if err := sealJSON(sealer, envelope.Manifest, s.scrubbed.Manifest); err != nil {
			return err
		}
	}
	s.whoAt = s.spool.size
	// who and facts stand last, next to the footer: together they are the tail that
	// the catalog keeps.
	if err := sealJSON(sealer, envelope.Who, who{
		Attributes: s.scrubbed.Who, Study: in.identity.Study, Series: in.identity.Series, Instance: in.identity.Instance,
		TransferSyntax: in.identity.TransferSyntax, PatientID: in.identity.PatientID, Issuer: in.identity.Issuer, Title: in.title, BirthDate: in.birth, PatientName: in.patientName, MediaType: in.media,
		Size: size, SHA256: hex.EncodeToString(sum[:]),
		Stored: label{Category: in.category, By: in.by, At: v.cfg.Now().UTC(), Country: in.country, Aliased: in.aliased},
		Moved:  in.moved,
	}); err != nil {
		return err
	}
	if err := sealJSON(sealer, envelope.Facts, known); err != nil {
		return err
	}
	s.footerAt = s.spool.size
	if err := sealer.Close(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

// scrub takes the identity out, and tells what the view depends on: see catalog.Report.
func (in *incoming) scrub(ctx context.Context, p imaging.Pseudonyms, content, script io.Writer) (now imaging.Scrubbed, known string, err error) {
	if !in.waits() {
		if now, err = in.Scrub(p, in.decision.release(), in.tap.original, content, script); err != nil {
			return now, "", uploadError(err)
		}
		return now, "", nil
	}
	if in.known == nil || in.giveUp {
		if now, err = in.Scrub(p, in.decision.release(), in.tap.original, content, script); err != nil {
			return now, "", uploadError(err)
		}
		if in.giveUp {
			now.Held, known = redactionFailed, in.known.digest
			now.Report.Reasons = []string{redactionFailed}
			return now, known, nil
		}
		return now, catalog.KnownPending, nil
	}
	now, err = in.Incoming.(imaging.Redactable).Redact(ctx, in.known.Known, p, in.decision.release(), in.tap.original, content, script)
	if refused := new(imaging.Refusal); errors.As(err, &refused) {
		return now, "", uploadError(err)
	}
	if err != nil {
		return now, "", fmt.Errorf("%w: %w", errRedactor, err)
	}
	return now, in.known.digest, nil
}

// pseudonyms are what replaces the identity of one patient.
func (v *Vault) pseudonyms(p record.PatientToken, k patientKeys) (imaging.Pseudonyms, error) {
	shift, err := shiftDays(k)
	if err != nil {
		return imaging.Pseudonyms{}, err
	}
	return imaging.Pseudonyms{Patient: string(p), UID: v.tokens.UID, ID: v.tokens.ID, ShiftDays: shift}, nil
}

// maxShift bounds the date shift: five years.
const maxShift = 5 * 365

// shiftDays is how far a patient's dates are moved into the past. It is a child of
// the random identity key, so that it is random per patient and dies with the key.
func shiftDays(k patientKeys) (int, error) {
	b, err := hkdf.Key(sha512.New, k.Identity.Bytes(), nil, "medvault date shift", 8)
	if err != nil {
		return 0, fmt.Errorf("date shift: %w", err)
	}
	return -1 - int(binary.BigEndian.Uint64(b)%maxShift), nil
}

func sealJSON(s *envelope.Sealer, name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("seal %s: %w", name, err)
	}
	w, err := s.Part(name)
	if err != nil {
		return fmt.Errorf("seal %s: %w", name, err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("seal %s: %w", name, err)
	}
	return w.Close()
}

// proveRestorable opens the sealed spool and restores the original from it: every byte
// must be the one that came in, and the script must say size and SHA-256 of what came.
func (v *Vault) proveRestorable(ctx context.Context, s *sealed, k patientKeys) error {
	body := s.spool.body()
	footer, err := envelope.ReadFooter(ctx, spooled{body}.fetch, body.Size)
	if err != nil {
		return fmt.Errorf("restore check: %w", err)
	}
	object := &object{footer: footer, header: s.header, log: v.cfg.Log,
		keys: envelope.Keys{Content: k.Content, Identity: k.Identity},
		from: func() source { return spooled{body} }}
	restored := s.came.proof.second()
	err = replay(ctx, object, func(content, script io.Reader) error {
		size, sum, err := imaging.Replay(restored, content, script)
		if err != nil {
			return err
		}
		if wantSize, want := s.came.original(); size != wantSize || sum != want {
			return errDiffers
		}
		return restored.end()
	})
	if err != nil {
		return fmt.Errorf("restore check: %w", err)
	}
	return nil
}

// sealRecord seals a record about a patient: a small JSON object under the content key,
// with its label under "stored", and what of it tells who somebody is, if anything, under
// the identity key.
func (v *Vault) sealRecord(k patientKeys, id record.ObjectID, stored label, value, identity any) (*sealed, error) {
	s := &sealed{id: id, class: "records", spool: v.spools.open(), keys: k}
	all, err := labelled(stored, value)
	if err == nil {
		err = sealRecordInto(s, all, identity)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("seal record: %w", err), s.spool.Close())
	}
	return s, nil
}

func labelled(stored label, value any) (map[string]json.RawMessage, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	all := make(map[string]json.RawMessage)
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	all["stored"], err = json.Marshal(stored)
	return all, err
}

func sealRecordInto(s *sealed, value, identity any) error {
	raw, err := s.id.Bytes()
	if err != nil {
		return err
	}
	sealer, err := envelope.NewSealer(s.spool, envelope.Header{
		Object: raw, Patient: string(s.keys.Token), Generation: s.keys.Generation, Kind: uint8(record.KindRecord),
	}, envelope.Keys{Content: s.keys.Content, Identity: s.keys.Identity})
	if err != nil {
		return err
	}
	s.header = sealer.Header()
	if err := sealJSON(sealer, envelope.Content, value); err != nil {
		return err
	}
	if identity != nil {
		if err := sealJSON(sealer, envelope.Who, identity); err != nil {
			return err
		}
	}
	return sealer.Close()
}

// row is the catalog's row for something sealed.
func (v *Vault) row(s *sealed, kind record.Kind, keep []byte) catalog.Object {
	body := s.spool.body()
	return catalog.Object{
		ID: s.id, Class: s.class, Patient: s.keys.Token, Generation: s.keys.Generation, Seal: hex.EncodeToString(s.header.Seal[:]),
		Kind: kind, Size: body.Size, SHA256: body.SHA256, Footer: keep, Created: v.cfg.Now(),
	}
}
