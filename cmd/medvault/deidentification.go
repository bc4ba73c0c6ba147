package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/ocr"
)

// DeidentificationConfig says how identity is taken out of DICOM documents. What is
// stored keeps the profile it was stored with, until it is derived again.
type DeidentificationConfig struct {
	Profile  string              `yaml:"profile"`  // one of the built-in sets or of Profiles; default "default"
	Profiles map[string][]string `yaml:"profiles"` // the deployment's own sets of options of PS3.15 E.3, by name

	PixelRulesFile string    `yaml:"pixelRulesFile"` // which pictures to show, mask or hold, before the built-in rules (imaging/dicom/pixels.rules); default none
	OCR            OCRConfig `yaml:"ocr"`
}

// OCRConfig is the reader of words in pictures that are held, which then come with
// masks suggested. Without a program nobody reads.
type OCRConfig struct {
	Program   string `yaml:"program"`   // path of tesseract
	Languages string `yaml:"languages"` // as tesseract names them; default "eng"
	AtOnce    int    `yaml:"atOnce"`    // pictures at once, one core each; default 1
}

// options are the options of the chosen profile.
func (d DeidentificationConfig) options() (profile.Set, error) {
	name := cmp.Or(d.Profile, "default")
	if own, ok := d.Profiles[name]; ok {
		return profile.ParseSet(own)
	}
	set, ok := profile.Named()[name]
	if !ok {
		return 0, fmt.Errorf("found %q, want one of %s", name, strings.Join(d.names(), ", "))
	}
	return set, nil
}

// names are the profiles there are to choose from.
func (d DeidentificationConfig) names() []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(profile.Named())), maps.Keys(d.Profiles))
	slices.Sort(names)
	return slices.Compact(names)
}

// check finds options that do not exist or exclude each other in any of the profiles,
// not only the chosen one.
func (d DeidentificationConfig) check(found *checks) {
	taken := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(d.Profiles)) {
		at := "deidentification.profiles." + name
		found.name(at, name, taken)
		if _, ok := profile.Named()[name]; ok {
			found.add(at, "is built in; choose another name")
		}
		_, err := profile.ParseSet(d.Profiles[name])
		found.addIf(at, err)
	}
	if d.Profiles[d.Profile] == nil {
		_, err := d.options()
		found.addIf("deidentification.profile", err)
	}
	if d.PixelRulesFile != "" {
		found.absolute("deidentification.pixelRulesFile", d.PixelRulesFile)
		_, err := d.pixelRules()
		found.addIf("deidentification.pixelRulesFile", err)
	}
	if d.OCR != (OCRConfig{}) {
		found.absolute("deidentification.ocr.program", d.OCR.Program)
	}
}

// pixelRules are the deployment's own.
func (d DeidentificationConfig) pixelRules() (dicom.PixelRules, error) {
	if d.PixelRulesFile == "" {
		return dicom.PixelRules{}, nil
	}
	data, err := os.ReadFile(d.PixelRulesFile)
	if err != nil {
		return dicom.PixelRules{}, err
	}
	return dicom.ParsePixelRules(data)
}

// scrubber takes identity out as the configuration, which has been checked, says.
func (d DeidentificationConfig) scrubber() (dicom.Scrubber, error) {
	options, err := d.options()
	if err != nil {
		return dicom.Scrubber{}, fmt.Errorf("deidentification: %w", err)
	}
	pixels, err := d.pixelRules()
	if err != nil {
		return dicom.Scrubber{}, fmt.Errorf("deidentification: %w", err)
	}
	c := dicom.Config{Profile: cmp.Or(d.Profile, "default"), Options: options, Pixels: pixels}
	if d.OCR.Program != "" {
		if c.OCR, err = ocr.New(ocr.Config{Program: d.OCR.Program, Languages: d.OCR.Languages, AtOnce: d.OCR.AtOnce}); err != nil {
			return dicom.Scrubber{}, fmt.Errorf("deidentification.ocr: %w", err)
		}
	}
	return dicom.With(c), nil
}
