package envelope_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"medvault/keys"
	"medvault/keys/envelope"
)

// Each test is one attack, with the error it must give.

func refused(t *testing.T, what string, err, want error, words string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
		t.Errorf("%s = %v; want %v naming %q", what, err, want, words)
	}
}

// part tells where a part lies.
func part(t *testing.T, object []byte, name string) envelope.PartDescription {
	t.Helper()
	d, err := envelope.Inspect(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Parts {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no part %s", name)
	return envelope.PartDescription{}
}

// readSwapped opens the footer of genuine but fetches from swapped.
func readSwapped(t *testing.T, genuine, swapped []byte, name string) ([]byte, error) {
	t.Helper()
	footer, err := envelope.ReadFooter(context.Background(), fetcher(genuine, nil), int64(len(genuine)))
	if err != nil {
		t.Fatal(err)
	}
	o, err := envelope.Open(footer, fetcher(swapped, nil), header, both)
	if err != nil {
		t.Fatal(err)
	}
	return readPart(o, name)
}

func TestWrongKey(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(9), envelope.Identity: text(9)})
	_, err := open(object, header, envelope.Keys{Content: keys.DEKFrom([32]byte{9}), Identity: both.Identity})
	refused(t, "open under another content key", err, envelope.ErrWrongKey, "footer")
	_, err = open(object, header, envelope.Keys{Identity: both.Identity})
	refused(t, "open without content key", err, envelope.ErrWrongKey, "no content key")

	o, err := open(object, header, envelope.Keys{Content: both.Content, Identity: keys.DEKFrom([32]byte{9})})
	if err != nil {
		t.Fatal(err)
	}
	_, err = readPart(o, envelope.Identity)
	refused(t, "read under another identity key", err, envelope.ErrWrongKey, "part identity")
	_, err = o.Range(context.Background(), envelope.Identity, 0, 1)
	refused(t, "range under another identity key", err, envelope.ErrWrongKey, "part identity")
}

func TestContentKeyDoesNotOpenIdentity(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(9), envelope.Who: text(9)})
	o, err := open(object, header, envelope.Keys{Content: both.Content, Identity: both.Content})
	if err != nil {
		t.Fatal(err)
	}
	_, err = readPart(o, envelope.Who)
	refused(t, "read who under the content key", err, envelope.ErrWrongKey, "part who")
}

func TestWrongPatient(t *testing.T) {
	other := header
	other.Patient = "pzzzzzzzzzzzzzzzzzzzzzzzzzz"
	testOtherHeader(t, other, "another patient", func(b []byte, at int) { copy(b[at+6+16+1:], other.Patient) })
}

func TestWrongObject(t *testing.T) {
	other := header
	other.Object[0] ^= 1
	testOtherHeader(t, other, "another object", func(b []byte, at int) { b[at+6] ^= 1 })
}

func TestWrongGeneration(t *testing.T) {
	other := header
	other.Generation++
	testOtherHeader(t, other, "another generation", func(b []byte, at int) { b[at+6+16+1+27+3]++ })
}

func TestWrongKind(t *testing.T) {
	other := header
	other.Kind++
	testOtherHeader(t, other, "another kind", func(b []byte, at int) { b[at+6+16+1+27+4+16]++ })
}

func TestWrongSealing(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(9)})
	other := header
	other.Seal[5] = 7
	_, err := open(object, other, both)
	refused(t, "open another sealing", err, envelope.ErrTampered, "another sealing")

	exact := mustOpen(t, object).Header()
	if _, err := open(object, exact, both); err != nil {
		t.Errorf("open with the seal id told = %v", err)
	}
}

// testOtherHeader asks for another header than was sealed, then lets an attacker
// without keys write that header into the object.
func testOtherHeader(t *testing.T, other envelope.Header, words string, edit func(b []byte, at int)) {
	t.Helper()
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(9)})
	_, err := open(object, other, both)
	refused(t, "open as "+words, err, envelope.ErrTampered, words)

	d, _ := envelope.Inspect(bytes.NewReader(object), int64(len(object)))
	edit(object, 0)
	edit(object, int(d.Size-d.Footer)+64)
	if d, err = envelope.Inspect(bytes.NewReader(object), int64(len(object))); err != nil || d.Header.Patient != other.Patient || d.Header.Object != other.Object {
		t.Fatalf("the attack itself went wrong: %v", err)
	}
	_, err = open(object, other, both)
	refused(t, "open as rewritten to "+words, err, envelope.ErrWrongKey, "footer")
}

