package fhir

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"medvault/imaging"
	"medvault/imaging/mention"
)

// rewriter makes the view of one resource. What it does not understand is left out.
type rewriter struct {
	table       table
	p           imaging.Pseudonyms
	known       *mention.Known
	own         []string // numbers of the patient
	actions     map[string]int
	attachments []imaging.Attachment
	found       int // attachments, those with a link alone included
}

// resource rewrites a resource of any type; nil where the type is not in the table.
func (w *rewriter) resource(value any) any {
	x, ok := value.(map[string]any)
	kind, _ := x["resourceType"].(string)
	if !ok || !w.table.resource(kind) {
		return nil
	}
	out, _ := w.object(kind, x).(map[string]any)
	if out == nil {
		out = make(map[string]any)
	}
	out["resourceType"] = kind
	if id, ok := x["id"].(string); ok {
		out["id"] = w.id(kind, id)
	}
	if text := w.apply("Narrative", x["text"]); text != nil && kind != "Bundle" && kind != "Patient" {
		out["text"] = text
	}
	if language := w.apply("code", x["language"]); language != nil {
		out["language"] = language
	}
	if contained := w.apply("contained", x["contained"]); contained != nil {
		out["contained"] = contained
	}
	return out
}

// contained rewrites a resource inside another, which is referred to by its id alone.
func (w *rewriter) contained(x map[string]any) any {
	out, _ := w.resource(x).(map[string]any)
	if id, ok := x["id"].(string); ok && out != nil {
		out["id"] = w.id("", id)
	}
	if out == nil {
		return nil
	}
	return out
}

