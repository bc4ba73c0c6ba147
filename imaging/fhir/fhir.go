// Package fhir takes FHIR R4 resources in JSON into the vault. The original is kept whole
// in the restore script, which only the identity key opens. The content is made element
// by element of what the table elements.txt takes over: identifiers become the tokens
// that images of the same patient have, names and addresses go, references to the patient
// name the patient token, dates are shifted, and free text loses whoever it names.
package fhir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"medvault/imaging"
	"medvault/imaging/mention"
	"medvault/imaging/subject"
)

const (
	maxSize  = 16 << 20
	maxDepth = 64
)

// Scrubber is the imaging.Scrubber for FHIR. It holds no state.
type Scrubber struct{ table func() table }

var _ imaging.Scrubber = Scrubber{}

// New returns a Scrubber.
func New() Scrubber { return Scrubber{elements} }

// Begin reads the whole resource and refuses what is none, a type that is not in the
// table, and what speaks of several patients.
func (s Scrubber) Begin(r io.Reader) (imaging.Incoming, error) {
	whole, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(whole) > maxSize {
		return nil, &imaging.Refusal{Code: "fhir-too-large", Offset: maxSize, Advice: "the vault takes FHIR resources of up to 16 MiB; send a Bundle in parts"}
	}
	resource, err := parse(whole)
	if err != nil {
		return nil, err
	}
	kind, _ := resource["resourceType"].(string)
	if kind == "" || !s.table().resource(kind) {
		return nil, &imaging.Refusal{Code: "unknown-resource", Offset: -1, Advice: "this is no FHIR R4 resource of a type that the vault takes, such as DiagnosticReport, Observation, MedicationRequest or Bundle"}
	}
	in := &incoming{table: s.table(), whole: whole, resource: resource, kind: kind}
	in.people.gather(resource, 0)
	if in.people.patients > 1 {
		return nil, &imaging.Refusal{Code: "several-patients", Offset: -1, Advice: "a document belongs to one patient: send what concerns another by itself"}
	}
	return in, nil
}

// parse reads one JSON object, and nothing behind it.
func parse(whole []byte) (map[string]any, error) {
	broken := &imaging.Refusal{Code: "fhir-broken", Offset: -1, Advice: "this is not one FHIR resource in JSON; export it again"}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(whole, []byte("\xEF\xBB\xBF"))))
	d.UseNumber()
	var resource map[string]any
	if err := d.Decode(&resource); err != nil {
		if syntax := new(json.SyntaxError); errors.As(err, &syntax) {
			broken.Offset = syntax.Offset
		}
		return nil, broken
	}
	if _, err := d.Token(); err != io.EOF || depth(resource) > maxDepth {
		return nil, broken
	}
	return resource, nil
}

func depth(value any) (n int) {
	switch x := value.(type) {
	case map[string]any:
		for _, v := range x {
			n = max(n, depth(v))
		}
	case []any:
		for _, v := range x {
			n = max(n, depth(v))
		}
	}
	return n + 1
}

// incoming is a resource that was read.
type incoming struct {
	table    table
	whole    []byte
	resource map[string]any
	kind     string
	people   people
}

var _ imaging.Redactable = (*incoming)(nil)

// Identity is what a Patient resource, or a reference with an identifier, says.
func (in *incoming) Identity() imaging.Identity {
	return imaging.Identity{PatientIDs: in.people.ids, PatientName: in.people.name(), BirthDate: in.people.birth, ResourceType: in.kind}
}

// Waits: free text needs to know the patient.
func (in *incoming) Waits() bool { return true }

// Scrub keeps the original and withholds the view.
func (in *incoming) Scrub(_ imaging.Pseudonyms, _ *imaging.Release, original imaging.Original, _, script io.Writer) (imaging.Scrubbed, error) {
	s := imaging.Scrubbed{Who: in.people.who(), Held: imaging.Pending, Report: imaging.Report{Rules: Scrubber{elements}.Rules()},
		Facts: imaging.Facts{Held: imaging.Pending, MediaType: mediaType, ResourceType: in.kind}}
	nothing := sha256.Sum256(nil)
	s.Facts.SHA256 = hex.EncodeToString(nothing[:])
	return s, imaging.KeepWhole(script, bytes.NewReader(in.whole), nil, maxSize, "fhir-too-large", original)
}

