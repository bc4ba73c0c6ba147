package fhir_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"medvault/imaging"
	"medvault/imaging/fhir"
	"medvault/imaging/subject"
)

const token = "pabcdefghijklmnopqrstuvwxyz"

var pseudonyms = imaging.Pseudonyms{
	Patient: token, ShiftDays: -10,
	UID: func(s string) string { return "2.25.1" },
	ID: func(attribute, value string, most int) string {
		sum := sha256.Sum256([]byte(attribute + value))
		s := strings.ToUpper(base64.RawURLEncoding.EncodeToString(sum[:]))
		return strings.NewReplacer("-", "A", "_", "B").Replace(s)[:min(most, len(s))]
	},
}

var known = subject.Known{Names: []string{"Quillfeather^Odalys"}, IDs: []string{"MRN-7781920"}, Dates: []string{"19610713"}, Phones: []string{"13912345678"}}

// view redacts a resource, and sees that the original comes back.
func view(t *testing.T, resource string) (map[string]any, imaging.Scrubbed) {
	t.Helper()
	var content, script bytes.Buffer
	in, err := fhir.New().Begin(strings.NewReader(resource))
	if err != nil {
		t.Fatal(err)
	}
	original := func() (int64, [32]byte) { return int64(len(resource)), sha256.Sum256([]byte(resource)) }
	s, err := in.(imaging.Redactable).Redact(context.Background(), known, pseudonyms, nil, original, &content, &script)
	if err != nil {
		t.Fatal(err)
	}
	var back bytes.Buffer
	if err := imaging.Restore(&back, bytes.NewReader(content.Bytes()), &script); err != nil || back.String() != resource {
		t.Fatalf("restored %d bytes, %v; want the %d that came in", back.Len(), err, len(resource))
	}
	var v map[string]any
	if err := json.Unmarshal(content.Bytes(), &v); err != nil {
		t.Fatalf("the view is no JSON: %v", err)
	}
	return v, s
}

const report = `{"resourceType":"DiagnosticReport","id":"r1","meta":{"source":"quillfeather"},
"contained":[{"resourceType":"Patient","id":"pat","name":[{"family":"Quillfeather","given":["Odalys"]}],"birthDate":"1961-07-13","identifier":[{"system":"urn:h","value":"MRN-7781920"}],"telecom":[{"system":"phone","value":"13912345678"}]}],
"extension":[{"url":"http://x","valueString":"Odalys Quillfeather"}],
"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Chest of <b>Odalys</b> Quillfeather is clear</div>"},
"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"ACSN"}]},"value":"ACC-99123"}],
"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"30746-2","display":"Chest X-ray"}],"text":"Odalys Quillfeather chest"},
"subject":{"reference":"Patient/7781920","display":"Quillfeather, Odalys","identifier":{"value":"MRN-7781920"}},
"effectiveDateTime":"2024-03-15T10:20:00+08:00","issued":"2024-03-15","unknownElement":"Quillfeather",
"performer":[{"reference":"https://h.example/fhir/Practitioner/dr-adler","display":"Dr. Imke Adler"}],
"conclusion":"Odalys Quillfeather (MRN-7781920, 13912345678) shows no effusion.","_conclusion":{"extension":[{"valueString":"Quillfeather"}]},
"presentedForm":[{"contentType":"application/pdf","data":"JVBERi0x","title":"of Quillfeather","url":"http://h/Quillfeather.pdf"}]}`

func TestAResourceLosesWhoeverItIsAbout(t *testing.T) {
	t.Parallel()
	v, s := view(t, report)
	text, _ := json.Marshal(v)
	for _, planted := range []string{"uillfeather", "Odalys", "7781920", "13912345678", "1961", "ACC-99123", "Adler", "dr-adler", "2024-03-15", "h.example", "JVBERi0x"} {
		if bytes.Contains(text, []byte(planted)) {
			t.Errorf("the view has %q: %s", planted, text)
		}
	}
	for _, kept := range []string{"no effusion", "30746-2", "http://loinc.org", "2024-03-05T10:20:00+08:00", `"issued":"2024-03-05"`, "is clear", "[PT-ABCDEF]", "application/pdf"} {
		if !bytes.Contains(text, []byte(kept)) {
			t.Errorf("the view has lost %q: %s", kept, text)
		}
	}
	subject := v["subject"].(map[string]any)
	if subject["reference"] != "Patient/"+token || subject["identifier"].(map[string]any)["value"] != token {
		t.Errorf("subject = %v; want the patient token", subject)
	}
	if got := v["identifier"].([]any)[0].(map[string]any)["value"]; got != pseudonyms.ID("AccessionNumber", "ACC-99123", 16) {
		t.Errorf("accession number = %v; want the token that images have", got)
	}
	if len(s.Attachments) != 1 || string(s.Attachments[0].Data) != "%PDF-1" {
		t.Errorf("%d attachments; want the PDF", len(s.Attachments))
	}
	for _, told := range []string{"Quillfeather^Odalys", "MRN-7781920", "19610713", "ACC-99123"} {
		if !bytes.Contains(s.Who, []byte(told)) {
			t.Errorf("what is sealed with it does not tell %s", told)
		}
	}
}

