package imagingtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// person is the patient of some objects of the set: a Patient, the character set that
// their documents are written in, and the ways in which people write of them.
type person struct {
	Patient
	charset    string
	declared   string // Specific Character Set; not always the truth
	family     string // in the script of the first group
	given      string
	script     string // both names as written in the native script, "" for Latin ones
	mrn        string // digits of a medical record number, the Patient ID's without its prefix
	residentID string // 18 digits of GB 11643, the last one a checksum
	doctor     string // referring physician as plain text
}

// script is a character set with names that it can write: family and given name, and
// for ideographic ones the second and third group.
type script struct {
	charset string      // that the text is written in
	names   [][6]string // family, given; ideographic family, given; phonetic family, given
}

var scripts = []script{
	{"ISO_IR 192", [][6]string{
		{"Zhuang", "Xiaodong", "庄", "晓东"}, {"Ouyang", "Meihua", "欧阳", "美华"}, {"Quan", "Jianguo", "权", "建国"},
		{"Nguyễn", "Thị Hạnh"}, {"Trương", "Quốc Bảo"}, {"Łukasiewicz", "Żaneta"}, {"श्रीवास्तव", "राजकुमार"},
		{"Ōkubo", "Ryōta", "大久保", "亮太", "おおくぼ", "りょうた"}, {"Hwangbo", "Seungwoo", "皇甫", "承佑", "황보", "승우"},
	}},
	{"GB18030", [][6]string{
		{"Shangguan", "Wenbin", "上官", "文彬"}, {"Zhuge", "Chunlan", "诸葛", "春兰"}, {"Qiao", "Yuqing", "乔", "雨晴"}, {"Murong", "Xuefeng", "慕容", "雪峰"},
	}},
	{"GBK", [][6]string{
		{"Situ", "Zhiming", "司徒", "志明"}, {"Xiahou", "Guifang", "夏侯", "桂芳"}, {"Jiang", "Tianyu", "蒋", "天宇"},
	}},
	{`\ISO 2022 IR 58`, [][6]string{
		{"Zhang", "Xiaodong", "张", "小东"}, {"Dongfang", "Haiyan", "东方", "海燕"},
	}},
	{`\ISO 2022 IR 87`, [][6]string{
		{"Yamada", "Tarou", "山田", "太郎", "やまだ", "たろう"}, {"Kobayashi", "Misaki", "小林", "美咲", "こばやし", "みさき"},
		{"Hasegawa", "Kenji", "長谷川", "健二", "はせがわ", "けんじ"},
	}},
	{`\ISO 2022 IR 149`, [][6]string{
		{"Hong", "Gildong", "洪", "吉洞", "홍", "길동"}, {"Namgoong", "Minseo", "南宮", "民瑞", "남궁", "민서"},
	}},
	{"ISO_IR 100", [][6]string{
		{"Müller-Lüdenscheidt", "Jürgen"}, {"Håkansson", "Göran"}, {"Lefèvre", "Françoise"}, {"Ibáñez", "Begoña"}, {"Sørensen", "Bjørn"},
	}},
	{"ISO_IR 101", [][6]string{{"Dvořáček", "Jiřina"}, {"Wiśniewski", "Stanisław"}, {"Kovačević", "Željko"}}},
	{"ISO_IR 144", [][6]string{{"Соколовский", "Дмитрий"}, {"Кузнецова", "Екатерина"}}},
	{"ISO_IR 127", [][6]string{{"المصري", "عبدالرحمن"}, {"البغدادي", "فاطمة"}}},
	{"ISO_IR 126", [][6]string{{"Παπαδόπουλος", "Διονύσιος"}, {"Οικονόμου", "Αικατερίνη"}}},
	{"ISO_IR 138", [][6]string{{"אברמוביץ", "יהונתן"}, {"רוזנברג", "שרה"}}},
	{"ISO_IR 148", [][6]string{{"Çağlayan", "Şükrü"}, {"Yıldırım", "Gülşen"}}},
	{"ISO_IR 166", [][6]string{{"ศรีสุวรรณ", "สมชาย"}, {"จันทร์เพ็ญ", "กาญจนา"}}},
	{"", [][6]string{{"Wozniacki", "Thaddeus"}, {"Fitzgerald", "Rosalind"}, {"Zhuang", "Xiaodong"}}},
}

