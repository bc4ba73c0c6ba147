package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/keys/token"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Level of a search.
type Level string

const (
	LevelStudy    Level = "study"
	LevelSeries   Level = "series"
	LevelInstance Level = "instance"
)

// Query is a search at one level. Match keys are DICOM keywords; supported are
// StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, PatientID,
// IssuerOfPatientID, PatientName, PatientBirthDate, StudyDate, Modality,
// ModalitiesInStudy, AccessionNumber and SOPClassUID; any other is ErrInvalid
// with code "unsupported-key", because a filter that is dropped returns other
// patients' studies.
type Query struct {
	Level         Level
	Study, Series string // from the URL; "" is any
	Match         map[string][]string
	All           bool // every attribute of the sample, not only those that are always returned
	Limit, Offset int  // Limit 0: the vault's maximum
}

// Match is one result, in the view the actor may see.
type Match struct {
	Attributes              map[string]json.RawMessage // DICOM JSON by tag, counts included
	Study, Series, Instance string
	Patient                 record.PatientToken
	View                    record.View
}

// Page is a part of the results; More is how many lie beyond it.
type Page struct {
	Matches []Match
	More    int
}

// maxResults is the largest page.
const maxResults = 1000

// Find searches what the actor may see: a clinician their own patients, a
// de-identified reader every patient by mapped names only. Before anything is shown
// the search has its leaf, and every patient it leads to, one a window. Results are
// opened one by one with the patient's keys.
func (v *Vault) Find(ctx context.Context, a record.Actor, q Query) (Page, error) {
	if q.Limit <= 0 || q.Limit > maxResults {
		q.Limit = maxResults
	}
	var d access.Decision
	var found []catalog.Found
	var total int
	patients := make(map[record.PatientToken]catalog.Patient)
	searching := act{Actor: a, Action: record.ActionSearch}
	began := v.cfg.Now()
	if err := v.comeOfAge(ctx); err != nil {
		return Page{}, unavailable("catalog", err)
	}
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if d, err = v.decide(ctx, tx, searching); err != nil || !d.Allow {
			return err
		}
		search, none, err := v.search(a, d.View, q)
		if err != nil || none {
			return err
		}
		if a.Role == record.RolePatient || a.Role == record.RoleGuardian {
			if search.Patients, err = v.theirs(ctx, tx, a); err != nil {
				return err
			}
		}
		if found, total, err = tx.Search(ctx, search); err != nil {
			return err
		}
		found, err = v.mayFind(ctx, tx, a, d.View, found, patients)
		return err
	})
	if err != nil {
		return Page{}, err
	}
	if !d.Allow {
		return Page{}, v.refuse(ctx, searching)
	}
	shown := make([]record.PatientToken, len(found))
	for i, f := range found {
		shown[i] = f.Patient
	}
	if err := v.writeSearchLeaves(ctx, searching, d, began, shown); err != nil {
		return Page{}, err
	}
	page := Page{More: max(0, total-q.Offset-len(found))}
	for _, f := range found {
		m, err := v.match(ctx, f, patients[f.Patient], d.View, q)
		if err != nil {
			return Page{}, err
		}
		page.Matches = append(page.Matches, m)
	}
	return page, nil
}

