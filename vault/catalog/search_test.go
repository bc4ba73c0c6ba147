package catalog_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

func TestSearch(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		db.now = func() time.Time { return start }
		c := db.open(t)
		term := func(level, value string) catalog.Term { return catalog.Term{Level: level, Value: value} }
		ada := []catalog.Term{term("patient", "ada"), term("study", "day1"), term("series", "ct")}
		adaMR := []catalog.Term{term("patient", "ada"), term("study", "day1"), term("series", "mr"), term("instance", "class-mr")}
		adaLater := []catalog.Term{term("patient", "ada"), term("study", "day2"), term("series", "ct")}
		bob := []catalog.Term{term("patient", "bob"), term("study", "day1"), term("series", "ct")}

		docs := []catalog.Document{
			newDocument(1, "2.25.1", "2.25.11", 1, ada...),
			newDocument(1, "2.25.1", "2.25.11", 2, ada...),
			newDocument(1, "2.25.1", "2.25.12", 1, adaMR...),
			newDocument(1, "2.25.2", "2.25.21", 1, adaLater...),
			newDocument(2, "2.25.3", "2.25.31", 1, bob...),
		}
		docs[1].Held = "held-for-review"
		docs[3].Held = "held-for-review"
		pdf := newDocument(1, "", "", 0, term("patient", "ada"))
		pdf.Instance = ""
		insert(t, c, append(docs, pdf)...)
		past := start.Add(-time.Hour)
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if err := tx.InsertCare(ctx, catalog.Care{ID: record.NewObjectID(), Patient: token(2), Clinician: "dr", From: past}); err != nil {
				return err
			}
			return tx.InsertCare(ctx, catalog.Care{ID: record.NewObjectID(), Patient: token(1), Clinician: "dr", From: past, Ended: &past})
		})

		// A result is told as study/series/instance (counts).
		tests := []struct {
			name   string
			search catalog.Search
			want   []string
			total  int
		}{
			{"all studies", catalog.Search{Level: "study"}, []string{"2.25.1 2/3", "2.25.2 1/1", "2.25.3 1/1"}, 3},
			{"by name", catalog.Search{Level: "study", AllOf: [][]string{{"ada"}}}, []string{"2.25.1 2/3", "2.25.2 1/1"}, 2},
			{"either name", catalog.Search{Level: "study", AllOf: [][]string{{"ada", "bob"}}}, []string{"2.25.1 2/3", "2.25.2 1/1", "2.25.3 1/1"}, 3},
			{"name and day", catalog.Search{Level: "study", AllOf: [][]string{{"ada"}, {"day2"}}}, []string{"2.25.2 1/1"}, 1},
			{"days", catalog.Search{Level: "study", AllOf: [][]string{{"ada"}, {"day0", "day1", "day2"}}}, []string{"2.25.1 2/3", "2.25.2 1/1"}, 2},
			{"counts are of the whole study", catalog.Search{Level: "study", AllOf: [][]string{{"mr"}}}, []string{"2.25.1 2/3"}, 1},
			{"two series do not add up to one match", catalog.Search{Level: "study", AllOf: [][]string{{"mr"}, {"ct"}}}, nil, 0},
			{"nothing", catalog.Search{Level: "study", AllOf: [][]string{{"eve"}}}, nil, 0},
			{"empty group", catalog.Search{Level: "study", AllOf: [][]string{{}}}, nil, 0},
			{"released", catalog.Search{Level: "study", ReleasedOnly: true}, []string{"2.25.1 2/2", "2.25.3 1/1"}, 2},
			{"caregiver", catalog.Search{Level: "study", Caregiver: "dr"}, []string{"2.25.3 1/1"}, 1},
			{"caregiver of none", catalog.Search{Level: "study", Caregiver: "other"}, nil, 0},
			{"patients", catalog.Search{Level: "study", Patients: []record.PatientToken{token(1)}}, []string{"2.25.1 2/3", "2.25.2 1/1"}, 2},
			{"no patients", catalog.Search{Level: "study", Patients: []record.PatientToken{}}, nil, 0},
			{"page", catalog.Search{Level: "study", Limit: 1, Offset: 1}, []string{"2.25.2 1/1"}, 3},
			{"restricted before the page", catalog.Search{Level: "study", Caregiver: "dr", Limit: 1}, []string{"2.25.3 1/1"}, 1},
			{"beyond the end", catalog.Search{Level: "study", Offset: 3}, nil, 3},
			{"series", catalog.Search{Level: "series", Study: "2.25.1"}, []string{"2.25.1 2.25.11 1/2", "2.25.1 2.25.12 1/1"}, 2},
			{"series by modality", catalog.Search{Level: "series", AllOf: [][]string{{"ct"}}}, []string{"2.25.1 2.25.11 1/2", "2.25.2 2.25.21 1/1", "2.25.3 2.25.31 1/1"}, 3},
			{"instances", catalog.Search{Level: "instance", Study: "2.25.1", Series: "2.25.11"},
				[]string{"2.25.1 2.25.11 2.25.11.1 1/1", "2.25.1 2.25.11 2.25.11.2 1/1"}, 2},
			{"instances by class", catalog.Search{Level: "instance", AllOf: [][]string{{"class-mr"}}}, []string{"2.25.1 2.25.12 2.25.12.1 1/1"}, 1},
			{"instances released, by page", catalog.Search{Level: "instance", ReleasedOnly: true, Limit: 2, Offset: 1},
				[]string{"2.25.1 2.25.12 2.25.12.1 1/1", "2.25.3 2.25.31 2.25.31.1 1/1"}, 3},
		}
		series := map[record.ObjectID]string{}
		for _, d := range docs {
			series[d.ID] = d.Series
		}
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			for _, test := range tests {
				found, total, err := tx.Search(ctx, test.search)
				if err != nil {
					t.Errorf("%s: %v", test.name, err)
					return err
				}
				var got []string
				for _, f := range found {
					got = append(got, tell(f))
					if f.Sample != f.Samples[0] || len(f.Samples) != f.SeriesCount {
						t.Errorf("%s: samples %v, sample %v", test.name, f.Samples, f.Sample)
					}
					var distinct []string
					for _, id := range f.Samples {
						distinct = append(distinct, series[id])
					}
					if slices.Sort(distinct); len(slices.Compact(distinct)) != f.SeriesCount || slices.Contains(distinct, "") {
						t.Errorf("%s: samples of series %v", test.name, distinct)
					}
				}
				if !reflect.DeepEqual(got, test.want) || total != test.total {
					t.Errorf("%s: got %q of %d; want %q of %d", test.name, got, total, test.want, test.total)
				}
			}
			if _, _, err := tx.Search(ctx, catalog.Search{Level: "patient"}); err == nil {
				t.Error("a search at patient level was answered")
			}
			return nil
		})
	})
}

