package vault_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// exported is a whole export as its recipient has it.
type exported struct {
	entries  []vault.ExportEntry
	files    [][]byte
	withheld int
}

func export(t *testing.T, h *vaulttest.House, a record.Actor, req vault.ExportRequest) (x exported) {
	t.Helper()
	e, err := h.Export(t.Context(), a, req)
	if err != nil {
		t.Fatalf("Export to %s = %v", req.Recipient, err)
	}
	x.withheld = e.Withheld
	for _, i := range e.Instances {
		var file bytes.Buffer
		entry, err := i.Write(t.Context(), &file)
		if err != nil {
			t.Fatalf("Write = %v", err)
		}
		if entry.SHA256 != hexSHA256(file.Bytes()) || entry.Size != int64(file.Len()) || entry.Instance != i.Instance {
			t.Errorf("the entry is %+v; want hash and size of what was written", entry)
		}
		x.entries, x.files = append(x.entries, entry), append(x.files, file.Bytes())
	}
	return x
}

// joins are the marks by which documents could be joined: UIDs, tokens, shifted dates
// of this century and the last.
var joins = regexp.MustCompile(`2\.25\.[0-9]{20,39}|[A-Z2-7]{26}|[pr][a-z2-7]{26}|(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])`)

func marksIn(files [][]byte, pixels int) map[string]bool {
	found := make(map[string]bool)
	for _, f := range files {
		for _, m := range joins.FindAll(f[:len(f)-pixels], -1) {
			switch string(m) {
			case "2.25.304115897146082653219385537109741620517", "19000101": // the vault's own class UID; no date
			default:
				found[string(m)] = true
			}
		}
	}
	return found
}

func TestExportsToTwoRecipientsCannotBeJoined(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	const n, pixels = 3, 64 * 64 * 2
	var token record.PatientToken
	for i := range n {
		token = put(t, h, ct(p, i+1)).Patient
	}
	docs := open(t, h, quality, vault.Ref{Patient: token})
	var views [][]byte
	for _, d := range docs {
		views = append(views, read(t, d))
	}
	study := docs[0].Study
	a := export(t, h, quality, vault.ExportRequest{Study: study, Recipient: "University A"})
	again := export(t, h, quality, vault.ExportRequest{Study: study, Recipient: "University A"})
	whole := export(t, h, quality, vault.ExportRequest{Patient: token, Recipient: "University A"})
	b := export(t, h, quality, vault.ExportRequest{Study: study, Recipient: "University B"})
	if len(a.files) != n || a.withheld != 0 {
		t.Fatalf("exported %d, withheld %d; want %d and none", len(a.files), a.withheld, n)
	}
	for i := range a.files {
		if !bytes.Equal(a.files[i], again.files[i]) || !bytes.Equal(a.files[i], whole.files[i]) {
			t.Errorf("file %d: the same recipient got other bytes", i)
		}
	}
	pictures := func(files [][]byte) map[string]bool {
		set := make(map[string]bool)
		for _, f := range files {
			set[string(f[len(f)-pixels:])] = true
		}
		return set
	}
	all := map[string]map[string]bool{"the view": marksIn(views, pixels), "A": marksIn(a.files, pixels), "B": marksIn(b.files, pixels)}
	for _, pair := range [][2]string{{"the view", "A"}, {"the view", "B"}, {"A", "B"}} {
		if len(all[pair[0]]) < n {
			t.Errorf("%s has %d marks; the test is empty", pair[0], len(all[pair[0]]))
		}
		for mark := range all[pair[0]] {
			if all[pair[1]][mark] {
				t.Errorf("%s and %s both hold %s", pair[0], pair[1], mark)
			}
		}
	}
	if want := fmt.Sprint(pictures(views)); fmt.Sprint(pictures(a.files)) != want || fmt.Sprint(pictures(b.files)) != want {
		t.Error("the pixels differ")
	}
	for name, files := range map[string][][]byte{"A": a.files, "B": b.files} {
		for _, f := range files {
			if hits := imagingtest.Leaks(f, p.Identifiers()); len(hits) > 0 {
				t.Errorf("%s holds %d identifiers", name, len(hits))
			}
		}
	}
	// Another patient's documents stay apart as well, and one study is one study.
	studies := make(map[string]bool)
	for _, e := range a.entries {
		studies[e.Study] = true
	}
	if len(studies) != 1 || studies[study] {
		t.Errorf("A sees the studies %v; want one, under another name than the vault's", studies)
	}
}

