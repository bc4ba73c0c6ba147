package profile_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"medvault/imaging/dicom/profile"
)

func TestTablesAreThoseOfTheStandard(t *testing.T) {
	rows := profile.Rows()
	if len(rows) != 657 {
		t.Errorf("%d rows; want 657", len(rows))
	}
	if got := profile.Digest(rows); got != profile.RowsSHA256 {
		t.Errorf("table E.1-1: digest %s; want %s", got, profile.RowsSHA256)
	}
	compound := 0
	for _, r := range rows {
		if strings.Contains(r.Basic, "/") {
			compound++
		}
	}
	if compound != 50 {
		t.Errorf("%d rows with a compound code; want 50", compound)
	}
	safe := profile.SafeRows()
	creators := map[string]bool{}
	for _, r := range safe {
		creators[r.Creator] = true
	}
	if len(safe) != 479 || len(creators) != 20 {
		t.Errorf("%d safe private rows of %d creators; want 479 of 20", len(safe), len(creators))
	}
	if got := profile.SafeDigest(safe); got != profile.SafeSHA256 {
		t.Errorf("table E.3.10-1: digest %s; want %s", got, profile.SafeSHA256)
	}
	var types []byte
	for _, name := range []string{"iods.tsv", "types.tsv"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, data...)
	}
	sum := sha256.Sum256(types)
	if got := hex.EncodeToString(sum[:]); got != profile.TypesSHA256 {
		t.Errorf("types: digest %s; want %s", got, profile.TypesSHA256)
	}
}

// TestTablesNameTheirOwner looks at the first line of each table taken from the
// standard.
func TestTablesNameTheirOwner(t *testing.T) {
	for _, name := range []string{"e1_1.tsv", "e3_10_1.tsv"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(data), "# "+profile.Acknowledgement+"\n") {
			t.Errorf("%s does not begin with the acknowledgement", name)
		}
	}
}

func TestDigestCoversTheOptions(t *testing.T) {
	seen := map[string]profile.Set{}
	for _, s := range sets() {
		d := profile.New(s).Digest()
		if other, ok := seen[d]; len(d) != 64 || ok && other != s {
			t.Errorf("%v and %v share digest %s", s.Names(), other.Names(), d)
		}
		seen[d] = s
	}
}

func TestSafePrivate(t *testing.T) {
	p := profile.New(profile.Default)
	for _, c := range []struct {
		name, creator string
		tag           uint32
		vr            string
		safe          bool
	}{
		{"a listed element", "Philips PET Private Group", 0x7053_1000, "DS", true},
		{"in another block", "Philips PET Private Group", 0x7053_4209, "DS", true},
		{"padded creator", "GEMS_PARM_01 ", 0x0043_1027, "SH", true},
		{"another element of the creator", "Philips PET Private Group", 0x7053_1001, "", false},
		{"another group", "Philips PET Private Group", 0x7055_1000, "", false},
		{"another creator", "Philips PET", 0x7053_1000, "", false},
		{"another case", "PHILIPS PET PRIVATE GROUP", 0x7053_1000, "", false},
		{"no creator", "", 0x7053_1000, "", false},
		{"the creator element itself", "Philips PET Private Group", 0x7053_0010, "", false},
		{"a row without VR", "SIEMENS Ultrasound SC2000", 0x0119_1011, "", true},
	} {
		if vr, safe := p.Private(c.creator, c.tag); vr != c.vr || safe != c.safe {
			t.Errorf("%s: %q, %v; want %q, %v", c.name, vr, safe, c.vr, c.safe)
		}
	}
	for _, r := range profile.SafeRows() {
		tag := uint32(r.Group)<<16 | 0x1000 | uint32(r.Element)
		if vr, safe := p.Private(r.Creator, tag); !safe || vr != r.VR {
			t.Errorf("%s %08X: %q, %v; want %q and safe", r.Creator, tag, vr, safe, r.VR)
		}
		if _, safe := profile.New(0).Private(r.Creator, tag); safe {
			t.Errorf("%s %08X is safe without the option", r.Creator, tag)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	p := profile.New(profile.Default)
	var tags []uint32
	for _, r := range profile.Rows()[:300] {
		var n uint32
		for _, c := range strings.ToLower(strings.NewReplacer("x", "0", ",", "").Replace(r.Tag)) {
			n = n<<4 | uint32(strings.IndexRune("0123456789abcdef", c))
		}
		tags = append(tags, n)
	}
	for b.Loop() {
		for _, tag := range tags {
			p.Decide(tag, "LO", ct, nil)
		}
	}
}
