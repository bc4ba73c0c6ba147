package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"medvault/vault/record"
)

// Limits bound how often somebody may be turned away before nothing more is looked at
// for them: who guesses tokens, and who asks for ids to see which there are. They are
// counted in the memory of each gateway. The zero value is no limit.
type Limits struct {
	Failures int           // requests of one address, or with one credential, that proved nobody, within Window; 0: any number
	Denials  int           // requests of one actor that were answered 401, 403 or 404, within Window; 0: any number
	Window   time.Duration // default 1 min
	Lockout  time.Duration // how long nothing is answered then but 429; default 1 min
	// Proxies are believed when they say in X-Forwarded-For whom they ask for. Everybody
	// else is known by the address of the connection; of IPv6 the first 64 bits count.
	Proxies []netip.Prefix
}

// limiter counts.
type limiter struct {
	Limits

	mu     sync.Mutex
	counts map[string]*count    // by address, credential or actor
	proven map[string]time.Time // by address and credential: when it last proved somebody
}

type count struct {
	since  time.Time // of the window
	n      int
	locked time.Time // until when
}

// remembered is how many of each the limiter keeps; beyond it the oldest are forgotten
// all at once.
const remembered = 100_000

// provenFor is how long a credential that proved somebody from an address is looked at
// although the address is locked: one bad device must not shut out those behind the
// same proxy.
const provenFor = time.Hour

func newLimiter(l Limits) *limiter {
	if l.Window == 0 {
		l.Window = time.Minute
	}
	if l.Lockout == 0 {
		l.Lockout = time.Minute
	}
	return &limiter{Limits: l, counts: make(map[string]*count), proven: make(map[string]time.Time)}
}

// caller is where a request comes from and what it shows, as keys.
type caller struct{ address, credential string }

func (l *limiter) caller(r *http.Request, session string) caller {
	c := caller{address: l.address(r)}
	h := sha256.New()
	for _, value := range r.Header.Values("Authorization") {
		h.Write([]byte(value))
		h.Write([]byte{0})
	}
	h.Write([]byte(session))
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		h.Write(r.TLS.PeerCertificates[0].Raw)
	}
	c.credential = hex.EncodeToString(h.Sum(nil)[:16])
	return c
}

// address is the client's, as far as somebody who is believed tells it.
func (l *limiter) address(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	at := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && l.proxy(at); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break // what stands further left was not written by a proxy of ours
		}
		at = hop.Unmap().WithZone("")
	}
	if at.Is6() {
		network, err := at.Prefix(64)
		if err == nil {
			return network.String()
		}
	}
	return at.String()
}

func (l *limiter) proxy(a netip.Addr) bool {
	for _, p := range l.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// admit says how long a caller is still locked out; 0 is not.
func (l *limiter) admit(c caller, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.proven[c.address+" "+c.credential]; ok && now.Sub(at) < provenFor {
		return 0
	}
	return max(l.left("address "+c.address, now), l.left("credential "+c.credential, now))
}

// admitActor says how long a proven actor is still locked out.
func (l *limiter) admitActor(a record.Actor, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left("actor "+a.ID, now)
}

func (l *limiter) left(key string, now time.Time) time.Duration {
	if c := l.counts[key]; c != nil && now.Before(c.locked) {
		return c.locked.Sub(now)
	}
	return 0
}

// failed counts a request that proved nobody. One without any credential tries nothing.
func (l *limiter) failed(c caller, shown bool, now time.Time) {
	if l.Failures == 0 || !shown {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.proven, c.address+" "+c.credential)
	l.add("address "+c.address, l.Failures, now)
	l.add("credential "+c.credential, l.Failures, now)
}

// succeeded remembers that a credential proved somebody.
func (l *limiter) succeeded(c caller, now time.Time) {
	if l.Failures == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.proven) >= remembered {
		clear(l.proven)
	}
	l.proven[c.address+" "+c.credential] = now
}

// denied counts a request of an actor that was refused, or led to nothing.
func (l *limiter) denied(a record.Actor, now time.Time) {
	if l.Denials == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add("actor "+a.ID, l.Denials, now)
}

func (l *limiter) add(key string, most int, now time.Time) {
	c := l.counts[key]
	if c == nil {
		if len(l.counts) >= remembered {
			l.forget(now)
		}
		c = &count{since: now}
		l.counts[key] = c
	}
	if now.Sub(c.since) >= l.Window {
		c.since, c.n = now, 0
	}
	if c.n++; c.n > most {
		c.locked, c.since, c.n = now.Add(l.Lockout), now, 0
	}
}

// forget makes room: what is over goes, and where nothing is, all that is not locked.
func (l *limiter) forget(now time.Time) {
	for key, c := range l.counts {
		if now.Sub(c.since) >= l.Window && !now.Before(c.locked) {
			delete(l.counts, key)
		}
	}
	if len(l.counts) < remembered {
		return
	}
	for key, c := range l.counts {
		if !now.Before(c.locked) {
			delete(l.counts, key)
		}
	}
}
