package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"medvault/vault"
)

// CareConfig says what makes care relationships beside those that somebody states.
type CareConfig struct {
	FromDICOM CareFromDICOMConfig `yaml:"fromDICOM"`
}

// CareFromDICOMConfig is vault.CareFromDICOM; without attributes it is off.
type CareFromDICOMConfig struct {
	Attributes []string          `yaml:"attributes"` // keywords of what counts: see vault.PhysicianAttributes
	Period     time.Duration     `yaml:"period"`     // how long they treat; default 720h
	People     map[string]string `yaml:"people"`     // code of a person to the subject on the staff register
}

func (c CareFromDICOMConfig) check(found *checks) {
	known := vault.PhysicianAttributes()
	for _, a := range c.Attributes {
		if !slices.Contains(known, a) {
			found.add("care.fromDICOM.attributes", "found %q, want some of %s", a, strings.Join(known, ", "))
		}
	}
	if c.Period < 0 {
		found.add("care.fromDICOM.period", "found %s, want more than 0s", c.Period)
	}
	if len(c.Attributes) == 0 && (c.Period > 0 || len(c.People) > 0) {
		found.add("care.fromDICOM.attributes", "missing; without them no document makes a care relationship")
	}
}

func (c CareFromDICOMConfig) care() vault.CareFromDICOM {
	if len(c.Attributes) == 0 {
		return vault.CareFromDICOM{}
	}
	return vault.CareFromDICOM{Attributes: c.Attributes, Period: cmp.Or(c.Period, 30*24*time.Hour), People: c.People}
}
