package api_test

import (
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"medvault/api"
	"medvault/vault/vaulttest"
)

func TestSecurityTxtNamesTheContact(t *testing.T) {
	t.Parallel()
	contact := api.SecurityContact{Contact: []string{"mailto:security@hospital.example", "tel:+86-10-0000"}, Policy: "https://hospital.example/security", Languages: []string{"zh", "en"}}
	if problem := contact.Check(); problem != "" {
		t.Fatalf("Check = %q", problem)
	}
	ask := func(contact api.SecurityContact) *httptest.ResponseRecorder {
		h := newHouse(t, vaulttest.Options{}, func(c *api.Config) { c.Security = contact })
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/security.txt", nil))
		return w
	}
	w := ask(contact)
	// RFC 9116: Contact and Expires are required, one field a line.
	form := regexp.MustCompile(`^Contact: mailto:security@hospital.example\nContact: tel:\+86-10-0000\nExpires: (\S+)\nPreferred-Languages: zh, en\nCanonical: (\S+)/\.well-known/security\.txt\nPolicy: https://hospital.example/security\n$`)
	said := form.FindStringSubmatch(w.Body.String())
	if w.Code != 200 || said == nil || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("security.txt = %d %q %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	if expires, err := time.Parse(time.RFC3339, said[1]); err != nil || !expires.After(time.Now().AddDate(0, 0, 30)) || expires.After(time.Now().AddDate(1, 0, 0)) {
		t.Errorf("Expires = %s, %v; want within a year", said[1], err)
	}
	if w := ask(api.SecurityContact{}); w.Code != 404 {
		t.Errorf("without a contact = %d; want 404", w.Code)
	}
	for _, bad := range []api.SecurityContact{{Contact: []string{"security@hospital.example"}}, {Contact: []string{"mailto:a@b\nContact: mailto:c@d"}},
		{Policy: "http://hospital.example"}, {Languages: []string{"en, Contact: x"}}} {
		if bad.Check() == "" {
			t.Errorf("Check(%q) finds nothing", bad)
		}
	}
}
