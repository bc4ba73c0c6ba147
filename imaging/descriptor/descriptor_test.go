package descriptor_test

import (
	"strings"
	"testing"

	"medvault/imaging/descriptor"
	"medvault/imaging/subject"
)

const token = "PT-KQ37HC"

var known = subject.Known{
	Names:  []string{"Zhang^XiaoDong=張^小東"},
	IDs:    []string{"MRN-0482913"},
	Dates:  []string{"19710713"},
	Others: []string{"Long^Gregory"},
}

func cleaner(days int) *descriptor.Cleaner {
	return descriptor.New(subject.New(known), token, days)
}

func TestClean(t *testing.T) {
	c := cleaner(20)
	for _, row := range []struct{ name, text, want string }{
		// What stays as it is.
		{"protocol", "CT Chest/Abdomen w/o contrast", ""},
		{"sequence", "t2_tse_tra_p2", ""},
		{"sequence in one word", "AxT1FSE+C", ""},
		{"star", "Ax T2* GRE 3D, b1000", ""},
		{"kernel", "THORAX_LUNG 1.0 B70f", ""},
		{"levels", "L4/L5 and C5-C6", ""},
		{"units", "5 mm nodule, 120 kV, 1.25mm, 10000 Bq", ""},
		{"routine", "Head^Routine (Adult)", ""},
		{"plurals", "fractures of the ribs; adenomas", ""},
		{"German", "MRT Kniegelenk links, Schädelbasisfraktur", ""},
		{"French", "IRM du genou gauche sans injection", ""},
		{"Spanish", "TAC de tórax con contraste", ""},
		{"Chinese", "胸部增强扫描，右肺上叶结节影，大小约5mm", ""},
		{"traditional Chinese", "頭顱平掃", ""},
		{"modality before a part", "MR Head, DR THORAX", ""},
		{"blank around", " CT  head ", ""},
		{"prefixes", "peripancreatic fat, intraarticular", ""},
		{"values in steps", "b 50 400 800, 50-400-800, matrix 512 512 64", ""},
		{"values between", "phases 16/120/240", ""},
		// What does not.
		{"number in groups", "SSN 123-45-6789 chest", "SSN chest"},
		{"number in groups of three", "943 476 5919 chest", "chest"},
		{"number in groups of four", "knee 4111 1111 1111 1111", "knee"},
		{"labelled number", "MRN 5512 chest", "MRN chest"},
		{"great age behind a word", "chest, aged 95", "chest, aged"},
		{"patient", "CT Chest for Zhang, Xiaodong", "CT Chest for " + token},
		{"patient twice", "Zhang XD: CT of ZHANG^XIAODONG", token + ": CT of"},
		{"patient in Chinese", "张小东胸部平扫", token + "胸部平扫"},
		{"pinyin", "xiaodong zhang knee", token + " knee"},
		{"initials", "T2 ZX knee", "T2 knee"},
		{"initials with points", "T2 Z.X. knee", "T2 knee"},
		{"id", "MRN 0482913 CT head", token + " CT head"},
		{"id without zeros", "CT 482913", "CT " + token},
		{"date", "Comparison: 13.05.2024", "Comparison: 02.06.2024"},
		{"dates", "20240513 and May 13, 2024, 2024年5月13日", "20240602 and June 2, 2024, 2024年6月2日"},
		{"date behind a sequence", "T1 July 6, 1968 AXIAL", "T1 July 26, 1968 AXIAL"},
		{"day and month", "on 6 July", "on 26 July"},
		{"birth date", "born 13 JUL 1971", "2 AUG 1971"},
		{"unknown word", "CT Schwabinger Krankenhaus Thorax", "CT Thorax"},
		{"physician", "Dr. House: CT head", "CT head"},
		{"physician who is a word", "read by Dr. Long", "read by"},
		{"physician in capitals", "MR SMITH KNEE", "KNEE"},
		{"professor", "Prof. Dr. med. Sauerbruch, Thorax", "Thorax"},
		{"initials", "J. R. Smith, CT head", "CT head"},
		{"double meaning", "Foley Xanthippe head", "head"},
		{"in brackets", "Head (Smith) CT", "Head CT"},
		{"in DICOM's separators", "CT^Smith^Head", "CT^Head"},
		{"in file names", "t2_smith_tra", "t2_tra"},
		{"Chinese stranger", "李雷 胸部", "胸部"},
		{"one character of a name", "高伟胸部", "胸部"},
		{"long number", "CT head 1234567", "CT head"},
		{"telephone", "call 13912345678 CT", "CT"},
		{"e-mail", "CT head, a.b@example.com", "CT head"},
		{"age", "92 year old male", "year old male"},
		{"other age", "85 year old male, 63Y", ""},
		{"nothing left", "Xanthippe Quux", ""},
		{"empty", "", ""},
		{"no characters", "Lesion of \uFFFD\uFFFD", "Lesion of"},
		{"no character", "Lesion of \uFFFD", "Lesion of"},
		{"broken characters", "Lesion of \xba\xe3\xd7", "Lesion of"},
		{"another character set", "CT ºã×ÝÕæÞÒÐ head ÍõÐ¡¶«", "CT head"},
		{"signs", "angle 30°, ± 2 mm, 5 × 3 cm, «net»", "angle 30°, ± 2 mm, 5 × 3 cm"},
		{"lines", "CT head\nSmith\nknee", "CT head\nknee"},
		{"misspelt", "Xiaodomg chest", token + " chest"},
	} {
		t.Run(row.name, func(t *testing.T) {
			want := row.want
			same := want == "" && row.name != "nothing left"
			if same {
				want = row.text
			}
			got, changed := c.Clean(row.text)
			if got != want || changed == same {
				t.Errorf("Clean(%q) = %q, %v; want %q, %v", row.text, got, changed, want, !same)
			}
		})
	}
}

