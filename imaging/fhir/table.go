package fhir

import (
	_ "embed"
	"strings"
)

//go:embed elements.txt
var elementsText string

// table says what is taken over: rules by element by type.
type table map[string]map[string]string

// elements reads the table. It is small: once a document costs little.
func elements() table {
	t := make(table)
	for line := range strings.Lines(elementsText) {
		name, rules, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		of := make(map[string]string)
		for pair := range strings.FieldsSeq(rules) {
			element, rule, _ := strings.Cut(pair, ":")
			of[element] = rule
		}
		t[name] = of
	}
	return t
}

// resource says whether a type is one of a resource: a data type or a part of a resource
// is none.
func (t table) resource(name string) bool {
	switch name {
	case "Annotation", "Attachment", "CodeableConcept", "CodeableReference", "Coding", "Dosage", "DoseAndRate", "Identifier", "Narrative",
		"Period", "Quantity", "Range", "Ratio", "Reference", "Repeat", "SampledData", "Timing":
		return false
	}
	return t[name] != nil && !strings.Contains(name, ".")
}
