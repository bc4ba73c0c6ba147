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
func tail(body storage.Body, footer []byte, from int64) []byte {
	n := body.Size - from
	if n > maxTail {
		return footer
	}
	t := make([]byte, n)
	if _, err := body.ReadAt(t, from); err != nil {
		return footer
	}
	return t
}

// fetchFrom reads a sealed object that lies in a spool.
func fetchFrom(body storage.Body) envelope.Fetch {
	return func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(body, offset, length)), nil
	}
}

// object is a sealed object, opened. Where it lies in several regions, a copy that
// turns out damaged is left for another at the same byte.
type object struct {
	*envelope.Object
	remote *replica.Object // nil in a spool
	log    *slog.Logger
}

// fetch reads a stored object: what the catalog's tail holds from there, all else
// from the nearest healthy region.
func fetch(o catalog.Object, remote *replica.Object) envelope.Fetch {
	from := o.Size - int64(len(o.Footer))
	return func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		if offset >= from && offset+length <= o.Size {
			part := o.Footer[offset-from:][:length]
			return io.NopCloser(bytes.NewReader(part)), nil
		}
		r, err := remote.Get(ctx, offset, length)
		if err != nil {
			return nil, unavailable("region", err)
		}
		return r, nil
	}
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
	remote := v.cfg.Regions.Open(o.ID.Key(o.Class), o.Size, nil)
	from := fetch(o, remote)
	footer, err := envelope.ReadFooter(ctx, from, o.Size)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.ID, tampered(err))
	}
	ks := envelope.Keys{Content: k.Content}
	if view == record.ViewOriginal {
		ks.Identity = k.Identity
	}
	obj, err := envelope.Open(footer, from, want, ks)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.ID, tampered(err))
	}
	return &object{Object: obj, remote: remote, log: v.cfg.Log}, nil
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
	size, err := o.Size(name)
	if err != nil {
		return nil, tampered(err)
	}
	r, err := o.Object.Part(ctx, name)
	if err != nil {
		return nil, tampered(err)
	}
	return &partReader{ctx: ctx, object: o, name: name, end: size, r: r}, nil
}

// Range streams n bytes of a part from off on.
func (o *object) Range(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	r, err := o.Object.Range(ctx, name, off, n)
	if err != nil {
		return nil, tampered(err)
	}
	return &partReader{ctx: ctx, object: o, name: name, at: off, end: off + n, r: r}, nil
}

// partReader goes on in another region when the bytes of one do not authenticate.
type partReader struct {
	ctx     context.Context
	object  *object
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
		next, err := p.elsewhere(tampered(err))
		if err != nil {
			return 0, err
		}
		if err := p.r.Close(); err != nil {
			return 0, err
		}
		p.r = next
	}
}

// elsewhere reopens the rest of the part in another region, or returns why that is
// not possible.
func (p *partReader) elsewhere(damage error) (io.ReadCloser, error) {
	if p.object.remote == nil || p.at == p.end || !errors.Is(damage, record.ErrTampered) {
		return nil, damage
	}
	region, more := p.object.remote.Damaged()
	p.object.log.Error("damaged copy", "region", region, "err", damage)
	if !more {
		return nil, damage
	}
	r, err := p.object.Object.Range(p.ctx, p.name, p.at, p.end-p.at)
	if err != nil {
		return nil, errors.Join(damage, err)
	}
	return r, nil
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
	script, err := o.Part(ctx, envelope.Identity)
	if err != nil {
		return tampered(err)
	}
	defer script.Close()
	content := &lazyPart{ctx: ctx, object: o, name: envelope.Content}
	defer content.Close()
	return tampered(imaging.Restore(w, content, script))
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