func TestReferencesWithinABundleStillLead(t *testing.T) {
	t.Parallel()
	v, _ := view(t, `{"resourceType":"Bundle","type":"collection","entry":[
	{"fullUrl":"urn:uuid:0f1e2d3c-0000-4000-8000-000000000001","resource":{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"K"},"valueQuantity":{"value":4.20,"unit":"mmol/L"}}},
	{"fullUrl":"http://h/fhir/DiagnosticReport/r9","resource":{"resourceType":"DiagnosticReport","id":"r9","status":"final","code":{"text":"labs"},"result":[{"reference":"urn:uuid:0F1E2D3C-0000-4000-8000-000000000001"},{"reference":"Observation/o1"}]}},
	{"resource":{"resourceType":"Basic","id":"x"}}]}`)
	entries := v["entry"].([]any)
	if len(entries) != 2 {
		t.Fatalf("%d entries; want those of known types", len(entries))
	}
	first, second := entries[0].(map[string]any), entries[1].(map[string]any)
	results := second["resource"].(map[string]any)["result"].([]any)
	if results[0].(map[string]any)["reference"] != first["fullUrl"] {
		t.Errorf("a result leads to %v; want %v", results[0], first["fullUrl"])
	}
	if want := "Observation/" + first["resource"].(map[string]any)["id"].(string); results[1].(map[string]any)["reference"] != want {
		t.Errorf("a result leads to %v; want %v", results[1], want)
	}
	if text, _ := json.Marshal(v); !bytes.Contains(text, []byte("4.2")) {
		t.Errorf("a value is lost: %s", text)
	}
}

func TestRefusedResources(t *testing.T) {
	t.Parallel()
	for code, body := range map[string]string{
		"fhir-broken":      `{"resourceType":"Observation"} {`,
		"unknown-resource": `{"resourceType":"Basic"}`,
		"several-patients": `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient"}},{"resource":{"resourceType":"Patient"}}]}`,
	} {
		refused := new(imaging.Refusal)
		if _, err := fhir.New().Begin(strings.NewReader(body)); !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("%s: %v", code, err)
		}
	}
	if _, err := fhir.New().Begin(strings.NewReader(strings.Repeat("[", 100_000))); err == nil {
		t.Error("deep nesting is taken")
	}
}

// FuzzView looks for a name that comes through: it stands everywhere in the seeds.
func FuzzView(f *testing.F) {
	f.Add([]byte(report))
	f.Add([]byte(`{"resourceType":"Observation","valueString":"Quillfeather","component":[{"valueDateTime":"2024-02","valueSampledData":{"data":"1 2 E","period":1}}]}`))
	f.Add([]byte(`{"resourceType":"MedicationRequest","dosageInstruction":[{"text":"for Odalys Quillfeather","timing":{"event":["2024"]}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := fhir.New().Begin(bytes.NewReader(body))
		if err != nil {
			return
		}
		var content bytes.Buffer
		_, err = in.(imaging.Redactable).Redact(t.Context(), known, pseudonyms, nil,
			func() (int64, [32]byte) { return int64(len(body)), sha256.Sum256(body) }, &content, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(content.Bytes()) {
			t.Fatal("the view is no JSON")
		}
		if bytes.Contains(content.Bytes(), []byte("Odalys Quillfeather")) || bytes.Contains(content.Bytes(), []byte("MRN-7781920")) {
			t.Errorf("the view names the patient: %s", content.Bytes())
		}
	})
}
