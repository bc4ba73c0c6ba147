package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"medvault/keys/envelope"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// PackageRequest says of whom everything that is held is asked for: by token, or by
// issuer and Patient ID.
type PackageRequest struct {
	Patient           record.PatientToken
	Issuer, PatientID string // instead of Patient; Issuer "": that of the actor's institution
	Ground                   // of somebody of the house
}

// Package is everything held of one patient, in the original, for the patient. What is in
// it is decided and in the log; its documents are opened one after the other.
type Package struct {
	ID      record.ObjectID // of this package; random
	Patient record.PatientToken
	Created time.Time
	By      string      // subject of whoever asked
	Role    record.Role // in which they did
	LogKey  string      // public key of the log, NAME+HASH+KEY, which also signs the package

	Consents  []Consent
	Guardians []Guardian
	Withheld  int // documents that may be known of and cannot be given

	vault     *Vault
	giving    giving
	documents []record.ObjectID // that may be given
}

// PackagedDocument is a document of a Package.
type PackagedDocument struct {
	Object                   record.ObjectID
	Kind                     record.Kind
	Category, Title          string
	MediaType                string
	Study, Series, Instance  string // original UIDs
	Mapped                   string // Study Instance UID of the de-identified view
	SOPClass, TransferSyntax string
	Size                     int64  // of the original
	SHA256                   string // hex, of the original
	Stored                   time.Time
	PatientID, Issuer        string
	BirthDate                string                     // of a PDF, as its sender stated it
	Attributes               map[string]json.RawMessage // DICOM JSON by tag, of a DICOM instance
}

// Package decides whether everything held of a patient may be given to whoever asks, and
// writes its leaves: one of the export, and one a document as if each were read, all
// committed when it returns. A patient nothing is held of, or whom the actor may not know
// of: ErrNotFound. Acts of the guard: document.export and document.read, in the original;
// on the ground of a case document.provide.
func (v *Vault) Package(ctx context.Context, a record.Actor, req PackageRequest) (*Package, error) {
	patient, err := v.packaged(a, req)
	if err != nil {
		return nil, err
	}
	p := &Package{ID: record.NewObjectID(), Patient: patient, By: a.ID, Role: a.Role, LogKey: v.logVKey, vault: v}
	if p.giving, err = v.on(ctx, a, req.Ground, patient, ""); err != nil {
		return nil, err
	}
	// The export first: whoever may not have it is told why, not only of one document.
	err = v.permit(ctx, p.giving, p.ID, func(tx *catalog.Tx) error { return p.readStatements(ctx, tx) })
	if err != nil {
		return nil, err
	}
	p.documents, p.Withheld, err = v.give(ctx, p.giving, nil)
	p.Created = v.cfg.Now().UTC().Truncate(time.Millisecond)
	return p, err
}

// givePage is how many documents of a patient are held in memory at once.
const givePage = 200

// give decides about every document of a patient that keep wants (nil: all of them), page
// by page, writes the leaves of those that may be read in the original, and names them.
func (v *Vault) give(ctx context.Context, g giving, keep func(PackagedDocument) bool) (given []record.ObjectID, withheld int, err error) {
	var all []record.ObjectID
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		all, err = tx.DocumentsOf(ctx, g.patient)
		return err
	})
	if err != nil {
		return nil, 0, unavailable("catalog", err)
	}
	for page := range slices.Chunk(all, givePage) {
		found, err := v.sifted(ctx, g, page)
		if err != nil {
			return nil, 0, err
		}
		if keep != nil {
			kept := found.docs[:0]
			for _, d := range found.docs {
				told, err := v.packagedDocument(ctx, d, found)
				if err != nil {
					return nil, 0, err
				}
				if keep(told) {
					kept = append(kept, d)
				}
			}
			found.docs = kept
		}
		if err := v.writeGiven(ctx, g, found); err != nil {
			return nil, 0, err
		}
		withheld += found.withheld
		for _, d := range found.docs {
			given = append(given, d.ID)
		}
	}
	return given, withheld, nil
}

