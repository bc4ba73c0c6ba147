package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// proven is an actor with a credential, as authentication makes one.
func proven(role record.Role, credentials string, issued time.Time) record.Actor {
	a := vaulttest.Actor(role)
	a.Credentials, a.Issued = credentials, issued.Unix()
	return a
}

func TestARevocationActsInEveryGatewayOnTheNextRequest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := vaulttest.New(t, vaulttest.Options{Dir: dir})
	two := vaulttest.New(t, vaulttest.Options{Dir: dir}) // a second gateway of the same vault
	dpo := vaulttest.Actor(record.RoleDPO)
	began := time.Now().Add(-time.Hour)
	operator := proven(record.RoleOperator, "jti:a x509:f serial:0a", began)
	may := func(a record.Actor) [2]error {
		var errs [2]error
		for i, g := range []*vault.Vault{one.Vault, two.Vault} {
			_, err := g.Regions(t.Context(), a)
			if admitted := g.Admit(t.Context(), a); (admitted == nil) != (err == nil) {
				t.Errorf("gateway %d: Admit = %v, and the guard %v", i, admitted, err)
			}
			errs[i] = err
		}
		return errs
	}
	if errs := may(operator); errs != [2]error{} {
		t.Fatalf("before: %v", errs)
	}
	now := time.Now()
	for name, row := range map[string]struct {
		revoke vault.NewRevocation
		other  record.Actor // who is not meant
	}{
		"person":               {vault.NewRevocation{Subject: operator.ID, Reason: "left"}, proven(record.RoleAdmin, "jti:a", began)},
		"token":                {vault.NewRevocation{Credential: "jti:a", Reason: "lost"}, proven(record.RoleOperator, "jti:b", began)},
		"certificate":          {vault.NewRevocation{Credential: "x509:f", Reason: "lost"}, proven(record.RoleOperator, "jti:a", began)},
		"serial":               {vault.NewRevocation{Credential: "serial:0a", Reason: "lost"}, proven(record.RoleOperator, "jti:a x509:f serial:0b", began)},
		"person, older log-in": {vault.NewRevocation{Subject: operator.ID, IssuedBefore: &now, Reason: "stolen"}, proven(record.RoleOperator, "jti:c", now.Add(2*time.Second))},
	} {
		r, err := one.Revoke(t.Context(), dpo, row.revoke)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "person" {
			row.other.ID = "another"
		}
		for i, err := range may(operator) {
			if !errors.Is(err, record.ErrUnauthenticated) {
				t.Errorf("%s revoked, gateway %d: %v; want no identity", name, i, err)
			}
		}
		if errs := may(row.other); errs != [2]error{} {
			t.Errorf("%s revoked, another asks: %v", name, errs)
		}
		list, err := two.Revocations(t.Context(), dpo)
		if err != nil || len(list) == 0 || !slices.ContainsFunc(list, func(l vault.Revocation) bool { return l.ID == r.ID && l.Lifted == nil && l.By == dpo.ID }) {
			t.Errorf("%s: list %+v, %v", name, list, err)
		}
		if err := two.Reinstate(t.Context(), dpo, r.ID); err != nil {
			t.Fatal(err)
		}
		if errs := may(operator); errs != [2]error{} {
			t.Errorf("%s, lifted: %v", name, errs)
		}
		if err := two.Reinstate(t.Context(), dpo, r.ID); !errors.Is(err, record.ErrNotFound) {
			t.Errorf("%s, lifted twice: %v; want not found", name, err)
		}
	}
}

// A revoked reader is told nothing of a document, and reads nothing.
func TestARevokedReaderReadsNothing(t *testing.T) {
	t.Parallel()
	v := vaulttest.New(t, vaulttest.Options{AutoCare: "clinician-1"})
	r, err := v.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), pdfUpload("P-1"))
	if err != nil {
		t.Fatal(err)
	}
	reader := proven(record.RoleClinician, "jti:r", time.Now())
	if _, err := v.Open(t.Context(), reader, vault.Ref{Document: r.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Revoke(t.Context(), vaulttest.Actor(record.RoleAdmin), vault.NewRevocation{Credential: "jti:r", Reason: "lost"}); err != nil {
		t.Fatal(err)
	}
	// The read window of the first read is open; it must not let this one through.
	if _, err := v.Open(t.Context(), reader, vault.Ref{Document: r.ID}); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("read after revocation: %v; want not found", err)
	}
}

