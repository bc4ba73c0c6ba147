package staff

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"medvault/vault"
	"medvault/vault/record"
)

// columns of the CSV import, in any order. Roles are separated by spaces; trained is when
// the last training was, a date or an RFC 3339 time. A line whose kind is "institution"
// is one: subject is its id. An agreement that is named has to be the one on the register,
// and trained a day until which that binds, or sooner: documents do not come by CSV.
var columns = [...]string{"subject", "kind", "name", "roles", "institution", "country", "state", "trained", "reference", "issuer", "agreement"}

// readCSV reads an import in CSV with a heading line (RFC 4180). What one line lacks is
// told of that line.
func readCSV(r io.Reader) ([]vault.StaffLine, error) {
	bad := record.Refuse(record.ErrInvalid, "bad-csv", "send CSV in UTF-8 with a heading of some of: "+strings.Join(columns[:], ", ")+"; subject is needed")
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff")))) // as spreadsheets write it
	head, err := in.Read()
	if err != nil {
		return nil, bad
	}
	for i, name := range head {
		head[i] = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(columns[:], head[i]) || slices.Contains(head[:i], head[i]) {
			return nil, bad
		}
	}
	if !slices.Contains(head, "subject") {
		return nil, bad
	}
	var lines []vault.StaffLine
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if len(lines) == maxLines {
			return nil, tooManyLines
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			if !errors.Is(err, csv.ErrFieldCount) {
				return nil, bad // the rest cannot be told apart
			}
			lines = append(lines, vault.StaffLine{Line: wrong.StartLine, Refused: "field-count"})
			continue
		}
		if err != nil {
			return nil, err
		}
		at, _ := in.FieldPos(0)
		row := make(map[string]string)
		for i, name := range head {
			row[name] = strings.TrimSpace(fields[i])
		}
		lines = append(lines, lineOf(at, row))
	}
}

func lineOf(at int, row map[string]string) vault.StaffLine {
	line := vault.StaffLine{Line: at}
	when, err := day(row["trained"])
	if err != nil {
		line.Refused = "bad-date"
		return line
	}
	if row["kind"] == "institution" {
		line.Institution = &vault.StaffInstitution{ID: row["subject"], Name: row["name"], Country: row["country"], Issuer: row["issuer"],
			Agreement: row["agreement"], AgreementUntil: when, State: row["state"]}
		return line
	}
	line.Person = &vault.StaffPerson{Subject: row["subject"], Kind: row["kind"], Name: row["name"], Institution: row["institution"],
		Country: row["country"], State: row["state"]}
	for role := range strings.FieldsSeq(row["roles"]) {
		line.Person.Roles = append(line.Person.Roles, record.Role(role))
	}
	if when != nil {
		line.Person.Trainings = []vault.Training{{At: *when, Reference: row["reference"]}}
	}
	return line
}

// day reads a date or a time; "" is none.
func day(s string) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		at, err = time.Parse(time.RFC3339, s)
	}
	at = at.UTC()
	return &at, err
}
