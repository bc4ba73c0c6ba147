package main

import (
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"medvault/api/transport"
	"medvault/vault"
	"medvault/vault/record"
)

// TestPromise5_5OnRealServers: a patient takes everything along, and has the images sent to
// a hospital of the register, through gateways over PostgreSQL, Vault and S3. The hospital
// that is not in the register gets nothing.
func TestPromise5_5OnRealServers(t *testing.T) {
	d := newDeployment(t, transport.AES256, false)
	hospital := &hospital{token: "letmein"}
	d.serveLink("hospital-b", hospital)
	d.cfg.Transfers = TransfersConfig{CAFile: filepath.Join(d.dir, "ca.pem"), Recipients: []RecipientConfig{
		{Name: "Hospital B", Country: "CN", Agreement: "HB-1", Expires: "2099-12-31", DICOMweb: d.links["hospital-b"].url() + "/dicomweb", TokenFile: d.secret("hospital-b.token", hospital.token)},
		{Name: "Hospital C", Country: "CN", Agreement: "HC-1", Expires: "2020-12-31", DICOMweb: d.links["hospital-b"].url() + "/dicomweb"},
		{Name: "Hospital D", Country: "CN", Agreement: "HD-1", Expires: "2099-12-31"},
	}}
	a, b := d.serve("a"), d.serve("b")
	p := a.store(t, 3)
	patient := d.issuer.token(t, "person-of-p", record.RolePatient, time.Hour)
	at := func(g *gatewayProcess, args ...string) []string {
		return append(args, "--url", g.url, "--token", patient, "--ca", filepath.Join(d.dir, "ca.pem"), "--patient", string(p.token))
	}
	file := filepath.Join(t.TempDir(), "mine.zip")
	command(t, exitRefused, append(at(a, "export", "-o", file), "--insecure-plain")...)
	if _, err := a.as(record.RoleDPO).AddGuardian(t.Context(), p.token, vault.NewGuardian{Subject: "person-of-p", Relation: "self"}); err != nil {
		t.Fatal(err)
	}
	command(t, exitClean, append(at(b, "export", "-o", file), "--insecure-plain")...)
	files := unpacked(t, file)
	want := map[string]bool{string(p.report): true}
	for _, s := range p.slices {
		want[string(s)] = true
	}
	for _, data := range files {
		delete(want, string(data))
	}
	if len(want) != 0 {
		t.Errorf("%d documents are not in the package byte for byte", len(want))
	}
	command(t, exitClean, "export", "verify", file)

	for _, refused := range [][]string{
		{"--recipient", "Hospital X"},                                                // not in the register
		{"--recipient", "Hospital C"},                                                // its agreement has expired
		{"--recipient", "Hospital D", "--to", "https://127.0.0.1:1/dicomweb"},        // the register has no address
		{"--recipient", "Hospital B", "--to", d.links["hospital-b"].url() + "/else"}, // it has another
	} {
		command(t, exitRefused, append(at(a, "push"), refused...)...)
	}
	if n := hospital.count(); n != 0 {
		t.Fatalf("%d instances left for somebody who may have none", n)
	}
	hospital.failing = 1 // it says once that it cannot just now
	r := asked[vault.PushReceipt](t, exitClean, append(at(b, "push"), "--recipient", "Hospital B")...)
	if r.Stored != 3 || r.Failed != 0 || hospital.count() != 3 {
		t.Errorf("push = %d stored, %d failed, %d arrived; want 3, 0, 3", r.Stored, r.Failed, hospital.count())
	}
	hospital.mu.Lock()
	defer hospital.mu.Unlock()
	for _, s := range p.slices {
		if !hospital.holds[string(s)] {
			t.Error("an instance did not arrive byte for byte")
		}
	}
}

// hospital is a DICOMweb server that takes what bears its token.
type hospital struct {
	token string

	mu      sync.Mutex
	failing int // how many requests more it fails
	holds   map[string]bool
}

func (h *hospital) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.holds)
}

func (h *hospital) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+h.token || r.URL.Path != "/dicomweb/studies" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing > 0 {
		h.failing--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if h.holds == nil {
		h.holds = make(map[string]bool)
	}
	type item map[string]map[string]any
	var stored []item
	for parts := multipart.NewReader(r.Body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if err != nil {
			break
		}
		data, err := io.ReadAll(part)
		if err != nil {
			break
		}
		h.holds[string(data)] = true
		stored = append(stored, item{"00081155": {"vr": "UI", "Value": []string{instanceUID(data)}}})
	}
	w.Header().Set("Content-Type", "application/dicom+json")
	json.NewEncoder(w).Encode(map[string]any{"00081199": map[string]any{"vr": "SQ", "Value": stored}})
}

// instanceUID finds (0002,0003) in the file meta information of an instance.
func instanceUID(data []byte) string {
	for i := 132; i+8 < len(data); i++ {
		if data[i] == 2 && data[i+1] == 0 && data[i+2] == 3 && data[i+3] == 0 && string(data[i+4:i+6]) == "UI" {
			n := int(data[i+6]) | int(data[i+7])<<8
			uid := data[i+8 : i+8+n]
			for len(uid) > 0 && uid[len(uid)-1] == 0 {
				uid = uid[:len(uid)-1]
			}
			return string(uid)
		}
	}
	return ""
}
