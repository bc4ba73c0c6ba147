package profile

import _ "embed"

// outside has every attribute with an identifying VR that table E.1-1 leaves out,
// further those others for which the decision by VR would not do. Both say of each
// attribute what kind it is of.
var (
	//go:embed outside.tsv
	outside string
	//go:embed further.tsv
	further string
)

// Attribute is one that table E.1-1 leaves out, and what it says: the kind, a word
// that stands for the decision under every set.
type Attribute struct{ Tag, VR, Keyword, Kind string }

// Outside are the attributes decided by kind: first the 547 whose VR can identify,
// then others.
func Outside() []Attribute {
	var list []Attribute
	for _, f := range append(fields(outside), fields(further)...) {
		list = append(list, Attribute{Tag: f[0], VR: f[1], Keyword: f[2], Kind: f[3]})
	}
	return list
}

// kind groups attributes by what they say.
type kind string

const (
	standardUID kind = "standard"    // a UID that names a class, a syntax or a code list
	instanceUID kind = "instance"    // a UID that someone gave to one thing
	date        kind = "date"        //
	timeOfDay   kind = "time"        //
	person      kind = "person"      // who, and how to reach them
	patient     kind = "patient"     // what the patient is like
	institution kind = "institution" // where, and whose
	address     kind = "address"     // of a machine: URIs, titles
	identifier  kind = "identifier"  // a number or name given to one thing, order or animal
	device      kind = "device"      // one particular device
	equipment   kind = "equipment"   // make, model, software, part: display and measurement depend on it
	technique   kind = "technique"   // how the image was made and what its values mean, in terms of the machine
	code        kind = "code"        // codes and terms of a list, without their meaning in words
	finding     kind = "finding"     // coded diagnoses, as the table has them
	text        kind = "text"        // free text of what is seen, done or meant
	anew        kind = "anew"        // told anew or no longer true: file meta, media directories, what was done to identity, signatures
)

// rule decides on a kind. The options reach what the table would have them reach.
func (k kind) rule(s Set) Rule {
	keepIf := func(o Set, otherwise Action) Rule {
		if s.has(o) {
			return Rule{Action: Keep}
		}
		return Rule{Action: otherwise}
	}
	switch k {
	case standardUID, equipment, technique, code:
		return Rule{Action: Keep}
	case instanceUID:
		return keepIf(RetainUIDs, MapUID)
	case date:
		if s.has(RetainModifiedDates) {
			return Rule{Action: Shift}
		}
		return keepIf(RetainFullDates, Remove)
	case timeOfDay:
		if s.has(RetainModifiedDates) {
			return Rule{Action: Keep}
		}
		return keepIf(RetainFullDates, Remove)
	case device:
		return keepIf(RetainDevice, Token)
	case patient:
		return keepIf(RetainPatientCharacteristics, Remove)
	case institution:
		return keepIf(RetainInstitution, Remove)
	case identifier:
		return Rule{Action: Token}
	case finding:
		if s.has(CleanDescriptors) {
			return Rule{Action: Clean}
		}
	case text:
		return Rule{Action: Clean, Bare: Dummy}
	}
	return Rule{Action: Remove} // person, address, anew
}
