package reviews_test

import (
	"bytes"
	"errors"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/client"
	"medvault/api/documents"
	"medvault/api/reviews"
	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// gateway serves a vault; the bearer token names the role.
func gateway(t *testing.T, v *vaulttest.House) (as func(record.Role) *client.Client, url string) {
	t.Helper()
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	v1 := engine.Group("/api/v1", func(c *gin.Context) {
		answer.SetActor(c, vaulttest.Actor(record.Role(strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer "))))
	})
	documents.Register(v1, documents.Config{Vault: v.Vault})
	reviews.Register(v1, reviews.Config{Vault: v.Vault})
	return func(role record.Role) *client.Client {
		c, err := client.New(client.Config{URL: server.URL, Token: string(role)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}, server.URL
}

func withheld(t *testing.T, v *vaulttest.House, instance int) vault.Receipt {
	t.Helper()
	doc := imagingtest.CT(imagingtest.NewPatient(7), imagingtest.Options{Modality: "US", Study: 1, Series: 1, Instance: instance, Rows: 48, Columns: 64, BurnedIn: "YES"})
	r, err := v.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), vault.Upload{Body: bytes.NewReader(doc)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func status(t *testing.T, what string, err error, want int, code string) {
	t.Helper()
	var answered *client.Error
	if !errors.As(err, &answered) || answered.Status != want || answered.Code != code {
		t.Errorf("%s = %v; want %d %s", what, err, want, code)
	}
}

func TestAReviewOverHTTP(t *testing.T) {
	v := vaulttest.New(t, vaulttest.Options{})
	as, _ := gateway(t, v)
	reviewer := as(record.RoleReviewer)
	ctx := t.Context()
	r := withheld(t, v, 1)

	page, err := reviewer.Reviews(ctx, vault.ReviewQuery{})
	if err != nil || len(page.Reviews) != 1 || page.Reviews[0].Object != r.ID || page.Reviews[0].Modality != "US" {
		t.Fatalf("Reviews = %+v, %v", page, err)
	}
	one, err := reviewer.Review(ctx, r.ID)
	if err != nil || !bytes.Contains(one.Attributes, []byte(`"00280010"`)) {
		t.Errorf("Review = %+v, %v; want its attributes", one, err)
	}
	if hits := imagingtest.Leaks(one.Attributes, imagingtest.NewPatient(7).Identifiers()); len(hits) > 0 {
		t.Errorf("the attributes show %d identifiers", len(hits))
	}
	var pictures [2]bytes.Buffer
	for i, o := range []vault.PreviewOptions{{Frame: 1, Masks: []vault.Mask{{Width: 64, Height: 48}}}, {Unmasked: true}} {
		if err := reviewer.Preview(ctx, r.ID, o, &pictures[i]); err != nil {
			t.Fatalf("Preview = %v", err)
		}
		if picture, err := png.Decode(bytes.NewReader(pictures[i].Bytes())); err != nil || picture.Bounds().Dx() != 64 {
			t.Errorf("the preview is no picture of 64 columns: %v", err)
		}
	}
	if bytes.Equal(pictures[0].Bytes(), pictures[1].Bytes()) {
		t.Error("the mask is not in the picture")
	}
	_, err = as(record.RoleQuality).Reviews(ctx, vault.ReviewQuery{})
	status(t, "quality lists", err, 403, "role-not-permitted")
	_, err = as(record.RoleQuality).Release(ctx, r.ID, vault.NewRelease{Reason: "fine"})
	status(t, "quality releases", err, 403, "role-not-permitted")
	_, err = as(record.RoleClinician).Review(ctx, r.ID)
	status(t, "a clinician who does not treat looks", err, 404, "not-found")

	if err := reviewer.Refuse(ctx, r.ID, "a face"); err != nil {
		t.Errorf("Refuse = %v", err)
	}
	if page, err := reviewer.Reviews(ctx, vault.ReviewQuery{State: "refused", Limit: 5}); err != nil || len(page.Reviews) != 1 {
		t.Errorf("refused = %+v, %v; want one", page, err)
	}
	now, err := reviewer.Release(ctx, r.ID, vault.NewRelease{Masks: []vault.Mask{{X: 1, Y: 2, Width: 30, Height: 20}}, Reason: "bar masked"})
	if err != nil || now == "" || now == r.ID {
		t.Fatalf("Release = %s, %v; want a new id", now, err)
	}
	_, err = reviewer.Release(ctx, r.ID, vault.NewRelease{Masks: []vault.Mask{{Width: 3, Height: 3}}, Reason: "again"})
	status(t, "released again by the old id", err, 409, "superseded")
	_, err = reviewer.Release(ctx, now, vault.NewRelease{Masks: []vault.Mask{{Width: 3, Height: 3}}, Reason: "again"})
	status(t, "released again by the new id", err, 409, "not-held")
	if _, err := v.Open(ctx, vaulttest.Actor(record.RoleQuality), vault.Ref{Document: r.ID}); err != nil {
		t.Errorf("quality reads by the old id = %v", err)
	}
}

func TestARederivationOverHTTP(t *testing.T) {
	dir := t.TempDir()
	v := vaulttest.New(t, vaulttest.Options{Dir: dir})
	withheld(t, v, 1)
	v.Stop()
	set := profile.Named()["clinical-trial"]
	v = vaulttest.New(t, vaulttest.Options{Dir: dir, DICOM: dicom.With(dicom.Config{Profile: "clinical-trial", Options: set})})
	as, _ := gateway(t, v)
	ctx := t.Context()
	dpo, admin := as(record.RoleDPO), as(record.RoleAdmin)

	var changes []vault.Change
	plan, err := dpo.PlanRederivation(ctx, func(c vault.Change) error { changes = append(changes, c); return nil })
	if err != nil || plan.Checked != 1 || len(changes) != int(plan.Changed+plan.Refused) {
		t.Errorf("plan = %+v with %d changes, %v; want one checked", plan, len(changes), err)
	}
	_, err = as(record.RoleOperator).PlanRederivation(ctx, nil)
	status(t, "an operator plans", err, 403, "role-not-permitted")
	r, err := dpo.ProposeRederivation(ctx, "clinical trial")
	if err != nil {
		t.Fatal(err)
	}
	id := record.ObjectID(r.ID)
	_, err = dpo.ApproveRederivation(ctx, id)
	status(t, "who proposed approves", err, 403, "second-person")
	if r, err = admin.ApproveRederivation(ctx, id); err != nil || r.State != "running" {
		t.Errorf("Approve = %+v, %v", r, err)
	}
	if list, err := admin.Rederivations(ctx); err != nil || len(list) != 1 || list[0].ID != r.ID {
		t.Errorf("Rederivations = %+v, %v", list, err)
	}
	_, err = dpo.Rederivation(ctx, record.NewObjectID())
	status(t, "an unknown one", err, 404, "not-found")
}

// What is refused before the vault is asked: there is no vault here to ask.
func TestRefusedAtTheDoor(t *testing.T) {
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	reviews.Register(engine.Group("/api/v1"), reviews.Config{})
	id := strings.Repeat("0", 32)
	for _, row := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/reviews?state=open&state=refused", "", 400},
		{"GET", "/reviews?statte=open", "", 400},
		{"GET", "/reviews?after=x", "", 400},
		{"GET", "/reviews?limit=0", "", 400},
		{"GET", "/reviews/x", "", 404},
		{"GET", "/reviews/x/preview", "", 404},
		{"GET", "/reviews/" + id + "/preview?frame=0", "", 400},
		{"GET", "/reviews/" + id + "/preview?mask=1,2,3", "", 400},
		{"GET", "/reviews/" + id + "/preview?mask=1,2,3,x", "", 400},
		{"GET", "/reviews/" + id + "/preview?unmasked=perhaps", "", 400},
		{"POST", "/reviews//release", `{"reason":"r"}`, 400},
		{"POST", "/reviews/x/release", `{"reason":"r"}`, 404},
		{"POST", "/reviews/" + id + "/release", ``, 400},
		{"POST", "/reviews/" + id + "/release", `{"reason":"r","mask":[]}`, 400},
		{"POST", "/reviews/" + id + "/release", `{"reason":"r"} {}`, 400},
		{"POST", "/reviews/" + id + "/refuse", `{"why":"r"}`, 400},
		{"POST", "/rederivations", ``, 400},
		{"POST", "/rederivations", `{"dry":true}`, 400},
		{"GET", "/rederivations/x", "", 404},
		{"POST", "/rederivations/x/approve", "", 404},
	} {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequest(row.method, "/api/v1"+row.path, strings.NewReader(row.body)))
		if w.Code != row.status {
			t.Errorf("%s %s %s = %d %s; want %d", row.method, row.path, row.body, w.Code, w.Body, row.status)
		}
	}
}

func TestAPreviewIsKeptByNobody(t *testing.T) {
	v := vaulttest.New(t, vaulttest.Options{})
	_, url := gateway(t, v)
	r := withheld(t, v, 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/reviews/"+string(r.ID)+"/preview", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer reviewer")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "image/png" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v; want a PNG that no cache keeps", resp.StatusCode, resp.Header)
	}
}
