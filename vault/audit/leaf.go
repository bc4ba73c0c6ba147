// Package audit is the append-only Merkle log of everything the vault decides.
//
// An act writes its leaf into the catalog's pending list in its own transaction; a
// Sequencer appends pending leaves to the tree and signs the new head. A leaf is
// canonical JSON: one line, fields in the order of the table, absent when empty,
// times in UTC with milliseconds. Anything else does not parse.
//
//	v          1
//	time       when the act was decided
//	actor      who, as the identity provider names them
//	role, purpose, action
//	patient    token
//	object     object id
//	view       original or deidentified
//	decision   allow or deny
//	reason     code of a refusal, or of an allowance that needs one
//	policies   ids of the policies that decided
//	obligations
//	window     seconds a read leaf stands for
//	origin     what wrote it when no person did, e.g. dev-auto-care
//	persons    on whose word it was written then: who proposed, who approved
//	recipient  institution to which an export went
//	check      of a verification that has ended: level, regions, how many objects were
//	           checked, how many findings, SHA-256 of the report
//	lost       a signed head of the log whose last leaves are lost: region, size, root,
//	           leaves kept, leaves lost
//	commit     what was stored: kind, size and sha256 of the ciphertext,
//	           generation, seal, regions promised, the object it supersedes; for
//	           a document also attest: how identity was taken out of it
//	credential keyed pseudonym of what proved the actor: of the id of a token, an API token,
//	           a certificate, behind its kind, as jti/…; in older leaves the id itself
//	scope      of that credential, under which the act was allowed
//	revoked    of an act about credentials: the person or the credential it is about,
//	           and the time before which it was issued
//	evidence   SHA-256 of the document of the house in which an act's ground is written
//	generation of an act about a patient's keys: up to which generation they are
//	           destroyed, or which one a patient who returns begins with
//	address    keyed pseudonym of the network address the request came from
//
// A leaf holds no patient data, so that destroying a patient never touches the log.
package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"medvault/vault/record"
)

// Decision of the guard.
type Decision string

const (
	Allow Decision = "allow"
	Deny  Decision = "deny"
)

// Leaf is one act.
type Leaf struct {
	Time        time.Time // kept to the millisecond
	Actor       string
	Role        record.Role
	Purpose     record.Purpose
	Action      record.Action
	Patient     record.PatientToken // "" when the act is about no single patient
	Object      record.ObjectID     // "" when the act is about no single object
	View        record.View
	Decision    Decision
	Reason      string
	Policies    []string
	Obligations []string
	Window      time.Duration // whole seconds
	Origin      string
	Persons     []string // on whose word the vault itself acts: who proposed, who approved
	Recipient   string   // institution to which an export went; no person
	Check       *Check   // of a verification that has ended
	Lost        *LostHead
	Commit      *Commit // of acts that store something
	Credential  string
	Scope       string
	Revoked     *Revoked // of acts about credentials
	Evidence    string   // hex SHA-256
	Generation  uint32   // of acts about a patient's keys: up to which they are destroyed; 0: none
	Address     string   // keyed pseudonym of where the request came from
}

// Revoked is whom or what an act about credentials is about: a person, or a credential.
type Revoked struct {
	Subject    string `json:"subject,omitempty"`
	Credential string `json:"credential,omitempty"`
	Before     int64  `json:"before,omitempty"` // unix time: only what was issued before it; 0: all
}

// Check is what a verification of regions came to.
type Check struct {
	Level    string   `json:"level"`
	Regions  []string `json:"regions"`
	Checked  int64    `json:"checked"`
	Findings int64    `json:"findings"`
	Report   string   `json:"report"` // hex SHA-256
}

// Commit says what was stored, so that the log is also the manifest of the regions.
type Commit struct {
	Kind       record.Kind
	Size       int64    // of the ciphertext
	SHA256     [32]byte // of the ciphertext
	Generation uint32
	Seal       string
	Regions    []string        // where it was promised to lie
	Supersedes record.ObjectID // what it stands in the place of; "" when it is new
	Attest     *Attest         // of a document; nil of a record
}

// MaxLeaf is the longest leaf in bytes: its length has two bytes where the log is exported.
const MaxLeaf = 1<<16 - 1

