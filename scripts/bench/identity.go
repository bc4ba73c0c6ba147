package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
)

// measureIdentity takes identity out of CT instances of 0.5 MB, and has two known
// programs do the same to the same files: gdcmanon, which encrypts what it takes out,
// and dcmodify, which is told a handful of attributes. Then it scores a set of objects
// with an answer key.
func measureIdentity(ctx context.Context, o options) (rows []row, score *imagingtest.Result, err error) {
	dir, err := os.MkdirTemp("", "medvault-bench")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	in, patient := filepath.Join(dir, "in"), imagingtest.NewPatient(seed)
	if err := os.Mkdir(in, 0o700); err != nil {
		return nil, nil, err
	}
	var files []string
	var total int64
	for i := range o.instances {
		data := imagingtest.CT(patient, imagingtest.Options{Study: 9, Series: 1, Instance: i + 1})
		total += int64(len(data))
		files = append(files, filepath.Join(in, fmt.Sprintf("%04d.dcm", i)))
		if err := os.WriteFile(files[i], data, 0o600); err != nil {
			return nil, nil, err
		}
	}
	fmt.Fprintf(os.Stderr, "bench: identity out of %d CT instances\n", len(files))
	added, err := scrubInMemory(patient, len(files))
	if err != nil {
		return nil, nil, err
	}
	ours, err := scrubFiles(files, filepath.Join(dir, "ours"))
	if err != nil {
		return nil, nil, err
	}
	added.Bytes, ours.Bytes = total, total
	rows = append(rows, added, ours)
	for _, other := range []func(context.Context, string, []string) (row, error){gdcmanon, dcmodify} {
		r, err := other(ctx, dir, files)
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, "bench:", err)
		default:
			r.Count, r.Bytes = len(files), total
			rows = append(rows, r)
		}
	}
	result, err := imagingtest.Score(dicom.New(), imagingtest.Set(1, 2100, imagingtest.DefaultOptions()...), pseudonyms)
	return rows, &result, err
}

// scrubInMemory is what taking identity out adds to storing a document: one pass, with
// one SHA-256 of the content.
func scrubInMemory(patient imagingtest.Patient, n int) (row, error) {
	data := imagingtest.CT(patient, imagingtest.Options{})
	original := func() (int64, [32]byte) { return int64(len(data)), [32]byte{} }
	scrub := func() error {
		in, err := dicom.New().Begin(bytes.NewReader(data))
		if err != nil {
			return err
		}
		_, err = in.Scrub(pseudonyms(in.Identity().PatientID), nil, original, io.Discard, io.Discard)
		return err
	}
	if err := scrub(); err != nil { // reads the tables; not part of the measurement
		return row{}, err
	}
	before, began := ownCPU(), time.Now()
	for range n {
		if err := scrub(); err != nil {
			return row{}, err
		}
	}
	r := row{Name: "identity out of a CT: in memory", Count: n, Seconds: time.Since(began).Seconds()}
	r.ServerCPUms = (ownCPU() - before).Seconds() * 1e3 / float64(n)
	return r, nil
}

// scrubFiles reads each file, writes its content and restore script beside each other,
// and measures the CPU of that.
func scrubFiles(files []string, dir string) (row, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return row{}, err
	}
	if err := scrubFile(files[0], dir); err != nil { // reads the tables; not part of the measurement
		return row{}, err
	}
	before, began := ownCPU(), time.Now()
	for _, f := range files {
		if err := scrubFile(f, dir); err != nil {
			return row{}, fmt.Errorf("scrub a file: %w", err)
		}
	}
	r := row{Name: "identity out of a CT: medvault", Count: len(files), Seconds: time.Since(began).Seconds()}
	r.ServerCPUms = (ownCPU() - before).Seconds() * 1e3 / float64(len(files))
	return r, nil
}

