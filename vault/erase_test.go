package vault_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/keys"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

var (
	eraseAdmin  = vaulttest.Actor(record.RoleAdmin)
	patientsOwn = vault.NewErasure{Early: vault.ErasePatientRequest, Evidence: "case-1"}
)

// erasePatient has two persons erase a patient on their own request.
func erasePatient(t *testing.T, h *vaulttest.House, n vault.NewErasure) vault.Erasure {
	t.Helper()
	e, err := h.ProposeErasure(t.Context(), dpo, n)
	if err != nil {
		t.Fatalf("propose: %v", err)
	}
	if e, err = h.ApproveErasure(t.Context(), eraseAdmin, e.ID); err != nil {
		t.Fatalf("approve: %v", err)
	}
	return e
}

// certified waits for the certificate. The clock is moved on, so that open reads have
// ended.
func certified(t *testing.T, h *vaulttest.House, c *clock, id record.ObjectID) vault.Certificate {
	t.Helper()
	c.forward(10 * time.Minute)
	eventually(t, "the erasure is certified", func() bool {
		c.forward(time.Second) // so that what waits is due
		list, err := h.Erasures(t.Context(), dpo, id, "")
		return err == nil && list[0].State == "done"
	})
	cert, err := h.ErasureCertificate(t.Context(), dpo, id)
	if err != nil {
		t.Fatalf("certificate: %v", err)
	}
	return cert
}

// ctOf stores a small CT of the nth test patient.
func ctOf(t *testing.T, h *vaulttest.House, n uint64, study int) (vault.Receipt, []byte) {
	t.Helper()
	doc := imagingtest.CT(imagingtest.NewPatient(n), imagingtest.Options{Study: study, Rows: 16, Columns: 16})
	return put(t, h, doc), doc
}

// sameShard stores documents of patients until two have their keys in one shard, and
// returns these.
func sameShard(t *testing.T, h *vaulttest.House, from uint64) (one, other vault.Receipt, kept []byte) {
	t.Helper()
	seen := make(map[string]vault.Receipt)
	for n := from; ; n++ {
		r, doc := ctOf(t, h, n, 1)
		shard := keys.ShardOf(keys.Binding{Kind: keys.Content, Token: string(r.Patient)}, 8)
		if before, ok := seen[shard]; ok {
			return before, r, doc
		}
		seen[shard] = r
	}
}

// copied waits until every region has its copies.
func copied(t *testing.T, h *vaulttest.House) {
	t.Helper()
	eventually(t, "every region has its copies", func() bool {
		n, err := h.Catalog.Pending(t.Context(), "copy")
		return err == nil && n == 0
	})
}

func TestErasedPatientIsGoneEverywhere(t *testing.T) {
	t.Parallel()
	now := newClock()
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Poll: 5 * time.Millisecond})
	gone, kept, doc := sameShard(t, h, 9100)
	copied(t, h)
	if _, err := h.Open(t.Context(), quality, vault.Ref{Patient: gone.Patient}); err != nil {
		t.Fatalf("before: %v", err)
	}

	_, err := h.ProposeErasure(t.Context(), dpo, vault.NewErasure{Patient: gone.Patient})
	if refused := new(record.Refusal); !errors.As(err, &refused) || refused.Kind != record.ErrConflict || refused.Code != "retention" || !strings.Contains(refused.Advice, "2056-11-23") {
		t.Errorf("within retention: %v; want a conflict that names 2056-11-23", err)
	}
	n := patientsOwn
	n.Patient = gone.Patient
	preview, err := h.PreviewErasure(t.Context(), dpo, n)
	if err != nil || preview.Documents != 1 || preview.Refused != "" {
		t.Errorf("preview: %+v, %v; want one document, not refused", preview, err)
	}
	e, err := h.ProposeErasure(t.Context(), dpo, n)
	if err != nil {
		t.Fatalf("propose: %v", err)
	}
	if _, err := h.ApproveErasure(t.Context(), dpo, e.ID); !isRefusal(err, record.ErrDenied, "second-person") {
		t.Errorf("the same person approves: %v; want second-person", err)
	}
	if _, err := h.Open(t.Context(), quality, vault.Ref{Patient: gone.Patient}); err != nil {
		t.Errorf("proposed, not approved: %v; want it read", err)
	}
	if _, err := h.ApproveErasure(t.Context(), eraseAdmin, e.ID); err != nil {
		t.Fatalf("approve: %v", err)
	}
	for _, ref := range []vault.Ref{{Patient: gone.Patient}, {Document: gone.ID}, {Study: gone.Study}} {
		who := quality
		if ref.Study != "" { // an original UID: only for those who may see the original
			continue
		}
		if _, err := h.Open(t.Context(), who, ref); !errors.Is(err, record.ErrErased) {
			t.Errorf("Open(%+v) = %v; want erased", ref, err)
		}
	}
	if _, err := h.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), vault.Upload{Body: bytes.NewReader(imagingtest.CT(imagingtest.NewPatient(9100), imagingtest.Options{Study: 2, Rows: 16, Columns: 16}))}); err != nil && !errors.Is(err, record.ErrErased) && !errors.Is(err, record.ErrNotFound) {
		t.Errorf("Put = %v; want erased or absent", err)
	}

	pending, err := h.ErasureCertificate(t.Context(), dpo, e.ID)
	if err != nil || pending.State != vault.CertificatePending {
		t.Errorf("certificate at once: %q, %v; want it pending: somebody may still read", pending.State, err)
	}
	cert := certified(t, h, now, e.ID)
	if cert.State != vault.CertificateComplete || len(cert.Pending()) > 0 {
		t.Errorf("certificate: %q, %v; want it complete", cert.State, cert.Pending())
	}
	for _, r := range cert.Regions {
		want := "destroyed"
		if r.Region == vaulttest.Foreign {
			want = "none"
		}
		if r.Status != "done" || r.Keys != want || r.Left+r.Locked != 0 {
			t.Errorf("%s: %+v; want it done, keys %s", r.Region, r, want)
		}
	}
	checkCertificate(t, cert)
	for _, region := range vaulttest.Regions() {
		if left := filesNamed(t, filepath.Join(h.Dir, "regions", region), string(gone.Patient)+".1"); region == vaulttest.Foreign && len(left) > 0 ||
			region != vaulttest.Foreign && (len(left) != 1 || !strings.Contains(left[0], "tombstones")) {
			t.Errorf("%s holds %v; want the tombstone alone, at home", region, left)
		}
		if left := filesNamed(t, filepath.Join(h.Dir, "regions", region), string(gone.ID)); len(left) > 0 {
			t.Errorf("%s holds %v; want no object", region, left)
		}
	}
	opened, err := h.Open(t.Context(), quality, vault.Ref{Patient: kept.Patient})
	if err != nil || len(opened.Documents) != 1 {
		t.Fatalf("the other patient of the shard: %v", err)
	}
	readable(t, h, kept.Patient, doc)
}

