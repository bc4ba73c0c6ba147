package staff_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"medvault/vault"
)

func TestOrganizationsAreInstitutions(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	h.staffed()
	bundle := `{"resourceType":"Bundle","entry":[
		{"resource":{"resourceType":"Organization","id":"clinic","name":"North Clinic, renamed"}},
		{"fullUrl":"urn:uuid:g","resource":{"resourceType":"Organization","id":"g","identifier":[{"system":"urn:medvault:institution","value":"group"}],"name":"Group","active":true,
			"address":[{"country":"SG"}],"extension":[{"url":"urn:medvault:issuer-of-patient-id","valueString":"GROUP"}]}},
		{"fullUrl":"urn:uuid:e","resource":{"resourceType":"Organization","id":"e","identifier":[{"system":"urn:medvault:institution","value":"east"}],"partOf":{"reference":"urn:uuid:g"},
			"extension":[{"url":"urn:medvault:issuer-of-patient-id","valueString":"EAST"}]}},
		{"resource":{"resourceType":"Organization","id":"ward","name":"a department","partOf":{"reference":"Organization/e"}}},
		{"resource":{"resourceType":"Organization","id":"bed","partOf":{"reference":"Organization/ward"}}},
		{"resource":{"resourceType":"Organization","id":"no-issuer","address":[{"country":"CN"}]}},
		{"resource":{"resourceType":"Organization","id":"elsewhere","address":[{"country":"China"}],"extension":[{"url":"urn:medvault:issuer-of-patient-id","valueString":"X"}]}},
		{"resource":{"resourceType":"Organization","id":"a","partOf":{"reference":"Organization/b"}}},
		{"resource":{"resourceType":"Organization","id":"b","partOf":{"reference":"Organization/a"}}},
		{"resource":{"resourceType":"Practitioner","id":"1","identifier":[{"value":"nurse-1"}]}},
		{"resource":{"resourceType":"Practitioner","id":"2","identifier":[{"value":"nurse-2"}]}},
		{"resource":{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/1"},"organization":{"reference":"Organization/bed"},"code":[{"coding":[{"code":"nurse"}]}]}},
		{"resource":{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/2"},"organization":{"reference":"Organization/a"},"code":[{"coding":[{"code":"nurse"}]}]}}]}`
	want := "1 clinic changed, 2 group added, 3 east added, 6 no-issuer refused bad-issuer, 7 elsewhere refused bad-country, 10 nurse-1 added, 11 nurse-2 refused no-institution"
	for _, query := range []string{"?dryRun=true", ""} {
		var done struct{ Lines []vault.StaffImported }
		if err := json.Unmarshal([]byte(h.want(200, "boss", "POST", "/api/v1/staff/import"+query, bundle)), &done); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range done.Lines {
			line, err := json.Marshal(l.Line)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimSpace(string(line)+" "+l.Name+" "+l.Outcome+" "+l.Reason))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("import%s: %s; want %s", query, strings.Join(got, ", "), want)
		}
	}
	var list struct{ Institutions []vault.StaffInstitution }
	if err := json.Unmarshal([]byte(h.want(200, "boss", "GET", "/api/v1/staff/institutions", "")), &list); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, i := range list.Institutions {
		bound, _, _ := strings.Cut(i.Agreement, ":")
		told = append(told, strings.Join([]string{i.ID, i.Name, i.Country, i.Issuer, bound, i.State}, "|"))
	}
	for _, want := range []string{"clinic|North Clinic, renamed|CN|NORTH|evidence|active", "group|Group|SG|GROUP||active", "east||SG|EAST||active"} {
		if !slices.Contains(told, want) {
			t.Errorf("institutions: %q; want %q among them", told, want)
		}
	}
	if nurse := h.want(200, "boss", "GET", "/api/v1/staff/people/nurse-1", ""); !strings.Contains(nurse, `"institution":"east"`) {
		t.Errorf("the nurse of a department: %s; want them in east", nurse)
	}
	h.want(200, "boss", "POST", "/api/v1/staff/import", `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Organization","id":"clinic","active":false}}]}`)
	h.everywhere("their institution is not active any more", "dr-li", "/api/v1/staff/me", 403, "institution-suspended")
}
