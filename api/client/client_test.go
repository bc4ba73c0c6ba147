package client_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"medvault/api/client"
	"medvault/vault"
	"medvault/vault/record"
)

// answering is a server that always gives the same answer and remembers the request.
func answering(t *testing.T, status int, contentType, body string) (*client.Client, *http.Request) {
	t.Helper()
	last := new(http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		*last = *r
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := client.New(client.Config{URL: server.URL + "/", Token: "secret", Purpose: record.PurposeTreat})
	if err != nil {
		t.Fatal(err)
	}
	return c, last
}

func TestNewChecksTheURL(t *testing.T) {
	for _, url := range []string{"", "vault.example", "ftp://vault.example", "http://", "://"} {
		if _, err := client.New(client.Config{URL: url}); err == nil {
			t.Errorf("New(%q) = nil; want an error", url)
		}
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	c, last := answering(t, 403, "application/json", `{"code":"no-care","message":"ask","requestId":"r1"}`)
	_, err := c.Regions(t.Context())
	var e *client.Error
	if !errors.As(err, &e) || *e != (client.Error{Status: 403, Code: "no-care", Message: "ask", RequestID: "r1"}) {
		t.Errorf("Regions = %v; want the refusal as sent", err)
	}
	if last.Header.Get("Authorization") != "Bearer secret" || last.Header.Get("Purpose-Of-Use") != "TREAT" {
		t.Errorf("sent %v; want token and purpose", last.Header)
	}

	c, _ = answering(t, 502, "text/html", "<html>")
	if _, err := c.AuditVerify(t.Context()); !errors.As(err, &e) || e.Status != 502 || e.Code != "" {
		t.Errorf("AuditVerify behind a broken proxy = %v; want its status", err)
	}
}

func TestStoreDICOMReadsTheAnswer(t *testing.T) {
	c, _ := answering(t, 200, "application/dicom+json", `{"00081199":{"vr":"SQ","Value":[{
		"00081150":{"vr":"UI","Value":["1.9"]},"00081155":{"vr":"UI","Value":["1.4"]},
		"00081190":{"vr":"UR","Value":["http://h/dicomweb/studies/1.2/series/1.3/instances/1.4"]},
		"00091002":{"vr":"LO","Value":["ptoken"]},"00091003":{"vr":"LO","Value":["id"]},"00091004":{"vr":"CS","Value":["YES"]}}]}}`)
	got, err := c.StoreDICOM(t.Context(), strings.NewReader("x"))
	want := client.Stored{ID: "id", Patient: "ptoken", Present: true, Study: "1.2", Instance: "1.4", SOPClass: "1.9"}
	if err != nil || got != want {
		t.Errorf("StoreDICOM = %+v, %v; want %+v", got, err, want)
	}

	c, _ = answering(t, 409, "application/dicom+json", `{"0008119A":{"vr":"SQ","Value":[{
		"00081197":{"vr":"US","Value":[49152]},"00091005":{"vr":"LO","Value":["not-dicom"]},"00091006":{"vr":"UT","Value":["send DICOM"]}}]}}`)
	_, err = c.StoreDICOM(t.Context(), strings.NewReader("x"))
	var e *client.Error
	if !errors.As(err, &e) || e.Status != 409 || e.Code != "not-dicom" || e.Message != "send DICOM" {
		t.Errorf("StoreDICOM = %v; want the instance's own refusal", err)
	}

	c, _ = answering(t, 200, "application/dicom+json", `{}`)
	if _, err = c.StoreDICOM(t.Context(), strings.NewReader("x")); err == nil {
		t.Error("StoreDICOM with an answer that names nothing = nil; want an error")
	}
}

func TestUploadsThatCannotBeReadFail(t *testing.T) {
	c, _ := answering(t, 200, "application/dicom+json", `{}`)
	broken := errors.New("disk on fire")
	if _, err := c.StoreDICOM(t.Context(), io.MultiReader(strings.NewReader("x"), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("StoreDICOM = %v; want %v", err, broken)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAStudyThatWasCutNeverEndsCleanly(t *testing.T) {
	const whole = "--b\r\nContent-Location: http://h/studies/1/series/2/instances/3\r\nContent-Type: application/dicom; transfer-syntax=1.9\r\n\r\nONE\r\n" +
		"--b\r\nContent-Location: http://h/studies/1/series/2/instances/4\r\n\r\nTWO\r\n--b--"
	fetch := func(body string) (got []client.Instance, err error) {
		c, _ := answering(t, 200, `multipart/related; type="application/dicom"; boundary=b`, body)
		_, err = c.Study(t.Context(), vault.Ref{Study: "1"}, func(i client.Instance, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			got = append(got, i)
			return err
		})
		return got, err
	}
	got, err := fetch(whole)
	if err != nil || len(got) != 2 || got[0] != (client.Instance{Study: "1", Series: "2", Instance: "3", TransferSyntax: "1.9"}) || got[1].Instance != "4" {
		t.Errorf("Study = %+v, %v; want both instances", got, err)
	}
	for cut := 0; cut < len(whole); cut += 3 {
		if got, err := fetch(whole[:cut]); err == nil {
			t.Errorf("cut after %d of %d bytes: %+v without error; want an error", cut, len(whole), got)
		}
	}
}

func TestADocumentOfAnotherHashIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Repr-Digest", "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:") // of "abc"
		io.WriteString(w, strings.TrimPrefix(r.URL.Path, "/api/v1/documents/"))
	}))
	defer server.Close()
	c, err := client.New(client.Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Document(t.Context(), "abc", io.Discard); err != nil {
		t.Errorf("Document = %v; want it taken", err)
	}
	if _, err := c.Document(t.Context(), "abd", io.Discard); err == nil {
		t.Error("Document of another hash = nil; want an error")
	}
}

func TestAVerificationWithoutItsReportIsCut(t *testing.T) {
	c, _ := answering(t, 200, "application/x-ndjson", "{\"done\":1,\"total\":2}\n{\"done\":2,\"total\":2}\n")
	var seen []int64
	_, err := c.Verify(t.Context(), vault.VerifyOptions{Level: "read"}, func(done, total int64) { seen = append(seen, done) })
	if err == nil || len(seen) != 2 {
		t.Errorf("Verify = %v after progress %v; want an error after two lines", err, seen)
	}
	c, _ = answering(t, 200, "application/x-ndjson", "{\"done\":1,\"total\":2}\n{\"report\":{\"level\":\"read\",\"checked\":2}}\n")
	if report, err := c.Verify(t.Context(), vault.VerifyOptions{}, nil); err != nil || report.Checked != 2 {
		t.Errorf("Verify = %+v, %v; want the report", report, err)
	}
	c, _ = answering(t, 200, "application/x-ndjson", "{\"done\":1,\"total\":2}\n{\"error\":{\"code\":\"unavailable\"}}\n")
	var e *client.Error
	if _, err := c.Verify(t.Context(), vault.VerifyOptions{}, nil); !errors.As(err, &e) || e.Code != "unavailable" {
		t.Errorf("Verify = %v; want the error of its last line", err)
	}
}

func TestAnAnswerMustSayWhichVaultItIsFrom(t *testing.T) {
	c, _ := answering(t, 200, "application/json", "{}")
	if id, err := c.Vault(t.Context()); err == nil {
		t.Errorf("Vault = %q from something that does not say; want an error", id)
	}
	c, _ = answering(t, 401, "application/json", `{"code":"token-unknown"}`)
	var e *client.Error
	if _, err := c.Vault(t.Context()); !errors.As(err, &e) || e.Status != 401 {
		t.Errorf("Vault = %v; want the refusal", err)
	}
}

func TestErrorsDoNotRepeatTheQuery(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // nobody listens there now
	c, err := client.New(client.Config{URL: "http://" + listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Studies(t.Context(), map[string]string{"PatientName": "Planted"}); err == nil || strings.Contains(err.Error(), "Planted") {
		t.Errorf("Studies = %v; want an error without the name", err)
	}
}