// tell writes a result as "study series instance series-count/instance-count".
func tell(f catalog.Found) string {
	var b strings.Builder
	for _, uid := range []string{f.Study, f.Series, f.Instance} {
		if uid != "" {
			b.WriteString(uid + " ")
		}
	}
	digits := "0123456789"
	b.WriteByte(digits[f.SeriesCount])
	b.WriteByte('/')
	b.WriteByte(digits[f.InstanceCount])
	return b.String()
}

func TestAStudySharedByTwoPatientsIsNotFoundByTheOthersName(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		insert(t, c,
			newDocument(1, "2.25.1", "2.25.11", 1, catalog.Term{Level: "patient", Value: "ada"}, catalog.Term{Level: "study", Value: "day1"}),
			newDocument(2, "2.25.1", "2.25.11", 2, catalog.Term{Level: "patient", Value: "bob"}, catalog.Term{Level: "study", Value: "day2"}))
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			for value, want := range map[string]record.PatientToken{"ada": token(1), "day1": token(1), "bob": token(2), "day2": token(2)} {
				found, total, err := tx.Search(ctx, catalog.Search{Level: "study", AllOf: [][]string{{value}}})
				if err != nil {
					return err
				}
				if total != 1 || found[0].Patient != want || found[0].InstanceCount != 1 {
					t.Errorf("%s: %+v; want one instance of %s", value, found, want)
				}
			}
			return nil
		})
	})
}
