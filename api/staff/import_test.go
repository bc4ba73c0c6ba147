package staff_test

import (
	"io"
	"strings"
	"testing"

	"medvault/api/answer"
	"medvault/api/staff"
	"medvault/vault"
)

// Lines of a byte or two must not become gigabytes, whoever sends them.
func TestAnImportOfTooManyLinesIsRefused(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		read             func(io.Reader) ([]vault.StaffLine, error)
		head, line, tail string
	}{
		"CSV":               {staff.ReadCSV, "subject\n", "a\n", ""},
		"CSV, broken lines": {staff.ReadCSV, "subject,name\n", "a\n", ""},
		"Bundle":            {staff.ReadBundle, `{"resourceType":"Bundle","entry":[`, `{"resource":{}},`, `{"resource":{}}]}`},
	} {
		if _, err := row.read(strings.NewReader(row.head + strings.Repeat(row.line, staff.MaxLines-1) + row.tail)); err != nil {
			t.Errorf("%s: as many as may be: %v", name, err)
		}
		lines, err := row.read(strings.NewReader(row.head + strings.Repeat(row.line, staff.MaxLines+1) + row.tail))
		if err == nil || answer.Code(err) != "too-many-lines" || lines != nil {
			t.Errorf("%s: one too many: %d lines, %v; want too-many-lines", name, len(lines), err)
		}
	}
}

// A file that is cut off must not be taken in half.
func TestAnImportThatIsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	h.staffed()
	long := "subject,name\ndr-who,W\n" + strings.Repeat(strings.Repeat("x", 1000)+",n\n", 17<<10)
	h.want(413, "boss", "POST", "/api/v1/staff/import?dryRun=true", long)
}
