package vault_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"image/color"
	"image/png"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/storage/minio"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

var reviewer = vaulttest.Actor(record.RoleReviewer)

// burned is a CT that says words are drawn into its picture.
func burned(p imagingtest.Patient, instance int) []byte {
	return imagingtest.CT(p, imagingtest.Options{Study: 4, Series: 1, Instance: instance, BurnedIn: "YES", Rows: 64, Columns: 64})
}

func release(t *testing.T, h *vaulttest.House, id record.ObjectID, masks ...vault.Mask) record.ObjectID {
	t.Helper()
	now, err := h.Release(t.Context(), reviewer, id, vault.NewRelease{Masks: masks, Reason: "bar masked"})
	if err != nil {
		t.Fatalf("Release = %v", err)
	}
	return now
}

func refusedAs(t *testing.T, what string, err error, kind error, code string) {
	t.Helper()
	var why *record.Refusal
	if !errors.Is(err, kind) || code != "" && (!errors.As(err, &why) || why.Code != code) {
		t.Errorf("%s = %v; want %v %s", what, err, kind, code)
	}
}

// leaves are all leaves of the log that name an action.
func leaves(t *testing.T, h *vaulttest.House, action record.Action) (found []audit.Leaf) {
	t.Helper()
	if _, err := h.AuditVerify(t.Context(), auditor); err != nil { // appends what is pending
		t.Fatal(err)
	}
	rows, err := h.Catalog.LogLeaves(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		l, err := audit.ParseLeaf(row.Data)
		if err != nil {
			t.Fatal(err)
		}
		if l.Action == action {
			found = append(found, l)
		}
	}
	return found
}

// holders names the regions in whose data bucket an object lies.
func holders(t *testing.T, h *vaulttest.House, id record.ObjectID) (names []string) {
	t.Helper()
	for _, r := range h.Set.Regions() {
		if _, err := r.Data.Head(t.Context(), id.Key("objects")); err == nil {
			names = append(names, r.Name)
		} else if !errors.Is(err, storage.ErrNotExist) {
			names = append(names, r.Name+"?")
		}
	}
	return names
}

