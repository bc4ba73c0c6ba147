package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// What follows from a consent for a country, by jobs that outlive a gateway:
//
//	given      jobReach promises the patient's objects to the regions there, page by page
//	           (each is copied by its own jobCopy), then jobUnlock lays the wraps there
//	           where the consent covers reading
//	withdrawn  jobKeysOut deletes the patient's wraps in a region and orders that the
//	           shards of its key service be rotated, rewrapped and trimmed; when that is
//	           done, jobObjectsOut orders that the objects go (each by its own jobRemove)
//
// The order is the safety: when an object is deleted, or is found to be locked, no key
// opens it there any more. Every job asks again what the patient has said, so that it does
// not matter how often it runs, or what was said meanwhile.
const (
	jobReach      = "consent-reach"
	jobUnlock     = "consent-unlock"
	jobKeysOut    = "consent-keys-out"
	jobObjectsOut = "consent-objects-out"
)

// regionConsentJobs are those that wait for their region; the others need none.
func regionConsentJobs() []string { return []string{jobKeysOut, jobObjectsOut, jobUnlock} }

// Actions of leaves about what follows from consent.
const (
	ActionWrapsPlaced   record.Action = "wraps.placed"  // a region abroad holds wraps from now on
	ActionWrapsRemoved  record.Action = "wraps.removed" // all versions; the shards' renewal is ordered
	ActionKeysGone      record.Action = "wraps.dead"    // the shards are trimmed: no copy of a wrap opens any more
	originWithdrawal                  = "consent-withdrawn"
	originConsent                     = "consent"
	whyConsentWithdrawn               = "consent-withdrawn" // of a renewal
)

type consentPayload struct {
	Patient record.PatientToken `json:"patient"`
	Region  string              `json:"region"`
	Opened  bool                `json:"opened,omitempty"` // consent covered reading there, or wraps were found there
	Unseen  bool                `json:"unseen,omitempty"` // any object of the patient may lie there
	// Versions of the shards of the region's key service when its wraps were deleted, by
	// kind: they are dead when the oldest that opens is newer.
	Versions map[keys.Kind]int `json:"versions,omitempty"`
}

func (v *Vault) consentJob(ctx context.Context, tx *catalog.Tx, kind string, p consentPayload, by string, at time.Time) error {
	job := newJob(kind, string(p.Patient)+"@"+p.Region+"@"+by, p, at)
	if slices.Contains(regionConsentJobs(), kind) {
		job.Region = p.Region
	}
	return tx.Enqueue(ctx, job)
}

// place is where an object may lie, as consent alone has it: whether a register says no
// besides does not matter for what is to be taken away.
type place struct {
	name, country string
	unseen        bool // what it was once given is not known: the catalog was made anew
}

// follow leaves the jobs that make the regions abroad follow what a patient has said. by
// names what changed it. The ends of periods are jobs as well, which look then.
func (v *Vault) follow(ctx context.Context, tx *catalog.Tx, p catalog.Patient, by record.ObjectID, before, after []consent.Statement) error {
	var places []place
	for _, r := range v.cfg.Regions.Regions() {
		places = append(places, place{r.Name, r.Jurisdiction, false})
	}
	return v.followIn(ctx, tx, p, places, by, before, after)
}

