package documents_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/documents"
	"medvault/imaging/imagingtest"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// serve puts a whole vault behind this face; the header As says who asks.
func serve(t *testing.T) (url string) {
	t.Helper()
	v := vaulttest.New(t, vaulttest.Options{AutoCare: vaulttest.Actor(record.RoleClinician).ID})
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	group := engine.Group("/api/v1", func(c *gin.Context) {
		answer.SetActor(c, vaulttest.Actor(record.Role(c.GetHeader("As"))))
	})
	documents.Register(group, documents.Config{Vault: v.Vault, Hold: 64 << 10})
	return server.URL + "/api/v1"
}

func do(t *testing.T, role record.Role, method, url, contentType string, body io.Reader, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("As", string(role))
	req.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, got
}

const multipartForm = "multipart/form-data; boundary=b"

func TestADocumentComesBackByteForByte(t *testing.T) {
	url := serve(t)
	p := imagingtest.NewPatient(1)
	report := string(imagingtest.Report(p))
	image := string(imagingtest.CT(p, imagingtest.Options{})) // larger than what is held

	for _, row := range []struct{ name, form, original, contentType string }{
		{"a report after its patient", form("patientId", p.ID, "title", "Report", "file", report), report, "application/pdf"},
		{"a report before its patient", form("file", report+"\n", "patientId", p.ID), report + "\n", "application/pdf"},
		{"an image, which names its patient", form("file", image), image, "application/dicom"},
	} {
		resp, body := do(t, record.RoleRadiology, "POST", url+"/documents", multipartForm, strings.NewReader(row.form))
		var created documents.Created
		if err := json.Unmarshal(body, &created); err != nil || resp.StatusCode != 201 || created.Present || len(created.Patient) != 27 {
			t.Errorf("%s: %d %s; want 201 with id and patient", row.name, resp.StatusCode, body)
			continue
		}
		resp, got := do(t, record.RoleClinician, "GET", url+"/documents/"+string(created.ID), "", nil)
		if resp.StatusCode != 200 || string(got) != row.original || resp.Header.Get("Content-Type") != row.contentType {
			t.Errorf("%s: back %d %s, %d bytes; want the %d that went in", row.name, resp.StatusCode, resp.Header.Get("Content-Type"), len(got), len(row.original))
		}
		sum := sha256.Sum256([]byte(row.original))
		if want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"; resp.Header.Get("Repr-Digest") != want {
			t.Errorf("%s: Repr-Digest %q; want %q", row.name, resp.Header.Get("Repr-Digest"), want)
		}
		if disposition := resp.Header.Get("Content-Disposition"); !strings.Contains(disposition, string(created.ID)) || len(imagingtest.Leaks([]byte(disposition), p.Identifiers())) > 0 {
			t.Errorf("%s: Content-Disposition %q; want the object id and no name", row.name, disposition)
		}
		if resp, _ := do(t, record.RoleClinician, "GET", url+"/documents/"+string(created.ID), "", nil, "If-None-Match", resp.Header.Get("ETag")); resp.StatusCode != 304 {
			t.Errorf("%s: again with its ETag %d; want 304", row.name, resp.StatusCode)
		}

		resp, body = do(t, record.RoleRadiology, "POST", url+"/documents", multipartForm, strings.NewReader(row.form))
		var again documents.Created
		if err := json.Unmarshal(body, &again); err != nil || resp.StatusCode != 200 || !again.Present || again.ID != created.ID {
			t.Errorf("%s: the same again %d %s; want 200 and the same id", row.name, resp.StatusCode, body)
		}
		for _, role := range []record.Role{record.RoleOperator, record.RoleResearcher, record.RoleQuality, record.RolePatient} {
			resp, got := do(t, role, "GET", url+"/documents/"+string(created.ID), "", nil)
			if bytes.Equal(got, []byte(row.original)) || row.contentType == "application/pdf" && resp.StatusCode < 400 {
				t.Errorf("%s: %s gets %d; want no original", row.name, role, resp.StatusCode)
			}
			if len(imagingtest.Leaks(got, p.Identifiers())) > 0 {
				t.Errorf("%s: what %s gets names the patient", row.name, role)
			}
		}
	}
}

func TestRefusedDocumentsLeaveNothing(t *testing.T) {
	url := serve(t)
	p := imagingtest.NewPatient(2)
	report := string(imagingtest.Report(p))
	image := string(imagingtest.CT(p, imagingtest.Options{}))
	for _, row := range []struct {
		name, form string
		status     int
		code       string
	}{
		{"no patientId", form("file", report), 400, "missing-patient-id"},
		{"neither PDF nor DICOM", form("patientId", p.ID, "file", "a letter"), 422, ""},
		{"encrypted", form("patientId", p.ID, "file", string(imagingtest.EncryptedReport(p))), 422, ""},
		{"a damaged PDF, held", form("patientId", p.ID, "file", "%PDF-1.4\n"), 422, "pdf-broken"},
		{"a damaged PDF, streamed", form("patientId", p.ID, "issuer", "", "category", "", "title", "", "file", "%PDF-1.4\n"), 422, "pdf-broken"},
		{"cut while held", form("patientId", p.ID, "file", report)[:300], 400, "form-cut"},
		{"cut while streamed", form("file", image)[:200_000], 400, "form-cut"},
		{"a field after a large file", form("file", image, "title", "T"), 400, "field-after-file"},
		{"an unknown category", form("patientId", p.ID, "category", "poem", "file", report), 400, ""},
	} {
		resp, body := do(t, record.RoleRadiology, "POST", url+"/documents", multipartForm, strings.NewReader(row.form))
		var problem answer.Problem
		if err := json.Unmarshal(body, &problem); err != nil || resp.StatusCode != row.status || row.code != "" && problem.Code != row.code || problem.Message == "" {
			t.Errorf("%s = %d %s; want %d %s", row.name, resp.StatusCode, body, row.status, row.code)
		}
		if len(imagingtest.Leaks(body, p.Identifiers())) > 0 {
			t.Errorf("%s: the refusal names the patient", row.name)
		}
	}
	// None of it is stored: the whole image is new.
	if resp, body := do(t, record.RoleRadiology, "POST", url+"/documents", multipartForm, strings.NewReader(form("file", image))); resp.StatusCode != 201 {
		t.Errorf("the whole after the cut = %d %s; want 201", resp.StatusCode, body)
	}
	if resp, body := do(t, record.RoleOperator, "POST", url+"/documents", multipartForm, strings.NewReader(form("patientId", p.ID, "file", report))); resp.StatusCode != 403 {
		t.Errorf("an operator stores = %d %s; want 403", resp.StatusCode, body)
	}
}
