package vault

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/breach"
	"medvault/vault/catalog"
	"medvault/vault/evidence"
	"medvault/vault/record"
	"medvault/vault/rights"
	"medvault/vault/staff"
)

// The report of a quarter is signed as a verification's is, over three lines: this one,
// "VAULT QUARTER ISSUED" and the SHA-256 of the compact JSON without the field signed.
const evidenceTitle = "medvault evidence report"

// Evidence collects the evidence of a quarter, as "2026Q4", and signs it with the key of
// the log. Acts of the guard: evidence.read.
func (v *Vault) Evidence(ctx context.Context, a record.Actor, quarter string) (evidence.Report, error) {
	from, to, err := v.quarterBounds(quarter)
	if err != nil {
		return evidence.Report{}, err
	}
	now := v.nowMillis()
	if from.After(now) {
		return evidence.Report{}, record.Refuse(record.ErrInvalid, "bad-quarter", "this quarter has not begun")
	}
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionEvidence}, func(_ *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Origin = quarter
		return nil
	}); err != nil {
		return evidence.Report{}, err
	}
	if err := v.log.Flush(ctx); err != nil {
		return evidence.Report{}, unavailable("log", err)
	}
	e := &collector{v: v, ctx: ctx, from: from, to: to, now: now, span: fmt.Sprintf("--from %s --to %s", from.Format(time.RFC3339), to.Format(time.RFC3339))}
	r := evidence.Report{Version: 1, Vault: v.id, Quarter: quarter, From: from.UTC(), To: to.UTC(), Partial: now.Before(to), Issued: now, By: a.ID, LogKey: v.logVKey}
	if r.Sections, err = e.collect(); err != nil {
		return r, err
	}
	head, err := v.cfg.Catalog.LogHead(ctx)
	if err != nil {
		return r, unavailable("catalog", err)
	}
	r.LogSize = head.Size
	digest, err := evidenceDigest(r)
	if err != nil {
		return r, err
	}
	r.Signed, err = v.signDigest(evidenceTitle, evidenceID(r), digest)
	return r, err
}

func evidenceID(r evidence.Report) string {
	return r.Vault + " " + r.Quarter + " " + r.Issued.UTC().Format(time.RFC3339Nano)
}

func evidenceDigest(r evidence.Report) (string, error) {
	r.Signed = ""
	return digestOf(r)
}

// EvidenceFile is the report as it is kept, and as CheckEvidence reads it: indented JSON.
func EvidenceFile(r evidence.Report) ([]byte, error) { return reportFile(r) }

// CheckEvidence says whether a file is the evidence of a quarter that the vault with this
// verifier key (NAME+HASH+KEY) signed, byte for byte, and returns it. Nothing else is asked.
func CheckEvidence(file []byte, vkey string) (r evidence.Report, err error) {
	if err := readReport(file, &r); err != nil {
		return evidence.Report{}, err
	}
	digest, err := evidenceDigest(r)
	if err != nil {
		return evidence.Report{}, err
	}
	return r, checkDigest(r.Signed, vkey, evidenceTitle, evidenceID(r), digest)
}

// collector gathers the sections of one report.
type collector struct {
	v             *Vault
	ctx           context.Context
	from, to, now time.Time
	span          string // of times, as flags of a command
	counts        []catalog.LeafCount
	people        []catalog.StaffPerson
	institutions  map[string]catalog.StaffInstitution
}

func (e *collector) within(t time.Time) bool { return !t.Before(e.from) && t.Before(e.to) }

// end is when the quarter ended, or now.
func (e *collector) end() time.Time {
	if e.now.Before(e.to) {
		return e.now
	}
	return e.to
}

