package vault

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"medvault/keys"
	"medvault/keys/envelope"
	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// unwritten is a store that is only read: a Put of what lies there already is success,
// everything else that would change it is refused.
type unwritten struct{ persistent }

func (u unwritten) Put(ctx context.Context, key string, body storage.Body) error {
	err := storage.Compare(ctx, u.Store, key, body)
	if errors.Is(err, storage.ErrCorrupt) {
		return fmt.Errorf("put %s: %w", key, storage.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w: it is only read", key, storage.ErrDenied)
	}
	return nil
}

func (u unwritten) Delete(_ context.Context, key string) error {
	return fmt.Errorf("delete %s: %w: it is only read", key, storage.ErrDenied)
}

func (u unwritten) Repair(_ context.Context, key string, _ storage.Info, _ storage.Body) error {
	return fmt.Errorf("repair %s: %w: it is only read", key, storage.ErrDenied)
}

// batches gathers what comes one by one.
func batches[T any](all iter.Seq2[T, error], n int) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var batch []T
		for one, err := range all {
			if err != nil {
				yield(nil, err)
				return
			}
			if batch = append(batch, one); len(batch) < n {
				continue
			}
			if !yield(batch, nil) {
				return
			}
			batch = nil
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

// pages does what is listed page by page: do reads, and what it returns writes, in one
// transaction with the place that was reached.
func (r *rebuild) pages(ctx context.Context, list iter.Seq2[storage.Info, error], do func(context.Context, []storage.Info) (func(*catalog.Tx) error, error)) error {
	for page, err := range batches(list, rebuildPage) {
		if err != nil {
			return err
		}
		write, err := do(ctx, page)
		if err != nil {
			return err
		}
		last := page[len(page)-1].Key
		err = r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			if err := write(tx); err != nil {
				return err
			}
			return r.note(ctx, tx, last)
		})
		if err != nil {
			return err
		}
		r.at.Position = last
		r.tell()
	}
	return nil
}

// each does n things, some of them at once.
func (r *rebuild) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * r.v.cfg.Workers)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// takeObjects takes in what leaves name and nothing has superseded; the rest waits.
func (r *rebuild) takeObjects(ctx context.Context, class string) error {
	return r.takeListed(ctx, r.from.Data.List(ctx, class+"/", r.at.Position), "")
}

// takeAgain looks once more, by its name, for whatever the log names and was not taken in:
// the listing may have left it out, or its bytes have come wrong.
func (r *rebuild) takeAgain(ctx context.Context, class string) error {
	return r.takeListed(ctx, func(yield func(storage.Info, error) bool) {
		after, _ := objectAt(r.at.Position)
		for {
			var ids []record.ObjectID
			var leaves [][]byte
			err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
				ids, leaves, err = tx.Unaccounted(ctx, after, rebuildPage)
				return err
			})
			if err != nil {
				yield(storage.Info{}, err)
				return
			}
			for i, data := range leaves {
				leaf, err := audit.ParseLeaf(data)
				if err == nil && objectOf(leaf).Class != class {
					continue
				}
				if !yield(storage.Info{Key: ids[i].Key(class)}, err) {
					return
				}
			}
			if len(ids) == 0 {
				return
			}
			after = ids[len(ids)-1]
		}
	}, "")
}

// tookAgain takes back what was said of an object that a second look has found good, or
// says that the listing had left it out.
func (r *rebuild) tookAgain(ctx context.Context, tx *catalog.Tx, t taken) error {
	named, err := tx.RebuildFindings(ctx, r.from.Name, "", catalog.RebuildFinding{Key: t.key}, 1)
	if err != nil {
		return err
	}
	if len(named) > 0 && named[0].Key == t.key {
		return tx.DropRebuildFinding(ctx, r.from.Name, t.key, named[0].Type)
	}
	return r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildListing, Object: string(t.id), Class: t.object.Class, Patient: t.object.Patient,
		Evidence: "it lies there, and the region's listing left it out: what no leaf names may be left out as well", Repair: "rebuild again once the region lists what it holds"})
}

// Types of findings that takeWaiting settles: they say what waits.
const (
	rebuildLeaving     = "leaving"     // the log says that another stands in its place: taken back where that is not here
	rebuildUnconfirmed = "unconfirmed" // no leaf names it: taken in where it verifies to its last byte
)

// takeWaiting takes in what has waited.
func (r *rebuild) takeWaiting(ctx context.Context, kind string) error {
	waiting := func(yield func(storage.Info, error) bool) {
		for after := (catalog.RebuildFinding{Key: r.at.Position, Type: "~"}); ; {
			var page []catalog.RebuildFinding
			err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
				page, err = tx.RebuildFindings(ctx, r.from.Name, kind, after, rebuildPage)
				return err
			})
			if err != nil {
				yield(storage.Info{}, err)
				return
			}
			for _, f := range page {
				if after = f; !yield(storage.Info{Key: f.Key}, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
		}
	}
	return r.takeListed(ctx, waiting, kind)
}