// declarations are what every third patient's documents say of their character set
// instead of the truth.
var declarations = map[string]string{"ISO_IR 192": "", "GBK": "ISO_IR 100", "GB18030": "", "ISO_IR 100": "", "ISO_IR 144": "ISO_IR 192"}

// newPerson invents person n of a set.
func newPerson(r *rand.Rand, n int) person {
	in := scripts[n%len(scripts)]
	self := in.names[r.IntN(len(in.names))]
	other := in.names[r.IntN(len(in.names))]
	p := person{Patient: NewPatient(r.Uint64()), charset: in.charset, family: self[0], given: self[1], doctor: "Osterhagen " + other[1]}
	p.declared = in.charset
	if other, ok := declarations[in.charset]; ok && r.IntN(3) == 0 {
		p.declared = other
	}
	p.Name = personName(self)
	if self[2] != "" {
		p.script = self[2] + self[3]
	}
	p.mrn = p.ID[len("SYN-"):]
	p.ID = pick(r, []string{"SYN-", "MRN", "P", ""}) + p.mrn
	p.UIDRoot = fmt.Sprintf("2.999.%d", r.Uint64N(1e15)+1e15) // has no digits of the Patient ID
	p.Physician = "Osterhagen^" + other[1]
	p.MotherName = "Quackenbush^" + self[1]
	p.Phone = fmt.Sprintf("+86 139%08d", r.IntN(1e8))
	p.residentID = residentID(fmt.Sprintf("110105%s%03d", p.BirthDate, r.IntN(1000)))
	return p
}

func personName(n [6]string) string {
	name := n[0] + "^" + n[1]
	if n[2] != "" {
		name += "=" + n[2] + "^" + n[3]
	}
	if n[4] != "" {
		name += "=" + n[4] + "^" + n[5]
	}
	return name
}

// residentID appends the checksum of ISO 7064 MOD 11-2 to 17 digits.
func residentID(digits string) string {
	sum := 0
	for i, d := range digits {
		sum += int(d-'0') * (1 << (17 - i) % 11)
	}
	return digits + string("10X98765432"[sum%11])
}

// mention is a way to write of a patient inside text, and what of it must not be
// left.
type mention struct {
	text string
	gone []string
	date string // layout of package time, where the text is a date that may be shifted
}

// mentions are the ways to write of a person that their character set can say.
func (p person) mentions() []mention {
	d := p.BirthDate
	months := []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	month := months[(d[4]-'0')*10+d[5]-'0'-1]
	names := []string{p.family, p.given}
	var all []mention
	for _, layout := range []string{"2006-01-02", "20060102", "02.01.2006", "2006/01/02", "2 Jan 2006"} {
		day, err := time.Parse("20060102", p.StudyDate)
		if err != nil {
			panic(err) // of NewPatient
		}
		text := day.Format(layout)
		all = append(all, mention{text, []string{text}, layout})
	}
	all = append(all, []mention{
		{text: p.family + " " + p.given, gone: names},
		{text: p.given + " " + p.family, gone: names},
		{text: strings.ToUpper(p.family) + ", " + p.given, gone: []string{strings.ToUpper(p.family), p.given}},
		{text: p.family + "^" + p.given, gone: names},
		{text: p.given, gone: []string{p.given}},
		{text: p.ID, gone: []string{p.ID, p.mrn}},
		{text: "MRN " + p.mrn, gone: []string{p.mrn}},
		{text: "#" + p.mrn, gone: []string{p.mrn}},
		{text: p.Accession, gone: []string{p.Accession}},
		{text: p.Phone, gone: []string{p.Phone, p.Phone[4:]}},
		{text: p.Phone[4:], gone: []string{p.Phone[4:]}},
		{text: p.Email, gone: []string{p.Email}},
		{text: p.residentID, gone: []string{p.residentID, p.residentID[:17]}},
		{text: p.Address, gone: []string{p.Address}},
		{text: p.doctor, gone: []string{"Osterhagen"}},
		{text: d, gone: []string{d}},
		{text: d[:4] + "-" + d[4:6] + "-" + d[6:], gone: []string{d[:4] + "-" + d[4:6] + "-" + d[6:]}},
		{text: d[6:] + "." + d[4:6] + "." + d[:4], gone: []string{d[6:] + "." + d[4:6] + "." + d[:4]}},
		{text: d[4:6] + "/" + d[6:] + "/" + d[:4], gone: []string{d[4:6] + "/" + d[6:] + "/" + d[:4]}},
		{text: d[6:] + " " + month + " " + d[:4], gone: []string{d[6:] + " " + month + " " + d[:4]}},
	}...)
	all = append(all, p.respelled()...)
	if p.script != "" {
		phonetic := strings.ReplaceAll(nameGroup(p.Name, 2), "^", "")
		all = append(all, mention{text: p.script, gone: []string{p.script}}, mention{text: d[:4] + "年" + d[4:6] + "月" + d[6:] + "日", gone: []string{d[:4] + "年" + d[4:6] + "月"}})
		if phonetic != "" {
			all = append(all, mention{text: phonetic, gone: []string{phonetic}})
		}
	}
	return all
}

