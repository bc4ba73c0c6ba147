package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api"
	"medvault/api/identity"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// house is a gateway before a whole vault, with a token for each role.
type house struct {
	*api.Server
	vault  *vaulttest.House
	tokens map[record.Role]string
}

func newHouse(t testing.TB, o vaulttest.Options, change func(*api.Config)) house {
	t.Helper()
	h := house{vault: vaulttest.New(t, o), tokens: make(map[record.Role]string)}
	people := make(map[string]record.Actor)
	for _, role := range record.Roles() {
		h.tokens[role] = identity.NewToken()
		people[h.tokens[role]] = vaulttest.Actor(role)
	}
	auth, err := identity.NewStatic(people)
	if err != nil {
		t.Fatal(err)
	}
	cfg := api.Config{Vault: h.vault.Vault, Auth: auth, PublicURL: "http://127.0.0.1:8042", Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	if h.Server, err = api.New(cfg); err != nil {
		t.Fatal(err)
	}
	return h
}

// ask is a request without a network; the id of the request is always the same.
func (h house) ask(method, path, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("X-Request-Id", "00000000-0000-4000-8000-000000000000")
	if strings.HasPrefix(path, "/dicomweb") && body != "" {
		r.Header.Set("Content-Type", `multipart/related; type="application/dicom"; boundary=b`)
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	return w
}

// stored is a document of a patient whom nobody treats, with the names it can be asked
// for by, and names of the same form that nothing has.
func (h house) stored(t testing.TB) (there, absent map[string]string) {
	t.Helper()
	patient := imagingtest.NewPatient(7)
	o := imagingtest.Options{Study: 1, Series: 1, Instance: 1}
	r, err := h.vault.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), vault.Upload{Body: bytes.NewReader(imagingtest.CT(patient, o))})
	if err != nil {
		t.Fatal(err)
	}
	care, err := h.vault.AddCare(t.Context(), vaulttest.Actor(record.RoleAdmin), r.Patient, "clinician-of-others", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	there = map[string]string{"token": string(r.Patient), "patient": string(r.Patient), "id": string(r.ID), "object": string(r.ID), "document": string(r.ID),
		"care": string(care.ID), "study": r.Study, "series": r.Series, "instance": r.SOPInstance, "frames": "1", "tag": "7FE00010"}
	absent = map[string]string{"token": "p" + strings.Repeat("a", 26), "patient": "p" + strings.Repeat("a", 26), "id": strings.Repeat("0", 32),
		"object": strings.Repeat("0", 32), "document": strings.Repeat("0", 32), "care": strings.Repeat("0", 32),
		"study": "1.2.3.4.5", "series": "1.2.3.4.6", "instance": "1.2.3.4.7", "frames": "1", "tag": "7FE00010"}
	return there, absent
}

// fill puts names into a route.
func fill(route string, names map[string]string) string {
	segments := strings.Split(route, "/")
	for i, s := range segments {
		if !strings.HasPrefix(s, ":") && !strings.HasPrefix(s, "*") {
			continue
		}
		name := s[1:]
		if name == "id" && strings.Contains(route, "/care-team/") {
			name = "care"
		}
		value, known := names[name]
		if !known {
			value = "1"
		}
		segments[i] = value
	}
	return strings.Join(segments, "/")
}

// bodies are what a route must be sent to come as far as looking for what it names.
func bodyOf(method, route string) string {
	switch {
	case method == http.MethodGet || method == http.MethodHead || method == http.MethodDelete:
		return ""
	case strings.HasSuffix(route, "/care-team"):
		return `{"clinician":"somebody"}`
	case strings.HasSuffix(route, "/refuse"):
		return `{"reason":"no"}`
	case strings.HasSuffix(route, "/release"):
		return `{"masks":[]}`
	}
	return "{}"
}

// Who may not know whether something is there is answered the same, to the byte, for
// what is there and for what is not: every route that names something, every role.
func TestDenialsRevealNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, vaulttest.Options{}, nil)
	there, absent := h.stored(t)
	ignorant := []record.Role{record.RoleRadiology, record.RoleClinician, record.RoleResearcher, record.RoleOperator, record.RolePatient, record.RoleGuardian}
	routes := h.Handler().(*gin.Engine).Routes()
	compared := 0
	for _, route := range routes {
		if !strings.Contains(route.Path, "/:") {
			continue
		}
		for _, role := range record.Roles() {
			a := h.ask(route.Method, fill(route.Path, absent), h.tokens[role], bodyOf(route.Method, route.Path))
			b := h.ask(route.Method, fill(route.Path, there), h.tokens[role], bodyOf(route.Method, route.Path))
			same := a.Code == b.Code && a.Body.String() == b.Body.String() && sameHeaders(a.Header(), b.Header())
			if same {
				compared++
				continue
			}
			if b.Code == http.StatusNotFound {
				t.Errorf("%s %s by %s: both are not there, and yet\n%s\n%s", route.Method, route.Path, role, dump(a), dump(b))
			}
			if slices.Contains(ignorant, role) {
				t.Errorf("%s %s by %s tells what is there:\n%s\n%s", route.Method, route.Path, role, dump(a), dump(b))
			}
		}
	}
	if compared < 200 {
		t.Errorf("compared %d pairs of answers; want more", compared)
	}
	// By the names of the de-identified view as well.
	mapped := h.mapped(t)
	for _, route := range routes {
		if !strings.Contains(route.Path, "/studies/:") {
			continue
		}
		for _, role := range ignorant {
			a := h.ask(route.Method, fill(route.Path, absent), h.tokens[role], bodyOf(route.Method, route.Path))
			b := h.ask(route.Method, fill(route.Path, mapped), h.tokens[role], bodyOf(route.Method, route.Path))
			if a.Code != b.Code || a.Body.String() != b.Body.String() || !sameHeaders(a.Header(), b.Header()) {
				t.Errorf("%s %s by %s and mapped names:\n%s\n%s", route.Method, route.Path, role, dump(a), dump(b))
			}
		}
	}
	// Searches lead to nothing either.
	for _, role := range ignorant {
		for _, query := range []string{"StudyInstanceUID=", "PatientID="} {
			a := h.ask("GET", "/dicomweb/studies?"+query+absent["study"], h.tokens[role], "")
			b := h.ask("GET", "/dicomweb/studies?"+query+there["study"], h.tokens[role], "")
			if a.Code != b.Code || a.Body.String() != b.Body.String() {
				t.Errorf("search by %s: %s\n%s", role, dump(a), dump(b))
			}
		}
	}
}

