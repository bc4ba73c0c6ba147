package vault_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

var auditor = vaulttest.Actor(record.RoleAuditor)

func attest(t *testing.T, h *vaulttest.House, a record.Actor, id record.ObjectID) vault.Attestation {
	t.Helper()
	at, err := h.Attest(t.Context(), a, id)
	if err != nil {
		t.Fatalf("Attest as %s = %v", a.Role, err)
	}
	return at
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestAnAttestationNamesBothHashesAndVerifies(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	doc := ct(p, 1)
	r := put(t, h, doc)
	at := attest(t, h, auditor, r.ID)
	said, err := at.Verify(at.LogKey)
	if err != nil {
		t.Fatalf("Verify = %v", err)
	}
	found, err := h.Find(t.Context(), quality, vault.Query{Level: vault.LevelInstance})
	if err != nil {
		t.Fatal(err)
	}
	m := found.Matches[0]
	content := read(t, open(t, h, quality, vault.Ref{Study: m.Study, Series: m.Series, Instance: m.Instance})[0])
	a := said.Leaf.Commit.Attest
	if got, want := hex.EncodeToString(a.SHA256[:]), hexSHA256(content); got != want || a.Size != int64(len(content)) {
		t.Errorf("the view is attested as %s of %d bytes; want %s of %d", got, a.Size, want, len(content))
	}
	if at.Original == nil || at.Original.SHA256 != hexSHA256(doc) || at.Original.Size != int64(len(doc)) {
		t.Errorf("the original is attested as %+v; want %s of %d bytes", at.Original, hexSHA256(doc), len(doc))
	}
	if len(a.Keys) == 0 || a.Keys[0].Version != 1 {
		t.Errorf("key versions %+v; want version 1 of the services of the regions", a.Keys)
	}
	bundle, err := json.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	if hits := imagingtest.Leaks(bundle, p.Identifiers()); len(hits) > 0 {
		t.Errorf("the attestation shows %d identifiers", len(hits))
	}
	if strings.Contains(at.Leaf, hexSHA256(doc)) {
		t.Error("the log holds the plain hash of the original")
	}
}

func TestWhoMayReadAnAttestation(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	tests := []struct {
		role     record.Role
		original bool
		refused  error
	}{
		{record.RoleAuditor, true, nil},
		{record.RoleDPO, true, nil},
		{record.RoleQuality, false, nil},
		{record.RoleClinician, false, record.ErrNotFound}, // treats nobody yet
		{record.RoleRadiology, false, record.ErrNotFound},
		{record.RoleOperator, false, record.ErrNotFound},
		{record.RoleResearcher, false, record.ErrNotFound},
		{record.RoleAdmin, false, record.ErrDenied},
	}
	for _, test := range tests {
		at, err := h.Attest(t.Context(), vaulttest.Actor(test.role), r.ID)
		if test.refused != nil {
			if !errors.Is(err, test.refused) {
				t.Errorf("%s: %v; want %v", test.role, err, test.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.role, err)
			continue
		}
		if _, err := at.Verify(at.LogKey); err != nil || (at.Original != nil) != test.original {
			t.Errorf("%s: original opened %v, %v; want %v", test.role, at.Original != nil, err, test.original)
		}
	}
	treat(t, h, r.Patient)
	if at := attest(t, h, clinician, r.ID); at.Original == nil {
		t.Error("a treating clinician is not told the hash of the original")
	}
	if _, err := h.Attest(t.Context(), auditor, record.NewObjectID()); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("Attest of nothing = %v; want not found", err)
	}
}

func TestReportsAreAttestedToo(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := imagingtest.Report(patient())
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(doc), PatientID: "R1"})
	if err != nil {
		t.Fatal(err)
	}
	at := attest(t, h, auditor, r.ID)
	said, err := at.Verify(at.LogKey)
	if err != nil || said.Original == nil || said.Original.SHA256 != sha256.Sum256(doc) {
		t.Fatalf("Verify = %+v, %v; want the hash of the report", said.Original, err)
	}
	if said.Leaf.Commit.Attest.Held == "" {
		t.Error("a report without de-identified view is not attested as held")
	}
}

