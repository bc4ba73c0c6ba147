package transport_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"medvault/api/transport"
)

// FuzzCheckURL: whatever passes is either https or goes to this machine, as the HTTP
// client itself reads the address.
func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://a.example/x?y", "http://127.0.0.1:1", "http://[::1]/", "http://localhost", "http://127.1/", "http://user@127.0.0.1", "http://[::ffff:10.0.0.1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if transport.CheckURL(raw) != nil {
			return
		}
		r, err := http.NewRequest(http.MethodGet, raw, nil)
		if err != nil {
			return // no client would go there
		}
		host := r.URL.Hostname()
		ip := net.ParseIP(host)
		if r.URL.Scheme != "https" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			t.Errorf("CheckURL(%q) passed; it goes to %s://%s", raw, r.URL.Scheme, host)
		}
		if r.URL.User != nil || strings.TrimSpace(host) == "" {
			t.Errorf("CheckURL(%q) passed with user %v and host %q", raw, r.URL.User, host)
		}
	})
}