// takeListed takes in what is listed; waited is why it was left until now, "" when this is
// the first look at it.
func (r *rebuild) takeListed(ctx context.Context, list iter.Seq2[storage.Info, error], waited string) error {
	return r.pages(ctx, list, func(ctx context.Context, infos []storage.Info) (func(*catalog.Tx) error, error) {
		all := make([]taken, len(infos))
		err := r.each(ctx, len(infos), func(ctx context.Context, i int) (err error) {
			all[i], err = r.examine(ctx, infos[i], waited)
			return err
		})
		for _, t := range all {
			if t.later == "" && t.id != "" {
				r.state.Objects++
				r.state.Bytes += t.bytes
			}
		}
		return func(tx *catalog.Tx) error {
			for i := range all {
				if err := r.take(ctx, tx, all[i], waited); err != nil {
					return fmt.Errorf("%s: %w", all[i].key, err)
				}
			}
			return nil
		}, err
	})
}

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

// recordLabel tells the label of a record; of one that was sealed before there were
// labels only the type, by its fields.
func recordLabel(value json.RawMessage) label {
	var v struct {
		Stored    label           `json:"stored"`
		Clinician string          `json:"clinician"`
		Care      record.ObjectID `json:"care"`
		Decision  string          `json:"decision"`
	}
	_ = json.Unmarshal(value, &v) // another form is another type
	if v.Stored.Type == "" {
		switch {
		case v.Clinician != "":
			v.Stored.Type = recordCare
		case v.Care != "":
			v.Stored.Type = recordCareEnd
		case v.Decision != "":
			v.Stored.Type = recordReview
		default:
			v.Stored.Type = "unknown"
		}
	}
	return v.Stored
}

// Types of records.
const (
	recordCare    = "care"
	recordCareEnd = "care-end"
	recordReview  = "review"
)

// take writes what was found out about one name.
func (r *rebuild) take(ctx context.Context, tx *catalog.Tx, t taken, waited string) error {
	if waited != "" {
		if err := tx.DropRebuildFinding(ctx, r.from.Name, t.key, waited); err != nil {
			return err
		}
	}
	switch {
	case t.finding != nil:
		return r.found(ctx, tx, t.key, *t.finding)
	case t.id == "":
		return nil
	case t.later != "":
		return r.found(ctx, tx, t.key, RebuildFinding{Type: t.later, Object: string(t.id), Class: classOf(t.key)})
	case t.leaving && !t.returns:
		return tx.Promise(ctx, t.id, []string{r.from.Name}) // to be taken away at the end
	case t.known && !t.returns:
		return r.lies(ctx, tx, t.id)
	}
	if strings.HasSuffix(r.at.Phase, " again") {
		if err := r.tookAgain(ctx, tx, t); err != nil {
			return err
		}
	}
	if t.returns {
		if err := r.comeBack(ctx, tx, t); err != nil {
			return err
		}
	}
	err := r.patient(ctx, tx, t.object.Patient, func(p *catalog.Patient) {
		p.Generation = max(p.Generation, t.object.Generation)
		p.Country = cmp.Or(t.stored.Country, p.Country)
	}, t.object.Created)
	if err != nil {
		return err
	}
	if t.document != nil {
		if err := r.takeBirth(ctx, tx, t); err != nil {
			return err
		}
		return r.takeDocument(ctx, tx, t)
	}
	if err := tx.InsertRecord(ctx, t.object, t.stored.Type); err != nil {
		return err
	}
	if t.stored.Type == recordConsent {
		var c Consent
		if err := json.Unmarshal(t.value, &c); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		if err := tx.InsertConsent(ctx, c.statement()); err != nil && !errors.Is(err, catalog.ErrExist) {
			return err
		}
	}
	if err := errors.Join(takeGuardians(ctx, tx, t), takeCases(ctx, tx, t.id, t.stored.Type, t.value)); err != nil {
		return err
	}
	if t.stored.Type == recordCare {
		var c Care
		if err := json.Unmarshal(t.value, &c); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		if err := tx.InsertCare(ctx, c.row()); err != nil && !errors.Is(err, catalog.ErrExist) {
			return err
		}
	}
	if t.object.Patient == record.House {
		if err := takeHouseRecord(ctx, tx, t.id, t.stored.Type, t.value); err != nil {
			return err
		}
	}
	return r.keepTaken(ctx, tx, t)
}

// comeBack makes room for a document that was superseded by one that is lost.
func (r *rebuild) comeBack(ctx context.Context, tx *catalog.Tx, t taken) error {
	if err := tx.Return(ctx, t.id); err != nil {
		return err
	}
	leaf := r.leaf(ActionReturned)
	leaf.Patient, leaf.Object = t.object.Patient, t.id
	if err := appendLeaf(ctx, tx, leaf); err != nil {
		return err
	}
	return r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildEarlier, Object: string(t.id), Class: t.object.Class, Patient: t.object.Patient,
		Evidence: "the log says that another stands in its place, which is not here", Repair: "rebuild from a region that has the other; or look whether this one is as it should be"})
}

