package s3

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"medvault/storage"
)

// MetaSHA256 is the name of the object metadata that repeats the SHA-256 in hex,
// for services that keep no checksum.
const MetaSHA256 = "sha256"

// NewTransport is the HTTP transport of a region; config nil is the system's roots.
func NewTransport(config *tls.Config) *http.Transport {
	t := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		DialContext:     (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig: config.Clone(),
	}
	Tune(t)
	return t
}

// Tune gives t, whose TLSClientConfig is its own, HTTP/1.1, no compression, connections enough for many readers, and bounds on
// what a dead peer could hold up.
func Tune(t *http.Transport) {
	t.TLSHandshakeTimeout = 5 * time.Second
	t.ResponseHeaderTimeout = time.Minute
	t.ExpectContinueTimeout = time.Second
	t.IdleConnTimeout = time.Minute
	t.MaxIdleConns = 256
	t.MaxIdleConnsPerHost = 64
	t.ForceAttemptHTTP2 = false // a connection each: many transfers over one would wait for each other
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = []string{"http/1.1"} // nothing else may be agreed on
	}
	t.DisableCompression = true // sealed bytes do not shrink, and a decoded body hides its length
	t.WriteBufferSize = 64 << 10
	t.ReadBufferSize = 64 << 10
}

// CheckSecret refuses what the FIPS module would panic on: signing needs an HMAC
// key of at least 112 bits, of which "AWS4" is four bytes.
func CheckSecret(secret string) error {
	if len(secret) < 10 {
		return errors.New("secret key: want at least 10 bytes")
	}
	return nil
}

// Base64 is a SHA-256 as the checksum header has it.
func Base64(sum [32]byte) string { return base64.StdEncoding.EncodeToString(sum[:]) }

// Sums are the SHA-256s a service tells of an object.
type Sums struct {
	Own     [32]byte // taken by the service itself, of the whole object; zero when it tells none
	Meta    [32]byte // written by us into the metadata; zero when there is none
	OfParts string   // of an object sent in parts: the sum of their sums, and their number
}

func (s Sums) any() [32]byte {
	if s.Own != [32]byte{} {
		return s.Own
	}
	return s.Meta
}

// ReadSums reads the values of the header x-amz-checksum-sha256, of
// x-amz-checksum-type and of the metadata sha256; each may be empty. What is not
// understood is left out.
func ReadSums(checksum, kind, metadata string) (s Sums) {
	if b, err := hex.DecodeString(metadata); err == nil && len(b) == len(s.Meta) {
		s.Meta = [32]byte(b)
	}
	if strings.Contains(checksum, "-") { // in standard base64 there is none
		s.OfParts = checksum
		return s
	}
	if b, err := base64.StdEncoding.DecodeString(checksum); err == nil && len(b) == len(s.Own) && !strings.EqualFold(kind, "COMPOSITE") {
		s.Own = [32]byte(b)
	}
	return s
}

// ReadLock reads the values of the headers x-amz-object-lock-mode and
// x-amz-object-lock-legal-hold, and sets them and until in o.
func (o *Object) ReadLock(mode string, until time.Time, legalHold string) {
	o.Held = strings.EqualFold(legalHold, "ON")
	if until.IsZero() {
		return
	}
	o.LockedUntil = until.UTC()
	o.LockMode = storage.Governance
	if strings.EqualFold(mode, "COMPLIANCE") {
		o.LockMode = storage.Compliance
	}
}

// Range is the Range header for length bytes from offset; empty for the whole
// object. length is not zero, and below zero is to the end.
func Range(offset, length int64) string {
	switch {
	case length >= 0:
		return fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
	case offset > 0:
		return fmt.Sprintf("bytes=%d-", offset)
	}
	return ""
}

// RangeStart reads where a body begins from its Content-Range header; without one
// it is the whole object.
func RangeStart(contentRange string) (int64, error) {
	if contentRange == "" {
		return 0, nil
	}
	var start, end int64
	if _, err := fmt.Sscanf(contentRange, "bytes %d-%d/", &start, &end); err != nil || start < 0 {
		return 0, errors.New("content range: not understood")
	}
	return start, nil
}

// ETag strips the quotes a header or a listing has around it.
func ETag(quoted string) string { return strings.Trim(quoted, `"`) }
