package dicomweb_test

import (
	"errors"
	"slices"
	"testing"

	"medvault/api/dicomweb"
	"medvault/vault/record"
)

func TestParseFrames(t *testing.T) {
	for s, want := range map[string][]int{
		"1":        {1},
		"3,1,3":    {3, 1, 3},
		"1, 2":     {1, 2},
		"00000002": {2},
	} {
		if got, err := dicomweb.ParseFrames(s); err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseFrames(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0", "-1", "+1", "1,", ",1", "1-3", "one", "1.0", "99999999999", "1,,2", "0x1"} {
		if got, err := dicomweb.ParseFrames(s); !errors.Is(err, record.ErrInvalid) {
			t.Errorf("ParseFrames(%q) = %v, %v; want a refusal", s, got, err)
		}
	}
}

func FuzzParseFrames(f *testing.F) {
	f.Add("1,2,3")
	f.Add("0")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := dicomweb.ParseFrames(s)
		if err == nil && (len(got) == 0 || slices.Min(got) < 1) {
			t.Errorf("ParseFrames(%q) = %v; want numbers from 1", s, got)
		}
	})
}
