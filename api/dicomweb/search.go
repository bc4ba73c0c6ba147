package dicomweb

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/suyashkumar/dicom/pkg/tag"

	"medvault/api/answer"
	"medvault/vault"
)

// search answers a QIDO-RS request (PS3.18 10.6) at one level.
func (f *face) search(level vault.Level) gin.HandlerFunc {
	return func(c *gin.Context) {
		query, err := parseQuery(c.Request.URL.RawQuery)
		if err != nil {
			answer.Error(c, err)
			return
		}
		contentType, err := jsonType(accepted(c.Request.Header, query))
		if err != nil {
			answer.Error(c, err)
			return
		}
		ref, err := target(c)
		if err != nil {
			answer.Error(c, err)
			return
		}
		s, err := parseSearch(level, ref, query)
		if err != nil {
			answer.Error(c, err)
			return
		}
		page, err := f.vault.Find(c.Request.Context(), answer.Actor(c), s.query)
		if err != nil {
			answer.Error(c, err)
			return
		}
		if s.fuzzy {
			c.Writer.Header().Add("Warning", "299 "+f.base+": The fuzzymatching parameter is not supported. Only literal matching has been performed.")
		}
		if s.namePart {
			c.Writer.Header().Add("Warning", "299 "+f.base+": Names written in Chinese characters are matched by the full name only. A search with a wildcard does not find them.")
		}
		if page.More > 0 {
			c.Writer.Header().Add("Warning", fmt.Sprintf("299 %s: There are %d additional results that can be requested", f.base, page.More))
		}
		if len(page.Matches) == 0 || s.none {
			c.Status(http.StatusNoContent)
			return
		}
		results := make([]map[string]json.RawMessage, 0, len(page.Matches))
		for _, m := range page.Matches {
			results = append(results, f.result(s, m))
		}
		body, err := json.Marshal(results)
		if err != nil {
			answer.Error(c, fmt.Errorf("search results: %w", err))
			return
		}
		c.Data(http.StatusOK, contentType, body)
	}
}

// search is a parsed query.
type search struct {
	query    vault.Query
	include  []string // tags asked for beyond the required ones
	all      bool     // includefield=all
	fuzzy    bool     // fuzzymatching=true was sent
	namePart bool     // PatientName with a wildcard
	none     bool     // limit=0: the caller wants no results
}

func parseSearch(level vault.Level, ref vault.Ref, query []parameter) (search, error) {
	s := search{query: vault.Query{Level: level, Study: ref.Study, Series: ref.Series, Match: map[string][]string{}}}
	seen := map[string]bool{}
	for _, p := range query {
		var err error
		switch name := strings.ToLower(p.name); name {
		case "limit", "offset":
			if seen[name] {
				return search{}, badQuery("repeated-parameter", "send limit and offset once")
			}
			seen[name] = true
			n, parseErr := strconv.ParseUint(p.value, 10, 31)
			if parseErr != nil {
				return search{}, badQuery("bad-"+name, name+" must be a whole number from 0")
			}
			if name == "limit" {
				s.query.Limit, s.none = max(int(n), 1), n == 0 // the vault's own 0 is its maximum
			} else {
				s.query.Offset = int(n)
			}
		case "fuzzymatching":
			s.fuzzy, err = parseBool(name, p.value)
		case "multiplevaluematching":
			// Lists of UIDs and modalities are matched either way; the other keys take
			// no list.
			_, err = parseBool(name, p.value)
		case "emptyvaluematching":
			var on bool
			if on, err = parseBool(name, p.value); on {
				err = badQuery("unsupported-parameter", "matching of empty values is not supported: leave emptyvaluematching out")
			}
		case "includefield":
			err = s.addFields(p.value)
		case "accept", "charset":
		default:
			err = s.addMatch(p)
		}
		if err != nil {
			return search{}, err
		}
	}
	s.query.All = s.beyondTheUsual()
	return s, nil
}

// beyondTheUsual says whether attributes are asked for that results do not hold anyway.
func (s search) beyondTheUsual() bool {
	required, known := attributesOf(s.query)
	return s.all || slices.ContainsFunc(s.include, func(tag string) bool {
		_, must := required[tag]
		return !must && !slices.Contains(known, tag)
	})
}

