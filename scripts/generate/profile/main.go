// Command profile writes the de-identification tables of imaging/dicom/profile.
//
//	go run ./scripts/generate/profile -table e1_1.json -private e3_10_1.json -outside outside.csv -out imaging/dicom/profile
//
// The first two inputs are tables E.1-1 and E.3.10-1 of PS3.15 as JSON, whose rows
// must have the recorded SHA-256. The outputs are tab-separated text, complete on
// their own. The third input lists attributes with identifying VRs that table E.1-1
// leaves out: each must have been decided in outside.tsv, which people write.
package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"medvault/imaging/dicom/profile"
)

func main() {
	log.SetFlags(0)
	table := flag.String("table", "", "table E.1-1 as JSON")
	private := flag.String("private", "", "table E.3.10-1 as JSON")
	outside := flag.String("outside", "", "attributes outside the table as CSV")
	out := flag.String("out", "imaging/dicom/profile", "where the tables go")
	flag.Parse()
	rows, err := readTable(*table)
	if err == nil {
		err = writeTable(filepath.Join(*out, "e1_1.tsv"), rows)
	}
	if err == nil {
		err = convertPrivate(filepath.Join(*out, "e3_10_1.tsv"), *private)
	}
	if err == nil {
		err = checkOutside(filepath.Join(*out, "outside.tsv"), *outside)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func readTable(path string) ([]profile.Row, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var in struct {
		Edition         string
		Acknowledgement string
		Rows            []map[string]any
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if in.Acknowledgement != profile.Acknowledgement {
		return nil, fmt.Errorf("read %s: it is of edition %s; want %q", path, in.Edition, profile.Acknowledgement)
	}
	var rows []profile.Row
	for _, r := range in.Rows {
		text := func(key string) string { s, _ := r[key].(string); return s }
		row := profile.Row{Tag: text("tag"), VR: text("vr"), Keyword: text("keyword"), Name: text("name"), Basic: text("basic_profile")}
		if strings.HasPrefix(row.Tag, "gggg") {
			row.Tag = profile.OddGroups
		}
		row.Retired, _ = r["retired"].(bool)
		row.Standard, _ = r["in_std_composite_iod"].(bool)
		for i, option := range profile.Options() {
			row.Options[i] = text(option)
		}
		rows = append(rows, row)
	}
	if digest := profile.Digest(rows); digest != profile.RowsSHA256 {
		return nil, fmt.Errorf("read %s: rows have digest %s; want %s", path, digest, profile.RowsSHA256)
	}
	return rows, nil
}

func writeTable(path string, rows []profile.Row) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n# Table E.1-1, Application Level Confidentiality Profile Attributes. Written by scripts/generate/profile; do not edit.\n", profile.Acknowledgement)
	fmt.Fprintf(&b, "# tag\tvr\tkeyword\tname\tretired\tstandard\tbasic\t%s\n", strings.Join(profile.Options(), "\t"))
	for _, r := range rows {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Tag, r.VR, r.Keyword, r.Name,
			yes(r.Retired), yes(r.Standard), r.Basic, strings.Join(r.Options[:], "\t"))
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

func yes(b bool) string {
	if b {
		return "Y"
	}
	return ""
}

// convertPrivate reads the safe private attributes and writes them.
func convertPrivate(path, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var in struct {
		Edition         string
		Acknowledgement string
		Rows            []struct {
			Creator string `json:"private_creator"`
			Tag, VR string
		}
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("read %s: %w", from, err)
	}
	if in.Acknowledgement != profile.Acknowledgement {
		return fmt.Errorf("read %s: it is of edition %s; want %q", from, in.Edition, profile.Acknowledgement)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n# Table E.3.10-1, Safe Private Attributes. Written by scripts/generate/profile; do not edit.\n# creator\ttag\tvr\n", profile.Acknowledgement)
	var rows []profile.SafeRow
	for _, r := range in.Rows {
		var row profile.SafeRow
		if _, err := fmt.Sscanf(r.Tag, "%04X,xx%02X", &row.Group, &row.Element); err != nil {
			return fmt.Errorf("read %s: tag %s: %w", from, r.Tag, err)
		}
		row.Creator, row.VR = r.Creator, r.VR
		rows = append(rows, row)
		fmt.Fprintf(&b, "%s\t%04X,xx%02X\t%s\n", row.Creator, row.Group, row.Element, row.VR)
	}
	if digest := profile.SafeDigest(rows); digest != profile.SafeSHA256 {
		return fmt.Errorf("read %s: rows have digest %s; want %s", from, digest, profile.SafeSHA256)
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// checkOutside compares the attributes decided by hand with those there are.
func checkOutside(path, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return fmt.Errorf("read %s: %w", from, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, l := range lines[1:] {
		if row := fmt.Sprintf("\n%s\t%s\t%s\t", l[0], l[3], l[1]); !bytes.Contains(data, []byte(row)) {
			return fmt.Errorf("%s lacks %s %s", path, l[0], l[1])
		}
	}
	return nil
}
