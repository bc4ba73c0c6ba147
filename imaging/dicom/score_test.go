package dicom_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
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
// compares every value with an answer key. MEDVAULT_SCORE_MISSES names a folder
// for the list of what was wrong.
func TestScore(t *testing.T) {
	scrubber, objects := dicom.New(), 2100
	if raced {
		objects = 210
	}
	result, err := imagingtest.Score(scrubber, imagingtest.Set(1, objects, imagingtest.DefaultOptions()...), pseudonyms)
	t.Log("\n" + result.Table())
	saveMisses(t, "score", result)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Misses) > 0 {
		t.Errorf("%d misses:\n%s", len(result.Misses), strings.Join(first(result.Misses, 20), "\n"))
	}
	if raced {
		return
	}
	if result.Objects < 2000 || result.Classes < 40 || result.Syntaxes < 12 {
		t.Errorf("%d objects, %d classes, %d syntaxes; want at least 2000, 40 and 12", result.Objects, result.Classes, result.Syntaxes)
	}
	checkScore(t, score{result, result.Total().Percent(), scrubber.Rules().Digest})
}

// TestScoreOfOptions scores other sets of options with keys of their own.
func TestScoreOfOptions(t *testing.T) {
	sets := profile.Named()
	sets["basic"] = 0
	for _, name := range profile.Options() {
		one, err := profile.ParseSet([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		sets[name] = one
	}
	objects := 430
	if raced {
		objects = 86 // two of each class
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scrubber := dicom.With(dicom.Config{Profile: name, Options: set})
			result, err := imagingtest.Score(scrubber, imagingtest.Set(2, objects, set.Names()...), pseudonyms)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.3f %% of %d\n%s", result.Total().Percent(), result.Total().Required, strings.Join(first(result.Misses, 10), "\n"))
			if len(result.Misses) > 0 {
				t.Errorf("%d misses", len(result.Misses))
			}
			saveMisses(t, name, result)
		})
	}
}

func first(lines []string, n int) []string { return lines[:min(n, len(lines))] }

// saveMisses writes the misses of a set of options into the folder that
// MEDVAULT_SCORE_MISSES names.
func saveMisses(t *testing.T, name string, r imagingtest.Result) {
	folder := os.Getenv("MEDVAULT_SCORE_MISSES")
	if folder == "" {
		return
	}
	text := r.Table() + strings.Join(r.Misses, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(folder, name+".txt"), []byte(text), 0o644); err != nil {
		t.Error(err)
	}
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
		t.Errorf("%s is not this result (%v); run go test ./imaging/dicom -run 'TestScore$' -update", scoreFile, err)
	}
}
