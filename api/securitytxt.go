package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// SecurityContact is whom somebody tells who has found a weakness (RFC 9116).
type SecurityContact struct {
	Contact   []string // URIs, the preferred first: mailto:, https: or tel:; none: nothing is served
	Policy    string   // https URL of how reports are dealt with; optional
	Languages []string // of reports, as "zh", "en"; optional
}

// securityTxtFor is how long whoever fetches security.txt may rely on it: well under the
// year that RFC 9116 recommends at most.
const securityTxtFor = 90 * 24 * time.Hour

// Check says what RFC 9116 does not allow.
func (s SecurityContact) Check() (problem string) {
	for _, text := range s.Contact {
		u, err := url.Parse(text)
		if err != nil || !slices.Contains([]string{"mailto", "https", "tel"}, u.Scheme) || strings.ContainsAny(text, "\r\n ") {
			return "a contact is a URI as mailto:security@hospital.example, https://… or tel:+86-…"
		}
	}
	if u, err := url.Parse(s.Policy); s.Policy != "" && (err != nil || u.Scheme != "https" || strings.ContainsAny(s.Policy, "\r\n ")) {
		return "policy is an https URL"
	}
	for _, l := range s.Languages {
		if l == "" || strings.Trim(l, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return "a language is a tag as zh or en"
		}
	}
	return ""
}

// securityTxt answers GET /.well-known/security.txt, without an identity.
func (s *Server) securityTxt(c *gin.Context) {
	to := s.cfg.Security
	if len(to.Contact) == 0 {
		absent(c)
		return
	}
	var b strings.Builder
	for _, contact := range to.Contact {
		b.WriteString("Contact: " + contact + "\n")
	}
	b.WriteString("Expires: " + time.Now().Add(securityTxtFor).UTC().Truncate(24*time.Hour).Format(time.RFC3339) + "\n")
	if len(to.Languages) > 0 {
		b.WriteString("Preferred-Languages: " + strings.Join(to.Languages, ", ") + "\n")
	}
	b.WriteString("Canonical: " + s.cfg.PublicURL + "/.well-known/security.txt\n")
	if to.Policy != "" {
		b.WriteString("Policy: " + to.Policy + "\n")
	}
	c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(b.String()))
}
