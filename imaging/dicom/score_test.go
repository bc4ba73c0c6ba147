package dicom_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// score is what score.json holds: the last result, and by which rules.
type score struct {
	imagingtest.Result
	Percent float64 `json:"percent"`
	Digest  string  `json:"digest"` // imaging.Rules.Digest
}

const scoreFile = "score.json"

// TestScore takes identity out of a set of objects with planted identifiers and
// compares every value with an answer key. MEDVAULT_SCORE_MISSES names a file for the
// list of what was wrong.
func TestScore(t *testing.T) {
	scrubber := dicom.New()
	result, err := imagingtest.Score(scrubber, imagingtest.Set(1, 2100, imagingtest.DefaultOptions()...), pseudonyms)
	t.Log("\n" + result.Table())
	if path := os.Getenv("MEDVAULT_SCORE_MISSES"); path != "" {
		if err := os.WriteFile(path, []byte(strings.Join(result.Misses, "\n")+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, miss := range result.Misses {
		if i == 20 {
			t.Errorf("and %d more", len(result.Misses)-i)
			break
		}
		t.Error(miss)
	}
	if result.Objects < 2000 || result.Classes < 40 || result.Syntaxes < 12 {
		t.Errorf("%d objects, %d classes, %d syntaxes; want at least 2000, 40 and 12", result.Objects, result.Classes, result.Syntaxes)
	}
	checkScore(t, score{result, result.Total().Percent(), scrubber.Rules().Digest})
}

// checkScore asks that score.json, which the conformance statement prints, is this
// result.
func checkScore(t *testing.T, now score) {
	t.Helper()
	want, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(scoreFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(scoreFile); err != nil || string(got) != string(want) {
		t.Errorf("%s is not this result (%v); run go test -run TestScore -update ./imaging/dicom", scoreFile, err)
	}
}
