package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"medvault/api/client"
	"medvault/imaging/imagingtest"
	"medvault/vault"
)

// TestPushToAnotherVault: a second Medvault is the institution, as a DICOMweb server that
// asks for a token would be; what arrives there is what the scanner sent.
func TestPushToAnotherVault(t *testing.T) {
	from := newDev(t)
	patient := imagingtest.NewPatient(9)
	up := asked[uploadResult](t, exitClean, "upload", "--dev", from, "--patient="+patient.Issuer+"^^"+patient.ID, writeStudy(t, patient, 3))
	token := string(up.Documents[0].Patient)
	to, answered := pacs(t)
	ask := []string{"push", "--dev", from, "--patient", token, "--recipient", "Hospital B", "--to", to}
	command(t, exitRefused, ask...) // nobody's own yet
	asPatient(t, from, token)
	command(t, exitRefused, append(ask, "--as", "clinician")...)
	command(t, exitRefused, append(ask, "--as", "dpo")...)
	command(t, exitUsage, append(ask, "--to", "http://192.0.2.1/dicomweb")...)
	if n := len(answered()); n != 0 {
		t.Fatalf("%d instances left before anybody was allowed to send any", n)
	}
	r := asked[vault.PushReceipt](t, exitClean, ask...)
	if r.Stored != 3 || r.Failed != 0 || r.Unsent != 1 || len(r.Instances) != 3 {
		t.Errorf("push = %+v; want three stored, and one report that is no DICOM", r)
	}
	want := make(map[string]bool)
	for i := range 3 {
		want[string(imagingtest.CT(patient, imagingtest.Options{Study: 1, Series: 1, Instance: i + 1, Rows: 64, Columns: 64}))] = true
	}
	for _, got := range answered() {
		delete(want, string(got))
	}
	if len(want) != 0 {
		t.Errorf("%d instances did not arrive byte for byte", len(want))
	}
	log := command(t, exitClean, "audit", "access-log", "--dev", from, "--as", "patient", "--patient", token, "--json")
	if strings.Count(log, `"recipient": "Hospital B"`) < 2 {
		t.Error("the access log does not tell of the push and its receipt")
	}

	c := devClient(t, from, "patient")
	receipts, err := c.Pushes(t.Context(), up.Documents[0].Patient)
	if err != nil || len(receipts) != 1 || receipts[0].ID != r.ID || len(receipts[0].Instances) != 3 {
		t.Errorf("Pushes = %d receipts, %v; want the one", len(receipts), err)
	}
	if _, err := devClient(t, from, "clinician").Pushes(t.Context(), up.Documents[0].Patient); err == nil {
		t.Error("a clinician is told to whom a patient had images sent")
	}
	// Refused by the register, and nobody there.
	command(t, exitFindings, append(ask, "--to", "http://"+closedPort(t)+"/dicomweb")...)
}

// TestPromise5_5PushIntoOrthanc pushes to a server of another make.
func TestPromise5_5PushIntoOrthanc(t *testing.T) {
	program, err := exec.LookPath("Orthanc")
	const plugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
	if _, missing := os.Stat(plugin); err != nil || missing != nil {
		t.Skip("apt-get install orthanc orthanc-dicomweb to push to it")
	}
	dir, address := t.TempDir(), closedPort(t)
	_, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	config, err := json.Marshal(map[string]any{"StorageDirectory": dir, "IndexDirectory": dir, "HttpPort": number, "RemoteAccessAllowed": false,
		"AuthenticationEnabled": false, "DicomServerEnabled": false, "Plugins": []string{plugin}, "DicomWeb": map[string]any{"Enable": true, "Root": "/dicom-web/"}})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "orthanc.json"), config)
	server := exec.Command(program, filepath.Join(dir, "orthanc.json"))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	waited(t, "Orthanc answers", func() bool {
		resp, err := http.Get("http://" + address + "/system")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
	from := newDev(t)
	patient := imagingtest.NewPatient(10)
	up := asked[uploadResult](t, exitClean, "upload", "--dev", from, "--patient="+patient.Issuer+"^^"+patient.ID, writeStudy(t, patient, 3))
	asPatient(t, from, string(up.Documents[0].Patient))
	ask := []string{"push", "--dev", from, "--patient", string(up.Documents[0].Patient), "--recipient", "Hospital B", "--to", "http://" + address + "/dicom-web"}
	for range 2 { // what it has already it says to have
		if r := asked[vault.PushReceipt](t, exitClean, ask...); r.Stored != 3 || r.Failed != 0 {
			t.Errorf("push = %+v; want three stored", r)
		}
	}
	resp, err := http.Get("http://" + address + "/statistics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var holds struct{ CountInstances int }
	if err := json.NewDecoder(resp.Body).Decode(&holds); err != nil || holds.CountInstances != 3 {
		t.Errorf("Orthanc holds %d instances, %v; want 3", holds.CountInstances, err)
	}
}

// pacs is a second vault as an institution's DICOMweb server; the receiving end keeps what
// it was sent.
func pacs(t *testing.T) (root string, received func() [][]byte) {
	t.Helper()
	dev := newDev(t)
	var at devFile
	data, err := os.ReadFile(filepath.Join(dev, "dev.json"))
	if err != nil || json.Unmarshal(data, &at) != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Before it stands what adds the token of its own radiology.
	gate := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, at.URL+r.URL.Path, r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		out.Header = r.Header.Clone()
		out.Header.Set("Authorization", "Bearer "+at.Tokens["radiology"])
		resp, err := http.DefaultClient.Do(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})}
	go gate.Serve(listener)
	t.Cleanup(func() { gate.Close() })
	return "http://" + listener.Addr().String() + "/dicomweb", func() (all [][]byte) {
		c := devClient(t, dev, "clinician")
		studies, err := c.Studies(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, study := range studies {
			if _, err := c.Study(t.Context(), vault.Ref{Study: study.Study}, func(_ client.Instance, r io.Reader) error {
				var b bytes.Buffer
				_, err := b.ReadFrom(r)
				all = append(all, b.Bytes())
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		return all
	}
}

func devClient(t *testing.T, dev, role string) *client.Client {
	t.Helper()
	c, err := (&connection{dev: dev, as: role, profile: "aes256"}).open()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
