package profile

// Code is a coded entry of the De-identification Method Code Sequence (0012,0064).
type Code struct{ Value, Scheme, Meaning string }

// Codes are the items of CID 7050 that are true for every document treated by this
// profile. What depends on the document, as cleaned pixels (113101), is not among
// them.
func (p *Profile) Codes() []Code {
	list := []Code{{"113100", "DCM", "Basic Application Confidentiality Profile"}}
	for _, c := range []struct {
		option         Set
		value, meaning string
	}{
		{CleanGraphics, "113103", "Clean Graphics Option"},
		{CleanStructured, "113104", "Clean Structured Content Option"},
		{CleanDescriptors, "113105", "Clean Descriptors Option"},
		{RetainFullDates, "113106", "Retain Longitudinal Temporal Information Full Dates Option"},
		{RetainModifiedDates, "113107", "Retain Longitudinal Temporal Information Modified Dates Option"},
		{RetainPatientCharacteristics, "113108", "Retain Patient Characteristics Option"},
		{RetainDevice, "113109", "Retain Device Identity Option"},
		{RetainUIDs, "113110", "Retain UIDs Option"},
		{RetainSafePrivate, "113111", "Retain Safe Private Option"},
		{RetainInstitution, "113112", "Retain Institution Identity Option"},
	} {
		if p.set.has(c.option) {
			list = append(list, Code{c.value, "DCM", c.meaning})
		}
	}
	return list
}
