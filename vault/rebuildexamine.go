package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"medvault/keys"
	"medvault/keys/envelope"
	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// taken is what was found out about one name of the region.
type taken struct {
	key      string
	id       record.ObjectID // "" when the name is none of an object's
	bytes    int64           // read
	leaf     *audit.Leaf     // that commits it
	later    string          // why it has to wait
	known    bool            // the catalog has its row
	leaving  bool            // another stands in its place
	returns  bool            // that other is not here
	finding  *RebuildFinding // why it is not taken in
	object   catalog.Object
	document *catalog.Document
	facts    facts
	stored   label
	value    json.RawMessage // of a record
	birth    string          // that a document states
}

// refuse notes why an object is not taken in.
func (t *taken) refuse(kind, evidence, repair string) {
	f := RebuildFinding{Type: kind, Object: string(t.id), Class: classOf(t.key), Patient: t.object.Patient, Evidence: evidence, Repair: repair}
	if t.leaf != nil {
		f.Patient, f.Promised = t.leaf.Patient, t.leaf.Commit.Regions
	}
	t.finding = &f
}

func classOf(key string) string { return key[:len("objects")] }

// examine reads one object, compares it with the log and opens what a catalog knows of
// it. The error is one after which it makes no sense to go on.
func (r *rebuild) examine(ctx context.Context, info storage.Info, waited string) (t taken, err error) {
	t.key = info.Key
	id, ok := objectAt(info.Key)
	if !ok {
		t.finding = &RebuildFinding{Type: RebuildForeign, Object: printable(info.Key), Evidence: "no object has this name"}
		return t, nil
	}
	t.id = id
	var row catalog.Object
	err = r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		t.known, t.leaving, t.returns, t.leaf = false, false, false, nil
		var err error
		if row, err = tx.Object(ctx, id); err == nil {
			t.known, t.leaving = true, row.SupersededBy != ""
			if t.leaving {
				if t.returns, err = r.returns(ctx, tx, row); err != nil {
					return err
				}
			}
		} else if !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		data, err := tx.CommitOf(ctx, id)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		leaf, err := audit.ParseLeaf(data)
		t.leaf = &leaf
		return err
	})
	switch {
	case err != nil, t.leaving && !t.returns:
		return t, err
	case t.leaving && waited == "":
		t.later = rebuildLeaving // what stands in its place may come yet
		return t, nil
	case t.leaf == nil && !t.known && waited == "":
		t.later = rebuildUnconfirmed
		return t, nil
	}
	body, err := r.swallow(ctx, t.key)
	t.bytes = body.size
	switch {
	case errors.Is(err, storage.ErrNotExist):
		return taken{key: t.key}, nil // since it was listed
	case err != nil && r.answers(ctx):
		t.refuse(RebuildUnreadable, "the region does not give its bytes", "copy it from another region")
		return t, nil
	case err != nil:
		return t, err
	case t.leaf != nil && (t.leaf.Commit.Size != body.size || t.leaf.Commit.SHA256 != body.sum),
		t.known && (row.Size != body.size || row.SHA256 != body.sum):
		t.refuse(RebuildDamaged, "its bytes are not those that the log names", "copy it from another region")
		return t, nil
	case t.known && !t.returns:
		t.object = row
		return t, nil
	}
	t.object = catalog.Object{ID: id, Class: classOf(t.key), Size: body.size, SHA256: body.sum, Created: info.Modified}
	err = r.open(ctx, &t, body.tail)
	switch {
	case err == nil:
	case errors.Is(err, errNoWraps):
		t.refuse(RebuildUnreadable, "the region holds no key of this patient", "rebuild from another region")
	case errors.Is(err, keys.ErrRefused), errors.Is(err, keys.ErrNoKey):
		t.refuse(RebuildUnreadable, "the region's key service does not open the patient's keys", "rebuild from another region")
	case errors.Is(err, record.ErrTampered), errors.Is(err, errNotWhole):
		t.refuse(RebuildUnreadable, "it does not open: what is sealed in it is not what it says", "copy it from another region")
	default:
		return t, err
	}
	return t, nil
}

