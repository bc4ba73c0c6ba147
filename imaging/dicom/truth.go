package dicom

import (
	"cmp"
	"slices"
	"strings"

	"medvault/imaging/dicom/profile"
)

// truth is what the content says of its own de-identification (PS3.15 E.1.1, PS3.3
// C.12.1.1.11): that it is done, how, and what became of its dates; and what the pixel
// side says of the picture.
func (w *rewriter) truth() []insert {
	list := append([]insert{
		{0x0012_0062, CS, "YES"},
		{0x0012_0063, LO, w.method()},
		{0x0012_0064, SQ, w.methodCodes()},
		{0x0028_0303, CS, w.temporal()},
	}, w.picture.inserts...)
	slices.SortFunc(list, func(a, b insert) int { return cmp.Compare(a.tag, b.tag) })
	return list
}

// method names profile and options, one value each.
func (w *rewriter) method() string {
	values := []string{"MEDVAULT: " + edition}
	for _, c := range w.codes() {
		values = append(values, limited(LO, c.Meaning))
	}
	return strings.Join(values, `\`)
}

// codes are the items of CID 7050 that are true of this document.
func (w *rewriter) codes() []profile.Code {
	list := w.profile.Codes()
	if w.picture.cleaned {
		list = append(list, profile.Code{Value: "113101", Scheme: "DCM", Meaning: "Clean Pixel Data Option"})
	}
	return list
}

func (w *rewriter) methodCodes() string {
	items := rewriter{coding: w.coding}
	for _, c := range w.codes() {
		at := items.head(tagItem, 0, Undefined)
		items.write(0x0008_0100, SH, padText(SH, c.Value))
		items.write(0x0008_0102, SH, padText(SH, c.Scheme))
		items.write(0x0008_0104, LO, padText(LO, limited(LO, c.Meaning)))
		items.close(at, false, tagItemDelim)
	}
	return string(items.out)
}

// temporal is the value of Longitudinal Temporal Information Modified.
func (w *rewriter) temporal() string {
	switch {
	case w.options&profile.RetainModifiedDates != 0 && w.p.ShiftDays != 0:
		return "MODIFIED"
	case w.options&(profile.RetainModifiedDates|profile.RetainFullDates) != 0:
		return "UNMODIFIED"
	}
	return "REMOVED"
}

// effect is what became of an element.
type effect int

const (
	kept effect = iota
	removed
	emptied
	replaced
	mappedUID
	shifted
	cleaned
	tokenised
	effects // how many there are
)

// tally counts elements by what became of them.
type tally [effects]int

func (t *tally) add(e effect) { t[e]++ }

// report is the tally by the names of imaging.Report.
func (t *tally) report() map[string]int {
	names := [effects]string{"keep", "remove", "empty", "dummy", "uid", "shift", "clean", "token"}
	list := make(map[string]int, effects)
	for i, n := range t {
		if n > 0 {
			list[names[i]] = n
		}
	}
	return list
}
