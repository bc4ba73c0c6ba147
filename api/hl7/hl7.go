// Package hl7 takes HL7 v2 messages of hospital systems by MLLP (ADT, ORM, OMI) and makes
// care relationships of them: who treats whom, from admission to discharge. It reads
// identifiers, of the patient, the visit and the clinicians, and nothing else; names are
// neither read nor kept.
package hl7

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/api/transport"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what the listener needs.
type Config struct {
	Vault        *vault.Vault           // required
	Log          *slog.Logger           // required
	TLS          *tls.Config            // must ask for client certificates; nil: in clear, on loopback alone
	Certificates *identity.Certificates // whom they prove; required with TLS
	Senders      []Sender               // required
	Zone         *time.Location         // of times without an offset; default time.Local
	Grace        time.Duration          // how long relationships outlast a discharge
	Longest      time.Duration          // how long those of a visit last at most; default 90 days
	Order        time.Duration          // how long whoever orders treats; default 30 days
}

// Sender is one system that may send.
type Sender struct {
	Application string       // MSH-3, as MSH-3.1
	Facility    string       // MSH-4, as MSH-4.1; "" is any
	Actor       record.Actor // who it is on the staff register; with TLS its certificate must prove the same ID

	Issuers        map[string]string // assigning authority (PID-3.4.1) to Issuer of Patient ID; without an authority it is the actor's own
	Clinicians     map[string]string // XCN.1, or XCN.1@XCN.9.1, to the subject on the staff register
	StaffAuthority string            // XCN.9.1 of identifiers that are such subjects; "" is none
}

// Server is the listener. It answers the messages of one connection one after the other.
type Server struct {
	cfg Config
	now func() time.Time
}

// New checks cfg.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Vault == nil || cfg.Log == nil:
		return nil, errors.New("hl7: Vault and Log are required")
	case len(cfg.Senders) == 0:
		return nil, errors.New("hl7: no sender is named")
	case cfg.TLS != nil && (cfg.TLS.ClientAuth != tls.RequireAndVerifyClientCert || cfg.Certificates == nil):
		return nil, errors.New("hl7: TLS must require client certificates, and know whom they prove")
	}
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	cfg.Longest = cmp.Or(cfg.Longest, 90*24*time.Hour)
	cfg.Order = cmp.Or(cfg.Order, 30*24*time.Hour)
	return &Server{cfg, time.Now}, nil
}

// Limits of connections.
const (
	maxConnections = 64  // of senders who have proven who they are
	maxOfSender    = 32  // of those, from one address
	maxGreeting    = 512 // that have not yet
	maxSilent      = 64  // of those, from one address
	greetingTime   = 5 * time.Second
	maxPeople      = 64               // whom one message names
	idleTime       = 30 * time.Minute // between two messages
	writeTime      = 30 * time.Second
	messageTime    = time.Minute // to act upon one
)

// Serve answers on l until ctx ends, and closes l. Messages that were read whole by then
// are acted upon and acknowledged.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if err := transport.CheckListen(l.Addr().String(), s.cfg.TLS != nil); err != nil {
		return errors.Join(err, l.Close())
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var serving sync.WaitGroup
	defer serving.Wait()
	// Who has not proven who they are takes no place from those who have.
	greeting, free := newPlaces(maxGreeting, maxSilent), newPlaces(maxConnections, maxOfSender)
	for failed := 0; ; {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("hl7: accept: %w", err)
		}
		if err != nil { // no file descriptor, perhaps: it passes
			s.cfg.Log.Error("hl7: accept", "err", err)
			failed++
			pause(ctx, min(5*time.Millisecond<<min(failed, 8), time.Second))
			continue
		}
		failed = 0
		from := addressOf(conn)
		if !greeting.take(from) {
			conn.Close()
			continue
		}
		serving.Go(func() {
			defer conn.Close()
			conn, shown, err := s.greet(ctx, conn)
			greeting.leave(from)
			if err == nil && !free.take(from) {
				err = errors.New("too many connections")
			} else if err == nil {
				err = s.connection(ctx, conn, shown)
				free.leave(from)
			}
			if err != nil {
				s.cfg.Log.Warn("hl7 connection ended", "err", err)
			}
		})
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// greet ends the TLS handshake, where there is to be one.
func (s *Server) greet(ctx context.Context, conn net.Conn) (net.Conn, *tls.ConnectionState, error) {
	if s.cfg.TLS == nil {
		return conn, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, greetingTime)
	defer cancel()
	secure := tls.Server(conn, s.cfg.TLS)
	if secure.HandshakeContext(ctx) != nil {
		return conn, nil, errors.New("TLS handshake refused")
	}
	state := secure.ConnectionState()
	return secure, &state, nil
}

