package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault"
)

func TestReviewsFromListToRelease(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	dev := runDev(t, dir, "--no-sample")
	folder := t.TempDir()
	doc := imagingtest.CT(imagingtest.NewPatient(41), imagingtest.Options{Modality: "US", Study: 1, Series: 1, Instance: 1, Rows: 96, Columns: 128, BurnedIn: "YES"})
	if err := os.WriteFile(filepath.Join(folder, "us"), doc, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, up := dev.upload(folder); code != exitClean || up.Stored != 1 {
		t.Fatalf("upload: exit %d, %+v", code, up)
	}
	var page vault.ReviewPage
	code, out := dev.as("reviewer", "reviews", "list", "--json")
	if err := json.Unmarshal([]byte(out), &page); err != nil || code != exitClean || len(page.Reviews) != 1 {
		t.Fatalf("reviews list: exit %d, %s", code, out)
	}
	object := string(page.Reviews[0].Object)
	if code, _ := dev.as("quality", "reviews", "list"); code != exitRefused {
		t.Errorf("reviews list as quality: exit %d; want %d", code, exitRefused)
	}
	if code, out := dev.as("reviewer", "reviews", "show", object); code != exitClean || !bytes.Contains([]byte(out), []byte("held-for-review")) {
		t.Errorf("reviews show: exit %d, %s", code, out)
	}
	picture := filepath.Join(t.TempDir(), "look.png")
	if code, _ := dev.as("reviewer", "reviews", "preview", object, "-o", picture, "--mask", "0,0,128,20"); code != exitClean {
		t.Errorf("reviews preview: exit %d", code)
	}
	f, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p, err := png.Decode(f); err != nil || p.Bounds().Dx() != 128 {
		t.Errorf("the preview is no picture of 128 columns: %v", err)
	}
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"no reason":    {[]string{"reviews", "release", object, "--mask", "0,0,9,9"}, exitUsage},
		"no rectangle": {[]string{"reviews", "release", object, "--mask", "0,0,9", "--reason", "bar"}, exitUsage},
		"no id":        {[]string{"reviews", "release", "x", "--reason", "bar"}, exitUsage},
		"beside it":    {[]string{"reviews", "release", object, "--mask", "0,0,999,9", "--reason", "bar"}, exitRefused},
		"no file":      {[]string{"reviews", "preview", object}, exitUsage},
		"rederive":     {[]string{"rederive"}, exitUsage},
	} {
		if code, _ := dev.as("reviewer", c.args...); code != c.want {
			t.Errorf("%s: exit %d; want %d", name, code, c.want)
		}
	}
	if code, _ := dev.as("reviewer", "reviews", "refuse", object, "--reason", "a face"); code != exitClean {
		t.Errorf("reviews refuse: exit %d", code)
	}
	var released releasedReview
	code, out = dev.as("reviewer", "reviews", "release", object, "--mask", "0,0,128,20", "--reason", "bar masked", "--json")
	if err := json.Unmarshal([]byte(out), &released); err != nil || code != exitClean || released.Object == released.Released {
		t.Fatalf("reviews release: exit %d, %s", code, out)
	}
	if code, _ := dev.as("reviewer", "reviews", "release", object, "--mask", "0,0,128,20", "--reason", "bar masked"); code != exitRefused {
		t.Errorf("released again: exit %d; want %d", code, exitRefused)
	}
	into := t.TempDir()
	if code, _ := dev.as("quality", "fetch", object, "-o", into); code != exitClean {
		t.Errorf("fetch of the released view by its old id: exit %d", code)
	}
	if code, out := dev.as("operator", "verify", "--level", "read"); code != exitClean {
		t.Errorf("verify: exit %d, %s", code, out)
	}
	if code, out := dev.as("dpo", "rederive", "--dry-run", "--json"); code != exitClean || !bytes.Contains([]byte(out), []byte(`"checked": 0`)) {
		t.Errorf("rederive --dry-run: exit %d, %s", code, out)
	}
}

func TestRederiveAtTheCommandLine(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	dev := runDev(t, dir, "--no-sample")
	var r vault.Rederivation
	code, out := dev.as("dpo", "rederive", "--propose", "--reason", "PS3.15 2026d", "--json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitClean || r.State != "proposed" {
		t.Fatalf("propose: exit %d, %s", code, out)
	}
	if code, _ := dev.as("dpo", "rederive", "--approve", r.ID); code != exitRefused {
		t.Errorf("who proposed approves: exit %d; want %d", code, exitRefused)
	}
	if code, _ := dev.as("admin", "rederive", "--approve", r.ID); code != exitClean {
		t.Errorf("approve: exit %d", code)
	}
	for range 100 {
		code, out = dev.as("dpo", "rederive", "--status", r.ID, "--json")
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitClean {
			t.Fatalf("status: exit %d, %s", code, out)
		}
		if r.State == "done" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("it is still %s: %s", r.State, out)
}