// takeDocument writes a document's row. Where another has its place, both are kept.
func (r *rebuild) takeDocument(ctx context.Context, tx *catalog.Tx, t taken) error {
	d := *t.document
	err := tx.InsertDocument(ctx, d)
	if err == nil {
		return r.keepTaken(ctx, tx, t)
	}
	if !errors.Is(err, catalog.ErrExist) {
		return err
	}
	twin, err := tx.DocumentByFingerprint(ctx, d.Patient, d.Fingerprint)
	if err == nil {
		if newer, err := r.supersedes(ctx, tx, t, twin.ID); err != nil {
			return err
		} else if newer {
			if err := tx.Supersede(ctx, twin.ID, d); err != nil {
				return err
			}
			return r.keepTaken(ctx, tx, t)
		}
		// The same original: what came first leads.
		o := t.object
		o.SupersededBy = twin.ID
		if err := errors.Join(tx.Leave(ctx, o), r.lies(ctx, tx, o.ID)); err != nil {
			return err
		}
		return r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildTwin, Object: string(t.id), Class: t.object.Class, Patient: d.Patient,
			Evidence: "the same original is stored as " + string(twin.ID), Repair: "look whether that one is as it should be"})
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	other, err := tx.DocumentByInstance(ctx, d.Instance)
	if err != nil {
		return err
	}
	d.Instance = "" // it is found by all else
	if err := tx.InsertDocument(ctx, d); err != nil {
		return err
	}
	if err := r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildSameInstance, Object: string(t.id), Class: t.object.Class, Patient: d.Patient,
		Evidence: "has the SOP Instance UID of " + string(other.ID) + " and other bytes", Repair: "a person has to say which is the right one"}); err != nil {
		return err
	}
	return r.keepTaken(ctx, tx, t)
}

// supersedes says whether the log says that t stands in the place of an earlier object,
// directly or with others between.
func (r *rebuild) supersedes(ctx context.Context, tx *catalog.Tx, t taken, earlier record.ObjectID) (bool, error) {
	leaf := t.leaf
	for leaf != nil && leaf.Commit.Supersedes != "" && leaf.Commit.Supersedes != earlier {
		data, err := tx.CommitOf(ctx, leaf.Commit.Supersedes)
		if errors.Is(err, catalog.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		before, err := audit.ParseLeaf(data)
		if err != nil {
			return false, err
		}
		leaf = &before
	}
	return leaf != nil && leaf.Commit.Supersedes == earlier, nil
}

// keepTaken promises a new row to the regions and, when no leaf commits it, writes one.
func (r *rebuild) keepTaken(ctx context.Context, tx *catalog.Tx, t taken) error {
	if t.facts.Known != "" || t.facts.Parent != "" {
		if err := tx.SetReport(ctx, catalog.Report{ID: t.id, Known: t.facts.Known, Parent: t.facts.Parent}); err != nil {
			return err
		}
	}
	p, err := r.v.owner(ctx, tx, t.object.Patient)
	if err != nil {
		return err
	}
	said, err := r.v.consents(ctx, tx, p.Token)
	if err != nil {
		return err
	}
	permitted := r.permitted(p, said)
	if err := r.v.promise(ctx, tx, t.object, permitted, []string{r.from.Name}); err != nil {
		return err
	}
	if err := r.lies(ctx, tx, t.id); err != nil || t.leaf != nil {
		return err
	}
	leaf := r.leaf(ActionRecovered)
	leaf.Patient, leaf.Object = t.object.Patient, t.id
	describeCommit(&leaf, t.object, permitted)
	if old := t.facts.Supersedes; old != "" {
		leaf.Commit.Supersedes = old
		if err := r.leaveBehind(ctx, tx, old, t.id); err != nil {
			return err
		}
	}
	if err := appendLeaf(ctx, tx, leaf); err != nil {
		return err
	}
	return r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildAdopted, Object: string(t.id), Class: t.object.Class, Patient: t.object.Patient,
		Promised: permitted, Evidence: "no leaf names it; it opens whole, under this patient's keys", Repair: "ask whether it was acknowledged"})
}

// leaveBehind puts an unconfirmed document in the place of the one it says it supersedes,
// which is not here any more: its removal was the next step of that supersession.
func (r *rebuild) leaveBehind(ctx context.Context, tx *catalog.Tx, old, by record.ObjectID) error {
	data, err := tx.CommitOf(ctx, old)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	leaf, err := audit.ParseLeaf(data)
	if err != nil {
		return err
	}
	o := objectOf(leaf)
	o.SupersededBy = by
	return tx.Leave(ctx, o)
}

// permitted names the regions, of all, where a patient's objects may lie, as far as is
// known yet: followConsents promises them what records of consent add.
func (r *rebuild) permitted(p catalog.Patient, said []consent.Statement) (names []string) {
	for _, place := range r.cfg.Places {
		if !r.takes(place.Name) {
			continue
		}
		if r.v.mayLie(place.Jurisdiction, p.Country, said).Permit {
			names = append(names, place.Name)
		}
	}
	return names
}

// lies notes that the object was read in this region.
func (r *rebuild) lies(ctx context.Context, tx *catalog.Tx, id record.ObjectID) error {
	if err := tx.Promise(ctx, id, []string{r.from.Name}); err != nil {
		return err
	}
	return tx.Placed(ctx, id, r.from.Name, time.Now())
}
