package patients_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/patients"
)

// What is refused before the vault is asked: there is no vault here to ask.
func TestRefusedAtTheDoor(t *testing.T) {
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	patients.Register(engine.Group("/api/v1"), patients.Config{})
	token := "p" + strings.Repeat("a", 26)
	for _, row := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/patients/nobody/care-team", "", 404},
		{"GET", "/patients//care-team", "", 400},
		{"POST", "/patients//care-team", `{"clinician":"c"}`, 400},
		{"DELETE", "/patients//care-team/" + strings.Repeat("0", 32), "", 400},
		{"GET", "/patients/P" + token[1:] + "/care-team", "", 404},
		{"POST", "/patients/" + token + "1/care-team", `{"clinician":"c"}`, 404},
		{"POST", "/patients/" + token + "/care-team", ``, 400},
		{"POST", "/patients/" + token + "/care-team", `{}`, 400},
		{"POST", "/patients/" + token + "/care-team", `{"clinician":"c"} {}`, 400},
		{"POST", "/patients/" + token + "/care-team", `{"clinician":"c","unti":"2026-12-31T00:00:00Z"}`, 400},
		{"POST", "/patients/" + token + "/care-team", `{"clinician":"c","until":"tomorrow"}`, 400},
		{"DELETE", "/patients/" + token + "/care-team/..%2e", "", 404},
		{"DELETE", "/patients/nobody/care-team/" + strings.Repeat("0", 32), "", 404},
	} {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequest(row.method, "/api/v1"+row.path, strings.NewReader(row.body)))
		if w.Code != row.status {
			t.Errorf("%s %s %s = %d %s; want %d", row.method, row.path, row.body, w.Code, w.Body, row.status)
		}
	}
}
