package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/api/transport"
	"medvault/vault/record"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "devices"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue makes a certificate with serial 0x1a2b for the device ct-1; change may spoil it.
func (a authority) issue(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name, err := url.Parse("urn:ward-3:ct-1")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(0x1a2b), Subject: pkix.Name{CommonName: "ct-1"}, URIs: []*url.URL{name}, DNSNames: []string{"ct-1.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(template)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

// told is what the test server answers.
type told struct {
	Status int
	Code   string
	Actor  record.Actor
}

// listener is a TLS server that tells whom it believes to see.
func listener(t *testing.T, profile transport.Profile, devices authority, require bool, by identity.Authenticator, certificates *identity.Certificates) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := identity.FromRequest(r, by, certificates)
		said := told{Status: 200, Actor: a}
		if err != nil {
			said.Status, said.Code = answer.Status(err), answer.Code(err)
		}
		json.NewEncoder(w).Encode(said)
	}))
	server := devices.issue(t, func(c *x509.Certificate) {
		c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	s.TLS = transport.AskClients(profile.Server(server), devices.pool(), require)
	s.EnableHTTP2 = profile == transport.Modern
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// ask sends one request on a new connection.
func ask(t *testing.T, s *httptest.Server, profile transport.Profile, devices authority, shows *tls.Certificate, token string) (said told, err error) {
	t.Helper()
	cfg := profile.Client(devices.pool())
	if shows != nil {
		cfg.Certificates = []tls.Certificate{*shows}
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true, ForceAttemptHTTP2: profile == transport.Modern}}
	r, err := http.NewRequest("GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(r)
	if err != nil {
		return said, err
	}
	defer resp.Body.Close()
	return said, json.NewDecoder(resp.Body).Decode(&said)
}

func TestCertificatesProveMachines(t *testing.T) {
	t.Parallel()
	devices, strangers := newAuthority(t), newAuthority(t)
	modality := record.Actor{Role: record.RoleRadiology, Institution: "ward-3", Country: "CN"}
	people := map[string]record.Actor{"urn:ward-3:ct-1": modality, "ct-1.example": modality, "ct-1": modality}
	for _, profile := range []transport.Profile{transport.AES256, transport.Modern} {
		for _, row := range []struct {
			name    string
			read    string // which name
			shows   tls.Certificate
			code    string // "" proves
			noShake bool   // the connection is refused
		}{
			{"by URI", identity.SubjectURI, devices.issue(t, nil), "", false},
			{"by DNS name", identity.SubjectDNS, devices.issue(t, nil), "", false},
			{"by common name", identity.SubjectCN, devices.issue(t, nil), "", false},
			{"two names", identity.SubjectDNS, devices.issue(t, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "ct-2.example") }), "certificate-nameless", false},
			{"no name", identity.SubjectURI, devices.issue(t, func(c *x509.Certificate) { c.URIs = nil }), "certificate-nameless", false},
			{"another device", identity.SubjectCN, devices.issue(t, func(c *x509.Certificate) { c.Subject.CommonName = "ct-9" }), "certificate-unknown", false},
			{"expired", identity.SubjectURI, devices.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "", true},
			{"not yet", identity.SubjectURI, devices.issue(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), "", true},
			{"for servers only", identity.SubjectURI, devices.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "", true},
			{"of another authority", identity.SubjectURI, strangers.issue(t, nil), "", true},
		} {
			certificates, err := identity.NewCertificates(identity.CertificatesConfig{Subject: row.read, People: people})
			if err != nil {
				t.Fatal(err)
			}
			s := listener(t, profile, devices, false, &identity.Static{}, certificates)
			said, err := ask(t, s, profile, devices, &row.shows, "")
			if (err != nil) != row.noShake {
				t.Errorf("%s, %s: %v; refused should be %v", profile, row.name, err, row.noShake)
				continue
			}
			if row.noShake {
				continue
			}
			if said.Code != row.code {
				t.Errorf("%s, %s: %+v; want %q", profile, row.name, said, row.code)
			}
			sum := sha256.Sum256(row.shows.Certificate[0])
			if want := "x509:" + hex.EncodeToString(sum[:]) + " serial:1a2b"; row.code == "" && (said.Actor.Credentials != want || said.Actor.Role != "radiology" || said.Actor.ID == "" || said.Actor.Purpose != "TREAT") {
				t.Errorf("%s, %s: %+v; want credentials %s", profile, row.name, said.Actor, want)
			}
		}
	}
}

