package reports

import (
	"strings"
	"time"
	"unicode"
)

// part is a stretch of a line: an identifier, or words that stay.
type part struct {
	text string
	kind string   // "" for words that stay
	gone []string // what of it must not be left; all where nil
	mute bool     // neither planted nor kept: labels and signs the key does not ask for
}

// line is a line of a report, or a paragraph that is parted into lines where it is
// drawn.
type line []part

func keep(text string) part { return part{text: text} }

func plant(kind, text string, gone ...string) part { return part{text: text, kind: kind, gone: gone} }

// lines are what a report says, from the head to the signature.
func (w *writer) lines() []line {
	if w.chinese {
		return w.chineseLines()
	}
	return w.latinLines()
}

var latinLayouts = []string{"2006-01-02", "02.01.2006", "2 January 2006", "January 2, 2006", "02-Jan-2006", "2006/01/02"}

func (w *writer) latinLines() []line {
	p, r := w.person, w.r
	born := pick(r, append(latinLayouts, "20060102"))
	dates := pick(r, latinLayouts)
	name := pick(r, []part{
		plant("name", p.given+" "+p.family, p.given, p.family), plant("name", strings.ToUpper(p.family)+", "+p.given, p.given, strings.ToUpper(p.family)),
		plant("name", p.family+" "+p.given, p.given, p.family),
	})
	all := []line{
		{keep("Radiology Report")},
		{keep("Patient: "), name, keep("   Sex: "), {text: "F", mute: true}, keep("   Born: "), plant("birth", p.birth.Format(born))},
		{keep("MRN: "), plant("id", p.mrn), keep("   Accession: "), plant("id", p.accession)},
		{keep("Address: "), plant("address", p.address, p.address[strings.Index(p.address, " ")+1:])},
		{keep("Phone: "), plant("phone", p.phone), keep("   Email: "), plant("email", p.email)},
		{keep("Referring physician: "), plant("person", p.doctor)},
		{keep("Examination: computed tomography of the chest, "), plant("date", p.study.Format(dates))},
		{keep("Findings")},
	}
	sentences := append([]line(nil), latinSentences...)
	r.Shuffle(len(sentences), func(i, j int) { sentences[i], sentences[j] = sentences[j], sentences[i] })
	body := line{}
	for i, s := range sentences[:6] {
		body = append(append(body, s...), keep(" "))
		if i%2 == 1 {
			body = append(append(body, w.latinMention()...), keep(" "))
		}
	}
	return append(all, body,
		line{keep("Comparison is made with the study of "), plant("date", p.before.Format(dates)), keep(" which showed no nodule.")},
		line{keep("Next of kin: "), plant("person", p.relative, strings.Fields(p.relative)[0]), keep("   Phone: "), plant("phone", p.relativePhone)},
		line{keep("Reported by: "), {text: pick(r, []string{"Dr. ", "", "Prof. "}), mute: true}, plant("person", p.reporter)},
	)
}

// latinMention is a sentence that names the patient.
func (w *writer) latinMention() line {
	p := w.person
	initial := string([]rune(p.given)[:1]) + "."
	return pick(w.r, []line{
		{{text: p.title + " ", mute: true}, plant("name", p.family), keep(" tolerated the procedure without difficulty.")},
		{keep("The findings were discussed with "), plant("name", p.given+" "+p.family, p.given, p.family), keep(" after the examination.")},
		{keep("Images of "), plant("name", initial+" "+p.family, p.family), keep(" were reviewed again today.")},
		{keep("The record "), plant("id", p.mrn), keep(" contains previous studies.")},
		{keep("The identity card "), plant("id", p.resident), keep(" was presented at reception.")},
		{keep("The patient, born "), plant("birth", p.birth.Format(pick(w.r, latinLayouts))), keep(", was in good condition.")},
	})
}

var latinSentences = []line{
	{keep("The lungs are clear without focal consolidation.")}, {keep("There is no pleural effusion or pneumothorax.")},
	{keep("The heart is of normal size and the aorta is not dilated.")}, {keep("A small calcified granuloma is seen in the right upper lobe.")},
	{keep("No enlarged mediastinal lymph nodes are present.")}, {keep("The liver shows several long linear black areas consistent with fat.")},
	{keep("Mild degenerative changes of the thoracic spine are noted.")}, {keep("The visualised portion of the upper abdomen is unremarkable.")},
	{keep("There is a nodule measuring 12 mm in the left lower lobe.")}, {keep("Follow-up in three months with low dose technique is recommended.")},
	{keep("The young granulation tissue shows a rose colour at the margin.")}, {keep("Contrast enhancement of the kidneys is symmetric.")},
}

