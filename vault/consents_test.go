package vault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/residency"
	"medvault/vault/vaulttest"
)

// abroad is a clinician who acts in the country of the foreign region.
func abroad() record.Actor {
	a := clinician
	a.ID, a.Country = "clinician-sg", "SG"
	return a
}

// written stores a report of a patient, as the evidence of what they have said.
func written(t *testing.T, h *vaulttest.House, p imagingtest.Patient) vault.Receipt {
	t.Helper()
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.Report(p)), PatientID: p.ID, Issuer: p.Issuer, Title: "consent"})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	return r
}

func consentTo(t *testing.T, h *vaulttest.House, p record.PatientToken, n vault.NewConsent) vault.Consent {
	t.Helper()
	c, err := h.AddConsent(t.Context(), dpo, p, n)
	if err != nil {
		t.Fatalf("AddConsent(%+v) = %v", n, err)
	}
	return c
}

func withdraw(t *testing.T, h *vaulttest.House, p record.PatientToken, id record.ObjectID) {
	t.Helper()
	if err := h.WithdrawConsent(t.Context(), dpo, p, id); err != nil {
		t.Fatalf("WithdrawConsent = %v", err)
	}
}

// lying lists what lies in a region: sealed objects, and wraps of patients.
func lying(t *testing.T, root, region string) (objects, wraps []string) {
	t.Helper()
	base := filepath.Join(root, "regions", region)
	err := filepath.WalkDir(base, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch key := strings.TrimPrefix(path, base+string(filepath.Separator)); strings.Split(key, string(filepath.Separator))[0] {
		case "objects", "records":
			objects = append(objects, key)
		case "wraps":
			wraps = append(wraps, key)
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return objects, wraps
}

// await is eventually for what takes a renewal of keys: slow under the race detector.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not become so: %s", what)
		}
	}
}

func clean(t *testing.T, h *vaulttest.House, level string) {
	t.Helper()
	report, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Level: level}, nil)
	if err != nil || len(report.Findings) > 0 {
		t.Errorf("Verify(%s) = %+v, %v; want no finding", level, report.Findings, err)
	}
}

func fast() vaulttest.Options { return vaulttest.Options{Poll: 20 * time.Millisecond} }

func TestConsentForACountryBringsDocumentsThereAndItsEndTakesThemAway(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, fast())
	p := patient()
	doc := ct(p, 1)
	r := put(t, h, doc)
	evidence := written(t, h, p)
	other := put(t, h, ct(imagingtest.NewPatient(8), 1)) // of whom nothing may lie abroad
	treat(t, h, r.Patient)
	if _, err := h.AddCare(t.Context(), dpo, r.Patient, abroad().ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	ref := vault.Ref{Document: r.ID}
	if _, err := h.Open(t.Context(), abroad(), ref); !errors.Is(err, record.ErrDenied) || !strings.Contains(err.Error(), "residency") {
		t.Errorf("Open from abroad without consent = %v; want denied by residency", err)
	}
	c := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: evidence.ID})
	if docs := open(t, h, abroad(), ref); !bytes.Equal(read(t, docs[0]), doc) {
		t.Error("the document that is read abroad is another")
	}
	later := put(t, h, ct(p, 2))
	await(t, "all objects of the patient abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects) >= 5 && len(wraps) == 2 && state(t, h, vaulttest.Foreign).Pending == 0
	})
	objects, _ := lying(t, h.Dir, vaulttest.Foreign)
	for _, id := range []record.ObjectID{r.ID, evidence.ID, later.ID} {
		if !slices.Contains(objects, id.Key("objects")) {
			t.Errorf("%s is not abroad", id)
		}
	}
	if slices.Contains(objects, other.ID.Key("objects")) {
		t.Error("a document of another patient is abroad")
	}
	clean(t, h, vault.LevelDecrypt)

	withdraw(t, h, r.Patient, c.ID)
	if _, err := h.Open(t.Context(), abroad(), ref); !errors.Is(err, record.ErrDenied) {
		t.Errorf("Open from abroad after the withdrawal = %v; want denied", err)
	}
	await(t, "nothing abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects)+len(wraps) == 0 && state(t, h, vaulttest.Foreign).Clearing == 0
	})
	clean(t, h, vault.LevelDecrypt)
	if docs := open(t, h, clinician, ref); !bytes.Equal(read(t, docs[0]), doc) {
		t.Error("the document does not come back at home")
	}
	var last time.Time
	for action, want := range map[record.Action]int{record.ActionConsentWithdraw: 1, vault.ActionWrapsRemoved: 1, vault.ActionKeysGone: 1} {
		if found := leaves(t, h, action); len(found) != want || found[0].Patient != r.Patient {
			t.Errorf("%d leaves %s; want %d", len(found), action, want)
		} else if found[0].Time.After(last) {
			last = found[0].Time
		}
	}
	removed := leaves(t, h, "object.removed")
	if len(removed) < 5 {
		t.Errorf("%d leaves of removals; want one of each object", len(removed))
	}
	for _, leaf := range removed {
		if leaf.Time.Before(last) || leaf.Origin != "consent-withdrawn" || leaf.Patient != r.Patient {
			t.Errorf("an object went before its keys were dead: %+v", leaf)
		}
	}
}