type wireLeaf struct {
	V           int         `json:"v"`
	Time        string      `json:"time"`
	Actor       string      `json:"actor,omitempty"`
	Role        string      `json:"role,omitempty"`
	Purpose     string      `json:"purpose,omitempty"`
	Action      string      `json:"action"`
	Patient     string      `json:"patient,omitempty"`
	Object      string      `json:"object,omitempty"`
	View        string      `json:"view,omitempty"`
	Decision    string      `json:"decision"`
	Reason      string      `json:"reason,omitempty"`
	Policies    []string    `json:"policies,omitempty"`
	Obligations []string    `json:"obligations,omitempty"`
	Window      int64       `json:"window,omitempty"`
	Origin      string      `json:"origin,omitempty"`
	Persons     []string    `json:"persons,omitempty"`
	Recipient   string      `json:"recipient,omitempty"`
	Check       *Check      `json:"check,omitempty"`
	Lost        *LostHead   `json:"lost,omitempty"`
	Commit      *wireCommit `json:"commit,omitempty"`
	Credential  string      `json:"credential,omitempty"`
	Scope       string      `json:"scope,omitempty"`
	Revoked     *Revoked    `json:"revoked,omitempty"`
	Evidence    string      `json:"evidence,omitempty"`
	Generation  uint32      `json:"generation,omitempty"`
	Address     string      `json:"address,omitempty"`
}

type wireCommit struct {
	Kind       uint8       `json:"kind"`
	Size       int64       `json:"size"`
	SHA256     string      `json:"sha256"`
	Generation uint32      `json:"generation"`
	Seal       string      `json:"seal"`
	Regions    []string    `json:"regions,omitempty"`
	Supersedes string      `json:"supersedes,omitempty"`
	Attest     *wireAttest `json:"attest,omitempty"`
}

const timeLayout = "2006-01-02T15:04:05.000Z"

// Encode writes the leaf canonically. A leaf that would not parse again is an error.
func (l Leaf) Encode() ([]byte, error) {
	if l.Window%time.Second != 0 {
		return nil, errors.New("encode leaf: window is not whole seconds")
	}
	w := wireLeaf{
		V: 1, Time: l.Time.UTC().Format(timeLayout), Actor: l.Actor, Role: string(l.Role), Purpose: string(l.Purpose),
		Action: string(l.Action), Patient: string(l.Patient), Object: string(l.Object), View: string(l.View),
		Decision: string(l.Decision), Reason: l.Reason, Policies: l.Policies, Obligations: l.Obligations,
		Window: int64(l.Window / time.Second), Origin: l.Origin, Persons: l.Persons, Recipient: l.Recipient, Check: l.Check, Lost: l.Lost,
		Credential: l.Credential, Scope: l.Scope, Revoked: l.Revoked, Evidence: l.Evidence, Generation: l.Generation, Address: l.Address,
	}
	if c := l.Commit; c != nil {
		w.Commit = &wireCommit{Kind: uint8(c.Kind), Size: c.Size, SHA256: hex.EncodeToString(c.SHA256[:]),
			Generation: c.Generation, Seal: c.Seal, Regions: c.Regions, Supersedes: string(c.Supersedes), Attest: c.Attest.wire()}
	}
	data, err := w.encode()
	if err != nil {
		return nil, fmt.Errorf("encode leaf: %w", err)
	}
	return data, nil
}

func (w wireLeaf) encode() ([]byte, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxLeaf {
		return nil, fmt.Errorf("leaf of %d bytes is longer than %d", len(data), MaxLeaf)
	}
	return data, nil
}

// ParseLeaf reads a leaf. It accepts exactly what Encode writes, byte for byte.
func ParseLeaf(data []byte) (Leaf, error) {
	l, err := parseLeaf(data)
	if err != nil {
		return Leaf{}, fmt.Errorf("parse leaf: %w", err)
	}
	return l, nil
}

