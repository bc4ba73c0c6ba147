package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"time"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/vault/access"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/staff"
)

// Ref names what to open: by UIDs, original or mapped, or by object id.
type Ref struct {
	Study, Series, Instance string
	Document                record.ObjectID
	Patient                 record.PatientToken // all of one patient
	AsReceived              bool                // originals as they came in, without what the patient's record was corrected to
}

// Opened is what lies under a Ref and may be read. Withheld counts what the actor
// may know of but cannot be given now, as de-identified views held for review.
type Opened struct {
	Documents []*Handle
	Withheld  int
}

// Open finds what lies under ref, decides for each patient in it, and writes the
// log leaves; they are committed when it returns, before the first byte is read.
// Nothing there, or nothing the actor may know of: ErrNotFound.
func (v *Vault) Open(ctx context.Context, a record.Actor, ref Ref) (*Opened, error) {
	found, err := v.lookup(ctx, a, ref)
	if err != nil {
		return nil, err
	}
	if len(found.docs) == 0 && a.Purpose == record.PurposeETreat {
		if found, err = v.lookupInEmergency(ctx, a, ref, found); err != nil {
			return nil, err
		}
	}
	if len(found.docs) == 0 {
		return nil, v.refused(ctx, found)
	}
	if err := v.writeReadLeaves(ctx, a, found); err != nil {
		return nil, err
	}
	opened := &Opened{Withheld: found.withheld}
	for _, d := range found.docs {
		h, err := v.handle(ctx, d, found)
		if err != nil {
			return nil, err
		}
		opened.Documents = append(opened.Documents, h)
	}
	return opened, nil
}

// lookedUp is what a Ref led to, and what was decided about it.
type lookedUp struct {
	docs       []catalog.Document // that may be read
	view       record.View
	patients   map[record.PatientToken]catalog.Patient
	corrected  map[record.PatientToken][]correctionRow
	asReceived bool  // without them
	withheld   int   // that may be known of, not read: their de-identified view is held
	refused    []act // that were there and refused
	asked      time.Time
	by         record.Actor
}

// lookup finds documents and decides, in one snapshot. Original UIDs resolve only for
// those who may see the original: for others they would tell whose is whose.
func (v *Vault) lookup(ctx context.Context, a record.Actor, ref Ref) (found lookedUp, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found = lookedUp{patients: make(map[record.PatientToken]catalog.Patient), corrected: make(map[record.PatientToken][]correctionRow), asReceived: ref.AsReceived, asked: v.cfg.Now(), by: a}
		for _, scope := range v.scopes(a, ref) {
			docs, err := v.documents(ctx, tx, scope.Scope)
			if err != nil {
				return err
			}
			for _, d := range docs {
				if err := v.sift(ctx, tx, a, d, scope.original, &found); err != nil {
					return err
				}
			}
			if len(found.docs) > 0 {
				return nil
			}
		}
		if len(found.refused) > 0 {
			return nil
		}
		gone, err := v.erasedUnder(ctx, tx, a, ref)
		if err != nil {
			return err
		}
		if gone != "" { // refused as erased, to those who may know
			found.refused = append(found.refused, act{Actor: a, Action: record.ActionRead, Patient: gone})
			return nil
		}
		_, err = v.decide(ctx, tx, nothing(a, record.ActionRead)) // as for what is there
		return err
	})
	return found, err
}

