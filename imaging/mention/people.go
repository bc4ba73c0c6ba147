package mention

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"medvault/imaging/descriptor"
	"medvault/imaging/subject"
)

// people finds names by the title before or behind them, and relatives.
func (r *reader) people() {
	for i, l := range r.letters {
		switch {
		case l.Parted && !l.Digit && !l.Ideograph:
			r.titled(i)
		case l.Ideograph:
			r.chineseTitled(i)
		}
	}
}

// titled reads "Dr. House", "Mrs Jones", "her husband John" and "Gregory House, MD" at
// a word that begins at letter i.
func (r *reader) titled(i int) {
	at := r.letters[i].Start
	word := wordOf(r.text[at:])
	bare := strings.TrimRight(word, ".")
	if bare == "" {
		return
	}
	behind := at + len(word)
	gap := 0
	for behind+gap < len(r.text) && gap < 2 && (r.text[behind+gap] == ' ' || r.text[behind+gap] == '\n') {
		gap++
	}
	if gap == 0 && len(word) == len(bare) {
		return
	}
	next := behind + gap
	switch folded := subject.Folded(bare); {
	case formOfAddress(folded) && (bare == strings.ToUpper(bare[:1])+strings.ToLower(bare[1:]) || upper(bare) && len(bare) > 1):
		sure := !upper(bare) // Mr, unlike MR, is no modality
		if end := r.latinName(next, r.lineEnd(next), sure, false); end > next && r.nameLike(next, end) {
			r.add(next, end, Person, personToken)
		}
	case relative(folded):
		if end := r.latinName(next, r.lineEnd(next), false, false); end > next {
			r.add(next, end, Person, personToken)
		}
	case capitalised(bare):
		r.credited(at)
	}
}

// nameLike refuses what follows a title and is the title of something else.
func (r *reader) nameLike(at, end int) bool {
	first := wordOf(r.text[at:end])
	return len(strings.TrimRight(first, ".")) > 1 || strings.ContainsAny(r.text[at:end], " .")
}

func (r *reader) lineEnd(at int) int {
	const longest = 80
	limit := min(len(r.text), at+longest)
	for limit < len(r.text) && !utf8.RuneStart(r.text[limit]) {
		limit--
	}
	for _, mark := range []string{"\n", "\t", wideGap, "\x01"} {
		if i := strings.Index(r.text[at:limit], mark); i >= 0 {
			limit = at + i
		}
	}
	return limit
}

func formOfAddress(folded string) bool {
	switch folded {
	case "dr", "prof", "professor", "doctor", "mr", "mrs", "ms", "miss", "mister", "herr", "herrn", "frau", "madame", "mme", "monsieur", "sra", "senor", "senora":
		return true
	}
	return false
}

func relative(folded string) bool {
	switch folded {
	case "husband", "wife", "mother", "father", "son", "daughter", "brother", "sister", "spouse", "partner", "uncle", "aunt", "nephew", "niece", "grandson", "granddaughter", "grandmother", "grandfather", "cousin", "fiance", "fiancee":
		return true
	}
	return false
}

// credited reads two to four words with a degree behind them, at the first.
func (r *reader) credited(at int) {
	const most = 4
	limit := r.lineEnd(at)
	end := at
	for n := 0; n <= most && end < limit; n++ {
		word := wordOf(r.text[end:limit])
		bare := strings.TrimRight(word, ".")
		if word == "" || !capitalised(word) {
			return
		}
		if n >= 2 && credential(subject.Folded(degree(r.text[end:limit]))) {
			r.add(at, end, Person, personToken)
			return
		}
		if descriptor.Knows(bare) && len(bare) > 2 && n == 0 {
			return
		}
		end += len(word)
		if strings.HasPrefix(r.text[end:limit], ", ") && n >= 1 {
			if credential(subject.Folded(degree(r.text[end+2 : limit]))) {
				r.add(at, end, Person, personToken)
			}
			return
		}
		if !strings.HasPrefix(r.text[end:limit], " ") {
			return
		}
		end++
	}
}

