package catalog

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"medvault/vault/catalog/internal/query"
	"medvault/vault/record"
)

// Supersede puts a document in the place of an old one, whose row keeps only what
// leads to it: the old document and its own terms go, its placements stay until the
// regions are rid of it (Removed). Not a document, or superseded already: ErrChanged.
func (t *Tx) Supersede(ctx context.Context, old record.ObjectID, d Document) error {
	return attempt(t.supersede(ctx, old, d), "supersede %s by %s", old, d.ID)
}

func (t *Tx) supersede(ctx context.Context, old record.ObjectID, d Document) error {
	n, err := t.q.DeleteDocument(ctx, string(old))
	if err == nil && n == 0 {
		err = ErrChanged
	}
	if err != nil {
		return err
	}
	was, err := t.Object(ctx, old) // which may have been another patient's
	if err != nil {
		return err
	}
	if err := t.q.DeleteTerms(ctx, query.DeleteTermsParams{Patient: string(was.Patient), Owner: string(old)}); err != nil {
		return err
	}
	if err := t.insertDocument(ctx, d); err != nil {
		return err
	}
	// What was superseded earlier leads to the newest at once.
	if err := t.q.MoveSuccessors(ctx, query.MoveSuccessorsParams{OldID: string(old), NewID: string(d.ID)}); err != nil {
		return err
	}
	n, err = t.q.SupersedeObject(ctx, query.SupersedeObjectParams{OldID: string(old), NewID: string(d.ID), Footer: []byte{}})
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return err
}

// Current finds what stands in the place of an object: itself while it counts.
// Unknown: ErrNotFound.
func (t *Tx) Current(ctx context.Context, id record.ObjectID) (record.ObjectID, error) {
	o, err := t.Object(ctx, id)
	if err != nil || o.SupersededBy == "" {
		return id, err
	}
	return o.SupersededBy, nil
}

// Removed says that a region does not hold an object any more.
func (t *Tx) Removed(ctx context.Context, id record.ObjectID, region string) error {
	_, err := t.q.DeletePlacement(ctx, query.DeletePlacementParams{Region: region,
		ObjectKey: id.Key(ClassObjects), RecordKey: id.Key(ClassRecords)})
	return attempt(err, "removed %s from %s", id, region)
}

// Review notes the record in which a person decided that a document stays held. Absent:
// ErrNotFound.
func (t *Tx) Review(ctx context.Context, id, decision record.ObjectID) error {
	n, err := t.q.SetReview(ctx, query.SetReviewParams{ID: string(id), Review: string(decision)})
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "review %s", id)
}

// ByRules notes that a document is what these rules make of it. Absent: ErrNotFound.
func (t *Tx) ByRules(ctx context.Context, id record.ObjectID, rules string) error {
	n, err := t.q.SetRules(ctx, query.SetRulesParams{ID: string(id), Rules: rules})
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "rules of %s", id)
}

// Place is a place in a list that is sorted by time, newest first. The zero Place is
// its beginning.
type Place struct {
	Time time.Time
	ID   record.ObjectID
}

