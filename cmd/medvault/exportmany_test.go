package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"medvault/api/client"
	"medvault/imaging/imagingtest"
)

// TestAPackageOfManyInstances exports a tenth of MEDVAULT_TEST_PACKAGE instances, then all
// of them, and prints what server and client took of memory: beside some hundred bytes an
// instance it must not grow.
func TestAPackageOfManyInstances(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("MEDVAULT_TEST_PACKAGE"))
	if err != nil {
		t.Skip("set MEDVAULT_TEST_PACKAGE=10000 to export a package of so many instances")
	}
	scratch := t.TempDir()
	binary, dev := filepath.Join(scratch, "medvault"), filepath.Join(scratch, "vault")
	if said, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, said)
	}
	server := exec.Command(binary, "dev", "--dir", dev, "--listen", "127.0.0.1:0", "--no-sample")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGINT)
		server.Wait()
	})
	var at devFile
	waited(t, "dev is ready", func() bool {
		data, err := os.ReadFile(filepath.Join(dev, "dev.json"))
		return err == nil && json.Unmarshal(data, &at) == nil
	})
	store, err := client.New(client.Config{URL: at.URL, Token: at.Tokens["radiology"]})
	if err != nil {
		t.Fatal(err)
	}
	patient := imagingtest.NewPatient(8)
	var group errgroup.Group
	upload := func(from, to int) (token string) {
		group.SetLimit(8)
		for i := from; i < to; i++ {
			group.Go(func() error {
				// Series of five hundred; every tenth instance is large.
				o := imagingtest.Options{Study: 1, Series: 1 + i/500, Instance: i + 1, Rows: 32, Columns: 32, Plain: true}
				if i%10 == 0 {
					o.Rows, o.Columns = 512, 512
				}
				_, err := store.StoreDICOM(t.Context(), bytes.NewReader(imagingtest.CT(patient, o)))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		r, err := store.StorePDF(t.Context(), bytes.NewReader(imagingtest.Report(patient)), client.PDF{PatientID: patient.ID, Issuer: patient.Issuer})
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Patient)
	}
	var clientPeak []float64
	for i, size := range []int{n / 10, n} {
		token := upload([]int{0, n / 10}[i], size)
		if i == 0 {
			asPatient(t, dev, token)
		}
		os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", server.Process.Pid), []byte("5"), 0) // the peak begins anew, where that is allowed
		file := filepath.Join(scratch, fmt.Sprintf("p%d.zip", size))
		began := time.Now()
		export := exec.Command(binary, "export", "--dev", dev, "--patient", token, "-o", file, "--insecure-plain")
		if said, err := export.CombinedOutput(); err != nil {
			t.Fatalf("export: %v\n%s", err, said)
		}
		took := time.Since(began)
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		peak := float64(export.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
		clientPeak = append(clientPeak, peak)
		t.Logf("%d instances, %d MB: %.1f s; peak of the client %.0f MiB, of the server %.0f MiB", size, info.Size()>>20, took.Seconds(), peak, peakOf(t, server.Process.Pid))
		began = time.Now()
		verify := exec.Command(binary, "export", "verify", file)
		if said, err := verify.CombinedOutput(); err != nil {
			t.Fatalf("verify: %v\n%s", err, said)
		}
		t.Logf("verify: %.1f s, %.0f MiB", time.Since(began).Seconds(), float64(verify.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024)
		if i == 1 {
			read, err := exec.Command("sh", "-c", "cd "+scratch+" && unzip -q -o "+file+" DICOMDIR && dcmdump DICOMDIR | grep -c 'DirectoryRecordType'").Output()
			if err != nil || strings.TrimSpace(string(read)) != strconv.Itoa(2+(n+499)/500+n) {
				t.Errorf("dcmdump counts %s records in the DICOMDIR, %v; want %d", bytes.TrimSpace(read), err, 2+(n+499)/500+n)
			}
		}
	}
	// 2 KiB an instance, and a little for chance.
	if grown := clientPeak[1] - clientPeak[0]; grown > float64(n)*2/1024+32 {
		t.Errorf("the client's peak grew by %.0f MiB with the instances", grown)
	}
}

func waited(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not become so: %s", what)
		}
	}
}

// peakOf is the largest resident size of a process, in MiB; 0 where it cannot be known.
func peakOf(t *testing.T, pid int) float64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 64)
			return kb / 1024
		}
	}
	return 0
}
