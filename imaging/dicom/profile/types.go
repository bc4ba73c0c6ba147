package profile

import "strings"

// attributeType is what an IOD demands of an attribute (PS3.5 7.4).
type attributeType uint8

const (
	typeUnknown attributeType = iota
	type1                     // must be there with a value; 1C too
	type2                     // must be there; 2C too
	type3                     // may be there
)

// choose takes of a compound code what the type needs.
func (t attributeType) choose(code string) string {
	options := strings.Split(code, "/")
	switch {
	case t == type3:
		return options[0]
	case t == type2 && strings.Contains(code, "Z"):
		return "Z"
	case t == type2 && strings.HasPrefix(code, "X/"):
		return options[len(options)-1]
	}
	return options[len(options)-1]
}

// typeOf looks up the type of an attribute in an object of that class.
func typeOf(tag uint32, sopClass string, in Path) attributeType {
	return typeUnknown
}
