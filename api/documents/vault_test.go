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

// newEngine puts a whole vault behind this face; the header As says who asks.
func newEngine(t *testing.T, cfg documents.Config) *gin.Engine {
	t.Helper()
	return engineOf(t, cfg, vaulttest.Options{})
}

func engineOf(t *testing.T, cfg documents.Config, o vaulttest.Options) *gin.Engine {
	t.Helper()
	o.AutoCare = vaulttest.Actor(record.RoleClinician).ID
	cfg.Vault = vaulttest.New(t, o).Vault
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	group := engine.Group("/api/v1", func(c *gin.Context) {
		answer.SetActor(c, vaulttest.Actor(record.Role(c.GetHeader("As"))))
	})
	documents.Register(group, cfg)
	return engine
}

func serve(t *testing.T, cfg documents.Config) (url string) {
	t.Helper()
	server := httptest.NewServer(newEngine(t, cfg))
	t.Cleanup(server.Close)
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
	url := serve(t, documents.Config{Hold: 64 << 10})
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
	url := serve(t, documents.Config{Hold: 64 << 10})
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
		{"a damaged PDF, held", form("patientId", p.ID, "file", "%PDF-1.4\n"), 422, "pdf-broken"},
		{"a damaged PDF, streamed", form("patientId", p.ID, "issuer", "", "category", "", "title", "", "file", "%PDF-1.4\n"), 422, "pdf-broken"},
		{"cut while held", form("patientId", p.ID, "file", report)[:300], 400, "form-cut"},
		{"cut while streamed", form("file", image)[:200_000], 400, "form-cut"},
		{"a field after a large file", form("file", image, "title", "T"), 400, "field-after-file"},
		{"cut while streamed after a header that can be read", form("patientId", p.ID, "issuer", "", "category", "", "title", "", "file", report)[:700], 400, "form-cut"},
		{"a DICOM document of another patient", form("patientId", "somebody else", "file", image), 409, "patient-mismatch"},
		{"a DICOM document of another issuer", form("issuer", "elsewhere", "file", image), 409, "patient-mismatch"},
		{"a patientId with a backslash", form("patientId", `a\b`, "file", report), 400, "bad-patient-id"},
		{"a patientId with a line break", form("patientId", "a\nb", "file", report), 400, "bad-patient-id"},
		{"a patientId that is not UTF-8", form("patientId", "a\xff", "file", report), 400, "bad-patient-id"},
		{"a long patientId", form("patientId", strings.Repeat("9", 65), "file", report), 400, "bad-patient-id"},
		{"an issuer with a control character", form("patientId", p.ID, "issuer", "a\x01", "file", report), 400, "bad-issuer"},
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

// Wherever a form breaks off while its file streams, that is what the sender is told,
// whatever the reader of the document makes of it.
func TestACutFormIsToldAsOne(t *testing.T) {
	url := serve(t, documents.Config{Hold: hold})
	p := imagingtest.NewPatient(3)
	for name, whole := range map[string]string{
		"PDF":   form("patientId", p.ID, "file", string(imagingtest.Report(p))),
		"DICOM": form("file", string(imagingtest.CT(p, imagingtest.Options{Rows: 16, Columns: 16, Nesting: 3}))),
	} {
		start := strings.Index(whole, "application/pdf") + 2*hold // more than is held
		for cut := start; cut < len(whole)-4; cut += 97 {
			resp, body := do(t, record.RoleRadiology, "POST", url+"/documents", multipartForm, strings.NewReader(whole[:cut]))
			var problem answer.Problem
			if err := json.Unmarshal(body, &problem); err != nil || resp.StatusCode != 400 || problem.Code != "form-cut" {
				t.Errorf("%s cut at %d of %d = %d %s; want 400 form-cut", name, cut, len(whole), resp.StatusCode, body)
			}
		}
	}
}

// endless is a body that nobody may read.
type endless struct{ t *testing.T }

func (e endless) Read([]byte) (int, error) {
	e.t.Error("the body was read before it was asked who may store")
	return 0, io.EOF
}

func TestWhoMayNotStoreIsNotRead(t *testing.T) {
	engine := newEngine(t, documents.Config{})
	for _, role := range []record.Role{record.RolePatient, record.RoleOperator, record.RoleResearcher} {
		req := httptest.NewRequest("POST", "/api/v1/documents", endless{t})
		req.Header.Set("Content-Type", multipartForm)
		req.Header.Set("As", string(role))
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, req)
		if w.Code != 403 {
			t.Errorf("%s: %d %s; want 403", role, w.Code, w.Body)
		}
	}
}

// slow is a body that stops once, after its first bytes.
type slow struct {
	first, rest io.Reader
	reached, on chan bool
}

