package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/imagingtest"
	"medvault/keys"
	"medvault/storage"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// releaseAndDie stores a withheld document, waits until it lies in three regions, and
// is killed at the n-th of its dealings with the outside from the release on, the
// removal of the old object included.
func releaseAndDie(dir string, point int64) error {
	k := &killer{at: -1}
	h, err := vaulttest.Open(context.Background(), vaulttest.Options{
		Dir:     dir,
		Linger:  1, // at once, so that the removal is among the points
		Store:   func(_, _ string, s storage.Store) storage.Store { return deadlyStore{s, k} },
		Wrapper: func(_ string, w keys.Wrapper) keys.Wrapper { return deadlyWrapper{w, k} },
	})
	if err != nil {
		return err
	}
	r, err := h.Put(context.Background(), radiology, vault.Upload{Body: bytes.NewReader(burned(patient(), 1))})
	if err != nil {
		return err
	}
	fmt.Println("stored", r.ID)
	k.arm(point)
	now, err := h.Release(context.Background(), reviewer, r.ID, vault.NewRelease{Masks: []vault.Mask{{X: 20, Y: 20, Width: 9, Height: 9}}, Reason: "bar masked"})
	if err != nil {
		return err
	}
	fmt.Println("released", now)
	for range 100 { // until the old object is gone
		left := 0
		for _, region := range h.Set.Regions() {
			if _, err := region.Data.Head(context.Background(), r.ID.Key("objects")); err == nil {
				left++
			}
		}
		if left == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("lived through it")
}

func TestKillAtAnyPointOfARelease(t *testing.T) {
	// The points are the reading of the old object, the puts of the new one and their
	// reading back, and what of the removal is done before the child ends.
	for point := int64(1); point <= 18; point += apart {
		t.Run(strconv.FormatInt(point, 10), func(t *testing.T) {
			t.Parallel()
			killReleaseAt(t, t.TempDir(), point)
		})
	}
}

func killReleaseAt(t *testing.T, dir string, point int64) {
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+dir, crashPoint+"="+strconv.FormatInt(point, 10), crashRelease+"=yes")
	out, err := child.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("child = %v; want it killed", err)
	}
	killed := exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	if !killed && !bytes.Contains(exit.Stderr, []byte("lived through it")) {
		t.Fatalf("child = %v: %s", err, exit.Stderr)
	}
	if !killed && point <= 8 {
		t.Errorf("the child lived through point %d: a release has fewer than 8", point)
	}
	said := make(map[string]record.ObjectID)
	for line := range strings.Lines(string(out)) {
		if what, id, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			said[what] = record.ObjectID(id)
		}
	}
	old := said["stored"]
	if old == "" {
		t.Fatal("the document was not stored")
	}

	// Later: the lease of a job that was being done is over.
	h := vaulttest.New(t, vaulttest.Options{Dir: dir, Now: func() time.Time { return time.Now().Add(10 * time.Minute) }})
	page, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{})
	if err != nil || len(page.Reviews) > 1 {
		t.Fatalf("Reviews = %+v, %v", page, err)
	}
	done := len(page.Reviews) == 0
	if said["released"] != "" && !done {
		t.Error("an acknowledged release was undone")
	}
	if !done {
		release(t, h, old, vault.Mask{X: 20, Y: 20, Width: 9, Height: 9})
	}
	doc := open(t, h, quality, vault.Ref{Document: old})[0]
	read(t, doc) // whole: its hash is checked
	treat(t, h, doc.Patient)
	if got := read(t, open(t, h, clinician, vault.Ref{Document: old})[0]); !bytes.Equal(got, burned(patient(), 1)) {
		t.Error("the original did not come back")
	}
	eventually(t, "the old object is gone everywhere", func() bool { return len(holders(t, h, old)) == 0 })
	eventually(t, "one object a region", func() bool {
		return objects(t, h, "cn-north") == 1 && objects(t, h, "cn-east") == 1 && objects(t, h, "cn-south") == 1
	})
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
	if n := len(leaves(t, h, record.ActionReviewRelease)); n != 1 {
		t.Errorf("%d leaves of the release; want 1", n)
	}
	if report, err := h.AuditVerify(t.Context(), auditor); err != nil || !report.Intact {
		t.Errorf("AuditVerify = %+v, %v; want intact", report, err)
	}
}