func frame(t *testing.T, h *vault.Handle) []byte {
	t.Helper()
	r, err := h.Frame(t.Context(), 1)
	if err != nil {
		t.Fatalf("Frame = %v", err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatalf("frame = %v", err)
	}
	return b.Bytes()
}

// backends runs a test on what a vault may stand on.
func backends(t *testing.T, test func(t *testing.T, o vaulttest.Options)) {
	t.Run("directories and sqlite", func(t *testing.T) { test(t, vaulttest.Options{}) })
	t.Run("postgres", func(t *testing.T) { test(t, vaulttest.Options{DSN: postgres(t)}) })
	t.Run("s3", func(t *testing.T) {
		servers := storetest.Servers(t)
		n := 0
		test(t, vaulttest.Options{Split: true, Store: func(region, bucket string, s storage.Store) storage.Store {
			if bucket != "data" || region == vaulttest.Foreign {
				return s
			}
			at := servers[n%len(servers)]
			n++
			m, err := minio.New(t.Context(), minio.Config{Endpoint: at.Endpoint, AccessKey: at.Access, SecretKey: at.Secret, Region: "us-east-1",
				Bucket: storetest.BucketName(), Insecure: true, PathStyle: true, CreateBucket: true, Versioning: true})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}})
	})
}

// postgres makes a database for one test.
func postgres(t *testing.T) string {
	server := os.Getenv("MEDVAULT_TEST_POSTGRES")
	if server == "" {
		t.Skip("set MEDVAULT_TEST_POSTGRES (scripts/test starts one)")
	}
	name := "vault_" + string(record.NewObjectID())
	run := func(statement string) {
		admin, err := sql.Open("pgx", server)
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		if _, err := admin.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE DATABASE " + name)
	t.Cleanup(func() { run("DROP DATABASE " + name + " WITH (FORCE)") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("MEDVAULT_TEST_POSTGRES is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

func TestAReleasedViewIsMaskedAndTheOriginalIsNot(t *testing.T) {
	backends(t, func(t *testing.T, o vaulttest.Options) {
		h := vaulttest.New(t, o)
		doc := burned(patient(), 1)
		r := put(t, h, doc)
		treat(t, h, r.Patient)
		_, err := h.Open(t.Context(), quality, vault.Ref{Document: r.ID})
		refusedAs(t, "quality before the release", err, record.ErrDenied, "held-for-review")

		page, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{})
		if err != nil || len(page.Reviews) != 1 || page.Next != "" {
			t.Fatalf("Reviews = %+v, %v; want one", page, err)
		}
		if got := page.Reviews[0]; got.Object != r.ID || got.Patient != r.Patient || got.Kind != "dicom" || got.State != vault.ReviewOpen || got.Modality != "CT" ||
			got.Code != "held-for-review" || len(got.Reasons) == 0 || got.Frames != 1 || got.Since.IsZero() || got.SOPClass == "" {
			t.Errorf("review = %+v", got)
		}
		mask := vault.Mask{X: 24, Y: 28, Width: 20, Height: 10}
		now := release(t, h, r.ID, mask)
		if now == r.ID {
			t.Error("the released object has the old id")
		}
		released := open(t, h, quality, vault.Ref{Document: r.ID}) // the id that was given out before
		if len(released) != 1 || released[0].ID != now {
			t.Fatalf("the old id leads to %+v; want %s", released, now)
		}
		shown, was := frame(t, released[0]), frame(t, open(t, h, clinician, vault.Ref{Document: now})[0])
		differ := 0
		for y := range 64 {
			for x := range 64 {
				at := 2 * (64*y + x)
				inside := x >= mask.X && x < mask.X+mask.Width && y >= mask.Y && y < mask.Y+mask.Height
				same := shown[at] == was[at] && shown[at+1] == was[at+1]
				if !same {
					differ++
				}
				if !inside && !same {
					t.Fatalf("pixel %d,%d outside the mask has changed", x, y)
				}
				if first := 2 * (64*mask.Y + mask.X); inside && !bytes.Equal(shown[at:at+2], shown[first:first+2]) {
					t.Fatalf("pixel %d,%d under the mask has another value than its neighbours", x, y)
				}
			}
		}
		if differ == 0 {
			t.Error("the mask painted nothing")
		}
		if hits := imagingtest.Leaks(read(t, released[0]), patient().Identifiers()); len(hits) > 0 {
			t.Errorf("the released view shows %d identifiers", len(hits))
		}
		if got := read(t, open(t, h, clinician, vault.Ref{Study: r.Study})[0]); !bytes.Equal(got, doc) {
			t.Error("the original is not what came in")
		}
		if f := verify(t, h, "read").Findings; len(f) > 0 {
			t.Errorf("verify while the old object leaves: %+v; want none", f)
		}
		eventually(t, "the old object is gone everywhere", func() bool { return len(holders(t, h, r.ID)) == 0 })
		eventually(t, "the new object is in three regions", func() bool { return len(holders(t, h, now)) == 3 })
		if f := verify(t, h, "read").Findings; len(f) > 0 {
			t.Errorf("verify afterwards: %+v; want none", f)
		}
		commits := leaves(t, h, record.ActionReviewRelease)
		if len(commits) != 1 || commits[0].Object != now || commits[0].Commit.Supersedes != r.ID || commits[0].Actor != reviewer.ID || commits[0].Commit.Attest == nil {
			t.Errorf("leaves of the release = %+v", commits)
		}
		eventually(t, "three leaves of the removal", func() bool { return len(leaves(t, h, "object.removed")) == 3 })
		if again := put(t, h, doc); !again.Present || again.ID != now {
			t.Errorf("the same bytes again: %+v; want present as %s", again, now)
		}
		if page, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{}); err != nil || len(page.Reviews) != 0 {
			t.Errorf("Reviews afterwards = %+v, %v; want none", page, err)
		}
		seen, err := h.Review(t.Context(), reviewer, r.ID)
		if err != nil || seen.State != vault.ReviewReleased || seen.Decided == nil || seen.Decided.By != reviewer.ID || seen.Decided.Reason != "bar masked" || !slices.Equal(seen.Masks, []vault.Mask{mask}) {
			t.Errorf("the released review = %+v, %v", seen, err)
		}
		if report, err := h.AuditVerify(t.Context(), auditor); err != nil || !report.Intact {
			t.Errorf("AuditVerify = %+v, %v", report, err)
		}
	})
}

func TestAnOldObjectLeavesARegionThatWasDown(t *testing.T) {
	faulty := make(map[string]*storetest.Faulty)
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		f := storetest.NewFaulty(s)
		faulty[region+"/"+bucket] = f
		return f
	}})
	r := put(t, h, burned(patient(), 1))
	eventually(t, "three copies", func() bool { return len(holders(t, h, r.ID)) == 3 })
	down := errors.New("down")
	for _, bucket := range []string{"/data", "/keys"} {
		faulty["cn-south"+bucket].Inject(storetest.Fault{Err: down})
	}
	now := release(t, h, r.ID, vault.Mask{Width: 4, Height: 4})
	eventually(t, "gone from those that answer", func() bool { return slices.Equal(holders(t, h, r.ID), []string{"cn-south?"}) })
	for _, bucket := range []string{"/data", "/keys"} {
		faulty["cn-south"+bucket].Heal()
	}
	if f := verify(t, h, "list").Findings; len(f) > 0 {
		t.Errorf("verify with a removal to come: %+v; want none", f)
	}
	eventually(t, "gone from the region that was down", func() bool { return len(holders(t, h, r.ID)) == 0 })
	eventually(t, "the new one came there", func() bool { return len(holders(t, h, now)) == 3 })
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("verify = %+v; want none", f)
	}
}

