package profile

import _ "embed"

//go:embed outside.tsv
var outside string

// kind groups the attributes that table E.1-1 leaves out by what they say.
type kind string

const (
	standardUID kind = "standard"    // a UID that names a class, a syntax or a code list
	instanceUID kind = "instance"    // a UID that someone gave to one thing
	date        kind = "date"        //
	timeOfDay   kind = "time"        //
	person      kind = "person"      // who, and how to reach them
	place       kind = "institution" // where, and whose
	address     kind = "address"     // of a machine: URIs, titles
	identifier  kind = "identifier"  // a number or name given to one thing, patient or order
	device      kind = "device"      // one particular device
	equipment   kind = "equipment"   // make, model, software: display and measurement depend on it
	technique   kind = "technique"   // how the image was made, in terms of the machine
	code        kind = "code"        // codes and terms of a list
	text        kind = "text"        // free text of what is seen, done or meant
	anew        kind = "anew"        // told anew or not at all: file meta, media directories, what was done to identity
)

// rule decides on a kind. The options reach what the table would have them reach.
func (k kind) rule(s Set, vr string) Rule {
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
	case place:
		return keepIf(RetainInstitution, Remove)
	case identifier:
		return Rule{Action: Token}
	case text:
		return Rule{Action: Clean, Bare: Dummy}
	}
	return Rule{Action: Remove} // person, address, anew
}
