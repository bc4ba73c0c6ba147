package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"medvault/api/hl7"
	"medvault/api/identity"
	"medvault/api/transport"
	"medvault/vault"
	"medvault/vault/record"
)

// HL7Config is the MLLP listener that takes HL7 v2 messages of who treats whom; without
// an address there is none.
type HL7Config struct {
	Listen    string            `yaml:"listen"`
	Cert      string            `yaml:"cert"`      // with key; default tls.cert and tls.key
	Key       string            `yaml:"key"`       //
	ClientCAs string            `yaml:"clientCAs"` // of the senders' certificates; default tls.clientCAs
	Subject   string            `yaml:"subject"`   // which name of a certificate counts: "dns" (default), "uri" or "cn"
	Zone      string            `yaml:"zone"`      // of times without an offset, as Asia/Shanghai; default the machine's
	Grace     time.Duration     `yaml:"grace"`     // how long who treated may still read after a discharge; default 0s
	Longest   time.Duration     `yaml:"longest"`   // how long a visit counts without news; default 2160h
	Order     time.Duration     `yaml:"order"`     // how long whoever orders counts as treating; default 720h
	Senders   []HL7SenderConfig `yaml:"senders"`
}

// HL7SenderConfig is one system that sends.
type HL7SenderConfig struct {
	Application    string            `yaml:"application"`    // MSH-3
	Facility       string            `yaml:"facility"`       // MSH-4; default any
	Actor          string            `yaml:"actor"`          // its subject on the staff register: of kind service, in role interface
	Certificate    string            `yaml:"certificate"`    // the name in its certificate; default the actor
	Issuers        map[string]string `yaml:"issuers"`        // assigning authority of PID-3 to Issuer of Patient ID
	Clinicians     map[string]string `yaml:"clinicians"`     // number, or number@authority, to the subject on the staff register
	StaffAuthority string            `yaml:"staffAuthority"` // authority whose numbers are such subjects
}

func (c *Config) checkHL7(found *checks) {
	h := c.HL7
	if h.Listen == "" {
		if len(h.Senders) > 0 {
			found.add("hl7.listen", "missing; it is required")
		}
		return
	}
	if _, port, err := net.SplitHostPort(h.Listen); err != nil || !isPort(port) {
		found.add("hl7.listen", "found %q, want HOST:PORT", h.Listen)
	}
	if c.ContentOnly {
		found.add("hl7", "a gateway with content keys alone cannot tell patients: remove it")
	}
	secure := cmp.Or(h.Cert, c.TLS.Cert) != ""
	found.addIf("hl7.cert", transport.CheckListen(h.Listen, secure))
	if (h.Cert == "") != (h.Key == "") {
		found.add("hl7", "cert and key go together")
	}
	if secure && cmp.Or(h.ClientCAs, c.TLS.ClientCAs) == "" {
		found.add("hl7.clientCAs", "missing; senders show certificates")
	}
	found.oneOf("hl7.subject", cmp.Or(h.Subject, identity.SubjectDNS), identity.SubjectURI, identity.SubjectDNS, identity.SubjectCN)
	if _, err := time.LoadLocation(h.Zone); err != nil {
		found.add("hl7.zone", "found %q, want a time zone such as Asia/Shanghai", h.Zone)
	}
	for key, d := range map[string]time.Duration{"grace": h.Grace, "longest": h.Longest, "order": h.Order} {
		if d < 0 {
			found.add("hl7."+key, "found %s, want 0s or more", d)
		}
	}
	if len(h.Senders) == 0 {
		found.add("hl7.senders", "missing; at least one sender is required")
	}
	for i, s := range h.Senders {
		at := fmt.Sprintf("hl7.senders[%d]", i)
		found.required(at+".application", s.Application)
		if found.required(at+".actor", s.Actor) && strings.ContainsAny(s.Actor, " \t") {
			found.add(at+".actor", "found a space, want a subject of the staff register")
		}
	}
}

// server is nil where nothing is to be listened to.
func (h HL7Config) server(cfg *Config, v *vault.Vault, log *slog.Logger) (*hl7.Server, net.Listener, error) {
	if h.Listen == "" {
		return nil, nil, nil
	}
	c := hl7.Config{Vault: v, Log: log, Zone: time.Local, Grace: h.Grace, Longest: h.Longest, Order: h.Order}
	if h.Zone != "" {
		zone, err := time.LoadLocation(h.Zone)
		if err != nil {
			return nil, nil, fmt.Errorf("hl7.zone: %w", err)
		}
		c.Zone = zone
	}
	people := make(map[string]record.Actor)
	for _, s := range h.Senders {
		who := record.Actor{ID: s.Actor, Role: record.RoleInterface, Purpose: record.DefaultPurpose(record.RoleInterface)}
		people[cmp.Or(s.Certificate, s.Actor)] = who
		c.Senders = append(c.Senders, hl7.Sender{Application: s.Application, Facility: s.Facility, Actor: who,
			Issuers: s.Issuers, Clinicians: s.Clinicians, StaffAuthority: s.StaffAuthority})
	}
	if err := h.secure(cfg, people, &c); err != nil {
		return nil, nil, err
	}
	server, err := hl7.New(c)
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", h.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("hl7.listen: %w", err)
	}
	return server, listener, nil
}

// secure asks for client certificates, unless there is none of our own to show.
func (h HL7Config) secure(cfg *Config, people map[string]record.Actor, c *hl7.Config) error {
	cert, key := h.Cert, h.Key
	if cert == "" {
		cert, key = cfg.TLS.Cert, cfg.TLS.Key
	}
	if cert == "" {
		return nil
	}
	profile, err := transport.ParseProfile(cfg.TLS.Profile)
	if err != nil {
		return fmt.Errorf("tls.profile: %w", err)
	}
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("hl7.cert: %w", err)
	}
	authorities, err := readRoots("hl7.clientCAs", cmp.Or(h.ClientCAs, cfg.TLS.ClientCAs))
	if err != nil {
		return err
	}
	if c.Certificates, err = identity.NewCertificates(identity.CertificatesConfig{Subject: cmp.Or(h.Subject, identity.SubjectDNS), People: people}); err != nil {
		return fmt.Errorf("hl7.senders: %w", err)
	}
	c.TLS = transport.AskClients(profile.Server(own), authorities, true)
	return nil
}