func (v *Vault) followIn(ctx context.Context, tx *catalog.Tx, p catalog.Patient, places []place, by record.ObjectID, before, after []consent.Statement) error {
	now := v.cfg.Now()
	for _, r := range places {
		if r.country == cmp.Or(p.Country, v.cfg.Home) {
			continue
		}
		stored, opened := consent.Stored(before, r.country, now), consent.Opened(before, r.country, now)
		stores, opens := consent.Stored(after, r.country, now), consent.Opened(after, r.country, now)
		payload := consentPayload{Patient: p.Token, Region: r.name, Opened: opened, Unseen: r.unseen}
		var err error
		switch {
		case stores && !stored, opens && !opened:
			err = v.consentJob(ctx, tx, jobReach, payload, string(by), now)
		case stored && !stores, opened && !opens:
			err = v.consentJob(ctx, tx, jobKeysOut, payload, string(by), now)
		}
		if err != nil {
			return err
		}
		for _, s := range after {
			if err := v.followPeriod(ctx, tx, s, r, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// followPeriod leaves jobs for when a statement begins and ends of itself.
func (v *Vault) followPeriod(ctx context.Context, tx *catalog.Tx, s consent.Statement, r place, now time.Time) error {
	if s.Ended != nil || s.Country != "" && s.Country != r.country || s.Country == "" && s.Decision == consent.Permit {
		return nil
	}
	turn := func(at time.Time, given bool) error {
		if !at.After(now) {
			return nil
		}
		kind, payload := jobReach, consentPayload{Patient: s.Patient, Region: r.name}
		if given != (s.Decision == consent.Permit) {
			kind, payload.Opened = jobKeysOut, true
		}
		return v.consentJob(ctx, tx, kind, payload, fmt.Sprint(s.ID, "@", at.UnixMilli()), at)
	}
	err := turn(s.From, true)
	if s.Until != nil {
		err = errors.Join(err, turn(*s.Until, false))
	}
	return err
}

// followEnds leaves the jobs for when what a patient has said ends of itself in a region
// that holds something of theirs now: it may not have been there when that was said.
func (v *Vault) followEnds(ctx context.Context, tx *catalog.Tx, p catalog.Patient, said []consent.Statement, r storage.Region) error {
	if !v.abroad(p, r) {
		return nil
	}
	for _, s := range said {
		if err := v.followPeriod(ctx, tx, s, place{name: r.Name, country: r.Jurisdiction}, v.cfg.Now()); err != nil {
			return err
		}
	}
	return nil
}

// doConsent does a job of these kinds.
func (v *Vault) doConsent(ctx context.Context, job catalog.Job, owner string) error {
	var c consentPayload
	if err := json.Unmarshal(job.Payload, &c); err != nil {
		return err
	}
	r, ok := v.cfg.Regions.Region(c.Region)
	if !ok {
		return fmt.Errorf("no region %s", c.Region)
	}
	switch job.Kind {
	case jobReach:
		return v.reachThere(ctx, job, owner, r, c)
	case jobUnlock:
		return v.unlockThere(ctx, job, owner, r, c)
	case jobKeysOut:
		return v.keysOut(ctx, job, owner, r, c)
	}
	return v.objectsOut(ctx, job, owner, r, c)
}

// standingOf reads a patient and what they have said.
func (v *Vault) standingOf(ctx context.Context, tx *catalog.Tx, token record.PatientToken) (p catalog.Patient, said []consent.Statement, err error) {
	if p, err = tx.Patient(ctx, token); err == nil {
		said, err = v.consents(ctx, tx, token)
	}
	return p, said, err
}

// consentPage is how many objects are promised, or ordered to go, in one transaction.
const consentPage = 200

// reachThere promises a patient's objects to a region that may hold them now. A page is
// one transaction under the patient's row lock, so that none is promised behind a
// withdrawal.
func (v *Vault) reachThere(ctx context.Context, job catalog.Job, owner string, r storage.Region, c consentPayload) error {
	for after := record.ObjectID(""); ; {
		var page []catalog.Object
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			page = nil
			p, err := tx.LockPatient(ctx, c.Patient)
			if err != nil {
				return err
			}
			said, err := v.consents(ctx, tx, c.Patient)
			if err != nil || p.State == catalog.Erased || !slices.Contains(v.permitted(p, said...), r.Name) {
				return err
			}
			if page, err = tx.ObjectsOf(ctx, c.Patient, "", after, consentPage); err != nil {
				return err
			}
			for _, o := range page {
				if err := v.promiseThere(ctx, tx, o, r.Name); err != nil {
					return err
				}
			}
			return nil
		})
		if errors.Is(err, catalog.ErrNotFound) { // erased since
			break
		}
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		return v.consentJob(ctx, tx, jobUnlock, c, job.ID, v.cfg.Now())
	})
}

func (v *Vault) promiseThere(ctx context.Context, tx *catalog.Tx, o catalog.Object, region string) error {
	if o.SupersededBy != "" {
		return nil
	}
	placed, err := tx.Placements(ctx, o.ID)
	if err != nil {
		return err
	}
	if placed[region] {
		return nil
	}
	// A copy that was promised may have been given up when consent was withdrawn.
	if err := tx.Promise(ctx, o.ID, []string{region}); err != nil {
		return err
	}
	return tx.Enqueue(ctx, copyJob(o.ID, region, v.cfg.Now()))
}

// unlockThere lays a patient's wraps into a region, where consent covers reading there.
func (v *Vault) unlockThere(ctx context.Context, job catalog.Job, owner string, r storage.Region, c consentPayload) error {
	var p catalog.Patient
	var said []consent.Statement
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		p, said, err = v.standingOf(ctx, tx, c.Patient)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) || err == nil && (p.State == catalog.Erased || !slices.Contains(v.openIn(p, said), r.Name)) {
		return v.cfg.Catalog.Finish(ctx, job, owner, nil)
	}
	if err != nil {
		return err
	}
	if p.State != catalog.Active { // a record may be missing in which consent was withdrawn
		return fmt.Errorf("%w: the patient is %s", errNotPermitted, p.State)
	}
	k, err := v.openKeys(ctx, p)
	if err != nil {
		return err
	}
	if err := v.placeWrapsInTime(ctx, k, r.Name); err != nil {
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		again, err := v.straggles(ctx, tx, p, r, true, job.ID)
		if err != nil || again {
			return err
		}
		return appendLeaf(ctx, tx, v.consentLeaf(ActionWrapsPlaced, originConsent, c))
	})
}

