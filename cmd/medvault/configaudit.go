package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"

	"medvault/api/transport"
	"medvault/vault"
	"medvault/vault/access"
	"medvault/vault/atna"
)

// AuditConfig says where the audit log goes beside the regions.
type AuditConfig struct {
	Repository RepositoryConfig `yaml:"repository"`
}

// RepositoryConfig is an audit record repository (IHE ATNA) that takes DICOM audit
// messages by syslog over TLS; without an address there is none.
type RepositoryConfig struct {
	Address string `yaml:"address"` // host:port, as arr.example:6514
	Name    string `yaml:"name"`    // of this system there; default the machine's
	CAFile  string `yaml:"caFile"`  // default the system's
	Cert    string `yaml:"cert"`    // by which this system names itself; with key
	Key     string `yaml:"key"`
}

func (c RepositoryConfig) check(found *checks) {
	if c.Address == "" {
		if c != (RepositoryConfig{}) {
			found.add("audit.repository.address", "missing; it is required")
		}
		return
	}
	if host, port, err := net.SplitHostPort(c.Address); err != nil || host == "" || port == "" {
		found.add("audit.repository.address", "found %q, want host:port", c.Address)
	}
	if (c.Cert == "") != (c.Key == "") {
		found.add("audit.repository", "cert and key go together")
	}
}

// receiver is nil where no repository is named.
func (c RepositoryConfig) receiver(profile transport.Profile) (*atna.Receiver, error) {
	if c.Address == "" {
		return nil, nil
	}
	roots, err := readRoots("audit.repository.caFile", c.CAFile)
	if err != nil {
		return nil, err
	}
	to := &atna.Receiver{Address: c.Address, TLS: profile.Client(roots), Host: c.Name}
	if to.Host == "" {
		if to.Host, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("audit.repository.name: %w", err)
		}
	}
	if c.Cert != "" {
		own, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("audit.repository.cert: %w", err)
		}
		to.TLS.Certificates = []tls.Certificate{own}
	}
	return to, nil
}

// gatewayOf names this gateway, and sums up by what it is configured. The configuration
// holds no secrets, only where they lie.
func gatewayOf(cfg *Config, policies *access.Engine) (vault.Gateway, error) {
	host, err := os.Hostname()
	if err != nil {
		return vault.Gateway{}, fmt.Errorf("name of this machine: %w", err)
	}
	effective, err := json.Marshal(cfg)
	if err != nil {
		return vault.Gateway{}, fmt.Errorf("sum of the configuration: %w", err)
	}
	sum := sha256.Sum256(effective)
	return vault.Gateway{Name: host + " " + cfg.Listen, Settings: map[string]string{
		"configuration": hex.EncodeToString(sum[:]), "policies": policies.Sum()}}, nil
}
