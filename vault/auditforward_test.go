package vault_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/xml"
	"fmt"
	"io"
	"math/big"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/atna"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// repository is an audit record repository that reads syslog frames over TLS.
type repository struct {
	address string
	roots   *x509.CertPool
	got     chan string // messages without their frame
}

// newRepository listens. drop says of a connection, by its number from 0, after how many
// messages it is cut off; nil: never.
func newRepository(t *testing.T, drop func(connection int) (after int, cut bool)) *repository {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "arr"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	r := &repository{roots: x509.NewCertPool(), got: make(chan string, 10_000)}
	r.roots.AddCert(certificate)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r.address = l.Addr().String()
	go func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				after, cut := 0, false
				if drop != nil {
					after, cut = drop(n)
				}
				r.serve(conn, after, cut)
			}()
		}
	}()
	return r
}

func (r *repository) serve(conn net.Conn, after int, cut bool) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for n := 0; !cut || n < after; n++ {
		count, err := in.ReadString(' ')
		if err != nil {
			return // also the sender's end of the stream
		}
		size, err := strconv.Atoi(strings.TrimSuffix(count, " "))
		if err != nil {
			r.got <- "no octet count: " + count
			return
		}
		frame := make([]byte, size)
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		r.got <- string(frame)
	}
}

func (r *repository) receiver() *atna.Receiver {
	return &atna.Receiver{Address: r.address, Host: "vault.example", TLS: &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS12}}
}

// until collects messages until all leaves below size have come, and tells their numbers.
func (r *repository) until(t *testing.T, seen map[int64]int, size int64) (messages []message) {
	t.Helper()
	for have := int64(len(seen)); have < size; have = int64(len(seen)) {
		select {
		case raw := <-r.got:
			m := parseMessage(t, raw)
			seen[m.leaf]++
			messages = append(messages, m)
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d leaves came", have, size)
		}
	}
	return messages
}

// message is what a repository reads of an audit message.
type message struct {
	raw, event, kind, outcome, action string
	leaf                              int64
	users                             []string
	objects                           []string
}

// parseMessage checks the header of RFC 5424 and, as PS3.15 A.5.1 has them, the elements
// with their order, what each must have, and the values of what is enumerated.
func parseMessage(t *testing.T, raw string) message {
	t.Helper()
	header, body, ok := strings.Cut(raw, "\ufeff")
	fields := strings.Split(header, " ")
	if !ok || len(fields) != 8 || fields[0] != "<85>1" || fields[2] != "vault.example" || fields[5] != "DICOM+RFC3881" || fields[6] != "-" {
		t.Errorf("syslog header %q", header)
	}
	if _, err := time.Parse(time.RFC3339, fields[1]); err != nil {
		t.Error(err)
	}
	m := message{raw: raw, leaf: -1}
	order := []string{"EventIdentification", "ActiveParticipant", "AuditSourceIdentification", "ParticipantObjectIdentification"}
	required := map[string][]string{
		"EventIdentification": {"EventDateTime", "EventOutcomeIndicator"}, "ActiveParticipant": {"UserID", "UserIsRequestor"},
		"AuditSourceIdentification": {"AuditSourceID"}, "ParticipantObjectIdentification": {"ParticipantObjectID"},
		"EventID": {"csd-code", "codeSystemName", "originalText"}, "EventTypeCode": {"csd-code", "codeSystemName", "originalText"},
		"RoleIDCode": {"csd-code", "codeSystemName", "originalText"}, "ParticipantObjectIDTypeCode": {"csd-code", "codeSystemName", "originalText"},
		"AuditSourceTypeCode": {"csd-code"}, "ParticipantObjectDetail": {"type", "value"},
	}
	enumerated := map[string]string{"EventActionCode": "C R U D E", "EventOutcomeIndicator": "0 4 8 12", "UserIsRequestor": "true false", "ParticipantObjectTypeCode": "1 2 3 4"}
	at, depth, named := 0, 0, false
	count := make(map[string]int)
	for d := xml.NewDecoder(strings.NewReader(body)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		switch e := token.(type) {
		case xml.EndElement:
			depth--
		case xml.StartElement:
			depth++
			name := e.Name.Local
			count[name]++
			if depth == 1 && name != "AuditMessage" {
				t.Errorf("root %s", name)
			}
			if depth == 2 {
				i := slices.Index(order, name)
				if i < at {
					t.Errorf("%s stands after %s", name, order[at])
				}
				at = max(at, i)
			}
			attributes := make(map[string]string)
			for _, a := range e.Attr {
				attributes[a.Name.Local] = a.Value
				if values, ok := enumerated[a.Name.Local]; ok && !slices.Contains(strings.Fields(values), a.Value) {
					t.Errorf("%s=%q", a.Name.Local, a.Value)
				}
			}
			for _, a := range required[name] {
				if attributes[a] == "" {
					t.Errorf("%s without %s in %s", name, a, body)
				}
			}
			switch name {
			case "EventIdentification":
				m.outcome, m.action = attributes["EventOutcomeIndicator"], attributes["EventActionCode"]
			case "EventID":
				m.event = attributes["csd-code"]
			case "EventTypeCode":
				m.kind = attributes["csd-code"]
			case "ActiveParticipant":
				m.users = append(m.users, attributes["UserID"])
			case "ParticipantObjectIdentification":
				if named = false; strings.HasPrefix(attributes["ParticipantObjectID"], "urn:medvault:leaf:") {
					fmt.Sscanf(attributes["ParticipantObjectID"], "urn:medvault:leaf:%d", &m.leaf)
				}
				m.objects = append(m.objects, attributes["ParticipantObjectID"])
			case "ParticipantObjectName", "ParticipantObjectQuery":
				if named {
					t.Errorf("an object with name and query, or twice: %s", body)
				}
				named = true
				count["named"]++
			}
		}
	}
	if count["EventIdentification"] != 1 || count["EventID"] != 1 || count["ActiveParticipant"] < 1 || count["AuditSourceIdentification"] != 1 ||
		count["named"] != count["ParticipantObjectIdentification"] || m.leaf < 0 {
		t.Errorf("elements %v in %s", count, body)
	}
	return m
}

