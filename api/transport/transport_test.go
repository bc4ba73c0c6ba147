package transport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"medvault/api/transport"
)

// certificate for 127.0.0.1 and the pool that trusts it.
func certificate(t *testing.T, withRSA bool) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	var der []byte
	var key any
	if withRSA {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der, err = x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
		if err != nil {
			t.Fatal(err)
		}
		key = k
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err = x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
		if err != nil {
			t.Fatal(err)
		}
		key = k
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// serve answers "ok" under config and returns its address.
func serve(t *testing.T, config *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	s.TLS = config
	s.EnableHTTP2 = config.MinVersion == tls.VersionTLS13
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestNegotiatedOnARealLink(t *testing.T) {
	for _, withRSA := range []bool{false, true} {
		cert, roots := certificate(t, withRSA)
		aes256, modern := serve(t, transport.AES256.Server(cert)), serve(t, transport.Modern.Server(cert))
		anything := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		for _, row := range []struct {
			name   string
			server string
			client *tls.Config
			want   uint16 // version; 0: refused
		}{
			{"aes256 both", aes256, transport.AES256.Client(roots), tls.VersionTLS12},
			{"aes256 and a client that prefers 1.3", aes256, anything, tls.VersionTLS12},
			{"modern both", modern, transport.Modern.Client(roots), tls.VersionTLS13},
			{"modern and a client of any kind", modern, anything, tls.VersionTLS13},
			{"aes256 server, modern client", aes256, transport.Modern.Client(roots), 0},
			{"modern server, aes256 client", modern, transport.AES256.Client(roots), 0},
			{"aes256 server, AES-128 client", aes256, &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS12,
				CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}, 0},
			{"aes256 server, unknown certificate", aes256, transport.AES256.Client(x509.NewCertPool()), 0},
			{"modern server, unknown certificate", modern, transport.Modern.Client(x509.NewCertPool()), 0},
			{"modern server, TLS 1.1", modern, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, 0},
		} {
			c, err := tls.Dial("tcp", row.server, row.client)
			if row.want == 0 {
				if err == nil {
					c.Close()
					t.Errorf("%s: connected with %s; want refused", row.name, tls.CipherSuiteName(c.ConnectionState().CipherSuite))
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", row.name, err)
				continue
			}
			state := c.ConnectionState()
			c.Close()
			suite := tls.CipherSuiteName(state.CipherSuite)
			t.Logf("%s: %s %s", row.name, tls.VersionName(state.Version), suite)
			if state.Version != row.want || row.want == tls.VersionTLS12 && !strings.Contains(suite, "AES_256_GCM") {
				t.Errorf("%s: %s %s; want %s", row.name, tls.VersionName(state.Version), suite, tls.VersionName(row.want))
			}
		}
	}
}

func TestOutboundClientRefusesWeakServers(t *testing.T) {
	cert, roots := certificate(t, false)
	weak := serve(t, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
	if _, err := transport.AES256.HTTPClient(roots).Get("https://" + weak); err == nil {
		t.Error("an AES-128 server was spoken to")
	}
	strong := serve(t, transport.AES256.Server(cert))
	answer, err := transport.AES256.HTTPClient(roots).Get("https://" + strong)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if suite := answer.TLS.CipherSuite; suite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
		t.Errorf("suite = %s", tls.CipherSuiteName(suite))
	}
	if answer, err := transport.Modern.HTTPClient(roots).Get("https://" + serve(t, transport.Modern.Server(cert))); err != nil {
		t.Error(err)
	} else if answer.Body.Close(); answer.TLS.Version != tls.VersionTLS13 {
		t.Errorf("modern negotiated %s", tls.VersionName(answer.TLS.Version))
	}
}

func TestPlainHTTPLeavesNotThisMachine(t *testing.T) {
	to := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/", http.StatusFound))
	defer to.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, url := range []string{"http://192.0.2.1/", to.URL} { // at once, and by redirect
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.AES256.HTTPClient(nil).Do(r); err == nil || !strings.Contains(err.Error(), "plain http to 192.0.2.1") {
			t.Errorf("Get(%s) = %v; want refused as plain http", url, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for _, row := range []struct{ url, says string }{
		{"https://vault.hospital.example:8200", ""},
		{"http://127.0.0.1:8200/x", ""},
		{"http://localhost:9000", ""},
		{"http://[::1]:9000", ""},
		{"http://vault.hospital.example:8200", "plain http"},
		{"http://localhost.example.com", "plain http"},
		{"http://127.0.0.1.example.com", "plain http"},
		{"http://0.0.0.0:80", "plain http"},
		{"https://user:geheim@host", "user or password"},
		{"ftp://host/x", "scheme"},
		{"HTTP://10.0.0.1", "plain http"},
		{"//host", "scheme"},
		{"host:443", "no host"},
		{"", "no host"},
		{"https://", "no host"},
		{"https://user:geheim@ho st/%zz", "not a URL"},
	} {
		err := transport.CheckURL(row.url)
		if (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("CheckURL(%q) = %v; want %q", row.url, err, row.says)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("CheckURL(%q) tells the password", row.url)
		}
	}
}

func TestCheckListen(t *testing.T) {
	for _, row := range []struct {
		addr string
		tls  bool
		ok   bool
	}{
		{"127.0.0.1:8042", false, true}, {"localhost:8042", false, true}, {"[::1]:0", false, true},
		{"0.0.0.0:8042", false, false}, {":8042", false, false}, {"[::]:8042", false, false},
		{"10.1.2.3:8042", false, false}, {"gateway.example:8042", false, false},
		{"0.0.0.0:8042", true, true}, {":8042", true, true},
		{"8042", true, false}, {"", false, false},
	} {
		if err := transport.CheckListen(row.addr, row.tls); (err == nil) != row.ok {
			t.Errorf("CheckListen(%q, tls %v) = %v; want ok %v", row.addr, row.tls, err, row.ok)
		}
	}
}

func TestParseProfile(t *testing.T) {
	for name, want := range map[string]transport.Profile{"": transport.AES256, "aes256": transport.AES256, "modern": transport.Modern} {
		if got, err := transport.ParseProfile(name); got != want || err != nil {
			t.Errorf("ParseProfile(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := transport.ParseProfile("AES256"); err == nil {
		t.Error("an unknown profile was taken")
	}
}
