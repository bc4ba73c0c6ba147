package audit_test

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"strings"
	"testing"
	"time"

	"medvault/vault/audit"
	"medvault/vault/record"
)

var start = time.Date(2026, 11, 22, 8, 0, 0, 123e6, time.UTC)

const patient = record.PatientToken("pabcdefghijklmnopqrstuvwxyz")

func readLeaf() audit.Leaf {
	return audit.Leaf{
		Time: start, Actor: "dr-1", Role: record.RoleClinician, Purpose: record.PurposeTreat, Action: record.ActionRead,
		Patient: patient, Object: "000102030405060708090a0b0c0d0e0f", View: record.ViewOriginal,
		Decision: audit.Allow, Policies: []string{"treating-clinician"}, Window: 15 * time.Minute,
	}
}

func storeLeaf() audit.Leaf {
	return audit.Leaf{
		Time: start, Actor: "modality-1", Role: record.RoleRadiology, Purpose: record.PurposeTreat, Action: record.ActionStore,
		Patient: patient, Object: "000102030405060708090a0b0c0d0e0f", Decision: audit.Allow, Origin: "dev-auto-care",
		Commit: &audit.Commit{Kind: record.KindDICOM, Size: 526336, SHA256: sha256.Sum256(nil), Generation: 1, Seal: "0f0e",
			Regions: []string{"cn-north", "cn-east"}},
	}
}

// attestedLeaf is a commit leaf as it is written today, every field filled.
func attestedLeaf() audit.Leaf {
	l := storeLeaf()
	l.Commit.Attest = &audit.Attest{
		Original: audit.Opening{Size: 526000, SHA256: sha256.Sum256([]byte("original")), Salt: [32]byte{1}}.Commitment(),
		Size:     525312, SHA256: sha256.Sum256([]byte("content")),
		Edition: "PS3.15 2026d", Profile: "default", Options: []string{"retain_safe_private", "retain_longitudinal_modified_dates"},
		Rules:    strings.Repeat("ab", 32),
		Actions:  map[string]int{"uid": 5, "keep": 60, "remove": 12},
		Residual: "clean", Pixels: "untouched", Held: "held-for-review",
		Keys: []audit.KeyVersion{{Service: "transit", Kind: "content", Shard: "03", Version: 2}, {Service: "transit", Kind: "identity", Shard: "03", Version: 1}},
	}
	return l
}

// supersedingLeaf is a commit leaf of an object that stands in the place of another.
func supersedingLeaf() audit.Leaf {
	l := storeLeaf()
	l.Actor, l.Role, l.Purpose, l.Action = "medvault", record.RoleOperator, record.PurposeSystem, "document.supersede"
	l.Origin, l.Persons = "rederive", []string{"dpo-1", "admin-1"}
	l.Commit.Supersedes = "f00102030405060708090a0b0c0d0e0f"
	return l
}

