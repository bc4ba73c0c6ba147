package profile

// unlisted decides on what no table lists by exact tag: by group, then by VR.
func (p *Profile) unlisted(tag uint32, vr string, in Path) Rule {
	group, element := tag>>16, tag&0xFFFF
	switch {
	case group&1 == 1:
		return Rule{Action: Remove, Listed: true} // private, see Private
	case element == 0, group < 8, group >= 0xFFFA:
		return Rule{Action: Remove} // lengths, commands, media, signatures, padding
	case group&0xFF00 == 0x5000, group&0xFF00 == 0x6000:
		return p.graphics(tag, vr)
	case group&0xFF00 == 0x7F00:
		return pixels(tag, in)
	case group == 0x1000, group == 0x1010, tag&0xFFFF_FF00 == 0x0020_3100:
		return Rule{Action: Remove} // retired: code tables, zonal maps, source image IDs
	}
	return byVR(p.set, vr)
}

// pixels decides on the groups of pixel data. One that stands in a sequence is an
// icon or a copy, and shows what was burned in.
func pixels(tag uint32, in Path) Rule {
	switch tag {
	case 0x7FE0_0001, 0x7FE0_0002, 0x7FE0_0003, 0x7FE0_0008, 0x7FE0_0009, 0x7FE0_0010: // offsets, lengths, pixels
		if len(in) == 0 {
			return Rule{Action: Keep}
		}
	}
	return Rule{Action: Remove} // retired
}

// graphics decides on overlays (60xx) and retired curves (50xx), of which the table
// has the data and the comments.
func (p *Profile) graphics(tag uint32, vr string) Rule {
	rule := Rule{Action: Remove, Listed: true}
	curve, element := tag>>24 == 0x50, tag&0xFFFF
	switch {
	case !p.set.has(CleanGraphics), curve && element >= 0x2000 && element < 0x2500:
		return rule // audio: someone speaks
	case element == 0x3000: // the data
		rule.Action = Clean
	case vr == "LO", vr == "LT", vr == "SH":
		rule.Action, rule.Bare = Clean, Remove
	default:
		rule.Action = byVR(p.set, vr).Action
	}
	return rule
}

// byVR decides on an attribute of the standard that no table lists. None of those
// that stay can name anyone as long as it holds what its VR says.
func byVR(s Set, vr string) Rule {
	switch vr {
	case "UI":
		return instanceUID.rule(s)
	case "DA", "DT":
		return date.rule(s)
	case "TM":
		return timeOfDay.rule(s)
	case "AS":
		return patient.rule(s)
	case "AT", "CS", "DS", "FD", "FL", "IS", "SL", "SQ", "SS", "SV", "UL", "US", "UV", "OD", "OF", "OL", "OV", "OW":
		return Rule{Action: Keep}
	}
	return Rule{Action: Remove} // words, names, and bytes of no known meaning
}