// connection answers message by message until the sender hangs up or ctx ends.
func (s *Server) connection(ctx context.Context, conn net.Conn, shown *tls.ConnectionState) error {
	wake := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer wake()
	in := bufio.NewReader(conn)
	for {
		conn.SetReadDeadline(s.now().Add(idleTime))
		if ctx.Err() != nil { // after the line above: the end must not be overwritten
			return nil
		}
		raw, err := readFrame(in)
		if err == io.EOF || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		reply, again := s.take(context.WithoutCancel(ctx), shown, raw)
		conn.SetWriteDeadline(s.now().Add(writeTime))
		if _, err := conn.Write(frame(reply)); err != nil {
			return errors.New("acknowledgment not sent")
		}
		if !again {
			return nil
		}
	}
}

// take acts upon one message and returns its acknowledgment, and whether its sender may
// send another.
func (s *Server) take(ctx context.Context, shown *tls.ConnectionState, raw []byte) (reply []byte, again bool) {
	ctx, cancel := context.WithTimeout(ctx, messageTime)
	defer cancel()
	now := s.now()
	m, err := parse(raw)
	var from *Sender
	strangers := 0
	kind := ""
	if err == nil {
		head := m.first("MSH")
		if from, err = s.sender(ctx, shown, head); err == nil {
			kind = messageKind(head)
			strangers, err = s.act(ctx, m, *from, now)
		}
	}
	attrs := []any{"type", kind, "strangers", strangers}
	if from != nil {
		attrs = append(attrs, "sender", from.Actor.ID)
	}
	if err != nil {
		_, _, code := verdict(err)
		s.cfg.Log.Warn("hl7 message refused", append(attrs, "code", code)...)
	} else {
		s.cfg.Log.Info("hl7 message", attrs...)
	}
	return acknowledge(m, err, strangers, now, string(record.NewObjectID())[:20]), from != nil
}

// messageKind is the type as ADT^A01, of those that are read; anything else a sender puts
// there is not logged.
func messageKind(head segment) string {
	kind := head.repetitions(9)[0]
	name := head.part(kind, 1, 1) + "^" + head.part(kind, 2, 1)
	if len(name) > 7 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789^") != "" {
		return "other"
	}
	return name
}

// sender says who sends, as the staff register knows them now. Who is refused is written
// down.
func (s *Server) sender(ctx context.Context, shown *tls.ConnectionState, head segment) (*Sender, error) {
	var proven record.Actor
	if shown != nil {
		var err error
		if proven, err = s.cfg.Certificates.Connection(shown); err != nil {
			return nil, s.turnedAway(ctx, record.Actor{}, err)
		}
	}
	for _, from := range s.cfg.Senders {
		if from.Application != head.value(3) || from.Facility != "" && from.Facility != head.value(4) || shown != nil && proven.ID != from.Actor.ID {
			continue
		}
		from.Actor.Credentials, from.Actor.Issued = proven.Credentials, proven.Issued
		if err := s.cfg.Vault.Admit(ctx, from.Actor); err != nil {
			return nil, s.turnedAway(ctx, from.Actor, err)
		}
		known, _, err := s.cfg.Vault.Recognize(ctx, from.Actor)
		if err != nil {
			return nil, s.turnedAway(ctx, from.Actor, err)
		}
		from.Actor = known
		return &from, nil
	}
	return nil, s.turnedAway(ctx, proven, refuse("unknown-sender", "207", true))
}

func (s *Server) turnedAway(ctx context.Context, who record.Actor, why error) error {
	code := answer.Code(why)
	if own := new(refusal); errors.As(why, &own) {
		code = own.code
	} else if errors.Is(why, record.ErrUnavailable) {
		return why // nobody was refused: it could not be told
	}
	return errors.Join(why, s.cfg.Vault.Refused(ctx, who, code))
}

// act does what a message says, whole or not at all. strangers counts the people it names
// whom the register does not know.
func (s *Server) act(ctx context.Context, m *message, from Sender, now time.Time) (strangers int, err error) {
	head := m.first("MSH")
	switch {
	case head.value(10) == "":
		return 0, refuse("no-control-id", "101", true)
	case head.value(11) != "P" && head.value(11) != "":
		return 0, refuse("not-production", "202", true)
	}
	said, err := s.news(m, &from, now)
	if err != nil {
		return 0, err
	}
	patients := from.patients(m, from.Actor.Issuer)
	if len(patients) == 0 {
		return said.strangers, noPatient
	}
	named, people := said.strangers, 0
	for _, v := range said.visits {
		people += len(v.State) + len(v.Ended)
		named += len(v.State) + len(v.Complete) + len(v.Ended)
		if v.EndAll != nil {
			named++
		}
	}
	if named == 0 {
		return 0, nil // nothing is said of who treats
	}
	if people > maxPeople {
		return 0, refuse("too-many-people", "207", true)
	}
	news := vault.CareNews{Source: "hl7", Visits: said.visits, Unnamed: said.strangers,
		Message: strings.Join([]string{head.value(10), head.value(7), head.field(9), from.Facility}, "\x00")}
	for _, p := range patients {
		done, failed := s.cfg.Vault.TakeCareNews(ctx, from.Actor, s.cfg.Vault.TokenOf(p[0], p[1]), news)
		strangers, err = said.strangers+len(done.Unknown), failed
		if !errors.Is(err, record.ErrNotFound) {
			break
		}
	}
	return strangers, err
}
