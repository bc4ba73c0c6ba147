package operations_test

import (
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/credentials"
	"medvault/api/documents"
	"medvault/api/erasures"
	"medvault/api/exports"
	"medvault/api/incidents"
	"medvault/api/operations"
	"medvault/api/patients"
	"medvault/api/policy"
	"medvault/api/reviews"
	"medvault/api/rights"
	"medvault/api/staff"
)

func TestOpenAPINamesEveryRoute(t *testing.T) {
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	group := engine.Group("/api/v1")
	documents.Register(group, documents.Config{})
	patients.Register(group, patients.Config{})
	reviews.Register(group, reviews.Config{})
	operations.Register(group, operations.Config{})
	exports.Register(group, exports.Config{})
	erasures.Register(group, erasures.Config{})
	incidents.Register(group, incidents.Config{})
	credentials.Register(group, credentials.Config{})
	staff.Register(group, staff.Config{})
	policy.Register(group, policy.Config{})
	rights.Register(group, rights.Config{})
	rights.RegisterOpen(engine, rights.Config{})

	var registered []string
	parameter := regexp.MustCompile(`[:*](\w+)`)
	for _, r := range engine.Routes() {
		if r.Method == "HEAD" {
			continue // answered as the GET beside it
		}
		path := strings.TrimPrefix(r.Path, "/api/v1")
		registered = append(registered, r.Method+" "+parameter.ReplaceAllString(path, "{$1}"))
	}
	slices.Sort(registered)

	w := httptest.NewRecorder()
	engine.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/openapi.json", nil))
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("openapi.json: version %q, %v; want 3.1", doc.OpenAPI, err)
	}
	var described []string
	for path, operations := range doc.Paths {
		for method := range operations {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(described)
	if !slices.Equal(described, registered) {
		t.Errorf("openapi.json describes\n%s\nwant what is registered\n%s", strings.Join(described, "\n"), strings.Join(registered, "\n"))
	}
}

func TestOpenAPIReferencesResolve(t *testing.T) {
	var doc any
	if err := json.Unmarshal(operations.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && !resolves(doc, ref) {
				t.Errorf("$ref %s leads nowhere", ref)
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(doc)
}

func resolves(doc any, ref string) bool {
	for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		m, ok := doc.(map[string]any)
		if !ok || m[step] == nil {
			return false
		}
		doc = m[step]
	}
	return true
}

// What is refused before the vault is asked: there is no vault here to ask.
func TestBadVerificationsAreRefused(t *testing.T) {
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	operations.Register(engine.Group("/api/v1"), operations.Config{})
	for _, body := range []string{"nonsense", `{"level":1}`, `{"levels":"read"}`, `{"level":"read"} x`, "[]"} {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequest("POST", "/api/v1/verifications", strings.NewReader(body)))
		if w.Code != 400 {
			t.Errorf("POST verifications %s = %d %s; want 400", body, w.Code, w.Body)
		}
	}
}
