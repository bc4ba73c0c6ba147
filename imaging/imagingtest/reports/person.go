package reports

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"medvault/imaging/subject"
)

// person is the patient, and the people around them.
type person struct {
	family, given string // Latin
	script        string // both in characters, "" of a Latin patient
	title         string
	mrn, resident string
	accession     string
	birth         time.Time
	phone, email  string
	address       string
	doctor        string // who referred
	reporter      string
	relative      string
	relativePhone string
	study, before time.Time
}

var latinNames = [][2]string{
	{"Wozniacki", "Thaddeus"}, {"Fitzgerald", "Rosalind"}, {"Black", "Rose"}, {"Long", "Grace"}, {"Okonkwo", "Ngozi"}, {"Müller-Weiß", "Jürgen"},
	{"van der Meer", "Anneke"}, {"O'Sullivan", "Siobhan"}, {"Lefèvre", "Françoise"}, {"Young", "Amber"}, {"Håkansson", "Göran"}, {"Papadopoulos", "Dionysios"},
	{"Abernathy", "Cornelius"}, {"Quackenbush", "Leopold"}, {"Ibáñez", "Begoña"}, {"Featherstone", "Winifred"},
}

var chineseNames = [][3]string{
	{"张伟", "Zhang", "Wei"}, {"欧阳美华", "Ouyang", "Meihua"}, {"王晓东", "Wang", "Xiaodong"}, {"李娜", "Li", "Na"}, {"诸葛春兰", "Zhuge", "Chunlan"},
	{"刘建国", "Liu", "Jianguo"}, {"陈志明", "Chen", "Zhiming"}, {"赵雨晴", "Zhao", "Yuqing"}, {"徐海燕", "Xu", "Haiyan"}, {"孙桂芳", "Sun", "Guifang"},
	{"蒋天宇", "Jiang", "Tianyu"}, {"罗雪峰", "Luo", "Xuefeng"},
}

var latinOthers = []string{"Kowalski", "Osterhagen", "Lindqvist", "Bartholomew", "Dragomirescu", "Whitcombe", "Ferreira", "Tanaka"}
var latinFirst = []string{"Harriet", "Magnus", "Beatrix", "Stefan", "Odile", "Ingrid", "Patrick", "Yuki"}
var chineseOthers = []string{"黄丽萍", "周国强", "吴敏", "郑凯", "冯秀英", "曹文博", "彭勇", "董洁"}

func newPerson(r *rand.Rand, chinese bool) person {
	day := func(from, years int) time.Time {
		return time.Date(from+r.IntN(years), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
	}
	p := person{title: pick(r, []string{"Mr.", "Mrs.", "Ms"}), birth: day(1938, 60), study: day(2019, 6)}
	p.before = p.study.AddDate(0, 0, -40-r.IntN(300))
	p.mrn = fmt.Sprintf("%s%07d", pick(r, []string{"MRN-", "ZY", "P", ""}), 1_000_000+r.IntN(8_999_999))
	p.accession = fmt.Sprintf("%s%08d", pick(r, []string{"ACC", "CT", "A"}), 10_000_000+r.IntN(89_999_999))
	p.resident = residentID(fmt.Sprintf("%s%s%03d", pick(r, []string{"110105", "310104", "440305"}), p.birth.Format("20060102"), r.IntN(1000)))
	if chinese {
		n := pick(r, chineseNames)
		p.script, p.family, p.given = n[0], n[1], n[2]
		p.phone = fmt.Sprintf("13%09d", r.IntN(1e9))
		p.relativePhone = fmt.Sprintf("15%09d", r.IntN(1e9))
		p.address = fmt.Sprintf("%s%s%d号%d室", pick(r, []string{"北京市朝阳区", "上海市徐汇区", "广东省深圳市南山区"}), pick(r, []string{"建国路", "衡山路", "深南大道"}), 1+r.IntN(300), 101+r.IntN(2000))
		p.doctor, p.reporter, p.relative = pick(r, chineseOthers[:3]), pick(r, chineseOthers[3:6]), pick(r, chineseOthers[6:])
	} else {
		n := pick(r, latinNames)
		p.family, p.given = n[0], n[1]
		p.phone = fmt.Sprintf("+44 20 %04d %04d", 1000+r.IntN(9000), r.IntN(10000))
		p.relativePhone = fmt.Sprintf("(617) %03d-%04d", 200+r.IntN(700), r.IntN(10000))
		p.address = fmt.Sprintf("%d %s, %s %05d", 2+r.IntN(900), pick(r, []string{"Baker Street", "Harbour Road", "Mill Lane", "Old Church Avenue"}), pick(r, []string{"Springfield", "Ashbourne", "Kingsbridge"}), 10000+r.IntN(89999))
		p.doctor = pick(r, latinFirst[:4]) + " " + pick(r, latinOthers[:3])
		p.reporter = pick(r, latinFirst[4:6]) + " " + pick(r, latinOthers[3:6])
		p.relative = pick(r, latinFirst[6:]) + " " + p.family
	}
	p.email = fmt.Sprintf("%s%d@example.org", strings.ToLower(subject.Folded(p.given)), 10+r.IntN(90))
	return p
}

// residentID appends the checksum of GB 11643 to 17 digits.
func residentID(digits string) string {
	sum := 0
	for i, d := range digits {
		sum += int(d-'0') * (1 << (17 - i) % 11)
	}
	return digits + string("10X98765432"[sum%11])
}

// known is what the vault knows; of the people around the patient only sometimes.
func (p person) known(others bool) subject.Known {
	name := p.family + "^" + p.given
	if p.script != "" {
		name += "=" + p.script
	}
	k := subject.Known{Names: []string{name}, IDs: []string{p.mrn, p.resident, p.accession}, Dates: []string{p.birth.Format("20060102")},
		Phones: []string{p.phone}, Emails: []string{p.email}, Addresses: []string{p.address}}
	if others {
		k.Others = []string{p.doctor, p.reporter}
	}
	return k
}