// degree is the degree at the start of s: MD, M.D.
func degree(s string) string {
	end := strings.IndexFunc(s, func(c rune) bool { return !unicode.IsLetter(c) && c != '.' })
	if end < 0 {
		end = len(s)
	}
	d := strings.TrimRight(s[:end], ".")
	if !upper(d) && d != "PhD" && d != "MBChB" && d != "Jr" && d != "Sr" || d == "PA" || d == "DO" || d == "NP" || d == "RT" || d == "II" || d == "III" {
		return "-"
	}
	return d
}

// chineseTitled reads 李明医生 and 其妻王芳（ at letter i.
func (r *reader) chineseTitled(i int) {
	at := r.letters[i].Start
	rest := r.text[at:]
	before := rune(0)
	if i > 0 && r.letters[i-1].End == at {
		before = r.letters[i-1].Rune
	}
	if familyName(rest) && !strings.ContainsRune("于和时向从成", r.letters[i].Rune) {
		starts := before == 0 || !r.letters[i-1].Ideograph || strings.ContainsRune("由请经与和向找及跟", before)
		for _, n := range []int{3, 2, 1} {
			name, ok := hanPrefix(rest, n)
			if !ok || n > 1 && !starts || n > 1 && descriptor.Knows(name) {
				continue
			}
			if n == 1 && before != 0 && r.letters[i-1].Ideograph && !strings.ContainsRune("由请经与和向找及跟", before) {
				continue
			}
			if chineseTitle(rest[len(name):]) {
				r.add(at, at+len(name), Person, personToken)
				return
			}
		}
	}
	for _, relation := range []string{"丈夫", "妻子", "父亲", "母亲", "儿子", "女儿", "其妻", "其夫", "其子", "其女", "之子", "之女", "家属", "哥哥", "姐姐", "弟弟", "妹妹"} {
		if after, ok := strings.CutPrefix(rest, relation); ok && familyName(after) {
			for _, n := range []int{3, 2} {
				name, ok := hanPrefix(after, n)
				if ok && !descriptor.Knows(name) && !medicalHan(name) && nameEnds(after[len(name):]) {
					from := at + len(relation)
					r.add(from, from+len(name), Person, personToken)
					return
				}
			}
		}
	}
}

func hanPrefix(s string, n int) (string, bool) {
	i := 0
	for range n {
		c, size := utf8.DecodeRuneInString(s[i:])
		if !unicode.Is(unicode.Han, c) {
			return "", false
		}
		i += size
	}
	return s[:i], true
}

func chineseTitle(s string) bool {
	for _, t := range []string{"医生", "医师", "主任", "副主任", "主治", "教授", "大夫", "护士", "院长", "先生", "女士", "技师", "老师"} {
		if strings.HasPrefix(s, t) {
			return true
		}
	}
	return false
}

// nameEnds reports what follows a name in running text.
func nameEnds(s string) bool {
	if s == "" {
		return true
	}
	c, _ := utf8.DecodeRuneInString(s)
	if !unicode.Is(unicode.Han, c) {
		return true
	}
	for _, next := range []string{"陪同", "陪诊", "签字", "签名", "代诉", "代述", "电话", "告知", "同意", "联系", "来院", "到场"} {
		if strings.HasPrefix(s, next) {
			return true
		}
	}
	return false
}

// medicalHan reports words that begin like names.
func medicalHan(s string) bool {
	for _, w := range []string{"高血", "高龄", "高脂", "高尿", "白血", "黄疸", "康复", "安好", "健在", "病史", "体健", "白内", "石", "方面", "金", "温"} {
		if strings.HasPrefix(s, w) {
			return true
		}
	}
	return false
}

const familyNames = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑谢罗梁宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"

// familyName reports one of the family names that most Chinese bear at the start of s.
func familyName(s string) bool {
	c, size := utf8.DecodeRuneInString(s)
	if strings.ContainsRune(familyNames, c) {
		return true
	}
	next, more := utf8.DecodeRuneInString(s[size:])
	return unicode.Is(unicode.Han, next) && doubleFamilyName(s[:size+more])
}

func doubleFamilyName(s string) bool {
	switch s {
	case "欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "宇文", "长孙", "司徒", "夏侯", "端木", "南宫", "独孤", "歐陽":
		return true
	}
	return false
}