var chineseLayouts = []string{"2006年1月2日", "2006-01-02", "2006.01.02", "2006年01月02日"}

func (w *writer) chineseLines() []line {
	p, r := w.person, w.r
	born, dates := pick(r, chineseLayouts), pick(r, chineseLayouts)
	pinyin := p.family + " " + p.given
	all := []line{
		{keep("影像检查报告单")},
		{keep("姓名：" + ""), plant("name", p.script), keep("   性别："), {text: "女", mute: true}, keep("   出生日期："), plant("birth", p.birth.Format(born))},
		{keep("住院号："), plant("id", p.mrn), keep("   检查号："), plant("id", p.accession)},
		{keep("身份证号："), plant("id", p.resident), keep("   联系电话："), plant("phone", p.phone)},
		{keep("家庭住址："), plant("address", p.address)},
		{keep("申请医师："), plant("person", p.doctor), keep("   科室："), keep("呼吸内科")},
		{keep("检查日期："), plant("date", p.study.Format(dates)), keep("   检查部位："), keep("胸部平扫")},
		{keep("影像所见")},
	}
	sentences := append([]line(nil), chineseSentences...)
	r.Shuffle(len(sentences), func(i, j int) { sentences[i], sentences[j] = sentences[j], sentences[i] })
	body := line{}
	for i, s := range sentences[:6] {
		body = append(body, s...)
		if i%2 == 1 {
			body = append(body, pick(r, []line{
				{keep("患者"), plant("name", p.script), keep("配合检查，过程顺利。")},
				{keep("已告知"), plant("name", p.script), keep("本人及家属检查结果。")},
				{keep("英文姓名"), plant("name", pinyin), keep("已核对无误。")},
				{keep("病历号"), plant("id", p.mrn), keep("内有既往检查资料。")},
				{keep("该患者生于"), plant("birth", p.birth.Format(pick(r, chineseLayouts))), keep("，一般情况良好。")},
			})...)
		}
	}
	return append(all, body,
		line{keep("与"), plant("date", p.before.Format(dates)), keep("前片比较未见明显变化。")},
		line{keep("联系人："), plant("person", p.relative), keep("   电话："), plant("phone", p.relativePhone)},
		line{keep("报告医师："), plant("person", p.reporter)},
	)
}

var chineseSentences = []line{
	{keep("双肺纹理清晰，未见明显实变影。")}, {keep("右肺上叶见一枚钙化结节，直径约5毫米。")}, {keep("纵隔内未见肿大淋巴结。")}, {keep("心影大小形态正常，主动脉未见扩张。")},
	{keep("双侧胸腔未见积液征象。")}, {keep("肝脏密度均匀，胆囊不大。")}, {keep("胸椎轻度退行性改变。")}, {keep("建议三个月后低剂量复查。")},
	{keep("左肺下叶见磨玻璃影，边界欠清。")}, {keep("甲状腺形态如常，密度均匀。")},
}

// note adds a part to the answer key of a page.
func (w *writer) note(p part, page int) {
	switch {
	case p.mute:
	case p.kind == "":
		for _, word := range words(p.text) {
			w.keep = append(w.keep, Kept{word, page})
		}
	case p.gone == nil:
		w.planted = append(w.planted, Planted{p.text, p.kind, page})
	default:
		for _, v := range p.gone {
			w.planted = append(w.planted, Planted{v, p.kind, page})
		}
	}
}

// words are the words of a text that are long enough to be told apart: three letters,
// or two characters of Chinese together.
func words(text string) (all []string) {
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) }) {
		runes := []rune(word)
		switch {
		case runes[0] >= 0x2E80 && len(runes) >= 2, runes[0] < 0x2E80 && len(runes) >= 3:
			all = append(all, word)
		}
	}
	return all
}

func (l line) String() string {
	var b strings.Builder
	for _, p := range l {
		b.WriteString(p.text)
	}
	return b.String()
}

// identifiers are the lines that name the patient and hold nothing else.
func (w *writer) identifiers() []line {
	p := w.person
	name := p.given + " " + p.family
	gone := []string{p.given, p.family}
	if w.chinese {
		name, gone = p.script, nil
	}
	return []line{{plant("name", name, gone...)}, {plant("id", p.mrn)}, {plant("birth", p.birth.Format(time.DateOnly))}, {plant("phone", p.phone)}}
}
