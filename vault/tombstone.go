package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// tombstones begins the names of tombstones in a home region's data bucket:
// tombstones/TOKEN.GENERATION.
const tombstones = "tombstones/"

// ProvedLeaf is a leaf of the log with the way from it to a checkpoint.
type ProvedLeaf struct {
	Leaf      string   `json:"leaf"` // as it lies in the log
	Number    int64    `json:"number"`
	Inclusion []string `json:"inclusion"` // hashes in base64, as in RFC 6962 2.1.1
}

func provedLeaf(p audit.Proof) ProvedLeaf {
	l := ProvedLeaf{Leaf: string(p.Leaf), Number: p.Number, Inclusion: []string{}}
	for _, h := range p.Path {
		l.Inclusion = append(l.Inclusion, h.String())
	}
	return l
}

// check proves the leaf under a checkpoint that the log's key signed, and reads it.
func (l ProvedLeaf) check(checkpoint string, key note.Verifier) (audit.Leaf, error) {
	p := audit.Proof{Number: l.Number, Leaf: []byte(l.Leaf), Checkpoint: []byte(checkpoint)}
	for _, text := range l.Inclusion {
		h, err := tlog.ParseHash(text)
		if err != nil {
			return audit.Leaf{}, errors.New("the inclusion proof is not of hashes")
		}
		p.Path = append(p.Path, h)
	}
	if err := p.Check(key); err != nil {
		return audit.Leaf{}, err
	}
	return audit.ParseLeaf(p.Leaf)
}

// tombstone says in a region that a patient's keys are destroyed up to a generation. It is
// obeyed with its proof that the log says so, and never without: whoever can write into
// the region could have put it there.
type tombstone struct {
	Patient    record.PatientToken `json:"patient"`
	Generation uint32              `json:"generation"`
	ProvedLeaf
	Checkpoint string `json:"checkpoint"`
	Signed     string `json:"signed"` // a note under the log's key over the rest
}

const tombstoneTitle = "medvault tombstone"

func (t tombstone) name() string { return fmt.Sprintf("%s.%d", t.Patient, t.Generation) }

func (t tombstone) digest() (string, error) {
	t.Signed = ""
	return digestOf(t)
}

// check is nil when the tombstone is this vault's, and the leaf in its log says that these
// keys are destroyed.
func (t tombstone) check(v *Vault) (audit.Leaf, error) {
	digest, err := t.digest()
	if err != nil {
		return audit.Leaf{}, err
	}
	if err := checkDigest(t.Signed, v.logVKey, tombstoneTitle, t.name(), digest); err != nil {
		return audit.Leaf{}, err
	}
	leaf, err := t.ProvedLeaf.check(t.Checkpoint, v.logKey)
	if err != nil {
		return leaf, err
	}
	if !buries(leaf) || leaf.Patient != t.Patient || leaf.Generation != t.Generation {
		return leaf, errors.New("its leaf says something else")
	}
	return leaf, nil
}

// buries says whether a leaf destroys keys.
func buries(l audit.Leaf) bool {
	return l.Decision == audit.Allow && (l.Action == ActionErased || l.Action == ActionKeysErased) && l.Patient != "" && l.Object != "" && l.Generation > 0
}

// placeTombstone puts the tombstone into the region. One that is there already stays.
func (b *burial) placeTombstone(ctx context.Context) error {
	v := b.v
	leaves, proofs, err := v.erasureLeaves(ctx, b.e)
	if err != nil {
		return err
	}
	t := tombstone{Patient: b.e.Patient, Generation: b.e.Generation}
	for i, leaf := range leaves {
		if buries(leaf) {
			t.ProvedLeaf, t.Checkpoint = provedLeaf(proofs[i]), string(proofs[i].Checkpoint)
		}
	}
	if t.Leaf == "" {
		return errors.New("the log has no leaf of the erasure yet")
	}
	digest, err := t.digest()
	if err != nil {
		return err
	}
	if t.Signed, err = v.signDigest(tombstoneTitle, t.name(), digest); err != nil {
		return err
	}
	file, err := reportFile(t)
	if err != nil {
		return err
	}
	key := tombstones + t.name()
	err = b.r.Data.Put(ctx, key, storage.Body{ReaderAt: bytes.NewReader(file), Size: int64(len(file)), SHA256: sha256.Sum256(file)})
	if errors.Is(err, storage.ErrExist) { // under another checkpoint
		there, readErr := readTombstone(ctx, b.r.Data, key)
		if readErr != nil {
			return fmt.Errorf("region %s: %w", b.r.Name, readErr)
		}
		_, err = there.check(v)
	}
	if err != nil {
		return fmt.Errorf("region %s: tombstone: %w", b.r.Name, err)
	}
	b.at.Tombstone = v.cfg.Now()
	return b.save(ctx, nil)
}

// maxTombstone is many times what one takes.
const maxTombstone = 256 << 10

func readTombstone(ctx context.Context, data storage.Store, key string) (t tombstone, err error) {
	body, err := data.Get(ctx, key, 0, -1)
	if err != nil {
		return t, err
	}
	defer body.Close() // reading: everything that counts was said by Read
	file, err := io.ReadAll(io.LimitReader(body, maxTombstone))
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(file, &t)
}