func TestConsentMayCoverStorageAbroadAlone(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, fast())
	p := patient()
	r := put(t, h, ct(p, 1))
	evidence := written(t, h, p)
	treat(t, h, r.Patient)
	stored := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Evidence: evidence.ID})
	await(t, "objects abroad", func() bool {
		objects, _ := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects) >= 3 && state(t, h, vaulttest.Foreign).Pending == 0
	})
	if _, wraps := lying(t, h.Dir, vaulttest.Foreign); len(wraps) > 0 {
		t.Errorf("wraps lie abroad: %v", wraps)
	}
	clean(t, h, vault.LevelDecrypt)
	if _, err := h.Open(t.Context(), abroad(), vault.Ref{Document: r.ID}); err == nil {
		t.Error("a consent for storage lets somebody read abroad")
	}
	reading := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: evidence.ID})
	await(t, "wraps abroad", func() bool { _, wraps := lying(t, h.Dir, vaulttest.Foreign); return len(wraps) == 2 })
	withdraw(t, h, r.Patient, reading.ID)
	await(t, "no wraps abroad", func() bool {
		_, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(wraps) == 0 && state(t, h, vaulttest.Foreign).Clearing == 0
	})
	if objects, _ := lying(t, h.Dir, vaulttest.Foreign); len(objects) < 3 {
		t.Errorf("%d objects abroad; storage is covered still", len(objects))
	}
	clean(t, h, vault.LevelDecrypt)
	withdraw(t, h, r.Patient, stored.ID)
	await(t, "nothing abroad", func() bool { objects, _ := lying(t, h.Dir, vaulttest.Foreign); return len(objects) == 0 })
	clean(t, h, vault.LevelList)
}

// What is withdrawn while the region is down goes when it is back, by another gateway.
func TestAWithdrawalOutlivesTheRegionsAndTheGatewaysAbsence(t *testing.T) {
	t.Parallel()
	o := fast()
	o.Dir = t.TempDir()
	h, faults := faultyHouse(t, o) // o itself has no faults
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	c := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: evidence.ID})
	await(t, "objects abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects) >= 2 && len(wraps) == 2 && state(t, h, vaulttest.Foreign).Pending == 0
	})
	for _, bucket := range []string{"/data", "/keys"} {
		faults[vaulttest.Foreign+bucket].Inject(storetest.Fault{Err: storage.ErrAway})
	}
	withdraw(t, h, r.Patient, c.ID)
	put(t, h, ct(p, 2)) // is promised to home alone
	if s := state(t, h, vaulttest.Foreign); s.Clearing == 0 {
		t.Errorf("state = %+v; want something to clear", s)
	}
	h.Stop()
	if objects, wraps := lying(t, o.Dir, vaulttest.Foreign); len(objects) < 2 || len(wraps) != 2 {
		t.Fatalf("%d objects and %d wraps abroad while it was down", len(objects), len(wraps))
	}
	for range 3 { // gateways that come and go between the steps
		h = vaulttest.New(t, o)
		time.Sleep(30 * time.Millisecond)
		h.Stop()
	}
	h = vaulttest.New(t, o)
	report, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Level: vault.LevelList, Region: vaulttest.Foreign}, nil)
	if err != nil {
		t.Fatal(err)
	}
	objects, _ := lying(t, o.Dir, vaulttest.Foreign)
	if len(objects) > 0 && report.Counts[vault.FindingForbidden] == 0 {
		t.Errorf("findings %v; want what lies in a forbidden jurisdiction", report.Counts)
	}
	await(t, "nothing abroad", func() bool {
		objects, wraps := lying(t, o.Dir, vaulttest.Foreign)
		return len(objects)+len(wraps) == 0 && state(t, h, vaulttest.Foreign).Clearing == 0
	})
	clean(t, h, vault.LevelDecrypt)
}