func TestLeafIsCanonical(t *testing.T) {
	denied := audit.Leaf{Time: start, Action: record.ActionSearch, Decision: audit.Deny, Reason: "no-care <relationship>", Obligations: []string{"tell-dpo"}}
	exported := audit.Leaf{Time: start, Actor: "q-1", Action: "document.export", Patient: patient, Decision: audit.Allow, Recipient: "University Hospital"}
	revoked := audit.Leaf{Time: start, Actor: "dpo-1", Action: record.ActionRevoke, Decision: audit.Allow, Credential: "jti:7", Scope: "user/Basic.c",
		Revoked: &audit.Revoked{Subject: "dr-1", Before: 1795334400}}
	proven := audit.Leaf{Time: start, Actor: "admin-1", Action: "staff.manage", Decision: audit.Allow, Evidence: strings.Repeat("0a", 32)}
	tests := []struct {
		leaf audit.Leaf
		want string
	}{
		{proven, `{"v":1,"time":"2026-11-22T08:00:00.123Z","actor":"admin-1","action":"staff.manage","decision":"allow",` +
			`"evidence":"` + strings.Repeat("0a", 32) + `"}`},
		{revoked, `{"v":1,"time":"2026-11-22T08:00:00.123Z","actor":"dpo-1","action":"revocation.add","decision":"allow",` +
			`"credential":"jti:7","scope":"user/Basic.c","revoked":{"subject":"dr-1","before":1795334400}}`},
		{readLeaf(), `{"v":1,"time":"2026-11-22T08:00:00.123Z","actor":"dr-1","role":"clinician","purpose":"TREAT","action":"document.read",` +
			`"patient":"pabcdefghijklmnopqrstuvwxyz","object":"000102030405060708090a0b0c0d0e0f","view":"original","decision":"allow",` +
			`"policies":["treating-clinician"],"window":900}`},
		{storeLeaf(), `{"v":1,"time":"2026-11-22T08:00:00.123Z","actor":"modality-1","role":"radiology","purpose":"TREAT","action":"document.store",` +
			`"patient":"pabcdefghijklmnopqrstuvwxyz","object":"000102030405060708090a0b0c0d0e0f","decision":"allow","origin":"dev-auto-care",` +
			`"commit":{"kind":1,"size":526336,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","generation":1,` +
			`"seal":"0f0e","regions":["cn-north","cn-east"]}}`},
		{attestedLeaf(), `{"v":1,"time":"2026-11-22T08:00:00.123Z","actor":"modality-1","role":"radiology","purpose":"TREAT","action":"document.store",` +
			`"patient":"pabcdefghijklmnopqrstuvwxyz","object":"000102030405060708090a0b0c0d0e0f","decision":"allow","origin":"dev-auto-care",` +
			`"commit":{"kind":1,"size":526336,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","generation":1,` +
			`"seal":"0f0e","regions":["cn-north","cn-east"],"attest":{"original":"29fc5839949ffa58bd06a2c4b250c5d1a60e53b80dc8f8da40808d0b47f69e05",` +
			`"size":525312,"sha256":"ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73","edition":"PS3.15 2026d","profile":"default",` +
			`"options":["retain_safe_private","retain_longitudinal_modified_dates"],"rules":"abababababababababababababababababababababababababababababababab",` +
			`"actions":{"keep":60,"remove":12,"uid":5},"residual":"clean","pixels":"untouched","held":"held-for-review",` +
			`"keys":[{"service":"transit","kind":"content","shard":"03","version":2},{"service":"transit","kind":"identity","shard":"03","version":1}]}}}`},
		{supersedingLeaf(), `{"v":1,"time":"2026-11-22T08:00:00.123Z","actor":"medvault","role":"operator","purpose":"HSYSADMIN","action":"document.supersede",` +
			`"patient":"pabcdefghijklmnopqrstuvwxyz","object":"000102030405060708090a0b0c0d0e0f","decision":"allow","origin":"rederive","persons":["dpo-1","admin-1"],` +
			`"commit":{"kind":1,"size":526336,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","generation":1,` +
			`"seal":"0f0e","regions":["cn-north","cn-east"],"supersedes":"f00102030405060708090a0b0c0d0e0f"}}`},
		{exported, `{"v":1,"time":"2026-11-22T08:00:00.123Z","actor":"q-1","action":"document.export","patient":"pabcdefghijklmnopqrstuvwxyz",` +
			`"decision":"allow","recipient":"University Hospital"}`},
		{denied, `{"v":1,"time":"2026-11-22T08:00:00.123Z","action":"document.search","decision":"deny","reason":"no-care \u003crelationship\u003e",` +
			`"obligations":["tell-dpo"]}`},
	}
	for _, test := range tests {
		got, err := test.leaf.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != test.want {
			t.Errorf("Encode\ngot  %s\nwant %s", got, test.want)
		}
		back, err := audit.ParseLeaf(got)
		if err != nil || !reflect.DeepEqual(back, test.leaf) {
			t.Errorf("ParseLeaf = %+v, %v; want %+v", back, err, test.leaf)
		}
	}
}

