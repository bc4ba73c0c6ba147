// Package portable makes the package that patients are given of everything that is held
// of them, to be opened anywhere and without the vault:
//
//	DICOMDIR                                 PS3.3 annex F: what lies in DICOM/
//	DICOM/PT000000/ST000000/SE000000/IM000000  the instances, byte for byte as they were sent
//	DOCUMENTS/DOC00000.PDF                   other documents, byte for byte
//	FHIR/BUNDLE.JSON                         R4: Patient, ImagingStudy, DocumentReference, Consent, RelatedPerson
//	FHIR/AUDIT.NDJSON                        R4 AuditEvent a line: who was at the documents, each with its proof
//	INDEX.HTM, IHE_PDI/ACCESS.HTM            the same for people
//	README.TXT                               what this is
//	MANIFEST.JSON                            every file above with size and SHA-256
//	SIGNATURE.TXT                            the manifest's SHA-256, signed with the key of the vault's log
//
// The layout is that of IHE Portable Data for Imaging (RAD TF-3, 4.47). Names below DICOM/
// are those that PS3.10 8.2 allows. What is held in memory of a package is some hundred
// bytes a document; everything else streams.
package portable

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"medvault/vault"
	"medvault/vault/record"
)

// Manifest lists every file of a package but itself and its signature.
type Manifest struct {
	Package  record.ObjectID     `json:"package"`
	Patient  record.PatientToken `json:"patient"`
	Created  time.Time           `json:"created"`
	By       string              `json:"by"`   // subject of whoever asked for it
	Role     record.Role         `json:"role"` // "patient", "guardian" or "dpo", who acts on a case
	LogKey   string              `json:"logKey"`
	Withheld int                 `json:"withheld"` // documents that exist and are not in it
	Files    []File              `json:"files"`    // in the order in which they stand in the package
}

// File is a line of a Manifest.
type File struct {
	Path   string          `json:"path"` // with slashes, relative to the root
	Type   string          `json:"type"` // media type
	Size   int64           `json:"size"`
	SHA256 string          `json:"sha256"`           // hex
	Object record.ObjectID `json:"object,omitempty"` // of a document; "" of what was made for the package
}

// Names of the files that speak of the others.
const (
	ManifestName  = "MANIFEST.JSON"
	SignatureName = "SIGNATURE.TXT"
	DirectoryName = "DICOMDIR"
)

// patient is what is known of the one a package is about.
type patient struct {
	id, issuer, name, ideographic, birth, sex string
	phonetic                                  string
}

// layout is everything that is in a package, as a tree.
type layout struct {
	patient   patient
	studies   []*study
	documents []document
}

type study struct {
	uid, date, time, accession, description, id string
	path                                        string
	series                                      []*series
}

type series struct {
	uid, modality, number, description string
	path                               string
	instances                          []instance
}

type instance struct {
	object                record.ObjectID
	uid, class, syntax    string
	number                string
	size                  int64
	sha256                [64]byte // hex
	more                  []element
	kind                  string // of the directory record
	rows, columns, frames string
}

type document struct {
	object          record.ObjectID
	category, title string
	mediaType       string
	path, sha256    string
	size            int64
	stored          time.Time
}

// extension is that of a file of a media type, as ISO 9660 has room for it.
func extension(mediaType string) string {
	kind, _, _ := strings.Cut(mediaType, ";")
	switch kind {
	case "application/pdf":
		return "PDF"
	case "image/jpeg":
		return "JPG"
	case "image/png":
		return "PNG"
	case "image/tiff":
		return "TIF"
	case "text/plain":
		return "TXT"
	case "application/fhir+json", "application/json":
		return "JSN"
	}
	return "BIN"
}

// take takes a document into the tree. Instances of one study and series may come in any
// order; more are the attributes that its directory record needs beside those of an image.
func (l *layout) take(d vault.PackagedDocument, more []element) {
	l.patient.take(d)
	if d.Kind != record.KindDICOM {
		n := len(l.documents)
		l.documents = append(l.documents, document{object: d.Object, category: d.Category, title: d.Title, size: d.Size, sha256: d.SHA256, stored: d.Stored,
			mediaType: d.MediaType, path: fmt.Sprintf("DOCUMENTS/DOC%05d.%s", n, extension(d.MediaType))})
		return
	}
	attrs := attributes(d.Attributes)
	st := l.study(d, attrs)
	se := st.of(d, attrs)
	i := instance{object: d.Object, uid: d.Instance, class: d.SOPClass, syntax: d.TransferSyntax, number: attrs.text("00200013"), size: d.Size,
		more: more, kind: recordType(d.SOPClass), rows: attrs.text("00280010"), columns: attrs.text("00280011"), frames: attrs.text("00280008")}
	copy(i.sha256[:], d.SHA256)
	se.instances = append(se.instances, i)
}

