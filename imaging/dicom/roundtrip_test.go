package dicom_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"os"
	"testing"

	"medvault/imaging"
	"medvault/imaging/dicom"
)

// pseudonyms are made as keys/token makes them: keyed, deterministic, VR-legal.
func pseudonyms(patient string) imaging.Pseudonyms {
	mac := func(kind, value string) []byte {
		h := hmac.New(sha256.New, []byte("a key for tests"))
		fmt.Fprintf(h, "%s\x00%s", kind, value)
		return h.Sum(nil)
	}
	return imaging.Pseudonyms{
		Patient:   "p" + hex.EncodeToString(mac("patient", patient)[:8]),
		UID:       func(o string) string { return "2.25." + new(big.Int).SetBytes(mac("uid", o)[:16]).String() },
		ID:        func(a, v string, most int) string { return ("i" + hex.EncodeToString(mac(a, v)))[:min(most, 16)] },
		ShiftDays: -1000,
	}
}

// socket hashes what is read, as the gateway does.
type socket struct {
	r io.Reader
	h hash.Hash
	n int64
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	s.n += int64(n)
	return n, err
}

func (s *socket) original() (int64, [32]byte) { return s.n, [32]byte(s.h.Sum(nil)) }

// scrub takes identity out of a document in memory.
func scrub(r io.Reader) (id imaging.Identity, out imaging.Scrubbed, content, script []byte, err error) {
	return scrubFrom(dicom.New().Begin, r)
}

func scrubFrom(begin func(io.Reader) (imaging.Incoming, error), r io.Reader) (id imaging.Identity, out imaging.Scrubbed, content, script []byte, err error) {
	s := &socket{r: r, h: sha256.New()}
	in, err := begin(s)
	if err != nil {
		return id, out, nil, nil, err
	}
	id = in.Identity()
	var c, p bytes.Buffer
	out, err = in.Scrub(pseudonyms(id.PatientID), nil, s.original, &c, &p)
	return id, out, c.Bytes(), p.Bytes(), err
}

// restored reports whether content and script give the original.
func restored(original, content, script []byte) error {
	var back bytes.Buffer
	if err := imaging.Restore(&back, bytes.NewReader(content), bytes.NewReader(script)); err != nil {
		return err
	}
	if !bytes.Equal(back.Bytes(), original) {
		return errors.New("restored, but not the original")
	}
	return nil
}

// TestCorpusRoundTrip takes identity out of every real file and puts it back.
func TestCorpusRoundTrip(t *testing.T) {
	accepted, refused, held, left := 0, map[string]int{}, map[string]int{}, map[string]int{}
	anyone := 0
	files := corpus(t)
	for i, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		id, out, content, script, err := scrub(bytes.NewReader(data))
		var refusal *imaging.Refusal
		isRefused := errors.As(err, &refusal)
		if isRefused {
			refused[refusal.Code]++
			if refusal.Code != "missing-patient-id" && refusal.Code != "missing-uid" && refusal.Code != "invalid-uid" {
				continue
			}
			// These must be refused, but their bytes show as well as any whether
			// splitting and restoring are exact.
			id, out, content, script, err = scrubFrom(dicom.BeginAnyone, bytes.NewReader(data))
			if errors.As(err, &refusal) {
				refused["then "+refusal.Code]++
				continue
			}
		}
		if err != nil {
			t.Errorf("file %d: %v", i, err)
			continue
		}
		if err := restored(data, content, script); err != nil {
			t.Errorf("file %d: %v", i, err)
		}
		if isRefused {
			anyone++
			continue
		}
		accepted++
		held[out.Held]++
		for what, value := range map[string]string{"study uid": id.Study, "series uid": id.Series, "instance uid": id.Instance,
			"patient id": id.PatientID, "patient name": id.PatientName} {
			if len(value) >= 5 && bytes.Contains(content, []byte(value)) {
				left[what]++
			}
		}
		if out.Facts.Size != int64(len(content)) {
			t.Errorf("file %d: facts say %d bytes; want %d", i, out.Facts.Size, len(content))
		}
		if !json.Valid(out.Who) || !json.Valid(out.Facts.Attributes) {
			t.Errorf("file %d: attributes are not JSON", i)
		}
	}
	t.Logf("%d files: %d accepted and restored, %d more restored that must be refused; refused %v; held %v",
		len(files), accepted, anyone, refused, held)
	if accepted < 828 || anyone < 40 {
		t.Errorf("%d and %d restored; want at least 828 and 40", accepted, anyone)
	}
	if len(left) > 0 {
		t.Errorf("identifiers left in the content: %v", left)
	}
}
