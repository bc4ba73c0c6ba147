package mention_test

import (
	"strings"
	"testing"

	"medvault/imaging/mention"
	"medvault/imaging/subject"
)

var tokens = mention.Tokens{Name: "[PT-KQ37HC]", ID: "[ID:KQ37HC]", Days: 10}

var zhang = mention.New(subject.Known{
	Names: []string{"Zhang^Xiaodong=张^晓东"}, IDs: []string{"MRN-0482913"}, Dates: []string{"19710713"},
	Phones: []string{"+86 13800138000"}, Emails: []string{"xd.zhang88@example.com"}, Addresses: []string{"12 Hauptstraße, 10115 Berlin"},
	Others: []string{"House^Gregory"},
}, tokens)

var black = mention.New(subject.Known{Names: []string{"Black^Rose"}, IDs: []string{"77120044"}, Dates: []string{"19500102"}}, tokens)

func TestFindText(t *testing.T) {
	for _, c := range []struct {
		name  string
		known *mention.Known
		how   mention.Strictness
		text  string
		want  string
	}{
		{"head of a report", zhang, 0, "Name: Zhang Xiaodong  Sex: F  MRN: MRN-0482913  DOB: 13.07.1971", "Name: [PT-KQ37HC]  Sex: F  MRN: [ID:KQ37HC]  DOB: [DOB]"},
		{"Chinese head", zhang, 0, "姓名：张晓东 性别：女 年龄：53岁 住院号：0482913 出生日期：1971年7月13日", "姓名：[PT-KQ37HC] 性别：女 年龄：53岁 住院号：[ID:KQ37HC] 出生日期：[DOB]"},
		{"spaced labels", zhang, 0, "姓　名：欧阳小明　性　别：女　科　室：内科", "姓　名：[PT-KQ37HC]　性　别：女　科　室：内科"},
		{"dates move", zhang, 0, "CT on 2024-03-05 compared with 28 Feb 2024 and 2024年3月", "CT on 2024-03-15 compared with 9 Mar 2024 and 2024年3月"},
		{"date in two lines", zhang, 0, "on 5 March\n2024, (617)\n555 0000; Phone: (617)\n892-1965", "on 15 March 2024, (617)\n555 0000; Phone: [PHONE]"},
		{"in two lines", zhang, 0, "seen today, Zhang\nXiaodong was well", "seen today, [PT-KQ37HC] was well"},
		{"number in two lines", zhang, 0, "number MRN-0482\n913, MRN-04829\n13", "number [ID:KQ37HC], [ID:KQ37HC]"},
		{"hyphen at the line end", zhang, 0, "Ms Zhang Xiao-\ndong reports", "Ms [PT-KQ37HC] reports"},
		{"in pieces", zhang, 0, "Zh ang Xiao d ong was", "[PT-KQ37HC] was"},
		{"others by label", zhang, 0, "Reported by: Dr. Anna Kowalski\nReferring physician: J. O'Neill, MD   Ward: 5B", "Reported by: [PERSON]\nReferring physician: [PERSON]   Ward: 5B"},
		{"a label is no name", zhang, 0, "Whitcombe Dr. Reported by: Odile", "Whitcombe Dr. Reported by: [PERSON]"},
		{"others in Chinese", zhang, 0, "申请医师：李国强  报告医师:王敏 审核医师 赵六/钱七", "申请医师：[PERSON]  报告医师:[PERSON] 审核医师 [PERSON]"},
		{"others by title", zhang, 0, "discussed with Dr. Smith and Prof Jane Doe; Mr Brown agrees", "discussed with Dr. [PERSON] and Prof [PERSON]; Mr [PERSON] agrees"},
		{"others by title in Chinese", zhang, 0, "由李明医生会诊，经王主任同意；母亲高血压，丈夫王强陪同。", "由[PERSON]医生会诊，经[PERSON]主任同意；母亲高血压，丈夫[PERSON]陪同。"},
		{"known other", zhang, 0, "seen by Gregory House today", "seen by [PERSON] today"},
		{"relatives", zhang, 0, "Her husband Peter Miller came. Her mother had cancer. Next of kin: Peter Miller, tel 030 1234567", "Her husband [PERSON] came. Her mother had cancer. Next of kin: [PERSON], tel [PHONE]"},
		{"credentials", zhang, 0, "Gregory Wilson, MD\nElectronically signed by Amber Volakis", "[PERSON], MD\nElectronically signed by [PERSON]"},
		{"numbers by label", zhang, 0, "Accession No. A2024-00815  Visit No: V778812 检查号：CT20240305001", "Accession No. [ID]  Visit No: [ID] 检查号：[ID]"},
		{"addresses", zhang, 0, "Address: Flat 4, Rose Court   Ward: 7\nlives at 221 Baker Street, London\n家庭住址：北京市朝阳区建国路88号", "Address: [ADDR]   Ward: 7\nlives at [ADDR]\n家庭住址：[ADDR]"},
		{"an address without its label", zhang, 0, "HS: 省 深圳 南山 区 建国 路114 号533 室\n住北京市朝阳区衡山路114号1911室，左肾动脉旁道2条", "HS: [ADDR]\n[ADDR]，左肾动脉旁道2条"},
		{"a name before its telephone", zhang, 0, "BRA: 董洁 电话: 13800138000\n科室：内科 电话 8000", "BRA: [PERSON] 电话: [PHONE]\n科室：内科 电话 8000"},
		{"web", zhang, 0, "see https://his.example.org/p?id=123456. http://www.w3.org/1999/xhtml", "see [URL]. http://www.w3.org/1999/xhtml"},
		{"ages", zhang, 0, "a 95-year-old man, aged 52, 93岁, 95 % and 92 mm", "a [AGE] man, aged 52, [AGE], 95 % and 92 mm"},
		{"the trade stays", zhang, 0, "MR Angiography, DR chest, T2 FLAIR, L4/L5, 12 x 8 mm, 120 kV, name of the vessel, patient was stable, father of two",
			"MR Angiography, DR chest, T2 FLAIR, L4/L5, 12 x 8 mm, 120 kV, name of the vessel, patient was stable, father of two"},
		{"a name that is a word", black, 0, "Ms. Black has black stool; Rose Black; the rose of the pole. BLACK, ROSE", "Ms. [PT-KQ37HC] has black stool; [PT-KQ37HC]; the rose of the pole. [PT-KQ37HC]"},
		{"tokens stay", zhang, 0, "Name: [PT-KQ37HC]  MRN: [ID:KQ37HC]  Reported by: [PERSON]\nDOB: [DOB] Tel: [PHONE]", "Name: [PT-KQ37HC]  MRN: [ID:KQ37HC]  Reported by: [PERSON]\nDOB: [DOB] Tel: [PHONE]"},
		{"misread", zhang, mention.Strict, "Zhanq Xiaod0ng MRN-O4829l3 born l3.O7.l971 in the chest, changing", "[PT-KQ37HC] [ID:KQ37HC] born [DOB] in the chest, changing"},
		{"date read in pieces", zhang, mention.Strict, "on 2024. 10 .06 and 2024 年 3 月 5 日, 2024,10.06", "on 2024.10.16 and 2024 年 3 月 15 日, 2024.10.16"},
		{"date misread", zhang, mention.Strict, "检查 日 期 26024.16.66 检查", "检查 日 期 [DATE] 检查"},
		{"label before a misread number", zhang, mention.Strict, "联系 电话 : 13800138000", "联系 电话 : [PHONE]"},
		{"misread behind a label", zhang, mention.Strict, "Name: Zh@nq Xi#o   Sex: F", "Name: [PT-KQ37HC]   Sex: F"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _ := mention.Replace(c.text, c.known, c.how); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// line lays a text out as glyphs of ten points height from x, y on.
func line(text string, x, y float64) (glyphs []mention.Glyph) {
	for _, c := range text {
		wide := 5.0
		if c > 0x2E80 {
			wide = 10
		}
		if c != ' ' {
			glyphs = append(glyphs, mention.Glyph{Text: string(c), Box: mention.Box{X0: x, Y0: y, X1: x + wide, Y1: y + 10}})
		}
		x += wide
	}
	return glyphs
}

// left is what a page still says, without the glyphs that are mentioned.
func left(glyphs []mention.Glyph, found []mention.Mention) string {
	gone := map[int]bool{}
	for _, m := range found {
		for _, i := range m.Glyphs {
			gone[i] = true
		}
	}
	var b strings.Builder
	for i, g := range glyphs {
		if !gone[i] {
			b.WriteString(g.Text)
		}
	}
	return b.String()
}

func TestFindOnPage(t *testing.T) {
	shuffled := func(glyphs []mention.Glyph) []mention.Glyph {
		out := make([]mention.Glyph, len(glyphs))
		for i := range glyphs {
			out[i] = glyphs[(i*5+3)%len(glyphs)]
		}
		return out
	}
	down := func(text string, x float64) (glyphs []mention.Glyph) {
		y := 100.0
		for _, c := range text {
			glyphs = append(glyphs, mention.Glyph{Text: string(c), Box: mention.Box{X0: x, Y0: y, X1: x + 10, Y1: y + 10}})
			y += 10
		}
		return glyphs
	}
	for _, c := range []struct {
		name   string
		glyphs []mention.Glyph
		want   string
		boxes  int
	}{
		{"one line", line("CT of Zhang Xiaodong today", 50, 50), "CToftoday", 1},
		{"any order", shuffled(line("Zhang Xiaodong!", 50, 50)), "!", 1},
		{"two lines", append(line("CT of Zhang", 50, 50), line("Xiaodong today", 50, 62)...), "CToftoday", 2},
		{"two columns", append(append(line("CT of Zhang", 50, 50), line("Right column text", 200, 50)...), line("Xiaodong today", 50, 62)...), "CTofRightcolumntexttoday", 2},
		{"columns in a row of the content", slicesJoin(line("Number MRN-04", 50, 50), line("Findings: none", 200, 50), line("82913 today", 50, 62), line("Chest clear", 200, 62)), "NumberFindings:nonetodayChestclear", 2},
		{"top to bottom", down("张晓东女", 300), "女", 1},
		{"drawn twice", slicesJoin(line("Zhang!", 50, 50), line("Zhang!", 50.4, 50)), "!!", 1},
		{"text upon text", slicesJoin(line("Zhang!", 50, 50), line("QwQwQ", 50, 50.5)), "!", 1},
		{"table", slicesJoin(line("Referring", 50, 50), line("Kowalski", 150, 50), line("Sex", 250, 50), line("F", 300, 50)), "ReferringSexF", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := mention.Find(c.glyphs, zhang, mention.Normal)
			if got := left(c.glyphs, found); got != c.want {
				t.Errorf("left %q; want %q; found %+v", got, c.want, found)
			}
			if len(found) == 1 && len(found[0].Boxes) < c.boxes {
				t.Errorf("boxes: %v; want %d", found[0].Boxes, c.boxes)
			}
		})
	}
}

func slicesJoin(all ...[]mention.Glyph) (glyphs []mention.Glyph) {
	for _, g := range all {
		glyphs = append(glyphs, g...)
	}
	return glyphs
}
