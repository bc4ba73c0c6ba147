package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/client"
	"medvault/api/dicomweb"
	"medvault/api/documents"
	"medvault/api/operations"
	"medvault/api/patients"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// A day's work through every face, with the bearer token naming the role.
func TestADaysWork(t *testing.T) {
	v := vaulttest.New(t, vaulttest.Options{})
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	known := engine.Group("", func(c *gin.Context) {
		role := record.Role(strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer "))
		answer.SetActor(c, vaulttest.Actor(role))
	})
	dicomweb.Register(known.Group("/dicomweb"), dicomweb.Config{Vault: v.Vault, BaseURL: server.URL + "/dicomweb"})
	v1 := known.Group("/api/v1")
	documents.Register(v1, documents.Config{Vault: v.Vault})
	patients.Register(v1, patients.Config{Vault: v.Vault})
	operations.Register(v1, operations.Config{Vault: v.Vault})
	as := func(role record.Role) *client.Client {
		c, err := client.New(client.Config{URL: server.URL, Token: string(role)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ctx := t.Context()
	p := imagingtest.NewPatient(1)
	radiology, clinician := as(record.RoleRadiology), as(record.RoleClinician)

	var originals [][]byte
	var patient record.PatientToken
	for i := range 3 {
		o := imagingtest.Options{Study: 1, Series: 1, Instance: i, Rows: 64, Columns: 64}
		original := imagingtest.CT(p, o)
		stored, err := radiology.StoreDICOM(ctx, bytes.NewReader(original))
		if err != nil || stored.Present || stored.Instance != p.InstanceUID(o) || stored.Study != p.StudyUID(o) || stored.ID == "" {
			t.Fatalf("StoreDICOM = %+v, %v; want it stored under its own UIDs", stored, err)
		}
		originals, patient = append(originals, original), stored.Patient
	}
	if stored, err := radiology.StoreDICOM(ctx, bytes.NewReader(originals[0])); err != nil || !stored.Present {
		t.Errorf("StoreDICOM again = %+v, %v; want present", stored, err)
	}
	var refused *client.Error
	if _, err := radiology.StoreDICOM(ctx, strings.NewReader("a letter")); !errors.As(err, &refused) || refused.Status != 409 || refused.Code == "" || refused.Message == "" {
		t.Errorf("StoreDICOM of a letter = %v; want a refusal that says what to do", err)
	}
	report := imagingtest.Report(p)
	pdf, err := radiology.StorePDF(ctx, bytes.NewReader(report), client.PDF{PatientID: p.ID, Issuer: p.Issuer, Title: "Report"})
	if err != nil || pdf.Patient != patient {
		t.Fatalf("StorePDF = %+v, %v; want the same patient as the images", pdf, err)
	}

	// Nobody treats the patient yet.
	study := vault.Ref{Study: p.StudyUID(imagingtest.Options{Study: 1})}
	if _, err := clinician.Study(ctx, study, nil); !errors.As(err, &refused) {
		t.Errorf("Study before the care relationship = %v; want a refusal", err)
	}
	care, err := as(record.RoleAdmin).AddCare(ctx, patient, vaulttest.Actor(record.RoleClinician).ID, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatalf("AddCare: %v", err)
	}
	if team, err := as(record.RoleAdmin).ListCare(ctx, patient); err != nil || len(team) != 1 || team[0].ID != care.ID {
		t.Errorf("ListCare = %+v, %v; want the one relationship", team, err)
	}

	fetched := 0
	partial, err := clinician.Study(ctx, study, func(i client.Instance, r io.Reader) error {
		got, err := io.ReadAll(r)
		if !slices.ContainsFunc(originals, func(o []byte) bool { return bytes.Equal(o, got) }) || i.Study != study.Study {
			t.Errorf("Study hands out %+v with %d bytes; want an original", i, len(got))
		}
		fetched++
		return err
	})
	if err != nil || partial || fetched != 3 {
		t.Errorf("Study = %d documents, partial %v, %v; want 3", fetched, partial, err)
	}
	var back bytes.Buffer
	if kind, err := clinician.Document(ctx, pdf.ID, &back); err != nil || kind != "application/pdf" || !bytes.Equal(back.Bytes(), report) {
		t.Errorf("Document = %s, %d bytes, %v; want the report", kind, back.Len(), err)
	}
	found, err := clinician.Studies(ctx, map[string]string{"PatientID": p.ID})
	if err != nil || len(found) != 1 || found[0].PatientID != p.ID || found[0].Instances != 3 || found[0].Study != study.Study {
		t.Errorf("Studies = %+v, %v; want the one study", found, err)
	}

	if err := as(record.RoleAdmin).EndCare(ctx, patient, care.ID); err != nil {
		t.Errorf("EndCare: %v", err)
	}
	if _, err := clinician.Document(ctx, pdf.ID, io.Discard); !errors.As(err, &refused) {
		t.Errorf("Document after the care has ended = %v; want a refusal", err)
	}

	operator := as(record.RoleOperator)
	regions, err := operator.Regions(ctx)
	if err != nil || len(regions) != len(vaulttest.Regions()) {
		t.Errorf("Regions = %+v, %v; want %d", regions, err, len(vaulttest.Regions()))
	}
	for _, level := range []string{"list", "read"} {
		verified, err := operator.Verify(ctx, vault.VerifyOptions{Level: level}, func(done, total int64) {})
		if err != nil || verified.Level != level || verified.Checked == 0 || len(verified.Findings) != 0 {
			t.Errorf("Verify %s = %+v, %v; want objects checked and nothing found", level, verified, err)
		}
	}
	if _, err := operator.Verify(ctx, vault.VerifyOptions{Level: "nonsense"}, nil); !errors.As(err, &refused) || refused.Status != 400 {
		t.Errorf("Verify nonsense = %v; want 400", err)
	}
	if audited, err := as(record.RoleAuditor).AuditVerify(ctx); err != nil || !audited.Intact || audited.Size == 0 {
		t.Errorf("AuditVerify = %+v, %v; want an intact log", audited, err)
	}
	if _, err := clinician.AuditVerify(ctx); !errors.As(err, &refused) || refused.Status != 403 {
		t.Errorf("AuditVerify by a clinician = %v; want 403", err)
	}
}
