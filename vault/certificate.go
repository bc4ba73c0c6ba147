package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Certificate says what was destroyed of a patient, region by region, and proves it: it
// verifies without the vault, by the log's key. It holds no patient data but the token.
type Certificate struct {
	Version    int                 `json:"version"` // 1
	Vault      string              `json:"vault"`
	Erasure    record.ObjectID     `json:"erasure"`
	Approval   record.ObjectID     `json:"approval"`
	Patient    record.PatientToken `json:"patient"`
	Document   record.ObjectID     `json:"document,omitempty"` // only this one was erased; the others lie under new keys
	Anonymized bool                `json:"anonymized,omitempty"`
	Basis      string              `json:"basis"`
	Generation uint32              `json:"generation"` // up to which keys are destroyed
	ProposedBy string              `json:"proposedBy"`
	ApprovedBy string              `json:"approvedBy"`
	Approved   time.Time           `json:"approved"`
	ReadsEnd   time.Time           `json:"readsEnd"` // from then on no gateway can hold a key, or go on reading
	State      string              `json:"state"`    // "complete" or "pending"
	Issued     time.Time           `json:"issued"`
	Regions    []ErasedRegion      `json:"regions"`
	Remains    string              `json:"remains"` // in words: what no act of the vault can take away
	LogKey     string              `json:"logKey"`  // as the vault tells it: compare it with one from elsewhere
	Signed     string              `json:"signed"`  // a note under the log's key over all above

	Leaves     []ProvedLeaf `json:"leaves"` // the erasure, keys dead in each region, and the certificate itself
	Checkpoint string       `json:"checkpoint"`
}

// States of a certificate.
const (
	CertificateComplete = "complete"
	CertificatePending  = "pending"
)

// ErasedRegion is how far an erasure is in one region.
type ErasedRegion struct {
	Region      string     `json:"region"`
	Status      string     `json:"status"` // "done", "pending: REGION", or "done; N objects unreadable, ciphertext retained until DATE"
	Tombstone   *time.Time `json:"tombstone,omitempty"`
	Keys        string     `json:"keys"` // "destroyed", "none" (none lay there), or "pending"
	KeysDead    *time.Time `json:"keysDead,omitempty"`
	Service     string     `json:"service,omitempty"`
	Left        int64      `json:"left"`   // objects that are still to go
	Locked      int64      `json:"locked"` // that a lock keeps: unreadable
	LockedUntil *time.Time `json:"lockedUntil,omitempty"`
	// Snapshots of the key service that were taken before KeysDead would open what was
	// copied from the region before: until then they are kept. nil: the vault is not told.
	SnapshotsUntil *time.Time `json:"snapshotsUntil,omitempty"`
}

func (r ErasedRegion) done() bool { return !strings.HasPrefix(r.Status, "pending") }

// remainsWords says what a certificate cannot promise.
const remainsWords = "Backups of catalog and buckets, and wrapped keys copied before, open nothing any more. " +
	"What is left is a snapshot of a key service from before its keys were trimmed, together with a copy of its region from before: " +
	"it opens until that snapshot is deleted (snapshotsUntil; where that is not given, the vault is not told how long snapshots are kept). " +
	"The log keeps the token, the object ids and who acted."

const certificateTitle = "medvault certificate of destruction"

// digest is over what is signed: proofs are made anew whenever it is given out.
func (c Certificate) digest() (string, error) {
	c.Signed, c.Leaves, c.Checkpoint = "", nil, ""
	return digestOf(c)
}

// erasedRegions tells how far an erasure is in every region.
func (v *Vault) erasedRegions(ctx context.Context, e catalog.Erasure) (list []ErasedRegion, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		list = []ErasedRegion{}
		rows, err := tx.ErasureRegions(ctx, e.ID)
		for _, row := range rows {
			one, err := v.erasedRegion(ctx, tx, e, row)
			if err != nil {
				return err
			}
			list = append(list, one)
		}
		return err
	})
	return list, err
}

