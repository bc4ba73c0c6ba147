package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"medvault/api/client"
	"medvault/imaging"
	"medvault/vault/record"
)

type uploadOptions struct {
	patient, category, title, birth, name string
	parallel                              int
	noResume                              bool
}

func newUploadCommand(a *app) *cobra.Command {
	var at connection
	var o uploadOptions
	cmd := &cobra.Command{
		Use:   "upload PATH…",
		Short: "store documents: DICOM files, PDFs, and folders of them",
		Long: `upload stores every file under the given paths. DICOM files say themselves whose
they are; PDFs need --patient. What the vault refuses is listed with the reason, and
the rest is stored. Run it again after an interruption: what was stored is not sent
twice.`,
		Example: "  medvault upload --dev .medvault study/\n  medvault upload --url https://vault.example --patient HOSPITAL^^12345 --title 'Discharge letter' letter.pdf",
		Args:    wantArgs(1, -1),
		RunE:    func(cmd *cobra.Command, paths []string) error { return a.upload(cmd.Context(), &at, paths, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.patient, "patient", "", "whose PDFs they are: [ISSUER^^]ID")
	f.StringVar(&o.category, "category", "", "category of the PDFs (default report)")
	f.StringVar(&o.name, "patient-name", "", "name of the patient of the PDFs, scans and FHIR resources, to be found in them")
	f.StringVar(&o.birth, "birth-date", "", "birth date of the patient of the PDFs, YYYYMMDD; it decides whether they are a child")
	f.StringVar(&o.title, "title", "", "title of the PDFs; sealed with them")
	f.IntVar(&o.parallel, "parallel", 4, "documents in flight at once")
	f.BoolVar(&o.noResume, "no-resume", false, "send everything, whatever an earlier run has stored")
	at.addFlags(cmd, record.RoleRadiology)
	return cmd
}

// uploadResult is the JSON of upload.
type uploadResult struct {
	Stored    int                `json:"stored"`
	Present   int                `json:"present"` // of them or of an earlier run
	Refused   []refusedFile      `json:"refused"`
	Documents []uploadedDocument `json:"documents"`

	mu sync.Mutex // guards all of it while documents are in flight
}

// refusedFile is a file that is not in the vault. Status is the vault's HTTP status,
// 0 when it was not asked or did not answer.
type refusedFile struct {
	Path   string `json:"path"`
	Status int    `json:"status"`
	Reason string `json:"reason"`

	failed bool // not refused: another run may store it
}

// uploadedDocument is a document that is in the vault, as this run was told.
type uploadedDocument struct {
	Path     string              `json:"path"`
	ID       record.ObjectID     `json:"id"`
	Patient  record.PatientToken `json:"patient"`
	Study    string              `json:"study,omitempty"`
	Instance string              `json:"instance,omitempty"`
	Present  bool                `json:"present"`
}

func (a *app) upload(ctx context.Context, at *connection, paths []string, o uploadOptions) error {
	if o.parallel < 1 || o.parallel > 64 {
		return usagef("--parallel %d: want 1 to 64", o.parallel)
	}
	vault, err := at.open()
	if err != nil {
		return err
	}
	id, err := vault.Vault(ctx)
	if err != nil {
		return err
	}
	done, err := openJournal(id, o.noResume)
	if err != nil {
		return err
	}
	defer done.close()

	out := &uploadResult{Refused: []refusedFile{}, Documents: []uploadedDocument{}}
	files := findFiles(paths, strings.Join([]string{o.patient, o.category, o.title}, "\x00"), out)
	var total int64
	for _, f := range files {
		total += f.size
	}
	u := &uploader{vault: vault, journal: done, options: o, out: out, progress: a.newProgress("upload", total, true)}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(o.parallel)
	for _, f := range files {
		group.Go(func() error { return u.one(groupCtx, f) })
	}
	err = group.Wait()
	u.progress.finish()
	if printErr := a.print(out, out.tell); printErr != nil {
		return printErr
	}
	return errors.Join(err, done.failure(), out.verdict())
}

// foundFile is one file to store.
type foundFile struct {
	path  string
	size  int64
	entry journalEntry
}

// findFiles walks the paths; about is what the user says of the files. What is no regular file, or cannot be read, is listed
// as refused: nothing is left out in silence.
func findFiles(paths []string, about string, out *uploadResult) (files []foundFile) {
	refuse := func(path, reason string) {
		out.Refused = append(out.Refused, refusedFile{Path: path, Reason: reason})
	}
	unreadable := func(path string, err error) {
		out.Refused = append(out.Refused, refusedFile{Path: path, Reason: "cannot be read: " + reason(err), failed: true})
	}
	for _, start := range paths {
		// A link named by the user is followed; links inside folders are not.
		root := start
		if resolved, err := filepath.EvalSymlinks(start); err == nil {
			root = resolved
		}
		// The walk itself never fails: every error is listed and the walk goes on.
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				unreadable(path, err)
				return nil
			case d.IsDir():
				return nil
			case !d.Type().IsRegular():
				refuse(path, "is not a file (links inside folders are not followed)")
				return nil
			}
			info, err := d.Info()
			if err != nil {
				unreadable(path, err)
				return nil
			}
			absolute, err := filepath.Abs(path)
			if err != nil {
				unreadable(path, err)
				return nil
			}
			files = append(files, foundFile{path, info.Size(), journalEntry{absolute, about, info.Size(), info.ModTime()}})
			return nil
		})
	}
	return files
}

