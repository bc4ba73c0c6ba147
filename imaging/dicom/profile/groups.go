package profile

// unlisted decides on what no table lists by exact tag: by group, then by VR.
func (p *Profile) unlisted(tag uint32, vr string, in Path) Rule {
	group, element := tag>>16, tag&0xFFFF
	switch {
	case group&1 == 1:
		return Rule{Action: Remove, Listed: true} // private: see Private
	case element == 0, group < 8, group >= 0xFFFA:
		return Rule{Action: Remove} // lengths, commands, media, signatures, padding
	case group&0xFF00 == 0x5000, group&0xFF00 == 0x6000:
		return Rule{Action: Remove, Listed: true}
	}
	return byVR(p.set, vr)
}

// byVR decides on an attribute of the standard that neither table lists. None of
// those can name anyone as long as it holds what its VR says.
func byVR(s Set, vr string) Rule {
	switch vr {
	case "UI":
		return instanceUID.rule(s, vr)
	case "DA", "DT":
		return date.rule(s, vr)
	case "TM":
		return timeOfDay.rule(s, vr)
	case "AT", "CS", "DS", "FD", "FL", "IS", "SL", "SQ", "SS", "SV", "UL", "US", "UV", "OD", "OF", "OL", "OV", "OW":
		return Rule{Action: Keep}
	}
	return Rule{Action: Remove}
}