// mapped are the names of the stored document in the de-identified view.
func (h house) mapped(t *testing.T) map[string]string {
	t.Helper()
	w := h.ask("GET", "/dicomweb/instances", h.tokens[record.RoleQuality], "")
	var found []map[string]struct{ Value []any }
	if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil || len(found) != 1 {
		t.Fatalf("quality finds %s, %v; want one instance", dump(w), err)
	}
	names := map[string]string{"frames": "1", "tag": "7FE00010"}
	for name, tag := range map[string]string{"study": "0020000D", "series": "0020000E", "instance": "00080018"} {
		names[name], _ = found[0][tag].Value[0].(string)
	}
	return names
}

func sameHeaders(a, b http.Header) bool {
	var x, y bytes.Buffer
	a.Write(&x)
	b.Write(&y)
	return x.String() == y.String()
}

func dump(w *httptest.ResponseRecorder) string {
	var b bytes.Buffer
	io.WriteString(&b, http.StatusText(w.Code)+" ")
	w.Header().Write(&b)
	return strings.ReplaceAll(b.String(), "\r\n", "; ") + w.Body.String()
}

// Whatever is answered: no cache keeps it, no browser guesses at it or tells where it was
// found, and methods that nobody needs are refused.
func TestEveryAnswerIsMarked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, vaulttest.Options{}, nil)
	for _, row := range []struct {
		method, path, token string
		status              int
	}{
		{"GET", "/healthz", "", 200},
		{"GET", "/api/v1/regions", h.tokens[record.RoleOperator], 200},
		{"GET", "/api/v1/regions", "wrong", 401},
		{"GET", "/api/v1/regions", h.tokens[record.RoleClinician], 403},
		{"GET", "/api/v1/documents/" + strings.Repeat("0", 32), h.tokens[record.RoleClinician], 404},
		{"GET", "/nowhere", "", 404},
		{"TRACE", "/api/v1/regions", h.tokens[record.RoleOperator], 405},
		{"CONNECT", "/api/v1/regions", h.tokens[record.RoleOperator], 405},
		{"POST", "/healthz", "", 405},
	} {
		w := h.ask(row.method, row.path, row.token, "")
		if w.Code != row.status {
			t.Errorf("%s %s: %d; want %d", row.method, row.path, w.Code, row.status)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Server": "", "X-Powered-By": ""} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s %q; want %q", row.method, row.path, name, got, want)
			}
		}
		if w.Body.Len() > 0 && row.path != "/healthz" && w.Header().Get("Content-Type") != "application/json" && !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json;") {
			t.Errorf("%s %s: content type %q", row.method, row.path, w.Header().Get("Content-Type"))
		}
	}
	for _, body := range []string{`{"subject":"x","reason":"left","id":"mine"}`, `{"subject":"x","reason":"left"}{}`, `[]`, ``} {
		if w := h.ask("POST", "/api/v1/revocations", h.tokens[record.RoleDPO], body); w.Code != 400 {
			t.Errorf("body %q: %d; want 400", body, w.Code)
		}
	}
}