func TestWithdrawalActsOnTheNextRequestOfAnotherGateway(t *testing.T) {
	t.Parallel()
	o := fast()
	o.Dir = t.TempDir()
	one := vaulttest.New(t, o)
	two := vaulttest.New(t, o)
	p := patient()
	r, evidence := put(t, one, ct(p, 1)), written(t, one, p)
	researcher := vaulttest.Actor(record.RoleResearcher)
	find := vault.Query{Level: vault.LevelStudy}
	refused := func(want bool) {
		t.Helper()
		for i, h := range []*vaulttest.House{one, two} {
			_, err := h.Open(t.Context(), researcher, vault.Ref{Document: r.ID})
			page, findErr := h.Find(t.Context(), researcher, find)
			if (err != nil) != want || findErr != nil || (len(page.Matches) == 0) != want {
				t.Errorf("gateway %d: Open = %v, Find = %d, %v; want refused %v", i, err, len(page.Matches), findErr, want)
			}
		}
	}
	refused(true)
	c := consentTo(t, one, r.Patient, vault.NewConsent{Purpose: record.PurposeResearch, Evidence: evidence.ID})
	refused(false)
	withdraw(t, two, r.Patient, c.ID)
	refused(true)

	treat(t, one, r.Patient)
	restricted := consentTo(t, two, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Decision: "restrict"})
	for i, h := range []*vaulttest.House{one, two} {
		if _, err := h.Open(t.Context(), clinician, vault.Ref{Document: r.ID}); !errors.Is(err, record.ErrDenied) || !strings.Contains(err.Error(), "restricted") {
			t.Errorf("gateway %d: Open of a restricted patient = %v; want denied", i, err)
		}
		if _, err := h.Open(t.Context(), quality, vault.Ref{Document: r.ID}); err != nil {
			t.Errorf("gateway %d: quality control of a patient who restricted treatment = %v", i, err)
		}
	}
	withdraw(t, one, r.Patient, restricted.ID)
	open(t, two, clinician, vault.Ref{Document: r.ID})
	list, err := two.ListConsents(t.Context(), dpo, r.Patient)
	if err != nil || len(list) != 2 || list[0].Decision != "withdrawn" || list[0].Said != "permit" || list[1].Said != "restrict" {
		t.Errorf("ListConsents = %+v, %v; want both, withdrawn", list, err)
	}
}

func TestAConsentNeedsItsEvidenceAndItsForm(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	foreign := written(t, h, imagingtest.NewPatient(9))
	past := time.Now().Add(-time.Hour)
	for _, row := range []struct {
		n    vault.NewConsent
		code string
	}{
		{vault.NewConsent{Purpose: record.PurposeResearch}, "evidence-required"},
		{vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG"}, "evidence-required"},
		{vault.NewConsent{Purpose: "*"}, "evidence-required"},
		{vault.NewConsent{Purpose: record.PurposeResearch, Evidence: foreign.ID}, "evidence-unknown"},
		{vault.NewConsent{Purpose: record.PurposeResearch, Evidence: record.NewObjectID()}, "evidence-unknown"},
		{vault.NewConsent{Purpose: record.PurposeResearch, Evidence: "../x"}, "bad-evidence"},
		{vault.NewConsent{Purpose: "HMARKT", Evidence: evidence.ID}, "bad-purpose"},
		{vault.NewConsent{Evidence: evidence.ID}, "bad-purpose"},
		{vault.NewConsent{Purpose: record.PurposeTreat, Decision: "maybe"}, "bad-decision"},
		{vault.NewConsent{Purpose: record.PurposeTreat, Decision: "withdrawn"}, "bad-decision"},
		{vault.NewConsent{Purpose: record.PurposeTreat, Country: "sg", Evidence: evidence.ID}, "bad-country"},
		{vault.NewConsent{Purpose: record.PurposeTreat, Country: vaulttest.Home, Decision: "refuse"}, "bad-country"},
		{vault.NewConsent{Purpose: record.PurposeTreat, Country: vaulttest.Home, Decision: "restrict"}, "bad-country"},
		{vault.NewConsent{Purpose: record.PurposeTreat, Recipient: " x", Evidence: evidence.ID}, "bad-recipient"},
		{vault.NewConsent{Purpose: record.PurposeTreat, Reading: true, Evidence: evidence.ID}, "bad-reading"},
		{vault.NewConsent{Purpose: record.PurposeTreat, Until: &past}, "until-in-the-past"},
	} {
		_, err := h.AddConsent(t.Context(), dpo, r.Patient, row.n)
		if no := new(record.Refusal); !errors.As(err, &no) || no.Code != row.code || no.Kind != record.ErrInvalid {
			t.Errorf("AddConsent(%+v) = %v; want %s", row.n, err, row.code)
		}
	}
	for _, a := range []record.Actor{clinician, radiology, operator, quality, vaulttest.Actor(record.RoleAuditor)} {
		if _, err := h.AddConsent(t.Context(), a, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Decision: "refuse"}); err == nil {
			t.Errorf("%s puts consents on record", a.Role)
		}
	}
	if err := h.WithdrawConsent(t.Context(), dpo, r.Patient, record.NewObjectID()); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("withdrawing what was never said = %v; want not found", err)
	}
}

