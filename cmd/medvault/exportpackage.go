package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"medvault/api/client"
	"medvault/api/portable"
	"medvault/vault/record"
)

// packager brings a package and puts it together.
type packager struct {
	ask      *exporting
	from     *client.Client
	spool    *packageSpool
	state    spoolState
	manifest portable.Manifest
	progress progress
}

// exportPackage brings everything held of a patient into one file. First everything comes
// into a spool, in any order and as often as it takes; then the file is made of it.
func (a *app) exportPackage(ctx context.Context, ask *exporting) error {
	seal, err := ask.seal()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(ask.output); err == nil {
		return fmt.Errorf("export: %s is there already", ask.output)
	}
	from, err := ask.at.open()
	if err != nil {
		return err
	}
	p := &packager{ask: ask, from: from, spool: &packageSpool{dir: ask.output + ".parts"}}
	if err := p.begin(ctx); err != nil {
		return err
	}
	if err := p.readManifest(); err != nil {
		return err
	}
	p.progress = a.newProgress("export", p.total(), true)
	err = p.fetch(ctx)
	p.progress.finish()
	if err != nil {
		return fmt.Errorf("%w (what has come is kept in %s: run the same command again to go on)", err, p.spool.dir)
	}
	if err := p.assemble(seal); err != nil {
		return err
	}
	if err := os.RemoveAll(p.spool.dir); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	m := p.manifest
	result := packageResult{File: ask.output, Package: m.Package, Patient: m.Patient, Files: len(m.Files) + 2, Bytes: p.total(), Withheld: m.Withheld, Encrypted: seal.name}
	return a.print(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d files, %d bytes, %s\n", ask.output, result.Files, result.Bytes, seal.words)
		if m.Withheld > 0 {
			fmt.Fprintf(w, "withheld: %d documents exist and are not in it\n", m.Withheld)
		}
	})
}

// packageResult is the JSON of export of a package.
type packageResult struct {
	File      string              `json:"file"`
	Package   record.ObjectID     `json:"package"`
	Patient   record.PatientToken `json:"patient"`
	Files     int                 `json:"files"`
	Bytes     int64               `json:"bytes"` // before zip and encryption
	Withheld  int                 `json:"withheld"`
	Encrypted string              `json:"encrypted"` // "age-x25519", "age-scrypt" or "no"
}

// begin goes on with the package in the spool or, where there is none that is whole up to
// its manifest, has one made.
func (p *packager) begin(ctx context.Context) (err error) {
	if err := os.MkdirAll(p.spool.dir, 0o700); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if p.state, err = p.spool.state(); err != nil {
		return err
	}
	id, err := p.from.Vault(ctx)
	if err != nil {
		return err
	}
	if p.state.Whole && (p.state.Vault != id || p.state.Asked != nameSum(p.ask.patient)) {
		return fmt.Errorf("export: %s holds a part of another package: remove it, or choose another name with -o", p.spool.dir)
	}
	if !p.state.Whole {
		p.state = spoolState{Vault: id, Asked: nameSum(p.ask.patient)}
		if err := p.make(ctx); err != nil {
			return errors.Join(err, os.RemoveAll(p.spool.dir)) // without its manifest nothing of it is of use
		}
		return nil
	}
	key, err := p.from.PackageKey(ctx, p.state.Patient, p.state.Package, p.ask.byCase())
	if err != nil {
		return err
	}
	return p.spool.unlock(key)
}

// nameSum tells two patients apart without writing down who was named.
func nameSum(patient string) string {
	sum := sha256.Sum256([]byte("medvault export|" + patient))
	return hex.EncodeToString(sum[:8])
}

// make has a package made and keeps what is not a document of it.
func (p *packager) make(ctx context.Context) error {
	request := namedPatient(p.ask.patient)
	request.Case = p.ask.byCase()
	last := ""
	err := p.from.Package(ctx, request, p.ask.language, func(id record.ObjectID, patient record.PatientToken) error {
		p.state.Package, p.state.Patient = id, patient
		key, err := p.from.PackageKey(ctx, patient, id, request.Case)
		if err != nil {
			return err
		}
		return p.spool.unlock(key)
	}, func(path string, r io.Reader) error {
		last = path
		_, err := p.spool.add(spoolName(path), 0, r, progress{})
		return err
	})
	if err != nil {
		return err
	}
	if last != portable.SignatureName {
		return errors.New("export: the vault sent no signature")
	}
	p.state.Whole = true
	return p.spool.note(p.state)
}