const mediaType = "application/fhir+json"

// Redact makes the view.
func (in *incoming) Redact(ctx context.Context, known subject.Known, p imaging.Pseudonyms, release *imaging.Release, original imaging.Original, content, script io.Writer) (imaging.Scrubbed, error) {
	s, err := in.Scrub(p, release, original, nil, script)
	if err != nil {
		return s, err
	}
	rewrite := &rewriter{table: in.table, p: p, own: in.people.ids, actions: make(map[string]int),
		known: mention.New(in.people.also(known), mention.Tokens{Name: "[PT-" + p.Short() + "]", ID: "[ID:" + p.Short() + "]", Days: p.ShiftDays})}
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false) // a narrative stays readable
	if err := encoder.Encode(rewrite.resource(in.resource)); err != nil {
		return s, fmt.Errorf("write the view: %w", err)
	}
	view := bytes.TrimSpace(written.Bytes())
	if _, err := content.Write(view); err != nil {
		return s, fmt.Errorf("write content: %w", err)
	}
	sum := sha256.Sum256(view)
	s.Held, s.Facts.Held, s.Facts.Size, s.Facts.SHA256 = "", "", int64(len(view)), hex.EncodeToString(sum[:])
	s.Facts.Attachments, s.Attachments = rewrite.found, rewrite.attachments
	s.Report.Actions, s.Report.Residual = rewrite.actions, "clean"
	return s, ctx.Err()
}

// people are whom a resource names.
type people struct {
	patients                              int // Patient resources
	names, ids, phones, addresses, emails []string
	accessions, others                    []string
	birth                                 string // YYYYMMDD
}

func (w *people) name() string {
	if len(w.names) == 0 {
		return ""
	}
	return w.names[0]
}

// gather looks through everything, also through what is dropped later.
func (w *people) gather(value any, level int) {
	switch x := value.(type) {
	case []any:
		for _, v := range x {
			w.gather(v, level)
		}
	case map[string]any:
		switch x["resourceType"] {
		case "Patient":
			w.patients++
			w.patient(x)
		case "Practitioner", "RelatedPerson", "PractitionerRole":
			w.others = append(w.others, names(x["name"])...)
		}
		for _, role := range []string{"subject", "patient"} {
			if ref, ok := x[role].(map[string]any); ok {
				w.ids = append(w.ids, values(ref["identifier"])...)
				if display, ok := ref["display"].(string); ok {
					w.names = append(w.names, display)
				}
			}
		}
		for _, role := range []string{"performer", "author", "requester", "recorder", "asserter", "resultsInterpreter"} {
			for _, one := range list(x[role]) {
				if ref, ok := one.(map[string]any); ok {
					if display, ok := ref["display"].(string); ok {
						w.others = append(w.others, display)
					}
				}
			}
		}
		for _, one := range list(x["identifier"]) {
			if id, ok := one.(map[string]any); ok && accession(id) {
				w.accessions = append(w.accessions, values(id)...)
			}
		}
		for _, v := range x {
			w.gather(v, level+1)
		}
	}
}

func (w *people) patient(x map[string]any) {
	w.names = append(names(x["name"]), w.names...)
	w.ids = append(w.ids, values(x["identifier"])...)
	if birth, ok := x["birthDate"].(string); ok {
		if day := strings.ReplaceAll(birth, "-", ""); len(day) == 8 {
			w.birth = day
		}
	}
	for _, one := range list(x["telecom"]) {
		if c, ok := one.(map[string]any); ok {
			if value, ok := c["value"].(string); ok && c["system"] == "email" {
				w.emails = append(w.emails, value)
			} else if ok {
				w.phones = append(w.phones, value)
			}
		}
	}
	for _, one := range list(x["address"]) {
		if a, ok := one.(map[string]any); ok {
			var parts []string
			for _, line := range append(list(a["line"]), a["text"]) {
				if s, ok := line.(string); ok {
					parts = append(parts, s)
				}
			}
			w.addresses = append(w.addresses, parts...)
		}
	}
	for _, one := range list(x["contact"]) {
		if c, ok := one.(map[string]any); ok {
			w.others = append(w.others, names(c["name"])...)
		}
	}
}

