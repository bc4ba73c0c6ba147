package vault

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	"medvault/imaging"
	"medvault/keys/token"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// ExportRequest says what is exported de-identified, and to whom. The purpose is the
// actor's.
type ExportRequest struct {
	Study     string              // mapped Study Instance UID, as the de-identified view shows it
	Patient   record.PatientToken // instead of Study: all that is stored of a patient
	Recipient string              // institution; the same name always gets the same pseudonyms
}

// Export is what a recipient is given: instances under names of its own, in an order
// of its own. What two recipients or purposes are given cannot be joined by UIDs,
// tokens or dates.
type Export struct {
	Recipient string
	Purpose   record.Purpose
	Instances []*ExportInstance
	Withheld  int // that belong to it and cannot be given now
}

// ExportInstance is one instance in the recipient's names.
type ExportInstance struct {
	Study, Series, Instance  string
	SOPClass, TransferSyntax string

	handle     *Handle
	pseudonyms imaging.Pseudonyms
}

// ExportEntry is the line of a manifest about one instance.
type ExportEntry struct {
	Study    string `json:"study"`
	Series   string `json:"series"`
	Instance string `json:"instance"`
	Size     int64  `json:"size"`
	SHA256   string `json:"sha256"` // hex
}

// ExportManifest lists what was given, in the recipient's names alone.
type ExportManifest struct {
	Recipient string         `json:"recipient"`
	Purpose   record.Purpose `json:"purpose"`
	Instances []ExportEntry  `json:"instances"`
	Withheld  int            `json:"withheld"` // instances and reports that cannot be given now
}

// Export finds what is asked for, decides about every patient and document in it, and
// writes its leaves: one of the export with the recipient for each patient, and those
// of the reads. They are committed when it returns, before the first byte. Nothing
// there, or nothing the actor may know of: ErrNotFound.
func (v *Vault) Export(ctx context.Context, a record.Actor, req ExportRequest) (*Export, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	found, err := v.lookup(ctx, a, Ref{Study: req.Study, Patient: req.Patient})
	if err != nil {
		return nil, err
	}
	if len(found.docs) == 0 {
		return nil, v.refused(ctx, found)
	}
	names, err := v.tokens.Recipient(req.Recipient, string(a.Purpose))
	if err != nil {
		return nil, err
	}
	for _, patient := range slices.Sorted(maps.Keys(found.patients)) {
		if err := v.permitExport(ctx, a, patient, req.Recipient); err != nil {
			return nil, err
		}
	}
	if found.view != record.ViewDeidentified {
		return nil, unavailable("decision", errChanged) // the policies let nobody export an original
	}
	if err := v.writeReadLeaves(ctx, a, found); err != nil {
		return nil, err
	}
	e := &Export{Recipient: req.Recipient, Purpose: a.Purpose, Withheld: found.withheld}
	for _, d := range found.docs {
		if d.Kind != record.KindDICOM { // its names are part of its picture or text, and cannot be the recipient's
			e.Withheld++
			continue
		}
		i, err := v.exportInstance(ctx, d, found, names, req.Recipient, a.Purpose)
		if err != nil {
			return nil, err
		}
		e.Instances = append(e.Instances, i)
	}
	// In the recipient's own order: the vault's would be the same for everyone.
	slices.SortFunc(e.Instances, func(a, b *ExportInstance) int {
		return cmp.Or(cmp.Compare(a.Study, b.Study), cmp.Compare(a.Series, b.Series), cmp.Compare(a.Instance, b.Instance))
	})
	return e, nil
}

func (r ExportRequest) check() error {
	if (r.Study == "") == (r.Patient == "") {
		return record.Refuse(record.ErrInvalid, "bad-export", "name a study or a patient, and not both")
	}
	if !institution(r.Recipient) {
		return record.Refuse(record.ErrInvalid, "bad-recipient", "name the recipient, an institution: at most 64 characters, no control characters, no spaces around it")
	}
	return nil
}

// permitExport decides about one patient and writes the leaf with the recipient.
func (v *Vault) permitExport(ctx context.Context, a record.Actor, p record.PatientToken, recipient string) error {
	export := act{Actor: a, Action: record.ActionExport, Patient: p, Recipient: recipient}
	return v.permitView(ctx, export, record.ViewDeidentified, nil, &record.Refusal{Kind: record.ErrDenied, Code: "originals-by-package",
		Advice: "patients and guardians are given the originals: ask for a package"})
}

func (v *Vault) exportInstance(ctx context.Context, d catalog.Document, found lookedUp, names *token.Recipient, recipient string, purpose record.Purpose) (*ExportInstance, error) {
	h, err := v.handle(ctx, d, found)
	if err != nil {
		return nil, err
	}
	k, err := v.openKeys(ctx, sealedFor(found.patients[d.Patient], d.Object))
	if err != nil {
		return nil, err
	}
	shift, err := exportShift(k, recipient, purpose)
	if err != nil {
		return nil, err
	}
	return &ExportInstance{
		Study: names.UID(h.Study), Series: names.UID(h.Series), Instance: names.UID(h.Instance),
		SOPClass: h.SOPClass, TransferSyntax: h.TransferSyntax, handle: h,
		pseudonyms: imaging.Pseudonyms{Patient: names.Patient(string(d.Patient)), UID: names.UID, ID: names.ID, ShiftDays: shift},
	}, nil
}

// exportShift is how much further a patient's dates are moved for a recipient: a child
// of the patient's identity key, so that it dies with it.
func exportShift(k patientKeys, recipient string, purpose record.Purpose) (int, error) {
	info := fmt.Sprintf("medvault export shift|%d|%s|%s", len(purpose), purpose, recipient)
	b, err := hkdf.Key(sha512.New, k.Identity.Bytes(), nil, info, 8)
	if err != nil {
		return 0, fmt.Errorf("export: date shift: %w", err)
	}
	return -1 - int(binary.BigEndian.Uint64(b)%maxShift), nil
}

// Write streams the instance and returns its line of the manifest. After an error w
// may hold a part, which must not be taken for the whole.
func (i *ExportInstance) Write(ctx context.Context, w io.Writer) (ExportEntry, error) {
	content, err := i.handle.Reader(ctx)
	if err != nil {
		return ExportEntry{}, err
	}
	defer content.Close()
	out := &counting{w: w, sum: sha256.New()}
	if err := i.handle.scrubber.Recast(out, content, i.pseudonyms); err != nil {
		return ExportEntry{}, fmt.Errorf("export %s: %w", i.handle.ID, err)
	}
	return ExportEntry{Study: i.Study, Series: i.Series, Instance: i.Instance,
		Size: out.n, SHA256: hex.EncodeToString(out.sum.Sum(nil))}, nil
}

// counting counts and hashes what is written.
type counting struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}