func (v *Vault) erasedRegion(ctx context.Context, tx *catalog.Tx, e catalog.Erasure, row catalog.ErasureRegion) (r ErasedRegion, err error) {
	r = ErasedRegion{Region: row.Region, Keys: "pending", KeysDead: graveTime(row.Keys), Service: row.Service, Tombstone: graveTime(row.Tombstone)}
	var until time.Time
	if r.Left, r.Locked, until, err = tx.Remains(ctx, e.Patient, e.Generation, row.Region); err != nil {
		return r, err
	}
	r.LockedUntil = graveTime(until)
	switch {
	case row.Keys.IsZero():
	case row.Versions == "":
		r.Keys, r.KeysDead = "none", nil
	default:
		r.Keys = "destroyed"
		if keep := v.cfg.Terms[row.Region].KeySnapshots; keep > 0 {
			r.SnapshotsUntil = graveTime(row.Keys.Add(keep))
		}
	}
	switch {
	case row.Keys.IsZero(), row.Objects.IsZero(), r.Left > 0:
		r.Status = "pending: " + row.Region
	case r.Locked > 0 && until.IsZero():
		r.Status = fmt.Sprintf("done; %d objects unreadable, ciphertext retained without a date", r.Locked)
	case r.Locked > 0:
		r.Status = fmt.Sprintf("done; %d objects unreadable, ciphertext retained until %s", r.Locked, until.UTC().Format(time.RFC3339))
	default:
		r.Status = "done"
	}
	return r, nil
}

// certify says how far an erasure is, signed, without proofs.
func (v *Vault) certify(ctx context.Context, e catalog.Erasure) (c Certificate, err error) {
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	c = Certificate{Version: 1, Vault: v.id, Erasure: e.ID, Approval: e.Approval, Patient: e.Patient, Document: e.Document, Anonymized: e.Anonymize, Basis: e.Basis, Generation: e.Generation,
		ProposedBy: e.ProposedBy, ApprovedBy: e.ApprovedBy, Approved: e.Approved.UTC(), ReadsEnd: v.readsEnd(e).UTC(), State: CertificateComplete,
		Issued: now, Remains: remainsWords, LogKey: v.logVKey}
	if c.Regions, err = v.erasedRegions(ctx, e); err != nil {
		return c, err
	}
	if now.Before(c.ReadsEnd) || len(c.Regions) == 0 || slices.ContainsFunc(c.Regions, func(r ErasedRegion) bool { return !r.done() }) {
		c.State = CertificatePending
	}
	digest, err := c.digest()
	if err != nil {
		return c, err
	}
	c.Signed, err = v.signDigest(certificateTitle, string(c.Erasure), digest)
	return c, err
}

// putCertificate issues a certificate: a house record and a leaf with its digest.
func (v *Vault) putCertificate(ctx context.Context, e catalog.Erasure, c Certificate) error {
	digest, err := c.digest()
	if err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	e.State, e.Certified, e.Certificate = catalog.ErasureDone, c.Issued, data
	issuing := act{Actor: v.self(), Action: ActionCertified, Origin: originErasure}
	return v.putOwnHouseRecord(ctx, issuing, record.NewObjectID(), recordCertificate, c, func(tx *catalog.Tx) error {
		now, err := tx.Erasure(ctx, e.ID)
		if err != nil {
			return err
		}
		if now.State == catalog.ErasureDone {
			return errCertified
		}
		leaf := v.leaf(act{Actor: v.self(), Action: ActionCertified, Patient: e.Patient, Object: e.Approval, Origin: originErasure}, allowed)
		leaf.Generation = e.Generation
		leaf.Check = &audit.Check{Level: originErasure, Regions: c.regions(), Checked: int64(len(c.Regions)), Report: digest}
		return errors.Join(tx.PutErasure(ctx, e), appendLeaf(ctx, tx, leaf))
	})
}

// ActionCertified is in the leaf of a certificate, with its digest.
const ActionCertified record.Action = "erasure.certified"

var errCertified = errors.New("it is certified already")

func (c Certificate) regions() (names []string) {
	for _, r := range c.Regions {
		names = append(names, r.Region)
	}
	return names
}

// ErasureCertificate is the certificate of an erasure with its proofs: the one that was
// issued, or, before that, one that says what is pending. Not approved yet: ErrConflict.
// Acts of the guard: erasure.list.
func (v *Vault) ErasureCertificate(ctx context.Context, a record.Actor, id record.ObjectID) (c Certificate, err error) {
	var e catalog.Erasure
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionEraseList, Object: id}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) (err error) {
		if e, err = tx.Erasure(ctx, id); err != nil {
			return notFound(err)
		}
		leaf.Patient = e.Patient
		return nil
	})
	if err != nil {
		return c, err
	}
	switch {
	case e.State == catalog.ErasureDone && len(e.Certificate) > 0:
		err = json.Unmarshal(e.Certificate, &c)
	case e.State == catalog.ErasureBurying:
		c, err = v.certify(ctx, e)
	default:
		return c, record.Refuse(record.ErrConflict, "nothing-destroyed", "nothing is destroyed yet: the erasure is "+e.State)
	}
	if err != nil {
		return c, err
	}
	return c, v.proveCertificate(ctx, e, &c)
}

