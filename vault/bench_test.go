package vault_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/vaulttest"
)

// BenchmarkPut stores CT instances of 0.5 MB in three directory regions, beside one
// SHA-256 over the same bytes, of which the flow needs at least three.
func BenchmarkPut(b *testing.B) {
	p := patient()
	docs := make([][]byte, 200)
	for i := range docs {
		docs[i] = imagingtest.CT(p, imagingtest.Options{Study: 1, Series: 1, Instance: i + 1})
	}
	b.Run("vault", func(b *testing.B) {
		h := vaulttest.New(b, vaulttest.Options{})
		b.SetBytes(int64(len(docs[0])))
		for n := 0; b.Loop(); n++ {
			if n == len(docs) {
				b.Fatal("run with -benchtime of at most 200x")
			}
			if _, err := h.Put(b.Context(), radiology, vault.Upload{Body: bytes.NewReader(docs[n])}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(len(docs[0])))
		for b.Loop() {
			sha256.Sum256(docs[0])
		}
	})
}

// BenchmarkOpen reads whole CT instances back, beside one SHA-256.
func BenchmarkOpen(b *testing.B) {
	h := vaulttest.New(b, vaulttest.Options{AutoCare: clinician.ID})
	doc := imagingtest.CT(patient(), imagingtest.Options{})
	r, err := h.Put(b.Context(), radiology, vault.Upload{Body: bytes.NewReader(doc)})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		opened, err := h.Open(b.Context(), clinician, vault.Ref{Document: r.ID})
		if err != nil {
			b.Fatal(err)
		}
		body, err := opened.Documents[0].Reader(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			b.Fatal(err)
		}
		body.Close()
	}
}