func TestAReadThatBeganGoesOnWhileItsObjectIsSuperseded(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := imagingtest.CT(patient(), imagingtest.Options{Study: 6, BurnedIn: "YES", Rows: 512, Columns: 512})
	r := put(t, h, doc)
	treat(t, h, r.Patient)
	reading, err := open(t, h, clinician, vault.Ref{Document: r.ID})[0].Reader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	got := make([]byte, 1000)
	if _, err := reading.Read(got[:1]); err != nil {
		t.Fatal(err)
	}
	got = got[:1]
	release(t, h, r.ID, vault.Mask{Width: 100, Height: 100})
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(reading); err != nil {
		t.Fatalf("the read that had begun = %v", err)
	}
	if !bytes.Equal(append(got, rest.Bytes()...), doc) {
		t.Error("the read that had begun brought other bytes")
	}
}

func TestAHandleFollowsItsDocument(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := burned(patient(), 1)
	r := put(t, h, doc)
	treat(t, h, r.Patient)
	held := open(t, h, clinician, vault.Ref{Document: r.ID})[0]
	before := frame(t, held)
	now := release(t, h, r.ID, vault.Mask{Width: 60, Height: 60})
	eventually(t, "the old object is gone everywhere", func() bool { return len(holders(t, h, r.ID)) == 0 })
	if got := read(t, held); !bytes.Equal(got, doc) || held.ID != now {
		t.Error("the handle of the old object does not lead to the original any more")
	}
	if got := frame(t, held); !bytes.Equal(got, before) {
		t.Error("the handle of the old object shows another frame")
	}
}

// otherRules are the scrubber of another profile than the default.
func otherRules(t *testing.T) dicom.Scrubber {
	t.Helper()
	set, ok := profile.Named()["teaching"]
	if !ok {
		t.Fatal("there is no profile teaching")
	}
	return dicom.With(dicom.Config{Profile: "teaching", Options: set})
}

// renamed works by the same rules under another digest.
type renamed struct{ imaging.Scrubber }

func (r renamed) Rules() imaging.Rules {
	rules := r.Scrubber.Rules()
	rules.Digest = strings.Repeat("0", 64)
	return rules
}

func TestARederivationLeavesWhatComesOutTheSame(t *testing.T) {
	o := vaulttest.Options{Dir: t.TempDir()}
	h := vaulttest.New(t, o)
	r, held := put(t, h, ct(patient(), 1)), put(t, h, burned(patient(), 2))
	h.Stop()
	o.DICOM = renamed{dicom.New()}
	h = vaulttest.New(t, o)
	run, err := h.ProposeRederivation(t.Context(), dpo, "a new table")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.ApproveRederivation(t.Context(), vaulttest.Actor(record.RoleAdmin), record.ObjectID(run.ID)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is done", func() bool {
		list, err := h.Rederivations(t.Context(), dpo, record.ObjectID(run.ID))
		if err != nil {
			t.Fatal(err)
		}
		run = list[0]
		return run.State == "done"
	})
	if run.Listed != 2 || run.Unchanged != 2 || run.Superseded != 0 {
		t.Errorf("done: %+v; want two unchanged", run)
	}
	if got := open(t, h, quality, vault.Ref{Document: r.ID})[0]; got.ID != r.ID {
		t.Errorf("%s stands in the place of what came out the same", got.ID)
	}
	if page, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{}); err != nil || len(page.Reviews) != 1 || page.Reviews[0].Object != held.ID {
		t.Errorf("Reviews = %+v, %v", page, err)
	}
	if plan, err := h.PlanRederivation(t.Context(), dpo, func(vault.Change) error { return nil }); err != nil || plan.Checked != 0 {
		t.Errorf("plan afterwards = %+v, %v; want nothing", plan, err)
	}
	if n := len(leaves(t, h, record.ActionSupersede)); n != 0 {
		t.Errorf("%d leaves of a supersession", n)
	}
}