// straggles leaves the jobs that clear a region when consent went while something, or
// keys, came there: it may have come after those jobs that the withdrawal left. It says
// whether objects must go.
func (v *Vault) straggles(ctx context.Context, tx *catalog.Tx, p catalog.Patient, r storage.Region, keysCame bool, by string) (bool, error) {
	if !v.abroad(p, r) {
		return false, nil
	}
	p, err := tx.LockPatient(ctx, p.Token)
	if err != nil {
		return false, err
	}
	said, err := v.consents(ctx, tx, p.Token)
	gone := v.withdrawn(p, said, r)
	if err != nil || !gone && !(keysCame && v.locked(p, said, r)) {
		return false, err
	}
	payload := consentPayload{Patient: p.Token, Region: r.Name}
	return gone, v.consentJob(ctx, tx, jobKeysOut, payload, by, v.cfg.Now())
}

// abroad says that a region is not in the patient's own country.
func (v *Vault) abroad(p catalog.Patient, r storage.Region) bool {
	return r.Jurisdiction != cmp.Or(p.Country, v.cfg.Home)
}

// withdrawn says that no consent covers storing a patient's objects in a region, whatever
// the registers say.
func (v *Vault) withdrawn(p catalog.Patient, said []consent.Statement, r storage.Region) bool {
	return v.abroad(p, r) && !consent.Stored(said, r.Jurisdiction, v.cfg.Now())
}

// locked says that no consent covers reading in a region.
func (v *Vault) locked(p catalog.Patient, said []consent.Statement, r storage.Region) bool {
	return v.abroad(p, r) && !consent.Opened(said, r.Jurisdiction, v.cfg.Now())
}

func (v *Vault) consentLeaf(action record.Action, origin string, c consentPayload) audit.Leaf {
	leaf := v.leaf(act{Actor: v.self(), Action: action, Patient: c.Patient, Origin: origin}, allowed)
	leaf.Reason = "in " + c.Region
	return leaf
}