// names are HumanNames as DICOM writes them, family first.
func names(value any) (all []string) {
	for _, one := range list(value) {
		n, ok := one.(map[string]any)
		if !ok {
			continue
		}
		family, _ := n["family"].(string)
		var given []string
		for _, g := range list(n["given"]) {
			if s, ok := g.(string); ok {
				given = append(given, s)
			}
		}
		if family != "" || len(given) > 0 {
			all = append(all, strings.Trim(family+"^"+strings.Join(given, " "), "^"))
		}
		if text, ok := n["text"].(string); ok && text != "" {
			all = append(all, text)
		}
	}
	return all
}

// values are those of Identifiers.
func values(value any) (all []string) {
	for _, one := range list(value) {
		if id, ok := one.(map[string]any); ok {
			if v, ok := id["value"].(string); ok && strings.TrimSpace(v) != "" {
				all = append(all, strings.TrimSpace(v))
			}
		}
	}
	return all
}

func list(value any) []any {
	switch x := value.(type) {
	case nil:
		return nil
	case []any:
		return x
	}
	return []any{value}
}

// accession says whether an Identifier is an accession number (HL7 v2 table 0203).
func accession(id map[string]any) bool {
	kind, _ := id["type"].(map[string]any)
	for _, one := range list(kind["coding"]) {
		if c, ok := one.(map[string]any); ok && c["code"] == "ACSN" {
			return true
		}
	}
	return false
}

// who is DICOM JSON, as images say it.
func (w *people) who() json.RawMessage {
	attributes := make(map[string]any)
	add := func(tag, vr string, all []string) {
		all = slices.Clone(all)
		slices.Sort(all)
		all = slices.Compact(all)
		if len(all) == 0 {
			return
		}
		values := make([]any, len(all))
		for i, s := range all {
			if values[i] = s; vr == "PN" {
				values[i] = map[string]string{"Alphabetic": s}
			}
		}
		attributes[tag] = map[string]any{"vr": vr, "Value": values}
	}
	add("00080050", "SH", w.accessions)
	add("00080090", "PN", w.others)
	add("00100010", "PN", w.names)
	add("00101000", "LO", w.ids)
	add("00101040", "LO", w.addresses)
	add("00102154", "SH", append(slices.Clone(w.phones), w.emails...))
	if w.birth != "" {
		add("00100030", "DA", []string{w.birth})
	}
	data, err := json.Marshal(attributes)
	if err != nil {
		panic(err) // strings
	}
	return data
}

// also adds what the resource itself says to what is known.
func (w *people) also(k subject.Known) subject.Known {
	k.Names, k.IDs = append(slices.Clone(k.Names), w.names...), append(slices.Concat(k.IDs, w.ids), w.accessions...)
	k.Phones, k.Addresses = append(slices.Clone(k.Phones), w.phones...), append(slices.Clone(k.Addresses), w.addresses...)
	k.Emails, k.Others = append(slices.Clone(k.Emails), w.emails...), append(slices.Clone(k.Others), w.others...)
	k.Dates = append(slices.Clone(k.Dates), w.birth)
	return k
}

// Describe returns an empty object: a resource has no DICOM attributes.
func (Scrubber) Describe(io.Reader) (json.RawMessage, error) { return json.RawMessage("{}"), nil }

// Value finds nothing.
func (Scrubber) Value(io.Reader, string) (io.Reader, error) { return nil, imaging.ErrNoValue }

// Convert cannot make DICOM of a resource.
func (Scrubber) Convert(io.Writer, io.Reader) error { return imaging.ErrCannotConvert }

// Frames finds none.
func (Scrubber) Frames(io.Reader) (*imaging.Frames, error) { return nil, imaging.ErrNoValue }

// Recast cannot give another recipient other tokens: they may stand in free text.
func (Scrubber) Recast(io.Writer, io.Reader, imaging.Pseudonyms) error {
	return &imaging.Refusal{Code: "report-not-exported", Offset: -1, Advice: "reports cannot be given in a recipient's own names; give the images alone"}
}

// version is of the code that applies the table.
const version = "1"

// Rules tells the table.
func (Scrubber) Rules() imaging.Rules {
	sum := sha256.Sum256([]byte(version + "\n" + mention.Digest() + "\n" + elementsText))
	return imaging.Rules{Edition: "FHIR R4", Digest: hex.EncodeToString(sum[:])}
}