// Held lists documents that are withheld, those of which a person has decided so or
// those that wait for one, up to limit behind a place, the newest first, without terms.
func (t *Tx) Held(ctx context.Context, decided bool, behind Place, limit int) ([]Document, error) {
	before := query.HeldDocumentsParams{BeforeAt: math.MaxInt64, MaxRows: limit32(limit)}
	if decided {
		before.Decided = 1
	}
	if behind.ID != "" {
		before.BeforeAt, before.BeforeID = millis(behind.Time), string(behind.ID)
	}
	rows, err := t.q.HeldDocuments(ctx, before)
	if err != nil {
		return nil, attempt(err, "held documents")
	}
	held := make([]Document, len(rows))
	for i, r := range rows {
		if held[i], err = document(r.Object, r.Document); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// Stale lists up to limit documents behind an id that were scrubbed by other rules than
// those given for their kind.
func (t *Tx) Stale(ctx context.Context, rules map[record.Kind]string, after record.ObjectID, limit int) ([]record.ObjectID, error) {
	var b builder
	b.add("SELECT d.id FROM documents d JOIN objects o ON o.id = d.id WHERE d.id > ? AND (1 = 0", string(after))
	for _, kind := range slices.Sorted(maps.Keys(rules)) {
		b.add(" OR (o.kind = ? AND d.rules <> ?)", int64(kind), rules[kind])
	}
	b.add(") ORDER BY d.id LIMIT ?", limit32(limit))
	return t.ids(ctx, &b, "stale documents")
}

// Rederivation is one run over all documents that were scrubbed by other rules.
type Rederivation struct {
	ID         string
	Rules      string // digest of the rules it was proposed for
	Reason     string // codes and words without patient data
	ProposedBy string
	Proposed   time.Time
	ApprovedBy string    // "" until a second person has approved
	Approved   time.Time // zero until then
	Position   record.ObjectID
	Listed     bool // all documents it concerns have their job
	// Total is how many were listed; each is counted once more when it is done.
	Total, Superseded, Unchanged, Refused int64
}

// InsertRederivation writes a proposal. A known id: ErrExist.
func (t *Tx) InsertRederivation(ctx context.Context, r Rederivation) error {
	n, err := t.q.InsertRederivation(ctx, query.InsertRederivationParams{ID: r.ID, Rules: r.Rules, Reason: r.Reason, ProposedBy: r.ProposedBy, ProposedAt: millis(r.Proposed)})
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert rederivation %s", r.ID)
}

// Rederivation reads one. Absent: ErrNotFound.
func (t *Tx) Rederivation(ctx context.Context, id string) (Rederivation, error) {
	row, err := t.q.GetRederivation(ctx, id)
	return rederivation(row), attempt(err, "rederivation %s", id)
}

// Rederivations lists the newest up to limit.
func (t *Tx) Rederivations(ctx context.Context, limit int) ([]Rederivation, error) {
	rows, err := t.q.ListRederivations(ctx, limit32(limit))
	if err != nil {
		return nil, attempt(err, "rederivations")
	}
	list := make([]Rederivation, len(rows))
	for i, r := range rows {
		list[i] = rederivation(r)
	}
	return list, nil
}

func rederivation(r query.Rederivation) Rederivation {
	d := Rederivation{ID: r.ID, Rules: r.Rules, Reason: r.Reason, ProposedBy: r.ProposedBy, Proposed: fromMillis(r.ProposedAt), ApprovedBy: r.ApprovedBy,
		Position: record.ObjectID(r.Position), Listed: r.Listed != 0, Total: r.Total, Superseded: r.Superseded, Unchanged: r.Unchanged, Refused: r.Refused}
	if r.ApprovedAt != 0 {
		d.Approved = fromMillis(r.ApprovedAt)
	}
	return d
}

// ApproveRederivation writes the approval. Approved already, or unknown: ErrChanged.
func (t *Tx) ApproveRederivation(ctx context.Context, id, by string, at time.Time) error {
	n, err := t.q.ApproveRederivation(ctx, query.ApproveRederivationParams{ID: id, ApprovedBy: by, ApprovedAt: millis(at)})
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return attempt(err, "approve rederivation %s", id)
}

// AdvanceRederivation moves the listing on from where r stands: further documents were
// listed, the last of them position; without any the listing is at its end. Somebody
// else has moved it: ErrChanged.
func (t *Tx) AdvanceRederivation(ctx context.Context, r Rederivation, listed []record.ObjectID) error {
	to := query.AdvanceRederivationParams{ID: r.ID, OldPosition: string(r.Position), Position: string(r.Position), Listed: 1}
	if n := len(listed); n > 0 {
		to.Position, to.Listed, to.Added = string(listed[n-1]), 0, int64(n)
	}
	n, err := t.q.AdvanceRederivation(ctx, to)
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return attempt(err, "advance rederivation %s", r.ID)
}

// CountRederived adds to the counts of a rederivation.
func (t *Tx) CountRederived(ctx context.Context, id string, superseded, unchanged, refused int64) error {
	n, err := t.q.CountRederived(ctx, query.CountRederivedParams{ID: id, Superseded: superseded, Unchanged: unchanged, Refused: refused})
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "count in rederivation %s", id)
}
