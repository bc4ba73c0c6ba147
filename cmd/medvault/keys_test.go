package main

import (
	"encoding/json"
	"strings"
	"testing"

	"medvault/vault"
)

// TestDevRotatesThroughItsGateway: every key gets a new version, and what was stored
// before is still read, also by the next run.
func TestDevRotatesThroughItsGateway(t *testing.T) {
	dir := t.TempDir()
	dev := runDev(t, dir)
	if code, _ := dev.as("auditor", "keys", "status"); code != exitClean {
		t.Errorf("keys status by the auditor: exit %d; want 0", code)
	}
	if code, out := dev.as("admin", "keys", "rotate", "--pending", "--json"); code != exitClean || !strings.Contains(out, `"rotations": []`) {
		t.Errorf("keys rotate --pending with nothing ordered: exit %d: %s; want 0, and nothing done", code, out)
	}
	if code, _ := dev.as("operator", "keys", "rotate"); code != exitRefused {
		t.Errorf("keys rotate by the operator: exit %d; want 4", code)
	}
	code, out := dev.as("admin", "keys", "rotate", "--json")
	var done struct{ Rotations []vault.Rotation }
	if err := json.Unmarshal([]byte(out), &done); code != exitClean || err != nil || len(done.Rotations) != 12 {
		t.Fatalf("keys rotate: exit %d, %v: %s; want a line for each kind at each of four services", code, err, out)
	}
	code, out = dev.as("admin", "keys", "status")
	if rows := strings.Split(strings.TrimSpace(out), "\n"); code != exitClean || len(rows) != 13 {
		t.Errorf("keys status: exit %d:\n%s; want a heading and three kinds at each of four services", code, out)
	}
	code, out = dev.as("admin", "keys", "status", "--json")
	var states struct{ Keys []vault.KeyStatus }
	if err := json.Unmarshal([]byte(out), &states); code != exitClean || err != nil {
		t.Fatalf("keys status: exit %d, %v: %s", code, err, out)
	}
	for _, k := range states.Keys {
		if k.Newest != 2 || k.Oldest != 2 || len(k.Pending) != 0 {
			t.Errorf("%+v; want version 2 alone, and nothing pending", k)
		}
	}
	if code := dev.stop(); code != exitClean {
		t.Fatalf("dev ended with %d", code)
	}
	again := runDev(t, dir)
	if code, out := again.as("clinician", "studies", "--json"); code != exitClean || !strings.Contains(out, `"instances": 12`) {
		t.Errorf("studies after the rotation: exit %d: %s; want the sample study", code, out)
	}
	if code, out := again.as("operator", "verify", "--level", "read"); code != exitClean {
		t.Errorf("verify after the rotation: exit %d: %s", code, out)
	}
}
