package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPolicyCheck(t *testing.T) {
	for _, row := range []struct {
		name, file, text string
		code             int
		says             string
	}{
		{"the built-in ones", "", "", exitClean, ""},
		{"an addition", "ours.cedar", "// The auditor sees the keys' ages too.\n@id(\"ours\") permit (principal, action == Action::\"keys.status\", resource) when { principal.role == \"auditor\" };", exitClean, ""},
		{"an attribute nobody knows", "ours.cedar", "\n\n@id(\"ours\") permit (principal, action, resource) when { principal.rank == 1 };", exitUsage, "ours.cedar, line 3: policy ours"},
		{"no syntax", "ours.cedar", "\npermit (principal, action resource);", exitUsage, "ours.cedar:2"},
		{"a misspelt role", "ours.cedar", "@id(\"ours\") permit (principal, action == Action::\"keys.status\", resource) when { principal.role == \"audtor\" };", exitFindings, "policies that decide nothing: ours"},
		{"a permit of what a limit forbids", "ours.cedar", "@id(\"ours\") permit (principal, action == Action::\"keys.status\", resource) when { principal.purpose == \"HPAYMT\" };", exitFindings, "ours"},
		{"a limit of another's name", "limits.cedar", "@id(\"erased\") permit (principal, action == Action::\"keys.status\", resource);", exitUsage, "the @id is taken"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if raced && row.code != exitUsage && row.name != "a misspelt role" {
				t.Skip("every policy is tried on every kind of request: scripts/test does it without the race detector")
			}
			args := []string{"policy", "check", "--json"}
			if row.file != "" {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, row.file), []byte(row.text), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, dir)
			}
			var out, errs bytes.Buffer
			if code := run(t.Context(), args, &out, &errs); code != row.code || !strings.Contains(errs.String(), row.says) {
				t.Fatalf("exit code %d: %s; want %d with %q", code, errs.String(), row.code, row.says)
			}
			if row.code == exitUsage {
				return
			}
			var found checkedPolicies
			if err := json.Unmarshal(out.Bytes(), &found); err != nil || len(found.Policies) < 40 || (len(found.Unused) > 0) != (row.code == exitFindings) {
				t.Errorf("%v: %d policies, unused %v", err, len(found.Policies), found.Unused)
			}
		})
	}
}