// writeSearchLeaves commits the leaf of a search and one for each patient it shows,
// unless one is live, deciding again in that transaction.
func (v *Vault) writeSearchLeaves(ctx context.Context, searching act, d access.Decision, began time.Time, patients []record.PatientToken) error {
	var shown []record.ObjectID // patients stand in the place of objects here
	seen := make(map[record.PatientToken]bool)
	for _, p := range patients {
		if !seen[p] {
			seen[p] = true
			shown = append(shown, record.ObjectID(p))
		}
	}
	_, err := v.perform(ctx, searching, func(tx *catalog.Tx, now access.Decision, _ *audit.Leaf) error {
		if now.View != d.View {
			return unavailable("decision", errChanged)
		}
		fresh, err := tx.ReadWindow(ctx, searching.Actor.ID, string(searching.Actor.Purpose), string(searching.Action)+" "+string(d.View), shown, began, readWindow)
		if err != nil {
			return err
		}
		for _, id := range fresh {
			one := searching
			one.Patient = record.PatientToken(id)
			decided, err := v.decide(ctx, tx, one)
			if err != nil {
				return err
			}
			if !decided.Allow || decided.View != d.View {
				return unavailable("decision", errChanged)
			}
			leaf := v.leaf(one, decided)
			leaf.Window = readWindow
			if err := appendLeaf(ctx, tx, leaf); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// mayFind decides about each patient a search led to, and leaves out those who are
// frozen or whom the policies refuse for another reason.
func (v *Vault) mayFind(ctx context.Context, tx *catalog.Tx, a record.Actor, view record.View, found []catalog.Found, patients map[record.PatientToken]catalog.Patient) (may []catalog.Found, err error) {
	allowed := make(map[record.PatientToken]bool)
	for _, f := range found {
		if _, asked := patients[f.Patient]; !asked {
			if patients[f.Patient], err = tx.Patient(ctx, f.Patient); err != nil {
				return nil, err
			}
			d, err := v.decide(ctx, tx, act{Actor: a, Action: record.ActionSearch, Patient: f.Patient})
			if err != nil {
				return nil, err
			}
			allowed[f.Patient] = d.Allow && d.View == view
		}
		if allowed[f.Patient] {
			may = append(may, f)
		}
	}
	return may, nil
}

// search turns a query into blind terms. none: it can match nothing.
func (v *Vault) search(a record.Actor, view record.View, q Query) (s catalog.Search, none bool, err error) {
	s = catalog.Search{Level: string(q.Level), Limit: q.Limit, Offset: q.Offset, ReleasedOnly: view == record.ViewDeidentified}
	switch a.Role {
	case record.RoleClinician:
		s.Caregiver, s.Minors, s.Emergency = a.ID, true, a.Purpose == record.PurposeETreat
	case record.RoleGuardian:
		s.Minors = true
	case record.RoleResearcher:
		s.Consented = record.PurposeResearch
	}
	for name, uid := range map[string]string{"StudyInstanceUID": q.Study, "SeriesInstanceUID": q.Series} {
		if uid == "" {
			continue
		}
		if v.cfg.ContentOnly {
			narrow(&s, name, uid)
			continue
		}
		terms, err := v.uidTerms(view, name, []string{uid})
		if err != nil {
			return s, false, err
		}
		s.AllOf = append(s.AllOf, terms)
	}
	for _, key := range slices.Sorted(maps.Keys(q.Match)) {
		values := q.Match[key]
		if universal(values) {
			continue
		}
		var all [][]string
		if view == record.ViewOriginal {
			all, err = v.identifiedKey(key, values, q.Match)
		} else {
			all, none, err = v.deidentifiedKey(&s, key, values)
		}
		if none || err != nil {
			return s, none, err
		}
		s.AllOf = append(s.AllOf, all...)
	}
	return s, false, nil
}

// narrow keeps a search within a mapped UID, as the catalog has it in clear.
func narrow(s *catalog.Search, attribute, uid string) {
	if attribute == "StudyInstanceUID" {
		s.Study = uid
	} else {
		s.Series = uid
	}
}

// universal says that a key matches everything (PS3.4 C.2.2.2.3).
func universal(values []string) bool {
	return len(values) == 0 || len(values) == 1 && (values[0] == "" || values[0] == "*")
}

// uidTerms: those who see the original may search by original and mapped UIDs, for
// others an original UID would tell whose is whose.
func (v *Vault) uidTerms(view record.View, attribute string, uids []string) ([]string, error) {
	all := slices.Clone(uids)
	if view == record.ViewOriginal {
		for _, uid := range uids {
			all = append(all, v.tokens.UID(uid))
		}
	}
	return v.tokens.Terms(attribute, all...)
}

// anyKey is a key that has the same meaning in both views.
func (v *Vault) anyKey(view record.View, key string, values []string) (terms []string, known bool, err error) {
	switch key {
	case "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID":
		terms, err = v.uidTerms(view, key, values)
	case "Modality", "ModalitiesInStudy":
		terms, err = v.tokens.Terms("Modality", values...)
	case "SOPClassUID":
		terms, err = v.tokens.Terms(key, values...)
	default:
		return nil, false, nil
	}
	return terms, true, err
}

// deidentifiedKey is a key as those without identity may use it: the patient token
// stands for Patient ID and name. Dates and ids would tell what the view hides.
func (v *Vault) deidentifiedKey(s *catalog.Search, key string, values []string) (all [][]string, none bool, err error) {
	if v.cfg.ContentOnly && key != "PatientID" && key != "PatientName" {
		if len(values) != 1 || s.Study != "" && key == "StudyInstanceUID" || s.Series != "" && key == "SeriesInstanceUID" ||
			key != "StudyInstanceUID" && key != "SeriesInstanceUID" {
			return nil, false, record.Refuse(record.ErrInvalid, "unsupported-key", "this gateway has no index: it finds by one StudyInstanceUID, SeriesInstanceUID or patient token")
		}
		narrow(s, key, values[0])
		return nil, false, nil
	}
	if terms, known, err := v.anyKey(record.ViewDeidentified, key, values); known || err != nil {
		return [][]string{terms}, false, err
	}
	if key != "PatientID" && key != "PatientName" {
		return nil, false, record.Refuse(record.ErrInvalid, "unsupported-key", key+" cannot be searched in the de-identified view")
	}
	var named []record.PatientToken
	for _, value := range values {
		p, err := record.ParsePatientToken(value)
		if err == nil && (s.Patients == nil || slices.Contains(s.Patients, p)) { // both keys must match
			named = append(named, p)
		}
	}
	s.Patients = named
	return nil, len(named) == 0, nil
}

// identifiedKey turns a key into groups of terms, of each of which one must match.
func (v *Vault) identifiedKey(key string, values []string, all map[string][]string) ([][]string, error) {
	terms, known, err := v.anyKey(record.ViewOriginal, key, values)
	if known || err != nil {
		return [][]string{terms}, err
	}
	switch key {
	case "PatientID", "AccessionNumber":
		if strings.ContainsAny(strings.Join(values, ""), "*?") {
			return nil, record.Refuse(record.ErrInvalid, "unsupported-wildcard", key+" matches whole values only")
		}
		if issuer := all["IssuerOfPatientID"]; key == "PatientID" && !universal(issuer) {
			return v.issuedBy(issuer, values)
		}
		terms, err = v.tokens.Terms(key, values...)
	case "IssuerOfPatientID":
		if universal(all["PatientID"]) {
			return nil, record.Refuse(record.ErrInvalid, "unsupported-key", "IssuerOfPatientID is matched together with PatientID")
		}
		return nil, nil // done with PatientID
	case "PatientName":
		return v.nameTerms(values)
	case "PatientBirthDate", "StudyDate":
		var days []string
		for _, value := range values {
			more, err := token.Days(value, v.cfg.Now())
			if err != nil {
				return nil, record.Refuse(record.ErrInvalid, "bad-date", key+": "+err.Error())
			}
			days = append(days, more...)
		}
		terms, err = v.tokens.Terms(key, days...)
	default:
		return nil, record.Refuse(record.ErrInvalid, "unsupported-key", key+" cannot be searched")
	}
	return [][]string{terms}, err
}

// issuedBy: a Patient ID with its issuer names one patient.
func (v *Vault) issuedBy(issuers, ids []string) ([][]string, error) {
	var patients []string
	for _, issuer := range issuers {
		for _, id := range ids {
			patients = append(patients, v.tokens.Patient(issuer, id))
		}
	}
	terms, err := v.tokens.Terms("Patient", patients...)
	return [][]string{terms}, err
}

// nameTerms: every word of the query must be a word, or with a wildcard a beginning,
// of the name.
func (v *Vault) nameTerms(values []string) (all [][]string, err error) {
	if len(values) != 1 {
		return nil, record.Refuse(record.ErrInvalid, "bad-name", "send one PatientName")
	}
	words, ok := token.NameQuery(values[0])
	if !ok {
		return nil, record.Refuse(record.ErrInvalid, "unsupported-wildcard", "PatientName matches whole words and beginnings of at least two letters, as in ZHANG* or ZHANG^WEI")
	}
	terms, err := v.tokens.Terms("PatientName", words...)
	for _, t := range terms {
		all = append(all, []string{t})
	}
	return all, err
}

// terms are what a document can be found by, blind. A date that is none is not
// found by date.
func (v *Vault) terms(id imaging.Identity, p record.PatientToken) (terms []catalog.Term, err error) {
	add := func(level, attribute string, values ...string) {
		blind, e := v.tokens.Terms(attribute, values...)
		err = errors.Join(err, e)
		for i, value := range values {
			if value != "" && e == nil {
				terms = append(terms, catalog.Term{Level: level, Value: blind[i]})
			}
		}
	}
	addDay := func(level, attribute, date string) {
		if day, err := token.Day(date); err == nil {
			add(level, attribute, day)
		}
	}
	add(catalog.LevelPatient, "Patient", string(p))
	if named := v.tokens.Patient(id.Issuer, id.PatientID); named != string(p) { // stored under a corrected Patient ID
		add(catalog.LevelPatient, "Patient", named)
	}
	add(catalog.LevelPatient, "PatientID", id.PatientID)
	addDay(catalog.LevelPatient, "PatientBirthDate", id.BirthDate)
	add(catalog.LevelPatient, "PatientName", token.NameTerms(id.PatientName)...)
	if id.Instance == "" {
		return terms, err
	}
	add(catalog.LevelStudy, "StudyInstanceUID", v.tokens.UID(id.Study))
	addDay(catalog.LevelStudy, "StudyDate", id.StudyDate)
	add(catalog.LevelStudy, "AccessionNumber", id.AccessionNumber)
	add(catalog.LevelSeries, "SeriesInstanceUID", v.tokens.UID(id.Series))
	add(catalog.LevelSeries, "Modality", id.Modality)
	add(catalog.LevelInstance, "SOPInstanceUID", v.tokens.UID(id.Instance))
	add(catalog.LevelInstance, "SOPClassUID", id.SOPClass)
	return terms, err
}

// Attributes that are returned at each level where they are known (PS3.18 tables
// 10.6.3-3 to 10.6.3-5); each level adds to those above it.
var levelTags = map[Level][]string{
	LevelStudy: {"00080005", "00080020", "00080030", "00080050", "00080090", "00080201", "00081030", "00100010", "00100020", "00100021",
		"00100030", "00100040", "0020000D", "00200010"},
	LevelSeries:   {"00080060", "0008103E", "0020000E", "00200011", "00400244", "00400245", "00400275"},
	LevelInstance: {"00080016", "00080018", "00200013", "00280008", "00280010", "00280011", "00280100"},
}

// returns says whether an attribute belongs into a result. An attribute of a lower
// level does not, whoever asks for it (PS3.18 10.6.3.3): it is the sample's alone.
func (q Query) returns(tag string) bool {
	levels := []Level{LevelStudy, LevelSeries, LevelInstance}
	at := slices.Index(levels, q.Level)
	for n, level := range levels {
		if slices.Contains(levelTags[level], tag) {
			return n <= at
		}
	}
	return q.All && (q.Level == LevelInstance || strings.HasPrefix(tag, "0010"))
}

// match opens a sample of a result and shows its attributes.
func (v *Vault) match(ctx context.Context, f catalog.Found, p catalog.Patient, view record.View, q Query) (Match, error) {
	all, err := v.shown(ctx, f.Sample, p, view)
	if err != nil {
		return Match{}, err
	}
	if view == record.ViewOriginal {
		said, err := v.correctionsOf(ctx, p)
		if err != nil {
			return Match{}, err
		}
		if err := said.correct(f.Sample, all); err != nil {
			return Match{}, err
		}
	}
	m := Match{Attributes: make(map[string]json.RawMessage), Patient: f.Patient, View: view}
	for tag, value := range all {
		if q.returns(tag) {
			m.Attributes[tag] = value
		}
	}
	m.Study, m.Series, m.Instance = text(all["0020000D"]), text(all["0020000E"]), text(all["00080018"])
	switch q.Level {
	case LevelStudy:
		m.Attributes["00201206"], m.Attributes["00201208"] = count(f.SeriesCount), count(f.InstanceCount)
		m.Attributes["00080061"], err = v.modalities(ctx, f.Samples, p, view)
	case LevelSeries:
		m.Attributes["00201209"] = count(f.InstanceCount)
	}
	return m, err
}

// shown opens the attributes of a document in one view: the content's own, and over
// them, for those who see the original, the identity's.
func (v *Vault) shown(ctx context.Context, id record.ObjectID, p catalog.Patient, view record.View) (map[string]json.RawMessage, error) {
	var d catalog.Document
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		d, err = tx.Document(ctx, id)
		if !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		now, err := tx.Current(ctx, id) // superseded since it was found
		if err != nil {
			return err
		}
		d, err = tx.Document(ctx, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	k, err := v.openKeys(ctx, sealedFor(p, d.Object))
	if err != nil {
		return nil, err
	}
	o, err := v.open(ctx, d.Object, k, view)
	if err != nil {
		return nil, err
	}
	var facts imaging.Facts
	if err := readPart(ctx, o, envelope.Facts, &facts); err != nil {
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	all := make(map[string]json.RawMessage)
	if err := unmarshalInto(all, facts.Attributes); err != nil || view != record.ViewOriginal {
		return all, err
	}
	var w who
	if err := readPart(ctx, o, envelope.Who, &w); err != nil {
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	if err := unmarshalInto(all, w.Attributes); err != nil || w.Moved == nil {
		return all, err
	}
	return all, corrections{{Correction: *w.Moved}}.correct("", all)
}

func unmarshalInto(all map[string]json.RawMessage, data json.RawMessage) error {
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return errors.New("sealed attributes are no JSON object") // the cause may quote a value
	}
	return nil
}

// modalities lists the distinct modalities of a study from one sample a series.
func (v *Vault) modalities(ctx context.Context, samples []record.ObjectID, p catalog.Patient, view record.View) (json.RawMessage, error) {
	var list []string
	for _, id := range samples {
		all, err := v.shown(ctx, id, p, view)
		if err != nil {
			return nil, err
		}
		if m := text(all["00080060"]); m != "" && !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	slices.Sort(list)
	return json.Marshal(map[string]any{"vr": "CS", "Value": list})
}

// text is the first value of a DICOM JSON attribute.
func text(attribute json.RawMessage) string {
	var a struct{ Value []any }
	if json.Unmarshal(attribute, &a) != nil || len(a.Value) == 0 {
		return ""
	}
	s, _ := a.Value[0].(string)
	return s
}

func count(n int) json.RawMessage {
	return json.RawMessage(`{"vr":"IS","Value":[` + strconv.Itoa(n) + `]}`)
}