// keysOut deletes all wraps of a patient in a region, unless consent covers reading there
// by now, and orders what makes every copy of them useless.
func (v *Vault) keysOut(ctx context.Context, job catalog.Job, owner string, r storage.Region, c consentPayload) error {
	var p catalog.Patient
	var said []consent.Statement
	var rows []catalog.WrapRow
	s := v.cfg.Services[r.Name]
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		rows = nil
		if p, said, err = v.standingOf(ctx, tx, c.Patient); err != nil {
			return err
		}
		for g := uint32(1); g <= p.Generation; g++ {
			of, err := tx.Wraps(ctx, string(c.Patient), g)
			if err != nil {
				return err
			}
			rows = append(rows, slices.DeleteFunc(of, func(w catalog.WrapRow) bool { return w.Service != s.Name() })...)
		}
		return nil
	})
	if errors.Is(err, catalog.ErrNotFound) || err == nil && !v.locked(p, said, r) {
		return v.cfg.Catalog.Finish(ctx, job, owner, nil)
	}
	if err != nil {
		return err
	}
	if !c.Opened {
		// Noted before the first one goes: an attempt that is cut leaves nothing to find.
		found, err := wrapsThere(ctx, r, s, c.Patient)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			c.Opened = true
			return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
				return v.consentJob(ctx, tx, jobKeysOut, c, job.ID, v.cfg.Now())
			})
		}
	}
	deleted, err := deleteWraps(ctx, r, s, c.Patient)
	if err != nil {
		return err
	}
	// Rows of a service that only this region has say that a wrap was made for it: one that
	// is not found here any more was deleted by an attempt that was cut.
	own := len(v.sharing(r)) == 0
	renew := deleted > 0 || c.Opened || own && len(rows) > 0
	if c.Versions, err = shardVersions(ctx, s, c.Patient, renew); err != nil {
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		if _, err := tx.LockPatient(ctx, c.Patient); err != nil {
			return err
		}
		if own {
			if _, err := tx.DropWraps(ctx, c.Patient, s.Name()); err != nil {
				return err
			}
		}
		if renew {
			for _, kind := range patientKinds {
				if c.Versions[kind] == 0 {
					continue
				}
				shard := s.Shard(keys.Binding{Kind: kind, Token: string(c.Patient), Generation: p.Generation})
				if err := v.orderRenewal(ctx, tx, s.Name(), kind, shard, whyConsentWithdrawn); err != nil {
					return err
				}
			}
			if err := appendLeaf(ctx, tx, v.consentLeaf(ActionWrapsRemoved, originWithdrawal, c)); err != nil {
				return err
			}
		}
		return v.consentJob(ctx, tx, jobObjectsOut, c, job.ID, v.cfg.Now())
	})
}

// sharing names the other regions that use a region's key service.
func (v *Vault) sharing(r storage.Region) []string {
	return v.regionsWhere(func(other storage.Region) bool {
		return other.Name != r.Name && v.cfg.Services[other.Name].Name() == v.cfg.Services[r.Name].Name()
	})
}

// wrapsThere lists a patient's wraps of all generations, under all versions, in a region.
func wrapsThere(ctx context.Context, r storage.Region, s keys.Wrapper, p record.PatientToken) (found []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	for _, kind := range patientKinds {
		shard := s.Shard(keys.Binding{Kind: kind, Token: string(p)})
		for info, err := range r.Keys.List(ctx, "wraps/"+string(kind)+"/"+shard+"/", "") {
			if err != nil {
				return nil, fmt.Errorf("region %s: %w", r.Name, err)
			}
			if of, _, ok := parseWrapKey(info.Key); ok && of.Token == string(p) {
				found = append(found, info.Key)
			}
		}
	}
	return found, nil
}

// patientKinds are the kinds of a patient's keys, in the order in which their shards are
// locked.
var patientKinds = [...]keys.Kind{keys.Content, keys.Identity}

// deleteWraps deletes what wrapsThere lists, and looks whether it is gone.
func deleteWraps(ctx context.Context, r storage.Region, s keys.Wrapper, p record.PatientToken) (deleted int, err error) {
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	for again := false; ; again = true {
		found, err := wrapsThere(ctx, r, s, p)
		if err != nil || len(found) == 0 {
			return deleted, err
		}
		if again {
			return deleted, fmt.Errorf("region %s: wraps are still listed after they were deleted", r.Name)
		}
		for _, key := range found {
			if err := r.Keys.Delete(ctx, key); err != nil {
				return deleted, fmt.Errorf("region %s: %w", r.Name, err)
			}
			deleted++
		}
	}
}