func scrubFile(name, dir string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	in, err := dicom.New().Begin(bytes.NewReader(data))
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(dir, filepath.Base(name)))
	if err != nil {
		return err
	}
	defer out.Close()
	var script bytes.Buffer
	original := func() (int64, [32]byte) { return int64(len(data)), sha256.Sum256(data) }
	if _, err := in.Scrub(pseudonyms(in.Identity().PatientID), nil, original, out, &script); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, filepath.Base(name)+".script"), script.Bytes(), 0o600)
}

// pseudonyms are keyed as a vault's are.
func pseudonyms(patient string) imaging.Pseudonyms {
	mac := func(kind, value string) []byte {
		h := hmac.New(sha256.New, []byte("a key of the bench"))
		io.WriteString(h, kind+"\x00"+value) // a hash takes everything
		return h.Sum(nil)
	}
	return imaging.Pseudonyms{
		Patient:   "p" + hex.EncodeToString(mac("patient", patient)[:8]),
		UID:       func(o string) string { return "2.25." + new(big.Int).SetBytes(mac("uid", o)[:16]).String() },
		ID:        func(a, v string, most int) string { return ("i" + hex.EncodeToString(mac(a, v)))[:min(most, 16)] },
		ShiftDays: -1000,
	}
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // Linux always answers this
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// gdcmanon de-identifies a folder with the basic profile of 2008; what it takes out is
// encrypted to a certificate into the file.
func gdcmanon(ctx context.Context, dir string, files []string) (row, error) {
	tool, err := exec.LookPath("gdcmanon")
	if err != nil {
		return row{}, fmt.Errorf("no gdcmanon: apt-get install libgdcm-tools to compare with it")
	}
	certificate, out := filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "gdcmanon")
	made := exec.CommandContext(ctx, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bench",
		"-keyout", filepath.Join(dir, "key.pem"), "-out", certificate)
	if text, err := made.CombinedOutput(); err != nil {
		return row{}, fmt.Errorf("openssl: %w: %s", err, text)
	}
	return timed("identity out of a CT: gdcmanon", len(files),
		exec.CommandContext(ctx, tool, "-e", "-c", certificate, "-i", filepath.Dir(files[0]), "-o", out, "-r"))
}

// dcmodify blanks the particulars in place, and makes new UIDs, on copies.
func dcmodify(ctx context.Context, dir string, files []string) (row, error) {
	tool, err := exec.LookPath("dcmodify")
	if err != nil {
		return row{}, fmt.Errorf("no dcmodify: apt-get install dcmtk to compare with it")
	}
	copies := filepath.Join(dir, "dcmodify")
	if err := os.CopyFS(copies, os.DirFS(filepath.Dir(files[0]))); err != nil {
		return row{}, err
	}
	arguments := []string{"-nb", "-imt", "-gin", "-ep", "-ma", "(0010,0010)=p", "-ma", "(0010,0020)=p"}
	for _, tag := range []string{"(0008,0050)", "(0008,0080)", "(0008,0090)", "(0008,1010)", "(0010,0030)", "(0010,1000)", "(0010,1040)",
		"(0010,1060)", "(0010,2154)", "(0010,4000)", "(0008,1030)", "(0018,1000)", "(0020,4000)"} {
		arguments = append(arguments, "-ea", tag)
	}
	for _, f := range files {
		arguments = append(arguments, filepath.Join(copies, filepath.Base(f)))
	}
	return timed("identity out of a CT: dcmodify", len(files), exec.CommandContext(ctx, tool, arguments...))
}

// timed runs a program over all files at once and shares its CPU among them.
func timed(name string, files int, c *exec.Cmd) (row, error) {
	began := time.Now()
	if text, err := c.CombinedOutput(); err != nil {
		return row{}, fmt.Errorf("%s: %w: %.200s", name, err, text)
	}
	cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	return row{Name: name, Seconds: time.Since(began).Seconds(), ServerCPUms: cpu.Seconds() * 1e3 / float64(files)}, nil
}