// returns says whether what stands in the place of an object is not here, so that it counts
// again. Nothing whose keys are dead does.
func (r *rebuild) returns(ctx context.Context, tx *catalog.Tx, row catalog.Object) (bool, error) {
	if dead, err := tx.Dead(ctx, row.Patient, row.Generation); err != nil || dead {
		return false, err
	}
	var err error
	if row.Class == catalog.ClassRecords {
		_, err = tx.Object(ctx, row.SupersededBy)
	} else {
		_, err = tx.Document(ctx, row.SupersededBy)
	}
	if errors.Is(err, catalog.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// answers says whether the region gives what it must have, so that a failure is one
// object's and not the region's.
func (r *rebuild) answers(ctx context.Context) bool {
	for info, err := range r.from.Keys.List(ctx, "house/", "") {
		if err != nil {
			return false
		}
		b, w, ok := parseWrapKey(info.Key)
		if !ok {
			continue
		}
		_, err = readWrap(ctx, r.from, catalog.WrapRow{Binding: b, Wrap: w})
		return err == nil
	}
	return false
}

// swallowed is an object that was read whole.
type swallowed struct {
	size int64
	sum  [32]byte
	tail []byte // its last bytes
}

// keptTail is how much of an object's end is kept while it is looked at: with the
// footer, who, facts and, but for reports, all of the identity.
const keptTail = 512 << 10

func (r *rebuild) swallow(ctx context.Context, key string) (s swallowed, err error) {
	body, err := r.from.Data.Get(ctx, key, 0, -1)
	if err != nil {
		return s, err
	}
	defer body.Close() // reading: everything that counts was said by Read
	sum, piece := sha256.New(), make([]byte, 128<<10)
	for {
		n, err := body.Read(piece)
		sum.Write(piece[:n])
		s.size += int64(n)
		if s.tail = append(s.tail, piece[:n]...); len(s.tail) > 2*keptTail {
			s.tail = slices.Clone(s.tail[len(s.tail)-keptTail:])
		}
		if err == io.EOF {
			sum.Sum(s.sum[:0])
			return s, nil
		}
		if err != nil {
			return s, err
		}
	}
}

// errNotWhole: what is sealed in an object contradicts itself.
var errNotWhole = errors.New("contradicts itself")

// open opens what a catalog knows of an object.
func (r *rebuild) open(ctx context.Context, t *taken, tail []byte) error {
	o := &t.object
	at := o.Size - int64(len(tail))
	footer, err := envelope.ReadFooter(ctx, func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		if offset < at {
			return nil, io.ErrUnexpectedEOF // never: the footer is shorter than the tail
		}
		return spooled{storage.Body{ReaderAt: storage.Memory(tail), Size: int64(len(tail))}}.fetch(ctx, offset-at, length)
	}, o.Size)
	if err != nil {
		return tampered(err)
	}
	d, err := envelope.Describe(footer, o.Size)
	if err != nil {
		return tampered(err)
	}
	if o.Patient, err = record.ParsePatientToken(d.Header.Patient); err != nil {
		return fmt.Errorf("%w: %w", errNotWhole, err)
	}
	o.Generation, o.Seal, o.Kind = d.Header.Generation, hex.EncodeToString(d.Header.Seal[:]), record.Kind(d.Header.Kind)
	if raw, err := o.ID.Bytes(); err != nil || raw != d.Header.Object || (o.Kind == record.KindRecord) != (o.Class == catalog.ClassRecords) {
		return errNotWhole // it lies under another's name
	}
	k, err := r.keysOf(ctx, t)
	if err != nil || t.finding != nil {
		return err
	}
	o.Footer = tail
	sealed, err := r.v.open(ctx, *o, k, record.ViewOriginal)
	if err != nil {
		return err
	}
	o.Footer = nil
	if o.Class == catalog.ClassRecords {
		if err := readPart(ctx, sealed, envelope.Content, &t.value); err != nil {
			return notWhole(err)
		}
		t.stored = recordLabel(t.value)
	} else if err := r.document(ctx, t, sealed, k, tail); err != nil {
		return err
	} else {
		o.Footer = lastOf(d, tail)
		t.document.Object = *o
	}
	r.date(t)
	if t.document != nil {
		t.document.Created = t.object.Created
	}
	return nil
}

// notWhole marks what authenticates and still is not what it should be.
func notWhole(err error) error {
	if syntax := new(json.SyntaxError); errors.As(err, &syntax) || errors.As(err, new(*json.UnmarshalTypeError)) {
		return fmt.Errorf("%w: %w", errNotWhole, err)
	}
	return err
}

// keysOf opens the patient's keys; an erased patient has none.
func (r *rebuild) keysOf(ctx context.Context, t *taken) (patientKeys, error) {
	var p catalog.Patient
	err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		p, err = r.v.owner(ctx, tx, t.object.Patient)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return patientKeys{}, errNoWraps
	}
	if err != nil {
		return patientKeys{}, err
	}
	dead, err := r.v.isDead(ctx, t.object.Patient, t.object.Generation)
	if err != nil {
		return patientKeys{}, err
	}
	if dead {
		t.refuse(RebuildErased, "its keys were destroyed", "delete it")
		return patientKeys{}, nil
	}
	p.Generation = t.object.Generation
	k, err := r.v.openKeys(ctx, p)
	if errors.Is(err, errNoWraps) || errors.Is(err, keys.ErrRefused) {
		if found, lookErr := r.retakeWraps(ctx, p); found || lookErr != nil {
			k, err = r.v.openKeys(ctx, p)
			return k, errors.Join(lookErr, err)
		}
	}
	return k, err
}

