package insecure_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"medvault/keys"
	"medvault/keys/insecure"
	"medvault/keys/keystest"
)

func open(t *testing.T, path string) *insecure.Service {
	t.Helper()
	s, err := insecure.New(insecure.Config{Name: "dev", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestService(t *testing.T) {
	keystest.Run(t, func(t *testing.T) keys.Wrapper { return open(t, filepath.Join(t.TempDir(), "keys", "keks.json")) })
}

var patient = keys.Binding{Kind: keys.Content, Token: "pabcdefghijklmnopqrstuvwxyz", Generation: 1}

func TestKeysOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keks.json")
	dek := keys.NewDEK()
	first := open(t, path)
	if _, err := first.Rotate(t.Context(), keys.Content, first.Shard(patient)); err != nil {
		t.Fatal(err)
	}
	wraps, err := first.Wrap(t.Context(), []keys.Bound{{Binding: patient, DEK: dek}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := open(t, path).Unwrap(t.Context(), []keys.Bound{{Binding: patient, Wrap: wraps[0]}})
	if err != nil || !bytes.Equal(got[0].Bytes(), dek.Bytes()) {
		t.Errorf("Unwrap after a restart = %v, or another key", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file has mode %v, %v; want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".keys-*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestTrimmedKeysAreGoneFromTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keks.json")
	s := open(t, path)
	before, _ := os.ReadFile(path)
	for _, shard := range keys.ShardNames(keys.Content, 8) {
		if _, err := s.Rotate(t.Context(), keys.Content, shard); err != nil {
			t.Fatal(err)
		}
		if err := s.Trim(t.Context(), keys.Content, shard, 2); err != nil {
			t.Fatal(err)
		}
	}
	after, _ := os.ReadFile(path)
	kept := 0
	for line := range bytes.Lines(before) {
		if bytes.Contains(line, []byte(`"1": "`)) && bytes.Contains(after, bytes.TrimSpace(line)) {
			kept++
		}
	}
	if kept != 9 { // eight identity shards and the house key
		t.Errorf("%d first versions are still in the file; want 9", kept)
	}
}

func TestRotationThatCannotBeWrittenDoesNotHappen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	s := open(t, filepath.Join(dir, "keks.json"))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rotate(t.Context(), keys.Content, "00"); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("Rotate without a folder = %v; want ErrUnavailable", err)
	}
	if current, _, err := s.Version(t.Context(), keys.Content, "00"); err != nil || current != 1 {
		t.Errorf("Version = %d, %v; want 1", current, err)
	}
	if err := s.Health(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("Health = %v; want ErrUnavailable", err)
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rows := []struct {
		config insecure.Config
		words  string
	}{
		{insecure.Config{Path: filepath.Join(dir, "a")}, "name is required"},
		{insecure.Config{Name: "dev"}, "path is required"},
		{insecure.Config{Name: "dev", Path: filepath.Join(dir, "a"), Shards: 257}, "257 shards"},
		{insecure.Config{Name: "dev", Path: write("empty", "", 0o600)}, "no key file"},
		{insecure.Config{Name: "dev", Path: write("other", `{"keks":{}}`, 0o600)}, "no key file"},
		{insecure.Config{Name: "dev", Path: write("cut", `{"keks":{"content-00":{"current":2,"oldest":1,"versions":{}}}}`, 0o600)}, "lacks version 1"},
		{insecure.Config{Name: "dev", Path: write("open", `{}`, 0o644)}, "chmod 600"},
	}
	for _, row := range rows {
		if _, err := insecure.New(row.config); err == nil || !strings.Contains(err.Error(), row.words) {
			t.Errorf("New(%+v) = %v; want an error saying %q", row.config, err, row.words)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "empty")); len(got) != 0 {
		t.Error("a damaged key file was overwritten")
	}
}
