package portable

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"medvault/api/fhir"
	"medvault/vault"
)

// resource is a FHIR resource or a part of one. Absent values are left out by whoever
// makes it: FHIR knows no empty ones.
type resource map[string]any

// set puts a value that is there.
func (r resource) set(name, value string) resource {
	if value != "" {
		r[name] = value
	}
	return r
}

// bundle writes one Bundle (FHIR R4), a collection: the patient and what is held. Resources
// refer to each other by urn:uuid. Entries are encoded one after the other.
func (l *layout) bundle(w io.Writer, p *vault.Package) error {
	out := &entries{w: w}
	head := `{"resourceType":"Bundle","type":"collection","timestamp":"` + p.Created.Format(time.RFC3339) +
		`","identifier":{"system":"urn:medvault:package","value":"` + string(p.ID) + `"},"entry":[`
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	patient := uuid("patient", string(p.Patient))
	out.add(patient, l.patient.resource(p))
	for _, st := range l.studies {
		out.add(uuid("study", st.uid), st.resource(patient))
	}
	for _, d := range l.documents {
		out.add(uuid("document", string(d.object)), d.resource(patient))
	}
	for _, c := range p.Consents {
		out.add(uuid("consent", string(c.ID)), fhir.ConsentResource(c))
	}
	for _, g := range p.Guardians {
		out.add(uuid("guardian", string(g.ID)), related(g, patient))
	}
	if out.err != nil {
		return out.err
	}
	_, err := io.WriteString(w, "]}\n")
	return err
}

type entries struct {
	w   io.Writer
	n   int
	err error // the first
}

func (e *entries) add(uuid string, r any) {
	if e.err != nil {
		return
	}
	if e.n++; e.n > 1 {
		if _, e.err = io.WriteString(e.w, ","); e.err != nil {
			return
		}
	}
	lines := json.NewEncoder(e.w)
	lines.SetEscapeHTML(false)
	e.err = lines.Encode(resource{"fullUrl": uuid, "resource": r})
}

// uuid is the name of a resource in its bundle: of what it is about, so that it is the same
// in another package.
func uuid(kind, name string) string {
	sum := sha256.Sum256([]byte("medvault " + kind + "|" + name))
	sum[6], sum[8] = sum[6]&0x0F|0x80, sum[8]&0x3F|0x80 // RFC 9562, version 8
	h := hex.EncodeToString(sum[:16])
	return "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func reference(to string) resource { return resource{"reference": to} }

func coding(system, code string) resource { return resource{"system": system, "code": code} }

func (p patient) resource(of *vault.Package) resource {
	ids := []resource{{"system": "urn:medvault:patient-token", "value": string(of.Patient)}}
	if p.id != "" {
		id := resource{"value": p.id, "type": resource{"coding": []resource{coding("http://terminology.hl7.org/CodeSystem/v2-0203", "MR")}}}
		if p.issuer != "" {
			id["assigner"] = resource{"display": p.issuer}
		}
		ids = append(ids, id)
	}
	r := resource{"resourceType": "Patient", "identifier": ids}
	var names []resource
	for _, text := range []string{p.name, p.ideographic, p.phonetic} {
		if n := humanName(text); n != nil {
			names = append(names, n)
		}
	}
	if names != nil {
		r["name"] = names
	}
	if d, err := time.Parse("20060102", p.birth); err == nil {
		r["birthDate"] = d.Format(time.DateOnly)
	}
	switch p.sex {
	case "M":
		r["gender"] = "male"
	case "F":
		r["gender"] = "female"
	case "O":
		r["gender"] = "other"
	}
	return r
}

// humanName reads one group of a DICOM person's name (PS3.5 6.2.1); nil when it is empty.
func humanName(text string) resource {
	parts := strings.Split(text, "^")
	if strings.Trim(text, "^ ") == "" {
		return nil
	}
	r := resource{"text": strings.Join(strings.Fields(strings.ReplaceAll(text, "^", " ")), " ")}
	r.set("family", strings.TrimSpace(parts[0]))
	var given []string
	for _, part := range parts[1:min(len(parts), 3)] {
		given = append(given, strings.Fields(part)...)
	}
	if given != nil {
		r["given"] = given
	}
	return r
}

func (s *study) resource(patient string) resource {
	r := resource{"resourceType": "ImagingStudy", "status": "available", "subject": reference(patient),
		"identifier":     []resource{{"system": "urn:dicom:uid", "value": "urn:oid:" + s.uid}},
		"numberOfSeries": len(s.series), "numberOfInstances": s.count()}
	if s.accession != "" {
		r["identifier"] = append(r["identifier"].([]resource), resource{"value": s.accession,
			"type": resource{"coding": []resource{coding("http://terminology.hl7.org/CodeSystem/v2-0203", "ACSN")}}})
	}
	r.set("description", clean(s.description))
	if d, err := time.Parse("20060102", s.date); err == nil {
		r["started"] = d.Format(time.DateOnly) // of the time of day DICOM need not say the zone
	}
	var modalities []resource
	for _, m := range s.modalities() {
		modalities = append(modalities, coding(dcm, m))
	}
	if modalities != nil {
		r["modality"] = modalities
	}
	var list []resource
	for _, se := range s.series {
		list = append(list, se.resource())
	}
	r["series"] = list
	return r
}

const dcm = "http://dicom.nema.org/resources/ontology/DCM"

func (s *series) resource() resource {
	modality := s.modality
	if modality == "" {
		modality = "OT"
	}
	list := make([]resource, len(s.instances))
	for n, i := range s.instances {
		list[n] = resource{"uid": i.uid, "sopClass": coding("urn:ietf:rfc:3986", "urn:oid:"+i.class), "title": s.file(n)}
		number(list[n], i.number)
	}
	r := resource{"uid": s.uid, "modality": coding(dcm, modality), "numberOfInstances": len(list), "instance": list}
	r.set("description", clean(s.description))
	number(r, s.number)
	return r
}

// number puts an IS value where FHIR has an unsigned integer.
func number(r resource, text string) {
	if n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31); err == nil {
		r["number"] = n
	}
}

// clean is a text as a FHIR string may be: not only space.
func clean(s string) string { return strings.TrimSpace(s) }

func (d document) resource(patient string) resource {
	attachment := resource{"contentType": d.mediaType, "url": d.path, "size": d.size}
	attachment.set("title", clean(d.title))
	r := resource{"resourceType": "DocumentReference", "status": "current", "subject": reference(patient),
		"identifier": []resource{{"system": "urn:medvault:object", "value": string(d.object)}},
		"content":    []resource{{"attachment": attachment}}}
	if d.category != "" {
		r["category"] = []resource{{"coding": []resource{coding("urn:medvault:category", d.category)}}}
	}
	if !d.stored.IsZero() {
		r["date"] = d.stored.UTC().Format(time.RFC3339)
	}
	return r
}

func related(g vault.Guardian, patient string) resource {
	period := resource{"start": g.From.UTC().Format(time.RFC3339)}
	until := g.Until
	if g.Ended != nil {
		until = g.Ended
	}
	if until != nil {
		period["end"] = until.UTC().Format(time.RFC3339)
	}
	return resource{"resourceType": "RelatedPerson", "active": g.Ended == nil, "patient": reference(patient), "period": period,
		"identifier":   []resource{{"system": "urn:medvault:actor", "value": g.Subject}},
		"relationship": []resource{{"coding": []resource{coding("urn:medvault:relation", g.Relation)}}}}
}
