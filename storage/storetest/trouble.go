package storetest

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Trouble is what goes wrong between a client and an S3 service.
type Trouble struct {
	Name  string
	Begin func(t testing.TB, r *Relay)
}

// large is a body that counts as an object's, and not as a listing or an error.
const large = 4 << 10

// Troubles are all there are. Objects of at least 300 kB meet each of them.
func Troubles() []Trouble {
	return []Trouble{
		{"down", func(_ testing.TB, r *Relay) { r.Down() }},
		toxic("slow", `{"name":"t","type":"latency","stream":"downstream","attributes":{"latency":60,"jitter":20}}`),
		toxic("silent", `{"name":"t","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`),
		toxic("reset", `{"name":"t","type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`),
		toxic("answers cut", `{"name":"t","type":"limit_data","stream":"downstream","attributes":{"bytes":100000}}`),
		toxic("requests cut", `{"name":"t","type":"limit_data","stream":"upstream","attributes":{"bytes":100000}}`),
		meddle("answers truncated", meddler{answer: func(r *http.Response) error { return changeBody(r, func(b []byte) []byte { return b[:len(b)/2] }) }}),
		meddle("wrong bytes answered", meddler{answer: func(r *http.Response) error { return changeBody(r, flip) }}),
		meddle("wrong bytes sent", meddler{request: flipRequest}),
		meddle("slow down", refuse(everything, http.StatusServiceUnavailable, "SlowDown")),
		meddle("credentials revoked", refuse(everything, http.StatusForbidden, "InvalidAccessKeyId")),
		meddle("clock skewed", refuse(everything, http.StatusForbidden, "RequestTimeTooSkewed")),
		meddle("full", refuse(sending, http.StatusInsufficientStorage, "XMinioStorageFull")),
		meddle("quota used up", refuse(sending, http.StatusForbidden, "QuotaExceeded")),
		meddle("read-only", refuse(changing, http.StatusForbidden, "AccessDenied")),
		meddle("listing misses the latest", meddler{instead: emptyListing}),
		{"listing shows what is gone", func(t testing.TB, r *Relay) {
			var old oldListings
			r.meddle(t, meddler{instead: old.replay, answer: old.keep})
		}},
	}
}

// ListingTroubles are of a listing that is not whole, which one call cannot tell.
func ListingTroubles() []Trouble {
	return []Trouble{
		meddle("listing leaves out most", meddler{answer: func(r *http.Response) error { return changeListing(r, fewer) }}),
	}
}

// SmallTroubles are of what is too small for Troubles: wraps, checkpoints.
func SmallTroubles() []Trouble {
	return []Trouble{
		meddle("wrong small bytes answered", meddler{answer: func(r *http.Response) error {
			if _, ok := listing(r.Request); ok || r.Request.Method != http.MethodGet || r.ContentLength >= large || r.StatusCode >= http.StatusMultipleChoices || len(r.Request.URL.RawQuery) > 0 && !r.Request.URL.Query().Has("x-id") {
				return nil
			}
			return replaceBody(r, flip)
		}}),
	}
}

func toxic(name, toxic string) Trouble {
	return Trouble{name, func(t testing.TB, r *Relay) { r.toxic(t, toxic) }}
}

func meddle(name string, m meddler) Trouble {
	return Trouble{name, func(t testing.TB, r *Relay) { r.meddle(t, m) }}
}

// meddler is a proxy that understands HTTP. Every part may be nil.
type meddler struct {
	instead func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	request func(r *http.Request)
	answer  func(*http.Response) error
}

// meddle leads the relay through such a proxy.
func (r *Relay) meddle(t testing.TB, m meddler) {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: r.upstream}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host // signatures cover it
			if m.request != nil {
				m.request(p.Out)
			}
		},
		ModifyResponse: m.answer,
		Transport:      &http.Transport{DisableCompression: true},
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.instead == nil || !m.instead(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	r.Lead(server.Listener.Addr().String())
}

func everything(*http.Request) bool { return true }
func sending(r *http.Request) bool  { return r.Method == http.MethodPut || r.Method == http.MethodPost }
func changing(r *http.Request) bool { return sending(r) || r.Method == http.MethodDelete }

// refuse answers as a service does.
func refuse(which func(*http.Request) bool, status int, code string) meddler {
	return meddler{instead: func(w http.ResponseWriter, r *http.Request) bool {
		if !which(r) {
			return false
		}
		io.Copy(io.Discard, r.Body) // a service reads on before it answers; what breaks shows below
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
		}
		return true
	}}
}

func changeBody(r *http.Response, change func([]byte) []byte) error {
	if r.Request.Method != http.MethodGet || r.ContentLength < large || strings.Contains(r.Header.Get("Content-Type"), "xml") {
		return nil
	}
	return replaceBody(r, change)
}

func replaceBody(r *http.Response, change func([]byte) []byte) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	b = change(b)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	r.Header.Set("Content-Length", fmt.Sprint(len(b)))
	return nil
}

func flip(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	b[len(b)/2] ^= 1
	return b
}

func flipRequest(r *http.Request) {
	if r.ContentLength >= large {
		r.Body = &flipped{ReadCloser: r.Body, at: r.ContentLength / 2}
	}
}

// flipped is a stream with a bit flipped in the byte at at.
type flipped struct {
	io.ReadCloser
	at int64
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.at >= 0 && f.at < int64(n) {
		p[f.at] ^= 1
	}
	f.at -= int64(n)
	return n, err
}

// listing tells whether a request is for a listing of objects or versions, and the name
// of the element that holds it.
func listing(r *http.Request) (element string, ok bool) {
	q := r.URL.Query()
	switch {
	case r.Method != http.MethodGet || !q.Has("prefix"):
		return "", false
	case q.Has("versions"):
		return "ListVersionsResult", true
	case q.Has("uploads"):
		return "", false
	}
	return "ListBucketResult", true
}

func changeListing(r *http.Response, change func([]byte) []byte) error {
	if _, ok := listing(r.Request); !ok || r.StatusCode != http.StatusOK {
		return nil
	}
	return replaceBody(r, change)
}

// fewer takes three of four objects out of a listing, the same ones in each.
func fewer(b []byte) []byte {
	return regexp.MustCompile(`(?s)<Contents>.*?</Contents>`).ReplaceAllFunc(b, func(entry []byte) []byte {
		key, _, _ := bytes.Cut(entry, []byte("</Key>"))
		if crc32.ChecksumIEEE(key[bytes.Index(key, []byte("<Key>")):])%4 > 0 {
			return nil
		}
		return entry
	})
}

func emptyListing(w http.ResponseWriter, r *http.Request) bool {
	element, ok := listing(r)
	if ok {
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprintf(w, "<%s><IsTruncated>false</IsTruncated></%s>", element, element)
	}
	return ok
}

// oldListings answers each listing for ever as it was answered first.
type oldListings struct {
	mu      sync.Mutex
	answers map[string][]byte
}

func (o *oldListings) replay(w http.ResponseWriter, r *http.Request) bool {
	if _, ok := listing(r); !ok {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.answers[r.URL.RequestURI()]
	if ok {
		w.Header().Set("Content-Type", "application/xml")
		w.Write(b) // what breaks shows at the client
	}
	return ok
}

func (o *oldListings) keep(r *http.Response) error {
	if _, ok := listing(r.Request); !ok || r.StatusCode != http.StatusOK {
		return nil
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.answers == nil {
		o.answers = map[string][]byte{}
	}
	o.answers[r.Request.URL.RequestURI()] = b
	r.Body = io.NopCloser(bytes.NewReader(b))
	return nil
}
