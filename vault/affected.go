package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"medvault/keys"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// IncidentScope is what an intruder may have acted by, or got hold of. Person, credential,
// address, object and times bound one another; a region, or a key, stands alone (with
// times, if any).
type IncidentScope struct {
	Person     string          `json:"person,omitempty"`     // the subject of their identity
	Credential string          `json:"credential,omitempty"` // as the log or a revocation names it
	Address    string          `json:"address,omitempty"`    // IP address; kept as its pseudonym in the log
	Object     record.ObjectID `json:"object,omitempty"`
	Region     string          `json:"region,omitempty"` // whatever ever was promised to it
	Key        *KeyScope       `json:"key,omitempty"`
	From       *time.Time      `json:"from,omitempty"`
	To         *time.Time      `json:"to,omitempty"` // the first moment that is too late
}

// KeyScope is a key encryption key: everybody whose keys it wraps, or wrapped.
type KeyScope struct {
	Kind    string `json:"kind"`              // "content" or "identity"
	Shard   string `json:"shard"`             // two hex digits
	Version int    `json:"version,omitempty"` // 0: every version
}

// AffectedPatient is whom a breach concerns, and how.
type AffectedPatient struct {
	Patient record.PatientToken `json:"patient"`
	How     []AffectedAct       `json:"how"`
}

// AffectedAct is what was, or could be, done with a patient's data.
type AffectedAct struct {
	Act   string    `json:"act"`   // an action of the log; "held-in-region" or "wrapped-by-key": it lay open there
	Times int64     `json:"times"` // leaves of the log: one stands for all reads of an object within 15 minutes
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Acts that are no acts.
const (
	heldInRegion = "held-in-region"
	wrappedByKey = "wrapped-by-key"
)

// Affected is the answer to who is affected.
type Affected struct {
	Incident record.ObjectID   `json:"incident"`
	Drill    bool              `json:"drill"`
	At       time.Time         `json:"at"`
	LogSize  int64             `json:"logSize"` // leaves that were there to be looked at
	Patients []AffectedPatient `json:"patients"`
}

func (v *Vault) checkScope(s IncidentScope) error {
	bad := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	bounded := s.Person != "" || s.Credential != "" || s.Address != "" || s.Object != ""
	switch {
	case s.Region != "" && (bounded || s.Key != nil) || s.Key != nil && bounded:
		return bad("bad-scope", "a region, or a key, stands alone in a scope: give several scopes")
	case !bounded && s.Region == "" && s.Key == nil && s.From == nil && s.To == nil:
		return bad("bad-scope", "name a person, credential, address, object, region, key or time")
	case !name(s.Person, 0, maxSubject) || !name(s.Credential, 0, maxSubject):
		return bad("bad-scope", "name a person or credential as the log does")
	case s.Object != "":
		if _, err := record.ParseObjectID(string(s.Object)); err != nil {
			return bad("bad-object", "an object is named by 32 hex digits")
		}
	case s.Key != nil:
		if _, err := keys.KEKName(keys.Kind(s.Key.Kind), s.Key.Shard); err != nil || s.Key.Kind == string(keys.House) || s.Key.Version < 0 {
			return bad("bad-key", "name a key as content or identity with a shard of two hex digits, and a version, if any")
		}
	case s.Region != "":
		if _, ok := v.cfg.Regions.Region(s.Region); !ok {
			return bad("no-such-region", "there is no region of this name")
		}
	}
	if s.From != nil && s.To != nil && !s.From.Before(*s.To) {
		return bad("bad-time", "from lies before to")
	}
	if s.Address != "" {
		_, err := v.withAddress(s.Address)
		return err
	}
	return nil
}

// Affected computes from the log whom an incident concerns, sorted by token. The vault's
// own acts count only where an object, a region or a key is asked for. Acts of the guard:
// incident.read.
func (v *Vault) Affected(ctx context.Context, a record.Actor, id record.ObjectID) (Affected, error) {
	i, err := v.incident(ctx, a, record.ActionIncidentRead, id)
	if err != nil {
		return Affected{}, err
	}
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionIncidentRead, Object: id}, func(_ *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Reason = i.did("affected")
		return nil
	}); err != nil {
		return Affected{}, err
	}
	return v.affected(ctx, i)
}

func (v *Vault) affected(ctx context.Context, i Incident) (Affected, error) {
	out := Affected{Incident: i.ID, Drill: i.Drill, At: v.nowMillis(), Patients: []AffectedPatient{}}
	// What happened just now counts.
	if err := v.log.Flush(ctx); err != nil {
		return out, unavailable("log", err)
	}
	found := make(trail)
	for _, s := range i.Scopes {
		if err := v.followScope(ctx, s, found); err != nil {
			return out, err
		}
	}
	for _, p := range slices.Sorted(maps.Keys(found)) {
		one := AffectedPatient{Patient: p}
		for _, did := range slices.Sorted(maps.Keys(found[p])) {
			one.How = append(one.How, *found[p][did])
		}
		out.Patients = append(out.Patients, one)
	}
	head, err := v.cfg.Catalog.LogHead(ctx)
	if err != nil {
		return out, unavailable("catalog", err)
	}
	out.LogSize = head.Size
	return out, nil
}

// trail is what was found of every patient, by act.
type trail map[record.PatientToken]map[string]*AffectedAct

func (t trail) add(p record.PatientToken, one AffectedAct) {
	if t[p] == nil {
		t[p] = make(map[string]*AffectedAct)
	}
	there := t[p][one.Act]
	if there == nil {
		t[p][one.Act] = &one
		return
	}
	there.Times += one.Times
	if one.First.Before(there.First) {
		there.First = one.First
	}
	if one.Last.After(there.Last) {
		there.Last = one.Last
	}
}