// documents lists what lies within a scope. An object id that was given out before its
// document was superseded leads to the newest.
func (v *Vault) documents(ctx context.Context, tx *catalog.Tx, s catalog.Scope) ([]catalog.Document, error) {
	docs, err := tx.Documents(ctx, s)
	if err != nil || len(docs) > 0 || s.Document == "" {
		return docs, err
	}
	current, err := tx.Current(ctx, s.Document)
	if errors.Is(err, catalog.ErrNotFound) || current == s.Document {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return tx.Documents(ctx, catalog.Scope{Document: current})
}

type namedScope struct {
	catalog.Scope
	original bool // the name is an original UID
}

// scopes are the ways to read a Ref: as mapped names first, then as original ones,
// which are not even looked for on behalf of those whose view hides them: how long
// that takes would tell.
func (v *Vault) scopes(a record.Actor, ref Ref) []namedScope {
	if ref.Document != "" {
		return []namedScope{{Scope: catalog.Scope{Document: ref.Document}}}
	}
	if ref.Patient != "" {
		return []namedScope{{Scope: catalog.Scope{Patient: ref.Patient}}}
	}
	a.Scopes = "" // what a token was let in for changes nothing about whom its person may know
	searching := v.cfg.Access.Decide(access.Request{Actor: a, Standing: staff.Good, Action: record.ActionSearch, Now: v.cfg.Now()})
	if searching.View == record.ViewDeidentified {
		return []namedScope{{Scope: catalog.Scope{Study: ref.Study, Series: ref.Series, Instance: ref.Instance}}}
	}
	mapped := func(uid string) string {
		if uid == "" {
			return ""
		}
		return v.tokens.UID(uid)
	}
	return []namedScope{
		{Scope: catalog.Scope{Study: ref.Study, Series: ref.Series, Instance: ref.Instance}},
		{Scope: catalog.Scope{Study: mapped(ref.Study), Series: mapped(ref.Series), Instance: mapped(ref.Instance)}, original: true},
	}
}

// sift decides about a document, once for all released documents of a patient, and
// keeps what may be read.
func (v *Vault) sift(ctx context.Context, tx *catalog.Tx, a record.Actor, d catalog.Document, original bool, found *lookedUp) error {
	if _, ok := found.patients[d.Patient]; ok && (d.Held == "" || found.view == record.ViewOriginal) {
		found.docs = append(found.docs, d)
		return nil
	}
	read := readOf(a, d)
	decision, err := v.decide(ctx, tx, read)
	if err != nil {
		return err
	}
	if !decision.Allow || original && decision.View != record.ViewOriginal {
		found.refused = append(found.refused, read)
		if decision.MayKnow {
			found.withheld++
		}
		return nil
	}
	p, err := tx.Patient(ctx, d.Patient)
	if err != nil {
		return err
	}
	if decision.View == record.ViewOriginal {
		if found.corrected[d.Patient], err = correctionRows(ctx, tx, p); err != nil {
			return err
		}
	}
	found.patients[d.Patient], found.view = p, decision.View
	found.docs = append(found.docs, d)
	return nil
}

func readOf(a record.Actor, d catalog.Document) act {
	return act{Actor: a, Action: record.ActionRead, Patient: d.Patient, Object: d.ID, Held: d.Held, Kind: d.Kind}
}

// refused writes a refusal down and says what the actor is told.
func (v *Vault) refused(ctx context.Context, found lookedUp) error {
	if len(found.refused) == 0 {
		return v.absent(ctx, found.by, record.ActionRead)
	}
	return v.refuse(ctx, found.refused[0])
}

// writeReadLeaves commits a leaf for each document that has no live one, deciding
// again in that transaction.
func (v *Vault) writeReadLeaves(ctx context.Context, a record.Actor, found lookedUp) error {
	var ids []record.ObjectID
	byID := make(map[record.ObjectID]catalog.Document)
	for _, d := range found.docs {
		if !v.windows.open(windowKey(a, found.view, d.ID)) {
			ids, byID[d.ID] = append(ids, d.ID), d
		}
	}
	if len(ids) == 0 && len(found.refused) == 0 {
		return nil
	}
	var fresh []record.ObjectID
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		fresh, err = tx.ReadWindow(ctx, a.ID, string(a.Purpose), string(found.view), ids, found.asked, readWindow)
		if err != nil {
			return err
		}
		decided := make(map[record.PatientToken]access.Decision)
		for _, id := range fresh {
			read := readOf(a, byID[id])
			d, ok := decided[read.Patient]
			if !ok {
				if d, err = v.decide(ctx, tx, read); err != nil {
					return err
				}
				decided[read.Patient] = d
			}
			if !d.Allow || d.View != found.view {
				return errChanged // between the two looks: the next request is decided anew
			}
			leaf := v.leaf(read, d)
			leaf.Window = readWindow
			if err := appendLeaf(ctx, tx, leaf); err != nil {
				return err
			}
		}
		return v.writeWithheld(ctx, tx, a, found)
	})
	if err != nil {
		return unavailable("log", err) // what cannot be audited does not happen
	}
	keys := make([]string, 0, len(fresh))
	for _, id := range fresh {
		keys = append(keys, windowKey(a, found.view, id))
	}
	v.windows.opened(found.asked, keys)
	return nil
}

