package staff

import (
	"strings"

	"medvault/vault"
)

type address struct {
	Country string `json:"country"`
}

type extension struct {
	URL         string `json:"url"`
	ValueString string `json:"valueString"`
}

const (
	// institutionSystem is the system of the identifier that is an institution's id on the
	// register; without one of it, the resource's id is.
	institutionSystem = "urn:medvault:institution"
	// issuerExtension holds the default Issuer of Patient ID of an institution's documents.
	issuerExtension = "urn:medvault:issuer-of-patient-id"
)

// organizations are the institutions of a bundle, by what a reference may call them.
type organizations map[string]*organization

type organization struct {
	id, country string
	parent      reference
	part        bool // of another, and no institution of its own
}

// readOrganizations makes institutions of the Organizations: name, the first address's
// country (ISO 3166-1 alpha-2), active, and the extension issuerExtension. One that is part
// of another (partOf) and has no identifier of institutionSystem is a department: it makes
// no institution, and who works there belongs to that other. A part with one is an
// institution, which lies where that other does unless it says. What is left out stays as
// the register has it; agreements are never read.
func readOrganizations(resources []resource) (lines []vault.StaffLine, all organizations) {
	all = make(organizations)
	for _, r := range resources {
		if r.ResourceType != "Organization" {
			continue
		}
		o := &organization{id: r.ID, parent: r.PartOf, part: r.PartOf != reference{}}
		for _, id := range r.Identifier {
			if id.System == institutionSystem {
				o.id, o.part = id.Value, false
			}
		}
		if len(r.Address) > 0 {
			o.country = r.Address[0].Country
		}
		all["Organization/"+r.ID] = o
		if r.fullURL != "" {
			all[r.fullURL] = o
		}
	}
	for i, r := range resources {
		o := all["Organization/"+r.ID]
		if r.fullURL != "" {
			o = all[r.fullURL]
		}
		if r.ResourceType != "Organization" || o.part {
			continue
		}
		institution := &vault.StaffInstitution{ID: o.id, Name: r.Name.text(), Country: all.country(o)}
		for _, e := range r.Extension {
			if e.URL == issuerExtension {
				institution.Issuer = e.ValueString
			}
		}
		if r.Active != nil {
			institution.State = stateOf(*r.Active)
		}
		lines = append(lines, vault.StaffLine{Line: i + 1, Institution: institution})
	}
	return lines, all
}

func stateOf(active bool) string {
	if active {
		return "active"
	}
	return "suspended"
}

// maxParts bounds how far partOf is followed: a bundle may go in circles.
const maxParts = 16

func (all organizations) country(o *organization) string {
	for range maxParts {
		if o == nil || o.country != "" {
			break
		}
		o = all[o.parent.Reference]
	}
	if o == nil {
		return ""
	}
	return o.country
}

// of is the id of the institution that a reference names; one that the bundle does not hold
// is on the register under the last part of the reference.
func (all organizations) of(r reference) string {
	for range maxParts {
		if r.Identifier.Value != "" {
			return r.Identifier.Value
		}
		o := all[r.Reference]
		if o == nil {
			return r.Reference[strings.LastIndexByte(r.Reference, '/')+1:]
		}
		if !o.part {
			return o.id
		}
		r = o.parent
	}
	return "" // in a circle
}