func TestSwappedParts(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(50), envelope.Facts: text(50)})
	c, f := part(t, object, envelope.Content), part(t, object, envelope.Facts)
	swapped := bytes.Clone(object)
	copy(swapped[c.Offset:], object[f.Offset:f.Offset+f.Length])
	copy(swapped[f.Offset:], object[c.Offset:c.Offset+c.Length])
	o := mustOpen(t, swapped)
	_, err := readPart(o, envelope.Content)
	refused(t, "read content where facts lie", err, envelope.ErrTampered, "part content, head")
	refused(t, "Verify", o.Verify(context.Background()), envelope.ErrTampered, "part content, head")
	r, err := o.Range(context.Background(), envelope.Content, 0, 50)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Read(make([]byte, 50))
	refused(t, "range of content where facts lie", err, envelope.ErrTampered, "part content, chunk 0")
}

func TestPartsOfTwoSealingsInterchanged(t *testing.T) {
	plain := map[string][]byte{envelope.Content: text(chunk + 9), envelope.Identity: text(20)}
	first, second := seal(t, header, both, plain), seal(t, header, both, plain)
	for _, name := range []string{envelope.Content, envelope.Identity} {
		p := part(t, first, name)
		mixed := bytes.Clone(first)
		copy(mixed[p.Offset:], second[p.Offset:p.Offset+p.Length])
		_, err := readPart(mustOpen(t, mixed), name)
		refused(t, "read "+name+" of another sealing", err, envelope.ErrTampered, "part "+name+", head")

		// Only the chunks, under the genuine head.
		mixed = bytes.Clone(first)
		copy(mixed[p.Offset+64:], second[p.Offset+64:p.Offset+p.Length])
		_, err = readPart(mustOpen(t, mixed), name)
		refused(t, "read chunks of another sealing of "+name, err, envelope.ErrTampered, "part "+name+", chunk 0")
	}
	cut := part(t, first, envelope.Identity)
	mixed := append(bytes.Clone(first[:cut.Offset+cut.Length]), second[cut.Offset+cut.Length:]...)
	_, err := readPart(mustOpen(t, mixed), envelope.Content)
	refused(t, "read under the footer of another sealing", err, envelope.ErrTampered, "part content, head")
	_, err = envelope.Inspect(bytes.NewReader(mixed), int64(len(mixed)))
	refused(t, "Inspect with the footer of another sealing", err, envelope.ErrTampered, "disagree")
	refused(t, "Verify", mustOpen(t, mixed).Verify(context.Background()), envelope.ErrTampered, "prefix")
}

func TestSwappedChunks(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(4 * chunk)})
	at := part(t, object, envelope.Content).Offset + 64
	const size = chunk + 28
	swapped := bytes.Clone(object)
	copy(swapped[at+size:], object[at+2*size:at+3*size])
	copy(swapped[at+2*size:], object[at+size:at+2*size])
	got, err := readSwapped(t, object, swapped, envelope.Content)
	refused(t, "read with chunks 1 and 2 swapped", err, envelope.ErrTampered, "part content, chunk 1")
	if !bytes.Equal(got, text(4 * chunk)[:chunk]) {
		t.Errorf("released %d bytes; want the one good chunk", len(got))
	}
}

// withoutChunk cuts chunk n out of content, or cuts all of it from there on.
func withoutChunk(t *testing.T, object []byte, n int64) []byte {
	at := part(t, object, envelope.Content).Offset + 64 + n*(chunk+28)
	return append(bytes.Clone(object[:at]), object[at+chunk+28:]...)
}

func TestDroppedChunk(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(4 * chunk)})
	dropped := withoutChunk(t, object, 1)
	_, err := open(dropped, header, both)
	refused(t, "open with a chunk dropped", err, envelope.ErrTampered, "footer lies at")
	_, err = readSwapped(t, object, dropped, envelope.Content)
	refused(t, "read with a chunk dropped", err, envelope.ErrTampered, "part content, chunk 1")
}

func TestLastChunkDroppedAndTheOneBeforeItShownAsLast(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(3 * chunk)})
	dropped := withoutChunk(t, object, 2)
	shrunk := rewriteTable(t, dropped, 2*chunk)
	_, err := open(shrunk, header, both)
	refused(t, "open with the last chunk dropped and the table rewritten", err, envelope.ErrTampered, "footer")
}

// rewriteTable writes a new plain length of the only part into the footer.
func rewriteTable(t *testing.T, object []byte, plain uint64) []byte {
	length := int(binary.BigEndian.Uint32(object[len(object)-10:]))
	line := len(object) - 10 - length + 64 + (6 + 16 + 1 + 27 + 4 + 16 + 1) + 1
	name := int(object[line])
	binary.BigEndian.PutUint64(object[line+1+name+8:], 64+plain+plain/chunk*28)
	binary.BigEndian.PutUint64(object[line+1+name+16:], plain)
	if _, err := envelope.Inspect(bytes.NewReader(object), int64(len(object))); err != nil {
		t.Fatalf("the attack itself went wrong: %v", err)
	}
	return object
}