// readable fails unless the patient's document comes back byte for byte.
func readable(t *testing.T, h *vaulttest.House, p record.PatientToken, want []byte) {
	t.Helper()
	clinician := vaulttest.Actor(record.RoleClinician)
	if _, err := h.StateCare(t.Context(), eraseAdmin, p, vault.NewCare{Clinician: clinician.ID}); err != nil {
		t.Fatalf("care: %v", err)
	}
	opened, err := h.Open(t.Context(), clinician, vault.Ref{Patient: p})
	if err != nil || len(opened.Documents) != 1 {
		t.Fatalf("open %s: %v", p, err)
	}
	if got := read(t, opened.Documents[0]); !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back; want the %d that came in", len(got), len(want))
	}
}

func isRefusal(err error, kind error, code string) bool {
	refused := new(record.Refusal)
	return errors.As(err, &refused) && refused.Kind == kind && refused.Code == code
}

// filesNamed lists the files below a folder whose path has a text in it.
func filesNamed(t *testing.T, root, text string) (found []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, text) {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

// checkCertificate verifies a certificate as somebody without the vault does, and fails
// unless every change of it is found.
func checkCertificate(t *testing.T, c vault.Certificate) {
	t.Helper()
	file, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.CheckCertificate(file, c.LogKey); err != nil {
		t.Fatalf("certificate: %v\n%s", err, file)
	}
	for name, change := range map[string]func(*vault.Certificate){
		"another patient":    func(c *vault.Certificate) { c.Patient = record.PatientToken("p" + strings.Repeat("a", 26)) },
		"another generation": func(c *vault.Certificate) { c.Generation++ },
		"another region":     func(c *vault.Certificate) { c.Regions[0].Status = "done; really" },
		"a region less":      func(c *vault.Certificate) { c.Regions = c.Regions[1:] },
		"no leaf":            func(c *vault.Certificate) { c.Leaves = nil },
		"a leaf less":        func(c *vault.Certificate) { c.Leaves = c.Leaves[:len(c.Leaves)-1] },
		"another time":       func(c *vault.Certificate) { c.Approved = c.Approved.Add(time.Second) },
		"another person":     func(c *vault.Certificate) { c.ApprovedBy = "mallory" },
		"another checkpoint": func(c *vault.Certificate) { c.Checkpoint = strings.Replace(c.Checkpoint, "\n", "\n1", 1) },
	} {
		changed := c
		changed.Regions = append([]vault.ErasedRegion{}, c.Regions...)
		change(&changed)
		file, err := changed.File()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := vault.CheckCertificate(file, c.LogKey); err == nil {
			t.Errorf("a certificate with %s verifies", name)
		}
	}
	if _, err := vault.CheckCertificate(bytes.Replace(file, []byte("{"), []byte(`{"state": "complete",`), 1), c.LogKey); err == nil {
		t.Error("a certificate with a field twice verifies")
	}
}