// respelled are ways in which names, numbers and dates are written by people who do not
// copy them.
func (p person) respelled() []mention {
	d, first := p.BirthDate, string([]rune(p.given)[:1])
	year, month, day := d[:4], strings.TrimPrefix(d[4:6], "0"), strings.TrimPrefix(d[6:], "0")
	inWords := time.Date(2000, time.Month(d[4]-'0')*10+time.Month(d[5]-'0'), 1, 0, 0, 0, 0, time.UTC).Format("January")
	only := func(texts ...string) (all []mention) {
		for _, text := range texts {
			all = append(all, mention{text: text, gone: []string{text}})
		}
		return all
	}
	all := []mention{
		{text: first + ". " + p.family, gone: []string{p.family}},
		{text: p.family + ", " + first + ".", gone: []string{p.family}},
		{text: p.family + p.given, gone: []string{p.family, p.given}},
		{text: "Mr " + p.family, gone: []string{p.family}},
		{text: strings.ToLower(p.given + " " + p.family), gone: []string{strings.ToLower(p.family), strings.ToLower(p.given)}},
		{text: p.mrn[:3] + " " + p.mrn[3:6] + " " + p.mrn[6:], gone: []string{p.mrn[:3] + " " + p.mrn[3:6]}},
		{text: p.mrn[:3] + "-" + p.mrn[3:6] + "-" + p.mrn[6:], gone: []string{p.mrn[3:6] + "-" + p.mrn[6:]}},
		{text: "ID:" + p.mrn + "/" + p.family, gone: []string{p.mrn, p.family}},
		{text: "00" + p.mrn, gone: []string{p.mrn}},
		{text: inWords + " " + day + ", " + year, gone: []string{day + ", " + year}},
	}
	all = append(all, only(strings.ToLower(p.ID), p.Phone[4:7]+"-"+p.Phone[7:11]+"-"+p.Phone[11:], "DOB:"+d, year+"."+month+"."+day,
		d[6:]+"-"+strings.ToUpper(inWords[:3])+"-"+year)...)
	if plain := unaccented(p.family); plain != p.family {
		all = append(all, mention{text: unaccented(p.given) + " " + plain, gone: []string{plain}})
	}
	return all
}

// unaccented is a text as it is typed on a keyboard without the letters.
func unaccented(s string) string {
	return strings.NewReplacer("ü", "u", "å", "a", "ö", "o", "è", "e", "ç", "c", "á", "a", "ñ", "n", "ø", "o", "ř", "r", "á", "a", "č", "c",
		"ś", "s", "ł", "l", "ć", "c", "Ž", "Z", "ž", "z", "Ş", "S", "ş", "s", "ı", "i", "Ç", "C", "ğ", "g", "Ł", "L", "ę", "e").Replace(s)
}
