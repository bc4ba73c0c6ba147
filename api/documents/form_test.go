package documents_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"medvault/api/documents"
	"medvault/vault/record"
)

const hold = 256 // bytes a file may have and still wait for its fields

var (
	small = "%PDF-small"
	large = "%PDF-" + strings.Repeat("x", 3*hold)
	dicom = strings.Repeat("\x00", 128) + "DICM" + strings.Repeat("x", 3*hold)
)

// form writes fields in the order given: name, value, name, value…
func form(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString("--b\r\nContent-Disposition: form-data; name=\"" + pairs[i] + "\"")
		if pairs[i] == "file" {
			b.WriteString("; filename=\"x.pdf\"\r\nContent-Type: application/pdf")
		}
		b.WriteString("\r\n\r\n" + pairs[i+1] + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

func TestFieldsComeInAnyOrder(t *testing.T) {
	for _, row := range []struct {
		name     string
		body     string
		file     string
		patient  string
		title    string
		streamed bool
	}{
		{"fields first", form("patientId", "P", "title", "T", "file", small), small, "P", "T", false},
		{"file first", form("file", small, "title", "T", "patientId", "P"), small, "P", "T", false},
		{"file between", form("patientId", "P", "file", small, "title", "T"), small, "P", "T", false},
		{"all fields first", form("patientId", "P", "issuer", "I", "category", "report", "title", "T", "file", small), small, "P", "T", true},
		{"large after patientId", form("patientId", "P", "file", large), large, "P", "", true},
		{"large DICOM names its patient itself", form("file", dicom), dicom, "", "", true},
		{"exactly what may be held", form("file", large[:hold], "patientId", "P"), large[:hold], "P", "", false},
		{"no patientId", form("file", small), small, "", "", false}, // the vault refuses it, or it is DICOM
		{"empty file", form("patientId", "P", "file", ""), "", "P", "", false},
	} {
		up, file, streamed, err := documents.ReadForm("b", strings.NewReader(row.body), hold)
		if err != nil || string(file) != row.file || up.PatientID != row.patient || up.Title != row.title || streamed != row.streamed {
			t.Errorf("%s: %d bytes, patient %q, title %q, streamed %v, %v; want %d, %q, %q, %v",
				row.name, len(file), up.PatientID, up.Title, streamed, err, len(row.file), row.patient, row.title, row.streamed)
		}
	}
}

func TestRefusedForms(t *testing.T) {
	for _, row := range []struct{ name, body, code string }{
		{"large before patientId", form("file", large, "patientId", "P"), "patient-id-after-file"},
		{"one byte more than may be held", form("file", large[:hold+1], "patientId", "P"), "patient-id-after-file"},
		{"a field after a large file", form("patientId", "P", "file", large, "title", "T"), "field-after-file"},
		{"no file", form("patientId", "P"), "no-file"},
		{"nothing", "--b--\r\n", "no-file"},
		{"two files", form("patientId", "P", "file", small, "file", small), "repeated-field"},
		{"two large files", form("patientId", "P", "file", large, "file", large), "repeated-field"},
		{"two patients", form("patientId", "P", "patientId", "Q", "file", small), "repeated-field"},
		{"an unknown field", form("patientID", "P", "file", small), "unknown-field"},
		{"an unknown field after the file", form("patientId", "P", "file", small, "x", "y"), "unknown-field"},
		{"a long field", form("patientId", strings.Repeat("P", 5000), "file", small), "field-too-long"},
	} {
		_, _, _, err := documents.ReadForm("b", strings.NewReader(row.body), hold)
		var refusal *record.Refusal
		if !errors.As(err, &refusal) || refusal.Code != row.code || refusal.Kind != record.ErrInvalid {
			t.Errorf("%s: %v; want refusal %s", row.name, err, row.code)
		}
	}
}

func TestACutFormIsNeverStored(t *testing.T) {
	for _, whole := range []string{
		form("patientId", "P", "file", small),
		form("patientId", "P", "file", large),
		form("patientId", "P", "issuer", "I", "category", "c", "title", "T", "file", small),
		form("file", small, "patientId", "P"),
	} {
		end := len(whole) - len("\r\n") // what follows the closing boundary is not missed
		for cut := range end {
			if _, file, _, err := documents.ReadForm("b", strings.NewReader(whole[:cut]), hold); err == nil {
				t.Fatalf("cut at %d of %d: %d bytes without error; want an error", cut, end, len(file))
			}
		}
	}
}

func FuzzReadForm(f *testing.F) {
	f.Add(form("patientId", "P", "file", small))
	f.Add(form("file", large, "title", "T"))
	f.Fuzz(func(t *testing.T, body string) {
		_, file, _, err := documents.ReadForm("b", strings.NewReader(body), hold)
		if err != nil && !errors.Is(err, record.ErrInvalid) {
			t.Errorf("%v; want a refusal of the request", err)
		}
		if len(file) > len(body) {
			t.Errorf("%d bytes of file from a form of %d", len(file), len(body))
		}
	})
}

func TestRefusedAtTheDoor(t *testing.T) {
	engine := newEngine(t, documents.Config{Hold: hold})
	for _, row := range []struct {
		method, path, contentType string
		body                      io.Reader
		status                    int
	}{
		{"POST", "/documents", "application/json", strings.NewReader("{}"), 400},
		{"POST", "/documents", "multipart/form-data", strings.NewReader("{}"), 400},
		{"POST", "/documents", "multipart/form-data; boundary=b", strings.NewReader(form("patientId", "P")), 400},
		{"POST", "/documents", "multipart/form-data; boundary=b", http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(form("file", large))), 200), 413},
		{"GET", "/documents/..", "", nil, 404},
		{"GET", "/documents/0123456789ABCDEF0123456789abcdef", "", nil, 404},
		{"GET", "/documents/%2e%2e%2f0123456789abcdef0123456789abcd", "", nil, 404},
		{"GET", "/documents/0123456789abcdef0123456789abcde%00", "", nil, 404},
	} {
		req := httptest.NewRequest(row.method, "/api/v1"+row.path, row.body)
		req.Header.Set("Content-Type", row.contentType)
		req.Header.Set("As", string(record.RoleRadiology))
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, req)
		if w.Code != row.status {
			t.Errorf("%s %s = %d %s; want %d", row.method, row.path, w.Code, w.Body, row.status)
		}
	}
}
