package api_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/alarm"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// plant writes leaves of acts into the log of a vault: of an intruder's among everybody's.
// It returns by patient how often the intruder read.
func plant(t *testing.T, h *vaulttest.House, leaves int, at time.Time, blind string) map[record.PatientToken]int64 {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	truth := make(map[record.PatientToken]int64)
	const batch = 5000
	for written := 0; written < leaves; written += batch {
		err := h.Catalog.Update(t.Context(), func(tx *catalog.Tx) error {
			for n := range min(batch, leaves-written) {
				p := token(random.IntN(max(10, leaves/20)))
				leaf := audit.Leaf{Time: at.Add(time.Duration(written+n) * time.Millisecond), Actor: fmt.Sprintf("clinician-%d", random.IntN(200)), Role: "clinician", Purpose: "TREAT",
					Action: "document.read", Patient: p, Object: record.ObjectID(fmt.Sprintf("%032x", random.IntN(leaves))), View: "original", Decision: audit.Allow}
				switch random.IntN(2000) {
				case 0:
					leaf.Actor, leaf.Address = "intruder", blind
					truth[p]++
				case 1: // what was refused concerns nobody
					leaf.Actor, leaf.Decision, leaf.View = "intruder", audit.Deny, ""
				}
				data, err := leaf.Encode()
				if err != nil {
					return err
				}
				if err := tx.AppendLeaf(t.Context(), data); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return truth
}

func token(n int) record.PatientToken {
	const digits = "abcdefghijklmnopqrstuvwxyz234567"
	name := []byte("p" + strings.Repeat("a", 26))
	for i := 1; n > 0; i++ {
		name[i] = digits[n%32]
		n /= 32
	}
	return record.PatientToken(name)
}

// A breach planted in the log: whoever is affected is found, and nobody else. 1,000,000
// leaves with MEDVAULT_TEST_BREACH_LEAVES=1000000.
func TestPromise7_1AffectedEqualsGroundTruth(t *testing.T) {
	leaves := 20_000
	if text := os.Getenv("MEDVAULT_TEST_BREACH_LEAVES"); text != "" {
		var err error
		if leaves, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		b := newBureau(t, o, "2026-11-20 10:00")
		truth := plant(t, b.gateways[0].vault, leaves, b.now().Add(-48*time.Hour), b.gateways[0].vault.BlindAddress("203.0.113.9"))
		if len(truth) == 0 {
			t.Fatal("nothing was planted")
		}
		for _, scope := range []map[string]any{{"person": "intruder"}, {"address": "203.0.113.9"},
			{"person": "intruder", "from": b.now().Add(-72 * time.Hour), "to": b.now()}} {
			i := into[vault.Incident](t, b.want(0, "dpo", "POST", "/api/v1/incidents", map[string]any{"what": "a password was given away", "scopes": []any{scope}}, 201, ""))
			began := time.Now()
			got := into[vault.Affected](t, b.want(1, "dpo", "GET", "/api/v1/incidents/"+string(i.ID)+"/affected", nil, 200, ""))
			t.Logf("%d leaves, %v: %d patients in %v", got.LogSize, slices.Sorted(keysOf(scope)), len(got.Patients), time.Since(began).Round(time.Millisecond))
			found := make(map[record.PatientToken]int64)
			for _, p := range got.Patients {
				for _, how := range p.How {
					found[p.Patient] += how.Times
				}
			}
			if len(found) != len(truth) {
				t.Errorf("%v: %d patients; want %d", scope, len(found), len(truth))
			}
			for p, n := range truth {
				if found[p] != n {
					t.Errorf("%v: %s %d times; want %d", scope, p, found[p], n)
				}
			}
		}
	})
}

func keysOf(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// stored puts a patient's document into a vault.
func (b *bureau) stored(seed uint64) vault.Receipt {
	b.t.Helper()
	r, err := b.gateways[0].vault.Put(b.t.Context(), vaulttest.Actor("radiology"),
		vault.Upload{Body: bytes.NewReader(imagingtest.CT(imagingtest.NewPatient(seed), imagingtest.Options{Study: 1, Series: 1, Instance: 1}))})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// The clock runs 72 hours from discovery; drafts name what happened in both languages; the
// clock stops when patients and authorities were told.
func TestPromise7_1PatientsAreToldWithin72Hours(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		b := newBureau(t, o, "2026-11-20 10:00")
		one, two := b.stored(61), b.stored(62)
		opened := into[vault.Incident](t, b.want(0, "dpo", "POST", "/api/v1/incidents",
			map[string]any{"what": "an object leaked", "scopes": []any{map[string]any{"object": one.ID}, map[string]any{"object": two.ID}}}, 201, "running"))
		at := "/api/v1/incidents/" + string(opened.ID)
		b.want(0, "clinician", "GET", at, nil, 403, "role-not-permitted")
		b.want(1, "auditor", "GET", at, nil, 200, "an object leaked")
		of := into[vault.Affected](t, b.want(1, "dpo", "GET", at+"/affected", nil, 200, "document.store"))
		want := []record.PatientToken{one.Patient, two.Patient}
		slices.Sort(want)
		if len(of.Patients) != 2 || of.Patients[0].Patient != want[0] || of.Patients[1].Patient != want[1] {
			t.Fatalf("affected %+v; want %v", of.Patients, want)
		}
		drafts := string(b.want(0, "dpo", "GET", at+"/notices", nil, 200, "个人信息安全事件通知"))
		for _, says := range []string{"dpo@hospital.example", "+86 10 0000 0000", "What you can do", "建议您", "医学影像", string(one.Patient)} {
			if !strings.Contains(drafts, says) {
				t.Errorf("the drafts do not say %q", says)
			}
		}
		b.set("2026-11-22 11:00")
		b.want(0, "dpo", "GET", at, nil, 200, "due-soon")
		b.want(0, "dpo", "POST", at+"/close", map[string]any{"outcome": "nothing more"}, 409, "not-told")
		b.want(0, "dpo", "POST", at+"/notices", map[string]any{"patients": []record.PatientToken{one.Patient}, "how": "letter"}, 200, "")
		b.want(0, "dpo", "POST", at+"/notices", map[string]any{"authority": true, "how": "online-form", "reference": "CAC-1"}, 200, "due-soon")
		b.set("2026-11-23 10:00")
		b.want(1, "dpo", "GET", at, nil, 200, "overdue")
		b.want(1, "dpo", "POST", at+"/notices", map[string]any{"all": true, "how": "phone"}, 200, `"late"`)
		b.want(0, "dpo", "POST", at+"/close", map[string]any{"outcome": "the bucket was closed"}, 200, "closed")
		b.want(0, "dpo", "POST", at+"/containment", map[string]any{"do": "rotate-keys"}, 409, "closed")
	})
}

// What authorities are told is made of the incident.
func TestPromise7_3AuthoritiesAreTold(t *testing.T) {
	t.Parallel()
	b := newBureau(t, vaulttest.Options{}, "2026-11-20 10:00")
	stored := b.stored(63)
	i := into[vault.Incident](t, b.want(0, "dpo", "POST", "/api/v1/incidents", map[string]any{"what": "a <disk> was lost", "scopes": []any{map[string]any{"region": "cn-east"}}}, 201, ""))
	at := "/api/v1/incidents/" + string(i.ID)
	b.want(0, "dpo", "POST", at+"/containment", map[string]any{"do": "freeze-patient", "target": stored.Patient}, 200, "freeze-patient")
	for _, format := range []string{"json", "text", "html"} {
		got := string(b.want(1, "dpo", "GET", at+"/report?format="+format, nil, 200, "dpo@hospital.example"))
		if format == "html" && strings.Contains(got, "<disk>") {
			t.Error("the page holds what was said unescaped")
		}
		for _, says := range map[string][]string{"json": {`"patients":1`, "held-in-region", "freeze-patient", "imaging"},
			"text": {"a <disk> was lost", "Patients affected", "受影响患者人数", "2026-11-20 10:00 UTC+8", "医学影像"}, "html": {"a &lt;disk&gt; was lost"}}[format] {
			if !strings.Contains(got, says) {
				t.Errorf("%s report lacks %q:\n%s", format, says, got)
			}
		}
	}
	key := map[string]any{"kind": "content", "shard": shardOf(b, stored.Patient)}
	b.want(0, "dpo", "POST", at+"/scopes", map[string]any{"key": key}, 200, "")
	b.want(0, "dpo", "GET", at+"/affected", nil, 200, "wrapped-by-key")
	b.want(0, "dpo", "POST", at+"/scopes", map[string]any{"region": "nowhere"}, 400, "no-such-region")
}

// shardOf finds a patient's shard by asking for each.
func shardOf(b *bureau, p record.PatientToken) string {
	for n := range 256 {
		shard := fmt.Sprintf("%02x", n)
		i := into[vault.Incident](b.t, b.want(0, "dpo", "POST", "/api/v1/incidents",
			map[string]any{"what": "which shard", "drill": true, "scopes": []any{map[string]any{"key": map[string]any{"kind": "content", "shard": shard}}}}, 201, ""))
		_, got := b.ask(0, "dpo", "GET", "/api/v1/incidents/"+string(i.ID)+"/affected", nil)
		if bytes.Contains(got, []byte(p)) {
			return shard
		}
	}
	b.t.Fatal("the patient is in no shard")
	return ""
}

// What contains a breach acts on the next request in every gateway, and a drill does
// nothing.
func TestPromise7_2ContainedInEveryGateway(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		b := newBureau(t, o, "2026-11-20 10:00")
		stored := b.stored(64)
		list := "/api/v1/patients/" + string(stored.Patient) + "/consents"
		reads := func(gateway, status int, holds string) {
			t.Helper()
			b.want(gateway, "dpo", "GET", list, nil, status, holds)
		}
		reads(0, 200, "")
		drill := into[vault.Incident](t, b.want(0, "dpo", "POST", "/api/v1/incidents", map[string]any{"what": "an exercise", "drill": true}, 201, ""))
		b.want(0, "dpo", "POST", "/api/v1/incidents/"+string(drill.ID)+"/containment", map[string]any{"do": "freeze-patient", "target": stored.Patient}, 200, "freeze-patient")
		reads(1, 200, "")
		b.want(0, "dpo", "GET", "/api/v1/incidents/"+string(drill.ID)+"/report?format=text", nil, 200, "DRILL")

		i := into[vault.Incident](t, b.want(0, "dpo", "POST", "/api/v1/incidents", map[string]any{"what": "stolen credentials"}, 201, ""))
		contain := "/api/v1/incidents/" + string(i.ID) + "/containment"
		b.want(0, "dpo", "POST", contain, map[string]any{"do": "freeze-patient", "target": stored.Patient}, 200, "freeze-patient")
		reads(1, 403, "frozen")
		reads(0, 403, "frozen")
		upload := vault.Upload{Body: bytes.NewReader(imagingtest.CT(imagingtest.NewPatient(64), imagingtest.Options{Study: 1, Series: 1, Instance: 2}))}
		if _, err := b.gateways[1].vault.Put(t.Context(), vaulttest.Actor("radiology"), upload); err == nil {
			t.Error("a frozen patient was stored to")
		}
		b.want(0, "clinician", "POST", "/api/v1/patients/"+string(stored.Patient)+"/thaw", nil, 403, "role-not-permitted")
		b.want(1, "dpo", "POST", "/api/v1/patients/"+string(stored.Patient)+"/thaw", nil, 200, "liftedBy")
		reads(0, 200, "")
		b.want(1, "dpo", "POST", "/api/v1/patients/"+string(stored.Patient)+"/thaw", nil, 404, "")

		b.want(0, "dpo", "POST", contain, map[string]any{"do": "revoke-person", "target": vaulttest.Actor("quality").ID}, 200, "revoke-person")
		for gateway := range 2 {
			if got, _ := b.ask(gateway, "quality", "GET", "/dicomweb/studies", nil); got != http.StatusUnauthorized {
				t.Errorf("gateway %d answers a revoked person with %d", gateway, got)
			}
		}
		b.want(0, "admin", "POST", contain, map[string]any{"do": "freeze-region", "target": "cn-east"}, 200, "freeze-region")
		b.want(0, "admin", "POST", contain, map[string]any{"do": "rotate-keys"}, 200, "rotate-keys")
		b.want(0, "dpo", "POST", contain, map[string]any{"do": "rotate-keys"}, 403, "") // keys are an administrator's
		b.want(1, "admin", "GET", "/api/v1/regions", nil, 200, `"frozen"`)
		shown := string(b.want(1, "dpo", "GET", "/api/v1/incidents/"+string(i.ID), nil, 200, ""))
		for _, did := range []string{"freeze-patient", "revoke-person", "freeze-region", "rotate-keys"} {
			if !strings.Contains(shown, did) {
				t.Errorf("the incident does not list %s", did)
			}
		}
	})
}

// Whoever has to tell people is reminded a day before 72 hours are over, and every day
// after; a drill alarms nobody. Findings that are overdue alarm too.
func TestPromise7_1TheClockAlarms(t *testing.T) {
	t.Parallel()
	box := new(inbox)
	hook := httptest.NewServer(box)
	t.Cleanup(hook.Close)
	sender, err := alarm.NewWebhook(alarm.WebhookConfig{URL: hook.URL, Secret: bytes.Repeat([]byte("s"), 32), Client: hook.Client()})
	if err != nil {
		t.Fatal(err)
	}
	b := newBureau(t, vaulttest.Options{Poll: 10 * time.Millisecond, Alarms: vault.AlarmConfig{Senders: []alarm.Sender{sender}, Every: 10 * time.Millisecond}}, "2026-11-20 10:00")
	b.want(0, "dpo", "POST", "/api/v1/incidents", map[string]any{"what": "a lost phone"}, 201, "")
	b.want(0, "dpo", "POST", "/api/v1/incidents", map[string]any{"what": "an exercise", "drill": true}, 201, "")
	b.want(0, "dpo", "POST", "/api/v1/findings", map[string]any{"title": "open port", "severity": "low", "owner": "it", "due": b.now().Add(96 * time.Hour)}, 201, "")
	b.set("2026-11-22 10:00")
	box.await(t, alarm.BreachDueSoon, 1)
	b.set("2026-11-23 10:00")
	box.await(t, alarm.BreachOverdue, 1)
	b.set("2026-11-24 10:00")
	box.await(t, alarm.BreachOverdue, 2)
	box.await(t, alarm.FindingOverdue, 1)
	// Whoever gets an alarm twice can tell by its id.
	about := make(map[string]bool)
	box.mu.Lock()
	defer box.mu.Unlock()
	for _, a := range box.got {
		if a.Kind == alarm.BreachDueSoon || a.Kind == alarm.BreachOverdue {
			about[a.About] = true
		}
	}
	if len(about) != 1 {
		t.Errorf("alarms about %d incidents; want 1: a drill alarms nobody", len(about))
	}
}
