package vault

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/storage"
	"medvault/storage/replica"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// maxTail bounds what the catalog keeps of a sealed object's end: who, facts and
// footer, still sealed. With it a search or a look at one frame needs no region for
// anything but pixels.
const maxTail = 16 << 10

// tail is the end of a sealed object as the catalog keeps it: from who on where that
// is small enough, otherwise the footer alone.
func (s *sealed) tail() ([]byte, error) {
	body, from := s.spool.body(), s.whoAt
	if body.Size-from > maxTail {
		from = s.footerAt
	}
	t := make([]byte, body.Size-from)
	if _, err := body.ReadAt(t, from); err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	return t, nil
}

// object is a sealed object, opened: what it takes to read its parts. Every read has
// a source of its own, so that one that meets damage does not mislead another.
type object struct {
	footer []byte
	header envelope.Header
	keys   envelope.Keys
	from   func() source
	log    *slog.Logger
}

// source is where the bytes of one read come from.
type source interface {
	fetch(ctx context.Context, offset, length int64) (io.ReadCloser, error)
	// elsewhere is told that what came last did not authenticate. It says where that
	// was, and whether there is another place to read from.
	elsewhere() (place string, more bool)
}

// spooled is an object on its way to the regions.
type spooled struct{ storage.Body }

func (s spooled) fetch(_ context.Context, offset, length int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s, offset, length)), nil
}

func (spooled) elsewhere() (string, bool) { return "spool", false }

// stored is an object in the regions: what the catalog's tail holds is read there,
// all else in the nearest healthy region.
type stored struct {
	row      catalog.Object
	remote   *replica.Object
	tail     []byte // nil once it was found damaged
	fromTail bool   // the last bytes came from there
}

func (s *stored) fetch(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	from := s.row.Size - int64(len(s.tail))
	s.fromTail = offset >= from && offset+length <= s.row.Size && len(s.tail) > 0
	if s.fromTail {
		return io.NopCloser(bytes.NewReader(s.tail[offset-from:][:length])), nil
	}
	r, err := s.remote.Get(ctx, offset, length)
	if err != nil {
		return nil, unavailable("region", err)
	}
	return r, nil
}

func (s *stored) elsewhere() (string, bool) {
	if s.fromTail {
		s.tail = nil
		return "catalog", true
	}
	region, more := s.remote.Damaged()
	return region, more && region != ""
}

// open opens a sealed object with its patient's keys. A view that needs no identity
// is opened without the identity key.
func (v *Vault) open(ctx context.Context, o catalog.Object, k patientKeys, view record.View) (*object, error) {
	id, err := o.ID.Bytes()
	if err != nil {
		return nil, err
	}
	want := envelope.Header{Object: id, Patient: string(o.Patient), Generation: o.Generation, Kind: uint8(o.Kind)}
	if _, err := hex.Decode(want.Seal[:], []byte(o.Seal)); err != nil {
		return nil, fmt.Errorf("%w: seal id of %s", record.ErrTampered, o.ID)
	}
	ks := envelope.Keys{Content: k.Content}
	if view == record.ViewOriginal {
		ks.Identity = k.Identity
	}
	sealed := &object{header: want, keys: ks, log: v.cfg.Log}
	from := &stored{row: o, remote: v.cfg.Regions.Open(o.ID.Key(o.Class), o.Size, v.readOrder()), tail: o.Footer}
	for {
		if sealed.footer, err = envelope.ReadFooter(ctx, from.fetch, o.Size); err == nil {
			_, err = envelope.Open(sealed.footer, from.fetch, want, ks)
		}
		if err == nil {
			break
		}
		if err = sealed.leave(from, tampered(err)); err != nil {
			return nil, fmt.Errorf("open %s: %w", o.ID, err)
		}
	}
	tail := from.tail // without it when it was found damaged
	sealed.from = func() source {
		return &stored{row: o, remote: v.cfg.Regions.Open(o.ID.Key(o.Class), o.Size, v.readOrder()), tail: tail}
	}
	return sealed, nil
}

// leave turns away from where damaged bytes came from. It returns the damage when
// there is nowhere else, and any other error as it is.
func (o *object) leave(from source, damage error) error {
	if !errors.Is(damage, record.ErrTampered) {
		return damage
	}
	place, more := from.elsewhere()
	o.log.Error("damaged copy", "place", place, "object", hex.EncodeToString(o.header.Object[:]), "err", damage)
	if !more {
		return damage
	}
	return nil
}

