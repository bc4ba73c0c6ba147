package vault_test

import (
	"bytes"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

func TestAScopeForOneKindLetsTheOtherOut(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	p := imagingtest.NewPatient(3)
	dicom := vault.Upload{Body: bytes.NewReader(imagingtest.CT(p, imagingtest.Options{}))}
	report := vault.Upload{Body: bytes.NewReader(imagingtest.Report(p)), PatientID: p.ID, Issuer: "TEST"}
	for _, row := range []struct {
		scope string
		up    vault.Upload
		want  bool
	}{
		{"user/DocumentReference.c", dicom, false},
		{"user/ImagingStudy.c", report, false},
		{"user/ImagingStudy.c", dicom, true},
		{"user/DocumentReference.c", report, true},
		{"user/DocumentReference.c", dicom, false}, // although it is stored
		{"user/ImagingStudy.c", report, false},
	} {
		a := vaulttest.Actor(record.RoleRadiology)
		a.Scopes = row.scope
		seek(t, row.up.Body)
		if _, err := h.Put(t.Context(), a, row.up); (err == nil) != row.want {
			t.Errorf("%s: %v; want stored %v", row.scope, err, row.want)
		}
	}
}

func seek(t *testing.T, body any) {
	t.Helper()
	if _, err := body.(*bytes.Reader).Seek(0, 0); err != nil {
		t.Fatal(err)
	}
}