func TestExportsNeedAnAgreementAndConsentAbroad(t *testing.T) {
	t.Parallel()
	now := time.Now()
	known := residency.Registers{
		Countries: map[string]residency.Country{"SG": {Document: "d", Expires: now.Add(time.Hour)}, "DE": {Document: "d", Expires: now.Add(-time.Hour)}},
		Recipients: map[string]residency.Recipient{
			"Ward":   {Country: vaulttest.Home, Document: "a", Expires: now.Add(time.Hour)},
			"Lapsed": {Country: vaulttest.Home, Document: "a", Expires: now.Add(-time.Hour)},
			"Clinic": {Country: "SG", Document: "a", Expires: now.Add(time.Hour)},
			"Elbe":   {Country: "DE", Document: "a", Expires: now.Add(time.Hour)},
		},
	}
	o := fast()
	o.Registers = &known
	h := vaulttest.New(t, o)
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	give := func(recipient string) string {
		_, err := h.Export(t.Context(), quality, vault.ExportRequest{Patient: r.Patient, Recipient: recipient})
		no := new(record.Refusal)
		switch {
		case err == nil:
			return "given"
		case errors.As(err, &no) && no.Kind == record.ErrDenied:
			return no.Code
		}
		return err.Error()
	}
	rows := map[string][2]string{ // before, after consent for Clinic and Elbe
		"Ward": {"given", "given"}, "Lapsed": {"agreement-expired", "agreement-expired"}, "Stranger": {"recipient-unknown", "recipient-unknown"},
		"Clinic": {"residency", "given"}, "Elbe": {"residency", "adequacy-expired"},
	}
	for recipient, want := range rows {
		if got := give(recipient); got != want[0] {
			t.Errorf("export to %s = %s; want %s", recipient, got, want[0])
		}
	}
	for recipient, country := range map[string]string{"Clinic": "SG", "Elbe": "DE"} {
		consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeQuality, Recipient: recipient, Country: country, Evidence: evidence.ID})
	}
	for recipient, want := range rows {
		if got := give(recipient); got != want[1] {
			t.Errorf("export to %s after consent = %s; want %s", recipient, got, want[1])
		}
	}
	if objects, wraps := lying(t, h.Dir, vaulttest.Foreign); len(objects)+len(wraps) > 0 {
		t.Error("a consent for a recipient brought objects into the foreign region")
	}
	consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeQuality, Recipient: "Ward", Decision: "refuse"})
	if got := give("Ward"); got != "restricted" {
		t.Errorf("export to whom the patient has refused = %s; want restricted", got)
	}
}

// A consent that is over by its date is followed like one that was withdrawn, and one that
// begins later like one that is given then.
func TestPeriodsOfConsentAreFollowed(t *testing.T) {
	t.Parallel()
	at := new(movedClock)
	o := fast()
	o.Now = at.now
	h := vaulttest.New(t, o)
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	from, until := at.now().Add(time.Hour), at.now().Add(2*time.Hour)
	consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, From: &from, Until: &until, Evidence: evidence.ID})
	if objects, wraps := lying(t, h.Dir, vaulttest.Foreign); len(objects)+len(wraps) > 0 {
		t.Error("something lies abroad before the consent begins")
	}
	at.forward(61 * time.Minute)
	await(t, "objects abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects) >= 3 && len(wraps) == 2
	})
	at.forward(time.Hour)
	await(t, "nothing abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects)+len(wraps) == 0
	})
	clean(t, h, vault.LevelList)
}