func TestRevocationsAreChecked(t *testing.T) {
	t.Parallel()
	v := vaulttest.New(t, vaulttest.Options{})
	later, long := time.Now().Add(time.Hour), strings.Repeat("x", 8193)
	for name, n := range map[string]vault.NewRevocation{
		"nobody":           {Reason: "lost"},
		"both":             {Subject: "a", Credential: "jti:b", Reason: "lost"},
		"the vault":        {Subject: "medvault", Reason: "lost"},
		"long":             {Subject: long, Reason: "lost"},
		"control":          {Subject: "a\nb", Reason: "lost"},
		"no kind":          {Credential: "b", Reason: "lost"},
		"two credentials":  {Credential: "jti:a jti:b", Reason: "lost"},
		"future":           {Subject: "a", IssuedBefore: &later, Reason: "lost"},
		"no reason":        {Subject: "a"},
		"a patient's name": {Subject: "a", Reason: "Took pictures of Zhang Wei"},
	} {
		if _, err := v.Revoke(t.Context(), vaulttest.Actor(record.RoleDPO), n); !errors.Is(err, record.ErrInvalid) {
			t.Errorf("%s: %v; want refused", name, err)
		}
	}
	for _, role := range record.Roles() {
		may := role == record.RoleDPO || role == record.RoleAdmin
		_, err := v.Revoke(t.Context(), vaulttest.Actor(role), vault.NewRevocation{Subject: "somebody", Reason: "left"})
		if may != (err == nil) || !may && !errors.Is(err, record.ErrDenied) {
			t.Errorf("%s revokes: %v", role, err)
		}
	}
	if err := v.Admit(t.Context(), record.Actor{ID: "medvault", Role: record.RoleOperator}); !errors.Is(err, record.ErrDenied) {
		t.Errorf("somebody who calls himself the vault: %v; want denied", err)
	}
}

func newToken() vault.NewAPIToken {
	return vault.NewAPIToken{Subject: "service:ct-1", Role: record.RoleRadiology,
		Scopes: []string{"system/ImagingStudy.c"}, Expires: time.Now().Add(time.Hour), Label: "CT 1"}
}

