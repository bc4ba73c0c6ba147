package staff

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"medvault/vault"
	"medvault/vault/record"
)

// The part of FHIR R4 that an import reads: Organization is an institution, Practitioner a
// person, PractitionerRole their roles and institution. FHIR knows nothing of agreements and
// trainings: these are entered and attested apart. See readOrganizations.
type bundle struct {
	ResourceType string `json:"resourceType"`
	Entry        []struct {
		FullURL  string          `json:"fullUrl"`
		Resource json.RawMessage `json:"resource"`
	} `json:"entry"`
}

type resource struct {
	fullURL      string
	ResourceType string       `json:"resourceType"`
	ID           string       `json:"id"`
	Active       *bool        `json:"active"`
	Identifier   []identifier `json:"identifier"`
	Name         names        `json:"name"`
	Address      []address    `json:"address"`
	PartOf       reference    `json:"partOf"`
	Extension    []extension  `json:"extension"`
	Practitioner reference    `json:"practitioner"`
	Organization reference    `json:"organization"`
	Code         []struct {
		Coding []struct {
			Code string `json:"code"`
		} `json:"coding"`
	} `json:"code"`
}

type identifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

type reference struct {
	Reference  string     `json:"reference"`
	Identifier identifier `json:"identifier"`
}

// names are HumanName of a Practitioner, or an Organization's name, a string.
type names []humanName

type humanName struct {
	Text   string   `json:"text"`
	Family string   `json:"family"`
	Given  []string `json:"given"`
}

// UnmarshalJSON takes a string for the text of one name.
func (n *names) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*n = make(names, 1)
		return json.Unmarshal(data, &(*n)[0].Text)
	}
	type list names
	return json.Unmarshal(data, (*list)(n))
}

func (n names) text() string {
	if len(n) == 0 {
		return ""
	}
	if n[0].Text != "" {
		return n[0].Text
	}
	return strings.TrimSpace(strings.Join(append(slices.Clone(n[0].Given), n[0].Family), " "))
}

// subjectSystem is the system of the identifier that is the subject at the identity
// provider; without one of it, the first identifier is.
const subjectSystem = "urn:medvault:subject"

// readBundle reads an import from a FHIR R4 Bundle. The line of an entry is its place,
// from 1. A person's roles are those of all their PractitionerRoles.
func readBundle(r io.Reader) ([]vault.StaffLine, error) {
	bad := record.Refuse(record.ErrInvalid, "bad-bundle", "send a FHIR R4 Bundle of Organization, Practitioner and PractitionerRole as JSON")
	var b bundle
	if err := json.NewDecoder(r).Decode(&b); err != nil || b.ResourceType != "Bundle" {
		return nil, bad
	}
	if len(b.Entry) > maxLines {
		return nil, tooManyLines
	}
	people := make(map[string]*vault.StaffPerson) // by what a reference may call them
	resources := make([]resource, len(b.Entry))
	for i, e := range b.Entry {
		if err := json.Unmarshal(e.Resource, &resources[i]); err != nil {
			return nil, bad
		}
		resources[i].fullURL = e.FullURL
	}
	lines, institutions := readOrganizations(resources)
	for i, e := range b.Entry {
		if resources[i].ResourceType != "Practitioner" {
			continue
		}
		p := personOf(resources[i])
		people["Practitioner/"+resources[i].ID] = p
		if e.FullURL != "" {
			people[e.FullURL] = p
		}
		lines = append(lines, vault.StaffLine{Line: i + 1, Person: p})
	}
	for i, role := range resources {
		switch role.ResourceType {
		case "Practitioner", "Organization":
			continue
		case "PractitionerRole":
		default:
			lines = append(lines, vault.StaffLine{Line: i + 1, Refused: "resource-not-read"})
			continue
		}
		p := people[role.Practitioner.Reference]
		if p == nil {
			lines = append(lines, vault.StaffLine{Line: i + 1, Refused: "no-practitioner"})
			continue
		}
		if role.Active != nil && !*role.Active {
			continue
		}
		p.Institution = institutions.of(role.Organization)
		for _, code := range role.Code {
			for _, coding := range code.Coding {
				if r := roleOf(coding.Code); r != "" && !slices.Contains(p.Roles, r) {
					p.Roles = append(p.Roles, r)
				}
			}
		}
	}
	return lines, nil
}

func personOf(r resource) *vault.StaffPerson {
	p := &vault.StaffPerson{Name: r.Name.text()}
	if len(r.Identifier) > 0 {
		p.Subject = r.Identifier[0].Value
	}
	for _, id := range r.Identifier {
		if id.System == subjectSystem {
			p.Subject = id.Value
		}
	}
	if r.Active != nil {
		p.State = stateOf(*r.Active)
	}
	return p
}

// roleOf takes our own names, and the codes of the practitioner-role value set and of
// SNOMED CT that say the same. "" is none of ours.
func roleOf(code string) record.Role {
	if slices.Contains(record.Roles(), record.Role(code)) {
		return record.Role(code)
	}
	switch code {
	case "doctor", "nurse", "158965000", "309343006", "224535009": // medical practitioner, physician, registered nurse
		return record.RoleClinician
	case "researcher":
		return record.RoleResearcher
	}
	return ""
}
