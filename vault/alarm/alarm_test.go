package alarm_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"medvault/vault/alarm"
)

var raised = alarm.Alarm{ID: "a1", Kind: alarm.CaseOverdue, About: strings.Repeat("0", 32), Detail: "response",
	At: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), Due: time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC), Where: "https://vault.example"}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// mailbox is a real SMTP server that keeps what it is given.
type mailbox struct {
	mu       sync.Mutex
	messages []string
	users    []string
}

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{box: m}, nil }

type session struct {
	box *mailbox
	to  []string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "medvault" || password != "a password" {
			return errors.New("wrong password")
		}
		s.box.mu.Lock()
		defer s.box.mu.Unlock()
		s.box.users = append(s.box.users, user)
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, Message: "no such mailbox"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	for range s.to {
		s.box.messages = append(s.box.messages, string(body))
	}
	return err
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

// serve runs a submission server; cert nil: without STARTTLS.
func serve(t *testing.T, cert *tls.Certificate) (*mailbox, string) {
	t.Helper()
	box := new(mailbox)
	s := smtp.NewServer(box)
	s.Domain = "localhost"
	if cert != nil {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return box, l.Addr().String()
}

func TestPromise10_1AlarmsGoByMailOverSTARTTLS(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t)
	box, at := serve(t, &cert)
	cfg := alarm.MailConfig{Server: at, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, User: "medvault",
		Password: func() (string, error) { return "a password", nil }, From: "medvault@hospital.example", To: []string{"dpo@hospital.example", "deputy@hospital.example"}}
	m, err := alarm.NewMail(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), raised); err != nil {
		t.Fatal(err)
	}
	if len(box.messages) != 2 || len(box.users) != 1 {
		t.Fatalf("%d messages, %d log-ins; want one for each of two and one", len(box.messages), len(box.users))
	}
	got, err := mail.ReadMessage(strings.NewReader(box.messages[0]))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || !strings.Contains(subject, "overdue") || !strings.Contains(subject, "逾期") {
		t.Errorf("subject %q, %v", subject, err)
	}
	text, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, got.Body))
	if err != nil || !strings.Contains(string(text), raised.About) || !strings.Contains(string(text), "2026-11-21T16:00:00Z") {
		t.Errorf("body %q, %v", text, err)
	}

	for name, change := range map[string]func(*alarm.MailConfig){
		"a wrong password":          func(c *alarm.MailConfig) { c.Password = func() (string, error) { return "another", nil } },
		"a certificate of others":   func(c *alarm.MailConfig) { c.TLS = &tls.Config{MinVersion: tls.VersionTLS12} },
		"a recipient who is not":    func(c *alarm.MailConfig) { c.To = []string{"nobody@hospital.example"} },
		"a server that is not here": func(c *alarm.MailConfig) { c.Server = "127.0.0.1:1" },
	} {
		other := cfg
		change(&other)
		m, err := alarm.NewMail(other)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Send(t.Context(), raised); err == nil {
			t.Errorf("%s: was sent", name)
		}
	}
	if len(box.messages) != 2 {
		t.Errorf("%d messages after what failed; want 2", len(box.messages))
	}
}

func TestNothingIsMailedInClear(t *testing.T) {
	t.Parallel()
	box, at := serve(t, nil)
	cfg := alarm.MailConfig{Server: at, TLS: new(tls.Config), From: "medvault@hospital.example", To: []string{"dpo@hospital.example"}}
	m, err := alarm.NewMail(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), raised); err == nil || len(box.messages) != 0 {
		t.Errorf("a server without STARTTLS: %v, %d messages; want an error and none", err, len(box.messages))
	}
	cfg.Server, cfg.Clear = "smtp.example:25", true
	if _, err := alarm.NewMail(cfg); err == nil {
		t.Error("mail in clear to another machine was taken")
	}
}

func TestPromise10_1AlarmsGoToAWebhookSigned(t *testing.T) {
	t.Parallel()
	secret := []byte(strings.Repeat("s", 32))
	status := http.StatusNoContent
	var got alarm.Alarm
	var verified bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &got) != nil {
			t.Errorf("body %q, %v", body, err)
		}
		t0 := time.Unix(1_700_000_000, 0)
		verified = r.Header.Get("Medvault-Signature") == alarm.Sign(secret, t0, body)
		http.Redirect(w, r, "/elsewhere", status)
	}))
	t.Cleanup(server.Close)
	w, err := alarm.NewWebhook(alarm.WebhookConfig{URL: server.URL, Secret: secret, Client: server.Client(), Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Send(t.Context(), raised); err != nil || got != raised || !verified {
		t.Errorf("Send = %v; got %+v, signed %v", err, got, verified)
	}
	for _, status = range []int{302, 400, 500} {
		if err := w.Send(t.Context(), raised); err == nil {
			t.Errorf("answered %d: was taken for sent", status)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Send(ctx, raised); err == nil || strings.Contains(err.Error(), server.URL) {
		t.Errorf("Send = %v; want an error without the address", err)
	}
	for _, bad := range []alarm.WebhookConfig{{URL: "ftp://x", Secret: secret, Client: server.Client()}, {URL: server.URL, Secret: secret[:31], Client: server.Client()}, {URL: server.URL, Secret: secret}} {
		if _, err := alarm.NewWebhook(bad); err == nil {
			t.Errorf("NewWebhook of %s with %d bytes was taken", bad.URL, len(bad.Secret))
		}
	}
}