func (e *collector) collect() (all []evidence.Section, err error) {
	err = e.v.cfg.Catalog.View(e.ctx, func(tx *catalog.Tx) (err error) {
		if e.counts, err = tx.CountLeaves(e.ctx, e.from, e.to); err != nil {
			return err
		}
		e.people, e.institutions = nil, make(map[string]catalog.StaffInstitution)
		if err := eachStaff(e.ctx, tx, func(p catalog.StaffPerson) { e.people = append(e.people, p) }); err != nil {
			return err
		}
		list, err := tx.StaffInstitutions(e.ctx)
		for _, i := range list {
			e.institutions[i.ID] = i
		}
		return err
	})
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	for _, section := range []func(*evidence.Section) error{e.accessReviews, e.privilegedUse, e.breakglass, e.denials, e.keys, e.verifications, e.drills,
		e.trainings, e.cases, e.incidents, e.erasures, e.findings, e.certifications, e.agreements} {
		s := evidence.Section{Lines: []evidence.Line{}}
		if err := section(&s); err != nil {
			return nil, fmt.Errorf("evidence: %s: %w", s.Name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func begin(s *evidence.Section, name, title, promises string) {
	s.Name, s.Title, s.Promises = name, title, promises
}

func (e *collector) view(do func(tx *catalog.Tx) error) error {
	if err := e.v.cfg.Catalog.View(e.ctx, do); err != nil {
		return unavailable("catalog", err)
	}
	return nil
}

func (e *collector) accessReviews(s *evidence.Section) error {
	begin(s, "access-reviews", "Reviews of who has access", "3.6")
	list, err := openDossiers[AccessReview](e.ctx, e.v, catalog.DossierFilter{Kind: recordAccessReview})
	if err != nil {
		return err
	}
	quarter, signed := quarterOf(e.from), 0
	for _, r := range list {
		if r.Quarter != quarter {
			continue
		}
		source := "medvault access-review show " + string(r.ID)
		if r.Closed == nil {
			s.Add("Review begun "+day(r.Begun), "not signed", true, source)
			continue
		}
		signed++
		removed, privilegedOnes := 0, 0
		for _, l := range r.Lines {
			if l.Decision == "remove" {
				removed++
			}
			if l.Privileged {
				privilegedOnes++
			}
		}
		s.Add("Review signed "+day(*r.Closed), fmt.Sprintf("%d people and services, %d privileged, %d to be removed; by %s", len(r.Lines), privilegedOnes, removed, strings.Join(r.Signers, ", ")), false, source)
		var left []string
		if err := e.view(func(tx *catalog.Tx) (err error) {
			left, err = e.v.notCarriedOut(e.ctx, tx, r)
			return err
		}); err != nil {
			return err
		}
		if len(left) > 0 {
			s.Add("Removals not carried out", strings.Join(left, ", "), true, "medvault staff list; "+source)
		}
	}
	if signed == 0 {
		s.Add("Signed reviews of the quarter", "none", true, "GET /api/v1/access-reviews")
	}
	return nil
}

func (e *collector) privilegedUse(s *evidence.Section) error {
	begin(s, "privileged-use", "What privileged people did, in leaves of the log", "3.4, 3.6")
	for _, p := range e.people {
		if !privileged(p.Roles) {
			continue
		}
		byAction := make(map[string]int64)
		denied := int64(0)
		for _, n := range e.counts {
			switch {
			case n.Actor != p.Subject:
			case n.Decision == audit.Deny:
				denied += n.Leaves
			default:
				byAction[string(n.Action)] += n.Leaves
			}
		}
		s.Add(p.Subject+" ("+rolesOf(p.Roles)+")", fmt.Sprintf("%s; %d refused", tally(byAction), denied), false, "medvault audit query --actor "+p.Subject+" "+e.span)
	}
	return nil
}

func rolesOf(roles []record.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// tally is counts in words, in order of their names.
func tally(counts map[string]int64) string {
	if len(counts) == 0 {
		return "nothing"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

func (e *collector) breakglass(s *evidence.Section) error {
	begin(s, "break-glass", "Emergencies and their reviews", "3.3")
	opened, late, open, outcomes := 0, 0, 0, make(map[string]int64)
	err := e.view(func(tx *catalog.Tx) error {
		for before := record.ObjectID(""); ; {
			page, err := tx.Breakglasses(e.ctx, false, before, maxResults)
			if err != nil || len(page) == 0 {
				return err
			}
			before = page[len(page)-1].ID
			for _, g := range page {
				if !e.within(g.Opened) {
					continue
				}
				opened++
				switch {
				case g.Reviewed == nil:
					open++
					if !e.end().Before(g.ReviewBy) {
						late++
					}
				default:
					outcomes[g.Outcome]++
					if g.Reviewed.After(g.ReviewBy) {
						late++
					}
				}
			}
		}
	})
	source := "medvault breakglass list"
	s.Add("Opened", fmt.Sprint(opened), false, source)
	s.Add("Reviewed", tally(outcomes), outcomes["unjustified"] > 0, source)
	s.Add("Not reviewed yet", fmt.Sprint(open), open > 0, source+" --waiting")
	s.Add("Reviewed later than 24 hours, or overdue", fmt.Sprint(late), late > 0, source)
	return err
}

func (e *collector) denials(s *evidence.Section) error {
	begin(s, "denials", "Failed log-ins and refused acts", "3.3, 3.4")
	refused, sessions := make(map[string]int64), int64(0)
	for _, n := range e.counts {
		switch {
		case n.Decision != audit.Deny:
		case n.Action == ActionSession:
			sessions += n.Leaves
		default:
			refused[string(n.Action)] += n.Leaves
		}
	}
	s.Add("Callers turned away before any act (of unknown ones a leaf a minute and reason)", fmt.Sprint(sessions), false, "medvault audit query --action "+string(ActionSession)+" --decision deny "+e.span)
	s.Add("Acts refused", tally(refused), false, "medvault audit query --decision deny "+e.span)
	return nil
}

func (e *collector) keys(s *evidence.Section) error {
	begin(s, "keys", "Ages and rotations of keys", "3.2, 7.2")
	rotated := make(map[string]time.Time) // by service and kind: the oldest of its shards' last rotations
	last := make(map[string]time.Time)    // by shard
	inQuarter := 0
	for before := (catalog.LeafPlace{}); ; {
		found, err := e.v.cfg.Catalog.FindLeaves(e.ctx, catalog.LeafFilter{Action: ActionKeysRotated, To: e.end(), Before: before, Limit: maxAuditPage})
		if err != nil {
			return unavailable("catalog", err)
		}
		if len(found) == 0 {
			break
		}
		before = found[len(found)-1].Place
		for _, l := range found {
			leaf, err := audit.ParseLeaf(l.Data)
			if err != nil {
				return err
			}
			if e.within(leaf.Time) {
				inQuarter++
			}
			shard, _, _ := strings.Cut(leaf.Origin, " ")
			if last[shard].Before(leaf.Time) {
				last[shard] = leaf.Time
			}
		}
	}
	for shard, at := range last {
		parts := strings.Split(shard, "/")
		group := strings.Join(parts[:max(1, len(parts)-1)], "/")
		if there, ok := rotated[group]; !ok || at.Before(there) {
			rotated[group] = at
		}
	}
	s.Add("Rotations of key encryption keys", fmt.Sprint(inQuarter), false, "medvault audit query --action "+string(ActionKeysRotated)+" "+e.span)
	for _, group := range slices.Sorted(maps.Keys(rotated)) {
		age := int(e.end().Sub(rotated[group]).Hours() / 24)
		s.Add("Longest ago that a rotated key of "+group+" was", fmt.Sprintf("%s, %d days", day(rotated[group]), age), age > 365, "medvault keys status")
	}
	if len(rotated) == 0 {
		s.Add("Keys rotated ever", "none", true, "medvault keys status")
	}
	return nil
}

func (e *collector) verifications(s *evidence.Section) error {
	begin(s, "verifications", "Verification of what the regions hold, and what would be lost", "3.5")
	regions, err := e.v.State(e.ctx)
	if err != nil {
		return err
	}
	for _, r := range regions {
		for _, c := range r.Verified {
			if c.At.Before(e.from) {
				s.Add(r.Name+", level "+c.Level, "last on "+day(c.At)+", not in the quarter", true, "medvault regions --json")
				continue
			}
			coverage := ""
			if r.Objects > 0 {
				coverage = fmt.Sprintf(" of %d held now", r.Objects)
			}
			s.Add(r.Name+", level "+c.Level, fmt.Sprintf("last on %s: %d objects%s, %d findings", day(c.At), c.Checked, coverage, c.Findings), c.Findings > 0, "medvault regions --json; GET /api/v1/verifications")
		}
		if len(r.Verified) == 0 {
			s.Add(r.Name, "never verified", r.Objects > 0, "medvault regions --json")
		}
		s.Add(r.Name+", RPO at "+e.now.Format(time.RFC3339), fmt.Sprintf("%.0f s, %d objects wait", r.RPO, r.Pending), r.RPO > 3600, "medvault regions --json")
	}
	return nil
}

func (e *collector) drills(s *evidence.Section) error {
	begin(s, "drills", "Drills: how long it takes to come back (RTO)", "3.5")
	n := 0
	for before := (catalog.LeafPlace{}); ; {
		found, err := e.v.cfg.Catalog.FindLeaves(e.ctx, catalog.LeafFilter{Action: ActionDrill, From: e.from, To: e.to, Before: before, Limit: maxAuditPage})
		if err != nil {
			return unavailable("catalog", err)
		}
		if len(found) == 0 {
			break
		}
		before = found[len(found)-1].Place
		for _, l := range found {
			leaf, err := audit.ParseLeaf(l.Data)
			if err != nil {
				return err
			}
			n++
			value, alert := strings.TrimSpace(leaf.Origin+" "+leaf.Reason), false
			if c := leaf.Check; c != nil {
				value = strings.TrimSpace(fmt.Sprintf("%s: %d checked, %d lacking, report %s %s", strings.Join(c.Regions, ", "), c.Checked, c.Findings, c.Report, value))
				alert = c.Findings > 0
			}
			s.Add("Drill of "+day(leaf.Time), value, alert, "medvault audit query --action "+string(ActionDrill)+" "+e.span+"; the report has the seconds")
		}
	}
	if n == 0 {
		s.Add("Drills on schedule", "none", true, "medvault audit query --action "+string(ActionDrill)+" "+e.span)
	}
	return nil
}

func (e *collector) trainings(s *evidence.Section) error {
	begin(s, "training", "Training of staff", "3.7")
	standings, soon := make(map[string]int64), []string{}
	expired := []string{}
	for _, p := range e.people {
		if p.Kind == staff.Service || len(p.Roles) == 0 {
			continue
		}
		entry := entryOf(p, e.institutions[p.Institution])
		standing, _ := staff.Of(entry, p.Roles[0], e.now)
		standings[standing]++
		switch ends := entry.TrainingEnds(); {
		case p.State != staff.Active:
		case !e.now.Before(ends):
			expired = append(expired, p.Subject)
		case e.now.AddDate(0, 0, 30).After(ends):
			soon = append(soon, p.Subject)
		}
	}
	source := "medvault staff list"
	s.Add("People by standing at "+e.now.Format(time.RFC3339), tally(standings), false, source)
	s.Add("Training older than a year: refused", none(expired), len(expired) > 0, source)
	s.Add("Training ends within 30 days", none(soon), false, source)
	return nil
}

func none(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func (e *collector) cases(s *evidence.Section) error {
	begin(s, "cases", "Requests about personal information, and how fast they were answered", "5.1 to 5.7, 6.3, 10.1")
	type counted struct{ received, answered, late, executedLate, open int64 }
	kinds := make(map[string]*counted)
	err := e.view(func(tx *catalog.Tx) error {
		for after := record.ObjectID(""); ; {
			page, err := tx.Cases(e.ctx, catalog.CaseFilter{Closed: true, After: after, Limit: maxResults})
			if err != nil || len(page) == 0 {
				return err
			}
			after = page[len(page)-1].ID
			for _, row := range page {
				if !e.within(row.Received) {
					continue
				}
				if kinds[row.Kind] == nil {
					kinds[row.Kind] = new(counted)
				}
				k, c := kinds[row.Kind], e.v.listedCase(row)
				k.received++
				switch {
				case row.Decided == nil:
					k.open++
					if c.Response.Standing == rights.Overdue {
						k.late++
					}
				default:
					k.answered++
					if !row.Decided.Before(c.Response.Due) {
						k.late++
					}
				}
				if c.Execution != nil && (row.Executed != nil && !row.Executed.Before(c.Execution.Due) || row.Executed == nil && c.Execution.Standing == rights.Overdue) {
					k.executedLate++
				}
			}
		}
	})
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[kind]
		s.Add(kind, fmt.Sprintf("%d received, %d answered, %d open, %d answered late or overdue, %d carried out late or overdue", k.received, k.answered, k.open, k.late, k.executedLate),
			k.late+k.executedLate > 0, "GET /api/v1/cases?closed=true")
	}
	if len(kinds) == 0 {
		s.Add("Requests", "none", false, "GET /api/v1/cases?closed=true")
	}
	return err
}

func (e *collector) incidents(s *evidence.Section) error {
	begin(s, "incidents", "Breaches", "7.1, 7.2, 7.3")
	list, err := openDossiers[Incident](e.ctx, e.v, catalog.DossierFilter{Kind: recordIncident})
	if err != nil {
		return err
	}
	n := 0
	for _, i := range list {
		if !e.within(i.Discovered) && !(i.Closed == nil && i.Discovered.Before(e.to)) {
			continue
		}
		n++
		clock := breach.Stand(i.Discovered, e.now, i.Told)
		if i.TellNobody != "" {
			clock.Standing = "nobody had to be told"
		}
		what := "Incident " + string(i.ID)
		if i.Drill {
			what = "Drill " + string(i.ID)
		}
		s.Add(what, fmt.Sprintf("discovered %s, %s, clock: %s, %d measures", i.Discovered.Format(time.RFC3339), i.State, clock.Standing, len(i.Containment)),
			!i.Drill && (clock.Standing == breach.Overdue || clock.Standing == breach.Late), "medvault incident show "+string(i.ID))
	}
	if n == 0 {
		s.Add("Incidents", "none", false, "medvault incident list --all")
	}
	return nil
}

func (e *collector) erasures(s *evidence.Section) error {
	begin(s, "erasures", "Destroyed documents, with certificates", "5.3, 6.2, 6.3")
	var rows []catalog.Erasure
	err := e.view(func(tx *catalog.Tx) (err error) {
		rows, err = tx.Erasures(e.ctx, catalog.ErasureFilter{Limit: 100_000})
		return err
	})
	n := 0
	for _, row := range rows {
		if !e.within(row.Proposed) && !e.within(row.Certified) {
			continue
		}
		n++
		certified := "no certificate yet"
		if !row.Certified.IsZero() {
			certified = "certified " + day(row.Certified)
		}
		s.Add("Erasure "+string(row.ID), fmt.Sprintf("%s, basis %s, %s", row.State, row.Basis, certified), false, "medvault erase status "+string(row.ID))
	}
	if n == 0 {
		s.Add("Erasures", "none", false, "medvault erase status")
	}
	return err
}

func (e *collector) findings(s *evidence.Section) error {
	begin(s, "findings", "Findings of penetration tests and audits", "3.6")
	list, err := openDossiers[SecurityFinding](e.ctx, e.v, catalog.DossierFilter{Kind: recordFinding})
	if err != nil {
		return err
	}
	for _, f := range e.v.tellFindings(list) {
		if !f.Opened.Before(e.to) || f.Closed != nil && f.Closed.Before(e.from) {
			continue
		}
		value := fmt.Sprintf("%s, %s, owner %s, due %s", f.Severity, f.Source, f.Owner, day(f.Due))
		switch {
		case f.Closed != nil:
			value += fmt.Sprintf(", closed %s by %s with %s", day(*f.Closed), f.ClosedBy, strings.TrimSpace(f.Proof+" "+f.Document))
		case f.Overdue:
			value += ", OPEN and overdue"
		default:
			value += ", open"
		}
		s.Add(f.Title+" ("+string(f.ID)+")", value, f.Closed == nil, "medvault findings list --all")
	}
	if len(s.Lines) == 0 {
		s.Add("Findings", "none", false, "medvault findings list --all")
	}
	return nil
}

func (e *collector) certifications(s *evidence.Section) error {
	begin(s, "certifications", "Certifications of the regions", "3.5b")
	for _, r := range e.v.cfg.Regions.Regions() {
		c := e.v.cfg.Terms[r.Name].Certification
		if c.Expires.IsZero() {
			s.Add(r.Name, "none on record", !e.v.cfg.Uncertified, "medvault regions")
			continue
		}
		s.Add(r.Name, "until "+c.lastDay(), e.v.expired(r.Name), "medvault regions")
	}
	return nil
}

func (e *collector) agreements(s *evidence.Section) error {
	begin(s, "agreements", "Agreements with partner institutions and recipients", "2.2, 8.2")
	for _, id := range slices.Sorted(maps.Keys(e.institutions)) {
		i := e.institutions[id]
		switch {
		case i.Own:
			s.Add(id, "the house itself", false, "medvault staff institutions")
		case i.AgreementUntil.IsZero():
			s.Add(id, "none was signed", i.State == staff.Active, "medvault staff institutions")
		default:
			s.Add(id, "until "+day(i.AgreementUntil)+", "+i.Agreement, !e.now.Before(i.AgreementUntil), "medvault staff institutions")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.v.cfg.Registers.Recipients)) {
		r := e.v.cfg.Registers.Recipients[name]
		s.Add("recipient "+name, "until "+day(r.Expires)+", "+r.Document, !e.now.Before(r.Expires), "configuration: transfers.recipients")
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