func (v *Vault) followScope(ctx context.Context, s IncidentScope, found trail) error {
	switch {
	case s.Region != "":
		return v.followRegion(ctx, s, found)
	case s.Key != nil:
		return v.followKey(ctx, s, found)
	}
	f := catalog.TraceFilter{Actor: s.Person, Object: s.Object, Window: readWindow}
	if s.Credential != "" {
		f.Credential = v.CredentialNames(s.Credential)
	}
	if s.Address != "" {
		blind, err := v.withAddress(s.Address)
		if err != nil {
			return err
		}
		f.Address = blind
	}
	if s.From != nil {
		f.From = *s.From
	}
	if s.To != nil {
		f.To = *s.To
	}
	if s.Object == "" && s.Person != selfID {
		f.Without = selfID
	}
	var traces []catalog.Trace
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		traces, err = tx.Traces(ctx, f)
		return err
	})
	if err != nil {
		return unavailable("catalog", err)
	}
	for _, t := range traces {
		found.add(t.Patient, AffectedAct{string(t.Action), t.Acts, t.First.UTC(), t.Last.UTC()})
	}
	return nil
}

// leavesAtOnce is how much of the log is read at a time.
const leavesAtOnce = 10_000

// followRegion finds whose objects a region was ever promised: the log is the manifest.
func (v *Vault) followRegion(ctx context.Context, s IncidentScope, found trail) error {
	named, err := json.Marshal(s.Region)
	if err != nil {
		return err
	}
	for next := int64(0); ; {
		leaves, err := v.cfg.Catalog.LogLeaves(ctx, next, leavesAtOnce)
		if err != nil {
			return unavailable("catalog", err)
		}
		if len(leaves) == 0 {
			return nil
		}
		next = leaves[len(leaves)-1].Number + 1
		for _, l := range leaves {
			if !bytes.Contains(l.Data, named) { // most need not be parsed
				continue
			}
			var leaf struct {
				Time     time.Time
				Patient  record.PatientToken
				Decision audit.Decision
				Commit   *struct{ Regions []string }
			}
			if err := json.Unmarshal(l.Data, &leaf); err != nil {
				continue // what is no leaf is for audit verify to tell
			}
			if leaf.Commit == nil || leaf.Decision != audit.Allow || leaf.Patient == "" || leaf.Patient == record.House || !slices.Contains(leaf.Commit.Regions, s.Region) {
				continue
			}
			if s.To != nil && !leaf.Time.Before(*s.To) {
				continue // what lay there before From still did
			}
			found.add(leaf.Patient, AffectedAct{heldInRegion, 1, leaf.Time, leaf.Time})
		}
	}
}

// followKey finds whose keys a key encryption key wraps or has wrapped: everybody of its
// shard, and of one version those who were known before it was rotated away.
func (v *Vault) followKey(ctx context.Context, s IncidentScope, found trail) error {
	service := slices.Sorted(maps.Keys(v.cfg.Services))[0] // a token's shard is the same in all
	var known map[record.PatientToken]time.Time
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		known, err = tx.KnownPatients(ctx)
		return err
	})
	if err != nil {
		return unavailable("catalog", err)
	}
	ended, err := v.rotatedAway(ctx, *s.Key)
	if err != nil {
		return err
	}
	until := v.nowMillis()
	if !ended.IsZero() {
		until = ended.UTC()
	}
	for p, at := range known {
		of := v.cfg.Services[service].Shard(keys.Binding{Kind: keys.Kind(s.Key.Kind), Token: string(p)})
		if of != s.Key.Shard || !ended.IsZero() && !at.Before(ended) {
			continue
		}
		found.add(p, AffectedAct{wrappedByKey, 1, at.UTC(), until})
	}
	return nil
}

// rotatedAway is when the last service replaced a version of a shard's key by a newer one;
// zero: some has not, or every version is asked for.
func (v *Vault) rotatedAway(ctx context.Context, k KeyScope) (at time.Time, err error) {
	if k.Version == 0 {
		return at, nil
	}
	replaced := make(map[string]time.Time)
	for before := (catalog.LeafPlace{}); ; {
		found, err := v.cfg.Catalog.FindLeaves(ctx, catalog.LeafFilter{Action: ActionKeysRotated, Before: before, Limit: maxAuditPage})
		if err != nil {
			return at, unavailable("catalog", err)
		}
		if len(found) == 0 {
			break
		}
		before = found[len(found)-1].Place
		for _, l := range found {
			leaf, err := audit.ParseLeaf(l.Data)
			if err != nil {
				return at, err
			}
			service, version, ok := rotationOf(leaf.Origin, k)
			if ok && version > k.Version {
				replaced[service] = leaf.Time // the newest first: the oldest newer version stays
			}
		}
	}
	for _, s := range v.services() {
		when, ok := replaced[s.Name()]
		if !ok {
			return time.Time{}, nil
		}
		if when.After(at) {
			at = when
		}
	}
	return at, nil
}

// rotationOf reads the origin of a leaf of a rotation: SERVICE/KIND/SHARD vN WHY.
func rotationOf(origin string, k KeyScope) (service string, version int, ok bool) {
	service, rest, ok := strings.Cut(origin, "/"+k.Kind+"/"+k.Shard+" v")
	if !ok {
		return "", 0, false
	}
	digits, _, _ := strings.Cut(rest, " ")
	version, err := strconv.Atoi(digits)
	return service, version, err == nil
}

// bounds are the first and the last of some acts.
func bounds(how []AffectedAct) (first, last time.Time) {
	for _, one := range how {
		if first.IsZero() || one.First.Before(first) {
			first = one.First
		}
		if one.Last.After(last) {
			last = one.Last
		}
	}
	return first, last
}