func parseBool(name, value string) (bool, error) {
	switch value {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, badQuery("bad-"+name, name+" must be true or false")
}

// addFields reads one includefield: keywords or tags, separated by commas, or "all".
// What the dictionary does not know, private attributes included, is never stored
// for search, so there is nothing to include.
func (s *search) addFields(list string) error {
	for field := range strings.SplitSeq(list, ",") {
		field = strings.TrimSpace(field)
		if strings.EqualFold(field, "all") {
			s.all = true
			continue
		}
		if len(s.include) == maxParameters {
			return badQuery("too-many-parameters", "ask for fewer attributes, or for includefield=all")
		}
		if t := strings.ToUpper(field); isTag(t) {
			s.include = append(s.include, t)
		} else if info, ok := lookup(field); ok {
			s.include = append(s.include, tagName(info))
		} else {
			return badQuery("unknown-attribute", "includefield names attributes by DICOM keyword or eight hex digits")
		}
	}
	return nil
}

// addMatch reads one match key. A key that no dictionary knows is refused here; one
// that is known but not supported is refused by the vault.
func (s *search) addMatch(p parameter) error {
	info, ok := lookup(p.name)
	if !ok {
		return badQuery("unsupported-key", "match by one of "+strings.Join(matchKeys(), ", "))
	}
	s.include = append(s.include, tagName(info))
	if p.value == "" || p.value == "*" {
		return nil // universal matching: only asks for the attribute (PS3.4 C.2.2.2.3)
	}
	values := []string{p.value}
	switch {
	case listed(info):
		values = strings.FieldsFunc(p.value, func(r rune) bool { return r == ',' || r == '\\' })
		if len(values) == 0 {
			return badQuery("bad-list", "a list needs at least one value")
		}
	case len(s.query.Match[info.Keyword]) > 0:
		return badQuery("repeated-key", "send each match key once")
	}
	if info.Keyword == "PatientName" && strings.Contains(p.value, "*") && strings.Trim(p.value, "*^=") != "" {
		s.namePart = true
	}
	s.query.Match[info.Keyword] = append(s.query.Match[info.Keyword], values...)
	return nil
}

// listed says whether a key takes several values of which one must match.
func listed(info tag.Info) bool {
	return slices.Contains(info.VRs, "UI") || info.Keyword == "Modality" || info.Keyword == "ModalitiesInStudy"
}

// lookup finds an attribute by keyword or by eight hex digits.
func lookup(name string) (tag.Info, bool) {
	if isTag(strings.ToUpper(name)) {
		n, err := strconv.ParseUint(name, 16, 32)
		if err != nil {
			return tag.Info{}, false
		}
		info, err := tag.Find(tag.Tag{Group: uint16(n >> 16), Element: uint16(n)})
		return info, err == nil && info.Keyword != ""
	}
	info, err := tag.FindByKeyword(name)
	return info, err == nil && info.Keyword == name
}

func tagName(info tag.Info) string {
	return fmt.Sprintf("%04X%04X", info.Tag.Group, info.Tag.Element)
}

// matchKeys lists what vault.Query supports, for advice.
func matchKeys() []string {
	return []string{"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "IssuerOfPatientID", "PatientName",
		"PatientBirthDate", "StudyDate", "Modality", "ModalitiesInStudy", "AccessionNumber", "SOPClassUID"}
}

// result is one match with what PS3.18 requires of its level, empty where nothing is
// known, and what was asked for beyond that.
func (f *face) result(s search, m vault.Match) map[string]json.RawMessage {
	required, known := attributesOf(s.query)
	r := make(map[string]json.RawMessage, len(required)+len(known))
	for tag, vr := range required {
		r[tag] = json.RawMessage(`{"vr":"` + vr + `"}`)
	}
	for tag, value := range m.Attributes {
		_, must := required[tag]
		if must || s.all || slices.Contains(known, tag) || slices.Contains(s.include, tag) {
			r[tag] = value
		}
	}
	study, series, instance := m.Study, "", ""
	if s.query.Level != vault.LevelStudy {
		series = m.Series
	}
	if s.query.Level == vault.LevelInstance {
		instance = m.Instance
	}
	url, err := json.Marshal(attribute{"UR", []any{f.url(study, series, instance)}})
	if err != nil {
		panic(err) // a string always marshals
	}
	r[tagRetrieveURL] = url
	return r
}

// attributesOf lists what a result must hold (tag to VR) and what it holds when
// known: PS3.18 tables 10.6.3-3 to 10.6.3-5. A search below a level that the URL
// does not name answers with that level's attributes, too.
func attributesOf(q vault.Query) (required map[string]string, known []string) {
	required = map[string]string{"0020000D": "UI"}
	if q.Level == vault.LevelStudy || q.Study == "" {
		for tag, vr := range map[string]string{
			"00080020": "DA", "00080030": "TM", "00080050": "SH", "00080061": "CS", "00080090": "PN",
			"00100010": "PN", "00100020": "LO", "00100030": "DA", "00100040": "CS", "00200010": "SH",
			"00201206": "IS", "00201208": "IS",
		} {
			required[tag] = vr
		}
		known = append(known, "00080005", "00080056", "00080201", "00081030", "00100021")
	}
	if q.Level == vault.LevelSeries || q.Level == vault.LevelInstance && q.Series == "" {
		for tag, vr := range map[string]string{"00080060": "CS", "0020000E": "UI", "00200011": "IS", "00201209": "IS"} {
			required[tag] = vr
		}
		known = append(known, "00080005", "0008103E", "00400244", "00400245", "00400275")
	}
	if q.Level == vault.LevelInstance {
		for tag, vr := range map[string]string{"00080016": "UI", "00080018": "UI", "00200013": "IS", "0020000E": "UI"} {
			required[tag] = vr
		}
		known = append(known, "00080005", "00280008", "00280010", "00280011", "00280100")
	}
	return required, known
}
