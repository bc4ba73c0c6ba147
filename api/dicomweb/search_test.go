package dicomweb_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"medvault/api/dicomweb"
	"medvault/vault"
	"medvault/vault/record"
)

func TestParseSearch(t *testing.T) {
	type match = map[string][]string
	for _, row := range []struct {
		raw   string
		match match
		code  string // of the refusal
	}{
		{"", match{}, ""},
		{"PatientID=A1&StudyDate=20260101-20260131", match{"PatientID": {"A1"}, "StudyDate": {"20260101-20260131"}}, ""},
		{"00100020=A1&0020000d=1.2", match{"PatientID": {"A1"}, "StudyInstanceUID": {"1.2"}}, ""},
		{"StudyInstanceUID=1.2,1.3%5C1.4&StudyInstanceUID=1.5", match{"StudyInstanceUID": {"1.2", "1.3", "1.4", "1.5"}}, ""},
		{"ModalitiesInStudy=CT,MR", match{"ModalitiesInStudy": {"CT", "MR"}}, ""},
		{"PatientName=Li*%20Ming%3F", match{"PatientName": {"Li* Ming?"}}, ""},
		{"PatientName=a%2Cb", match{"PatientName": {"a,b"}}, ""},
		{"PatientName=%E6%9D%8E*", match{"PatientName": {"李*"}}, ""},
		{"PatientName=&PatientID=*", match{}, ""},
		{"accept=application/json;q=1&charset=utf-8&PatientID=1", match{"PatientID": {"1"}}, ""},
		{"multiplevaluematching=true&emptyvaluematching=false&PatientID=1", match{"PatientID": {"1"}}, ""},
		{"AccessionNumber=a;b", match{"AccessionNumber": {"a;b"}}, ""},

		{"PatientID=1&PatientID=2", nil, "repeated-key"},
		{"StudyInstanceUID=,", nil, "bad-list"},
		{"Nonsense=1", nil, "unsupported-key"},
		{"Nonsense=", nil, "unsupported-key"},
		{"RequestAttributesSequence.ScheduledProcedureStepID=1", nil, "unsupported-key"},
		{"00091010=1", nil, "unsupported-key"},
		{"=1", nil, "unsupported-key"},
		{"limit=-1", nil, "bad-limit"},
		{"limit=1.5", nil, "bad-limit"},
		{"limit=99999999999", nil, "bad-limit"},
		{"limit=1&limit=2", nil, "repeated-parameter"},
		{"offset=x", nil, "bad-offset"},
		{"fuzzymatching=maybe", nil, "bad-fuzzymatching"},
		{"emptyvaluematching=true", nil, "unsupported-parameter"},
		{"includefield=Nonsense", nil, "unknown-attribute"},
		{"PatientID=%zz", nil, "bad-query"},
		{"%zz=1", nil, "bad-query"},
		{strings.Repeat("PatientID=1&", 300), nil, "too-many-parameters"},
	} {
		got, err := dicomweb.ParseSearch(vault.LevelStudy, vault.Ref{}, row.raw)
		var refusal *record.Refusal
		switch {
		case row.code == "" && err != nil:
			t.Errorf("ParseSearch(%q): %v", row.raw, err)
		case row.code == "" && !reflect.DeepEqual(got.Query.Match, row.match):
			t.Errorf("ParseSearch(%q) matches %v; want %v", row.raw, got.Query.Match, row.match)
		case row.code != "" && (!errors.As(err, &refusal) || refusal.Code != row.code || refusal.Kind != record.ErrInvalid):
			t.Errorf("ParseSearch(%q) = %v; want refusal %s", row.raw, err, row.code)
		}
	}
}

func TestParseSearchOptions(t *testing.T) {
	got, err := dicomweb.ParseSearch(vault.LevelInstance, vault.Ref{Study: "1.2", Series: "1.3"},
		"limit=5&offset=10&fuzzymatching=true&includefield=StudyDescription,0008103e&includefield=Rows&Modality=")
	if err != nil {
		t.Fatal(err)
	}
	q := got.Query
	if q.Level != vault.LevelInstance || q.Study != "1.2" || q.Series != "1.3" || q.Limit != 5 || q.Offset != 10 || !got.Fuzzy || got.All || got.Empty {
		t.Errorf("ParseSearch = %+v; want level, path, limit, offset and fuzzy as sent", got)
	}
	if want := []string{"00081030", "0008103E", "00280010", "00080060"}; !slices.Equal(got.Include, want) {
		t.Errorf("Include = %v; want %v", got.Include, want)
	}
	if got, err := dicomweb.ParseSearch(vault.LevelStudy, vault.Ref{}, "limit=0&includefield=all"); err != nil || !got.Empty || !got.All || got.Query.Limit != 1 {
		t.Errorf("limit=0 = %+v, %v; want to ask for one and answer none, because 0 is all to the vault", got, err)
	}
}

