package main

import (
	"fmt"
	"regexp"
	"time"

	"medvault/storage"
	"medvault/vault"
)

// LockConfig is how objects of a region's data bucket are locked against deletion.
type LockConfig struct {
	Mode string `yaml:"mode"` // "none" (default), "governance" or "compliance"; compliance at home only
	Days int    `yaml:"days"` // from the day an object was stored; 1 to 3653
}

// CertificationConfig is by what a region is certified to hold medical data.
type CertificationConfig struct {
	Name     string `yaml:"name"`     // as MLPS level 3
	Document string `yaml:"document"` // id, path or URL of the document
	SHA256   string `yaml:"sha256"`   // of the document, in hex
	Expires  string `yaml:"expires"`  // last day on which it holds, as 2027-03-31 (UTC)
}

const lockNone = "none"

func (c LockConfig) length() time.Duration {
	if c.Mode == lockNone {
		return 0
	}
	return time.Duration(c.Days) * 24 * time.Hour
}

// expires is the end of the last day.
func (c CertificationConfig) expires() (time.Time, error) {
	day, err := time.Parse(time.DateOnly, c.Expires)
	return day.AddDate(0, 0, 1), err
}

// terms are what a checked configuration says of all regions.
func (c *Config) terms() (map[string]vault.RegionTerms, error) {
	terms := make(map[string]vault.RegionTerms)
	for _, r := range c.Regions {
		t := vault.RegionTerms{Role: vault.RegionRole(r.Role), KeySnapshots: time.Duration(r.KeySnapshotDays) * 24 * time.Hour}
		if r.Lock.Mode != lockNone {
			t.Lock = vault.RegionLock{Mode: storage.LockMode(r.Lock.Mode), For: r.Lock.length()}
		}
		if cert := r.Certification; cert != (CertificationConfig{}) {
			expires, err := cert.expires()
			if err != nil {
				return nil, fmt.Errorf("region %s: certification: %w", r.Name, err)
			}
			t.Certification = vault.Certification{Name: cert.Name, Document: cert.Document, SHA256: cert.SHA256, Expires: expires}
		}
		terms[r.Name] = t
	}
	return terms, nil
}

// maxSnapshotDays is a hundred years.
const maxSnapshotDays = 36525

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkTerms checks what a region is used for, and on what terms.
func (r RegionConfig) checkTerms(found *checks, at, home string) {
	if r.Role != "" {
		found.oneOf(at+".role", r.Role, string(vault.RolePrimary), string(vault.RoleReplica), string(vault.RoleArchive))
	}
	r.checkLock(found, at+".lock", home)
	if r.KeySnapshotDays < 0 || r.KeySnapshotDays > maxSnapshotDays {
		found.add(at+".keySnapshotDays", "found %d, want 1 to %d, or nothing", r.KeySnapshotDays, maxSnapshotDays)
	}
	c := r.Certification
	if c == (CertificationConfig{}) {
		return // the state of the region warns of it
	}
	at += ".certification"
	found.required(at+".name", c.Name)
	found.required(at+".document", c.Document)
	if !hexSHA256.MatchString(c.SHA256) {
		found.add(at+".sha256", "found %q, want the SHA-256 of the document in 64 hex digits", c.SHA256)
	}
	if _, err := c.expires(); err != nil {
		found.add(at+".expires", "found %q, want the last day on which it holds, as 2027-03-31", c.Expires)
	}
}

func (r RegionConfig) checkLock(found *checks, at, home string) {
	c, most := r.Lock, int(vault.MaxLock.Hours()/24)
	if c.Mode == "" || c.Mode == lockNone {
		if c.Days != 0 {
			found.add(at+".days", "found %d without a mode, want mode governance or compliance", c.Days)
		}
		return
	}
	if !found.oneOf(at+".mode", c.Mode, lockNone, string(storage.Governance), string(storage.Compliance)) {
		return
	}
	if c.Days < 1 || c.Days > most {
		found.add(at+".days", "found %d, want 1 to %d", c.Days, most)
	}
	if r.Driver == "dir" {
		found.add(at+".mode", "found %s, want none: a directory has no object lock", c.Mode)
	}
	if c.Mode == string(storage.Compliance) && r.Jurisdiction != home {
		found.add(at+".mode", "found compliance in %s, want it in %s (home) only: what consent no longer covers could not be removed abroad", r.Jurisdiction, home)
	}
}