func TestAPITokens(t *testing.T) {
	t.Parallel()
	ctx, clock := t.Context(), newMovingClock()
	v := vaulttest.New(t, vaulttest.Options{Now: clock.now})
	admin := vaulttest.Actor(record.RoleAdmin)
	n := newToken()
	n.Expires = clock.now().Add(365 * 24 * time.Hour)
	made, secret, err := v.CreateAPIToken(ctx, admin, n)
	if err != nil || !strings.HasPrefix(secret, vault.APITokenPrefix) || len(secret) != len(vault.APITokenPrefix)+43 {
		t.Fatalf("CreateAPIToken = %+v, %d characters, %v", made, len(secret), err)
	}
	a, err := v.Machine(ctx, secret)
	want := record.Actor{ID: "service:ct-1", Role: record.RoleRadiology, Institution: "test-hospital", Issuer: "TEST", Country: vaulttest.Home,
		Scopes: "system/ImagingStudy.c", Credentials: "token:" + string(made.ID), Issued: made.Made.Unix()}
	if err != nil || a != want {
		t.Errorf("Machine = %+v, %v; want %+v", a, err, want)
	}
	for _, wrong := range []string{"", "mvt_", secret[:len(secret)-1], secret + "A", strings.ToUpper(secret)} {
		if a, err := v.Machine(ctx, wrong); !errors.Is(err, record.ErrUnauthenticated) || a != (record.Actor{}) {
			t.Errorf("another token: %+v, %v; want no identity", a, err)
		}
	}
	list, err := v.APITokens(ctx, vaulttest.Actor(record.RoleAuditor))
	if err != nil || len(list) != 1 || list[0].LastUsed == nil || !list[0].LastUsed.Equal(clock.now().Truncate(time.Millisecond)) {
		t.Errorf("APITokens = %+v, %v; want one, used now", list, err)
	}
	clock.forward(364 * 24 * time.Hour)
	if _, err := v.Machine(ctx, secret); err != nil {
		t.Errorf("on its last day: %v", err)
	}
	clock.forward(24 * time.Hour)
	if _, err := v.Machine(ctx, secret); !errors.Is(err, record.ErrUnauthenticated) {
		t.Errorf("after its end: %v; want no identity", err)
	}
	n.Expires = clock.now().Add(time.Hour)
	made, secret, err = v.CreateAPIToken(ctx, admin, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.RevokeAPIToken(ctx, vaulttest.Actor(record.RoleDPO), made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Machine(ctx, secret); !errors.Is(err, record.ErrUnauthenticated) {
		t.Errorf("revoked: %v; want no identity", err)
	}
	if err := v.RevokeAPIToken(ctx, admin, made.ID); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("revoked twice: %v; want not found", err)
	}
	holdsNowhere(t, v.Dir, secret)
}

func TestAPITokensAreChecked(t *testing.T) {
	t.Parallel()
	v := vaulttest.New(t, vaulttest.Options{})
	for name, change := range map[string]func(*vault.NewAPIToken){
		"a person":      func(n *vault.NewAPIToken) { n.Subject = "dr-li" },
		"nobody":        func(n *vault.NewAPIToken) { n.Subject = "service:" },
		"two words":     func(n *vault.NewAPIToken) { n.Subject = "service:a b" },
		"clinician":     func(n *vault.NewAPIToken) { n.Role = record.RoleClinician },
		"admin":         func(n *vault.NewAPIToken) { n.Role = record.RoleAdmin },
		"no role":       func(n *vault.NewAPIToken) { n.Role = "" },
		"label":         func(n *vault.NewAPIToken) { n.Label = "a\nb" },
		"two years":     func(n *vault.NewAPIToken) { n.Expires = time.Now().Add(2 * 365 * 24 * time.Hour) },
		"no end":        func(n *vault.NewAPIToken) { n.Expires = time.Time{} },
		"ended":         func(n *vault.NewAPIToken) { n.Expires = time.Now() },
		"no scope":      func(n *vault.NewAPIToken) { n.Scopes = nil },
		"no such scope": func(n *vault.NewAPIToken) { n.Scopes = []string{"openid"} },
		"conditions":    func(n *vault.NewAPIToken) { n.Scopes = []string{"system/ImagingStudy.c?a=b"} },
		"a patient's":   func(n *vault.NewAPIToken) { n.Scopes = []string{"patient/*.r"} },
	} {
		n := newToken()
		change(&n)
		if _, secret, err := v.CreateAPIToken(t.Context(), vaulttest.Actor(record.RoleAdmin), n); !errors.Is(err, record.ErrInvalid) || secret != "" {
			t.Errorf("%s: %v; want refused", name, err)
		}
	}
	for _, role := range record.Roles() {
		_, _, err := v.CreateAPIToken(t.Context(), vaulttest.Actor(role), newToken())
		if (role == record.RoleAdmin) != (err == nil) {
			t.Errorf("%s makes a token: %v", role, err)
		}
	}
}

// What the token of a machine is not for, its role does not help it to.
func TestAMachineIsBoundByItsScopes(t *testing.T) {
	t.Parallel()
	v := vaulttest.New(t, vaulttest.Options{})
	machine := func(scope string) record.Actor {
		n := newToken()
		n.Scopes = []string{scope}
		_, secret, err := v.CreateAPIToken(t.Context(), vaulttest.Actor(record.RoleAdmin), n)
		if err != nil {
			t.Fatal(err)
		}
		a, err := v.Machine(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		a.Purpose = record.DefaultPurpose(a.Role)
		return a
	}
	store := func(ctx context.Context, a record.Actor, id string) error {
		_, err := v.Put(ctx, a, pdfUpload(id))
		return err
	}
	if err := store(t.Context(), machine("system/DocumentReference.c"), "P-1"); err != nil {
		t.Errorf("store a report with the scope for it: %v", err)
	}
	var why *record.Refusal
	if err := store(t.Context(), machine("system/DocumentReference.rs"), "P-2"); !errors.As(err, &why) || why.Code != "scope-not-granted" {
		t.Errorf("store a report with a scope to read: %v; want scope-not-granted", err)
	}
}

func pdfUpload(patient string) vault.Upload {
	return vault.Upload{Body: bytes.NewReader(imagingtest.SampleReport()), PatientID: patient}
}

// movingClock stands still between two calls of forward.
type movingClock struct {
	mu sync.Mutex
	at time.Time
}

func newMovingClock() *movingClock { return &movingClock{at: time.Now().UTC()} }

func (c *movingClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *movingClock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// holdsNowhere looks for a secret, and for what remains of it without its prefix, in
// every file under dir.
func holdsNowhere(t *testing.T, dir, secret string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(strings.TrimPrefix(secret, vault.APITokenPrefix))) {
			t.Errorf("%s holds the token", path)
		}
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("looked into %d files: %v", files, err)
	}
}

// The catalog that is lost with its revocations must not let anybody in again.
func TestARebuiltCatalogStillRefusesWhoWasRevoked(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	h := vaulttest.New(t, vaulttest.Options{Dir: root})
	dpo := vaulttest.Actor(record.RoleDPO)
	put(t, h, imagingtest.CT(imagingtest.NewPatient(200), imagingtest.Options{Study: 1, Series: 1, Instance: 1}))
	lifted, err := h.Revoke(t.Context(), dpo, vault.NewRevocation{Subject: "dr-back", Reason: "away"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Reinstate(t.Context(), dpo, lifted.ID); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Second)
	for _, n := range []vault.NewRevocation{{Subject: "dr-gone", Reason: "left"}, {Credential: "jti:lost", IssuedBefore: &before, Reason: "lost"}} {
		if _, err := h.Revoke(t.Context(), dpo, n); err != nil {
			t.Fatal(err)
		}
	}
	loseCatalog(t, h)
	if _, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: root}, "cn-east"); err != nil {
		t.Fatal(err)
	}
	h = vaulttest.New(t, vaulttest.Options{Dir: root})
	for _, row := range []struct {
		who     record.Actor
		refused bool
	}{
		{record.Actor{ID: "dr-gone"}, true},
		{record.Actor{ID: "dr-back"}, false},
		{record.Actor{ID: "x", Credentials: "jti:lost", Issued: before.Unix()}, true},
		{record.Actor{ID: "x", Credentials: "jti:lost", Issued: before.Unix() + 1}, false},
	} {
		if err := h.Admit(t.Context(), row.who); errors.Is(err, record.ErrUnauthenticated) != row.refused {
			t.Errorf("%+v: %v; refused should be %v", row.who, err, row.refused)
		}
	}
}