// No parameter may vanish: it is a known option, a match, a universal match, or the
// whole query is refused.
func FuzzParseSearch(f *testing.F) {
	for _, s := range []string{"PatientID=1&limit=2", "00100010=*", "includefield=all,00100010", "StudyInstanceUID=1.2%5C1.3", "a=b;c=d", "&&=", "%", "Offset=1"} {
		f.Add(s)
	}
	options := []string{"limit", "offset", "fuzzymatching", "multiplevaluematching", "emptyvaluematching", "includefield", "accept", "charset"}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := dicomweb.ParseSearch(vault.LevelStudy, vault.Ref{}, raw)
		if err != nil {
			if !errors.Is(err, record.ErrInvalid) {
				t.Errorf("ParseSearch(%q): %v; want a refusal of the request", raw, err)
			}
			return
		}
		sent, kept := 0, 0
		for pair := range strings.SplitSeq(raw, "&") {
			name, value, _ := strings.Cut(pair, "=")
			if pair == "" || value == "" || value == "*" || strings.Contains(raw, "%") || strings.Contains(raw, "+") {
				continue
			}
			if !slices.Contains(options, strings.ToLower(name)) {
				sent++
			}
		}
		for _, values := range got.Query.Match {
			kept += len(values)
		}
		if kept < sent {
			t.Errorf("ParseSearch(%q) keeps %d of %d match keys: %v", raw, kept, sent, got.Query.Match)
		}
	})
}

func TestResultsHoldWhatTheStandardRequires(t *testing.T) {
	study := strings.Fields("00080020 00080030 00080050 00080061 00080090 00081190 00100010 00100020 00100030 00100040 0020000D 00200010 00201206 00201208")
	series := strings.Fields("00080060 00081190 0020000D 0020000E 00200011 00201209")
	instance := strings.Fields("00080016 00080018 00081190 0020000D 0020000E 00200013")
	m := vault.Match{
		Study: "1.2", Series: "1.3", Instance: "1.4",
		Attributes: map[string]json.RawMessage{
			"0020000D": json.RawMessage(`{"vr":"UI","Value":["1.2"]}`),
			"00280010": json.RawMessage(`{"vr":"US","Value":[512]}`),
			"00189999": json.RawMessage(`{"vr":"LO","Value":["x"]}`),
		},
	}
	for _, row := range []struct {
		name  string
		level vault.Level
		ref   vault.Ref
		raw   string
		want  []string
		url   string
	}{
		{"studies", vault.LevelStudy, vault.Ref{}, "", study, "/studies/1.2"},
		{"series of a study", vault.LevelSeries, vault.Ref{Study: "1.2"}, "", series, "/studies/1.2/series/1.3"},
		{"all series", vault.LevelSeries, vault.Ref{}, "", slices.Concat(study, series), "/studies/1.2/series/1.3"},
		{"instances of a series", vault.LevelInstance, vault.Ref{Study: "1.2", Series: "1.3"}, "", append(instance, "00280010"), "/studies/1.2/series/1.3/instances/1.4"},
		{"instances of a study", vault.LevelInstance, vault.Ref{Study: "1.2"}, "", slices.Concat(series, instance, []string{"00280010"}), "/studies/1.2/series/1.3/instances/1.4"},
		{"all instances", vault.LevelInstance, vault.Ref{}, "", slices.Concat(study, series, instance, []string{"00280010"}), "/studies/1.2/series/1.3/instances/1.4"},
		{"includefield", vault.LevelInstance, vault.Ref{Study: "1.2", Series: "1.3"}, "includefield=00189999", append(instance, "00280010", "00189999"), "/studies/1.2/series/1.3/instances/1.4"},
		{"includefield=all", vault.LevelInstance, vault.Ref{Study: "1.2", Series: "1.3"}, "includefield=all", append(instance, "00280010", "00189999"), "/studies/1.2/series/1.3/instances/1.4"},
	} {
		s, err := dicomweb.ParseSearch(row.level, row.ref, row.raw)
		if err != nil {
			t.Fatal(err)
		}
		got := dicomweb.Result(s, m)
		var tags []string
		for tag := range got {
			tags = append(tags, tag)
		}
		slices.Sort(tags)
		want := slices.Compact(slices.Sorted(slices.Values(row.want)))
		if !slices.Equal(tags, want) {
			t.Errorf("%s: attributes %v; want %v", row.name, tags, want)
		}
		if got["00081190"] != `{"vr":"UR","Value":["http://vault.example/dicomweb`+row.url+`"]}` {
			t.Errorf("%s: RetrieveURL %s; want %s", row.name, got["00081190"], row.url)
		}
		if got["0020000D"] != `{"vr":"UI","Value":["1.2"]}` {
			t.Errorf("%s: study UID %s; want the match's own", row.name, got["0020000D"])
		}
		if v, ok := got["00100010"]; ok && v != `{"vr":"PN"}` {
			t.Errorf("%s: unknown name %s; want the VR alone", row.name, v)
		}
	}
}
