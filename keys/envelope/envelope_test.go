package envelope_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"medvault/keys"
	"medvault/keys/envelope"
)

const chunk = 64 << 10

var (
	header = envelope.Header{Object: [16]byte(bytes.Repeat([]byte{0x0b}, 16)), Patient: "pabcdefghijklmnopqrstuvwxyz", Generation: 3, Kind: 1}
	both   = envelope.Keys{Content: keys.DEKFrom([32]byte{1}), Identity: keys.DEKFrom([32]byte{2})}
	names  = []string{envelope.Content, envelope.Identity, envelope.Who, envelope.Facts}
)

// text is n bytes that differ from chunk to chunk.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// seal makes an object of the given parts, in the order of the design.
func seal(t testing.TB, h envelope.Header, k envelope.Keys, parts map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	s, err := envelope.NewSealer(&out, h, k)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		plain, ok := parts[name]
		if !ok {
			continue
		}
		w, err := s.Part(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// fetcher serves object from memory and counts.
func fetcher(object []byte, count *atomic.Int64) envelope.Fetch {
	return func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		if count != nil {
			count.Add(1)
		}
		size := int64(len(object))
		from := min(offset, size)
		return io.NopCloser(bytes.NewReader(object[from:min(offset+length, size)])), nil
	}
}

func open(object []byte, want envelope.Header, k envelope.Keys) (*envelope.Object, error) {
	footer, err := envelope.ReadFooter(context.Background(), fetcher(object, nil), int64(len(object)))
	if err != nil {
		return nil, err
	}
	return envelope.Open(footer, fetcher(object, nil), want, k)
}

func mustOpen(t testing.TB, object []byte) *envelope.Object {
	t.Helper()
	o, err := open(object, header, both)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// readPart reads a part to its end and tells what was released before an error.
func readPart(o *envelope.Object, name string) ([]byte, error) {
	r, err := o.Part(context.Background(), name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 100, 4096, 4097, chunk - 1, chunk, chunk + 1, 2 * chunk, 2*chunk + 1, 5*chunk + 17} {
		parts := map[string][]byte{envelope.Content: text(size), envelope.Identity: text(size / 3), envelope.Who: text(7), envelope.Facts: nil}
		o := mustOpen(t, seal(t, header, both, parts))
		for name, want := range parts {
			got, err := readPart(o, name)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("size %d: read %s = %d bytes, %v; want %d bytes", size, name, len(got), err, len(want))
			}
			if n, err := o.Size(name); err != nil || n != int64(len(want)) {
				t.Errorf("size %d: Size(%s) = %d, %v; want %d", size, name, n, err, len(want))
			}
		}
		if got := o.Parts(); !slices.Equal(got, names) {
			t.Errorf("Parts = %v; want %v", got, names)
		}
		if err := o.Verify(context.Background()); err != nil {
			t.Errorf("size %d: Verify = %v", size, err)
		}
	}
}

func TestEveryWayOfWritingAndReading(t *testing.T) {
	want := text(3*chunk + 5)
	writers := map[string]func(io.Writer) error{
		"one write":   func(w io.Writer) error { _, err := w.Write(want); return err },
		"small bits":  func(w io.Writer) error { return inBits(w, want, 1000) },
		"single":      func(w io.Writer) error { return inBits(w, want, 1) },
		"chunks":      func(w io.Writer) error { return inBits(w, want, chunk) },
		"big bits":    func(w io.Writer) error { return inBits(w, want, 2*chunk+3) },
		"io.Copy":     func(w io.Writer) error { _, err := io.Copy(w, onlyReader{bytes.NewReader(want)}); return err },
		"slow reader": func(w io.Writer) error { _, err := io.Copy(w, iotest.HalfReader(bytes.NewReader(want))); return err },
		"data and EOF": func(w io.Writer) error {
			_, err := io.Copy(w, onlyReader{iotest.DataErrReader(bytes.NewReader(want))})
			return err
		},
		"write, copy, write": func(w io.Writer) error {
			w.Write(want[:10])
			_, err := io.Copy(w, onlyReader{bytes.NewReader(want[10 : 10+chunk])})
			w.Write(want[10+chunk:])
			return err
		},
	}
	for name, write := range writers {
		var out bytes.Buffer
		s, _ := envelope.NewSealer(&out, header, both)
		w, _ := s.Part(envelope.Content)
		if err := errors.Join(write(w), w.Close(), s.Close()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		o := mustOpen(t, out.Bytes())
		if got, err := readPart(o, envelope.Content); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: read %d bytes, %v", name, len(got), err)
		}
		r, err := o.Part(context.Background(), envelope.Content)
		if err != nil {
			t.Fatal(err)
		}
		var copied bytes.Buffer
		first := make([]byte, 100)
		io.ReadFull(r, first)
		if _, err := r.(io.WriterTo).WriteTo(&copied); err != nil || !bytes.Equal(append(first, copied.Bytes()...), want) {
			t.Errorf("%s: Read then WriteTo gave %d bytes, %v", name, 100+copied.Len(), err)
		}
	}
}

func TestReaderKeepsItsContract(t *testing.T) {
	want := text(chunk + 5)
	o := mustOpen(t, seal(t, header, both, map[string][]byte{envelope.Content: want}))
	r, err := o.Part(context.Background(), envelope.Content)
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(onlyReader{r}, want); err != nil {
		t.Error(err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Errorf("Close, twice = %v", err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("Read after Close = %d, %v; want an error", n, err)
	}
}

func TestObjectIsReadConcurrently(t *testing.T) {
	want := text(5 * chunk)
	o := mustOpen(t, seal(t, header, both, map[string][]byte{envelope.Content: want}))
	var wg sync.WaitGroup
	for n := range int64(8) {
		wg.Go(func() {
			off := n * chunk / 2
			r, err := o.Range(context.Background(), envelope.Content, off, chunk)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want[off:off+chunk]) {
				t.Errorf("Range(%d) = %d bytes, %v", off, len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestFetchFromFile(t *testing.T) {
	want := text(chunk + 7)
	object := bytes.NewReader(seal(t, header, both, map[string][]byte{envelope.Content: want}))
	fetch := envelope.FetchFrom(object)
	footer, err := envelope.ReadFooter(context.Background(), fetch, object.Size())
	if err != nil {
		t.Fatal(err)
	}
	o, err := envelope.Open(footer, fetch, header, both)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readPart(o, envelope.Content); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read = %d bytes, %v", len(got), err)
	}
}

type onlyReader struct{ io.Reader }

func inBits(w io.Writer, b []byte, n int) error {
	for bit := range slices.Chunk(b, n) {
		if _, err := w.Write(bit); err != nil {
			return err
		}
	}
	return nil
}

func TestRangeFetchesOnlyItsChunksOnce(t *testing.T) {
	want := text(4*chunk + 99)
	object := seal(t, header, both, map[string][]byte{envelope.Facts: text(10), envelope.Content: want})
	footer, _ := envelope.ReadFooter(context.Background(), fetcher(object, nil), int64(len(object)))
	rows := []struct{ off, n, chunks int64 }{
		{0, 1, 1}, {0, chunk, 1}, {0, chunk + 1, 2}, {chunk - 1, 2, 2}, {chunk, chunk, 1}, {chunk + 5, 3 * chunk, 4},
		{4 * chunk, 99, 1}, {4*chunk + 98, 1, 1}, {0, 4*chunk + 99, 5}, {17, 0, 0}, {4*chunk + 99, 0, 0},
	}
	for _, row := range rows {
		var fetches, fetched int64
		o, err := envelope.Open(footer, func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
			fetches++
			fetched += length
			return fetcher(object, nil)(ctx, offset, length)
		}, header, both)
		if err != nil {
			t.Fatal(err)
		}
		r, err := o.Range(context.Background(), envelope.Content, row.off, row.n)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want[row.off:row.off+row.n]) {
			t.Errorf("Range(%d, %d) = %d bytes, %v", row.off, row.n, len(got), err)
		}
		if fetches != min(row.chunks, 1) || fetched > row.chunks*(chunk+28) {
			t.Errorf("Range(%d, %d) fetched %d bytes in %d fetches; want at most %d chunks in one", row.off, row.n, fetched, fetches, row.chunks)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	o := mustOpen(t, object)
	for _, row := range [][2]int64{{-1, 1}, {0, -1}, {0, 4*chunk + 100}, {4*chunk + 100, 0}, {1 << 62, 1 << 62}} {
		if _, err := o.Range(context.Background(), envelope.Content, row[0], row[1]); err == nil {
			t.Errorf("Range(%d, %d) is outside the part and gave no error", row[0], row[1])
		}
	}
}

func TestFooterTakesOneRead(t *testing.T) {
	for _, size := range []int{0, 3 * chunk} {
		object := seal(t, header, both, map[string][]byte{envelope.Content: text(size), envelope.Identity: nil, envelope.Who: nil, envelope.Facts: nil})
		var count atomic.Int64
		if _, err := envelope.ReadFooter(context.Background(), fetcher(object, &count), int64(len(object))); err != nil || count.Load() != 1 {
			t.Errorf("ReadFooter of %d bytes: %v after %d fetches; want one", len(object), err, count.Load())
		}
	}
}

func TestIdentityIsSealedWhileContentStreams(t *testing.T) {
	content, script := text(3*chunk), text(chunk+9)
	var out, side bytes.Buffer
	s, err := envelope.NewSealer(&out, header, both)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := s.Part(envelope.Content)
	i, err := s.Detached(envelope.Identity, &side)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		c.Write(content[n*chunk : (n+1)*chunk])
		i.Write(script[n*len(script)/3 : (n+1)*len(script)/3])
	}
	if err := s.Attach(envelope.Identity, &side); err == nil {
		t.Error("Attach while content is open gave no error")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(envelope.Identity, bytes.NewReader(side.Bytes())); err == nil {
		t.Error("Attach of an open detached part gave no error")
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(side.Bytes(), script[:16]) {
		t.Error("the side spool holds plaintext")
	}
	if err := s.Close(); err == nil {
		t.Error("Close with a part not attached gave no error")
	}
	if err := errors.Join(s.Attach(envelope.Identity, &side), s.Close()); err != nil {
		t.Fatal(err)
	}
	o := mustOpen(t, out.Bytes())
	for name, want := range map[string][]byte{envelope.Content: content, envelope.Identity: script} {
		if got, err := readPart(o, name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %s = %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
}

func TestSealerRefuses(t *testing.T) {
	h := header
	h.Seal[0] = 1
	if _, err := envelope.NewSealer(io.Discard, h, both); err == nil {
		t.Error("a seal id from outside was accepted")
	}
	for _, patient := range []string{"", strings.Repeat("p", 65)} {
		h := header
		h.Patient = patient
		if _, err := envelope.NewSealer(io.Discard, h, both); err == nil {
			t.Errorf("a patient token of %d bytes was accepted", len(patient))
		}
	}
	if _, err := envelope.NewSealer(io.Discard, header, envelope.Keys{}); err == nil {
		t.Error("sealing without a key was accepted")
	}

	s, _ := envelope.NewSealer(io.Discard, header, envelope.Keys{Content: both.Content})
	if _, err := s.Part(envelope.Who); !errors.Is(err, envelope.ErrNoIdentityKey) {
		t.Errorf("Part(who) without identity key = %v; want ErrNoIdentityKey", err)
	}
	if _, err := s.Part("other"); !errors.Is(err, envelope.ErrNoPart) {
		t.Errorf("Part(other) = %v; want ErrNoPart", err)
	}
	w, _ := s.Part(envelope.Content)
	if _, err := s.Part(envelope.Facts); err == nil {
		t.Error("a part inside another was accepted")
	}
	if err := s.Close(); err == nil {
		t.Error("Close with an open part gave no error")
	}
	if _, err := s.Detached(envelope.Content, io.Discard); err == nil {
		t.Error("a second content was accepted while the first is open")
	}
	w.Close()
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a write to a closed part was accepted")
	}
	if _, err := s.Part(envelope.Content); err == nil {
		t.Error("a second content was accepted")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Part(envelope.Facts); err == nil {
		t.Error("a part after Close was accepted")
	}
	if err := s.Close(); err == nil {
		t.Error("a second Close gave no error")
	}
}

func TestBrokenSourceNeverBecomesAShorterDocument(t *testing.T) {
	for _, broken := range []error{io.ErrUnexpectedEOF, errors.New("line cut")} {
		s, _ := envelope.NewSealer(io.Discard, header, both)
		w, _ := s.Part(envelope.Content)
		source := io.MultiReader(bytes.NewReader(text(chunk+5)), iotest.ErrReader(broken))
		if _, err := io.Copy(w, source); !errors.Is(err, broken) {
			t.Errorf("copy from a broken source = %v; want %v", err, broken)
		}
		if err := w.Close(); !errors.Is(err, broken) {
			t.Errorf("Close after a broken source = %v; want %v", err, broken)
		}
		if err := s.Close(); err == nil {
			t.Error("an object with a broken part could be closed")
		}
	}
}

// failingWriter fails once n bytes have been written.
type failingWriter struct{ n int }

var errFull = errors.New("disk full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if len(b) > w.n {
		n := w.n
		w.n = 0
		return n, errFull
	}
	w.n -= len(b)
	return len(b), nil
}

func TestFailedWriteIsReportedWhereverItHappens(t *testing.T) {
	whole := len(seal(t, header, both, map[string][]byte{envelope.Content: text(chunk + 5), envelope.Facts: text(5)}))
	for n := 0; n < whole; n += 997 {
		w := &failingWriter{n}
		err := func() error {
			s, err := envelope.NewSealer(w, header, both)
			if err != nil {
				return err
			}
			for name, plain := range map[string][]byte{envelope.Content: text(chunk + 5), envelope.Facts: text(5)} {
				p, err := s.Part(name)
				if err != nil {
					return err
				}
				if _, err := p.Write(plain); err != nil {
					return err
				}
				if err := p.Close(); err != nil {
					return err
				}
			}
			return s.Close()
		}()
		if !errors.Is(err, errFull) {
			t.Fatalf("disk full after %d of %d bytes: %v; want %v", n, whole, err, errFull)
		}
	}
}

func TestWithoutIdentityKeyOnlyContentOpens(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(9), envelope.Identity: text(8), envelope.Who: text(7), envelope.Facts: text(6)})
	o, err := open(object, header, envelope.Keys{Content: both.Content})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{envelope.Content, envelope.Facts} {
		if _, err := readPart(o, name); err != nil {
			t.Errorf("read %s = %v", name, err)
		}
	}
	for _, name := range []string{envelope.Identity, envelope.Who} {
		if _, err := readPart(o, name); !errors.Is(err, envelope.ErrNoIdentityKey) {
			t.Errorf("read %s = %v; want ErrNoIdentityKey", name, err)
		}
		if _, err := o.Range(context.Background(), name, 0, 1); !errors.Is(err, envelope.ErrNoIdentityKey) {
			t.Errorf("range of %s = %v; want ErrNoIdentityKey", name, err)
		}
	}
	if err := o.Verify(context.Background()); err != nil {
		t.Errorf("Verify = %v", err)
	}
}

func TestAbsentPart(t *testing.T) {
	o := mustOpen(t, seal(t, header, both, map[string][]byte{envelope.Content: nil}))
	if _, err := o.Part(context.Background(), envelope.Who); !errors.Is(err, envelope.ErrNoPart) {
		t.Errorf("Part(who) = %v; want ErrNoPart", err)
	}
	if _, err := o.Size("footer"); !errors.Is(err, envelope.ErrNoPart) {
		t.Errorf("Size(footer) = %v; want ErrNoPart", err)
	}
}

func TestFetchErrorsPassThrough(t *testing.T) {
	object := seal(t, header, both, map[string][]byte{envelope.Content: text(2 * chunk)})
	footer, _ := envelope.ReadFooter(context.Background(), fetcher(object, nil), int64(len(object)))
	down := errors.New("region down")
	fetch := func(ctx context.Context, offset, length int64) (io.ReadCloser, error) { return nil, down }
	if _, err := envelope.ReadFooter(context.Background(), fetch, 100); !errors.Is(err, down) {
		t.Errorf("ReadFooter = %v; want %v", err, down)
	}
	o, err := envelope.Open(footer, fetch, header, both)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Part(context.Background(), envelope.Content); !errors.Is(err, down) {
		t.Errorf("Part = %v; want %v", err, down)
	}
	fetch = func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(object[offset:offset+chunk+100]), iotest.ErrReader(down))), nil
	}
	o, _ = envelope.Open(footer, fetch, header, both)
	got, err := readPart(o, envelope.Content)
	if !errors.Is(err, down) || errors.Is(err, envelope.ErrTampered) || len(got) != chunk {
		t.Errorf("read from a dying region = %d bytes, %v; want one chunk and %v", len(got), err, down)
	}
}

// TestFormatByHand opens an object with nothing but the standard library and the
// drawing in the package comment.
func TestFormatByHand(t *testing.T) {
	parts := map[string][]byte{envelope.Content: text(chunk + 3), envelope.Identity: nil, envelope.Facts: text(5)}
	object := seal(t, header, both, parts)
	prefixLength := 6 + 16 + 1 + len(header.Patient) + 4 + 16 + 1
	prefix := object[:prefixLength]
	derive := func(dek keys.DEK, salt []byte, name string) []byte {
		okm, err := hkdf.Key(sha512.New, dek.Bytes(), salt, string(prefix)+string(rune(len(name)))+name, 64)
		if err != nil {
			t.Fatal(err)
		}
		return okm
	}

	length := int(binary.BigEndian.Uint32(object[len(object)-10:]))
	footer := object[len(object)-10-length : len(object)-10]
	okm := derive(both.Content, footer[:32], "footer")
	mac := hmac.New(sha256.New, okm[:32])
	mac.Write(footer[:length-32])
	if !bytes.Equal(okm[32:], footer[32:64]) || !bytes.Equal(mac.Sum(nil), footer[length-32:]) || !bytes.Equal(footer[64:64+prefixLength], prefix) {
		t.Fatal("footer is not as drawn")
	}
	lines := footer[64+prefixLength+1:]
	if footer[64+prefixLength] != 3 {
		t.Fatalf("%d parts; want 3", footer[64+prefixLength])
	}
	for range 3 {
		name := string(lines[1 : 1+lines[0]])
		lines = lines[1+lines[0]:]
		offset, sealed, plain := binary.BigEndian.Uint64(lines), binary.BigEndian.Uint64(lines[8:]), binary.BigEndian.Uint64(lines[16:])
		body := object[offset : offset+sealed]
		if !bytes.Equal(body[:64], lines[24:88]) || plain != uint64(len(parts[name])) {
			t.Errorf("part %s: head or length is not as drawn", name)
		}
		lines = lines[88:]
		dek := both.Content
		if name == envelope.Identity {
			dek = both.Identity
		}
		okm := derive(dek, body[:32], name)
		block, _ := aes.NewCipher(okm[:32])
		aead, _ := cipher.NewGCMWithRandomNonce(block)
		var got []byte
		body = body[64:]
		for index := byte(0); ; index++ {
			n, final := chunk+28, byte(0)
			if len(body) <= n {
				n, final = len(body), 1
			}
			pt, err := aead.Open(nil, nil, body[:n], []byte{0, 0, 0, 0, 0, 0, 0, index, final})
			if err != nil {
				t.Fatalf("part %s, chunk %d: %v", name, index, err)
			}
			got = append(got, pt...)
			body = body[n:]
			if final == 1 {
				break
			}
		}
		if !bytes.Equal(okm[32:], object[offset+32:offset+64]) || !bytes.Equal(got, parts[name]) {
			t.Errorf("part %s is not as drawn", name)
		}
	}
}

// TestUnderStrictFIPS runs this package's tests again with every algorithm that
// is not approved refused.
func TestUnderStrictFIPS(t *testing.T) {
	if testing.Short() || strings.Contains(os.Getenv("GODEBUG"), "fips140=only") {
		t.Skip("runs once, from outside")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.short")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("under GODEBUG=fips140=only: %v\n%s", err, out)
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{4 << 10, 512 << 10, 16 << 20} {
		plain := text(size)
		b.Run(fmt.Sprintf("raw-gcm/%d", size), func(b *testing.B) {
			aead := rawGCM()
			out := make([]byte, 0, chunk+28)
			b.SetBytes(int64(size))
			for b.Loop() {
				for c := range slices.Chunk(plain, chunk) {
					out = aead.Seal(out[:0], nil, c, nil)
				}
			}
		})
		b.Run(fmt.Sprintf("sha256/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				sha256.Sum256(plain)
			}
		})
		b.Run(fmt.Sprintf("seal/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				s, _ := envelope.NewSealer(io.Discard, header, both)
				w, _ := s.Part(envelope.Content)
				w.Write(plain)
				w.Close()
				s.Close()
			}
		})
		b.Run(fmt.Sprintf("seal-readfrom/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				s, _ := envelope.NewSealer(io.Discard, header, both)
				w, _ := s.Part(envelope.Content)
				w.(io.ReaderFrom).ReadFrom(bytes.NewReader(plain))
				w.Close()
				s.Close()
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range []int{4 << 10, 512 << 10, 16 << 20} {
		plain := text(size)
		b.Run(fmt.Sprintf("raw-gcm/%d", size), func(b *testing.B) {
			aead := rawGCM()
			var sealed [][]byte
			for c := range slices.Chunk(plain, chunk) {
				sealed = append(sealed, aead.Seal(nil, nil, c, nil))
			}
			out := make([]byte, 0, chunk)
			b.SetBytes(int64(size))
			for b.Loop() {
				for _, c := range sealed {
					out, _ = aead.Open(out[:0], nil, c, nil)
				}
			}
		})
		object := seal(b, header, both, map[string][]byte{envelope.Content: plain})
		footer, _ := envelope.ReadFooter(context.Background(), fetcher(object, nil), int64(len(object)))
		b.Run(fmt.Sprintf("open/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				o, _ := envelope.Open(footer, fetcher(object, nil), header, both)
				r, _ := o.Part(context.Background(), envelope.Content)
				io.Copy(io.Discard, r)
				r.Close()
			}
		})
	}
}

func rawGCM() cipher.AEAD {
	block, _ := aes.NewCipher(make([]byte, 32))
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	return aead
}
