package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"medvault/api/client"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
)

// TestAsProgram is no test: other tests run this binary as the program itself.
func TestAsProgram(t *testing.T) {
	args := os.Getenv("MEDVAULT_TEST_PROGRAM")
	if args == "" {
		t.Skip("run by other tests only")
	}
	os.Exit(run(context.Background(), strings.Fields(args), os.Stdout, os.Stderr))
}

// A whole run of a gateway: nothing it says, to whomever, holds a token or a key, and
// nobody gets at its memory.
func TestARunningGatewayKeepsItsSecrets(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	dir, cwd := t.TempDir(), t.TempDir()
	said := new(lockedBuffer)
	program := exec.Command(os.Args[0], "-test.run=^TestAsProgram$")
	program.Env = append(os.Environ(), "MEDVAULT_TEST_PROGRAM=dev --no-sample --listen 127.0.0.1:0 --dir "+dir, "GOTRACEBACK=all")
	program.Stdout, program.Stderr, program.Dir = said, said, cwd
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			program.Process.Kill()
			program.Wait()
		}
	}()
	var ready devInfo
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if data, err := os.ReadFile(filepath.Join(dir, "dev.json")); err == nil && json.Unmarshal(data, &ready) == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready within a minute; it said\n%s", said)
		}
	}
	secrets := map[string]string{}
	for role, token := range ready.Tokens {
		secrets["token of "+string(role)] = token
	}
	admin := connected(t, ready.URL, ready.Tokens["admin"])
	machine := vault.NewAPIToken{Subject: "service:ct-1", Role: "radiology", Scopes: []string{"system/*.cruds"}, Expires: time.Now().Add(time.Hour)}
	if _, _, err := admin.CreateAPIToken(t.Context(), machine); err == nil || !strings.Contains(err.Error(), "not-on-register") {
		t.Errorf("a token for a machine that nobody registered: %v; want not-on-register", err)
	}
	if _, err := admin.AddStaff(t.Context(), vault.StaffPerson{Subject: machine.Subject, Kind: "service", Roles: []record.Role{machine.Role}, Institution: "dev"}); err != nil {
		t.Fatal(err)
	}
	_, secret, err := admin.CreateAPIToken(t.Context(), machine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connected(t, ready.URL, secret).StoreDICOM(t.Context(), bytes.NewReader(imagingtest.CT(imagingtest.NewPatient(2), imagingtest.Options{}))); err != nil {
		t.Errorf("the machine stores with its token: %v", err)
	}
	secrets["API token"] = strings.TrimPrefix(secret, vault.APITokenPrefix)
	for name, key := range localKeys(t, dir) {
		secrets[name] = key
	}

	var heard bytes.Buffer
	hear := func(method, path, token string, body io.Reader) int {
		r, err := http.NewRequest(method, ready.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		resp.Header.Write(&heard)
		if _, err := io.Copy(&heard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	if _, err := connected(t, ready.URL, ready.Tokens["radiology"]).StoreDICOM(t.Context(), bytes.NewReader(imagingtest.CT(imagingtest.NewPatient(1), imagingtest.Options{}))); err != nil {
		t.Fatal(err)
	}
	for _, token := range ready.Tokens {
		for _, path := range []string{"/api/v1/tokens", "/api/v1/regions", "/api/v1/keys", "/dicomweb/studies", "/api/v1/documents/" + strings.Repeat("0", 32)} {
			hear("GET", path, token, nil)
		}
		if status := hear("GET", "/api/v1/regions", token+"x", nil); status != 401 {
			t.Errorf("a wrong token: %d; want 401", status)
		}
		hear("POST", "/api/v1/revocations", token, strings.NewReader(`{"reason":"`+token+`"}`))
		hear("POST", "/api/v1/tokens", token, strings.NewReader(token))
	}
	hear("GET", "/metrics", "", nil)
	hear("GET", "/readyz", "", nil)

	proc := filepath.Join("/proc", strconv.Itoa(program.Process.Pid))
	limits := readFile(t, filepath.Join(proc, "limits"))
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).MatchString(limits) {
		t.Errorf("core dumps are not off:\n%s", limits)
	}
	heard.WriteString(readFile(t, filepath.Join(proc, "cmdline")) + readFile(t, filepath.Join(proc, "environ")))
	if info, err := os.Stat(filepath.Join(proc, "mem")); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("/proc/PID/mem belongs to the user, so any process of theirs may read it: %v", err)
	}
	// The traces of all goroutines, as after a crash.
	if err := program.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	program.Wait()
	ended = true
	if !strings.Contains(said.String(), "goroutine 1 ") {
		t.Errorf("no traces were written:\n%s", said)
	}
	heard.WriteString(said.String())
	for name, secret := range secrets {
		if len(secret) < 16 {
			t.Errorf("%s is too short to look for", name)
		}
		if strings.Contains(heard.String(), secret) {
			t.Errorf("the gateway has said the %s", name)
		}
	}
	if left, err := os.ReadDir(cwd); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v; want nothing, no core above all", left, err)
	}
	if len(secrets) < 15 || heard.Len() < 10_000 {
		t.Errorf("looked for %d secrets in %d bytes", len(secrets), heard.Len())
	}
}

func connected(t *testing.T, url, token string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// localKeys finds the texts in the key files of a dev vault that could be keys.
func localKeys(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "keys", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no key files: %v", err)
	}
	keys := make(map[string]string)
	for _, file := range files {
		for i, match := range regexp.MustCompile(`[A-Za-z0-9+/_=-]{40,}`).FindAllString(readFile(t, file), -1) {
			keys[filepath.Base(file)+" "+strconv.Itoa(i)] = match
		}
	}
	if len(keys) == 0 {
		t.Fatal("no keys in the key files")
	}
	return keys
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