func TestBearerTokensBesideCertificates(t *testing.T) {
	t.Parallel()
	devices := newAuthority(t)
	i := newIssuer(t)
	p := newPen(t, "k1")
	i.publish(p)
	certificates, err := identity.NewCertificates(identity.CertificatesConfig{Subject: identity.SubjectCN, People: map[string]record.Actor{"ct-1": {ID: "ct", Role: "radiology"}}})
	if err != nil {
		t.Fatal(err)
	}
	mine, other := devices.issue(t, nil), devices.issue(t, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(7) })
	sum := sha256.Sum256(mine.Certificate[0])
	free := p.sign(t, i.claims(map[string]any{"jti": "1"}))
	bound := p.sign(t, i.claims(map[string]any{"jti": "2", "cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}}))
	optional := listener(t, transport.AES256, devices, false, i.open(t, nil), certificates)
	required := listener(t, transport.AES256, devices, true, i.open(t, nil), certificates)
	id := "x509:" + hex.EncodeToString(sum[:]) + " serial:1a2b"
	for _, row := range []struct {
		name        string
		shows       *tls.Certificate
		token       string
		id, code    string
		credentials string
	}{
		{"a person", nil, free, "u-1", "", "jti:1"},
		{"a person behind a device", &mine, free, "u-1", "", "jti:1 " + id},
		{"a device", &mine, "", "ct", "", id},
		{"nobody", nil, "", "", "no-identity", ""},
		{"a bound token with its certificate", &mine, bound, "u-1", "", "jti:2 " + id},
		{"a bound token that was carried away", nil, bound, "", "token-bound", ""},
		{"a bound token with another certificate", &other, bound, "", "token-bound", ""},
		{"a bad token is no better for a good certificate", &mine, "rubbish", "", "token-invalid", ""},
	} {
		said, err := ask(t, optional, transport.AES256, devices, row.shows, row.token)
		if err != nil || said.Actor.ID != row.id || said.Code != row.code || said.Actor.Credentials != row.credentials {
			t.Errorf("%s: %+v, %v; want %q %q %q", row.name, said, err, row.id, row.code, row.credentials)
		}
		if _, err := ask(t, required, transport.AES256, devices, row.shows, row.token); (err == nil) != (row.shows != nil) {
			t.Errorf("%s where certificates are required: %v", row.name, err)
		}
	}
}

// A connection that lives longer than its certificate proves nothing any more.
func TestAConnectionDoesNotOutliveItsCertificate(t *testing.T) {
	t.Parallel()
	devices := newAuthority(t)
	now := time.Now()
	certificates, err := identity.NewCertificates(identity.CertificatesConfig{Subject: identity.SubjectCN, People: map[string]record.Actor{"ct-1": {Role: "radiology"}},
		Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	cert := devices.issue(t, nil)
	r := httptest.NewRequestWithContext(context.Background(), "GET", "/", nil)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert.Leaf, devices.cert}}}
	if a, err := identity.FromRequest(r, &identity.Static{}, certificates); err != nil || a.ID != "ct-1" {
		t.Errorf("while it is good: %+v, %v", a, err)
	}
	now = now.Add(2 * time.Hour)
	if a, err := identity.FromRequest(r, &identity.Static{}, certificates); err == nil || answer.Code(err) != "certificate-expired" || a != (record.Actor{}) {
		t.Errorf("afterwards: %+v, %v; want certificate-expired", a, err)
	}
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}} // shown, and not verified
	if _, err := identity.FromRequest(r, &identity.Static{}, certificates); err == nil || answer.Code(err) != "no-identity" {
		t.Errorf("not verified: %v; want no-identity", err)
	}
}

// A browser shows a certificate to whatever page asks: what another site's page sends must
// not act as whoever sits there.
func TestAnotherSitesPageDoesNotActByCertificate(t *testing.T) {
	t.Parallel()
	devices := newAuthority(t)
	certificates, err := identity.NewCertificates(identity.CertificatesConfig{Subject: identity.SubjectCN, People: map[string]record.Actor{"ct-1": {Role: "radiology"}}})
	if err != nil {
		t.Fatal(err)
	}
	const token = "a-token-of-thirty-two-characters-"
	people, err := identity.NewStatic(map[string]record.Actor{token: {ID: "u-1", Role: "clinician"}})
	if err != nil {
		t.Fatal(err)
	}
	cert := devices.issue(t, nil)
	for _, row := range []struct {
		name, method, header, value string
		bearer                      bool
		code                        string
	}{
		{"a program", "POST", "", "", false, ""},
		{"a page of this origin", "POST", "Sec-Fetch-Site", "same-origin", false, ""},
		{"another site's page", "POST", "Sec-Fetch-Site", "cross-site", false, "cross-origin"},
		{"a neighbour's page", "DELETE", "Sec-Fetch-Site", "same-site", false, "cross-origin"},
		{"an old browser", "POST", "Origin", "https://evil.example", false, "cross-origin"},
		{"another site's link", "GET", "Sec-Fetch-Site", "cross-site", false, ""},
		{"a viewer with a token", "POST", "Sec-Fetch-Site", "cross-site", true, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), row.method, "https://vault.example/", nil)
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert.Leaf, devices.cert}}}
		if row.header != "" {
			r.Header.Set(row.header, row.value)
		}
		if row.bearer {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		a, err := identity.FromRequest(r, people, certificates)
		if (err != nil) != (row.code != "") || err != nil && (answer.Code(err) != row.code || a.Role != "") {
			t.Errorf("%s: %+v, %v; want %q", row.name, a, err, row.code)
		}
	}
}

func TestCertificatesConfigIsChecked(t *testing.T) {
	for says, cfg := range map[string]identity.CertificatesConfig{
		"subject": {Subject: "email", People: map[string]record.Actor{"a": {}}},
		"nobody":  {Subject: "cn"},
		"empty":   {Subject: "cn", People: map[string]record.Actor{"": {}}},
	} {
		if _, err := identity.NewCertificates(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("NewCertificates = %v; want %q", err, says)
		}
	}
}