func TestLeafThatWouldNotParseIsNotWritten(t *testing.T) {
	tests := map[string]func(*audit.Leaf){
		"no action":         func(l *audit.Leaf) { l.Action = "" },
		"no decision":       func(l *audit.Leaf) { l.Decision = "" },
		"other decision":    func(l *audit.Leaf) { l.Decision = "maybe" },
		"a patient's name":  func(l *audit.Leaf) { l.Patient = "Doe^Jane" },
		"object path":       func(l *audit.Leaf) { l.Object = "../../etc/passwd" },
		"view":              func(l *audit.Leaf) { l.View = "everything" },
		"window too long":   func(l *audit.Leaf) { l.Window = 16 * time.Minute },
		"window negative":   func(l *audit.Leaf) { l.Window = -time.Second },
		"window in between": func(l *audit.Leaf) { l.Window = 1500 * time.Millisecond },
		"actor not UTF-8":   func(l *audit.Leaf) { l.Actor = "\xff" },
		"year":              func(l *audit.Leaf) { l.Time = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC) },
		"too long":          func(l *audit.Leaf) { l.Reason = strings.Repeat("x", audit.MaxLeaf) },
		"recipient":         func(l *audit.Leaf) { l.Recipient = "\xff" },
		"commit of nothing": func(l *audit.Leaf) { l.Object = "" },
		"commit kind":       func(l *audit.Leaf) { l.Commit.Kind = 0 },
		"commit size":       func(l *audit.Leaf) { l.Commit.Size = -1 },
		"supersedes":        func(l *audit.Leaf) { l.Commit.Supersedes = "F0" },
		"persons":           func(l *audit.Leaf) { l.Persons = []string{"\xff"} },
		"attest size":       func(l *audit.Leaf) { l.Commit.Attest.Size = -1 },
		"attest rules":      func(l *audit.Leaf) { l.Commit.Attest.Rules = "abc" },
		"attest count":      func(l *audit.Leaf) { l.Commit.Attest.Actions["keep"] = 0 },
		"attest action":     func(l *audit.Leaf) { l.Commit.Attest.Actions["Doe^Jane"] = 1 },
		"attest option":     func(l *audit.Leaf) { l.Commit.Attest.Options[0] = "Retain" },
		"attest residual":   func(l *audit.Leaf) { l.Commit.Attest.Residual = "found: Doe" },
		"attest pixels":     func(l *audit.Leaf) { l.Commit.Attest.Pixels = "a b" },
		"attest held":       func(l *audit.Leaf) { l.Commit.Attest.Held = strings.Repeat("x", 65) },
		"attest profile":    func(l *audit.Leaf) { l.Commit.Attest.Profile = "\xff" },
		"attest key kind":   func(l *audit.Leaf) { l.Commit.Attest.Keys[0].Kind = "house" },
		"attest key":        func(l *audit.Leaf) { l.Commit.Attest.Keys[0].Version = 0 },
		"attest service":    func(l *audit.Leaf) { l.Commit.Attest.Keys[0].Service = "" },
	}
	for name, spoil := range tests {
		l := attestedLeaf()
		spoil(&l)
		if data, err := l.Encode(); err == nil {
			t.Errorf("%s: encoded as %s", name, data)
		}
	}
}

func TestOnlyCanonicalLeavesParse(t *testing.T) {
	good, err := attestedLeaf().Encode()
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		s := strings.Replace(string(good), old, new, 1)
		if s == string(good) {
			t.Fatalf("%q is not in the leaf", old)
		}
		return s
	}
	tests := map[string]string{
		"empty":            "",
		"null":             "null",
		"array":            "[]",
		"space":            replace(`,"actor"`, `, "actor"`),
		"newline":          string(good) + "\n",
		"two":              string(good) + string(good),
		"unknown field":    replace(`"actor"`, `"name":"x","actor"`),
		"repeated field":   replace(`"actor"`, `"actor":"y","actor"`),
		"other order":      replace(`"v":1,"time":"2026-11-22T08:00:00.123Z"`, `"time":"2026-11-22T08:00:00.123Z","v":1`),
		"case":             replace(`"actor"`, `"Actor"`),
		"escape":           replace(`modality`, `\u006dodality`),
		"empty field":      replace(`"decision"`, `"view":"","decision"`),
		"number form":      replace(`"size":526336`, `"size":526336.0`),
		"version":          replace(`"v":1`, `"v":2`),
		"zone":             replace(`123Z`, `123+00:00`),
		"microseconds":     replace(`.123Z`, `.123456Z`),
		"day":              replace(`2026-11-22`, `2026-02-30`),
		"upper-case hash":  replace(`e3b0`, `E3B0`),
		"short hash":       replace(`e3b0`, ``),
		"generation range": replace(`"generation":1`, `"generation":4294967296`),
		"empty attest":     replace(`"residual":"clean",`, `"residual":"",`),
		"empty actions":    replace(`{"keep":60,"remove":12,"uid":5}`, `{}`),
		"action order":     replace(`"keep":60,"remove":12`, `"remove":12,"keep":60`),
		"action twice":     replace(`"keep":60`, `"keep":60,"keep":60`),
		"upper-case view":  replace(`ed7002b4`, `ED7002B4`),
		"field in keys":    replace(`"shard":"03"`, `"shard":"03","blob":"x"`),
	}
	for name, data := range tests {
		if l, err := audit.ParseLeaf([]byte(data)); err == nil {
			t.Errorf("%s: parsed as %+v", name, l)
		}
	}
}

func FuzzParseLeaf(f *testing.F) {
	for _, l := range []audit.Leaf{readLeaf(), storeLeaf(), attestedLeaf(), supersedingLeaf(), {Time: start, Action: "a", Decision: audit.Deny}} {
		data, err := l.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := audit.ParseLeaf(data)
		if err != nil {
			return
		}
		again, err := l.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("round trip of %q: %q, %v", data, again, err)
		}
	})
}