func TestAForgedAttestationDoesNotVerify(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	first, second := put(t, h, ct(patient(), 1)), put(t, h, ct(patient(), 2))
	good, other := attest(t, h, auditor, first.ID), attest(t, h, auditor, second.ID)
	foreign, err := audit.NewSigner("medvault", bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := good.Verify(good.LogKey); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(at *vault.Attestation, key *string){
		"other object":    func(at *vault.Attestation, _ *string) { at.Object = other.Object },
		"other leaf":      func(at *vault.Attestation, _ *string) { at.Leaf = other.Leaf },
		"other number":    func(at *vault.Attestation, _ *string) { at.Number = other.Number },
		"negative number": func(at *vault.Attestation, _ *string) { at.Number = -1 },
		"changed leaf":    func(at *vault.Attestation, _ *string) { at.Leaf = strings.Replace(at.Leaf, `"size":`, `"size":1`, 1) },
		"held": func(at *vault.Attestation, _ *string) {
			at.Leaf = strings.Replace(at.Leaf, `"attest":{`, `"attest":{"held":"x",`, 1)
		},
		"no proof":         func(at *vault.Attestation, _ *string) { at.Inclusion = nil },
		"proof of no hash": func(at *vault.Attestation, _ *string) { at.Inclusion = append([]string{"x"}, at.Inclusion[1:]...) },
		"other proof":      func(at *vault.Attestation, _ *string) { at.Inclusion = append(at.Inclusion[1:], at.Inclusion[0]) },
		"no checkpoint":    func(at *vault.Attestation, _ *string) { at.Checkpoint = "" },
		"size":             func(at *vault.Attestation, _ *string) { at.Checkpoint = strings.Replace(at.Checkpoint, "\n", "\n1", 1) },
		"other key":        func(_ *vault.Attestation, key *string) { *key = foreign.VerifierKey() },
		"no key":           func(_ *vault.Attestation, key *string) { *key = "" },
		"original":         func(at *vault.Attestation, _ *string) { at.Original = other.Original },
		"original's size":  func(at *vault.Attestation, _ *string) { o := *at.Original; o.Size++; at.Original = &o },
		"original's hash":  func(at *vault.Attestation, _ *string) { o := *at.Original; o.SHA256 = "ab"; at.Original = &o },
		"original's salt": func(at *vault.Attestation, _ *string) {
			o := *at.Original
			o.Salt = strings.Repeat("00", 32)
			at.Original = &o
		},
	}
	for name, forge := range tests {
		at, key := good, good.LogKey
		forge(&at, &key)
		if said, err := at.Verify(key); err == nil {
			t.Errorf("%s: verified as %+v", name, said.Leaf)
		}
	}
}

func TestASupersededDocumentIsStillAttested(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := burned(patient(), 1)
	r := put(t, h, doc)
	before := attest(t, h, auditor, r.ID)
	now := release(t, h, r.ID, vault.Mask{X: 8, Y: 8, Width: 20, Height: 10})
	eventually(t, "the old object is gone everywhere", func() bool { return len(holders(t, h, r.ID)) == 0 })
	old, fresh := attest(t, h, auditor, r.ID), attest(t, h, auditor, now)
	if old.SupersededBy != now || fresh.SupersededBy != "" || old.Leaf != before.Leaf {
		t.Errorf("superseded by %q and %q; want %s and nothing, and the old leaf as it was", old.SupersededBy, fresh.SupersededBy, now)
	}
	for name, at := range map[string]vault.Attestation{"old": old, "new": fresh} {
		if _, err := at.Verify(before.LogKey); err != nil || at.Original == nil || at.Original.SHA256 != hexSHA256(doc) {
			t.Errorf("%s: Verify = %v, original %+v; want the hash of what came in", name, err, at.Original)
		}
	}
	was, err := old.Verify(before.LogKey)
	if err != nil {
		t.Fatal(err)
	}
	is, err := fresh.Verify(before.LogKey)
	if err != nil {
		t.Fatal(err)
	}
	if is.Leaf.Commit.Supersedes != r.ID || was.Leaf.Commit.Attest.Held == "" || is.Leaf.Commit.Attest.Held != "" || is.Leaf.Commit.Attest.Pixels != "masked" {
		t.Errorf("attested as %+v, then %+v; want held, then masked in its place", was.Leaf.Commit.Attest, is.Leaf.Commit.Attest)
	}
}