// retakeWraps looks by name for wraps of a patient that were not listed, or did not open
// as they came.
func (r *rebuild) retakeWraps(ctx context.Context, p catalog.Patient) (found bool, err error) {
	for _, kind := range []keys.Kind{keys.Content, keys.Identity} {
		row, err := wrapNamed(ctx, r.from, r.service, keys.Binding{Kind: kind, Token: string(p.Token), Generation: p.Generation})
		if errors.Is(err, errNoWraps) {
			return false, nil // without both nothing opens
		}
		if err != nil {
			return false, err
		}
		err = r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			if err := tx.AddWraps(ctx, []catalog.WrapRow{row}); err != nil {
				return err
			}
			return tx.ReplaceWrap(ctx, row)
		})
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// lastOf is what the catalog keeps of a document's end; see sealed.tail.
func lastOf(d envelope.Description, tail []byte) []byte {
	n := d.Footer
	for _, p := range d.Parts {
		if p.Name == envelope.Who && d.Size-p.Offset <= maxTail {
			n = d.Size - p.Offset
		}
	}
	return slices.Clone(tail[int64(len(tail))-n:])
}

// date says when an object was stored, as exactly as is known.
func (r *rebuild) date(t *taken) {
	switch {
	case t.leaf != nil:
		t.object.Created = t.leaf.Time
	case !t.stored.At.IsZero():
		t.object.Created = t.stored.At
	case t.object.Created.IsZero():
		t.object.Created = r.v.cfg.Now()
	}
}

// document makes the row of a document from what is sealed in it. The header is restored
// and read again, so that it is found by the same terms as before.
func (r *rebuild) document(ctx context.Context, t *taken, sealed *object, k patientKeys, tail []byte) error {
	var w who
	if err := errors.Join(readPart(ctx, sealed, envelope.Who, &w), readPart(ctx, sealed, envelope.Facts, &t.facts)); err != nil {
		return notWhole(err)
	}
	row := t.object
	row.Footer = tail
	in, err := r.v.comeInAgain(ctx, supersession{old: catalog.Document{Object: row}}, k)
	if err != nil {
		if refused := new(record.Refusal); errors.As(err, &refused) {
			err = fmt.Errorf("%w: %w", errNotWhole, err)
		}
		return err
	}
	id := in.identity
	if err := in.close(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	sum, err := hex.DecodeString(w.SHA256)
	if err != nil || len(sum) != sha256.Size || !w.Stored.Aliased && r.v.tokens.Patient(w.Issuer, w.PatientID) != string(t.object.Patient) {
		return errNotWhole
	}
	if t.leaf == nil {
		if err := restoresTo(ctx, sealed, w.Size, [32]byte(sum)); err != nil {
			return err
		}
	}
	t.stored = w.Stored
	d := catalog.Document{Fingerprint: r.v.tokens.Fingerprint([32]byte(sum)), Category: w.Stored.Category, By: w.Stored.By,
		Held: t.facts.Held, Rules: t.facts.Report.Rules.Digest, Review: t.facts.Review}
	if d.Category == "" { // sealed before there were labels
		d.Category = defaultCategory(row.Kind, id.ResourceType)
	}
	if row.Kind == record.KindDICOM {
		d.Study, d.Series, d.Instance = r.v.tokens.UID(id.Study), r.v.tokens.UID(id.Series), r.v.tokens.UID(id.Instance)
	}
	if d.By == "" && t.leaf != nil {
		d.By = t.leaf.Actor
	}
	if w.PatientName != "" {
		id.PatientName = w.PatientName
	}
	d.Terms, err = r.v.terms(id, row.Patient)
	t.document, t.birth = &d, id.BirthDate
	return err
}

// restoresTo restores a document whole.
func restoresTo(ctx context.Context, o *object, size int64, sum [32]byte) error {
	original := restore(ctx, o)
	defer original.Close() // reading: everything that counts was said by Read
	got := sha256.New()
	n, err := io.Copy(got, original)
	if err != nil {
		return tampered(err)
	}
	if n != size || [32]byte(got.Sum(nil)) != sum {
		return errNotWhole
	}
	return nil
}
