package alarm

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"strings"
	"time"
)

// MailConfig is by which server alarms are mailed, and to whom.
type MailConfig struct {
	Server   string      // required: host:port of a submission server that offers STARTTLS
	TLS      *tls.Config // required: the profile of the house
	User     string      // "": without logging in
	Password func() (string, error)
	From     string   // required: an address
	To       []string // required: addresses
	Clear    bool     // on loopback alone: without STARTTLS
	Timeout  time.Duration
}

// Mail sends each alarm as a message, over STARTTLS: a server that does not offer it gets
// nothing. It is net/smtp of the standard library, which is complete for a submission and
// runs with the FIPS module alone; a library would add what is not used.
type Mail struct {
	cfg  MailConfig
	host string
}

var _ Sender = (*Mail)(nil)

// NewMail checks cfg. It sends nothing.
func NewMail(cfg MailConfig) (*Mail, error) {
	host, _, err := net.SplitHostPort(cfg.Server)
	if err != nil || host == "" {
		return nil, errors.New("mail: want a server as smtp.example:587")
	}
	if cfg.Clear && !loopback(host) {
		return nil, errors.New("mail: without TLS to this machine alone")
	}
	if !cfg.Clear && cfg.TLS == nil {
		return nil, errors.New("mail: TLS is required")
	}
	if len(cfg.To) == 0 {
		return nil, errors.New("mail: whom to")
	}
	for _, address := range append([]string{cfg.From}, cfg.To...) {
		if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address {
			return nil, errors.New("mail: want addresses as officer@hospital.example")
		}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	return &Mail{cfg, host}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Name is "mail".
func (m *Mail) Name() string { return "mail" }

// Send hands an alarm to the server for every recipient, or returns an error.
func (m *Mail) Send(ctx context.Context, a Alarm) (err error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.cfg.Server)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c, err := smtp.NewClient(conn, m.host)
	if err != nil {
		conn.Close()
		return fmt.Errorf("mail: greet: %w", err)
	}
	defer c.Close()
	if err := m.login(c); err != nil {
		return err
	}
	if err := c.Mail(m.cfg.From); err != nil {
		return fmt.Errorf("mail: sender: %w", err)
	}
	for _, to := range m.cfg.To {
		if err := c.Rcpt(to); err != nil {
			return fmt.Errorf("mail: recipient: %w", err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return fmt.Errorf("mail: body: %w", err)
	}
	if _, err := w.Write(m.message(a)); err != nil {
		return fmt.Errorf("mail: body: %w", err)
	}
	if err := w.Close(); err != nil { // taken over by the server only now
		return fmt.Errorf("mail: body: %w", err)
	}
	// The message is taken: how the connection ends changes nothing.
	_ = c.Quit()
	return nil
}

// login makes the connection confidential before anything is said, and logs in.
func (m *Mail) login(c *smtp.Client) error {
	if !m.cfg.Clear {
		if offered, _ := c.Extension("STARTTLS"); !offered {
			return errors.New("mail: the server does not offer STARTTLS")
		}
		cfg := m.cfg.TLS.Clone()
		cfg.ServerName = m.host
		if err := c.StartTLS(cfg); err != nil {
			return fmt.Errorf("mail: start TLS: %w", err)
		}
	}
	if m.cfg.User == "" {
		return nil
	}
	password, err := m.cfg.Password()
	if err != nil {
		return fmt.Errorf("mail: password: %w", err)
	}
	if err := c.Auth(smtp.PlainAuth("", m.cfg.User, password, m.host)); err != nil {
		return fmt.Errorf("mail: log in: %w", err)
	}
	return nil
}

// message is RFC 5322: plain text in base64, so that every server takes it.
func (m *Mail) message(a Alarm) []byte {
	var text strings.Builder
	text.WriteString(a.Subject() + "\n\n")
	line := func(name, value string) {
		if value != "" {
			text.WriteString(name + ": " + value + "\n")
		}
	}
	line("kind", string(a.Kind))
	line("about", a.About)
	line("detail", a.Detail)
	line("raised", a.At.UTC().Format(time.RFC3339))
	if !a.Due.IsZero() {
		line("due", a.Due.UTC().Format(time.RFC3339))
	}
	line("look at", a.Where)
	sum := sha256.Sum256([]byte(a.ID))
	_, domain, _ := strings.Cut(m.cfg.From, "@")
	var b strings.Builder
	for _, header := range [][2]string{
		{"From", m.cfg.From}, {"To", strings.Join(m.cfg.To, ", ")},
		{"Subject", mime.BEncoding.Encode("utf-8", "[medvault] "+a.Subject())},
		{"Date", a.At.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + hex.EncodeToString(sum[:16]) + "@" + domain + ">"}, // the same when it comes again
		{"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "base64"},
	} {
		b.WriteString(header[0] + ": " + header[1] + "\r\n")
	}
	b.WriteString("\r\n")
	for body := base64.StdEncoding.EncodeToString([]byte(text.String())); body != ""; {
		n := min(76, len(body))
		b.WriteString(body[:n] + "\r\n")
		body = body[n:]
	}
	return []byte(b.String())
}
