package hl7_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"medvault/api"
	"medvault/api/hl7"
	"medvault/api/identity"
	"medvault/api/transport"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/staff"
	"medvault/vault/vaulttest"
)

// hospital is a vault with a staff register, behind an MLLP listener with TLS, and one
// patient of whom a report is stored.
type hospital struct {
	*vaulttest.House
	t       *testing.T
	patient imagingtest.Patient
	stored  vault.Receipt
	address string
	his     *tls.Config
	other   *tls.Config // a device that is no sender
}

func newHospital(t *testing.T) *hospital {
	h := &hospital{House: vaulttest.New(t, vaulttest.Options{Register: true}), t: t, patient: imagingtest.NewPatient(8)}
	house := vault.StaffInstitution{ID: "house", Name: "house", Country: vaulttest.Home, Issuer: "TEST", Own: true}
	if _, err := h.BeginStaff(t.Context(), "admin-1", house); err != nil {
		t.Fatal(err)
	}
	trained := []vault.Training{{At: time.Now().Add(-time.Hour)}}
	for _, p := range []vault.StaffPerson{
		{Subject: "service:his", Kind: staff.Service, Roles: []record.Role{record.RoleInterface}},
		{Subject: "clinician-1", Roles: []record.Role{record.RoleClinician}, Trainings: trained},
		{Subject: "clinician-2", Roles: []record.Role{record.RoleClinician}, Trainings: trained},
		{Subject: "radiology-1", Roles: []record.Role{record.RoleRadiology}, Trainings: trained},
	} {
		p.Institution = "house"
		if _, err := h.AddStaff(t.Context(), vaulttest.Actor(record.RoleAdmin), p); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	h.stored, err = h.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), vault.Upload{Body: bytes.NewReader(imagingtest.Report(h.patient)), PatientID: h.patient.ID, Issuer: "TEST"})
	if err != nil {
		t.Fatal(err)
	}
	h.listen()
	return h
}

