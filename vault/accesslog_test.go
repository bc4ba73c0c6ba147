package vault_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// Every read of a scenario is in the patient's access log, none is missing, and none
// that did not happen.
func TestEveryReadIsInTheAccessLog(t *testing.T) {
	c := newClock()
	h := vaulttest.New(t, vaulttest.Options{Now: c.now})
	mine, other := put(t, h, ct(patient(), 1)), put(t, h, ct(imagingtest.NewPatient(8), 1))
	second := put(t, h, ct(patient(), 2))
	treat(t, h, mine.Patient)
	treat(t, h, other.Patient)
	stranger := clinician
	stranger.ID = "clinician-2"

	type line struct {
		actor    string
		object   record.ObjectID
		decision string
	}
	var want []line
	reads := func(a record.Actor, id record.ObjectID) {
		open(t, h, a, vault.Ref{Document: id})
	}
	for round := range 3 {
		reads(clinician, mine.ID)
		want = append(want, line{clinician.ID, mine.ID, "allow"})
		reads(clinician, mine.ID) // within the window: the same line stands for it
		reads(quality, mine.ID)
		want = append(want, line{quality.ID, mine.ID, "allow"})
		reads(clinician, other.ID) // of somebody else
		if round == 1 {
			reads(clinician, second.ID)
			want = append(want, line{clinician.ID, second.ID, "allow"})
			if _, err := h.Open(t.Context(), stranger, vault.Ref{Document: mine.ID}); !errors.Is(err, record.ErrNotFound) {
				t.Errorf("a stranger's read = %v", err)
			}
			want = append(want, line{stranger.ID, mine.ID, "deny"})
		}
		c.forward(16 * time.Minute)
	}
	slices.Reverse(want)

	for _, language := range []string{"en", "zh"} {
		var got []line
		after, pages := "", 0
		for {
			log, err := h.AccessLog(t.Context(), dpo, mine.Patient, vault.AccessQuery{Language: language, After: after, Limit: 4})
			if err != nil {
				t.Fatal(err)
			}
			key, err := note.NewVerifier(log.Log)
			if err != nil {
				t.Fatal(err)
			}
			if err := log.Check(key); err != nil {
				t.Errorf("Check = %v", err)
			}
			for _, l := range log.Lines {
				if l.Action == record.ActionRead {
					got = append(got, line{l.Actor, l.Object, string(l.Decision)})
				}
				if l.Words == "" || !strings.Contains(l.Words, l.Actor) || (language == "zh") != strings.Contains(l.Words, "。") {
					t.Errorf("%s: words %q", language, l.Words)
				}
				if l.Actor == "medvault" {
					t.Errorf("%q: done by the vault itself, and was not asked for", l.Words)
				}
			}
			if after = log.Next; after == "" {
				break
			}
			if pages++; pages > 20 {
				t.Fatal("the pages do not end")
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: reads %v; want %v", language, got, want)
		}
	}
}

func TestWhoMayReadAnAccessLog(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	mine, other := put(t, h, ct(patient(), 1)), put(t, h, ct(imagingtest.NewPatient(8), 1)).Patient
	minor := put(t, h, ct(child(96, "20200101"), 1))
	own, guardian, claims := vaulttest.Actor(record.RolePatient), vaulttest.Actor(record.RoleGuardian), vaulttest.Actor(record.RolePatient)
	claims.ID, claims.Launch = "another", mine.Patient
	for _, g := range []struct {
		of       vault.Receipt
		is       record.Actor
		relation string
	}{{mine, own, "self"}, {mine, guardian, "father"}, {minor, guardian, "mother"}} {
		if _, err := h.AddGuardian(t.Context(), dpo, g.of.Patient, vault.NewGuardian{Subject: g.is.ID, Relation: g.relation, Evidence: g.of.ID}); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		name string
		a    record.Actor
		p    record.PatientToken
		want error
	}{
		{"the officer", dpo, mine.Patient, nil},
		{"an auditor", vaulttest.Actor(record.RoleAuditor), other, nil},
		{"the patient", own, mine.Patient, nil},
		{"the patient, of another", own, other, record.ErrNotFound},
		{"a patient nobody knows, by whose token it is theirs", claims, mine.Patient, record.ErrNotFound},
		{"the guardian of a child", guardian, minor.Patient, nil},
		{"the guardian of who is of age", guardian, mine.Patient, record.ErrDenied},
		{"the guardian, of another", guardian, other, record.ErrNotFound},
		{"a clinician", clinician, mine.Patient, record.ErrDenied},
		{"an operator", operator, mine.Patient, record.ErrDenied},
		{"of nobody", dpo, record.PatientToken("p" + strings.Repeat("a", 26)), record.ErrNotFound},
	} {
		if _, err := h.AccessLog(t.Context(), row.a, row.p, vault.AccessQuery{}); !errors.Is(err, row.want) {
			t.Errorf("%s: AccessLog = %v; want %v", row.name, err, row.want)
		}
	}
	log, err := h.AccessLog(t.Context(), dpo, mine.Patient, vault.AccessQuery{})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, l := range log.Lines {
		if l.Action == record.ActionAccessLog && l.Decision == "allow" {
			asked++
		}
	}
	if asked != 2 { // the officer and the patient; the auditor asked about another
		t.Errorf("%d lines say that this log was read; want 2", asked)
	}
}

func TestAChangedLineIsFound(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	treat(t, h, r.Patient)
	open(t, h, clinician, vault.Ref{Document: r.ID})
	get := func() vault.AccessLog {
		log, err := h.AccessLog(t.Context(), dpo, r.Patient, vault.AccessQuery{})
		if err != nil || len(log.Lines) < 3 {
			t.Fatalf("AccessLog = %+v, %v", log, err)
		}
		return log
	}
	key, err := note.NewVerifier(get().Log)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*vault.AccessLog){
		"words": func(l *vault.AccessLog) {
			l.Lines[1].Words = strings.Replace(l.Lines[1].Words, "clinician", "nobody", 1) + "x"
		},
		"actor":      func(l *vault.AccessLog) { l.Lines[1].Actor = "nobody" },
		"time":       func(l *vault.AccessLog) { l.Lines[1].Time = l.Lines[1].Time.Add(time.Hour) },
		"leaf":       func(l *vault.AccessLog) { l.Lines[1].Leaf = strings.Replace(l.Lines[1].Leaf, `"v":1`, `"v":2`, 1) },
		"number":     func(l *vault.AccessLog) { l.Lines[1].Number++ },
		"proof":      func(l *vault.AccessLog) { l.Lines[1].Proof[0][0] ^= 1 },
		"checkpoint": func(l *vault.AccessLog) { l.Checkpoint = strings.Replace(l.Checkpoint, "medvault\n", "medvault\n1", 1) },
		"patient":    func(l *vault.AccessLog) { l.Patient = "p" + record.PatientToken(strings.Repeat("a", 26)) },
		"language":   func(l *vault.AccessLog) { l.Language = "zh" },
	} {
		log := get()
		if err := log.Check(key); err != nil {
			t.Fatalf("Check = %v", err)
		}
		if change(&log); log.Check(key) == nil {
			t.Errorf("a changed %s is not found", name)
		}
	}
}

