package vault_test

import (
	"bytes"
	"testing"

	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/vaulttest"
)

// A deflated document is given inflated when it is corrected, and is said to be.
func TestACorrectedDocumentSaysItsTransferSyntax(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, imagingtest.CT(patient(), imagingtest.Options{Study: 1, Series: 1, Instance: 1, Rows: 16, Columns: 16, TransferSyntax: imagingtest.Deflated}))
	treat(t, h, r.Patient)
	correctTo(t, h, r.Patient, vault.NewCorrection{Values: map[string]string{"PatientName": "Featherquill^Ottoline"}})
	opened := open(t, h, clinician, vault.Ref{Document: r.ID})[0]
	in, err := dicom.New().Begin(bytes.NewReader(read(t, opened)))
	if err != nil {
		t.Fatal(err)
	}
	if is := in.Identity().TransferSyntax; opened.TransferSyntax != is {
		t.Errorf("it is said to be in %s, and is in %s", opened.TransferSyntax, is)
	}
}