func TestAPreviewShowsWhatIsMasked(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, burned(patient(), 1))
	brightness := func(o vault.PreviewOptions) (sum int) {
		t.Helper()
		var b bytes.Buffer
		if err := h.Preview(t.Context(), reviewer, r.ID, o, &b); err != nil {
			t.Fatalf("Preview = %v", err)
		}
		picture, err := png.Decode(&b)
		if err != nil {
			t.Fatalf("the preview is no PNG: %v", err)
		}
		for y := range picture.Bounds().Dy() {
			for x := range picture.Bounds().Dx() {
				sum += int(color.GrayModel.Convert(picture.At(x, y)).(color.Gray).Y)
			}
		}
		return sum
	}
	plain := brightness(vault.PreviewOptions{Unmasked: true})
	masked := brightness(vault.PreviewOptions{Masks: []vault.Mask{{Width: 64, Height: 40}}})
	if all := brightness(vault.PreviewOptions{Masks: []vault.Mask{{Width: 64, Height: 64}}}); all != 0 || masked == 0 || masked >= plain {
		t.Errorf("brightness: %d without a mask, %d half masked, %d all masked", plain, masked, all)
	}
	if n := len(leaves(t, h, record.ActionReviewRead)); n != 3 {
		t.Errorf("%d leaves of three previews", n)
	}
	err := h.Preview(t.Context(), reviewer, r.ID, vault.PreviewOptions{Frame: 2}, new(bytes.Buffer))
	refusedAs(t, "a frame too far", err, record.ErrNotFound, "")
	shown := put(t, h, imagingtest.CT(patient(), imagingtest.Options{Study: 4, Series: 2, Instance: 1}))
	err = h.Preview(t.Context(), reviewer, shown.ID, vault.PreviewOptions{}, new(bytes.Buffer))
	refusedAs(t, "a document that was never withheld", err, record.ErrNotFound, "")
}

func TestOnlyReviewersReview(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, burned(patient(), 1))
	treat(t, h, r.Patient)
	for _, role := range record.Roles() {
		if role == record.RoleReviewer {
			continue
		}
		a := vaulttest.Actor(role)
		_, list := h.Reviews(t.Context(), a, vault.ReviewQuery{})
		_, show := h.Review(t.Context(), a, r.ID)
		_, released := h.Release(t.Context(), a, r.ID, vault.NewRelease{Masks: []vault.Mask{{Width: 1, Height: 1}}, Reason: "looks clean"})
		for what, err := range map[string]error{
			"list": list, "show": show, "release": released,
			"preview": h.Preview(t.Context(), a, r.ID, vault.PreviewOptions{}, new(bytes.Buffer)),
			"refuse":  h.Refuse(t.Context(), a, r.ID, "stays"),
		} {
			if !errors.Is(err, record.ErrDenied) && !errors.Is(err, record.ErrNotFound) {
				t.Errorf("%s as %s = %v; want denied or not found", what, role, err)
			}
		}
	}
	for _, l := range leaves(t, h, record.ActionReviewRelease) {
		if l.Decision != audit.Deny {
			t.Errorf("a release was allowed: %+v", l)
		}
	}
	if _, err := h.Open(t.Context(), quality, vault.Ref{Document: r.ID}); !errors.Is(err, record.ErrDenied) {
		t.Errorf("quality = %v; want denied still", err)
	}
}