func TestDatesStayWithoutShift(t *testing.T) {
	c := cleaner(0)
	for text, want := range map[string]string{
		"Comparison: 13.05.2024":       "Comparison: 13.05.2024",
		"CT 13.07.1971 and 14.07.1971": "CT and 14.07.1971",
	} {
		if got, _ := c.Clean(text); got != want {
			t.Errorf("Clean(%q) = %q; want %q", text, got, want)
		}
	}
}

func TestTokenThatSaysTooMuch(t *testing.T) {
	c := descriptor.New(subject.New(known), "Zhang", 0)
	if got, _ := c.Clean("CT of Zhang"); got != "CT of" {
		t.Errorf("got %q; want %q", got, "CT of")
	}
}

func TestVocabulary(t *testing.T) {
	if len(descriptor.Digest()) != 64 {
		t.Errorf("digest %q", descriptor.Digest())
	}
	for _, w := range []string{"thorax", "Lebermetastasen", "fémur", "riñones", "胸部", "cholecystolithiasis"} {
		if !descriptor.Knows(w) {
			t.Errorf("%q is not known", w)
		}
	}
	for _, w := range []string{"Smith", "Zhang", "Müller", "Garcia", "Nguyen", "Dubois", "Hansen", "Johnson", "Maria", "Wei", "王", "张", "", "Xanthippe"} {
		if descriptor.Knows(w) {
			t.Errorf("%q is known", w)
		}
	}
}

// FuzzClean asks what Clean promises.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"CT Chest for Zhang, Xiaodong 13.07.1971", "张小东 胸部", "Dr. X (Y) [Z", "MRN 0482913 5 mm", "13912345678", "a.b@c.de", token, "Z h a n g"} {
		f.Add(s)
	}
	s := subject.New(known)
	f.Fuzz(func(t *testing.T, text string) {
		for _, days := range []int{0, 20} {
			got, changed := descriptor.New(s, token, days).Clean(text)
			if changed != (got != text) {
				t.Errorf("changed %v, from %q to %q", changed, text, got)
			}
			if len(got) > len(text)+len(token) {
				t.Errorf("%q grew to %q", text, got)
			}
			for _, m := range s.Find(got) {
				if !m.Near {
					t.Errorf("%q became %q, where %s is found", text, got, m.Kind)
				}
			}
			if days == 0 {
				if again, _ := descriptor.New(s, token, days).Clean(got); again != got {
					t.Errorf("%q became %q, then %q", text, got, again)
				}
			}
			if strings.Count(got, token) > 1+strings.Count(text, token) {
				t.Errorf("%q became %q", text, got)
			}
		}
	})
}

func BenchmarkClean(b *testing.B) {
	c := cleaner(20)
	const text = "CT Chest with contrast for Zhang, Xiaodong, 13.05.2024"
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		c.Clean(text)
	}
}