func TestARefusalAndAReleaseAtOnce(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, burned(patient(), 1))
	var refuse, rel error
	var wg sync.WaitGroup
	wg.Go(func() { refuse = h.Refuse(t.Context(), reviewer, r.ID, "a face") })
	wg.Go(func() {
		_, rel = h.Release(t.Context(), reviewer, r.ID, vault.NewRelease{Masks: []vault.Mask{{Width: 9, Height: 9}}, Reason: "masked"})
	})
	wg.Wait()
	for what, err := range map[string]error{"refuse": refuse, "release": rel} {
		if err != nil {
			refusedAs(t, what, err, record.ErrConflict, "")
		}
	}
	if refuse != nil && rel != nil {
		t.Errorf("both lost: %v, %v", refuse, rel)
	}
	_, err := h.Open(t.Context(), quality, vault.Ref{Document: r.ID})
	if shown := err == nil; shown != (rel == nil) {
		t.Errorf("shown %v although the release = %v", shown, rel)
	}
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("verify = %+v; want none", f)
	}
}

// TestADamagedDocumentDoesNotEndThePlan: one that cannot be opened is told as such, and
// the others all the same.
func TestADamagedDocumentDoesNotEndThePlan(t *testing.T) {
	o := vaulttest.Options{Dir: t.TempDir()}
	h := vaulttest.New(t, o)
	bad := put(t, h, ct(patient(), 1))
	eventually(t, "every region has the object", func() bool { return len(holders(t, h, bad.ID)) == 3 })
	for _, region := range vaulttest.Regions()[:3] {
		for _, path := range files(t, h.Dir+"/regions/"+region+"/objects") {
			damage(t, path, func(b []byte) []byte { b[len(b)/4] ^= 1; return b })
		}
	}
	put(t, h, ct(patient(), 2))
	h.Stop()
	o.DICOM = otherRules(t)
	h = vaulttest.New(t, o)
	damaged := 0
	plan, err := h.PlanRederivation(t.Context(), dpo, func(c vault.Change) error {
		if c.Refused == "damaged" {
			damaged++
		}
		return nil
	})
	if err != nil || plan.Checked != 2 || plan.Refused != 1 || damaged != 1 {
		t.Errorf("plan = %+v, %v, %d damaged; want two checked and one of them damaged", plan, err, damaged)
	}
}