func TestARebuildKnowsWhatPatientsHaveSaid(t *testing.T) {
	t.Parallel()
	o := fast()
	o.Dir = t.TempDir()
	h := vaulttest.New(t, o)
	p, q := patient(), imagingtest.NewPatient(8)
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	s, other := put(t, h, ct(q, 1)), written(t, h, q)
	kept := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: evidence.ID})
	gone := consentTo(t, h, s.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: other.ID})
	consentTo(t, h, s.Patient, vault.NewConsent{Purpose: record.PurposeResearch, Evidence: other.ID})
	await(t, "objects abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects) >= 6 && len(wraps) == 4 && state(t, h, vaulttest.Foreign).Pending == 0
	})
	before := map[record.PatientToken][]vault.Consent{}
	withdraw(t, h, s.Patient, gone.ID) // and the catalog is lost before or while it is followed
	for _, token := range []record.PatientToken{r.Patient, s.Patient} {
		before[token] = consents(t, h, token)
	}
	settled(t, h)
	loseCatalog(t, h)
	if _, err := vaulttest.Rebuild(t.Context(), o, "cn-north"); err != nil {
		t.Fatalf("Rebuild = %v", err)
	}
	h = vaulttest.New(t, o)
	for token, want := range before {
		if got := consents(t, h, token); len(got) != len(want) || !slices.EqualFunc(got, want, sameConsent) {
			t.Errorf("consents = %+v; want %+v", got, want)
		}
	}
	await(t, "abroad only what consent covers", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return slices.Contains(objects, r.ID.Key("objects")) && !slices.Contains(objects, s.ID.Key("objects")) && len(wraps) == 2 &&
			state(t, h, vaulttest.Foreign).Clearing == 0
	})
	researcher := vaulttest.Actor(record.RoleResearcher)
	open(t, h, researcher, vault.Ref{Document: s.ID})
	withdraw(t, h, r.Patient, kept.ID)
	await(t, "nothing abroad", func() bool {
		objects, wraps := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects)+len(wraps) == 0
	})
}

func consents(t *testing.T, h *vaulttest.House, p record.PatientToken) []vault.Consent {
	t.Helper()
	list, err := h.ListConsents(context.Background(), dpo, p)
	if err != nil {
		t.Fatalf("ListConsents = %v", err)
	}
	return list
}

func sameConsent(a, b vault.Consent) bool {
	return a.ID == b.ID && a.Decision == b.Decision && a.Purpose == b.Purpose && a.Country == b.Country && a.Reading == b.Reading &&
		a.Evidence == b.Evidence && a.By == b.By && a.From.Equal(b.From) && (a.Withdrawn == nil) == (b.Withdrawn == nil)
}

// An upload that has sealed and placed its object when consent changes is not acknowledged
// on what was said before.
func TestAnUploadUnderWayWhenConsentGoesIsNotPromisedAbroad(t *testing.T) {
	t.Parallel()
	var during atomic.Pointer[func()]
	o := fast()
	o.Store = func(region, bucket string, s storage.Store) storage.Store {
		if region != "cn-north" || bucket != "data" {
			return s
		}
		return interrupted{s, func() {
			if now := during.Swap(nil); now != nil {
				(*now)()
			}
		}}
	}
	h := vaulttest.New(t, o)
	p := patient()
	r, evidence := put(t, h, ct(p, 1)), written(t, h, p)
	c := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Evidence: evidence.ID})
	await(t, "objects abroad", func() bool {
		return state(t, h, vaulttest.Foreign).Objects >= 3 && state(t, h, vaulttest.Foreign).Pending == 0
	})
	gone := func() { withdraw(t, h, r.Patient, c.ID) }
	during.Store(&gone)
	_, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(ct(p, 2))})
	if !errors.Is(err, record.ErrUnavailable) {
		t.Errorf("Put while consent is withdrawn = %v; want to be sent again", err)
	}
	if again := put(t, h, ct(p, 2)); again.Present {
		t.Error("it was stored all the same")
	}
	await(t, "nothing abroad", func() bool {
		objects, _ := lying(t, h.Dir, vaulttest.Foreign)
		return len(objects) == 0
	})
	clean(t, h, vault.LevelList)
}

// interrupted is a store during whose Put of a document something happens.
type interrupted struct {
	storage.Store
	during func()
}

func (s interrupted) Put(ctx context.Context, key string, body storage.Body) error {
	if strings.HasPrefix(key, "objects/") {
		s.during()
	}
	return s.Store.Put(ctx, key, body)
}
