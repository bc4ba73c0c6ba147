package subject_test

import (
	"strings"
	"testing"
	"time"

	"medvault/imaging/subject"
)

var patient = subject.Known{
	Names:     []string{"Zhang^XiaoDong=張^小東", "Müller-Weiß^Anna Katharina"},
	IDs:       []string{"MRN-0482913", "4711"},
	Dates:     []string{"19710713"},
	Phones:    []string{"+86 138 0013 8000", "010-88881234"},
	Emails:    []string{"xd.zhang88@example.com"},
	Addresses: []string{"12 Hauptstraße, 10115 Berlin"},
	Others:    []string{"House^Gregory", "St. Elsewhere Teaching Hospital", "李^時珍"},
}

// marked writes a text with what was found in brackets.
func marked(text string, found []subject.Match) string {
	var b strings.Builder
	at := 0
	for _, m := range found {
		b.WriteString(text[at:m.Start] + "[" + text[m.Start:m.End] + "]")
		at = m.End
	}
	return b.String() + text[at:]
}

func TestFind(t *testing.T) {
	s := subject.New(patient)
	for _, c := range []struct{ name, want string }{
		{"both orders", "[Zhang Xiaodong] and [XIAODONG ZHANG], [Zhang, Xiao Dong]"},
		{"as DICOM writes it", "[ZHANG^XIAODONG]"},
		{"in one word", "[zhangxiaodong].pdf, [XiaoDongZhang]_1"},
		{"initials", "[X. Zhang] [Zhang, X.D]. [XD Zhang]"},
		{"family name", "Mr. [Zhang] said; [Zhang]'s chest; ([ZHANG])"},
		{"not in a longer word", "Zhangjiakou Annapolis"},
		{"with tones", "[Zhāng Xiǎodōng] or [zhang1 xiao3 dong]1"},
		{"letter-spaced", "[Z h a n g] was here"},
		{"characters", "患者[张小东]复查，[張小東]和[小东]与[张 小东]。又[张]先生"},
		{"one character", "张力性气胸，扩张"},
		{"umlauts", "[MUELLER-WEISS Anna]; or [muller weiss] or [Müller-Weiß] or [Mueller Weiss]"},
		{"double name in part", "Frau [Müller], [A. K. Müller Weiß]"},
		{"genitive", "[Müllers] Hand"},
		{"decomposed", "[Mu\u0308ller]"},
		{"invisible characters", "[Zha\u200bng]"},
		{"wide letters", "[Ｚｈａｎｇ]"},
		{"id", "[MRN-0482913], [mrn 0482913], MRN:[482913], PAT[0482913]A, no. [0482-913]"},
		{"id in wide digits", "号[０４８２９１３]"},
		{"id in a longer number", "104829130"},
		{"short id", "bed [4711], 14711, 0.4711, A4711"},
		{"birth date", "[19710713] [1971-07-13] [1971.7.13] [13.07.1971] [13/7/1971] [07/13/1971] [13.07.71]"},
		{"birth date in words", "[July 13, 1971], [13th of July 1971], [13. Juli 1971], [13 juillet 1971], [13 de julio de 1971], [13-JUL-1971], [1971 Jul 13]"},
		{"birth date in Chinese", "[1971年7月13日]生，[一九七一年七月十三日]"},
		{"birth date behind a number", "T1 [July 13, 1971], series 1 [July 13, 1971], IMG[19710713].dcm"},
		{"another date", "14.07.1971, 19710714, July 13, 1972"},
		{"date in a UID", "1.2.19710713.4, 1.2.13.07.1971"},
		{"telephone", "[13800138000], [+86 13800138000], [138-0013-8000], [010 8888 1234], [88881234]"},
		{"somebody's telephone", "[13912345678], [0086-13912345678], [021-55556666], Tel. [555 1234], [+49 30 1234567]"},
		{"telephone before a measure", "[13800138000] 12 mm, [+8613800138000] 2 mm, [617-555-1234] 50 %, [(617) 555-1234]"},
		{"sequence behind a name", "[Zhang] X1 [Xiao Dong] Z5, X1 [Zhang]"},
		{"no telephone", "12345678901, 2.16.840.13912345678, 256 256 1024, 192 256 256 12, 512x512"},
		{"e-mail", "[xd.zhang88@example.com], [who.ever+1@mail.example.org]; a@b"},
		{"resident id", "[11010519491231002X], [11010519491231002x], 110105194912310021"},
		{"old resident id", "[110105491231002], 990105491231002"},
		{"address", "at [12 Hauptstrasse, 10115 Berlin]; [Hauptstraße 12]"},
		{"address in Chinese", "住[北京市朝阳区建国路88号]，右肺门区"},
		{"others", "Dr. [House, Gregory], [G. House] at [St Elsewhere Teaching Hospital], [李时珍]医师"},
		{"one word of others", "house dust, Dr. [House]"},
		{"misspelt", "[Xiaodomg], [Mueler]"},
		{"nothing", "CT chest with contrast, 5 mm, L4/L5, T2*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.NewReplacer("[", "", "]", "").Replace(c.want)
			if got := marked(text, s.Find(text)); got != c.want {
				t.Errorf("found %s\n want %s", got, c.want)
			}
		})
	}
}

// TestFindInLongText asks that nothing is lost where a long text is parted.
func TestFindInLongText(t *testing.T) {
	s := subject.New(patient)
	const sentence = "no names here. "
	for _, before := range []int{64<<10 - 20, 64<<10 - 8, 64 << 10, 63 << 10, 63<<10 - 8, 127 << 10} {
		text := strings.Repeat(sentence, before/len(sentence)) + strings.Repeat(".", before%len(sentence)) + "Zhang XiaoDong, 13.07.1971." + strings.Repeat(sentence, 9000)
		found := s.Find(text)
		if len(found) != 2 || found[0].Start != before || found[1].Kind != subject.Date {
			t.Errorf("after %d: %+v", before, found)
		}
		if days := s.Days(text); len(days) != 1 || text[days[0].Start:days[0].End] != "13.07.1971" || days[0].Shift(text, 1) != "14.07.1971" {
			t.Errorf("after %d: %+v", before, days)
		}
	}
}

// TestHostileText asks that what is made to be slow is not.
func TestHostileText(t *testing.T) {
	names := strings.Repeat("a^a=", 200)
	s := subject.New(subject.Known{Names: []string{names, strings.Repeat("aaaa ", 200)}, IDs: []string{strings.Repeat("0", 1000), strings.Repeat("1-", 500)}, Others: []string{names}})
	for _, text := range []string{"a ", "aaaa", "0", "1-", "a@", "张", "省市区", "1.", "一", "March 1 ", "\u0308"} {
		text := strings.Repeat(text, 1<<17/len(text)) // two windows
		began := time.Now()
		s.Find(text)
		s.Days(text)
		sc := s.Scanner()
		if _, err := sc.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		sc.Value(text, false)
		sc.Found()
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%q: %v", text[:4], took)
		}
	}
}
