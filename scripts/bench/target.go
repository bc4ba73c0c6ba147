package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// target is the vault being measured.
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
	// Plain HTTP to one host; responses are never compressed behind our back.
	t := &target{http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}}
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
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := port.Addr().String()
	port.Close()
	t.serverOutput = filepath.Join(t.scratch, "output")
	output, err := os.Create(t.serverOutput)
	if err != nil {
		return err
	}
	defer output.Close()
	t.server = exec.Command(binary, "dev", "--dir", dir, "--listen", address, "--no-sample")
	t.server.Stdout, t.server.Stderr = output, output
	if err := t.server.Start(); err != nil {
		return fmt.Errorf("start medvault dev: %w", err)
	}
	t.serverExited = make(chan struct{})
	go func() {
		t.server.Wait() // how it ended shows in its output
		close(t.serverExited)
	}()
	return t.await(ctx, filepath.Join(dir, "dev.json"))
}

// await waits for dev.json of this start, and for the gateway to be ready.
func (t *target) await(ctx context.Context, path string) error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-t.serverExited:
			said, _ := os.ReadFile(t.serverOutput)
			return fmt.Errorf("medvault dev ended: %s", said)
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		var dev struct {
			DICOMweb string            `json:"dicomweb"`
			URL      string            `json:"url"`
			Tokens   map[string]string `json:"tokens"`
		}
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &dev) != nil {
			continue
		}
		response, err := t.http.Get(strings.TrimRight(dev.URL, "/") + "/healthz")
		if err != nil {
			continue // the address of an earlier start
		}
		response.Body.Close()
		t.dicomweb, t.storeToken, t.openToken = strings.TrimRight(dev.DICOMweb, "/"), dev.Tokens["radiology"], dev.Tokens["clinician"]
		return nil
	}
	return errors.New("medvault dev was not ready within a minute")
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
		os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", t.server.Process.Pid), []byte("5"), 0)
	}
}

// peak is the most memory the server has had since forgetPeak, in MiB.
func (t *target) peak() float64 {
	if t.server == nil {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.server.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.Atoi(strings.Fields(value)[0])
			return float64(kilobytes) / 1024
		}
	}
	return 0
}
