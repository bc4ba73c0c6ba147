package staff_test

import (
	"io"
	"strings"
	"testing"

	"medvault/api/staff"
	"medvault/vault"
)

// Every line that is read is a person, an institution or refused: one of the three.
func FuzzImport(f *testing.F) {
	for _, s := range []string{
		"subject,kind,name,roles,institution,trained\nann,person,\"A, B\",clinician quality,h,2026-03-01\nh,institution,H,,,2028-01-01\n",
		"\ufeffSubject,roles\n a , clinician\nb\n", "subject,trained\na,yesterday\n", "subject\n\"a\nb\"\n", "a,b\n", "\"", "",
		`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Practitioner","id":"a","name":[{"family":"F"}]}},{"resource":{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/a"},"organization":{"reference":"Organization/h"},"code":[{"coding":[{"code":"clinician"}]}]}}]}`,
		`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Organization","id":"h","name":"H"}},{"resource":null},{"resource":[]}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, read := range map[string]func(io.Reader) ([]vault.StaffLine, error){"CSV": staff.ReadCSV, "Bundle": staff.ReadBundle} {
			lines, err := read(strings.NewReader(text))
			if err != nil && len(lines) > 0 {
				t.Errorf("%s: lines of %q beside %v", name, text, err)
			}
			for _, l := range lines {
				said := 0
				for _, is := range []bool{l.Person != nil, l.Institution != nil, l.Refused != ""} {
					if is {
						said++
					}
				}
				if said != 1 || l.Line < 1 {
					t.Errorf("%s: %q is read as %+v", name, text, l)
				}
			}
		}
	})
}
