package profile

import (
	"fmt"
	"slices"
	"strings"
)

// Set is a choice of the options of PS3.15 E.3. The bits are in the order of the
// columns of table E.1-1. The zero Set is the basic profile alone.
type Set uint16

const (
	RetainSafePrivate            Set = 1 << iota // E.3.10
	RetainUIDs                                   // E.3.9
	RetainDevice                                 // E.3.8
	RetainInstitution                            // E.3.11
	RetainPatientCharacteristics                 // E.3.7
	RetainFullDates                              // E.3.6; excludes RetainModifiedDates
	RetainModifiedDates                          // E.3.6
	CleanDescriptors                             // E.3.5
	CleanStructured                              // E.3.4
	CleanGraphics                                // E.3.3
)

// Default is what a deployment gets that chooses nothing: dates are shifted, private
// elements known to be safe stay.
const Default = RetainSafePrivate | RetainModifiedDates

// Options are the names of the options: the option columns of table E.1-1, in its
// order.
func Options() []string {
	return []string{"retain_safe_private", "retain_uids", "retain_device_identity", "retain_institution_identity",
		"retain_patient_characteristics", "retain_longitudinal_full_dates", "retain_longitudinal_modified_dates",
		"clean_descriptors", "clean_structured_content", "clean_graphics"}
}

// Named are the sets that a deployment may choose by name.
func Named() map[string]Set {
	return map[string]Set{
		// The basic profile, useful: intervals and quantification survive.
		"default": Default,
		// Research within one trial: age, sex and weight are covariates, the scanner is a
		// confounder, and descriptions choose the series; who treats where stays hidden.
		"clinical-trial": Default | RetainDevice | RetainPatientCharacteristics | CleanDescriptors | CleanStructured | CleanGraphics,
		// Cases for students: what is seen and said of it, not which machine or site.
		"teaching": Default | RetainPatientCharacteristics | CleanDescriptors | CleanStructured | CleanGraphics,
		// Quality assurance inside the institution: which device, which department, which
		// protocol; nothing of the person.
		"quality": Default | RetainDevice | RetainInstitution | CleanDescriptors | CleanStructured,
	}
}

// ParseSet reads options by the names of Options. Order and repetition do not matter.
func ParseSet(names []string) (Set, error) {
	var s Set
	for _, n := range names {
		i := slices.Index(Options(), n)
		if i < 0 {
			return 0, fmt.Errorf("option %q is not one of %s", n, strings.Join(Options(), ", "))
		}
		s |= 1 << i
	}
	if s&RetainFullDates != 0 && s&RetainModifiedDates != 0 {
		return 0, fmt.Errorf("options %s and %s exclude each other; leave out %[1]s to have dates shifted, %[2]s to have them as they are",
			RetainFullDates.Names()[0], RetainModifiedDates.Names()[0])
	}
	return s, nil
}

// Names are the names of the set's options in the order of the table.
func (s Set) Names() []string {
	var names []string
	for i, n := range Options() {
		if s&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// has reports whether the set has all options of o.
func (s Set) has(o Set) bool { return s&o == o }
