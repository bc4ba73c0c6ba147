package alarm

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// WebhookConfig is where alarms are posted.
type WebhookConfig struct {
	URL    string           // required: https, or http on loopback
	Secret []byte           // required: at least 32 bytes, shared with the receiver
	Client *http.Client     // required: with the TLS profile of the house
	Now    func() time.Time // default time.Now
}

// Webhook posts each alarm as JSON. The header Medvault-Signature is "t=UNIX,v1=HEX": an
// HMAC-SHA256 under the secret over the time, a dot and the body. A receiver compares it,
// refuses old times, and knows an alarm that comes again by its id.
type Webhook struct{ cfg WebhookConfig }

var _ Sender = (*Webhook)(nil)

// NewWebhook checks cfg. It sends nothing.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("webhook: want an address as https://alarms.example/medvault")
	case len(cfg.Secret) < 32:
		return nil, errors.New("webhook: want a secret of at least 32 bytes")
	case cfg.Client == nil:
		return nil, errors.New("webhook: Client is required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	// An alarm goes where the configuration says, and nowhere else.
	client := *cfg.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cfg.Client = &client
	return &Webhook{cfg}, nil
}

// Name is "webhook".
func (w *Webhook) Name() string { return "webhook" }

// Send posts an alarm; any answer but 2xx is an error.
func (w *Webhook) Send(ctx context.Context, a Alarm) error {
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("webhook: make the request")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Medvault-Signature", Sign(w.cfg.Secret, w.cfg.Now(), body))
	resp, err := w.cfg.Client.Do(req)
	if err != nil {
		var wrapped *url.Error // holds the whole address, which may hold a secret
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("webhook: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return fmt.Errorf("webhook: read the answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("webhook: answered %d", resp.StatusCode)
	}
	return nil
}

// Sign is the value of Medvault-Signature for a body at a time.
func Sign(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