func parseLeaf(data []byte) (Leaf, error) {
	if len(data) > MaxLeaf {
		return Leaf{}, fmt.Errorf("leaf of %d bytes is longer than %d", len(data), MaxLeaf)
	}
	var w wireLeaf
	if err := json.Unmarshal(data, &w); err != nil {
		return Leaf{}, errors.New("not a JSON object of leaf fields") // the decoder's own error may quote the input
	}
	canonical, err := w.encode()
	if err != nil {
		return Leaf{}, err
	}
	// Unknown and repeated fields, other orders, spaces and escapes all end here.
	if !bytes.Equal(data, canonical) {
		return Leaf{}, errors.New("not in canonical form")
	}
	when, err := time.Parse(timeLayout, w.Time)
	if err != nil {
		return Leaf{}, errors.New("time is not RFC 3339 with milliseconds in UTC")
	}
	l := Leaf{
		Time: when, Actor: w.Actor, Role: record.Role(w.Role), Purpose: record.Purpose(w.Purpose), Action: record.Action(w.Action),
		Patient: record.PatientToken(w.Patient), Object: record.ObjectID(w.Object), View: record.View(w.View),
		Decision: Decision(w.Decision), Reason: w.Reason, Policies: w.Policies, Obligations: w.Obligations,
		Window: time.Duration(w.Window) * time.Second, Origin: w.Origin, Persons: w.Persons, Recipient: w.Recipient, Check: w.Check, Lost: w.Lost,
		Credential: w.Credential, Scope: w.Scope, Revoked: w.Revoked, Evidence: w.Evidence, Generation: w.Generation, Address: w.Address,
	}
	if c := w.Commit; c != nil {
		l.Commit = &Commit{Kind: record.Kind(c.Kind), Size: c.Size, Generation: c.Generation, Seal: c.Seal, Regions: c.Regions,
			Supersedes: record.ObjectID(c.Supersedes), Attest: c.Attest.attest()}
		hex.Decode(l.Commit.SHA256[:], []byte(c.SHA256)) // check has seen 64 hex digits
	}
	return l, nil
}

// check refuses values that no leaf may hold. No error quotes a value.
func (w wireLeaf) check() error {
	if w.V != 1 {
		return errors.New("version is not 1")
	}
	if when, err := time.Parse(timeLayout, w.Time); err != nil || when.Format(timeLayout) != w.Time {
		return errors.New("time is not RFC 3339 with milliseconds in UTC")
	}
	if w.Action == "" {
		return errors.New("no action")
	}
	if w.Patient != "" {
		if _, err := record.ParsePatientToken(w.Patient); err != nil {
			return err
		}
	}
	if w.Object != "" {
		if _, err := record.ParseObjectID(w.Object); err != nil {
			return err
		}
	}
	switch record.View(w.View) {
	case record.ViewNone, record.ViewOriginal, record.ViewDeidentified:
	default:
		return errors.New("no such view")
	}
	if d := Decision(w.Decision); d != Allow && d != Deny {
		return errors.New("decision is neither allow nor deny")
	}
	if w.Window < 0 || w.Window > int64(maxWindow/time.Second) {
		return fmt.Errorf("window is not between 0 and %s", maxWindow)
	}
	if w.Evidence != "" && !isSHA256(w.Evidence) {
		return errors.New("evidence is not 64 lower-case hex digits")
	}
	texts := append([]string{w.Actor, w.Role, w.Purpose, w.Action, w.Reason, w.Origin, w.Recipient, w.Credential, w.Scope, w.Address}, w.Policies...)
	texts = append(append(texts, w.Obligations...), w.Persons...)
	if r := w.Revoked; r != nil {
		if (r.Subject == "") == (r.Credential == "") || r.Before < 0 {
			return errors.New("revoked names not one of a person and a credential")
		}
		texts = append(texts, r.Subject, r.Credential)
	}
	if c := w.Check; c != nil {
		if !isSHA256(c.Report) || c.Checked < 0 || c.Findings < 0 {
			return errors.New("check of a negative number or without its report")
		}
		texts = append(append(texts, c.Level), c.Regions...)
	}
	if l := w.Lost; l != nil {
		if err := l.check(); err != nil {
			return err
		}
		texts = append(texts, l.Region)
	}
	if c := w.Commit; c != nil {
		if w.Object == "" {
			return errors.New("commit without an object")
		}
		if c.Kind == 0 || c.Size < 0 {
			return errors.New("commit without kind or with a negative size")
		}
		if !isSHA256(c.SHA256) {
			return errors.New("sha256 is not 64 lower-case hex digits")
		}
		if c.Attest != nil {
			more, err := c.Attest.check()
			if err != nil {
				return err
			}
			texts = append(texts, more...)
		}
		if c.Supersedes != "" {
			if _, err := record.ParseObjectID(c.Supersedes); err != nil {
				return fmt.Errorf("supersedes: %w", err)
			}
		}
		texts = append(append(texts, c.Seal), c.Regions...)
	}
	for _, t := range texts {
		if !utf8.ValidString(t) {
			return errors.New("text is not UTF-8")
		}
	}
	return nil
}

// maxWindow bounds how long one read leaf may stand for further reads.
const maxWindow = 15 * time.Minute
