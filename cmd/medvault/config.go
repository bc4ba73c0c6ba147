package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"medvault/vault"
	"medvault/vault/record"
)

// Config is what `medvault serve --config FILE` reads: YAML, every key documented
// in scripts/deploy/config.example.yaml. A key that is not here is an error, so a
// misspelt one cannot be ignored.
type Config struct {
	Listen    string         `yaml:"listen"`
	PublicURL string         `yaml:"publicURL"`
	TLS       TLSConfig      `yaml:"tls"`
	Home      string         `yaml:"home"`
	Catalog   CatalogConfig  `yaml:"catalog"`
	Keys      KeysConfig     `yaml:"keys"`
	Regions   []RegionConfig `yaml:"regions"`
	Write     WriteConfig    `yaml:"write"`
	Identity  IdentityConfig `yaml:"identity"`
	Console   ConsoleConfig  `yaml:"console"`
	Limits    LimitsConfig   `yaml:"limits"`
	Staff     StaffConfig    `yaml:"staff"`
	HL7       HL7Config      `yaml:"hl7"`
	Care      CareConfig     `yaml:"care"`
	DPO       DPOConfig      `yaml:"dpo"`
	Security  SecurityConfig `yaml:"security"`
	Alarms    AlarmsConfig   `yaml:"alarms"`
	Holidays  string         `yaml:"holidays"` // file of days off and make-up days, in the form of vault/workday/china.txt; its years replace those of this version

	Retention RetentionConfig `yaml:"retention"`

	// ContentOnly is a gateway for quality and research alone: its key services' credentials
	// open no identity key and no key of the house.
	ContentOnly bool `yaml:"contentOnly"`

	Policies string `yaml:"policies"` // directory of the deployment's own access policies; default the built-in ones alone

	Deidentification DeidentificationConfig `yaml:"deidentification"`

	Documents DocumentsConfig `yaml:"documents"`

	Transfers TransfersConfig `yaml:"transfers"`

	Verify []VerifyConfig `yaml:"verify"`
	Drill  DrillConfig    `yaml:"drill"`

	Audit AuditConfig `yaml:"audit"`

	Workers WorkersConfig `yaml:"workers"`
	Spool   string        `yaml:"spool"`

	// ShutdownGrace is how long a stopping gateway waits for what it accepted.
	ShutdownGrace time.Duration `yaml:"shutdownGrace"`
}

// TLSConfig of the listener. Without a certificate the listener speaks plain HTTP,
// which is allowed on loopback only.
type TLSConfig struct {
	Profile string `yaml:"profile"` // of the listener and of every connection out. "aes256" (default): TLS 1.2, ECDHE with AES-256-GCM; "modern": TLS 1.3
	Cert    string `yaml:"cert"`
	Key     string `yaml:"key"`
	// ClientCAs are the authorities of the certificates that modalities and services show;
	// identity.certificates says whom they prove.
	ClientCAs          string `yaml:"clientCAs"`
	RequireClientCerts bool   `yaml:"requireClientCerts"` // refuse connections without one
}

// CatalogConfig names the database: postgres://… or sqlite:PATH. A password stands
// in PasswordFile, never in the DSN.
type CatalogConfig struct {
	DSN          string `yaml:"dsn"`
	PasswordFile Secret `yaml:"passwordFile"`
}

// KeysConfig names the key services.
type KeysConfig struct {
	Shards   int                `yaml:"shards"` // KEKs of each kind; default 256, never changed afterwards
	Services []KeyServiceConfig `yaml:"services"`
}

// KeyServiceConfig is one key service; regions refer to it by Name.
type KeyServiceConfig struct {
	Name    string        `yaml:"name"`
	Driver  string        `yaml:"driver"`  // "transit"; "insecure" on a loopback listener only
	Address string        `yaml:"address"` // transit: https://host:port
	Mount   string        `yaml:"mount"`   // transit: default "transit"
	AppRole AppRoleConfig `yaml:"approle"`
	// Rotation is read by `medvault keys rotate` alone; no gateway may rotate.
	Rotation AppRoleConfig `yaml:"rotation"`
	CAFile   string        `yaml:"caFile"` // transit: default the system's
	File     string        `yaml:"file"`   // insecure: where the KEKs lie
}

// AppRoleConfig is how to log in to transit.
type AppRoleConfig struct {
	RoleIDFile   Secret `yaml:"roleIDFile"`
	SecretIDFile Secret `yaml:"secretIDFile"`
}