// reason is an error without the path, which stands beside it.
func reason(err error) string {
	var wrapped *fs.PathError
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}

type uploader struct {
	vault    *client.Client
	journal  *journal
	options  uploadOptions
	out      *uploadResult
	progress progress
}

// one stores one file. Its error ends the whole upload: only the end of ctx does.
func (u *uploader) one(ctx context.Context, f foundFile) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Not sent again: the vault acknowledged this file, unchanged since.
	if u.journal.has(f.entry) {
		u.progress.add(f.size)
		u.out.present(f.path, nil)
		return nil
	}
	stored, err := u.sendAgain(ctx, f.path)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		u.out.refused(f.path, err)
		return nil
	}
	// After the acknowledgement only.
	u.journal.add(f.entry)
	if stored.Present {
		u.out.present(f.path, &stored)
	} else {
		u.out.stored(f.path, stored)
	}
	return nil
}

// sendAgain sends a file, a few times when the vault asks to try again later.
func (u *uploader) sendAgain(ctx context.Context, path string) (stored client.Stored, err error) {
	for wait := time.Second; ; wait *= 2 {
		stored, err = u.send(ctx, path)
		var answer *client.Error
		if !errors.As(err, &answer) || answer.Status != http.StatusServiceUnavailable || wait > 4*time.Second {
			return stored, err
		}
		select {
		case <-ctx.Done():
			return stored, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (u *uploader) send(ctx context.Context, path string) (client.Stored, error) {
	f, err := os.Open(path)
	if err != nil {
		return client.Stored{}, errors.New("cannot be read: " + reason(err))
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return client.Stored{}, errors.New("cannot be read: " + reason(err))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return client.Stored{}, errors.New("cannot be read: " + reason(err))
	}
	body := counted{f, u.progress}
	if kind, known := imaging.Sniff(head[:n]); known && kind != imaging.DICOM {
		return u.sendPDF(ctx, body, kind)
	}
	// What is neither goes as DICOM too: the vault says best what is wrong with it.
	return u.vault.StoreDICOM(ctx, body)
}

var errNoPatient = errors.New("a PDF or scan does not say whose it is: give --patient [ISSUER^^]ID")

func (u *uploader) sendPDF(ctx context.Context, body io.Reader, kind imaging.Kind) (client.Stored, error) {
	issuer, id, hasIssuer := strings.Cut(u.options.patient, "^^")
	if !hasIssuer {
		issuer, id = "", u.options.patient
	}
	if id == "" && kind != imaging.FHIR { // which may say it itself
		return client.Stored{}, errNoPatient
	}
	return u.vault.StorePDF(ctx, body, client.PDF{PatientID: id, Issuer: issuer, Category: u.options.category, Title: u.options.title, BirthDate: u.options.birth, PatientName: u.options.name})
}

func (o *uploadResult) stored(path string, s client.Stored) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Stored++
	o.Documents = append(o.Documents, uploadedDocument{Path: path, ID: s.ID, Patient: s.Patient, Study: s.Study, Instance: s.Instance})
}

// present counts a document that was there before; s is nil when an earlier run
// stored it and it was not sent.
func (o *uploadResult) present(path string, s *client.Stored) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Present++
	if s != nil {
		o.Documents = append(o.Documents, uploadedDocument{Path: path, ID: s.ID, Patient: s.Patient, Study: s.Study, Instance: s.Instance, Present: true})
	}
}

func (o *uploadResult) refused(path string, err error) {
	r := refusedFile{Path: path, Reason: err.Error(), failed: !errors.Is(err, errNoPatient)}
	var answered *client.Error
	if errors.As(err, &answered) {
		r.Status = answered.Status
		r.failed = answered.Status < 400 || answered.Status >= 500
		if answered.Code != "" {
			r.Reason = answered.Code + ": " + answered.Message
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Refused = append(o.Refused, r)
}

func (o *uploadResult) tell(w io.Writer) {
	fmt.Fprintf(w, "stored %d, present already %d, refused %d\n", o.Stored, o.Present, len(o.Refused))
	for _, r := range o.Refused {
		fmt.Fprintf(w, "refused %s: %s\n", printable(r.Path), printable(r.Reason))
	}
	patients := make(map[record.PatientToken]int)
	for _, d := range o.Documents {
		patients[d.Patient]++
	}
	for _, d := range o.Documents {
		if n := patients[d.Patient]; n > 0 {
			fmt.Fprintf(w, "patient %s: %d documents\n", d.Patient, n)
			patients[d.Patient] = 0
		}
	}
	for _, d := range o.Documents {
		if d.Study == "" {
			fmt.Fprintf(w, "document %s: %s\n", d.ID, printable(d.Path))
		}
	}
}

// verdict is nil when everything is in the vault. What got no answer, or the answer
// that the vault cannot now, failed; the rest was refused.
func (o *uploadResult) verdict() error {
	failed := 0
	for _, r := range o.Refused {
		if r.failed {
			failed++
		}
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%d files failed and %d were refused; run the command again for those that failed", failed, len(o.Refused)-failed)
	case len(o.Refused) > 0:
		return refusedError{fmt.Errorf("%d files were refused", len(o.Refused))}
	}
	return nil
}