// writeWithheld writes down what was refused beside what is read, one leaf a window.
func (v *Vault) writeWithheld(ctx context.Context, tx *catalog.Tx, a record.Actor, found lookedUp) error {
	refused := make(map[record.ObjectID]act)
	ids := make([]record.ObjectID, 0, len(found.refused))
	for _, r := range found.refused {
		refused[r.Object], ids = r, append(ids, r.Object)
	}
	fresh, err := tx.ReadWindow(ctx, a.ID, string(a.Purpose), "withheld", ids, found.asked, readWindow)
	if err != nil {
		return err
	}
	for _, id := range fresh {
		d, err := v.decide(ctx, tx, refused[id])
		if err != nil {
			return err
		}
		if d.Allow {
			return errChanged // released between the two looks: the next request is decided anew
		}
		leaf := v.leaf(refused[id], d)
		leaf.Window = readWindow
		if err := appendLeaf(ctx, tx, leaf); err != nil {
			return err
		}
	}
	return nil
}

// Handle is one document that may be read, in one view.
type Handle struct {
	ID                                record.ObjectID
	Patient                           record.PatientToken
	Kind                              record.Kind
	View                              record.View
	Study, Series, Instance, SOPClass string // as this view shows them
	TransferSyntax                    string
	Size                              int64  // bytes of this view; -1 where it is made while it is read
	SHA256                            string // hex, of this view; "" where it is made while it is read
	Corrected                         bool   // the original, with what the patient's record was corrected to
	Edition                           string // of that: another one whenever it changes
	Category, Title                   string
	MediaType                         string // of this view
	Frames                            int

	scrubber    imaging.Scrubber
	object      *object
	facts       imaging.Facts
	renewal     renewal
	corrections []imaging.Correction // that the original is given with
	repaint     string               // imaging.Report.Pixels where the content's pixels are not the original's, "" where they are
}

func (v *Vault) handle(ctx context.Context, d catalog.Document, found lookedUp) (*Handle, error) {
	k, err := v.openKeys(ctx, sealedFor(found.patients[d.Patient], d.Object))
	if err != nil {
		return nil, err
	}
	o, err := v.open(ctx, d.Object, k, found.view)
	if err != nil {
		return nil, err
	}
	h := &Handle{ID: d.ID, Patient: d.Patient, Kind: d.Kind, View: found.view, Category: d.Category,
		scrubber: v.cfg.Scrubbers[d.Kind], object: o, renewal: renewal{vault: v, found: lookedUp{view: found.view, patients: found.patients, corrected: found.corrected}, seen: found.asked}}
	var known facts
	if err := readPart(ctx, o, envelope.Facts, &known); err != nil {
		return nil, fmt.Errorf("open %s: %w", d.ID, err)
	}
	if h.facts = known.Facts; known.Report.Pixels == pixelsMasked || known.Report.Pixels == pixelsRecoded {
		h.repaint = known.Report.Pixels
	}
	h.facts.Attributes = nil // read again when asked for: a study may have thousands of handles
	h.SOPClass, h.TransferSyntax = h.facts.SOPClass, h.facts.TransferSyntax
	if h.facts.Frames != nil {
		h.Frames = h.facts.Frames.Count
	}
	h.MediaType = known.mediaType(d.Kind)
	if found.view == record.ViewDeidentified {
		h.Study, h.Series, h.Instance, h.Size, h.SHA256 = d.Study, d.Series, d.Instance, h.facts.Size, h.facts.SHA256
		return h, nil
	}
	var w who
	if err := readPart(ctx, o, envelope.Who, &w); err != nil {
		return nil, fmt.Errorf("open %s: %w", d.ID, err)
	}
	h.Study, h.Series, h.Instance, h.Size, h.SHA256, h.Title = w.Study, w.Series, w.Instance, w.Size, w.SHA256, w.Title
	h.MediaType = w.mediaType(d.Kind)
	if w.TransferSyntax != "" {
		h.TransferSyntax = w.TransferSyntax
	}
	if found.asReceived {
		return h, nil
	}
	return h, v.correctHandle(ctx, h, w.Moved, found.corrected[d.Patient])
}