func TestAppendedChunk(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(2 * chunk)})
	p := part(t, object, envelope.Content)
	end := p.Offset + p.Length
	last := object[end-chunk-28 : end]
	appended := append(append(bytes.Clone(object[:end]), last...), object[end:]...)
	_, err := open(appended, header, both)
	refused(t, "open with a chunk appended", err, envelope.ErrTampered, "footer lies at")
	_, err = open(rewriteTable(t, appended, 3*chunk), header, both)
	refused(t, "open with a chunk appended and the table rewritten", err, envelope.ErrTampered, "footer")
}

func TestTruncatedChunk(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(2*chunk + 100)})
	p := part(t, object, envelope.Content)
	cut := object[:p.Offset+64+chunk+28+500]
	got, err := readSwapped(t, object, cut, envelope.Content)
	refused(t, "read of a cut part", err, envelope.ErrTruncated, "part content, chunk 1")
	if len(got) != chunk {
		t.Errorf("released %d bytes; want the one good chunk", len(got))
	}
	_, err = readSwapped(t, object, object[:p.Offset+10], envelope.Content)
	refused(t, "read of a cut head", err, envelope.ErrTruncated, "part content, head")
}

func TestFileTruncatedAnywhere(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(30), envelope.Identity: text(20), envelope.Who: nil, envelope.Facts: text(10)})
	for n := range object {
		_, err := open(object[:n], header, both)
		refused(t, "open of a cut file", err, envelope.ErrTruncated, "")
		if _, err := envelope.Inspect(bytes.NewReader(object[:n]), int64(n)); err == nil {
			t.Errorf("Inspect of %d of %d bytes gave no error", n, len(object))
		}
	}
}

func TestBytesAfterTheEnd(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(30)})
	_, err := open(append(bytes.Clone(object), 0), header, both)
	refused(t, "open with a byte appended", err, envelope.ErrTruncated, "no footer at the end")
	_, err = open(append(bytes.Clone(object), object...), header, both)
	refused(t, "open of the object twice", err, envelope.ErrTampered, "footer lies at")
}

func TestFooterEdits(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(30), envelope.Facts: text(30)})
	genuine, err := envelope.ReadFooter(context.Background(), fetcher(object, nil), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range genuine {
		footer := bytes.Clone(genuine)
		footer[i] ^= 1 << (i % 8)
		_, err := envelope.Open(footer, fetcher(object, nil), header, both)
		if !errors.Is(err, envelope.ErrTampered) && !errors.Is(err, envelope.ErrWrongKey) {
			t.Errorf("Open with footer byte %d changed = %v; want ErrTampered or ErrWrongKey", i, err)
		}
	}
	for n := range genuine {
		if _, err := envelope.Open(genuine[:n], fetcher(object, nil), header, both); !errors.Is(err, envelope.ErrTampered) {
			t.Errorf("Open with %d of %d bytes of the footer = %v; want ErrTampered", n, len(genuine), err)
		}
	}
	if _, err := envelope.Open(append(genuine, 0), fetcher(object, nil), header, both); !errors.Is(err, envelope.ErrTampered) {
		t.Errorf("Open with a byte more = %v; want ErrTampered", err)
	}
}

func TestPartNamesExchangedInTheFooter(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Identity: text(30), envelope.Content: text(30)})
	at := bytes.LastIndex(object, []byte("\x07content"))
	copy(object[at+1:], "contenu")
	_, err := open(object, header, both)
	refused(t, "open with a part renamed", err, envelope.ErrTampered, "footer")
}

func TestEveryByteOfASmallObject(t *testing.T) {
	plain := map[string][]byte{envelope.Content: text(30), envelope.Identity: text(20), envelope.Who: nil, envelope.Facts: text(10)}
	object := seal(t, header, both, plain)
	for i := range object {
		flipped := bytes.Clone(object)
		flipped[i] ^= 1 << (i % 8)
		err := func() error {
			o, err := open(flipped, header, both)
			if err != nil {
				return err
			}
			for name, want := range plain {
				if got, err := readPart(o, name); err == nil && !bytes.Equal(got, want) {
					t.Fatalf("byte %d changed: %s came back changed, without an error", i, name)
				} else if err != nil && len(got) > 0 {
					t.Fatalf("byte %d changed: %s released %d bytes that were not authenticated", i, name, len(got))
				}
			}
			return o.Verify(context.Background())
		}()
		if !errors.Is(err, envelope.ErrTampered) && !errors.Is(err, envelope.ErrWrongKey) && !errors.Is(err, envelope.ErrTruncated) {
			t.Fatalf("byte %d changed: %v; want an error of this package", i, err)
		}
	}
}

func TestFooterOfTheCallerMayChangeAfterOpen(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(30)})
	footer, _ := envelope.ReadFooter(context.Background(), fetcher(object, nil), int64(len(object)))
	o, err := envelope.Open(footer, fetcher(object, nil), header, both)
	if err != nil {
		t.Fatal(err)
	}
	clear(footer)
	if got, err := readPart(o, envelope.Content); err != nil || !bytes.Equal(got, text(30)) {
		t.Errorf("read = %d bytes, %v", len(got), err)
	}
}