// RegionConfig is one region: two buckets, or a directory.
type RegionConfig struct {
	Name              string `yaml:"name"`
	Jurisdiction      string `yaml:"jurisdiction"`
	Driver            string `yaml:"driver"`   // "minio", "aws" or "dir"
	Endpoint          string `yaml:"endpoint"` // minio: required; aws: default AWS's own
	Bucket            string `yaml:"bucket"`
	KeysBucket        string `yaml:"keysBucket"`
	Region            string `yaml:"region"`    // as the S3 service calls it; minio: default us-east-1; aws: required
	PathStyle         bool   `yaml:"pathStyle"` // the bucket in the path instead of the host name
	AccessKeyFile     Secret `yaml:"accessKeyFile"`
	SecretKeyFile     Secret `yaml:"secretKeyFile"`
	CAFile            string `yaml:"caFile"` // default the system's
	Path              string `yaml:"path"`   // dir: the directory
	Keys              string `yaml:"keys"`   // name of its key service
	InsecurePlaintext bool   `yaml:"insecurePlaintext"`
	Concurrency       int    `yaml:"concurrency"` // background copies and removals at once; default 4
	Bandwidth         string `yaml:"bandwidth"`   // bytes a second of background copies to it, as 50MiB; default no limit

	Role          string              `yaml:"role"` // "primary" (default), "replica" or "archive": see vault.RegionRole
	Lock          LockConfig          `yaml:"lock"`
	Certification CertificationConfig `yaml:"certification"`

	KeySnapshotDays int `yaml:"keySnapshotDays"` // for how long snapshots of its key service are kept; default: the vault is not told
}

// link says how much of the region background copies may take.
func (r RegionConfig) link() (vault.Link, error) {
	bandwidth, err := parseBytes(r.Bandwidth)
	return vault.Link{Concurrency: r.Concurrency, Bandwidth: bandwidth}, err
}

// WriteConfig says when a document counts as stored.
type WriteConfig struct {
	Quorum Quorum `yaml:"quorum"`
}

// IdentityConfig says whose bearer tokens are believed and what they mean. A claim
// name may be dotted ("realm_access.roles").
type IdentityConfig struct {
	Issuer             string            `yaml:"issuer"`
	Audience           string            `yaml:"audience"`
	CAFile             string            `yaml:"caFile"`             // default the system's
	RoleClaim          string            `yaml:"roleClaim"`          // default "role"
	InstitutionClaim   string            `yaml:"institutionClaim"`   // default "institution"
	PatientIssuerClaim string            `yaml:"patientIssuerClaim"` // default "patient_id_issuer"
	CountryClaim       string            `yaml:"countryClaim"`       // default "country"
	PurposeClaim       string            `yaml:"purposeClaim"`       // default "purpose_of_use"
	Roles              map[string]string `yaml:"roles"`              // claim value: role; default each role by its own name
	Institution        string            `yaml:"institution"`        // of people whose token names none
	PatientIssuer      string            `yaml:"patientIssuer"`      // likewise, for documents without Issuer of Patient ID
	Country            string            `yaml:"country"`            // likewise; ISO 3166-1 alpha-2
	ClockSkew          time.Duration     `yaml:"clockSkew"`          // default 30s
	ScopeClaim         string            `yaml:"scopeClaim"`         // default "scope": SMART on FHIR scopes, an upper bound
	PatientClaim       string            `yaml:"patientClaim"`       // default "patient": the patient token that patient/ scopes are about
	RequireScopes      bool              `yaml:"requireScopes"`      // refuse tokens without such a scope
	Clients            []string          `yaml:"clients"`            // applications (azp or client_id) whose tokens are taken; default any

	Certificates CertificatesConfig `yaml:"certificates"`
}

// CertificatesConfig says whom client certificates prove.
type CertificatesConfig struct {
	Subject string                     `yaml:"subject"` // which name counts: "uri", "dns" or "cn"
	People  map[string]CertifiedConfig `yaml:"people"`  // by that name
}

// CertifiedConfig is a modality or service that shows a certificate.
type CertifiedConfig struct {
	Role          string   `yaml:"role"`
	Institution   string   `yaml:"institution"`   // default identity.institution
	PatientIssuer string   `yaml:"patientIssuer"` // default identity.patientIssuer
	Country       string   `yaml:"country"`       // default identity.country
	Scopes        []string `yaml:"scopes"`        // SMART on FHIR, an upper bound; default none
}

// LimitsConfig bounds how often one may be turned away; a gateway counts by itself.
type LimitsConfig struct {
	Failures int           `yaml:"failures"` // a minute, of one address or credential; default 30
	Denials  int           `yaml:"denials"`  // a minute, of one person or machine; default 120
	Lockout  time.Duration `yaml:"lockout"`  // default 1m
	Proxies  []string      `yaml:"proxies"`  // networks whose X-Forwarded-For is believed, as 10.0.0.0/24
}

// DPOConfig is whom patients and authorities reach.
type DPOConfig struct {
	Name    string `yaml:"name"` // optional
	Email   string `yaml:"email"`
	Phone   string `yaml:"phone"`
	Address string `yaml:"address"`
}

// WorkersConfig sizes the background work of one gateway.
type WorkersConfig struct {
	Count int           `yaml:"count"` // jobs at once, beside the copies of each region; default 4
	Poll  time.Duration `yaml:"poll"`  // how often an idle worker looks; default 1s
	Log   time.Duration `yaml:"log"`   // how often the audit log goes to the regions; default 1m
}

