package portable

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math/big"

	"medvault/api/fhir"
	"medvault/vault"
	"medvault/vault/record"
)

// Make makes the files of a package that are not documents, one after the other, each
// into the writer that open gives for it; the manifest and its signature come last. What
// one of the writers fails with ends it.
func Make(ctx context.Context, p *vault.Package, language string, open func(path, mediaType string) (io.Writer, error)) (Manifest, error) {
	l := &layout{}
	if err := l.read(ctx, p); err != nil {
		return Manifest{}, err
	}
	m := Manifest{Package: p.ID, Patient: p.Patient, Created: p.Created, By: p.By, Role: p.Role, LogKey: p.LogKey, Withheld: p.Withheld, Files: []File{}}
	for _, f := range l.made(ctx, p, language) {
		w, err := open(f.path, f.mediaType)
		if err != nil {
			return m, err
		}
		out := &counting{w: w, sum: sha256.New()}
		if err := f.write(out); err != nil {
			return m, fmt.Errorf("%s: %w", f.path, err)
		}
		m.Files = append(m.Files, File{Path: f.path, Type: f.mediaType, Size: out.n, SHA256: hex.EncodeToString(out.sum.Sum(nil))})
	}
	m.Files = append(m.Files, l.files()...)
	return m, finish(p, m, open)
}

// read brings the documents into the tree.
func (l *layout) read(ctx context.Context, p *vault.Package) error {
	return p.Documents(ctx, func(d vault.PackagedDocument) error {
		var more []element
		if kind := recordType(d.SOPClass); d.Kind == record.KindDICOM && kind != "IMAGE" && kind != "PRIVATE" {
			// What its record needs is not all among what the catalog keeps.
			data, err := p.Metadata(ctx, d.Object)
			if err != nil {
				return err
			}
			var attrs attributes
			if err := json.Unmarshal(data, &attrs); err != nil {
				return fmt.Errorf("metadata of %s: %w", d.Object, err)
			}
			more = required(kind, attrs)
		}
		l.take(d, more)
		return nil
	})
}

type made struct {
	path, mediaType string
	write           func(io.Writer) error
}

func (l *layout) made(ctx context.Context, p *vault.Package, language string) []made {
	list := []made{
		{"README.TXT", "text/plain", func(w io.Writer) error { return l.readme(w, p) }},
		{"INDEX.HTM", "text/html", func(w io.Writer) error { return l.index(w, p) }},
		{"FHIR/BUNDLE.JSON", "application/fhir+json", func(w io.Writer) error { return l.bundle(w, p) }},
		{"FHIR/AUDIT.NDJSON", "application/fhir+ndjson", func(w io.Writer) error { return audit(ctx, w, p, language) }},
		{"IHE_PDI/ACCESS.HTM", "text/html", func(w io.Writer) error { return accessPage(ctx, w, p, language) }},
	}
	if len(l.studies) > 0 {
		list = append(list, made{DirectoryName, "application/dicom", func(w io.Writer) error { return l.writeDirectory(w, uidOf(p.ID)) }})
	}
	return list
}

// uidOf is a UID for an id of 128 bits (PS3.5 B.2).
func uidOf(id record.ObjectID) string {
	n, _ := new(big.Int).SetString(string(id), 16) // an object id is hex
	return "2.25." + n.String()
}

// audit writes the access log as AuditEvents, one a line.
func audit(ctx context.Context, w io.Writer, p *vault.Package, language string) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	return p.AccessLog(ctx, language, func(page vault.AccessLog) error {
		for _, line := range page.Lines {
			if err := lines.Encode(fhir.AuditEventResource(page, line)); err != nil {
				return err
			}
		}
		return nil
	})
}

// finish writes the manifest and what signs it.
func finish(p *vault.Package, m Manifest, open func(path, mediaType string) (io.Writer, error)) error {
	w, err := open(ManifestName, "application/json")
	if err != nil {
		return err
	}
	sum := sha256.New()
	lines := json.NewEncoder(io.MultiWriter(w, sum))
	lines.SetEscapeHTML(false)
	lines.SetIndent("", " ")
	if err := lines.Encode(m); err != nil {
		return fmt.Errorf("%s: %w", ManifestName, err)
	}
	signed, err := p.Sign([32]byte(sum.Sum(nil)))
	if err != nil {
		return err
	}
	if w, err = open(SignatureName, "text/plain"); err != nil {
		return err
	}
	_, err = w.Write(signed)
	return err
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
