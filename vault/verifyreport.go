package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// A signed report is its JSON with a field signed: a note in the form of C2SP
// signed-note, under the key of the log, whose text is three lines:
//
//	medvault verification report
//	ID of the verification
//	SHA-256 of the compact JSON without that field, in hex
const reportTitle = "medvault verification report"

// signReport sets r.Signed and returns the digest of the rest.
func (v *Vault) signReport(r *Report) (digest string, err error) {
	if digest, err = r.digest(); err != nil {
		return "", err
	}
	r.Signed, err = v.signDigest(reportTitle, r.ID, digest)
	return digest, err
}

// signDigest signs the three lines that name a report.
func (v *Vault) signDigest(title, id, digest string) (string, error) {
	signed, err := note.Sign(&note.Note{Text: title + "\n" + id + "\n" + digest + "\n"}, v.signer)
	if err != nil {
		return "", fmt.Errorf("sign report: %w", err)
	}
	return string(signed), nil
}

func (r Report) digest() (string, error) {
	r.Signed = ""
	return digestOf(r)
}

func digestOf(report any) (string, error) {
	data, err := json.Marshal(report)
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// File is the report as it is kept, and as CheckReport reads it: indented JSON.
func (r Report) File() ([]byte, error) { return reportFile(r) }

func reportFile(report any) ([]byte, error) {
	var file bytes.Buffer
	encoder := json.NewEncoder(&file)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(report); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return file.Bytes(), nil
}

// CheckReport says whether a file is a report that the vault with this verifier key
// (NAME+HASH+KEY) signed, byte for byte, and returns it. Nothing else is asked.
func CheckReport(file []byte, vkey string) (Report, error) {
	var r Report
	if err := readReport(file, &r); err != nil {
		return Report{}, err
	}
	digest, err := r.digest()
	if err != nil {
		return Report{}, err
	}
	return r, checkDigest(r.Signed, vkey, reportTitle, r.ID, digest)
}

// readReport reads a report that is byte for byte as reportFile writes it.
func readReport[T any](file []byte, r *T) error {
	if err := json.Unmarshal(file, r); err != nil {
		return errors.New("not the JSON of a report")
	}
	// Repeated and unknown fields, which a reader might believe, end here.
	canonical, err := reportFile(*r)
	if err != nil {
		return err
	}
	if !bytes.Equal(canonical, file) {
		return errors.New("not the report as it was written")
	}
	return nil
}

// checkDigest is signDigest backwards.
func checkDigest(signed, vkey, title, id, digest string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return fmt.Errorf("verifier key: %w", err)
	}
	n, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if lines := strings.Split(n.Text, "\n"); len(lines) != 4 || lines[0] != title || lines[1] != id || lines[2] != digest || lines[3] != "" {
		return errors.New("the signature is of another report")
	}
	return nil
}

// Verification is one verification in the history.
type Verification struct {
	ID       string     `json:"id"`
	State    string     `json:"state"` // "running", "cut" or "done"
	Level    string     `json:"level"`
	Sample   string     `json:"sample,omitempty"`
	Regions  []string   `json:"regions"`
	Schedule bool       `json:"schedule"` // nobody asked for it
	Actor    string     `json:"actor"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended,omitempty"`
	Checked  int64      `json:"checked"`
	Total    int64      `json:"total"`
	Findings int64      `json:"findings"`
}

// Verifications lists the newest verifications that began before a time; zero is now.
func (v *Vault) Verifications(ctx context.Context, a record.Actor, before time.Time, limit int) ([]Verification, error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionRegions}, nil); err != nil {
		return nil, err
	}
	if before.IsZero() {
		before = v.cfg.Now().Add(time.Hour)
	}
	if limit < 1 || limit > 1000 {
		limit = 100
	}
	var list []Verification
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		list = nil
		rows, err := tx.Verifications(ctx, before, limit)
		if err != nil {
			return err
		}
		for _, row := range rows {
			one, err := verificationOf(ctx, tx, row)
			if err != nil {
				return err
			}
			list = append(list, one)
		}
		return nil
	})
	return list, err
}

func verificationOf(ctx context.Context, tx *catalog.Tx, row catalog.Verification) (Verification, error) {
	var s verifyState
	if err := json.Unmarshal(row.State, &s); err != nil {
		return Verification{}, fmt.Errorf("verification %s: %w", row.ID, err)
	}
	one := Verification{ID: row.ID, State: "done", Level: s.Asked.Level, Sample: s.Asked.Sample, Regions: s.Regions, Schedule: row.Schedule != "", Actor: row.Actor,
		Started: row.Started, Checked: s.Checked, Total: s.Total}
	for _, n := range s.Counts {
		one.Findings += n
	}
	if !row.Ended.IsZero() {
		one.Ended = &row.Ended
		return one, nil
	}
	held, err := tx.Leased(ctx, leaseOf(row.ID))
	one.State = "cut"
	if held {
		one.State = "running"
	}
	return one, err
}

// VerificationReport is the report of a verification that has ended. Its findings are
// kept for 90 days; then only their numbers are left, and the signature does not hold
// for what is. Not ended: ErrConflict.
func (v *Vault) VerificationReport(ctx context.Context, a record.Actor, id record.ObjectID) (r Report, err error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionRegions, Object: id}, nil); err != nil {
		return r, err
	}
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := tx.Verification(ctx, string(id))
		if err != nil {
			return notFound(err)
		}
		if row.Ended.IsZero() {
			return record.Refuse(record.ErrConflict, "verification-not-ended", "it is under way, or was cut and can be resumed")
		}
		var s verifyState
		if err := json.Unmarshal(row.State, &s); err != nil {
			return fmt.Errorf("verification %s: %w", id, err)
		}
		r, err = reportOf(ctx, tx, row, &s)
		return err
	})
	return r, err
}

// RegionVerified says when a region was last verified at a level, and what was found.
type RegionVerified struct {
	Region   string    `json:"region"`
	Level    string    `json:"level"`
	At       time.Time `json:"at"`
	Checked  int64     `json:"checked"`
	Findings int64     `json:"findings"`
}

// LastVerified tells the last verification of every level of every region, for
// monitoring: as State it asks no actor and writes no leaf.
func (v *Vault) LastVerified(ctx context.Context) (list []RegionVerified, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		rows, err := tx.LastVerified(ctx)
		list = nil
		for _, r := range rows {
			list = append(list, RegionVerified{r.Region, r.Level, r.At, r.Checked, r.Findings})
		}
		return err
	})
	return list, err
}
