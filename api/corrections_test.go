package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

func TestPromise5_2CorrectionsAreReadAndTheOriginalStays(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		b := newBureau(t, o, "2026-11-23 10:00")
		p := imagingtest.NewPatient(502)
		p.BirthDate = "19700101"
		image, _, _ := b.admit(p)
		patient, document := "/api/v1/patients/"+string(image.Patient), "/api/v1/documents/"+string(image.ID)
		b.want(0, "dpo", "POST", patient+"/care-team", map[string]any{"clinician": "clinician-1"}, 201, "")
		b.want(0, "dpo", "POST", patient+"/guardians", map[string]any{"subject": "patient-1", "relation": "self"}, 201, "")
		original := b.want(0, "clinician", "GET", document, nil, 200, "")
		deidentified := b.want(0, "quality", "GET", document, nil, 200, "")

		tag := func(known string) (status int, tag string) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.servers[0].URL+"/dicomweb/studies/"+image.Study+"/metadata", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+b.gateways[0].tokens["clinician"])
			r.Header.Set("If-None-Match", known)
			answer, err := b.servers[0].Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			return answer.StatusCode, answer.Header.Get("ETag")
		}
		_, before := tag("")
		if status, _ := tag(before); status != http.StatusNotModified {
			t.Errorf("metadata that has not changed = %d", status)
		}
		for _, who := range []record.Role{"clinician", "quality", "patient", "admin"} {
			status, _ := b.ask(0, who, "POST", patient+"/corrections", map[string]any{"values": map[string]string{"PatientName": "A^B"}, "reason": "own word"})
			if status != 403 && status != 404 {
				t.Errorf("a correction by %s = %d", who, status)
			}
		}
		made := into[vault.Correction](t, b.want(0, "dpo", "POST", patient+"/corrections",
			map[string]any{"values": map[string]string{"PatientName": "Corrected^Name=改^名"}, "reason": "as the identity card says"}, 201, ""))
		if status, now := tag(before); status != http.StatusOK || now == before {
			t.Errorf("metadata asked for again after a correction = %d", status)
		}
		for gateway := range 2 {
			in, err := dicom.New().Begin(bytes.NewReader(b.want(gateway, "clinician", "GET", document, nil, 200, "")))
			if err != nil {
				t.Fatal(err)
			}
			if name := in.Identity().PatientName; name != "Corrected^Name=改^名" {
				t.Errorf("gateway %d: a clinician reads %q", gateway, name)
			}
			if !bytes.Equal(b.want(gateway, "quality", "GET", document, nil, 200, ""), deidentified) {
				t.Errorf("gateway %d: the view without identity changed", gateway)
			}
			b.want(gateway, "patient", "GET", patient+"/corrections", nil, 200, "Corrected")
		}
		if leaks := bytes.Contains(deidentified, []byte("Corrected")); leaks {
			t.Error("the view without identity holds the name")
		}
		b.want(1, "dpo", "DELETE", patient+"/corrections/"+string(made.ID), nil, 204, "")
		for gateway := range 2 {
			if !bytes.Equal(b.want(gateway, "clinician", "GET", document, nil, 200, ""), original) {
				t.Errorf("gateway %d: taken back, the correction is still told", gateway)
			}
		}
		log := string(b.want(0, "dpo", "GET", patient+"/access-log", nil, 200, ""))
		for _, act := range []record.Action{record.ActionCorrect, record.ActionUncorrect} {
			if !strings.Contains(log, string(act)) {
				t.Errorf("the access log says nothing of %s", act)
			}
		}
	})
}