func TestARederivationBringsDocumentsToOtherRules(t *testing.T) {
	backends(t, func(t *testing.T, o vaulttest.Options) {
		if o.Dir = t.TempDir(); o.Store != nil {
			t.Skip("the buckets of the first vault are not those of the second")
		}
		admin := vaulttest.Actor(record.RoleAdmin)
		h := vaulttest.New(t, o)
		p := patient()
		plain, masked, kept := put(t, h, ct(p, 1)), put(t, h, burned(p, 2)), put(t, h, burned(p, 3))
		mask := vault.Mask{X: 24, Y: 28, Width: 20, Height: 10}
		released := release(t, h, masked.ID, mask)
		if err := h.Refuse(t.Context(), reviewer, kept.ID, "a face"); err != nil {
			t.Fatal(err)
		}
		before := read(t, open(t, h, quality, vault.Ref{Document: plain.ID})[0])
		if plan, err := h.PlanRederivation(t.Context(), dpo, func(vault.Change) error { return nil }); err != nil || plan.Checked != 0 {
			t.Errorf("plan under the same rules = %+v, %v; want nothing", plan, err)
		}
		h.Stop()

		o.DICOM = otherRules(t)
		h = vaulttest.New(t, o)
		treat(t, h, plain.Patient)
		var changes []vault.Change
		plan, err := h.PlanRederivation(t.Context(), dpo, func(c vault.Change) error { changes = append(changes, c); return nil })
		if err != nil || plan.Checked != 3 || plan.Changed != 3 || len(changes) != 3 {
			t.Fatalf("plan = %+v with %d changes, %v; want three", plan, len(changes), err)
		}
		for _, c := range changes {
			if !c.Content || c.Tags == (vault.TagCounts{}) || c.Rules.From == c.Rules.To || c.Rules.From == "" {
				t.Errorf("change = %+v", c)
			}
		}
		if got := read(t, open(t, h, quality, vault.Ref{Document: plain.ID})[0]); !bytes.Equal(got, before) {
			t.Error("the dry run changed something")
		}

		_, err = h.ProposeRederivation(t.Context(), admin, "profile teaching")
		refusedAs(t, "an admin proposes", err, record.ErrDenied, "")
		run, err := h.ProposeRederivation(t.Context(), dpo, "profile teaching")
		if err != nil || run.State != "proposed" {
			t.Fatalf("Propose = %+v, %v", run, err)
		}
		id := record.ObjectID(run.ID)
		_, err = h.ApproveRederivation(t.Context(), dpo, id)
		refusedAs(t, "who proposed approves", err, record.ErrDenied, "second-person")
		_, err = h.ApproveRederivation(t.Context(), quality, id)
		refusedAs(t, "quality approves", err, record.ErrDenied, "")
		if run, err = h.ApproveRederivation(t.Context(), admin, id); err != nil || run.State != "running" {
			t.Fatalf("Approve = %+v, %v", run, err)
		}
		_, err = h.ApproveRederivation(t.Context(), admin, id)
		refusedAs(t, "approved again", err, record.ErrConflict, "approved-already")
		eventually(t, "it is done", func() bool {
			list, err := h.Rederivations(t.Context(), dpo, id)
			if err != nil {
				t.Fatal(err)
			}
			run = list[0]
			return run.State == "done"
		})
		if run.Listed != 3 || run.Superseded != 3 || run.Unchanged != 0 || run.Refused != 0 {
			t.Errorf("done: %+v; want three superseded", run)
		}
		for _, l := range leaves(t, h, record.ActionSupersede) {
			if l.Origin != "rederive" || len(l.Persons) != 2 || l.Persons[0] != dpo.ID || l.Persons[1] != admin.ID || l.Commit.Supersedes == "" {
				t.Errorf("leaf = %+v; want both persons named", l)
			}
		}
		if got := read(t, open(t, h, quality, vault.Ref{Document: plain.ID})[0]); bytes.Equal(got, before) {
			t.Error("the view is what it was")
		}
		shown := frame(t, open(t, h, quality, vault.Ref{Document: released})[0])
		for y := mask.Y; y < mask.Y+mask.Height; y++ {
			at, first := 2*(64*y+mask.X), 2*(64*mask.Y+mask.X)
			if !bytes.Equal(shown[at:at+2*mask.Width], shown[first:first+2*mask.Width]) {
				t.Fatalf("line %d: the mask was not painted again", y)
			}
		}
		_, err = h.Open(t.Context(), quality, vault.Ref{Document: kept.ID})
		refusedAs(t, "what a person refused", err, record.ErrDenied, "held-for-review")
		if page, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{State: vault.ReviewRefused}); err != nil || len(page.Reviews) != 1 {
			t.Errorf("refused = %+v, %v; want one still", page, err)
		}
		if seen, err := h.Review(t.Context(), reviewer, kept.ID); err != nil || seen.Decided == nil || seen.Decided.Reason != "a face" {
			t.Errorf("the refusal = %+v, %v; want its reason still", seen, err)
		}
		for i, r := range []vault.Receipt{plain, masked, kept} {
			doc := ct(p, 1)
			if i > 0 {
				doc = burned(p, i+1)
			}
			if got := read(t, open(t, h, clinician, vault.Ref{Document: r.ID})[0]); !bytes.Equal(got, doc) {
				t.Errorf("original %d did not come back", i)
			}
		}
		if plan, err := h.PlanRederivation(t.Context(), dpo, func(vault.Change) error { return nil }); err != nil || plan.Checked != 0 {
			t.Errorf("plan afterwards = %+v, %v; want nothing", plan, err)
		}
		eventually(t, "the old objects are gone", func() bool { return objects(t, h, "cn-north") == 3 && objects(t, h, "cn-south") == 3 })
		if f := verify(t, h, "read").Findings; len(f) > 0 {
			t.Errorf("verify = %+v; want none", f)
		}
		if report, err := h.AuditVerify(t.Context(), auditor); err != nil || !report.Intact {
			t.Errorf("AuditVerify = %+v, %v", report, err)
		}
	})
}
