package main

import (
	"os"
	"strings"
	"testing"

	"medvault/keys/transit"
)

// The policies an administrator loads by hand are those the code was written for.
func TestDeployedPoliciesAreTheCodes(t *testing.T) {
	for path, want := range map[string]string{
		"../../scripts/deploy/transit-policy.hcl":          transit.ApplicationPolicy("transit", "medvault-"),
		"../../scripts/deploy/transit-rotation-policy.hcl": transit.RotationPolicy("transit", "medvault-"),
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "#") {
				got.WriteString(line)
			}
		}
		if got.String() != want {
			t.Errorf("%s grants\n%s\nwant\n%s", path, got.String(), want)
		}
	}
}
