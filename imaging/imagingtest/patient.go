// Package imagingtest makes synthetic patients and medical documents with an
// answer key: everything in them that could name a patient is known, so a test can
// search for it. All is invented, and the same seed always gives the same bytes.
//
// The sample study and report of a development vault come from here too, so the
// package imports nothing that only a test would.
package imagingtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Patient is an invented person. Name is a DICOM person name with a Latin and an
// ideographic group; every text is UTF-8 and is encoded by the document's own
// character set.
type Patient struct {
	ID         string
	Issuer     string // Issuer of Patient ID; "" leaves the element out
	OtherID    string // insurance number
	Name       string // "Wang^XiaoDong=王^小東"
	MotherName string // has a letter beyond ASCII; left out where a character set lacks it
	BirthDate  string // YYYYMMDD
	Sex        string
	Address    string
	Phone      string
	Email      string
	Accession  string // prefix of every accession number
	Physician  string // referring physician, as a DICOM person name
	Hospital   string
	Device     string // serial number of the scanner
	StudyDate  string // YYYYMMDD
	UIDRoot    string // every UID of the patient's documents begins with it
}

// NewPatient invents the patient of a seed.
func NewPatient(seed uint64) Patient {
	r := rand.New(rand.NewPCG(seed, 0x6d656476))
	family, given := pick(r, familyNames), pick(r, givenNames)
	doctor, doctorGiven := pick(r, familyNames), pick(r, givenNames)
	number := r.Uint64N(900_000_000) + 100_000_000
	return Patient{
		ID:         fmt.Sprintf("SYN-%09d", number),
		Issuer:     "SYNTHETIC",
		OtherID:    fmt.Sprintf("INS%012d", r.Uint64N(1e12)),
		Name:       family[0] + "^" + given[0] + "=" + family[1] + "^" + given[1],
		MotherName: fmt.Sprintf("Müster-%s^%s", family[0], pick(r, givenNames)[0]),
		BirthDate:  fmt.Sprintf("%04d%02d%02d", 1931+r.IntN(70), 1+r.IntN(12), 1+r.IntN(28)),
		Sex:        pick(r, []string{"F", "M"}),
		Address:    fmt.Sprintf("No. %d Test Data Road, Nowhere-%06d", 1+r.IntN(999), r.IntN(1e6)),
		Phone:      fmt.Sprintf("+86000%08d", r.IntN(1e8)),
		Email:      fmt.Sprintf("%s.%d@synthetic.invalid", strings.ToLower(given[0]), number),
		Accession:  fmt.Sprintf("ACC%08d", r.IntN(1e8)),
		Physician:  doctor[0] + "^" + doctorGiven[0] + "Md=" + doctor[1] + "^" + doctorGiven[1],
		Hospital:   fmt.Sprintf("Synthetic Hospital %05d", r.IntN(1e5)),
		Device:     fmt.Sprintf("DEV-%09d", r.IntN(1e9)),
		StudyDate:  fmt.Sprintf("%04d%02d%02d", 2019+r.IntN(6), 1+r.IntN(12), 1+r.IntN(28)),
		UIDRoot:    fmt.Sprintf("2.999.%d", number*1_000_000+r.Uint64N(1_000_000)), // 2.999 is the example arc
	}
}

// Latin is the alphabetic group of the name, "Wang^XiaoDong".
func (p Patient) Latin() string { return nameGroup(p.Name, 0) }

// Chinese is the ideographic group of the name, "王^小東".
func (p Patient) Chinese() string { return nameGroup(p.Name, 1) }

func nameGroup(name string, n int) string {
	groups := strings.Split(name, "=")
	if n >= len(groups) {
		return ""
	}
	return groups[n]
}

// Identifiers is the answer key: every planted value that names the patient, each
// long enough not to turn up by chance in a gigabyte of ciphertext.
func (p Patient) Identifiers() []string {
	latin, chinese, doctor := p.Latin(), p.Chinese(), nameGroup(p.Physician, 0)
	all := []string{
		p.ID, p.OtherID, latin, strings.ReplaceAll(latin, "^", " "), given(latin),
		chinese, strings.ReplaceAll(chinese, "^", ""), p.MotherName, p.BirthDate,
		p.Address, p.Phone, p.Email, p.Accession, doctor, nameGroup(p.Physician, 1),
		p.Hospital, p.Device, p.UIDRoot,
	}
	kept := all[:0]
	for _, id := range all {
		if len(id) >= 6 {
			kept = append(kept, id)
		}
	}
	return kept
}

func given(name string) string {
	_, g, _ := strings.Cut(name, "^")
	return g
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// The characters are all in GB 18030 and in JIS X 0208, so that one name fits
// every character set with ideographs.
var familyNames = [][2]string{
	{"Wang", "王"}, {"Li", "李"}, {"Chen", "陳"}, {"Lin", "林"}, {"Gao", "高"}, {"Zhou", "周"},
	{"Liu", "劉"}, {"Ma", "馬"}, {"He", "何"}, {"Luo", "羅"}, {"Song", "宋"}, {"Tang", "唐"},
}

var givenNames = [][2]string{
	{"XiaoDong", "小東"}, {"MeiHua", "美華"}, {"JianGuo", "建国"}, {"ZhiMing", "志明"},
	{"ChunLan", "春蘭"}, {"WenBin", "文彬"}, {"YuQing", "雨晴"}, {"HaiYan", "海燕"},
	{"XueFeng", "雪峰"}, {"GuiFang", "桂芳"}, {"TianYu", "天宇"}, {"QiuYue", "秋月"},
}