// shardVersions tells the current versions of a patient's shards, as far as there are any.
func shardVersions(ctx context.Context, s keys.Wrapper, p record.PatientToken, wanted bool) (map[keys.Kind]int, error) {
	if !wanted {
		return nil, nil
	}
	versions := make(map[keys.Kind]int)
	for _, kind := range patientKinds {
		current, _, err := s.Version(ctx, kind, s.Shard(keys.Binding{Kind: kind, Token: string(p)}))
		if errors.Is(err, keys.ErrNoKey) {
			continue // nothing was ever wrapped under it
		}
		if err != nil {
			return nil, err
		}
		versions[kind] = current
	}
	return versions, nil
}

// trimAgain is the longest time between two looks whether the shards are trimmed.
const trimAgain = 30 * time.Second

// objectsOut orders that a patient's objects go from a region, once no copy of a wrap
// opens them there any more, unless consent covers storing there by now.
func (v *Vault) objectsOut(ctx context.Context, job catalog.Job, owner string, r storage.Region, c consentPayload) error {
	s := v.cfg.Services[r.Name]
	for kind, was := range c.Versions {
		_, oldest, err := s.Version(ctx, kind, s.Shard(keys.Binding{Kind: kind, Token: string(c.Patient)}))
		if err != nil {
			return err
		}
		if oldest <= was {
			again := min(v.cfg.Poll<<min(job.Attempt, 5), trimAgain)
			return v.cfg.Catalog.Retry(ctx, job, owner, v.cfg.Now().Add(again), "")
		}
	}
	for after := record.ObjectID(""); ; {
		var page []catalog.Object
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			page = nil
			p, err := tx.LockPatient(ctx, c.Patient)
			if err != nil {
				return err
			}
			if after == "" && len(c.Versions) > 0 { // said before the first object goes
				if err := appendLeaf(ctx, tx, v.consentLeaf(ActionKeysGone, originWithdrawal, c)); err != nil {
					return err
				}
			}
			said, err := v.consents(ctx, tx, c.Patient)
			if err != nil || !v.withdrawn(p, said, r) {
				return err
			}
			promised := r.Name
			if c.Unseen {
				promised = ""
			}
			if page, err = tx.ObjectsOf(ctx, c.Patient, promised, after, consentPage); err != nil {
				return err
			}
			for _, o := range page {
				if err := tx.Promise(ctx, o.ID, []string{r.Name}); err != nil {
					return err
				}
				if err := tx.Enqueue(ctx, removeJob(o.ID, r.Name, v.cfg.Now())); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, nil)
}

// whyRemove says why an object must go from a region: "" when it stays.
func (v *Vault) whyRemove(ctx context.Context, tx *catalog.Tx, o catalog.Object, r storage.Region) (why string, err error) {
	if o.SupersededBy != "" {
		return whyGone(ctx, tx, o)
	}
	p, said, err := v.standingOf(ctx, tx, o.Patient)
	if errors.Is(err, catalog.ErrNotFound) {
		return "", nil
	}
	if err == nil && v.withdrawn(p, said, r) {
		why = originWithdrawal
	}
	return why, err
}

// keepThere ends a removal when consent was given again. An attempt that was cut may have
// deleted the object, so it is copied there again.
func (v *Vault) keepThere(ctx context.Context, job catalog.Job, owner string, o catalog.Object, r storage.Region) error {
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		if _, err := tx.LockPatient(ctx, o.Patient); err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		why, err := v.whyRemove(ctx, tx, o, r)
		if err != nil {
			return err
		}
		if why != "" { // and withdrawn again: whoever ordered the removal found this job
			return tx.Enqueue(ctx, removeJob(o.ID, r.Name, v.cfg.Now()))
		}
		return errors.Join(tx.Unlocked(ctx, o.ID, r.Name), v.wasRemoved(ctx, tx, o, r))
	})
}

// wasRemoved notes that an object is gone from a region. Consent that was given again
// while it was being deleted brings it back.
func (v *Vault) wasRemoved(ctx context.Context, tx *catalog.Tx, o catalog.Object, r storage.Region) error {
	if err := tx.Removed(ctx, o.ID, r.Name); err != nil {
		return err
	}
	why, err := v.whyRemove(ctx, tx, o, r)
	if err != nil || why != "" {
		return err
	}
	return v.promiseThere(ctx, tx, o, r.Name)
}
