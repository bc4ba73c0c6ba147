package dicom_test

import (
	"testing"
	"unicode/utf8"

	"medvault/imaging/dicom"
)

// The Asian names are the examples of PS3.5 annexes H, I, J and K.
func TestCharset(t *testing.T) {
	for _, c := range []struct {
		name, charset, in, want string
	}{
		{"default", "", "Plain^Name", "Plain^Name"},
		{"default, UTF-8 all the same", "", "M\xC3\xBCller", "Müller"},
		{"default, Windows all the same", "", "M\xFCller\x80", "Müller€"},
		{"latin 1", "ISO_IR 100", "M\xFCller^J\xF6rg", "Müller^Jörg"},
		{"latin 1, other spelling", "ISO-IR 100 ", "M\xFCller", "Müller"},
		{"latin 2", "ISO_IR 101", "Wa\xB3\xEAsa", "Wałęsa"},
		{"latin 3", "ISO_IR 109", "\xA6", "Ĥ"},
		{"latin 4", "ISO_IR 110", "\xB6", "ļ"},
		{"cyrillic", "ISO_IR 144", "\xBB\xEE\xDACe\xDC\xD1yp\xD3", "ЛюкCeмбypг"},
		{"arabic", "ISO_IR 127", "\xE2\xC8\xC7\xE6\xEA^\xE4\xE6\xD2\xC7\xD1", "قباني^لنزار"},
		{"greek", "ISO_IR 126", "\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2", "Διονυσιος"},
		{"hebrew", "ISO_IR 138", "\xF9\xF8\xE5\xEF^\xE3\xE1\xE5\xF8\xE4", "שרון^דבורה"},
		{"turkish", "ISO_IR 148", "\xC7avu\xFEo\xF0lu", "Çavuşoğlu"},
		{"latin 9", "ISO_IR 203", "\xA4", "€"},
		{"thai", "ISO_IR 166", "\xB9\xD2\xC2", "นาย"},
		{"UTF-8", "ISO_IR 192", "Wang^XiaoDong=王^小東", "Wang^XiaoDong=王^小東"},
		{"UTF-8, broken", "ISO_IR 192", "W\xFFang", "W\uFFFDang"},
		{"GB 18030", "GB18030", "Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB", "Wang^XiaoDong=王^小东"},
		{"GB 18030, a backslash in a character", "GB18030", "\x90\x5C\\x", "怽\\x"},
		{"GBK", "GBK", "\xCD\xF5", "王"},
		{"katakana", "ISO_IR 13", "\xD4\xCF\xC0\xDE^\xC0\xDB\xB3", "ﾔﾏﾀﾞ^ﾀﾛｳ"},
		{"Japanese (H.3.1)", `\ISO 2022 IR 87`,
			"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
			"Yamada^Tarou=山田^太郎=やまだ^たろう"},
		{"Japanese (H.3.2)", `ISO 2022 IR 13\ISO 2022 IR 87`,
			"\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
			"ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
		{"Japanese supplement", `\ISO 2022 IR 159`, "\x1b$(D\x30\x21\x1b(B", "丂"},
		{"Korean (I.2)", `\ISO 2022 IR 149`,
			"Hong^Gildong=\x1b$)C\xFB\xF3^\x1b$)C\xD1\xCE\xD4\xD7=\x1b$)C\xC8\xAB^\x1b$)C\xB1\xE6\xB5\xBF",
			"Hong^Gildong=洪^吉洞=홍^길동"},
		{"Korean without the escape after a delimiter", `\ISO 2022 IR 149`, "\x1b$)C\xC8\xAB^\xB1\xE6\xB5\xBF", "홍^길동"},
		{"Chinese (K.2)", `\ISO 2022 IR 58`,
			"Zhang^XiaoDong=\x1b$)A\xD5\xC5^\x1b$)A\xD0\xA1\xB6\xAB=", "Zhang^XiaoDong=张^小东="},
		{"Greek by extension", `ISO 2022 IR 100\ISO 2022 IR 126`,
			"Dionysios=\x1b-F\xC4\xE9\xEF^M\xFCller", "Dionysios=Διο^Müller"},
		{"half a character", `\ISO 2022 IR 87`, "\x1b$B;3E", "山\uFFFD"},
		{"unknown escape", `\ISO 2022 IR 87`, "a\x1b!b", "a\uFFFD!b"},
		{"unknown set", "KLINGON 1", "M\xFCller", "Müller"},
	} {
		if got := dicom.NewCharset([]byte(c.charset)).Name([]byte(c.in)); got != c.want {
			t.Errorf("%s: Name = %q; want %q", c.name, got, c.want)
		}
	}
}

// In text that is no name, ^ and = do not end an extension, a line end does.
func TestCharsetOfText(t *testing.T) {
	set := dicom.NewCharset([]byte(`\ISO 2022 IR 149\ISO 2022 IR 126`))
	got := set.Text([]byte("\x1b-F\xC4^\xE9=\xEF\r\n\xC8\xAB"))
	if want := "Δ^ι=ο\r\n홍"; got != want {
		t.Errorf("Text = %q; want %q", got, want)
	}
}

func FuzzCharset(f *testing.F) {
	f.Add([]byte(`\ISO 2022 IR 87`), []byte("Yamada^Tarou=\x1b$B;3ED\x1b(B"))
	f.Add([]byte(`ISO 2022 IR 13\ISO 2022 IR 149\ISO 2022 IR 58`), []byte("\x1b$)C\xFB\xF3^\x1b$)A\xD5"))
	f.Add([]byte("GB18030"), []byte("\x90\x5C\x81\x30\x81"))
	f.Fuzz(func(t *testing.T, charset, text []byte) {
		set := dicom.NewCharset(charset)
		for _, s := range []string{set.Name(text), set.Text(text)} {
			if !utf8.ValidString(s) {
				t.Fatalf("%q in %q is no UTF-8: %q", text, charset, s)
			}
		}
	})
}
