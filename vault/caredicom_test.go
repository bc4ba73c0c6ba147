package vault_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/staff"
	"medvault/vault/vaulttest"
)

// physicians is a house whose register has colleagues, another institution and a service
// that sends.
func physicians(t *testing.T, from vault.CareFromDICOM) *vaulttest.House {
	t.Helper()
	h := vaulttest.New(t, vaulttest.Options{Register: true, CareFrom: from, Poll: 10 * time.Millisecond})
	house := vault.StaffInstitution{ID: "house", Name: "house", Country: vaulttest.Home, Issuer: "TEST", Own: true}
	if _, err := h.BeginStaff(t.Context(), "admin-1", house); err != nil {
		t.Fatal(err)
	}
	if _, err := h.PutInstitution(t.Context(), admin, vault.StaffInstitution{ID: "partner", Country: vaulttest.Home, Issuer: "PARTNER"}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.SetAgreement(t.Context(), admin, "partner", time.Now().AddDate(1, 0, 0).Format(time.DateOnly), strings.NewReader("%PDF-1.7")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []vault.StaffPerson{
		{Subject: "radiology-1", Roles: []record.Role{record.RoleRadiology}},
		{Subject: "modality-1", Kind: staff.Service, Roles: []record.Role{record.RoleRadiology}},
		{Subject: "clinician-1", Name: "Dr Wei Zhang", Roles: []record.Role{record.RoleClinician}},
		{Subject: "clinician-2", Name: "Marta Osei", Roles: []record.Role{record.RoleClinician}},
		{Subject: "clinician-3", Name: "王晓东", Roles: []record.Role{record.RoleClinician}},
		{Subject: "clinician-4", Name: "Lena Horn", Roles: []record.Role{record.RoleClinician}},
		{Subject: "clinician-5", Name: "Horn, Lena", Roles: []record.Role{record.RoleClinician}},
		{Subject: "clinician-6", Name: "Omar Said", Roles: []record.Role{record.RoleClinician}, State: staff.Halted},
		{Subject: "both-1", Name: "Paula Reed", Roles: []record.Role{record.RoleClinician, record.RoleRadiology}},
		{Subject: "officer-1", Name: "Nils Berg", Roles: []record.Role{record.RoleDPO}},
		{Subject: "partner-1", Name: "Ines Costa", Roles: []record.Role{record.RoleClinician}, Institution: "partner"},
	} {
		if p.Institution == "" {
			p.Institution = "house"
		}
		p.Trainings = []vault.Training{{At: time.Now().Add(-time.Hour)}}
		if _, err := h.AddStaff(t.Context(), admin, p); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// coded is the item of an identification sequence.
func coded(code string) imagingtest.Item {
	return imagingtest.Item{{Tag: 0x00080080, VR: "LO", Value: "somewhere"}, {Tag: 0x00401101, VR: "SQ", Value: []imagingtest.Item{{
		{Tag: 0x00080100, VR: "SH", Value: code}, {Tag: 0x00080102, VR: "SH", Value: "L"}, {Tag: 0x00080104, VR: "LO", Value: "somebody"}}}}}
}

const (
	referringTag  = 0x00080090
	performingTag = 0x00081050
	performersTag = 0x00081052
	requestingTag = 0x00321032
)

func pn(tag uint32, name string) imagingtest.Element {
	return imagingtest.Element{Tag: tag, VR: "PN", Value: name}
}

func performers(codes ...string) imagingtest.Element {
	var items []imagingtest.Item
	for _, c := range codes {
		items = append(items, coded(c))
	}
	return imagingtest.Element{Tag: performersTag, VR: "SQ", Value: items}
}

// treatedBy uploads a document that names physicians and tells who treats then: subject
// and role.
func treatedBy(t *testing.T, h *vaulttest.House, by record.Actor, seed uint64, o imagingtest.Options) (list []string, r vault.Receipt) {
	t.Helper()
	o.Rows, o.Columns, o.Omit = 16, 16, append(o.Omit, referringTag)
	for _, e := range o.Extra { // what is planted by default names somebody else
		o.Omit = slices.DeleteFunc(o.Omit, func(tag uint32) bool { return tag == e.Tag })
	}
	r, err := h.Put(t.Context(), by, vault.Upload{Body: bytes.NewReader(imagingtest.CT(imagingtest.NewPatient(seed), o))})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	await(t, "no care job waits", func() bool {
		n, err := h.Catalog.Pending(t.Context(), "care-from-dicom")
		return err == nil && n == 0
	})
	cares, err := h.ListCare(t.Context(), admin, r.Patient)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cares {
		if c.By != "medvault" || !strings.HasPrefix(c.Origin, "dicom:") || c.Essential || c.Until == nil || c.Until.Sub(c.From) != 48*time.Hour {
			t.Errorf("relationship %+v; want one of 48 hours by the vault", c)
		}
		list = append(list, c.Clinician+" "+c.Role)
	}
	slices.Sort(list)
	return list, r
}

func TestPhysiciansOfADocumentTreatItsPatient(t *testing.T) {
	t.Parallel()
	h := physicians(t, vault.CareFromDICOM{Period: 48 * time.Hour, People: map[string]string{"4711": "clinician-2"},
		Attributes: []string{"PerformingPhysicianName", "PerformingPhysicianIdentificationSequence", "RequestingPhysician"}})
	modality, both := radiology, radiology
	modality.ID, both.ID = "modality-1", "both-1"
	partner := radiology
	partner.ID = "partner-1"
	for i, row := range []struct {
		name  string
		by    record.Actor
		extra []imagingtest.Element
		want  []string
	}{
		{"nobody", radiology, nil, nil},
		{"by name", radiology, []imagingtest.Element{pn(performingTag, "Osei^Marta")}, []string{"clinician-2 performing"}},
		{"with prefix", radiology, []imagingtest.Element{pn(performingTag, "OSEI^MARTA^^Prof.^MD")}, []string{"clinician-2 performing"}},
		{"by characters", radiology, []imagingtest.Element{pn(requestingTag, "Wang^XiaoDong=王^晓东")}, []string{"clinician-3 ordering"}},
		{"two of them", modality, []imagingtest.Element{pn(performingTag, `Osei^Marta\Reed^Paula`)}, []string{"both-1 performing", "clinician-2 performing"}},
		{"in two roles", radiology, []imagingtest.Element{pn(performingTag, "Osei^Marta"), pn(requestingTag, "Osei^Marta")}, []string{"clinician-2 performing"}},
		{"by code", radiology, []imagingtest.Element{performers("clinician-1")}, []string{"clinician-1 performing"}},
		{"by a code of the deployment", modality, []imagingtest.Element{performers("4711", "clinician-1")}, []string{"clinician-1 performing", "clinician-2 performing"}},
		{"a code goes before a name", radiology, []imagingtest.Element{performers("clinician-1"), pn(performingTag, "Osei^Marta")}, []string{"clinician-1 performing"}},
		{"an unknown code names nobody, whatever the name", radiology, []imagingtest.Element{performers("999"), pn(performingTag, "Osei^Marta")}, nil},
		{"a name that two have", radiology, []imagingtest.Element{pn(performingTag, "Horn^Lena")}, nil},
		{"one word", radiology, []imagingtest.Element{pn(performingTag, "Osei")}, nil},
		{"suspended", radiology, []imagingtest.Element{pn(performingTag, "Said^Omar"), performers("clinician-6")}, nil},
		{"no clinician", radiology, []imagingtest.Element{pn(performingTag, "Berg^Nils")}, nil},
		{"of another institution", radiology, []imagingtest.Element{performers("partner-1"), pn(requestingTag, "Costa^Ines")}, nil},
		{"who uploads", both, []imagingtest.Element{pn(performingTag, "Reed^Paula"), pn(requestingTag, "Osei^Marta")}, []string{"clinician-2 ordering"}},
		{"who uploads, by code", both, []imagingtest.Element{performers("both-1")}, nil},
		{"an attribute that does not count", radiology, []imagingtest.Element{pn(referringTag, "Osei^Marta")}, nil},
	} {
		got, _ := treatedBy(t, h, row.by, uint64(100+i), imagingtest.Options{Study: 1, Series: 1, Instance: 1, Plain: true, Extra: row.extra})
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: %q; want %q", row.name, got, row.want)
		}
	}
}

// A study is one reason: the rest of its images make nothing new, whatever became of the
// relationship. Each has its leaf, and what it permits is a read on the next request.
func TestAStudyMakesARelationshipOnce(t *testing.T) {
	t.Parallel()
	h := physicians(t, vault.CareFromDICOM{Period: 48 * time.Hour, Attributes: []string{"PerformingPhysicianIdentificationSequence"}})
	extra := []imagingtest.Element{performers("clinician-1")}
	of := func(study, series, instance int) imagingtest.Options {
		return imagingtest.Options{Study: study, Series: series, Instance: instance, Plain: true, Extra: extra}
	}
	_, r := treatedBy(t, h, radiology, 9, of(1, 1, 1))
	open(t, h, clinician, vault.Ref{Document: r.ID})
	if got, _ := treatedBy(t, h, radiology, 9, of(1, 2, 1)); len(got) != 1 {
		t.Errorf("after another series: %q; want one relationship", got)
	}
	cares, err := h.ListCare(t.Context(), admin, r.Patient)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.EndCare(t.Context(), admin, r.Patient, cares[0].ID); err != nil {
		t.Fatal(err)
	}
	if got, _ := treatedBy(t, h, radiology, 9, of(1, 1, 2)); len(got) != 1 {
		t.Errorf("after it was ended: %q; want it to stay so", got)
	}
	_, err = h.Open(t.Context(), clinician, vault.Ref{Document: r.ID})
	wantRefusal(t, "Open after the end", err, "not-found")
	if got, _ := treatedBy(t, h, radiology, 9, of(2, 1, 3)); len(got) != 2 {
		t.Errorf("another study: %q; want another relationship", got)
	}
	officer := dpo
	officer.ID = "officer-1"
	page, err := h.AuditQuery(t.Context(), officer, vault.AuditQuery{Patient: r.Patient, Action: record.ActionCareAdd})
	if err != nil || len(page.Leaves) != 2 {
		t.Fatalf("leaves of care.add: %d, %v; want 2", len(page.Leaves), err)
	}
}

func TestADocumentMakesNobodyTreatUnlessConfigured(t *testing.T) {
	t.Parallel()
	h := physicians(t, vault.CareFromDICOM{})
	got, _ := treatedBy(t, h, radiology, 9, imagingtest.Options{Study: 1, Series: 1, Instance: 1, Extra: []imagingtest.Element{performers("clinician-1"), pn(performingTag, "Osei^Marta")}})
	if len(got) != 0 {
		t.Errorf("treating: %q; want nobody", got)
	}
}
