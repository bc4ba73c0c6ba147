package documents_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/api/documents"
	"medvault/imaging/imagingtest/reports"
	"medvault/imaging/pdf/pdftest"
	"medvault/imaging/report"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// Of a report that came in over HTTP quality control reads the redacted view and never
// anything else, and who treats the patient gets the bytes that came in.
func TestPromise4_2QualityReadsARedactedReport(t *testing.T) {
	t.Parallel()
	tools := reports.FindTools()
	if tools.PDFToText == "" {
		t.Skip("install poppler-utils: pdftotext reads what was written")
	}
	engine := engineOf(t, documents.Config{Hold: 64 << 10}, vaulttest.Options{Poll: 20 * time.Millisecond, Reports: report.Config{Redactor: pdftest.Redactor(t)}})
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	url := server.URL + "/api/v1/documents"

	r := reports.Make(slices.Index(reports.Families(), "kerned"))
	resp, body := do(t, record.RoleRadiology, "POST", url, multipartForm, strings.NewReader(form("patientId", r.Known.IDs[0], "patientName", r.Known.Names[0], "title", r.Known.Names[0], "file", string(r.Data))))
	var created documents.Created
	if err := json.Unmarshal(body, &created); err != nil || resp.StatusCode != 201 {
		t.Fatalf("POST = %d %s; want 201", resp.StatusCode, body)
	}
	url += "/" + string(created.ID)
	var view []byte
	for began := time.Now(); view == nil; time.Sleep(20 * time.Millisecond) {
		resp, got := do(t, record.RoleQuality, "GET", url, "", nil)
		switch {
		case resp.StatusCode == 200:
			view = got
			if resp.Header.Get("Content-Type") != "application/pdf" {
				t.Errorf("quality gets %s; want a PDF", resp.Header.Get("Content-Type"))
			}
		case time.Since(began) > 2*time.Minute:
			t.Fatalf("no view yet: %d %s", resp.StatusCode, got)
		}
		if said := string(got) + " " + resp.Header.Get("Content-Disposition"); resp.StatusCode != 200 && len(r.LeaksIn(said)) > 0 {
			t.Fatalf("while it waits quality is told %v", r.LeaksIn(said))
		}
	}
	raw, layout, err := tools.Text(t.Context(), view)
	if err != nil {
		t.Fatal(err)
	}
	if leaks := append(r.LeaksIn(raw+layout), r.LeaksInBytes(view)...); len(leaks) > 0 {
		t.Errorf("quality reads %v", leaks)
	}
	if kept, wanted := r.Survived(raw); kept*100 < wanted*95 {
		t.Errorf("%d of %d words survive", kept, wanted)
	}
	if resp, _ := do(t, record.RoleQuality, "GET", url+"/redactions", "", nil); resp.StatusCode < 400 {
		t.Errorf("quality gets the redactions: %d", resp.StatusCode)
	}
	resp, got := do(t, record.RoleClinician, "GET", url, "", nil)
	if resp.StatusCode != 200 || string(got) != string(r.Data) {
		t.Errorf("who treats gets %d, %d bytes; want the %d that came in", resp.StatusCode, len(got), len(r.Data))
	}
}
