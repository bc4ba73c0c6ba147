package vault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"medvault/imaging/imagingtest"
	"medvault/keys"
	"medvault/keys/transit"
	"medvault/storage/dir"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// A gateway whose credential opens content keys alone serves researchers, and neither it
// nor whoever takes its credential learns who anybody is.
func TestAGatewayOfContentKeysAlone(t *testing.T) {
	t.Parallel()
	whole, mount := transitAt(t, "cn")
	o := fast()
	o.Dir = t.TempDir()
	o.Wrapper = func(string, keys.Wrapper) keys.Wrapper { return whole }
	one := vaulttest.New(t, o)
	p := patient()
	r, evidence := put(t, one, ct(p, 1)), written(t, one, p)
	treat(t, one, r.Patient)
	consentTo(t, one, r.Patient, vault.NewConsent{Purpose: record.PurposeResearch, Evidence: evidence.ID})

	research := researchOf(t, whole, mount)
	o.Wrapper = func(string, keys.Wrapper) keys.Wrapper { return research }
	if h, err := vaulttest.Open(t.Context(), o); err == nil {
		h.Stop()
		t.Error("a whole gateway started with the credential of a research gateway")
	}
	o.ContentOnly = true
	two := vaulttest.New(t, o)

	t.Run("its credential opens content keys and nothing else", func(t *testing.T) {
		held, err := dir.New(dir.Config{Root: filepath.Join(o.Dir, "regions", "cn-north")})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			binding keys.Binding
			opens   bool
		}{
			{keys.Binding{Kind: keys.Content, Token: string(r.Patient), Generation: 1}, true},
			{keys.Binding{Kind: keys.Identity, Token: string(r.Patient), Generation: 1}, false},
			{keys.Binding{Kind: keys.House, Token: "house-token", Generation: 1}, false},
			{keys.Binding{Kind: keys.House, Token: "house-index", Generation: 1}, false},
			{keys.Binding{Kind: keys.House, Token: "house-log", Generation: 1}, false},
			{keys.Binding{Kind: keys.House, Token: "house-records", Generation: 1}, false},
		} {
			wrap := wrapIn(t, held, whole, row.binding)
			if _, err := whole.Unwrap(t.Context(), []keys.Bound{wrap}); err != nil {
				t.Errorf("%s %s: the whole gateway's credential: %v", row.binding.Kind, row.binding.Token, err)
			}
			if _, err := research.Unwrap(t.Context(), []keys.Bound{wrap}); (err == nil) != row.opens {
				t.Errorf("%s %s: the research credential: %v; want opened %v", row.binding.Kind, row.binding.Token, err, row.opens)
			}
		}
		if _, err := research.Wrap(t.Context(), []keys.Bound{{Binding: keys.Binding{Kind: keys.Content, Token: string(r.Patient), Generation: 1}, DEK: keys.NewDEK()}}); err == nil {
			t.Error("the research credential wraps a key")
		}
	})

	t.Run("its pseudonyms are those that others know to ask for", func(t *testing.T) {
		const id = "jti:research-1"
		who := vaulttest.Actor(record.RoleResearcher)
		who.ID, who.Credentials = "researcher-jti", id
		if err := two.Refused(t.Context(), who, "locked-out"); err != nil {
			t.Fatal(err)
		}
		page, err := one.AuditQuery(t.Context(), vaulttest.Actor(record.RoleDPO), vault.AuditQuery{Credential: id})
		if err != nil || len(page.Leaves) != 1 || bytes.Contains(page.Leaves[0].Leaf, []byte("research-1")) {
			t.Errorf("asked by credential: %+v, %v; want the leaf of the research gateway, without the id", page, err)
		}
		if blind := two.BlindAddress("192.0.2.1"); blind != "" {
			t.Errorf("a gateway without keys of the house blinds an address as %q, which nobody can look for", blind)
		}
	})

	t.Run("it serves the de-identified view without an identifier", func(t *testing.T) {
		for _, who := range []record.Actor{quality, vaulttest.Actor(record.RoleResearcher)} {
			var told bytes.Buffer
			for _, d := range open(t, two, who, vault.Ref{Document: r.ID}) {
				if d.View != record.ViewDeidentified {
					t.Errorf("%s: view %q", who.Role, d.View)
				}
				told.Write(read(t, d))
				// By the mapped UID, and not by the original.
				if again := open(t, two, who, vault.Ref{Study: d.Study}); len(again) != 1 {
					t.Errorf("%s: %d documents by the mapped UID; want one", who.Role, len(again))
				}
				for uid, want := range map[string]int{"": 1, d.Study: 1, "1.2.3": 0} {
					page, err := two.Find(t.Context(), who, vault.Query{Level: vault.LevelInstance, Study: uid})
					if err != nil || len(page.Matches) != want {
						t.Errorf("%s: Find(%q) = %d, %v; want %d", who.Role, uid, len(page.Matches), err, want)
					}
					if err := json.NewEncoder(&told).Encode(page); err != nil {
						t.Fatal(err)
					}
				}
				byToken, err := two.Find(t.Context(), who, vault.Query{Level: vault.LevelStudy, Match: map[string][]string{"PatientID": {string(r.Patient)}}})
				if err != nil || len(byToken.Matches) != 1 {
					t.Errorf("%s: Find by token = %d, %v", who.Role, len(byToken.Matches), err)
				}
			}
			for name, planted := range identifiers(p) {
				if bytes.Contains(told.Bytes(), []byte(planted)) {
					t.Errorf("%s is told the patient's %s", who.Role, name)
				}
			}
			if told.Len() == 0 {
				t.Errorf("%s is told nothing", who.Role)
			}
		}
	})

	t.Run("it can do no more", func(t *testing.T) {
		denied := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, record.ErrDenied) || !strings.Contains(err.Error(), "no-identity-keys") {
				t.Errorf("%s = %v; want denied, no-identity-keys", what, err)
			}
		}
		_, err := two.Open(t.Context(), clinician, vault.Ref{Document: r.ID})
		denied("a treating clinician's read", err)
		_, err = two.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy})
		denied("a clinician's search", err)
		_, err = two.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(ct(p, 2))})
		denied("an upload", err)
		_, err = two.AddCare(t.Context(), vaulttest.Actor(record.RoleAdmin), r.Patient, "clinician-9", time.Time{})
		denied("a care relationship", err)
		_, err = two.AddConsent(t.Context(), dpo, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Decision: "restrict"})
		denied("a consent", err)
		_, err = two.Find(t.Context(), quality, vault.Query{Level: vault.LevelStudy, Match: map[string][]string{"Modality": {"CT"}}})
		if !errors.Is(err, record.ErrInvalid) {
			t.Errorf("a search that needs the index = %v; want refused as bad", err)
		}
		if _, err := two.AccessLog(t.Context(), dpo, r.Patient, vault.AccessQuery{}); err == nil {
			t.Error("it shows an access log")
		}
	})

	t.Run("what is taken away acts there too", func(t *testing.T) {
		consentTo(t, one, r.Patient, vault.NewConsent{Purpose: record.PurposeResearch, Decision: "refuse"})
		if _, err := two.Open(t.Context(), vaulttest.Actor(record.RoleResearcher), vault.Ref{Document: r.ID}); !errors.Is(err, record.ErrNotFound) && !errors.Is(err, record.ErrDenied) {
			t.Errorf("a read after consent was refused = %v", err)
		}
	})
}