// correctHandle makes a document carry the corrections of its patient, where it can.
func (v *Vault) correctHandle(ctx context.Context, h *Handle, moved *imaging.Correction, rows []correctionRow) error {
	if _, can := h.scrubber.(imaging.Corrector); !can || moved == nil && len(rows) == 0 {
		return nil
	}
	all, err := v.openCorrections(ctx, rows)
	if err != nil {
		return fmt.Errorf("open %s: %w", h.ID, err)
	}
	if h.corrections = all.about(h.ID); moved != nil {
		h.corrections = append([]imaging.Correction{*moved}, h.corrections...)
	}
	if len(h.corrections) > 0 {
		h.Corrected, h.Size, h.SHA256 = true, -1, ""
		for _, c := range h.corrections {
			h.Edition += strconv.FormatInt(c.At.UnixMilli(), 36) + " "
		}
		h.TransferSyntax = h.scrubber.(imaging.Corrector).CorrectedSyntax(h.TransferSyntax)
	}
	return nil
}

// Reader streams the view's bytes; the last read fails unless the whole matched
// its SHA-256.
func (h *Handle) Reader(ctx context.Context) (io.ReadCloser, error) {
	if err := h.renew(ctx); err != nil {
		return nil, err
	}
	if h.View == record.ViewOriginal {
		original := restore(ctx, h.object) // checks the hash itself
		if h.Corrected {
			original = corrected(h.scrubber.(imaging.Corrector), original, h.corrections)
		}
		return h.living(ctx, original), nil
	}
	content, err := h.object.Part(ctx, envelope.Content)
	if err != nil {
		return nil, tampered(err)
	}
	return h.living(ctx, &checked{ReadCloser: content, sum: sha256.New(), want: h.facts.SHA256}), nil
}

// checked ends cleanly only when all that passed has the right hash.
type checked struct {
	io.ReadCloser
	sum  hash.Hash
	want string
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sum.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(c.sum.Sum(nil)) != c.want {
		return n, fmt.Errorf("%w: content has another hash", record.ErrTampered)
	}
	return n, tampered(err)
}