func (s *slow) Read(b []byte) (int, error) {
	if n, err := s.first.Read(b); err == nil {
		return n, nil
	}
	if s.reached != nil {
		close(s.reached)
		s.reached = nil
		<-s.on
	}
	return s.rest.Read(b)
}

// One request at a time has room for its file here.
func TestWhatAllRequestsHoldIsBounded(t *testing.T) {
	engine := newEngine(t, documents.Config{Hold: 1 << 20, HoldAll: 1<<20 + 1<<19})
	p := imagingtest.NewPatient(4)
	whole := form("file", string(imagingtest.Report(p)), "patientId", p.ID)
	store := func(body io.Reader) *httptest.ResponseRecorder {
		req := httptest.NewRequest("POST", "/api/v1/documents", body)
		req.Header.Set("Content-Type", multipartForm)
		req.Header.Set("As", string(record.RoleRadiology))
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, req)
		return w
	}
	reached, on, done := make(chan bool), make(chan bool), make(chan int)
	go func() {
		done <- store(&slow{strings.NewReader(whole[:300]), strings.NewReader(whole[300:]), reached, on}).Code
	}()
	<-reached
	if w := store(strings.NewReader(whole)); w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"busy"`) {
		t.Errorf("a second file while another is held: %d %s, Retry-After %q; want 503", w.Code, w.Body, w.Header().Get("Retry-After"))
	}
	close(on)
	if got := <-done; got != 201 {
		t.Errorf("the file that was held: %d; want 201", got)
	}
	if w := store(strings.NewReader(whole)); w.Code != 200 {
		t.Errorf("after it has ended: %d %s; want 200", w.Code, w.Body)
	}
}

func TestWhatIsSaidAnewOfAStoredDocumentIsNotDropped(t *testing.T) {
	url := serve(t, documents.Config{})
	p := imagingtest.NewPatient(5)
	report, image := string(imagingtest.Report(p)), string(imagingtest.CT(p, imagingtest.Options{Rows: 32, Columns: 32}))
	for _, row := range []struct {
		name   string
		form   string
		status int
		code   string
	}{
		{"new", form("patientId", p.ID, "category", "diagnosis", "title", "Letter", "file", report), 201, ""},
		{"the same", form("patientId", p.ID, "category", "diagnosis", "title", "Letter", "file", report), 200, ""},
		{"nothing said", form("patientId", p.ID, "file", report), 200, ""},
		{"another category", form("patientId", p.ID, "category", "history", "file", report), 409, "category-differs"},
		{"another title", form("patientId", p.ID, "title", "Other", "file", report), 409, "title-differs"},
		{"an image", form("patientId", p.ID, "issuer", p.Issuer, "file", image), 201, ""},
		{"the same image", form("file", image), 200, ""},
		{"the same image of another category", form("category", "result", "file", image), 409, "category-differs"},
	} {
		resp, body := do(t, record.RoleRadiology, "POST", url+"/documents", multipartForm, strings.NewReader(row.form))
		var problem answer.Problem
		if err := json.Unmarshal(body, &problem); err != nil || resp.StatusCode != row.status || problem.Code != row.code {
			t.Errorf("%s = %d %s; want %d %s", row.name, resp.StatusCode, body, row.status, row.code)
		}
	}
}

func TestHeadSaysWhatGetWould(t *testing.T) {
	url := serve(t, documents.Config{})
	p := imagingtest.NewPatient(6)
	_, body := do(t, record.RoleRadiology, "POST", url+"/documents", multipartForm, strings.NewReader(form("patientId", p.ID, "file", string(imagingtest.Report(p)))))
	var created documents.Created
	if err := json.Unmarshal(body, &created); err != nil {
		t.Fatal(err)
	}
	at := url + "/documents/" + string(created.ID)
	get, _ := do(t, record.RoleClinician, "GET", at, "", nil)
	head, got := do(t, record.RoleClinician, "HEAD", at, "", nil)
	if head.StatusCode != 200 || len(got) != 0 {
		t.Errorf("HEAD = %d with %d bytes; want 200 and none", head.StatusCode, len(got))
	}
	for _, name := range []string{"Content-Type", "Content-Length", "ETag", "Repr-Digest", "Content-Disposition"} {
		if head.Header.Get(name) == "" || head.Header.Get(name) != get.Header.Get(name) {
			t.Errorf("HEAD says %s: %q; GET %q", name, head.Header.Get(name), get.Header.Get(name))
		}
	}
	if head, _ := do(t, record.RoleOperator, "HEAD", at, "", nil); head.StatusCode < 400 {
		t.Errorf("HEAD by an operator = %d; want refused", head.StatusCode)
	}
}
