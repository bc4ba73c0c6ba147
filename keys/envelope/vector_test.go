package envelope_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"medvault/keys"
	"medvault/keys/envelope"
)

var update = flag.Bool("update", false, "seal the vectors in testdata anew; only a new format version needs that")

// vector is one object and what must come out of it. Nonces, salts and seal id
// are random, so vectors test opening only.
type vector struct {
	Note       string            `json:"note"`
	Content    string            `json:"contentKey"`
	Identity   string            `json:"identityKey"`
	Object     string            `json:"objectId"`
	Patient    string            `json:"patient"`
	Generation uint32            `json:"generation"`
	Seal       string            `json:"sealId"`
	Kind       uint8             `json:"kind"`
	Plain      map[string]string `json:"plainSha256"` // part name to SHA-256 of its plaintext
	Sealed     []string          `json:"sealed"`      // the object in hex, in lines
}

// vectors are sealed by -update; the plaintexts are text(n).
var vectors = map[string]map[string]int{
	"empty-parts": {envelope.Content: 0, envelope.Identity: 0, envelope.Who: 0, envelope.Facts: 0},
	"small":       {envelope.Content: 300, envelope.Identity: 120, envelope.Who: 40, envelope.Facts: 80},
	"no-identity": {envelope.Content: 25},
	"two-chunks":  {envelope.Content: chunk + 1, envelope.Facts: 10},
	"full-chunk":  {envelope.Content: chunk},
}

func TestVectors(t *testing.T) {
	if *update {
		for name, sizes := range vectors {
			writeVector(t, name, sizes)
		}
	}
	for name := range vectors {
		t.Run(name, func(t *testing.T) { testVector(t, name) })
	}
}

// load reads a vector and the object in it.
func load(t testing.TB, name string) (v vector, object []byte) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v, unhex(t, strings.Join(v.Sealed, ""))
}

func testVector(t *testing.T, name string) {
	v, object := load(t, name)
	want := envelope.Header{Object: [16]byte(unhex(t, v.Object)), Patient: v.Patient, Generation: v.Generation, Seal: [16]byte(unhex(t, v.Seal)), Kind: v.Kind}
	k := envelope.Keys{Content: keys.DEKFrom([32]byte(unhex(t, v.Content))), Identity: keys.DEKFrom([32]byte(unhex(t, v.Identity)))}
	o, err := open(object, want, k)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Parts()) != len(v.Plain) {
		t.Errorf("Parts = %v; want those of %v", o.Parts(), v.Plain)
	}
	for part, sum := range v.Plain {
		got, err := readPart(o, part)
		if err != nil {
			t.Fatal(err)
		}
		if s := sha256.Sum256(got); hex.EncodeToString(s[:]) != sum {
			t.Errorf("SHA-256 of %s = %x; want %s", part, s, sum)
		}
	}
	if err := o.Verify(context.Background()); err != nil {
		t.Errorf("Verify = %v", err)
	}
}

func writeVector(t *testing.T, name string, sizes map[string]int) {
	plain := map[string][]byte{}
	v := vector{Note: "plaintext byte i of each part is i ^ i>>8 ^ i>>16", Content: hexOf(both.Content.Bytes()), Identity: hexOf(both.Identity.Bytes()), Plain: map[string]string{}}
	for part, size := range sizes {
		plain[part] = text(size)
		sum := sha256.Sum256(plain[part])
		v.Plain[part] = hexOf(sum[:])
	}
	object := seal(t, header, both, plain)
	h := mustOpen(t, object).Header()
	v.Object, v.Patient, v.Generation, v.Seal, v.Kind = hexOf(h.Object[:]), h.Patient, h.Generation, hexOf(h.Seal[:]), h.Kind
	for len(object) > 0 {
		n := min(64, len(object))
		v.Sealed = append(v.Sealed, hexOf(object[:n]))
		object = object[n:]
	}
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", name+".json"), append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInspectTellsInWords(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(chunk + 1), envelope.Who: text(3)})
	d, err := envelope.Inspect(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	got := d.String()
	for _, want := range []string{
		"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", header.Patient, "key generation 3", "kind        1",
		`"content" at 71: 65657 bytes sealed, 65537 bytes plain, chunks: 2, under the content key`,
		`"who" at 65728: 95 bytes sealed, 3 bytes plain, chunks: 1, under the identity key`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("description lacks %q:\n%s", want, got)
		}
	}
}
