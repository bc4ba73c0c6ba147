package profile

import (
	_ "embed"
	"strings"
	"sync"
)

// TypesSHA256 is the digest of iods.tsv and types.tsv, one behind the other.
const TypesSHA256 = "555541e4b93a44b701588031c77005ca7ffc1e4946a5268e9d1794602a7d40b7"

//go:embed iods.tsv
var iods string

//go:embed types.tsv
var typeTable string

// attributeType is what an IOD demands of an attribute (PS3.5 7.4).
type attributeType uint8

const (
	typeUnknown attributeType = iota
	type1                     // must be there with a value; 1C too
	type2                     // must be there; 2C too
	type3                     // may be there
)

// choose takes of a compound code the least that the type allows.
func (t attributeType) choose(code string) string {
	parts := strings.Split(code, "/")
	least, most := parts[0], parts[len(parts)-1]
	switch {
	case t == type3:
		return least
	case t == type2:
		return "Z"
	case t == type1 && most == "Z":
		return "D"
	}
	return most
}

// place is where an attribute has a type: at the top level of an IOD, or in a
// sequence of any.
type place struct {
	iod      string // "" in a sequence
	sequence uint32 // 0 at the top level
	tag      uint32
}

// types holds the types by place; at the top level of a known IOD what is not there
// is of type 3.
var types = sync.OnceValue(func() map[place]attributeType {
	m := make(map[place]attributeType, 2000)
	for _, f := range fields(typeTable) {
		for iod := range strings.FieldsSeq(f[3]) {
			p := place{iod: iod, tag: mustTag(f[1])}
			if f[0] != "" {
				p = place{sequence: mustTag(f[0]), tag: p.tag}
			}
			m[p] = attributeType(f[2][0] - '0')
		}
	}
	return m
})

// iodOf gives the IOD of each known SOP class.
var iodOf = sync.OnceValue(func() map[string]string {
	m := make(map[string]string, 200)
	for _, f := range fields(iods) {
		if f[1] != "-" {
			m[f[0]] = f[1]
		}
	}
	return m
})

// typeOf looks up the type of an attribute in an object of that class.
func typeOf(tag uint32, sopClass string, in Path) attributeType {
	if len(in) > 0 {
		return types()[place{sequence: in[len(in)-1], tag: tag}]
	}
	iod, known := iodOf()[sopClass]
	if !known {
		return typeUnknown
	}
	if t, ok := types()[place{iod: iod, tag: tag}]; ok {
		return t
	}
	return type3
}
