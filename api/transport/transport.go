// Package transport is how bytes travel: the TLS profiles of every connection, in
// and out, and the refusal of anything in clear that leaves this machine.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Profile is a choice of TLS versions and cipher suites. The zero Profile is AES256.
type Profile string

const (
	// AES256 is TLS 1.2 with ECDHE and AES-256-GCM only. Go lets nobody choose among
	// the suites of TLS 1.3 and prefers AES-128 there, so it is not offered.
	AES256 Profile = "aes256"
	// Modern is TLS 1.3 with the suites Go chooses, which may be AES-128.
	Modern Profile = "modern"
)

// ParseProfile reads a profile's name; "" is AES256.
func ParseProfile(name string) (Profile, error) {
	switch p := Profile(name); p {
	case "":
		return AES256, nil
	case AES256, Modern:
		return p, nil
	}
	return "", fmt.Errorf("TLS profile is %q; it can be %q or %q", name, AES256, Modern)
}

// Server is the configuration of a listener that shows these certificates.
func (p Profile) Server(certificates ...tls.Certificate) *tls.Config {
	c := p.config()
	c.Certificates = certificates
	return c
}

// AskClients has a listener ask its clients for certificates of these authorities, and
// refuse those who have none when they are required. One that is shown is verified
// always: chain, use for clients, times.
func AskClients(c *tls.Config, authorities *x509.CertPool, require bool) *tls.Config {
	c = c.Clone()
	c.ClientCAs, c.ClientAuth = authorities, tls.VerifyClientCertIfGiven
	if require {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c
}

// Client is the configuration of an outbound connection; nil roots are the system's.
// Certificates are always verified.
func (p Profile) Client(roots *x509.CertPool) *tls.Config {
	c := p.config()
	c.RootCAs = roots
	return c
}

func (p Profile) config() *tls.Config {
	if p == Modern {
		return &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}}
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		},
		CurvePreferences: []tls.CurveID{tls.CurveP384, tls.CurveP256},
		// HTTP/2 on TLS 1.2 demands an AES-128 suite (RFC 9113, 9.2.2).
		NextProtos: []string{"http/1.1"},
	}
}

// HTTPClient speaks to other services under this profile: verified TLS, or plain
// HTTP on loopback. It refuses every other URL, at each redirect too. It has no
// overall timeout, because bodies stream; the context of a request bounds it.
func (p Profile) HTTPClient(roots *x509.CertPool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(p == Modern)
	return &http.Client{Transport: guarded{&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       p.Client(roots),
		Protocols:             protocols,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   64,
	}}}
}

// guarded refuses a request in clear before a byte of it leaves.
type guarded struct{ next http.RoundTripper }

func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := check(r.URL); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	return g.next.RoundTrip(r)
}

// CheckURL says whether an outbound address may be used: https anywhere, http only
// on loopback, and no password in it. The error names scheme and host, nothing else.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		// The parse error quotes the address, which may hold a password.
		return fmt.Errorf("address is not a URL")
	}
	return check(u)
}

func check(u *url.URL) error {
	switch {
	case u.Hostname() == "":
		return fmt.Errorf("address has no host; it must be https://HOST…")
	case u.User != nil:
		return fmt.Errorf("address of host %s holds a user or password; they belong in their own settings", u.Hostname())
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && Loopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("plain http to %s: only loopback may be spoken to without TLS; use https", u.Hostname())
	}
	return fmt.Errorf("address of host %s has scheme %q; it must be https", u.Hostname(), u.Scheme)
}

// CheckListen says whether a server may listen on addr (host:port): with TLS
// anywhere, without it only on loopback.
func CheckListen(addr string, withTLS bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q must be HOST:PORT", addr)
	}
	if withTLS || Loopback(host) {
		return nil
	}
	return fmt.Errorf("listen on %s without TLS: only loopback (127.0.0.1, ::1, localhost) may be served in clear; configure a certificate", addr)
}

// Loopback says whether host, a name or an address, never leaves this machine. Of
// names only localhost is trusted: any other may resolve to anything.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
