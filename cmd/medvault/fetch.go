package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"medvault/api/client"
	"medvault/vault"
	"medvault/vault/record"
)

func newFetchCommand(a *app) *cobra.Command {
	var at connection
	var dir string
	cmd := &cobra.Command{
		Use:   "fetch STUDY_OR_DOCUMENT -o DIR",
		Short: "bring a study or a document back as files",
		Long: `fetch writes the instances of a study (by its UID) or one document (by its id) as
files into a directory: UID.dcm, ID.pdf. A file appears only once it is whole; one
that is there already with other bytes is left alone and the command fails.`,
		Example: "  medvault fetch --dev .medvault 1.2.840.113619.2.1 -o study",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return usagef("fetch: where to? give -o DIR")
			}
			return a.fetch(cmd.Context(), &at, args[0], dir)
		},
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "", "directory the files are written to; made when absent")
	at.addFlags(cmd, record.RoleClinician)
	return cmd
}

// fetched is the JSON of fetch. Partial: some instances exist that cannot be given now.
type fetched struct {
	Written []string `json:"written"`
	Present []string `json:"present"` // were there already with the same bytes
	Partial bool     `json:"partial"`
}

var uid = regexp.MustCompile(`^[0-9][0-9.]{0,63}$`)

func (a *app) fetch(ctx context.Context, at *connection, what, dir string) error {
	id, notID := record.ParseObjectID(what)
	if notID != nil && !uid.MatchString(what) {
		return usagef("fetch %q: want a study UID, or a document id of 32 hex digits", what)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	f := &fetcher{dir: dir, out: fetched{Written: []string{}, Present: []string{}}, progress: a.newProgress("fetch", -1, true)}
	if notID == nil {
		err = f.document(ctx, from, id)
	} else {
		err = f.study(ctx, from, what)
	}
	f.progress.finish()
	if err != nil {
		return err
	}
	return a.print(f.out, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %d, present already %d, in %s\n", len(f.out.Written), len(f.out.Present), dir)
		if f.out.Partial {
			fmt.Fprintln(w, "not all: some instances are withheld from this view")
		}
	})
}

type fetcher struct {
	dir      string
	out      fetched
	progress progress
}

func (f *fetcher) study(ctx context.Context, from *client.Client, study string) error {
	partial, err := from.Study(ctx, vault.Ref{Study: study}, func(i client.Instance, r io.Reader) error {
		// The name comes from outside and becomes part of a path.
		if !uid.MatchString(i.Instance) {
			return errors.New("fetch: the vault names an instance by no UID")
		}
		return f.keep(i.Instance+".dcm", func(w io.Writer) (string, error) {
			_, err := io.Copy(w, r)
			return "", err
		})
	})
	f.out.Partial = partial
	return err
}

func (f *fetcher) document(ctx context.Context, from *client.Client, id record.ObjectID) error {
	return f.keep(string(id), func(w io.Writer) (extension string, err error) {
		mediaType, err := from.Document(ctx, id, w)
		extensions := map[string]string{"application/dicom": ".dcm", "application/fhir+json": ".json", "image/jpeg": ".jpg", "image/png": ".png", "image/tiff": ".tiff"}
		return cmp.Or(extensions[mediaType], ".pdf"), err
	})
}

// keep writes one file under a temporary name, and gives it its own when it is
// whole and on disk. write may add an extension to the name.
func (f *fetcher) keep(name string, write func(io.Writer) (extension string, err error)) (err error) {
	t, err := os.CreateTemp(f.dir, ".fetch-*")
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer os.Remove(t.Name())
	defer t.Close()
	sum := sha256.New()
	extension, err := write(io.MultiWriter(t, sum, byteCount{f.progress}))
	if err != nil {
		return err
	}
	name += extension
	if err := t.Sync(); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	final := filepath.Join(f.dir, name)
	// A link, unlike a rename, never replaces what is there.
	err = os.Link(t.Name(), final)
	if errors.Is(err, fs.ErrExist) {
		return f.compare(name, [sha256.Size]byte(sum.Sum(nil)))
	}
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	f.out.Written = append(f.out.Written, name)
	return nil
}

func (f *fetcher) compare(name string, want [sha256.Size]byte) error {
	there, err := os.Open(filepath.Join(f.dir, name))
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer there.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, there); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	if [sha256.Size]byte(sum.Sum(nil)) != want {
		return fmt.Errorf("fetch: %s is there with other bytes and was left alone", name)
	}
	f.out.Present = append(f.out.Present, name)
	return nil
}

// byteCount tells a progress of every byte written.
type byteCount struct{ p progress }

func (c byteCount) Write(b []byte) (int, error) {
	c.p.add(int64(len(b)))
	return len(b), nil
}