func TestWhatCannotBeReleased(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	held, shown := put(t, h, burned(p, 1)), put(t, h, ct(p, 2))
	report, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.Report(p)), PatientID: p.ID, Issuer: p.Issuer})
	if err != nil {
		t.Fatal(err)
	}
	own := reviewer
	own.ID = radiology.ID // one person with two roles
	mask := []vault.Mask{{Width: 4, Height: 4}}
	for name, c := range map[string]struct {
		actor record.Actor
		id    record.ObjectID
		n     vault.NewRelease
		kind  error
		code  string
	}{
		"a report":             {reviewer, report.ID, vault.NewRelease{Masks: mask, Reason: "fine"}, record.ErrDenied, "redaction-pending"},
		"not withheld":         {reviewer, shown.ID, vault.NewRelease{Masks: mask, Reason: "fine"}, record.ErrConflict, "not-held"},
		"own upload":           {own, held.ID, vault.NewRelease{Masks: mask, Reason: "fine"}, record.ErrDenied, "own-upload"},
		"unknown":              {reviewer, record.NewObjectID(), vault.NewRelease{Masks: mask, Reason: "fine"}, record.ErrNotFound, ""},
		"no reason":            {reviewer, held.ID, vault.NewRelease{Masks: mask, Reason: " "}, record.ErrInvalid, "missing-reason"},
		"long reason":          {reviewer, held.ID, vault.NewRelease{Masks: mask, Reason: strings.Repeat("x", 201)}, record.ErrInvalid, "bad-reason"},
		"control characters":   {reviewer, held.ID, vault.NewRelease{Masks: mask, Reason: "a\nb"}, record.ErrInvalid, "bad-reason"},
		"reason with the id":   {reviewer, held.ID, vault.NewRelease{Masks: mask, Reason: "checked " + p.ID}, record.ErrInvalid, "reason-names-patient"},
		"reason with the name": {reviewer, held.ID, vault.NewRelease{Masks: mask, Reason: "masked " + strings.ReplaceAll(p.Latin(), "^", " ")}, record.ErrInvalid, "reason-names-patient"},
		"no rectangle":         {reviewer, held.ID, vault.NewRelease{Masks: []vault.Mask{{Width: 4}}, Reason: "fine"}, record.ErrInvalid, "bad-mask"},
		"beside the picture":   {reviewer, held.ID, vault.NewRelease{Masks: []vault.Mask{{X: 60, Width: 10, Height: 4}}, Reason: "fine"}, record.ErrUnreadable, "bad-mask"},
		"nothing looked into":  {reviewer, held.ID, vault.NewRelease{Reason: "fine"}, record.ErrConflict, "still-held"},
	} {
		_, err := h.Release(t.Context(), c.actor, c.id, c.n)
		refusedAs(t, name, err, c.kind, c.code)
	}
	if _, err := h.Open(t.Context(), quality, vault.Ref{Document: held.ID}); !errors.Is(err, record.ErrDenied) {
		t.Errorf("quality = %v; want denied still", err)
	}
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("verify = %+v; want none", f)
	}
	if _, err := h.Release(t.Context(), reviewer, held.ID, vault.NewRelease{Accept: []string{"held-for-review"}, Reason: "no words in it"}); err != nil {
		t.Errorf("release without masks, looked into = %v", err)
	}
}

func TestARefusedDocumentStaysWithheldUntilItIsReleased(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, burned(patient(), 1))
	if err := h.Refuse(t.Context(), reviewer, r.ID, "face on every frame"); err != nil {
		t.Fatalf("Refuse = %v", err)
	}
	refusedAs(t, "refuse again", h.Refuse(t.Context(), reviewer, r.ID, "again"), record.ErrConflict, "refused-already")
	for state, want := range map[string]int{"": 0, vault.ReviewRefused: 1} {
		if page, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{State: state}); err != nil || len(page.Reviews) != want {
			t.Errorf("reviews %q = %+v, %v; want %d", state, page, err, want)
		}
	}
	seen, err := h.Review(t.Context(), reviewer, r.ID)
	if err != nil || seen.State != vault.ReviewRefused || seen.Decided == nil || seen.Decided.Reason != "face on every frame" || len(seen.Attributes) == 0 {
		t.Errorf("review = %+v, %v; want refused with its reason", seen, err)
	}
	if _, err := h.Open(t.Context(), quality, vault.Ref{Document: r.ID}); !errors.Is(err, record.ErrDenied) {
		t.Errorf("quality = %v; want denied", err)
	}
	if data, err := os.ReadFile(h.Dir + "/catalog.db"); err != nil || bytes.Contains(data, []byte("face on every")) {
		t.Errorf("the reason lies in the catalog in clear: %v", err)
	}
	release(t, h, r.ID, vault.Mask{Width: 10, Height: 10})
	open(t, h, quality, vault.Ref{Document: r.ID})
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("verify = %+v; want none", f)
	}
}