func (p *patient) take(d vault.PackagedDocument) {
	if p.id == "" {
		p.id, p.issuer = d.PatientID, d.Issuer
	}
	if p.birth == "" {
		p.birth = strings.ReplaceAll(d.BirthDate, "-", "")
	}
	attrs := attributes(d.Attributes)
	if p.name+p.ideographic == "" {
		p.name, p.ideographic, p.phonetic = attrs.name("00100010")
	}
	if p.birth == "" {
		p.birth = attrs.text("00100030")
	}
	if p.sex == "" {
		p.sex = attrs.text("00100040")
	}
}

func (l *layout) study(d vault.PackagedDocument, attrs attributes) *study {
	// The last one most often: documents come in the order in which they were stored.
	for _, s := range slices.Backward(l.studies) {
		if s.uid == d.Study {
			return s
		}
	}
	s := &study{uid: d.Study, date: attrs.text("00080020"), time: attrs.text("00080030"), accession: attrs.text("00080050"),
		description: attrs.text("00081030"), id: attrs.text("00200010"), path: fmt.Sprintf("DICOM/PT000000/ST%06d", len(l.studies))}
	l.studies = append(l.studies, s)
	return s
}

func (s *study) of(d vault.PackagedDocument, attrs attributes) *series {
	for _, se := range slices.Backward(s.series) {
		if se.uid == d.Series {
			return se
		}
	}
	se := &series{uid: d.Series, modality: attrs.text("00080060"), number: attrs.text("00200011"), description: attrs.text("0008103E"),
		path: fmt.Sprintf("%s/SE%06d", s.path, len(s.series))}
	s.series = append(s.series, se)
	return se
}

// file names instance n of the series.
func (s *series) file(n int) string { return fmt.Sprintf("%s/IM%06d", s.path, n) }

func (s *study) count() (n int) {
	for _, se := range s.series {
		n += len(se.instances)
	}
	return n
}

func (s *study) modalities() (all []string) {
	for _, se := range s.series {
		if se.modality != "" && !slices.Contains(all, se.modality) {
			all = append(all, se.modality)
		}
	}
	return all
}

// files are the documents' lines of the manifest, in the order of the package.
func (l *layout) files() (all []File) {
	for _, st := range l.studies {
		for _, se := range st.series {
			for n, i := range se.instances {
				all = append(all, File{Path: se.file(n), Type: "application/dicom", Size: i.size, SHA256: string(i.sha256[:]), Object: i.object})
			}
		}
	}
	for _, d := range l.documents {
		all = append(all, File{Path: d.path, Type: d.mediaType, Size: d.size, SHA256: d.sha256, Object: d.object})
	}
	return all
}

// attributes are DICOM JSON (PS3.18 F) by tag.
type attributes map[string]json.RawMessage

func (a attributes) values(tag string) []json.RawMessage {
	var e struct{ Value []json.RawMessage }
	if json.Unmarshal(a[tag], &e) != nil {
		return nil // not there, or of a form that has no plain value
	}
	return e.Value
}

// text is the value of an element, several with backslashes between them; "" when absent.
func (a attributes) text(tag string) string {
	var all []string
	for _, v := range a.values(tag) {
		var s string
		if json.Unmarshal(v, &s) != nil {
			if s = string(v); s == "null" || strings.ContainsAny(s, "{[") {
				s = ""
			}
		}
		all = append(all, s)
	}
	return strings.Join(all, `\`)
}

// name is a person's name in its three groups.
func (a attributes) name(tag string) (alphabetic, ideographic, phonetic string) {
	values := a.values(tag)
	if len(values) == 0 {
		return "", "", ""
	}
	var n struct{ Alphabetic, Ideographic, Phonetic string }
	if json.Unmarshal(values[0], &n) != nil {
		return "", "", ""
	}
	return n.Alphabetic, n.Ideographic, n.Phonetic
}