func TestTheLogGoesToAnAuditRepository(t *testing.T) {
	// The first connections are cut: before anything, in the middle, and once more.
	r := newRepository(t, func(n int) (int, bool) { return []int{0, 3, 1}[min(n, 2)], n < 3 })
	o := vaulttest.Options{Dir: t.TempDir(), ATNA: r.receiver(), Gateway: vault.Gateway{Name: "gw-1", Settings: map[string]string{"configuration": "aa"}}}
	h, err := vaulttest.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { h.Stop() }()
	p := patient()
	stored := put(t, h, ct(p, 1))
	treat(t, h, stored.Patient)
	open(t, h, clinician, vault.Ref{Document: stored.ID})
	h.Open(t.Context(), operator, vault.Ref{Document: stored.ID}) // refused
	h.Find(t.Context(), quality, vault.Query{Level: vault.LevelStudy})
	if err := h.Refused(t.Context(), record.Actor{}, "token-expired"); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		report, err := h.AuditVerify(t.Context(), vaulttest.Actor(record.RoleAuditor))
		if err != nil || !report.Intact {
			t.Fatalf("%+v, %v", report, err)
		}
		return report.Size
	}
	seen := make(map[int64]int)
	messages := r.until(t, seen, size())
	find := func(event, kind string) (found message) {
		for _, m := range messages {
			if m.event == event && (kind == "" || m.kind == kind) {
				return m
			}
		}
		t.Errorf("no message of event %s %s", event, kind)
		return found
	}
	find("110100", "110120") // the gateway started
	find("110113", "110129") // with another configuration
	find("110112", "")       // a query
	find("110101", "")       // the log was used
	if m := find("110114", "110122"); m.outcome != "4" {
		t.Errorf("a refused login: %+v", m)
	}
	if m := find("110104", ""); m.action != "C" || !slices.Contains(m.objects, string(stored.Patient)) {
		t.Errorf("a transfer: %+v", m)
	}
	if m := find("110103", ""); m.users[0] != clinician.ID && m.outcome == "0" || !slices.ContainsFunc(m.objects, func(s string) bool { return strings.HasPrefix(s, "2.25.") }) {
		t.Errorf("an access names who and the mapped study: %+v", m)
	}
	for _, m := range messages {
		for _, secret := range []string{p.ID, p.Name, p.BirthDate, stored.Study} {
			if secret != "" && strings.Contains(m.raw, secret) {
				t.Errorf("a message holds %q: %s", secret, m.raw)
			}
		}
	}
	if seen[0] < 2 {
		t.Errorf("leaf 0 came %d times over connections that were cut; want it again", seen[0])
	}

	// After a restart it goes on where it was: nothing is left out, and nothing comes twice
	// but what was under way when the gateway ended.
	h.Stop()
	if h, err = vaulttest.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	open(t, h, clinician, vault.Ref{Document: stored.ID})
	before := int64(len(seen))
	again := make(map[int64]int)
	for n := range before {
		again[n] = 0
	}
	messages = r.until(t, again, size())
	for n, times := range again {
		if n < before && times > 1 || n >= before && times != 1 {
			t.Errorf("leaf %d came %d times after the restart, of %d before", n, times, before)
		}
	}
	find("110100", "110121") // the first gateway's stop
	find("110100", "110120")
	if slices.ContainsFunc(messages, func(m message) bool { return m.leaf >= before && strings.Contains(m.raw, "config.changed") }) {
		t.Error("a configuration that is as it was is told as changed")
	}
}