// proveCertificate adds the leaves, with their proofs under the present head.
func (v *Vault) proveCertificate(ctx context.Context, e catalog.Erasure, c *Certificate) error {
	leaves, proofs, err := v.erasureLeaves(ctx, e)
	if err != nil {
		return err
	}
	c.Leaves = []ProvedLeaf{}
	for i := range slices.Backward(proofs) { // they come newest first
		switch leaves[i].Action {
		case ActionErased, ActionKeysErased, ActionKeysGone, ActionCertified:
			c.Leaves = append(c.Leaves, provedLeaf(proofs[i]))
			c.Checkpoint = string(proofs[i].Checkpoint)
		}
	}
	return nil
}

// File is the certificate as CheckCertificate reads it: indented JSON.
func (c Certificate) File() ([]byte, error) { return reportFile(c) }

// CheckCertificate says whether a file is a certificate of the vault whose log has this
// verifier key (NAME+HASH+KEY), which should come from elsewhere than the file: its
// signature, that the log holds the leaves of what it says, and that it does not
// contradict itself. Nothing else is asked.
func CheckCertificate(file []byte, logKey string) (c Certificate, err error) {
	if err := readReport(file, &c); err != nil {
		return c, err
	}
	key, err := note.NewVerifier(logKey)
	if err != nil {
		return c, fmt.Errorf("the key of the log: %w", err)
	}
	digest, err := c.digest()
	if err != nil {
		return c, err
	}
	if err := checkDigest(c.Signed, logKey, certificateTitle, string(c.Erasure), digest); err != nil {
		return c, err
	}
	return c, c.proved(key, digest)
}

// proved holds what a certificate says against the leaves that it proves.
func (c Certificate) proved(key note.Verifier, digest string) error {
	var erased, certified bool
	dead := make(map[string]bool)
	for _, l := range c.Leaves {
		leaf, err := l.check(c.Checkpoint, key)
		if err != nil {
			return fmt.Errorf("leaf %d: %w", l.Number, err)
		}
		if leaf.Patient != c.Patient || leaf.Generation != c.Generation || leaf.Object != c.Approval {
			return fmt.Errorf("leaf %d: it is about something else", l.Number)
		}
		switch {
		case buries(leaf):
			erased = (leaf.Action == ActionKeysErased) == (c.Document != "") && leaf.Reason == c.Basis && slices.Equal(leaf.Persons, []string{c.ProposedBy, c.ApprovedBy})
		case leaf.Action == ActionKeysGone:
			dead[strings.TrimPrefix(leaf.Reason, "in ")] = true
		case leaf.Action == ActionCertified && leaf.Check != nil && leaf.Check.Report == digest:
			certified = slices.Equal(leaf.Check.Regions, c.regions())
		}
	}
	switch {
	case !erased:
		return errors.New("no leaf of the log says that this was erased so")
	case c.State == CertificateComplete && !certified:
		return errors.New("no leaf of the log has this certificate")
	case c.State != CertificateComplete && c.State != CertificatePending:
		return errors.New("no such state")
	}
	for _, r := range c.Regions {
		if r.Keys == "destroyed" && !dead[r.Region] {
			return fmt.Errorf("no leaf of the log says that the keys in %s are dead", r.Region)
		}
		if c.State == CertificateComplete && !r.done() {
			return fmt.Errorf("it is said to be complete, and %s is not done", r.Region)
		}
	}
	return nil
}

// Pending names what a certificate still waits for.
func (c Certificate) Pending() (waits []string) {
	if c.State == CertificateComplete {
		return nil
	}
	for _, r := range c.Regions {
		if !r.done() {
			waits = append(waits, r.Status)
		}
	}
	if c.Issued.Before(c.ReadsEnd) {
		waits = append(waits, "pending: reads that were open, until "+c.ReadsEnd.Format(time.RFC3339))
	}
	return waits
}
