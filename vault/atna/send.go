package atna

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Receiver is an audit record repository.
type Receiver struct {
	Address string      // host:port, as arr.example:6514; required
	TLS     *tls.Config // required; with a certificate where the repository asks for one
	Host    string      // name of this system in syslog and audit source; required
}

// Times of one batch.
const (
	dialTime = 10 * time.Second
	sendTime = time.Minute
)

// Send gives events to the receiver, in their order, over a connection of its own. It is
// nil only when the receiver has closed the connection after ours: syslog acknowledges
// nothing, but what was before our end of a TLS stream had then arrived (RFC 5425 4.4).
// After an error some may have arrived, and all are to be sent again.
func (r Receiver) Send(ctx context.Context, events []Event) (err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	tcp, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return fmt.Errorf("audit repository %s: %w", r.Address, err)
	}
	defer tcp.Close() // what counts was said before
	stop := context.AfterFunc(ctx, func() { tcp.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := r.send(ctx, tcp, events); err != nil {
		return fmt.Errorf("audit repository %s: %w", r.Address, err)
	}
	return nil
}

var errEarly = errors.New("it ended the connection before all was sent")

func (r Receiver) send(ctx context.Context, tcp net.Conn, events []Event) error {
	config := r.TLS.Clone()
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(r.Address)
		if err != nil {
			return err
		}
		config.ServerName = host
	}
	conn := tls.Client(tcp, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { // a receiver sends nothing; its end is what is waited for
		_, err := io.Copy(io.Discard, conn)
		ended <- err
	}()
	var batch bytes.Buffer
	for _, e := range events {
		frame, err := r.frame(e)
		if err != nil {
			return err
		}
		batch.Write(frame)
	}
	if _, err := conn.Write(batch.Bytes()); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return errors.Join(errEarly, err)
	default:
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	if err := <-ended; err != nil {
		return err
	}
	// Who closes a connection without having read it all resets it.
	if _, err := tcp.Read(make([]byte, 1)); err != io.EOF {
		return errors.Join(errEarly, err)
	}
	return nil
}

// frame is one message with its octet count (RFC 5425 4.3). Facility 10, severity 5 and
// the message id are those of PS3.15 A.6.
func (r Receiver) frame(e Event) ([]byte, error) {
	body, err := Message(e, r.Host)
	if err != nil {
		return nil, err
	}
	header := fmt.Sprintf("<85>1 %s %s medvault - DICOM+RFC3881 - ", e.Leaf.Time.UTC().Format("2006-01-02T15:04:05.000Z"), r.Host)
	const bom = "\ufeff"
	return fmt.Appendf(nil, "%d %s%s%s", len(header)+len(bom)+len(body), header, bom, body), nil
}
