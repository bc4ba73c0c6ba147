package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// AccessLog is what was done with one patient's documents, the newest first. Every line
// proves itself to whoever has the log's public key: see Check.
type AccessLog struct {
	Patient    record.PatientToken `json:"patient"`
	Language   string              `json:"language"`   // "en" or "zh"
	Log        string              `json:"log"`        // public key of the log, NAME+HASH+KEY; compare it with what others were told
	Checkpoint string              `json:"checkpoint"` // signed note: tree size and root under which the lines are proved
	TreeSize   int64               `json:"treeSize"`
	Lines      []AccessLine        `json:"lines"`
	Next       string              `json:"next,omitempty"` // begins the next page; "" on the last
}

// AccessLine is one act.
type AccessLine struct {
	Number    int64            `json:"number"` // of the leaf, from 0
	Time      time.Time        `json:"time"`
	Until     time.Time        `json:"until,omitzero"` // of a read: the line stands for repetitions until then
	Words     string           `json:"words"`
	Actor     string           `json:"actor"`
	Role      record.Role      `json:"role,omitempty"`
	Purpose   record.Purpose   `json:"purpose,omitempty"`
	Action    record.Action    `json:"action"`
	Object    record.ObjectID  `json:"object,omitempty"`
	View      record.View      `json:"view,omitempty"`
	Decision  audit.Decision   `json:"decision"`
	Reason    string           `json:"reason,omitempty"`
	Recipient string           `json:"recipient,omitempty"`
	Leaf      string           `json:"leaf"`  // the leaf's own bytes
	Proof     tlog.RecordProof `json:"proof"` // RFC 6962 audit path, hashes in base64
}

// AccessQuery asks for a part of an AccessLog.
type AccessQuery struct {
	Language string    // "zh": Chinese; else English
	All      bool      // what the vault did by itself too, as copies that were promised
	From, To time.Time // From is in the range, To is not
	After    string
	Limit    int // default 100, at most 1000
}

// originOwn marks the act of a person on what is their own.
const originOwn = "own"

// AccessLog tells who did what with a patient's documents. A data protection officer and
// an auditor may ask about anyone; a patient or guardian about those they are on record
// for, and to them every other token looks absent. The log outlives
// the patient: it is there for one who was erased. Acts of the guard: accesslog.read.
func (v *Vault) AccessLog(ctx context.Context, a record.Actor, p record.PatientToken, q AccessQuery) (AccessLog, error) {
	filter, err := AuditQuery{Patient: p, From: q.From, To: q.To, After: q.After, Limit: q.Limit}.filter()
	if err != nil {
		return AccessLog{}, err
	}
	if !q.All {
		filter.Without = v.self().ID
	}
	if err := v.log.Flush(ctx); err != nil {
		return AccessLog{}, unavailable("log", err)
	}
	asking := act{Actor: a, Action: record.ActionAccessLog}
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		own, guardian, err := v.actsFor(ctx, tx, a, p)
		if own || guardian {
			asking.Patient, asking.Origin = p, originOwn
		}
		return err
	})
	if err != nil {
		return AccessLog{}, unavailable("catalog", err)
	}
	d, err := v.perform(ctx, asking, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Patient = p
		_, err := tx.Patient(ctx, p)
		return notFound(err)
	})
	if !d.Allow && asking.Patient == "" && (a.Role == record.RolePatient || a.Role == record.RoleGuardian) && errors.Is(err, record.ErrDenied) {
		return AccessLog{}, record.ErrNotFound // somebody else's is as absent to them as nobody's
	}
	if err != nil {
		return AccessLog{}, err
	}
	return v.accessLog(ctx, p, q, filter)
}

func (v *Vault) accessLog(ctx context.Context, p record.PatientToken, q AccessQuery, filter catalog.LeafFilter) (AccessLog, error) {
	found, next, err := v.findLeaves(ctx, filter)
	if err != nil {
		return AccessLog{}, err
	}
	leaves := make([]audit.StoredLeaf, len(found))
	for i, l := range found {
		leaves[i] = l.StoredLeaf
	}
	proofs, err := audit.ProveLeaves(ctx, v.cfg.Catalog, v.logKey, leaves)
	if err != nil {
		return AccessLog{}, fmt.Errorf("%w: access log: %w", record.ErrTampered, err)
	}
	log := AccessLog{Patient: p, Language: string(audit.English), Log: v.logVKey, Lines: make([]AccessLine, len(proofs)), Next: next}
	if q.Language == string(audit.Chinese) {
		log.Language = q.Language
	}
	for i, proof := range proofs {
		if log.Lines[i], err = accessLine(proof, audit.Language(log.Language)); err != nil {
			return AccessLog{}, fmt.Errorf("%w: access log: leaf %d: %w", record.ErrTampered, proof.Number, err)
		}
		log.Checkpoint = string(proof.Checkpoint)
	}
	if len(proofs) > 0 {
		tree, err := audit.OpenCheckpoint(proofs[0].Checkpoint, v.logKey)
		if err != nil {
			return AccessLog{}, fmt.Errorf("%w: access log: %w", record.ErrTampered, err)
		}
		log.TreeSize = tree.N
	}
	return log, nil
}

// accessLine tells a leaf.
func accessLine(p audit.Proof, in audit.Language) (AccessLine, error) {
	l, err := audit.ParseLeaf(p.Leaf)
	if err != nil {
		return AccessLine{}, err
	}
	line := AccessLine{Number: p.Number, Time: l.Time, Words: l.Words(in), Actor: l.Actor, Role: l.Role, Purpose: l.Purpose, Action: l.Action,
		Object: l.Object, View: l.View, Decision: l.Decision, Reason: l.Reason, Recipient: l.Recipient, Leaf: string(p.Leaf), Proof: p.Path}
	if l.Window > 0 {
		line.Until = l.Time.Add(l.Window)
	}
	return line, nil
}

// Check is nil when every line is in the log that v's key signs, is about the patient,
// and says what its leaf says. It needs nothing of the vault. It cannot tell whether a
// line is missing: that is for who compares the numbers with the log's own tiles.
func (l AccessLog) Check(v note.Verifier) error {
	for _, line := range l.Lines {
		p := audit.Proof{Number: line.Number, Leaf: []byte(line.Leaf), Path: line.Proof, Checkpoint: []byte(l.Checkpoint)}
		if err := p.Check(v); err != nil {
			return err
		}
		leaf, err := audit.ParseLeaf(p.Leaf)
		if err != nil {
			return fmt.Errorf("leaf %d: %w", line.Number, err)
		}
		if leaf.Patient != l.Patient {
			return fmt.Errorf("leaf %d: it is about another patient", line.Number)
		}
		told, err := accessLine(p, audit.Language(l.Language))
		if err != nil {
			return fmt.Errorf("leaf %d: %w", line.Number, err)
		}
		// The leaf was proved; what is told beside it must be what follows from it.
		if told.Proof, line.Proof = nil, nil; fmt.Sprintf("%+v", told) != fmt.Sprintf("%+v", line) {
			return fmt.Errorf("leaf %d: the line does not say what the leaf says", line.Number)
		}
	}
	return nil
}