func TestKeysInUseAndSettingsAreInTheLog(t *testing.T) {
	o := vaulttest.Options{Dir: t.TempDir()}
	c := newClock()
	o.Now = c.now
	actions := func(h *vaulttest.House, action record.Action) int {
		t.Helper()
		page, err := h.AuditQuery(t.Context(), dpo, vault.AuditQuery{Action: action})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Leaves {
			if p := imagingtest.NewPatient(7); bytes.Contains(l.Leaf, []byte(p.ID)) || bytes.Contains(l.Leaf, []byte(p.Name)) {
				t.Errorf("leaf %d holds patient data: %s", l.Number, l.Leaf)
			}
		}
		return len(page.Leaves)
	}
	start := func(name string, settings map[string]string) *vaulttest.House {
		t.Helper()
		c.forward(time.Minute) // the last gateway's lease of the log is over
		o.Gateway = vault.Gateway{Name: name, Settings: settings}
		h, err := vaulttest.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := start("gw-1", map[string]string{"configuration": "aa", "policies": "bb"})
	stored := put(t, h, ct(patient(), 1))
	treat(t, h, stored.Patient)
	first := actions(h, vault.ActionUnwrap)
	for range 5 {
		open(t, h, clinician, vault.Ref{Document: stored.ID})
	}
	if got := actions(h, vault.ActionUnwrap); got != first || first != 1 {
		t.Errorf("keys taken into use %d times, then %d; want once while they are in memory", first, got)
	}
	c.forward(6 * time.Minute)
	open(t, h, clinician, vault.Ref{Document: stored.ID})
	if got := actions(h, vault.ActionUnwrap); got != 2 {
		t.Errorf("keys taken into use %d times; want again after they were forgotten", got)
	}
	h.Stop()
	starts := 1
	for _, step := range []struct {
		settings map[string]string
		changed  int
	}{
		{map[string]string{"configuration": "aa", "policies": "bb"}, 2},
		{map[string]string{"configuration": "ab", "policies": "bb"}, 3},
		{map[string]string{"configuration": "ab", "policies": "bc"}, 4},
	} {
		h := start("gw-1", step.settings)
		starts++
		for actions(h, vault.ActionStarted) < starts { // it is written by the goroutine that runs the vault
			runtime.Gosched()
		}
		if got := actions(h, vault.ActionConfig); got != step.changed {
			t.Errorf("%v: %d changes in the log; want %d", step.settings, got, step.changed)
		}
		h.Stop()
	}
	h = start("", nil)
	defer h.Stop()
	if starts, stops := actions(h, vault.ActionStarted), actions(h, vault.ActionStopped); starts != 4 || stops != 4 {
		t.Errorf("%d starts, %d stops; want 4 of each", starts, stops)
	}
}