// tampered marks what the sealed format found broken.
func tampered(err error) error {
	if errors.Is(err, envelope.ErrTampered) || errors.Is(err, envelope.ErrTruncated) || errors.Is(err, envelope.ErrWrongKey) {
		return fmt.Errorf("%w: %w", record.ErrTampered, err)
	}
	return err
}

// Part streams a part whole.
func (o *object) Part(ctx context.Context, name string) (io.ReadCloser, error) {
	from := o.from()
	opened, err := envelope.Open(o.footer, from.fetch, o.header, o.keys)
	if err != nil {
		return nil, tampered(err)
	}
	size, err := opened.Size(name)
	if err != nil {
		return nil, tampered(err)
	}
	r, err := opened.Part(ctx, name)
	if err != nil {
		return nil, tampered(err)
	}
	return &partReader{ctx: ctx, object: o, opened: opened, from: from, name: name, end: size, r: r}, nil
}

// Range streams n bytes of a part from off on.
func (o *object) Range(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	from := o.from()
	opened, err := envelope.Open(o.footer, from.fetch, o.header, o.keys)
	if err != nil {
		return nil, tampered(err)
	}
	r, err := opened.Range(ctx, name, off, n)
	if err != nil {
		return nil, tampered(err)
	}
	return &partReader{ctx: ctx, object: o, opened: opened, from: from, name: name, at: off, end: off + n, r: r}, nil
}

// partReader goes on elsewhere when the bytes of one place do not authenticate.
type partReader struct {
	ctx     context.Context
	object  *object
	opened  *envelope.Object
	from    source
	name    string
	at, end int64
	r       io.ReadCloser
}

func (p *partReader) Read(b []byte) (int, error) {
	for {
		n, err := p.r.Read(b)
		p.at += int64(n)
		if err == nil || err == io.EOF {
			return n, err
		}
		if n > 0 {
			return n, nil // the error comes again with the next read
		}
		if err := p.reopen(tampered(err)); err != nil {
			return 0, err
		}
	}
}

// reopen opens the rest of the part elsewhere, or returns why that is not possible.
func (p *partReader) reopen(damage error) error {
	if p.at == p.end || p.ctx.Err() != nil {
		return errors.Join(damage, p.ctx.Err())
	}
	if err := p.object.leave(p.from, damage); err != nil {
		return err
	}
	r, err := p.opened.Range(p.ctx, p.name, p.at, p.end-p.at)
	if err != nil {
		return errors.Join(damage, err)
	}
	err = p.r.Close()
	p.r = r
	return err
}

func (p *partReader) Close() error { return p.r.Close() }

// readPart reads a small JSON part whole.
func readPart(ctx context.Context, o *object, name string, into any) error {
	r, err := o.Part(ctx, name)
	if err != nil {
		return fmt.Errorf("part %s: %w", name, tampered(err))
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("part %s: %w", name, tampered(err))
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("part %s: %w", name, err)
	}
	return nil
}

// restore streams the original of a sealed document. Content is fetched only when
// the script first asks for it, so a reader who stops after the header costs no
// pixels. Close waits for the work to end.
func restore(ctx context.Context, o *object) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pw.CloseWithError(restoreTo(ctx, pw, o))
	}()
	return &restoring{PipeReader: pr, cancel: cancel, done: done}
}

func restoreTo(ctx context.Context, w io.Writer, o *object) error {
	return replay(ctx, o, func(content, script io.Reader) error { return imaging.Restore(w, content, script) })
}

// replay runs with the content and the script of a sealed document.
func replay(ctx context.Context, o *object, run func(content, script io.Reader) error) error {
	script, err := o.Part(ctx, envelope.Identity)
	if err != nil {
		return tampered(err)
	}
	defer script.Close()
	content := &lazyPart{ctx: ctx, object: o, name: envelope.Content}
	defer content.Close()
	return tampered(run(content, script))
}

type restoring struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

func (r *restoring) Close() error {
	r.cancel()
	err := r.PipeReader.Close()
	<-r.done
	return err
}

// lazyPart opens a part at the first read.
type lazyPart struct {
	ctx    context.Context
	object *object
	name   string
	r      io.ReadCloser
}

func (l *lazyPart) Read(p []byte) (int, error) {
	if l.r == nil {
		r, err := l.object.Part(l.ctx, l.name)
		if err != nil {
			return 0, err
		}
		l.r = r
	}
	return l.r.Read(p)
}

func (l *lazyPart) Close() error {
	if l.r == nil {
		return nil
	}
	return l.r.Close()
}