// spoolName is a name in the spool for a path of the package, which may come from outside.
func spoolName(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:16])
}

// readManifest checks the signature that came with the manifest, and reads it.
func (p *packager) readManifest() error {
	data, err := p.read(portable.ManifestName)
	if err != nil {
		return err
	}
	signature, err := p.read(portable.SignatureName)
	if err != nil {
		return err
	}
	p.manifest, err = portable.OpenManifest(data, signature, "")
	return err
}

func (p *packager) read(path string) ([]byte, error) {
	r, err := p.spool.open(spoolName(path))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (p *packager) total() (n int64) {
	for _, f := range p.manifest.Files {
		n += f.Size
	}
	return n
}

// fetch brings the documents that are not there yet, four at a time.
func (p *packager) fetch(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, f := range p.manifest.Files {
		if f.Object == "" {
			continue
		}
		group.Go(func() error { return p.bring(ctx, f) })
	}
	return group.Wait()
}

// bring brings one document, going on from where it was whenever the way breaks down. It
// gives up after some tries that brought nothing.
func (p *packager) bring(ctx context.Context, f portable.File) error {
	const tries = 6
	name := spoolName(f.Path)
	have, err := p.spool.have(name, f.Size)
	if err != nil {
		return err
	}
	p.progress.add(have)
	for failed := 0; have < f.Size; {
		n, err := p.more(ctx, f, have)
		if n > have {
			have, failed = n, 0
		}
		if err == nil && have == f.Size {
			return nil
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if failed++; failed == tries || ctx.Err() != nil || !mayPass(err) {
			return fmt.Errorf("export: %s: %w", f.Path, err)
		}
		have = have / spoolChunk * spoolChunk
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond << failed):
		}
	}
	return nil
}

func (p *packager) more(ctx context.Context, f portable.File, from int64) (int64, error) {
	body, err := p.from.PackageDocument(ctx, p.manifest.Package, f.Object, p.ask.byCase(), from)
	if err != nil {
		return from, err
	}
	defer body.Close()
	return p.spool.add(spoolName(f.Path), from, io.LimitReader(body, f.Size-from), p.progress)
}

// mayPass says whether trying again may help: not after what the vault has refused.
func mayPass(err error) bool {
	var answer *client.Error
	return !errors.As(err, &answer) || answer.Status >= 500 || answer.Status == 429
}

// assemble makes the file: a zip with the documents stored as they are, encrypted as it is
// written. It appears under its name once it is whole and on disk.
func (p *packager) assemble(seal sealing) (err error) {
	t, err := os.CreateTemp(filepath.Dir(p.ask.output), ".export-*")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer os.Remove(t.Name())
	defer t.Close()
	err = seal.write(t, func(w io.Writer) error { return p.zip(w) })
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := errors.Join(t.Sync(), t.Close()); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	// A link, unlike a rename, never replaces what is there.
	if err := os.Link(t.Name(), p.ask.output); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func (p *packager) zip(w io.Writer) error {
	out := zip.NewWriter(w)
	about := []portable.File{{Path: portable.ManifestName, Size: -1}, {Path: portable.SignatureName, Size: -1}}
	made := slices.IndexFunc(p.manifest.Files, func(f portable.File) bool { return f.Object != "" })
	if made < 0 {
		made = len(p.manifest.Files)
	}
	for _, f := range slices.Concat(p.manifest.Files[:made], about, p.manifest.Files[made:]) {
		if err := p.entry(out, f); err != nil {
			return err
		}
	}
	return out.Close()
}

// entry copies one file of the spool into the zip, if it is what the manifest says.
func (p *packager) entry(out *zip.Writer, f portable.File) error {
	method := zip.Deflate
	if f.Object != "" {
		method = zip.Store // images hardly shrink, and stay readable where they lie
	}
	to, err := out.CreateHeader(&zip.FileHeader{Name: f.Path, Method: method, Modified: p.manifest.Created})
	if err != nil {
		return err
	}
	r, err := p.spool.open(spoolName(f.Path))
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, sum), r)
	if err != nil {
		return err
	}
	if f.Size >= 0 && (n != f.Size || hex.EncodeToString(sum.Sum(nil)) != f.SHA256) {
		damaged := p.spool.file(spoolName(f.Path))
		return errors.Join(fmt.Errorf("%s is not what the manifest says: run the same command again to bring it anew", f.Path), os.Remove(damaged))
	}
	return nil
}