// sifted decides about documents by their ids. What was superseded meanwhile is its
// successor; what was erased is not there.
func (v *Vault) sifted(ctx context.Context, g giving, ids []record.ObjectID) (found lookedUp, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found = lookedUp{patients: make(map[record.PatientToken]catalog.Patient), corrected: make(map[record.PatientToken][]correctionRow), asked: v.cfg.Now(), by: g.actor}
		for _, id := range ids {
			docs, err := v.documents(ctx, tx, catalog.Scope{Document: id})
			if err != nil {
				return err
			}
			for _, d := range docs {
				if err := v.siftGiven(ctx, tx, g, d, &found); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return found, unavailable("catalog", err)
	}
	return found, nil
}

// packaged finds whom a request is about.
func (v *Vault) packaged(a record.Actor, req PackageRequest) (record.PatientToken, error) {
	if (req.Patient == "") == (req.PatientID == "") {
		return "", record.Refuse(record.ErrInvalid, "bad-export", "name one patient, by token or by issuer and Patient ID")
	}
	if v.cfg.ContentOnly {
		return "", record.Refuse(record.ErrDenied, reasonContentOnly, ownAdvice(reasonContentOnly))
	}
	if req.Patient != "" {
		return req.Patient, nil
	}
	issuer := req.Issuer
	if issuer == "" {
		issuer = a.Issuer
	}
	return record.PatientToken(v.tokens.Patient(issuer, req.PatientID)), nil
}

// permitOriginals decides about giving a patient's originals away and writes its leaf. A
// permission for another view is none for this.
func (v *Vault) permitOriginals(ctx context.Context, export act, do func(tx *catalog.Tx) error) error {
	return v.permitView(ctx, export, record.ViewOriginal, do, &record.Refusal{Kind: record.ErrDenied, Code: "originals-not-permitted",
		Advice: "this role is given de-identified copies alone: name a recipient"})
}

// permitView decides an act that sees one view, does it, and turns it down with the
// refusal otherwise where it is permitted in another.
func (v *Vault) permitView(ctx context.Context, a act, view record.View, do func(tx *catalog.Tx) error, otherwise *record.Refusal) error {
	_, err := v.perform(ctx, a, func(tx *catalog.Tx, d access.Decision, _ *audit.Leaf) error {
		if d.View != view {
			return otherwise
		}
		if do == nil {
			return nil
		}
		return do(tx)
	})
	return err
}

// readStatements reads what stands on record of the patient beside documents.
func (p *Package) readStatements(ctx context.Context, tx *catalog.Tx) error {
	said, err := tx.Consents(ctx, p.Patient)
	if err != nil {
		return fmt.Errorf("consents: %w", err)
	}
	p.Consents, p.Guardians = nil, nil
	for _, s := range said {
		p.Consents = append(p.Consents, consentOf(s))
	}
	acting, err := tx.Guardians(ctx, p.Patient)
	if err != nil {
		return fmt.Errorf("guardians: %w", err)
	}
	for _, g := range acting {
		p.Guardians = append(p.Guardians, guardianOf(g))
	}
	return nil
}

// Documents calls each with one document after the other, by study and series. It reads no
// region: what it tells lies in the catalog, sealed.
func (p *Package) Documents(ctx context.Context, each func(PackagedDocument) error) error {
	for page := range slices.Chunk(p.documents, givePage) {
		found, err := p.vault.sifted(ctx, p.giving, page)
		if err != nil {
			return err
		}
		if len(found.docs) != len(page) {
			return unavailable("decision", errChanged) // what may be given has changed meanwhile
		}
		for _, d := range found.docs {
			told, err := p.vault.packagedDocument(ctx, d, found)
			if err != nil {
				return err
			}
			if err := each(told); err != nil {
				return err
			}
		}
	}
	return nil
}

// packagedDocument opens what the catalog keeps of a document. Attributes are told as they
// were corrected; size and hash are those of what came in.
func (v *Vault) packagedDocument(ctx context.Context, d catalog.Document, found lookedUp) (PackagedDocument, error) {
	k, err := v.openKeys(ctx, sealedFor(found.patients[d.Patient], d.Object))
	if err != nil {
		return PackagedDocument{}, err
	}
	o, err := v.open(ctx, d.Object, k, record.ViewOriginal)
	if err != nil {
		return PackagedDocument{}, err
	}
	var known facts
	var w who
	if err := errors.Join(readPart(ctx, o, envelope.Facts, &known), readPart(ctx, o, envelope.Who, &w)); err != nil {
		return PackagedDocument{}, fmt.Errorf("package %s: %w", d.ID, err)
	}
	told := PackagedDocument{Object: d.ID, Kind: d.Kind, Category: d.Category, Title: w.Title, Study: w.Study, Series: w.Series, Instance: w.Instance,
		SOPClass: known.SOPClass, TransferSyntax: known.TransferSyntax, Size: w.Size, SHA256: w.SHA256, Stored: w.Stored.At,
		PatientID: w.PatientID, Issuer: w.Issuer, BirthDate: w.BirthDate, Mapped: d.Study, MediaType: w.mediaType(d.Kind), Attributes: make(map[string]json.RawMessage)}
	if w.TransferSyntax != "" {
		told.TransferSyntax = w.TransferSyntax
	}
	if err := unmarshalInto(told.Attributes, known.Attributes); err != nil {
		return PackagedDocument{}, fmt.Errorf("package %s: %w", d.ID, err)
	}
	if err := unmarshalInto(told.Attributes, w.Attributes); err != nil {
		return PackagedDocument{}, fmt.Errorf("package %s: %w", d.ID, err)
	}
	corrections, err := v.openCorrections(ctx, found.corrected[d.Patient])
	if err != nil {
		return PackagedDocument{}, err
	}
	return told, corrections.correct(d.ID, told.Attributes)
}

// AccessLog calls each with one page after the other of what was done with the patient's
// documents until the package was made, the newest first, with its own leaves in it.
func (p *Package) AccessLog(ctx context.Context, language string, each func(AccessLog) error) error {
	q := AccessQuery{Language: language, Limit: maxAuditPage, To: p.Created.Add(time.Millisecond)}
	if err := p.vault.log.Flush(ctx); err != nil {
		return unavailable("log", err)
	}
	for {
		filter, err := AuditQuery{Patient: p.Patient, To: q.To, After: q.After, Limit: q.Limit}.filter()
		if err != nil {
			return err
		}
		filter.Without = p.vault.self().ID
		page, err := p.vault.accessLog(ctx, p.Patient, q, filter)
		if err != nil {
			return err
		}
		if err := each(page); err != nil || page.Next == "" {
			return err
		}
		q.After = page.Next
	}
}

// Sign signs the manifest of the package, by its SHA-256, with the key of the log.
func (p *Package) Sign(manifest [32]byte) ([]byte, error) {
	return p.vault.signer.Package(audit.Package{ID: p.ID, Patient: p.Patient, Created: p.Created, Manifest: manifest})
}

// PackageKey is the key under which whoever fetches a package keeps on disk what has come,
// until all of it has: a child of the patient's identity key, so that it is told again
// after an interruption to whoever may have the package then, and dies with the patient.
// Acts of the guard: document.export, or document.provide.
func (v *Vault) PackageKey(ctx context.Context, a record.Actor, p record.PatientToken, id record.ObjectID, ground Ground) ([]byte, error) {
	var patient catalog.Patient
	g, err := v.on(ctx, a, ground, p, "")
	if err != nil {
		return nil, err
	}
	err = v.permit(ctx, g, id, func(tx *catalog.Tx) (err error) {
		patient, err = tx.Patient(ctx, p)
		return notFound(err)
	})
	if err != nil {
		return nil, err
	}
	k, err := v.openKeys(ctx, patient)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha512.New, k.Identity.Bytes(), nil, "medvault package spool|"+a.ID+"|"+string(id), 32)
	if err != nil {
		return nil, fmt.Errorf("package %s: key: %w", id, err)
	}
	return key, nil
}