// object takes over what the table has of a type.
func (w *rewriter) object(kind string, x map[string]any) any {
	out := make(map[string]any)
	for element, value := range x {
		rule, ok := w.table[kind][element]
		if !ok {
			if element != "resourceType" && element != "id" && element != "text" && element != "contained" && element != "language" {
				w.actions["remove"]++
			}
			continue
		}
		if done := w.apply(rule, value); done != nil {
			out[element] = done
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// apply rewrites a value, or each of a list. nil: it is left out.
func (w *rewriter) apply(rule string, value any) any {
	switch x := value.(type) {
	case nil:
		return nil
	case []any:
		var all []any
		for _, one := range x {
			if done := w.apply(rule, one); done != nil {
				all = append(all, done)
			}
		}
		if len(all) == 0 {
			return nil
		}
		return all
	case map[string]any:
		switch rule {
		case "resource":
			return w.resource(x)
		case "contained":
			return w.contained(x)
		case "age":
			return w.age(x)
		}
		if w.table[rule] == nil {
			return nil
		}
		if rule == "Attachment" {
			w.attached(x)
		}
		return w.object(rule, x)
	case bool:
		if rule == "bool" {
			return x
		}
	case json.Number:
		if rule == "number" {
			return x
		}
	case string:
		return w.text(rule, x)
	}
	return nil
}

var (
	codeForm    = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9 .\-:/_+^%\[\]{}()*'#,=<>|]{0,63}\z`)
	numberForm  = regexp.MustCompile(`\A[<>=]{0,2}-?[0-9]+(\.[0-9]+)?\z`)
	timeForm    = regexp.MustCompile(`\A[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?\z`)
	samplesForm = regexp.MustCompile(`\A[0-9EUL.+\- ]*\z`)
	// Those of everybody: one of a house's own may tell which house.
	systemForm = regexp.MustCompile(`\A(https?://(loinc\.org|snomed\.info|([a-z]+\.)?hl7\.org|unitsofmeasure\.org|www\.nlm\.nih\.gov|www\.whocc\.no|www\.who\.int|hl7\.org|id\.who\.int|dicom\.nema\.org|www\.ama-assn\.org|fdasis\.nlm\.nih\.gov)(/[A-Za-z0-9._\-]+)*/?|urn:ietf:[a-z0-9:]+|urn:iso:[a-z0-9:.\-]+)\z`)
	kindForm   = regexp.MustCompile(`\A[A-Z][A-Za-z]{2,40}\z`)
	clockForm  = regexp.MustCompile(`\A[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?\z`)
	tagForm    = regexp.MustCompile(`<[^>]*>`)
)

// text rewrites a string by a rule for primitives. What has another form than the rule
// expects is left out, and so is what names somebody where a code should be.
func (w *rewriter) text(rule, s string) any {
	switch rule {
	case "text":
		return w.clean(s)
	case "narrative":
		plain := strings.Join(strings.Fields(html.UnescapeString(tagForm.ReplaceAllString(s, " "))), " ")
		return `<div xmlns="http://www.w3.org/1999/xhtml">` + html.EscapeString(w.clean(plain)) + `</div>`
	case "date":
		return w.date(s)
	case "identifier":
		return w.identifier(s)
	case "reference":
		return w.reference(s)
	case "uid":
		w.actions["uid"]++
		return "urn:oid:" + w.p.UID(strings.TrimPrefix(s, "urn:oid:"))
	}
	form := map[string]*regexp.Regexp{"code": codeForm, "number": numberForm, "time": timeForm, "samples": samplesForm, "system": systemForm}[rule]
	if form == nil || !form.MatchString(s) {
		w.actions["remove"]++
		return nil
	}
	if rule == "code" && w.clean(s) != s {
		w.actions["remove"]++
		return nil
	}
	return s
}

// clean takes out whoever a text names.
func (w *rewriter) clean(s string) string {
	clean, n := mention.Replace(s, w.known, mention.Normal)
	if n > 0 {
		w.actions["clean"]++
	}
	return clean
}

// identifier gives a number the token that images have for it: of the patient's own the
// patient token, of any other that of an accession number.
func (w *rewriter) identifier(s string) any {
	w.actions["token"]++
	s = strings.TrimSpace(s)
	if slices.Contains(w.own, s) {
		return w.p.Patient
	}
	return w.p.ID("AccessionNumber", s, 16)
}

// id gives a resource's id another one; a patient's is the patient token.
func (w *rewriter) id(kind, id string) string {
	if kind == "Patient" {
		return w.p.Patient
	}
	return strings.ToLower(w.p.ID("FHIR id", kind+"/"+id, 26))
}

// reference follows the ids. Where there is none of a known form, nothing is left.
func (w *rewriter) reference(s string) any {
	w.actions["token"]++
	if id, ok := strings.CutPrefix(s, "#"); ok {
		return "#" + w.id("", id)
	}
	if id, ok := strings.CutPrefix(s, "urn:uuid:"); ok {
		return "urn:uuid:" + uuid(w.p.ID("FHIR id", "urn:uuid:"+strings.ToLower(id), 26))
	}
	path := s
	if u, err := url.Parse(s); err == nil && u.Scheme != "" {
		path = u.Path
	}
	path, _, _ = strings.Cut(path, "/_history")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 2 {
		return nil
	}
	kind, id := parts[len(parts)-2], parts[len(parts)-1]
	if !kindForm.MatchString(kind) || w.clean(kind) != kind {
		return nil
	}
	return kind + "/" + w.id(kind, id)
}

// uuid writes digits as a UUID.
func uuid(digits string) string {
	const hex = "0123456789abcdef"
	b := []byte("00000000-0000-4000-8000-000000000000")
	at := 0
	for _, c := range []byte(digits) {
		for at < len(b) && (b[at] == '-' || at == 14 || at == 19) {
			at++
		}
		if at == len(b) {
			break
		}
		b[at] = hex[c%16]
		at++
	}
	return string(b)
}

// age leaves out ages that few people reach.
func (w *rewriter) age(x map[string]any) any {
	n, ok := x["value"].(json.Number)
	years, err := n.Float64()
	if !ok || err != nil || years > 89 {
		w.actions["remove"]++
		return nil
	}
	return w.object("Quantity", x)
}

// date shifts a date, to the precision that it has. The time of day stays.
func (w *rewriter) date(s string) any {
	day, rest, _ := strings.Cut(s, "T")
	for _, form := range []struct{ layout, middle string }{{"2006-01-02", ""}, {"2006-01", "-15"}, {"2006", "-07-01"}} {
		at, err := time.Parse("2006-01-02", day+form.middle)
		if err != nil || len(day) != len(form.layout) || rest != "" && form.middle != "" {
			continue
		}
		w.actions["shift"]++
		shifted := at.AddDate(0, 0, w.p.ShiftDays).Format(form.layout)
		if clockForm.MatchString(rest) {
			shifted += "T" + rest
		}
		return shifted
	}
	w.actions["remove"]++
	return nil
}

// attached takes a document out of an Attachment: it becomes one of its own.
func (w *rewriter) attached(x map[string]any) {
	coded, _ := x["data"].(string)
	link, _ := x["url"].(string)
	if coded == "" && link == "" {
		return
	}
	w.found++
	title, _ := x["title"].(string)
	if data, err := base64.StdEncoding.DecodeString(coded); err == nil && len(data) > 0 {
		w.attachments = append(w.attachments, imaging.Attachment{Name: title, Data: data})
	}
}
