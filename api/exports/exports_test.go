package exports_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/client"
	"medvault/api/exports"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// serve puts a whole vault behind this face; the header As says who asks.
func serve(t *testing.T) (house *vaulttest.House, url string) {
	t.Helper()
	house = vaulttest.New(t, vaulttest.Options{})
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	group := engine.Group("/api/v1", func(c *gin.Context) {
		role := c.GetHeader("As")
		if role == "" {
			role = strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer ")
		}
		answer.SetActor(c, vaulttest.Actor(record.Role(role)))
	})
	exports.Register(group, exports.Config{Vault: house.Vault})
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	return house, server.URL
}

// store stores n images of a patient.
func store(t *testing.T, h *vaulttest.House, n int) (token record.PatientToken) {
	t.Helper()
	for i := range n {
		doc := imagingtest.CT(imagingtest.NewPatient(4), imagingtest.Options{Study: 1, Series: 1, Instance: i + 1, Rows: 256, Columns: 256})
		r, err := h.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), vault.Upload{Body: bytes.NewReader(doc)})
		if err != nil {
			t.Fatal(err)
		}
		token = r.Patient
	}
	return token
}

func post(t *testing.T, url, role, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/api/v1/exports", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("As", role)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestAnExportIsPartsAndAManifest(t *testing.T) {
	h, url := serve(t)
	token := store(t, h, 2)
	resp := post(t, url, "quality", `{"patient":"`+string(token)+`","recipient":"University A"}`)
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != 200 || err != nil || kind != "multipart/related" || params["type"] != "application/dicom" {
		t.Fatalf("POST exports = %d %s; want multipart/related of application/dicom", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	sums := make(map[string]string)
	var manifest vault.ExportManifest
	for parts := multipart.NewReader(resp.Body, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		if p.Header.Get("Content-Type") == "application/json" {
			if err := json.Unmarshal(data, &manifest); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if manifest.Recipient != "" || !strings.HasPrefix(p.Header.Get("Content-Type"), "application/dicom; transfer-syntax=1.2.840.10008.1.2") {
			t.Errorf("a part of %s behind %d others, or behind the manifest", p.Header.Get("Content-Type"), len(sums))
		}
		sum := sha256.Sum256(data)
		sums[p.Header.Get("Content-Location")] = hex.EncodeToString(sum[:])
	}
	if len(manifest.Instances) != 2 || manifest.Recipient != "University A" || manifest.Purpose != "HQUALIMP" {
		t.Errorf("the manifest is %+v; want two instances for University A", manifest)
	}
	for _, e := range manifest.Instances {
		if sums[e.Instance] != e.SHA256 {
			t.Errorf("%s has SHA-256 %s; the manifest says %s", e.Instance, sums[e.Instance], e.SHA256)
		}
	}
}

func TestWhatCannotBeExportedIsRefused(t *testing.T) {
	h, url := serve(t)
	patient := `{"patient":"` + string(store(t, h, 1)) + `","recipient":"A"}`
	for _, test := range []struct {
		name, role, body string
		status           int
	}{
		{"nonsense", "quality", "nonsense", 400},
		{"nothing", "quality", "", 400},
		{"two bodies", "quality", patient + patient, 400},
		{"an unknown field", "quality", `{"to":"A"}`, 400},
		{"no recipient", "quality", `{"study":"1.2.3"}`, 400},
		{"neither study nor patient", "quality", `{"recipient":"A"}`, 400},
		{"an unknown study", "quality", `{"study":"1.2.3","recipient":"A"}`, 404},
		{"no patient's token", "quality", `{"patient":"Doe","recipient":"A"}`, 404},
		{"research without consent", "researcher", patient, 404},
		{"a data protection officer", "dpo", patient, 403},
		{"nobody", "", patient, 404},
	} {
		resp := post(t, url, test.role, test.body)
		if resp.StatusCode != test.status {
			t.Errorf("%s: %d; want %d", test.name, resp.StatusCode, test.status)
		}
	}
}

func TestADamagedExportIsCut(t *testing.T) {
	h, url := serve(t)
	token := store(t, h, 1)
	for _, region := range vaulttest.Regions() {
		paths, err := filepath.Glob(filepath.Join(h.Dir, "regions", region, "objects", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := client.New(client.Config{URL: url, Token: "quality"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Export(t.Context(), vault.ExportRequest{Patient: token, Recipient: "A"}, func(_ string, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	if err == nil {
		t.Error("an export of damaged content ended cleanly")
	}
}