// Secret refers to a secret: the absolute path of a file, or env:NAME. It never
// is the secret.
type Secret string

// Read returns the secret without surrounding white space. Its error names the
// file or variable.
func (s Secret) Read() (string, error) {
	if name, ok := strings.CutPrefix(string(s), "env:"); ok {
		value := os.Getenv(name)
		if value == "" {
			return "", fmt.Errorf("environment variable %s is empty", name)
		}
		return value, nil
	}
	b, err := os.ReadFile(string(s))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	value := string(bytes.TrimSpace(b))
	if value == "" {
		return "", fmt.Errorf("read secret: %s is empty", string(s))
	}
	return value, nil
}

// Resolve returns the DSN with the password in it.
func (c CatalogConfig) Resolve() (string, error) {
	if c.PasswordFile == "" {
		return c.DSN, nil
	}
	password, err := c.PasswordFile.Read()
	if err != nil {
		return "", fmt.Errorf("catalog.passwordFile: %w", err)
	}
	u, err := url.Parse(c.DSN)
	if err != nil {
		return "", errors.New("catalog.dsn: not a URL")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}

// Quorum is "majority", "all" or a number of regions.
type Quorum string

// Of returns how many of n permitted regions must hold a document before it is
// acknowledged: never fewer than two where there are two.
func (q Quorum) Of(n int) int {
	want := n/2 + 1
	switch number, err := strconv.Atoi(string(q)); {
	case q == "all":
		want = n
	case err == nil:
		want = number
	}
	return min(max(want, 2), n)
}

// loadConfig reads and checks a configuration file. All problems are reported
// together, each with its line and the path of its key; no value that could be a
// secret is quoted.
func loadConfig(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	cfg, problems := parseConfig(text)
	if len(problems) == 0 {
		return cfg, nil
	}
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = fmt.Errorf("%s: %w", path, p)
	}
	return nil, errors.Join(errs...)
}

func parseConfig(text []byte) (*Config, []error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, []error{err}
	}
	if len(document.Content) == 0 {
		return nil, []error{errors.New("the file is empty")}
	}
	root := document.Content[0]
	if problems := checkShape(root, reflect.TypeFor[Config](), ""); len(problems) > 0 {
		return nil, problems
	}
	cfg := new(Config)
	if err := root.Decode(cfg); err != nil {
		return nil, []error{err}
	}
	cfg.fillDefaults()
	if problems := cfg.check(); len(problems) > 0 {
		return nil, problems
	}
	return cfg, nil
}

func (c *Config) fillDefaults() {
	c.TLS.Profile = cmp.Or(c.TLS.Profile, "aes256")
	c.Keys.Shards = cmp.Or(c.Keys.Shards, 256)
	c.Write.Quorum = cmp.Or(c.Write.Quorum, "majority")
	c.Workers.Count = cmp.Or(c.Workers.Count, 4)
	c.Workers.Poll = cmp.Or(c.Workers.Poll, time.Second)
	c.Workers.Log = cmp.Or(c.Workers.Log, time.Minute)
	c.ShutdownGrace = cmp.Or(c.ShutdownGrace, time.Minute)
	c.Identity.RoleClaim = cmp.Or(c.Identity.RoleClaim, "role")
	c.Identity.InstitutionClaim = cmp.Or(c.Identity.InstitutionClaim, "institution")
	c.Identity.PatientIssuerClaim = cmp.Or(c.Identity.PatientIssuerClaim, "patient_id_issuer")
	c.Identity.CountryClaim = cmp.Or(c.Identity.CountryClaim, "country")
	c.Identity.PurposeClaim = cmp.Or(c.Identity.PurposeClaim, "purpose_of_use")
	c.Identity.ClockSkew = cmp.Or(c.Identity.ClockSkew, 30*time.Second)
	c.Identity.ScopeClaim = cmp.Or(c.Identity.ScopeClaim, "scope")
	c.Identity.PatientClaim = cmp.Or(c.Identity.PatientClaim, "patient")
	c.Limits.Failures = cmp.Or(c.Limits.Failures, 30)
	c.Limits.Denials = cmp.Or(c.Limits.Denials, 120)
	c.Limits.Lockout = cmp.Or(c.Limits.Lockout, time.Minute)
	if len(c.Identity.Roles) == 0 {
		c.Identity.Roles = make(map[string]string)
		for _, role := range record.Roles() {
			c.Identity.Roles[string(role)] = string(role)
		}
	}
	for i := range c.Regions {
		c.Regions[i].Concurrency = cmp.Or(c.Regions[i].Concurrency, 4)
		if r := &c.Regions[i]; r.Driver == "minio" {
			r.Region = cmp.Or(r.Region, "us-east-1")
		}
	}
	for i := range c.Keys.Services {
		s := &c.Keys.Services[i]
		if s.Driver == "transit" {
			s.Mount = cmp.Or(s.Mount, "transit")
		}
	}
}
