package profile

// Lookup and Outside serve the rewriter until it asks a Profile.
func Lookup(tag uint32) (Rule, bool) {
	p := New(Default)
	group := tag >> 16
	c := p.rules[tag]
	if c == nil {
		return Rule{Action: Remove, Listed: true}, group&1 == 1 || group&0xFF00 == 0x5000 || group&0xFF00 == 0x6000
	}
	r := c.byType[typeUnknown]
	switch r.Action {
	case Clean:
		r.Action = Remove
	case Token:
		r.Action = Dummy
		if !r.Listed {
			r.Action = Remove
		}
	}
	return r, true
}

// Outside decides by VR.
func Outside(vr string) Action {
	if vr == "AS" {
		return Keep
	}
	return byVR(Default, vr).Action
}