// OpenPackaged opens the original of a document of a patient's package, as it came in.
// Every request is decided anew, so that what has been withdrawn, frozen or erased since is
// not given.
func (v *Vault) OpenPackaged(ctx context.Context, a record.Actor, id record.ObjectID, ground Ground) (*Handle, error) {
	g, err := v.on(ctx, a, ground, "", "")
	if err != nil {
		return nil, err
	}
	return v.openGiven(ctx, g, Ref{Document: id, AsReceived: true})
}

func (v *Vault) openOriginalOf(ctx context.Context, a record.Actor, ref Ref) (*Handle, error) {
	opened, err := v.Open(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	if len(opened.Documents) != 1 {
		return nil, record.ErrNotFound
	}
	h := opened.Documents[0]
	if h.View != record.ViewOriginal {
		return nil, record.Refuse(record.ErrDenied, "originals-not-permitted", "this role sees the de-identified view alone")
	}
	return h, nil
}

func guardianOf(g catalog.Guardian) Guardian {
	return Guardian{ID: g.ID, Patient: g.Patient, Subject: g.Subject, Relation: g.Relation, Evidence: g.Evidence, From: g.From.UTC(),
		Until: g.Until, By: g.By, Recorded: g.Recorded.UTC(), Ended: g.Ended, EndedBy: g.EndedBy}
}

// Metadata is the DICOM JSON (PS3.18 F) of a document of the package, read from its
// original.
func (p *Package) Metadata(ctx context.Context, id record.ObjectID) (json.RawMessage, error) {
	h, err := p.vault.openGiven(ctx, p.giving, Ref{Document: id, AsReceived: true})
	if err != nil {
		return nil, err
	}
	return h.Metadata(ctx)
}

// OpenPackageSignature checks what signs a package against the key of the log and says
// what was signed. It needs nothing of the vault.
func OpenPackageSignature(signed []byte, logKey note.Verifier) (audit.Package, error) {
	return audit.OpenPackage(signed, logKey)
}
