package dicom_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"

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
