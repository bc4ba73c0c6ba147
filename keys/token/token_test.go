package token_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"errors"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/keys"
	"medvault/keys/token"
)

var (
	tokenKey = keys.DEKFrom([32]byte{1})
	indexKey = keys.DEKFrom([32]byte{2})
)

func newTokens(t testing.TB, tokenKey, indexKey keys.DEK) *token.Tokens {
	t.Helper()
	tokens, err := token.New(tokenKey, indexKey)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func terms(t testing.TB, tokens *token.Tokens, attribute string, values ...string) []string {
	t.Helper()
	list, err := tokens.Terms(attribute, values...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestNewRefuses(t *testing.T) {
	for name, pair := range map[string][2]keys.DEK{"no token key": {{}, indexKey}, "no index key": {tokenKey, {}}, "one key twice": {tokenKey, tokenKey}} {
		if _, err := token.New(pair[0], pair[1]); err == nil {
			t.Errorf("New with %s gave no error", name)
		}
	}
}

func TestForms(t *testing.T) {
	tokens := newTokens(t, tokenKey, indexKey)
	rows := []struct{ what, got, form string }{
		{"Patient", tokens.Patient("H", "1"), `^p[a-z2-7]{26}$`},
		{"UID", tokens.UID("1.2.3"), `^2\.25\.(0|[1-9][0-9]{0,38})$`},
		{"ID 16", tokens.ID("AccessionNumber", "A1", 16), `^[A-Z2-7]{16}$`},
		{"ID 64", tokens.ID("StudyID", "A1", 64), `^[A-Z2-7]{26}$`},
		{"ID 0", tokens.ID("StudyID", "A1", 0), `^$`},
		{"ID of nothing", tokens.ID("StudyID", "  ", 16), `^$`},
		{"Fingerprint", tokens.Fingerprint([32]byte{}), `^[0-9a-f]{64}$`},
		{"Terms", terms(t, tokens, "PatientName", "zhang")[0], `^[a-z2-7]{26}$`},
	}
	for _, row := range rows {
		if !regexp.MustCompile(row.form).MatchString(row.got) {
			t.Errorf("%s = %q; want the form %s", row.what, row.got, row.form)
		}
	}
}

// Stored in every region and document, so frozen: computed here anew with the
// standard library, and compared with values written down once.
func TestVectors(t *testing.T) {
	tokens := newTokens(t, tokenKey, indexKey)
	hash := func(parent keys.DEK, name string, inputs ...string) []byte {
		key, err := hkdf.Key(sha512.New, parent.Bytes(), nil, "medvault token 1|"+name, 32)
		if err != nil {
			t.Fatal(err)
		}
		h := hmac.New(sha256.New, key)
		for _, input := range inputs {
			h.Write([]byte{0, 0, 0, 0, 0, 0, 0, byte(len(input))})
			h.Write([]byte(input))
		}
		return h.Sum(nil)
	}
	b32 := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString
	low := func(b []byte) string { return strings.ToLower(b32(b[:16])) }
	got := [][3]string{
		{"patient", tokens.Patient("HOSPITAL", "12345"), "p" + low(hash(tokenKey, "patient", "HOSPITAL", "12345"))},
		{"uid", tokens.UID("1.2.840.99"), "2.25." + new(big.Int).SetBytes(hash(tokenKey, "uid", "1.2.840.99")[:16]).String()},
		{"accession", tokens.ID("AccessionNumber", "A1", 16), b32(hash(tokenKey, "id", "AccessionNumber", "A1")[:16])[:16]},
		{"fingerprint", tokens.Fingerprint([32]byte{7}), fmt.Sprintf("%x", hash(indexKey, "fingerprint", string([]byte{7})+strings.Repeat("\x00", 31)))},
		{"term", terms(t, tokens, "PatientName", "zhang")[0], low(hash(indexKey, "index|PatientName", "zhang"))},
	}
	written, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range got {
		if row[1] != row[2] {
			t.Errorf("%s = %s; want %s", row[0], row[1], row[2])
		}
		if line := row[0] + " " + row[1] + "\n"; !bytes.Contains(written, []byte(line)) {
			t.Errorf("testdata/vectors.txt lacks %q", line)
		}
	}
}

func TestEverythingDependsOnItsKeyOnly(t *testing.T) {
	all := func(tokens *token.Tokens) map[string]string {
		return map[string]string{
			"token patient": tokens.Patient("H", "1"), "token uid": tokens.UID("1"), "token id": tokens.ID("a", "1", 16),
			"index fingerprint": tokens.Fingerprint([32]byte{1}), "index term": terms(t, tokens, "a", "1")[0],
		}
	}
	base := all(newTokens(t, tokenKey, indexKey))
	otherToken := all(newTokens(t, keys.DEKFrom([32]byte{3}), indexKey))
	otherIndex := all(newTokens(t, tokenKey, keys.DEKFrom([32]byte{3})))
	for what, value := range base {
		ofToken := strings.HasPrefix(what, "token")
		if (otherToken[what] != value) != ofToken || (otherIndex[what] != value) == ofToken {
			t.Errorf("%s depends on the wrong key", what)
		}
	}
}

func TestInputsDoNotRunTogether(t *testing.T) {
	tokens := newTokens(t, tokenKey, indexKey)
	if tokens.Patient("AB", "C") == tokens.Patient("A", "BC") {
		t.Error("issuer and patient id run together")
	}
	if tokens.ID("AB", "C", 26) == tokens.ID("A", "BC", 26) {
		t.Error("attribute and value run together")
	}
	if terms(t, tokens, "PatientName", "x")[0] == terms(t, tokens, "PatientBirthDate", "x")[0] {
		t.Error("two attributes share terms")
	}
	if !strings.EqualFold(tokens.ID("", "1", 26), tokens.ID("", "1 ", 26)) || tokens.Patient("H ", "1 ") != tokens.Patient("H", "1") || tokens.UID("1.2\x00") != tokens.UID("1.2") {
		t.Error("padding counts")
	}
	if tokens.Patient("H", "a") == tokens.Patient("H", "A") {
		t.Error("letter case does not count")
	}
}

func TestTokensHideTheirKeys(t *testing.T) {
	tokens := newTokens(t, keys.DEKFrom([32]byte(bytes.Repeat([]byte{0xA7}, 32))), keys.DEKFrom([32]byte(bytes.Repeat([]byte{0xA8}, 32))))
	for _, format := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		for _, out := range []string{fmt.Sprintf(format, tokens), fmt.Sprintf(format, *tokens)} {
			if strings.Contains(strings.ToLower(out), "a8a8") || strings.Contains(out, "168 168") || strings.Contains(out, "0xa8") {
				t.Errorf("Sprintf(%q) shows a key: %s", format, out)
			}
		}
	}
}

func TestNameTerms(t *testing.T) {
	rows := []struct {
		name string
		want string
	}{
		{"", ""},
		{"^^", ""},
		{"Li^Na", "lina li li* na na*"},
		{"SMITH^John", "smithjohn smith sm* smi* smit* smith* john jo* joh* john*"},
		{"Lee^Ann^B^Dr^MD", "leeannb leeann lee le* lee* ann an* ann* b"},
		{"Wu Li^Bo", "wulibo wu wu* li li* bo bo*"},
		{"O'Hara", "ohara oh* oha* ohar* ohara*"},
		{"Zhang^Wei=张^伟", "zhangwei 张伟"},
		{"=张^伟", "张伟"},
		{"张 伟", "张伟"},
		{"Ｌｉ^Na", "lina li li* na na*"}, // full width
		{"Mül", "mül mü* mül*"},
		{"Mu\u0308l", "mül mü* mül*"}, // combining
		{"Ki^Hu=金^熙=김^희", "kihu 金熙 김희"},
		{"*?*", ""},
		{strings.Repeat("a", 34), strings.Repeat("a", 34) + beginnings("a", 2, 32)},
	}
	for _, row := range rows {
		if got := strings.Join(token.NameTerms(row.name), " "); got != row.want {
			t.Errorf("NameTerms(%q) = %q; want %q", row.name, got, row.want)
		}
	}
}

// beginnings are from to to letters long, with a star.
func beginnings(letter string, from, to int) (list string) {
	for n := from; n <= to; n++ {
		list += " " + strings.Repeat(letter, n) + "*"
	}
	return list
}

func TestNameQuery(t *testing.T) {
	rows := []struct {
		pattern string
		want    string
		ok      bool
	}{
		{"", "", true}, {"*", "", true}, {"^*", "", true}, {"**", "", true}, {"*^*", "", true}, {"*=*", "", true},
		{" ", "", false}, {"^", "", false}, {"^^", "", false}, {"=", "", false}, {"\x00", "", false}, {" *", "", false}, {"*\x00", "", false},
		{"ZHANG*", "zhang*", true}, {"Zha*", "zha*", true}, {"zhang", "zhang", true},
		{"zhang^wei", "zhangwei", true}, {"Zhang Wei", "zhangwei", true}, {"zhang, wei", "zhangwei", true},
		{"zhang^*", "zhang", true}, {"zhang^we*", "zhang we*", true}, {"zh*^we*", "zh* we*", true}, {"*^wei", "wei", true},
		{"Zhang^Wei=张^伟", "zhangwei 张伟", true}, {"张伟", "张伟", true}, {"张^伟", "张伟", true},
		{"zhang^w*", "", false}, {"z*", "", false}, {"*ang", "", false}, {"zh*ng", "", false}, {"zh?ng", "", false}, {"?", "", false},
		{"zhang**", "", false}, {"张*", "", false}, {"张^伟*", "", false}, {"张^*", "", false}, {"...", "", false}, {"-", "", false},
		{strings.Repeat("a", 32) + "*", strings.Repeat("a", 32) + "*", true}, {strings.Repeat("a", 33) + "*", "", false},
	}
	for _, row := range rows {
		got, ok := token.NameQuery(row.pattern)
		if strings.Join(got, " ") != row.want || ok != row.ok {
			t.Errorf("NameQuery(%q) = %q, %v; want %q, %v", row.pattern, got, ok, row.want, row.ok)
		}
	}
}

func TestQueryFindsName(t *testing.T) {
	rows := []struct {
		name, query string
		found       bool
	}{
		{"ZHANG^WEI", "zhang^wei", true}, {"ZHANG^WEI", "Zhang", true}, {"ZHANG^WEI", "wei", true}, {"ZHANG^WEI", "zha*", true}, {"ZHANG^WEI", "zha", false},
		{"ZHANG^WEI", "zhangwei", true}, {"ZHANG^WEI", "wang*", false}, {"ZHANG^WEI^MING", "zhang^wei", true}, {"ZHANG^WEI^MING", "zhang^wei^ming", true},
		{"Zhang^Wei=张^伟", "zhang^wei", true}, {"Zhang^Wei=张^伟", "张伟", true}, {"Zhang^Wei=张^伟", "zhang*", false}, {"Zhang^Wei=张^伟", "张", false},
		{"Wang^XiaoDong=王^小东", "wang^xiao^dong", true}, {"Wang^XiaoDong=王^小东", "Wang Xiao-Dong", true},
	}
	for _, row := range rows {
		if got := finds(row.name, row.query); got != row.found {
			t.Errorf("query %q finds %q: %v; want %v", row.query, row.name, got, row.found)
		}
	}
}

func finds(name, query string) bool {
	wanted, ok := token.NameQuery(query)
	have := token.NameTerms(name)
	return ok && !slices.ContainsFunc(wanted, func(term string) bool { return !slices.Contains(have, term) })
}

func TestDays(t *testing.T) {
	today := time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)
	rows := []struct {
		query string
		want  string // first, last and number
		err   error
	}{
		{"20240229", "20240229 20240229 1", nil},
		{" 20240229 ", "20240229 20240229 1", nil},
		{"20240227-20240302", "20240227 20240302 5", nil},
		{"20240227 - 20240302", "20240227 20240302 5", nil},
		{"20261120-", "20261120 20261123 4", nil},
		{"20160101-20260101", "20160101 20260101 3654", nil},
		{"20160101-20261231", "", token.ErrDateRange},
		{"00010101-99991231", "", token.ErrDateRange},
		{"20240302-20240227", "", token.ErrDateRange},
		{"-20240302", "", token.ErrDateRange},
		{"-", "", token.ErrDateRange},
		{"20000101-", "", token.ErrDateRange},
		{"", "", token.ErrDate},
		{"20230229", "", token.ErrDate},
		{"2024-02-29", "", token.ErrDate},
		{"20240101-2024", "", token.ErrDate},
		{"2024", "", token.ErrDate},
	}
	for _, row := range rows {
		days, err := token.Days(row.query, today)
		got := ""
		if len(days) > 0 {
			got = fmt.Sprintf("%s %s %d", days[0], days[len(days)-1], len(days))
		}
		if got != row.want || !errors.Is(err, row.err) {
			t.Errorf("Days(%q) = %q, %v; want %q, %v", row.query, got, err, row.want, row.err)
		}
	}
	if day, err := token.Day(" 19800101"); day != "19800101" || err != nil {
		t.Errorf("Day = %q, %v", day, err)
	}
	if _, err := token.Day("19809901"); !errors.Is(err, token.ErrDate) || strings.Contains(err.Error(), "1980") {
		t.Errorf("Day of no date = %v; want ErrDate without the date", err)
	}
}

func FuzzNameFindsItself(f *testing.F) {
	for _, seed := range []string{"Zhang^Wei=张^伟", "SMITH^John^Q^Dr", "O'Hara Jr., B", "Ｌｉ^Na", "*", "a*^?b", "^=^", "İi^ß=ﬁ", "김^희"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		have := token.NameTerms(name)
		if plain := strings.NewReplacer("*", "", "?", "").Replace(token.Normal(name)); len(have) > 0 && !finds(name, plain) {
			if wanted, ok := token.NameQuery(plain); ok {
				t.Errorf("%q asks for %q and has %q", name, wanted, have)
			}
		}
		for _, term := range have {
			if !finds(name, term) {
				t.Errorf("%q is not found by its own term %q", name, term)
			}
		}
	})
}

func FuzzDays(f *testing.F) {
	f.Add("20240101-20240301")
	f.Add("-")
	f.Add("20240101-")
	today := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, query string) {
		days, err := token.Days(query, today)
		if err == nil && (len(days) == 0 || len(days) > token.MaxDays || !slices.IsSorted(days)) {
			t.Errorf("Days(%q) = %d days", query, len(days))
		}
	})
}
