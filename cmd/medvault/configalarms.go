package main

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"strings"
	"time"

	"medvault/api/transport"
	"medvault/vault"
	"medvault/vault/alarm"
	"medvault/vault/workday"
)

// AlarmsConfig says how the data protection officer is told that something has to be
// looked at. Nothing of it names a patient.
type AlarmsConfig struct {
	Every   time.Duration `yaml:"every"` // how often it is looked what is due; default 1m
	Webhook WebhookConfig `yaml:"webhook"`
	Mail    MailConfig    `yaml:"mail"`
}

// WebhookConfig is where alarms are posted; without a URL nowhere.
type WebhookConfig struct {
	URL        string `yaml:"url"`        // https; http on loopback
	SecretFile Secret `yaml:"secretFile"` // shared with the receiver, at least 32 bytes: signs each alarm
	CAFile     string `yaml:"caFile"`     // default the system's
}

// MailConfig is by which server alarms are mailed; without a server none are.
type MailConfig struct {
	Server            string   `yaml:"server"` // host:port of a submission server with STARTTLS
	User              string   `yaml:"user"`   // "": without logging in
	PasswordFile      Secret   `yaml:"passwordFile"`
	From              string   `yaml:"from"`
	To                []string `yaml:"to"` // default dpo.email
	CAFile            string   `yaml:"caFile"`
	InsecurePlaintext bool     `yaml:"insecurePlaintext"` // loopback alone
}

func (c *Config) checkAlarms(found *checks) {
	found.required("dpo.email", c.DPO.Email)
	found.required("dpo.phone", c.DPO.Phone)
	found.required("dpo.address", c.DPO.Address)
	if c.DPO.Email != "" && !mailAddress(c.DPO.Email) {
		found.add("dpo.email", "found %q, want an address", c.DPO.Email)
	}
	if c.Holidays != "" {
		found.absolute("holidays", c.Holidays)
	}
	if c.Alarms.Every < 0 {
		found.add("alarms.every", "found %s, want more than 0s", c.Alarms.Every)
	}
	c.Alarms.Webhook.check(found)
	c.Alarms.Mail.check(found)
}

func (w WebhookConfig) check(found *checks) {
	if w.URL == "" {
		onlyFor(found, "alarms.webhook", "a webhook with a url", map[string]string{"secretFile": string(w.SecretFile), "caFile": w.CAFile})
		return
	}
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !transport.Loopback(u.Hostname())) {
		found.add("alarms.webhook.url", "want an https address; http to this machine alone") // not quoted: it may hold a secret
	}
	found.secret("alarms.webhook.secretFile", w.SecretFile)
}

func (m MailConfig) check(found *checks) {
	if m.Server == "" {
		onlyFor(found, "alarms.mail", "mail with a server", map[string]string{"user": m.User, "passwordFile": string(m.PasswordFile), "from": m.From,
			"caFile": m.CAFile, "to": strings.Join(m.To, " ")})
		return
	}
	host, port, err := net.SplitHostPort(m.Server)
	if err != nil || host == "" || !isPort(port) {
		found.add("alarms.mail.server", "found %q, want HOST:PORT", m.Server)
	}
	if m.InsecurePlaintext && !transport.Loopback(host) {
		found.add("alarms.mail.insecurePlaintext", "only to this machine")
	}
	if found.required("alarms.mail.from", m.From) && !mailAddress(m.From) {
		found.add("alarms.mail.from", "found %q, want an address", m.From)
	}
	for _, to := range m.To {
		if !mailAddress(to) {
			found.add("alarms.mail.to", "found %q, want an address", to)
		}
	}
	if m.User != "" {
		found.secret("alarms.mail.passwordFile", m.PasswordFile)
	}
}

func mailAddress(s string) bool {
	parsed, err := mail.ParseAddress(s)
	return err == nil && parsed.Address == s
}

// alarms makes the senders that are configured.
func (c *Config) alarms(profile transport.Profile) (vault.AlarmConfig, error) {
	to := vault.AlarmConfig{Every: c.Alarms.Every, Where: c.PublicURL}
	if w := c.Alarms.Webhook; w.URL != "" {
		roots, err := readRoots("alarms.webhook.caFile", w.CAFile)
		if err != nil {
			return to, err
		}
		secret, err := w.SecretFile.Read()
		if err != nil {
			return to, fmt.Errorf("alarms.webhook.secretFile: %w", err)
		}
		client := profile.HTTPClient(roots)
		client.Timeout = time.Minute
		sender, err := alarm.NewWebhook(alarm.WebhookConfig{URL: w.URL, Secret: []byte(secret), Client: client})
		if err != nil {
			return to, fmt.Errorf("alarms: %w", err)
		}
		to.Senders = append(to.Senders, sender)
	}
	if m := c.Alarms.Mail; m.Server != "" {
		roots, err := readRoots("alarms.mail.caFile", m.CAFile)
		if err != nil {
			return to, err
		}
		if len(m.To) == 0 {
			m.To = []string{c.DPO.Email}
		}
		sender, err := alarm.NewMail(alarm.MailConfig{Server: m.Server, TLS: profile.Client(roots), User: m.User, Password: m.PasswordFile.Read,
			From: m.From, To: m.To, Clear: m.InsecurePlaintext})
		if err != nil {
			return to, fmt.Errorf("alarms: %w", err)
		}
		to.Senders = append(to.Senders, sender)
	}
	return to, nil
}

// calendar is that of this version, with the operator's own years where there are any.
func (c *Config) calendar() (*workday.Calendar, error) {
	if c.Holidays == "" {
		return workday.China(), nil
	}
	text, err := os.ReadFile(c.Holidays)
	if err != nil {
		return nil, fmt.Errorf("holidays: %w", err)
	}
	return workday.China().With(string(text))
}

// officer is whom patients and authorities reach.
func (d DPOConfig) officer() vault.Officer {
	return vault.Officer{Name: d.Name, Email: d.Email, Phone: d.Phone, Address: d.Address}
}