// erasureLeaves finds the leaves of an erasure in the log, with their proofs under one
// checkpoint.
func (v *Vault) erasureLeaves(ctx context.Context, e catalog.Erasure) (leaves []audit.Leaf, proofs []audit.Proof, err error) {
	if err := v.log.Flush(ctx); err != nil {
		return nil, nil, unavailable("log", err)
	}
	found, err := v.cfg.Catalog.FindLeaves(ctx, catalog.LeafFilter{Patient: e.Patient, Object: e.Approval, Limit: 1000})
	if err != nil {
		return nil, nil, unavailable("catalog", err)
	}
	stored := make([]audit.StoredLeaf, len(found))
	for i, l := range found {
		stored[i] = l.StoredLeaf
	}
	if proofs, err = audit.ProveLeaves(ctx, v.cfg.Catalog, v.logKey, stored); err != nil {
		return nil, nil, fmt.Errorf("%w: erasure %s: %w", record.ErrTampered, e.ID, err)
	}
	for _, p := range proofs {
		leaf, err := audit.ParseLeaf(p.Leaf)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: erasure %s: %w", record.ErrTampered, e.ID, err)
		}
		leaves = append(leaves, leaf)
	}
	return leaves, proofs, nil
}

// obeyTombstones makes a catalog that was put back from a backup know of the erasures that
// came after it: what the log says first, then what lies in the home regions with its
// proof. A region that does not answer is passed over. Before anything else is done.
func (v *Vault) obeyTombstones(ctx context.Context) error {
	for _, action := range []record.Action{ActionErased, ActionKeysErased} {
		if err := v.obeyLog(ctx, action); err != nil {
			return err
		}
	}
	regions := v.homeRegions()
	errs := make([]error, len(regions))
	var wg sync.WaitGroup
	for i, r := range regions {
		wg.Go(func() { errs[i] = v.obeyRegion(ctx, r) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (v *Vault) obeyLog(ctx context.Context, action record.Action) error {
	filter := catalog.LeafFilter{Action: action, Decision: audit.Allow, Limit: rebuildPage}
	for {
		found, err := v.cfg.Catalog.FindLeaves(ctx, filter)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, l := range found {
			leaf, err := audit.ParseLeaf(l.Data)
			if err != nil {
				return err
			}
			if buries(leaf) {
				if err := v.obey(ctx, leaf); err != nil {
					return err
				}
			}
		}
		filter.Before = found[len(found)-1].Place
	}
}

func (v *Vault) obeyRegion(ctx context.Context, r storage.Region) error {
	looking, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for info, err := range r.Data.List(looking, tombstones, "") {
		if err != nil {
			v.cfg.Log.Warn("tombstones not looked at", "region", r.Name, "err", err)
			return ctx.Err()
		}
		token, generation, ok := graveOf(info.Key)
		if !ok {
			continue // verify names it
		}
		known, err := v.isDead(ctx, token, generation)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		t, err := readTombstone(looking, r.Data, info.Key)
		var leaf audit.Leaf
		if err == nil {
			leaf, err = t.check(v)
		}
		if err != nil {
			v.cfg.Log.Warn("a tombstone is not obeyed: nothing proves it", "region", r.Name, "err", err)
			continue
		}
		if err := v.obey(ctx, leaf); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) isDead(ctx context.Context, p record.PatientToken, generation uint32) (dead bool, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		dead, err = tx.Dead(ctx, p, generation)
		return err
	})
	return dead, err
}

// obey does in this catalog what a leaf says was done, unless that is known, and orders
// anew what follows from it.
func (v *Vault) obey(ctx context.Context, leaf audit.Leaf) error {
	if dead, err := v.isDead(ctx, leaf.Patient, leaf.Generation); err != nil || dead {
		return err
	}
	return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		_, _, err := tx.EnsurePatient(ctx, catalog.Patient{Token: leaf.Patient, Generation: leaf.Generation, State: catalog.Active, Country: v.cfg.Home, Created: leaf.Time})
		if err != nil {
			return err
		}
		e, err := buried(ctx, tx, leaf)
		if err != nil {
			return err
		}
		services, err := v.buryKeys(ctx, tx, e)
		if err != nil {
			return err
		}
		v.cfg.Log.Warn("an erasure that this catalog did not know of is obeyed", "erasure", e.ID)
		return errors.Join(tx.PutErasure(ctx, e), v.orderBurial(ctx, tx, e, services))
	})
}

// buried is the erasure that a leaf tells of, as far as a catalog that never heard of it
// can know: a document, where one was erased, by the sign that its patient lives.
func buried(ctx context.Context, tx *catalog.Tx, leaf audit.Leaf) (catalog.Erasure, error) {
	proposed, err := tx.Erasures(ctx, catalog.ErasureFilter{Patient: leaf.Patient})
	if err != nil {
		return catalog.Erasure{}, err
	}
	e := catalog.Erasure{ID: leaf.Object, Patient: leaf.Patient, Basis: leaf.Reason, Proposed: leaf.Time}
	if leaf.Action == ActionKeysErased {
		e.Document = leaf.Object // not known any more
	}
	for _, p := range proposed {
		if p.State != catalog.ErasureDone && (p.Document != "") == (leaf.Action == ActionKeysErased) {
			e = p
		}
	}
	e.State, e.Approval, e.Approved, e.Generation = catalog.ErasureBurying, leaf.Object, leaf.Time, leaf.Generation
	if len(leaf.Persons) == 2 {
		e.ProposedBy, e.ApprovedBy = leaf.Persons[0], leaf.Persons[1]
	}
	return e, nil
}

// readmitted says that a leaf let a patient in again.
func readmitted(l audit.Leaf) bool {
	return l.Decision == audit.Allow && l.Action == record.ActionReadmit && l.Patient != "" && l.Generation > 0
}

// graveTime is when keys died, as certificates tell it.
func graveTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