func (h *hospital) listen() {
	t := h.t
	pool, issue := authority(t)
	his := record.Actor{ID: "service:his", Role: record.RoleInterface, Purpose: record.DefaultPurpose(record.RoleInterface)}
	certificates, err := identity.NewCertificates(identity.CertificatesConfig{Subject: identity.SubjectDNS,
		People: map[string]record.Actor{"his.example": his, "ct.example": {ID: "service:ct"}}})
	if err != nil {
		t.Fatal(err)
	}
	server, err := hl7.New(hl7.Config{Vault: h.Vault, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Certificates: certificates,
		TLS: transport.AskClients(transport.AES256.Server(issue("127.0.0.1")), pool, true), Zone: time.UTC, Grace: time.Hour,
		Senders: []hl7.Sender{{Application: "HIS", Facility: "MAIN", Actor: his, StaffAuthority: "STAFF",
			Issuers: map[string]string{"MRN": "TEST"}, Clinicians: map[string]string{"4711": "clinician-2", "9@HIS": "nobody-here"}}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	h.address = l.Addr().String()
	for name, into := range map[string]**tls.Config{"his.example": &h.his, "ct.example": &h.other} {
		*into = transport.AES256.Client(pool)
		(*into).Certificates = []tls.Certificate{issue(name)}
	}
}

// authority makes a pool, and what issues certificates that it believes.
func authority(t *testing.T) (*x509.CertPool, func(name string) tls.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	sign := func(template *x509.Certificate, own *ecdsa.PrivateKey) []byte {
		raw, err := x509.CreateCertificate(rand.Reader, template, root, &own.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	cert, err := x509.ParseCertificate(sign(root, key))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool, func(name string) tls.Certificate {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = []net.IP{ip}
		} else {
			template.DNSNames = []string{name}
		}
		return tls.Certificate{Certificate: [][]byte{sign(template, own)}, PrivateKey: own}
	}
}

// ask sends what is framed over a connection of its own and returns the acknowledgment.
func (h *hospital) ask(as *tls.Config, message []byte) string {
	h.t.Helper()
	return h.askFrom(new(net.Dialer), as, message)
}

func (h *hospital) askFrom(from *net.Dialer, as *tls.Config, message []byte) string {
	h.t.Helper()
	conn, err := tls.DialWithDialer(from, "tcp", h.address, as)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(append(append([]byte{0x0B}, message...), 0x1C, 0x0D)); err != nil {
		h.t.Fatal(err)
	}
	reply, err := bufio.NewReader(conn).ReadString(0x1C)
	if err != nil {
		h.t.Fatalf("acknowledgment: %v", err)
	}
	if strings.Contains(reply, h.patient.ID) || strings.Contains(reply, "FAMILY") {
		h.t.Errorf("the acknowledgment names a person: %q", reply)
	}
	return reply
}

func message(id, kind string, lines ...string) []byte {
	head := `MSH|^~\&|HIS|MAIN|VAULT||20260302120000||` + kind + "|" + id + "|P|2.5.1"
	return []byte(strings.Join(append([]string{head, "EVN||20260302120000"}, lines...), "\r") + "\r")
}

func (h *hospital) pid() string { return "PID|1||" + h.patient.ID + "^^^MRN^MR||FAMILY^GIVEN" }

// pv1 has attending and consulting doctors, a visit number and times.
func pv1(attending, consulting, visit, admitted, left string) string {
	f := make([]string, 46)
	f[0], f[1], f[2], f[7], f[9], f[19], f[44], f[45] = "PV1", "1", "I", attending, consulting, visit, admitted, left
	return strings.Join(f, "|")
}

func (h *hospital) reads(subject string) bool {
	a := vaulttest.Actor(record.RoleClinician)
	a.ID = subject
	_, err := h.Open(h.t.Context(), a, vault.Ref{Document: h.stored.ID})
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		h.t.Fatal(err)
	}
	return err == nil
}

func TestMessagesOfTheHospitalSayWhoTreats(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	const one, two = "clinician-1^FAMILY^GIVEN^^^^^^STAFF", "4711^FAMILY"
	for _, row := range []struct {
		name     string
		message  []byte
		ack      string // MSA-1
		code     string // in ERR
		one, two bool   // who reads afterwards
	}{
		{"admitted", message("1", "ADT^A01", h.pid(), pv1(one, "", "V1", "20260301", "")), "AA", "", true, false},
		{"the same again", message("1", "ADT^A01", h.pid(), pv1(one, "", "V1", "20260301", "")), "AA", "", true, false},
		{"another attends, the first consults", message("2", "ADT^A08", h.pid(), pv1(two, one, "V1", "20260301", "")), "AA", "", true, true},
		{"the admission again, late", message("1", "ADT^A01", h.pid(), pv1(one, "", "V1", "20260301", "")), "AA", "", true, true},
		{"nobody consults any more", message("3", "ADT^A02", h.pid(), pv1(two, `""`, "V1", "20260301", "")), "AA", "", false, true},
		{"fields left out say nothing", message("4", "ADT^A08", h.pid(), pv1("", "", "V1", "", "")), "AA", "", false, true},
		{"another visit", message("5", "ADT^A04", h.pid(), pv1(one, "", "V2", "", "")), "AA", "", true, true},
		{"cancelled: that visit alone", message("6", "ADT^A11", h.pid(), pv1("", "", "V2", "", "")), "AA", "", false, true},
		{"discharged, within the grace", message("7", "ADT^A03", h.pid(), pv1(two, "", "V1", "", time.Now().UTC().Format("20060102150405"))), "AA", "", false, true},
		{"discharged long ago", message("8", "ADT^A03", h.pid(), pv1(two, "", "V1", "", "20260301")), "AA", "", false, false},
		{"the discharge is cancelled", message("9", "ADT^A13", h.pid(), pv1(two, "", "V1", "20260301", "")), "AA", "", false, true},
		{"the discharge again, late", message("8", "ADT^A03", h.pid(), pv1(two, "", "V1", "", "20260301")), "AA", "", false, true},
		{"a role ends", message("10", "ADT^A08", h.pid(), "ROL||DE|attending|"+two, pv1("", "", "V1", "", "")), "AA", "", false, false},
		{"a role begins", message("11", "ADT^A08", h.pid(), "ROL||AD|PP|"+one, pv1("", "", "V1", "", "")), "AA", "", true, false},
		{"and the visit is over", message("12", "ADT^A03", h.pid(), pv1("", "", "V1", "", "20260301")), "AA", "", false, false},
		{"an order", message("13", "ORM^O01", h.pid(), "ORC|NW|O1", "OBR|1|O1||CT"+strings.Repeat("|", 12)+one), "AA", "", true, false},
		{"its cancellation", message("14", "ORM^O01", h.pid(), "ORC|CA|O1"), "AA", "", false, false},
		{"an imaging order", message("15", "OMI^O23^OMI_O23", h.pid(), "ORC|NW|O2||||||||||"+two), "AA", "", false, true},
		{"discontinued", message("16", "OMI^O23^OMI_O23", h.pid(), "ORC|DC|O2"), "AA", "", false, false},
		{"expected for later", message("17", "ADT^A05", h.pid(), pv1(one, "", "V3", "21260301", "")), "AA", "", false, false},
		{"one known, one not", message("18", "ADT^A01", h.pid(), pv1(one+"~zz^^^^^^^^STAFF", "", "V4", "", "")), "AA", "unknown-clinician", true, false},
		{"over", message("19", "ADT^A11", h.pid(), pv1("", "", "V4", "", "")), "AA", "", false, false},
		{"nobody known", message("20", "ADT^A01", h.pid(), pv1("9^FAMILY^^^^^^^HIS", "", "V5", "", "")), "AE", "unknown-clinician", false, false},
		{"a number of another authority", message("21", "ADT^A01", h.pid(), pv1("clinician-1^FAMILY^^^^^^^OTHER", "", "V5", "", "")), "AE", "unknown-clinician", false, false},
		{"a name alone", message("22", "ADT^A01", h.pid(), pv1("^FAMILY^GIVEN", "", "V5", "", "")), "AE", "unknown-clinician", false, false},
		{"a patient nothing is stored of", message("23", "ADT^A01", "PID|1||none^^^MRN||FAMILY", pv1(one, "", "V5", "", "")), "AE", "unknown-patient", false, false},
		{"an authority that is not configured", message("24", "ADT^A01", "PID|1||"+h.patient.ID+"^^^OTHER||FAMILY", pv1(one, "", "V5", "", "")), "AE", "no-patient", false, false},
		{"an event that says nothing here", message("25", "ADT^A40", h.pid(), pv1(one, "", "V5", "", "")), "AR", "unsupported-event", false, false},
		{"a message of another kind", message("26", "ORU^R01", h.pid()), "AR", "unsupported-message-type", false, false},
		{"no control id", message("", "ADT^A01", h.pid(), pv1(one, "", "V5", "", "")), "AR", "no-control-id", false, false},
		{"no message at all", []byte("hello"), "AR", "unreadable", false, false},
		{"another sender", bytes.Replace(message("27", "ADT^A01", h.pid(), pv1(one, "", "V5", "", "")), []byte("HIS|MAIN"), []byte("RIS|MAIN"), 1), "AR", "unknown-sender", false, false},
	} {
		reply := h.ask(h.his, row.message)
		if !strings.Contains(reply, "\rMSA|"+row.ack) || row.code != "" && !strings.Contains(reply, "|"+row.code+"\r") || row.code == "" && strings.Contains(reply, "ERR") {
			t.Errorf("%s: %q; want %s %s", row.name, reply, row.ack, row.code)
		}
		if one, two := h.reads("clinician-1"), h.reads("clinician-2"); one != row.one || two != row.two {
			t.Errorf("%s: the clinicians read: %v %v; want %v %v", row.name, one, two, row.one, row.two)
		}
	}
	cares, err := h.ListCare(t.Context(), vaulttest.Actor(record.RoleAdmin), h.stored.Patient)
	if err != nil || len(cares) == 0 {
		t.Fatalf("care = %v, %v", cares, err)
	}
	for _, c := range cares {
		if !strings.HasPrefix(c.Origin, "hl7") || c.By != "service:his" || c.Until == nil {
			t.Errorf("%+v; want origin hl7, by service:his, with an end", c)
		}
	}
}

func TestWhoMaySend(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	const one = "clinician-1^^^^^^^^STAFF"
	admission := func(id string) []byte { return message(id, "ADT^A01", h.pid(), pv1(one, "", "V"+id, "", "")) }
	if reply := h.ask(h.other, admission("1")); !strings.Contains(reply, "MSA|AR") || !strings.Contains(reply, "unknown-sender") {
		t.Errorf("a certificate of another device: %q; want AR", reply)
	}
	bare := h.his.Clone()
	bare.Certificates = nil
	if conn, err := tls.Dial("tcp", h.address, bare); err == nil {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("a connection without a certificate is served")
		}
		conn.Close()
	}
	if _, err := h.ChangeStaff(t.Context(), vaulttest.Actor(record.RoleAdmin), "service:his", func(p *vault.StaffPerson) error {
		p.State = staff.Halted
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if reply := h.ask(h.his, admission("2")); !strings.Contains(reply, "MSA|AR") || !strings.Contains(reply, "|suspended\r") {
		t.Errorf("a suspended sender: %q; want AR suspended", reply)
	}
	if h.reads("clinician-1") {
		t.Error("the clinician reads")
	}
}

// A sender's entry lets it say who treats, by messages alone: over HTTP it is nobody.
func TestASenderMayDoNothingElse(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	his := record.Actor{ID: "service:his", Role: record.RoleInterface, Purpose: record.DefaultPurpose(record.RoleInterface)}
	for what, err := range map[string]error{
		"stating who treats": func() error {
			_, err := h.AddCare(t.Context(), his, h.stored.Patient, "clinician-1", time.Time{})
			return err
		}(),
		"listing it":      func() error { _, err := h.ListCare(t.Context(), his, h.stored.Patient); return err }(),
		"reading":         func() error { _, err := h.Open(t.Context(), his, vault.Ref{Document: h.stored.ID}); return err }(),
		"reading the log": func() error { _, err := h.AuditQuery(t.Context(), his, vault.AuditQuery{}); return err }(),
		"the register":    func() error { _, err := h.Staff(t.Context(), his, "", 10); return err }(),
	} {
		if !errors.Is(err, record.ErrDenied) && !errors.Is(err, record.ErrNotFound) {
			t.Errorf("%s: %v; want refused", what, err)
		}
	}
	token := identity.NewToken()
	auth, err := identity.NewStatic(map[string]record.Actor{token: his})
	if err != nil {
		t.Fatal(err)
	}
	server, err := api.New(api.Config{Vault: h.Vault, Auth: auth, PublicURL: "http://127.0.0.1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/staff/me", "/dicomweb/studies", "/api/v1/patients/" + string(h.stored.Patient) + "/care-team", "/api/v1/openapi.json"} {
		r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer "+token)
		if server.Handler().ServeHTTP(w, r); w.Code != http.StatusForbidden {
			t.Errorf("GET %s: %d %s; want 403", path, w.Code, w.Body)
		}
	}
	for name, p := range map[string]vault.StaffPerson{
		"a person":            {Subject: "x", Roles: []record.Role{record.RoleInterface}},
		"beside another role": {Subject: "x", Kind: staff.Service, Roles: []record.Role{record.RoleInterface, record.RoleAdmin}},
	} {
		p.Institution = "house"
		if _, err := h.AddStaff(t.Context(), vaulttest.Actor(record.RoleAdmin), p); !errors.Is(err, record.ErrInvalid) {
			t.Errorf("interface as %s: %v; want refused", name, err)
		}
	}
}

// Connections on which nothing comes do not keep those out that have something to say from
// elsewhere: before the handshake, and behind one with a certificate of no sender.
func TestSilentConnectionsBlockNobody(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	for range 600 {
		silent, err := net.Dial("tcp", h.address)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
	}
	device := &tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}, Config: h.other}
	for range 65 {
		silent, err := device.DialContext(t.Context(), "tcp", h.address)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
	}
	elsewhere := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}
	if reply := h.askFrom(elsewhere, h.his, message("1", "ADT^A01", h.pid(), pv1("clinician-1^^^^^^^^STAFF", "", "V1", "", ""))); !strings.Contains(reply, "MSA|AA") {
		t.Errorf("behind silent connections: %q; want AA", reply)
	}
}

func TestOneMessageNamesSoManyPeople(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	many := func(n int) string {
		return strings.Repeat("clinician-1^^^^^^^^STAFF~", n-1) + "clinician-1^^^^^^^^STAFF"
	}
	if reply := h.ask(h.his, message("1", "ADT^A01", h.pid(), pv1(many(65), "", "V1", "", ""))); !strings.Contains(reply, "MSA|AR") || !strings.Contains(reply, "too-many-people") {
		t.Errorf("65 people: %q; want AR too-many-people", reply)
	}
	if reply := h.ask(h.his, message("2", "ADT^A01", h.pid(), pv1(many(64), "", "V1", "", ""))); !strings.Contains(reply, "MSA|AA") {
		t.Errorf("64 people: %q; want AA", reply)
	}
}

// failing fails to accept now and then, as when no file descriptor is left.
type failing struct {
	net.Listener
	left atomic.Int32
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestTheListenerOutlivesWhatPasses(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	server, err := hl7.New(hl7.Config{Vault: h.Vault, Log: slog.New(slog.DiscardHandler), Senders: []hl7.Sender{{Application: "HIS"}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	short := &failing{Listener: l}
	short.left.Store(3)
	served := make(chan error, 1)
	go func() { served <- server.Serve(t.Context(), short) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(hl7.Frame([]byte("hello"))); err != nil {
		t.Fatal(err)
	}
	if reply, err := hl7.ReadFrame(conn); err != nil || !strings.Contains(string(reply), "unreadable") {
		t.Errorf("after three failures to accept: %q, %v; want an answer", reply, err)
	}
	l.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener = %v; want its error", err)
	}
}

func TestClearTextStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	server, err := hl7.New(hl7.Config{Vault: h.Vault, Log: slog.New(slog.DiscardHandler), Senders: []hl7.Sender{{Application: "HIS"}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(t.Context(), l); err == nil {
		t.Error("served in clear on every address")
	}
	for name, cfg := range map[string]hl7.Config{
		"no senders":                     {Vault: h.Vault, Log: slog.Default()},
		"TLS that asks for no client":    {Vault: h.Vault, Log: slog.Default(), Senders: []hl7.Sender{{}}, TLS: new(tls.Config)},
		"TLS that knows nobody's client": {Vault: h.Vault, Log: slog.Default(), Senders: []hl7.Sender{{}}, TLS: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}},
	} {
		if _, err := hl7.New(cfg); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
}

func TestChineseCharacterSets(t *testing.T) {
	t.Parallel()
	text := strings.Replace(string(message("1", "ADT^A01", "PID|1||A1^^^院区||张三丂~亅", "PV1|1|I|||||D1^李|||||||||||||V1")), "|P|2.5.1", "|P|2.5.1||||||%", 1)
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	for set, raw := range map[string]string{"GB 18030-2000": gb, "GB18030": gb, "UNICODE UTF-8": text, "": text} {
		got, err := hl7.Patients([]byte(strings.Replace(raw, "%", set, 1)), map[string]string{"院区": "TEST"})
		if err != nil || len(got) != 1 || got[0] != [2]string{"TEST", "A1"} {
			t.Errorf("%q: %q, %v", set, got, err)
		}
	}
	for set, raw := range map[string]string{"ASCII": gb, "GB18030 ": "MSH", "BIG-5": text} {
		if got, err := hl7.Patients([]byte(strings.Replace(raw, "%", set, 1)), nil); err == nil {
			t.Errorf("%q: %q; want refused", set, got)
		}
	}
}
