package dicomweb_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/dicomweb"
)

// What is refused before the vault is asked: there is no vault here to ask.
func TestRefusedAtTheDoor(t *testing.T) {
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	dicomweb.Register(engine.Group("/dicomweb"), dicomweb.Config{BaseURL: "http://vault.example/dicomweb/"})

	for _, row := range []struct {
		method, target, contentType, accept string
		status                              int
	}{
		{"POST", "/studies", "text/plain", "", 415},
		{"POST", "/studies", "", "", 415},
		{"POST", "/studies", `multipart/related; type="application/dicom+json"; boundary=b`, "", 415},
		{"POST", "/studies", `multipart/related; type="application/dicom"`, "", 400},
		{"POST", "/studies", related, "text/html", 406},
		{"POST", "/studies/..%2e", related, "", 400},
		{"GET", "/studies?limit=-1", "", "", 400},
		{"GET", "/studies?Nonsense=1", "", "", 400},
		{"GET", "/studies", "", "text/html", 406},
		{"GET", "/studies/1.2%00/series", "", "", 400},
		{"GET", "/studies/1.2/series/%20/instances", "", "", 400},
		{"GET", "/studies/1.2/metadata", "", `multipart/related; type="application/dicom+xml"`, 406},
		{"GET", "/studies/1.2/metadata?accept=%zz", "", "", 400},
		{"GET", "/studies/1.2%22", "", "", 400},
		{"GET", "/studies/1.2/series/1/instances/1/frames/0", "", "", 400},
		{"GET", "/studies/1.2/series/1/instances/1/frames/one", "", "", 400},
		{"GET", "/studies/1.2/series/1/instances/1/bulkdata/nonsense", "", "", 400},
		{"GET", "/studies//instances", "", "", 400},
		{"GET", "/studies//series", "", "", 400},
		{"GET", "/studies//metadata", "", "", 400},
		{"HEAD", "/studies//metadata", "", "", 400},
		{"GET", "/studies/1.2/series//instances", "", "", 400},
		{"GET", "/studies/1.2/series//metadata", "", "", 400},
		{"GET", "/studies/1.2/series/1/instances//frames/1", "", "", 400},
		{"GET", "/studies/1.2/series//instances/1/bulkdata/7FE00010", "", "", 400},
		{"GET", "/nowhere", "", "", 404},
		{"OPTIONS", "", "", "", 200},
		{"OPTIONS", "/", "", "", 200},
	} {
		req := httptest.NewRequest(row.method, "/dicomweb"+row.target, strings.NewReader("--b--"))
		req.Header.Set("Content-Type", row.contentType)
		if row.accept != "" {
			req.Header.Set("Accept", row.accept)
		}
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, req)
		if w.Code != row.status {
			t.Errorf("%s %s (%s, Accept %q) = %d %s; want %d", row.method, row.target, row.contentType, row.accept, w.Code, w.Body, row.status)
		}
		if w.Code >= 400 && w.Code != http.StatusNotFound && !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			t.Errorf("%s %s: refusal as %q; want application/json", row.method, row.target, w.Header().Get("Content-Type"))
		}
	}
}