func TestOfManyReleasesOneWins(t *testing.T) {
	backends(t, func(t *testing.T, o vaulttest.Options) {
		h := vaulttest.New(t, o)
		r := put(t, h, burned(patient(), 1))
		const n = 4
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				_, errs[i] = h.Release(context.WithoutCancel(t.Context()), reviewer, r.ID, vault.NewRelease{Masks: []vault.Mask{{X: i, Width: 4, Height: 4}}, Reason: "masked"})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				refusedAs(t, "who came second", err, record.ErrConflict, "superseded")
			}
		}
		if won != 1 {
			t.Errorf("%d of %d releases were done; want 1", won, n)
		}
		eventually(t, "one object is left", func() bool {
			objects := 0
			for _, region := range h.Set.Regions()[:1] {
				for range region.Data.List(t.Context(), "objects/", "") {
					objects++
				}
			}
			return objects == 1
		})
		if f := verify(t, h, "read").Findings; len(f) > 0 {
			t.Errorf("verify = %+v; want none", f)
		}
	})
}

func TestReviewsArePaged(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	want := make(map[record.ObjectID]bool)
	for i := range 5 {
		want[put(t, h, burned(patient(), i+1)).ID] = true
	}
	q := vault.ReviewQuery{Limit: 2}
	for pages := 1; ; pages++ {
		page, err := h.Reviews(t.Context(), reviewer, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Reviews {
			if !want[r.Object] {
				t.Errorf("%s comes twice or from nowhere", r.Object)
			}
			delete(want, r.Object)
		}
		if q.After = page.Next; q.After == "" {
			if pages != 3 || len(want) > 0 {
				t.Errorf("%d pages, %d missing; want 3 and none", pages, len(want))
			}
			break
		}
	}
	_, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{State: "done"})
	refusedAs(t, "an unknown state", err, record.ErrInvalid, "unknown-state")
}

func TestWhoTreatsSeesFramesWithoutMasks(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	for i, syntax := range []string{imagingtest.ExplicitLE, imagingtest.ImplicitLE, imagingtest.BigEndian, imagingtest.Deflated, imagingtest.RLE} {
		doc := imagingtest.CT(patient(), imagingtest.Options{Modality: "US", Study: 5, Series: 1, Instance: i + 1, Frames: 3, TransferSyntax: syntax, BurnedIn: "YES", Rows: 40, Columns: 40})
		r := put(t, h, doc)
		if i == 0 {
			treat(t, h, r.Patient)
		}
		frames := func(a record.Actor) (all [][]byte) {
			t.Helper()
			d := open(t, h, a, vault.Ref{Document: r.ID})[0]
			for n := range d.Frames {
				f, err := d.Frame(t.Context(), n+1)
				if err != nil {
					t.Fatalf("%s: frame %d = %v", syntax, n+1, err)
				}
				var b bytes.Buffer
				if _, err := b.ReadFrom(f); err != nil {
					t.Fatalf("%s: frame %d: %v", syntax, n+1, err)
				}
				all = append(all, b.Bytes())
				f.Close()
			}
			return all
		}
		before := frames(clinician)
		release(t, h, r.ID, vault.Mask{X: 4, Y: 4, Width: 30, Height: 30}, vault.Mask{Frame: 2, Width: 40, Height: 40})
		after := frames(clinician)
		if len(before) != 3 || len(after) != 3 {
			t.Fatalf("%s: %d frames before, %d after; want 3", syntax, len(before), len(after))
		}
		shown := frames(quality)
		for n := range before {
			if !bytes.Equal(before[n], after[n]) {
				t.Errorf("%s: frame %d of the original has changed with the release", syntax, n+1)
			}
			if bytes.Equal(shown[n], after[n]) {
				t.Errorf("%s: frame %d is shown without its mask", syntax, n+1)
			}
		}
		original := open(t, h, clinician, vault.Ref{Document: r.ID})[0]
		if got := read(t, original); !bytes.Equal(got, doc) {
			t.Errorf("%s: the original has changed with the release", syntax)
		}
		if bulk, err := original.Bulk(t.Context(), "7FE00010"); err == nil {
			var b bytes.Buffer
			if _, err := b.ReadFrom(bulk); err != nil || !bytes.HasPrefix(b.Bytes(), bytes.Join(before, nil)) {
				t.Errorf("%s: the original's pixel data has changed with the release: %v", syntax, err)
			}
			bulk.Close()
		} else if syntax != imagingtest.RLE {
			t.Errorf("%s: pixel data = %v", syntax, err)
		}
	}
}