// Explicit writes the view in Explicit VR Little Endian; what only a decoder could
// do is ErrNotAcceptable, before the first byte.
func (h *Handle) Explicit(ctx context.Context, w io.Writer) error {
	r, err := h.Reader(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := h.scrubber.Convert(w, r); errors.Is(err, imaging.ErrCannotConvert) {
		return notConvertible()
	} else if err != nil {
		return fmt.Errorf("convert %s: %w", h.ID, err)
	}
	return nil
}

func notConvertible() error {
	return record.Refuse(record.ErrNotAcceptable, "transfer-syntax", "stored compressed: ask for it as stored with transfer-syntax=*")
}

// Metadata returns the view's attributes as one DICOM JSON object (PS3.18 F). A
// BulkDataURI is "bulk/GGGGEEEE".
func (h *Handle) Metadata(ctx context.Context) (json.RawMessage, error) {
	if h.View == record.ViewDeidentified {
		var facts imaging.Facts
		err := readPart(ctx, h.object, envelope.Facts, &facts)
		return facts.Attributes, err
	}
	r, err := h.Reader(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := h.scrubber.Describe(r)
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", h.ID, err)
	}
	return data, nil
}

// Frame streams frame n (from 1) without reading the rest of the object. Beyond the
// last: ErrNotFound.
func (h *Handle) Frame(ctx context.Context, n int) (io.ReadCloser, error) {
	if err := h.renew(ctx); err != nil {
		return nil, err
	}
	f := h.facts.Frames
	if f == nil || n < 1 || n > f.Count {
		return nil, record.Refuse(record.ErrNotFound, "no-such-frame", "the instance has fewer frames")
	}
	if h.unlike() {
		return h.originalFrame(ctx, n)
	}
	if f.Fragments == nil {
		r, err := h.object.Range(ctx, envelope.Content, f.Offset+int64(n-1)*f.Length, f.Length)
		if err != nil {
			return nil, tampered(err)
		}
		return h.living(ctx, swapped(r, f.BigEndian)), nil
	}
	return h.living(ctx, &fragments{ctx: ctx, object: h.object, rest: f.Fragments[n-1]}), nil
}

// Encapsulated says whether frames are compressed streams, to be given as stored or
// not at all.
func (h *Handle) Encapsulated() bool {
	if h.facts.Frames == nil {
		return false
	}
	return h.facts.Frames.Fragments != nil || h.unlike() && h.repaint == pixelsRecoded
}

// fragments streams the fragments of one frame one after another.
type fragments struct {
	ctx    context.Context
	object *object
	rest   [][2]int64
	now    io.ReadCloser
}

func (f *fragments) Read(p []byte) (int, error) {
	for {
		if f.now == nil {
			if len(f.rest) == 0 {
				return 0, io.EOF
			}
			r, err := f.object.Range(f.ctx, envelope.Content, f.rest[0][0], f.rest[0][1])
			if err != nil {
				return 0, tampered(err)
			}
			f.now, f.rest = r, f.rest[1:]
		}
		n, err := f.now.Read(p)
		if err != io.EOF {
			return n, tampered(err)
		}
		if err := f.now.Close(); err != nil {
			return n, err
		}
		f.now = nil
		if n > 0 {
			return n, nil
		}
	}
}

func (f *fragments) Close() error {
	if f.now == nil {
		return nil
	}
	return f.now.Close()
}

// swapped turns big endian words of the given size into little endian ones.
func swapped(r io.ReadCloser, word int) io.ReadCloser {
	if word < 2 {
		return r
	}
	return &swapper{r: r, word: word}
}

type swapper struct {
	r     io.ReadCloser
	word  int
	ready []byte
}

func (s *swapper) Read(p []byte) (int, error) {
	if len(s.ready) == 0 {
		buf := make([]byte, 32<<10/s.word*s.word)
		n, err := io.ReadFull(s.r, buf)
		if n == 0 {
			return 0, err
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return 0, err
		}
		for i := 0; i+s.word <= n; i += s.word {
			for a, b := i, i+s.word-1; a < b; a, b = a+1, b-1 {
				buf[a], buf[b] = buf[b], buf[a]
			}
		}
		s.ready = buf[:n]
	}
	n := copy(p, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

func (s *swapper) Close() error { return s.r.Close() }

// pixelData is the tag of Pixel Data (7FE0,0010).
const pixelData = "7FE00010"

// Bulk streams the value of a top-level element, named by eight hex digits.
func (h *Handle) Bulk(ctx context.Context, tag string) (io.ReadCloser, error) {
	if err := h.renew(ctx); err != nil {
		return nil, err
	}
	if tag == pixelData && h.facts.Frames != nil && h.Encapsulated() {
		return nil, notConvertible()
	}
	if tag == pixelData && h.facts.Frames != nil && !h.unlike() {
		f := h.facts.Frames
		r, err := h.object.Range(ctx, envelope.Content, f.Offset, f.Length*int64(f.Count))
		if err != nil {
			return nil, tampered(err)
		}
		return h.living(ctx, swapped(r, f.BigEndian)), nil
	}
	r, err := h.Reader(ctx)
	if err != nil {
		return nil, err
	}
	value, err := h.scrubber.Value(r, tag)
	if err != nil {
		r.Close()
		return nil, record.Refuse(record.ErrNotFound, "no-such-element", "the instance has no such bulk data")
	}
	return struct {
		io.Reader
		io.Closer
	}{value, r}, nil
}