func TestTheLogIsAsked(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	treat(t, h, r.Patient)
	open(t, h, clinician, vault.Ref{Document: r.ID})
	h.Put(t.Context(), quality, vault.Upload{Body: bytes.NewReader(nil)}) // refused
	ask := func(q vault.AuditQuery) (actions []string) {
		t.Helper()
		page, err := h.AuditQuery(t.Context(), dpo, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Leaves {
			action := string(l.Leaf[bytes.Index(l.Leaf, []byte(`"action":"`))+10:])
			action, _, _ = strings.Cut(action, `"`)
			actions = append(actions, action)
		}
		return actions
	}
	for _, row := range []struct {
		name string
		q    vault.AuditQuery
		want string
	}{
		{"object", vault.AuditQuery{Object: r.ID, Actor: clinician.ID}, "document.read"},
		{"action", vault.AuditQuery{Action: record.ActionCareAdd}, "care.add"},
		{"refused", vault.AuditQuery{Decision: "deny"}, "document.store"},
		{"patient and purpose", vault.AuditQuery{Patient: r.Patient, Actor: radiology.ID}, "document.store"},
		{"the question itself", vault.AuditQuery{Actor: dpo.ID, Object: r.ID}, "audit.read"},
	} {
		if got := strings.Join(ask(row.q), " "); got != row.want {
			t.Errorf("%s: %q; want %q", row.name, got, row.want)
		}
	}
	for name, q := range map[string]vault.AuditQuery{"limit": {Limit: 5000}, "negative": {Limit: -1}, "after": {After: "x"}, "decision": {Decision: "maybe"}} {
		if _, err := h.AuditQuery(t.Context(), dpo, q); !errors.Is(err, record.ErrInvalid) {
			t.Errorf("%s: %v; want invalid", name, err)
		}
	}
	if _, err := h.AuditQuery(t.Context(), clinician, vault.AuditQuery{}); !errors.Is(err, record.ErrDenied) {
		t.Errorf("a clinician asks: %v; want denied", err)
	}
}