// identifiers of a patient, as they were planted.
func identifiers(p imagingtest.Patient) map[string]string {
	all := map[string]string{"id": p.ID, "name": p.Name, "birth date": p.BirthDate, "address": p.Address, "phone": p.Phone, "e-mail": p.Email,
		"other id": p.OtherID, "accession number": p.Accession, "physician": p.Physician, "mother": p.MotherName}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

// researchOf is the same engine as s, with a token of the policy that is shipped for
// gateways of content keys alone.
func researchOf(t *testing.T, s *transit.Service, mount string) keys.Wrapper {
	t.Helper()
	text, err := os.ReadFile("../scripts/deploy/transit-research-policy.hcl")
	if err != nil {
		t.Fatal(err)
	}
	address := os.Getenv("MEDVAULT_TEST_TRANSIT")
	root, err := api.NewClient(&api.Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	root.SetToken(os.Getenv("MEDVAULT_TEST_TRANSIT_TOKEN"))
	policy := mount + "-research"
	if err := root.Sys().PutPolicyWithContext(t.Context(), policy, strings.ReplaceAll(string(text), `"transit/`, `"`+mount+`/`)); err != nil {
		t.Fatal(err)
	}
	made, err := root.Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{Policies: []string{policy}, NoDefaultPolicy: true, TTL: "1h"})
	if err != nil {
		t.Fatal(err)
	}
	research, err := transit.New(transit.Config{Name: s.Name(), Address: address, Auth: transit.Auth{Token: transit.Fixed(made.Auth.ClientToken)}, Shards: 1, Mount: mount})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := research.Close(); err != nil {
			t.Error(err)
		}
	})
	return research
}