func TestWhatIsHeldIsCountedInAnExport(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	r := put(t, h, ct(p, 1))
	put(t, h, imagingtest.CT(p, imagingtest.Options{Study: 1, Series: 2, Instance: 1, Rows: 16, Columns: 16, BurnedIn: "YES"}))
	if _, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.Report(p)), PatientID: p.ID, Issuer: p.Issuer}); err != nil {
		t.Fatal(err)
	}
	x := export(t, h, quality, vault.ExportRequest{Patient: r.Patient, Recipient: "University A"})
	if len(x.files) != 1 || x.withheld != 2 {
		t.Errorf("exported %d, withheld %d; want 1 and 2", len(x.files), x.withheld)
	}
}

func TestWhoMayExport(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	treat(t, h, r.Patient)
	whole := vault.ExportRequest{Patient: r.Patient, Recipient: "University A"}
	tests := []struct {
		name string
		a    record.Actor
		req  vault.ExportRequest
		want error
	}{
		{"research without consent", vaulttest.Actor(record.RoleResearcher), whole, record.ErrNotFound},
		{"a clinician", clinician, whole, record.ErrDenied},
		{"radiology", radiology, whole, record.ErrNotFound},
		{"an auditor", auditor, whole, record.ErrDenied},
		{"a reviewer", vaulttest.Actor(record.RoleReviewer), whole, record.ErrDenied},
		{"nobody named", quality, vault.ExportRequest{Patient: r.Patient}, record.ErrInvalid},
		{"a name with spaces around it", quality, vault.ExportRequest{Patient: r.Patient, Recipient: "A "}, record.ErrInvalid},
		{"a name that is too long", quality, vault.ExportRequest{Patient: r.Patient, Recipient: strings.Repeat("a", 65)}, record.ErrInvalid},
		{"a name with a line break", quality, vault.ExportRequest{Patient: r.Patient, Recipient: "a\nb"}, record.ErrInvalid},
		{"nothing", quality, vault.ExportRequest{Recipient: "A"}, record.ErrInvalid},
		{"study and patient", quality, vault.ExportRequest{Study: "1.2", Patient: r.Patient, Recipient: "A"}, record.ErrInvalid},
		{"the original UID of a study", quality, vault.ExportRequest{Study: r.Study, Recipient: "A"}, record.ErrNotFound},
		{"an unknown patient", quality, vault.ExportRequest{Patient: "paaaaaaaaaaaaaaaaaaaaaaaaaa", Recipient: "A"}, record.ErrNotFound},
	}
	for _, test := range tests {
		if _, err := h.Export(t.Context(), test.a, test.req); !errors.Is(err, test.want) {
			t.Errorf("%s: %v; want %v", test.name, err, test.want)
		}
	}
}

func TestAnExportIsInTheLogWithItsRecipient(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	for range 2 {
		export(t, h, quality, vault.ExportRequest{Patient: r.Patient, Recipient: "University A"})
	}
	if _, err := h.Export(t.Context(), clinician, vault.ExportRequest{Patient: r.Patient, Recipient: "University B"}); err == nil {
		t.Fatal("a clinician who treats nobody exported")
	}
	attest(t, h, auditor, r.ID) // appends what is pending
	leaves, err := h.Catalog.LogLeaves(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	exports, reads := 0, 0
	for _, data := range leaves {
		leaf, err := audit.ParseLeaf(data.Data)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case leaf.Action == record.ActionExport && leaf.Decision == audit.Allow:
			if exports++; leaf.Recipient != "University A" || leaf.Patient != r.Patient || leaf.View != record.ViewDeidentified {
				t.Errorf("the export's leaf is %+v", leaf)
			}
		case leaf.Action == record.ActionRead && leaf.Object == r.ID && leaf.Decision == audit.Allow:
			reads++
		}
	}
	if exports != 2 || reads != 1 {
		t.Errorf("%d leaves of exports and %d of reads; want one an export, and one read a window", exports, reads)
	}
}

func TestAnExportFailsWhereTheContentIsDamaged(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	e, err := h.Export(t.Context(), quality, vault.ExportRequest{Patient: r.Patient, Recipient: "A"})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "every region has the object", func() bool {
		for _, region := range vaulttest.Regions()[:3] {
			if objects(t, h, region) != 1 {
				return false
			}
		}
		return true
	})
	for _, region := range vaulttest.Regions()[:3] {
		for _, path := range files(t, h.Dir+"/regions/"+region+"/objects") {
			damage(t, path, func(b []byte) []byte { b[len(b)/4] ^= 1; return b })
		}
	}
	var out bytes.Buffer
	if entry, err := e.Instances[0].Write(t.Context(), &out); !errors.Is(err, record.ErrTampered) {
		t.Errorf("Write = %s, %v; want the damage told", hex.EncodeToString([]byte(entry.SHA256)), err)
	}
}
