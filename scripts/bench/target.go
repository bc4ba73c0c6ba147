package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// target is the server being measured.
type target struct {
	dicomweb              string
	storeToken, openToken string
	http                  *http.Client
	server                *exec.Cmd // nil: not ours
	scratch               string    // removed by close
	serverExited          chan struct{}
	serverOutput          string
}

func openTarget(ctx context.Context, o options) (*target, error) {
	t := &target{http: newClient()}
	if o.url != "" {
		t.dicomweb, t.storeToken, t.openToken = strings.TrimRight(o.url, "/")+"/dicomweb", o.storeToken, o.openToken
		return t, nil
	}
	if err := t.start(ctx, o); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// newClient speaks plain HTTP to one host; responses are never compressed behind our
// back.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
}

// start builds medvault and runs `medvault dev`.
func (t *target) start(ctx context.Context, o options) error {
	var err error
	if t.scratch, err = os.MkdirTemp("", "medvault-bench-"); err != nil {
		return err
	}
	binary, dir := filepath.Join(t.scratch, "medvault"), filepath.Join(t.scratch, "vault")
	if o.dir != "" {
		dir = o.dir
	}
	fmt.Fprintln(os.Stderr, "bench: building medvault")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/medvault")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build medvault (run bench from the root of the repository): %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	if err := t.run(exec.Command(binary, "dev", "--dir", dir, "--listen", address.String(), "--no-sample")); err != nil {
		return err
	}
	return t.until(ctx, func() bool { return t.ready(filepath.Join(dir, "dev.json")) })
}

// run starts a server; its output goes to a file.
func (t *target) run(server *exec.Cmd) error {
	t.serverOutput = filepath.Join(t.scratch, "output")
	output, err := os.Create(t.serverOutput)
	if err != nil {
		return err
	}
	defer output.Close()
	t.server = server
	t.server.Stdout, t.server.Stderr = output, output
	if err := t.server.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(server.Path), err)
	}
	t.serverExited = make(chan struct{})
	go func() {
		t.server.Wait() // how it ended shows in its output
		close(t.serverExited)
	}()
	return nil
}

// until waits for a server to become ready.
func (t *target) until(ctx context.Context, ready func() bool) error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-t.serverExited:
			said, _ := os.ReadFile(t.serverOutput)
			return fmt.Errorf("the server ended: %s", said)
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		if ready() {
			return nil
		}
	}
	return errors.New("the server was not ready within a minute")
}

// ready says that there is a dev.json of this start, and a gateway that answers.
func (t *target) ready(path string) bool {
	var dev struct {
		DICOMweb string            `json:"dicomweb"`
		URL      string            `json:"url"`
		Tokens   map[string]string `json:"tokens"`
	}
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &dev) != nil || !t.answers(strings.TrimRight(dev.URL, "/")+"/healthz") {
		return false // or the address is of an earlier start
	}
	t.dicomweb, t.storeToken, t.openToken = strings.TrimRight(dev.DICOMweb, "/"), dev.Tokens["radiology"], dev.Tokens["clinician"]
	return true
}

func (t *target) answers(url string) bool {
	response, err := t.http.Get(url)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (t *target) close() {
	if t.server != nil && t.server.Process != nil {
		t.server.Process.Signal(syscall.SIGINT)
		select {
		case <-t.serverExited:
		case <-time.After(30 * time.Second):
			t.server.Process.Kill()
		}
	}
	if t.scratch != "" {
		os.RemoveAll(t.scratch)
	}
}

// cpu is the processor time the server has used; zero when it is not ours.
func (t *target) cpu() time.Duration {
	if t.server == nil {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.server.Process.Pid))
	if err != nil {
		return 0
	}
	// After the name in parentheses: state is field 3, utime 14, stime 15, in ticks
	// of 10 ms on every Linux that Go runs on.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// forgetPeak makes peak begin anew.
func (t *target) forgetPeak() {
	if t.server != nil {
		forgetPeak(t.server.Process.Pid)
	}
}

// peak is the most memory the server has had since forgetPeak, in MiB.
func (t *target) peak() float64 {
	if t.server == nil {
		return 0
	}
	return peakMiB(t.server.Process.Pid)
}