// What is not there and what may not be known leave the same in the log: one refusal.
func TestWhatIsNotThereLeavesATrace(t *testing.T) {
	t.Parallel()
	v := vaulttest.New(t, vaulttest.Options{})
	r, err := v.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), pdfUpload("P-1"))
	if err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		report, err := v.AuditVerify(t.Context(), vaulttest.Actor(record.RoleAuditor))
		if err != nil || !report.Intact {
			t.Fatalf("AuditVerify = %+v, %v", report, err)
		}
		return report.Size // the leaf of this very act included
	}
	stranger := vaulttest.Actor(record.RoleOperator)
	for name, ask := range map[string]func(record.ObjectID) error{
		"open": func(id record.ObjectID) error {
			_, err := v.Open(t.Context(), stranger, vault.Ref{Document: id})
			return err
		},
		"attest": func(id record.ObjectID) error { _, err := v.Attest(t.Context(), stranger, id); return err },
		"review": func(id record.ObjectID) error { _, err := v.Review(t.Context(), stranger, id); return err },
	} {
		for what, id := range map[string]record.ObjectID{"there": r.ID, "not there": record.NewObjectID()} {
			before := size()
			if err := ask(id); !errors.Is(err, record.ErrNotFound) {
				t.Errorf("%s what is %s: %v; want not found", name, what, err)
			}
			if got := size() - before; got != 2 {
				t.Errorf("%s what is %s: %d leaves; want the refusal and the check", name, what, got)
			}
		}
	}
}
