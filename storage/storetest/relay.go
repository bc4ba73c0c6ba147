package storetest

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Relay stands between a client and a service and passes bytes on. What goes wrong is
// done by leading new connections elsewhere. Create with NewRelay.
type Relay struct {
	upstream string // host:port of the service
	address  string // host:port it listens on

	mu       sync.Mutex
	listener net.Listener // nil while down
	to       string       // where new connections lead
	open     map[net.Conn]bool
	conns    sync.WaitGroup
}

// NewRelay listens on a port of its own until the test ends.
func NewRelay(t testing.TB, endpoint string) *Relay {
	t.Helper()
	upstream := strings.TrimPrefix(endpoint, "http://")
	r := &Relay{upstream: upstream, address: "127.0.0.1:0", to: upstream, open: map[net.Conn]bool{}}
	r.Up(t)
	r.address = r.listener.Addr().String()
	t.Cleanup(func() {
		r.Down()
		r.conns.Wait()
	})
	return r
}

// URL is what a client takes for the service.
func (r *Relay) URL() string { return "http://" + r.address }

// Upstream is the host:port of the service.
func (r *Relay) Upstream() string { return r.upstream }

// Up listens again after Down.
func (r *Relay) Up(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener = l
	r.conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			r.conns.Go(func() { r.serve(client) })
		}
	})
}

// Down refuses connections and breaks those that are open.
func (r *Relay) Down() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		r.listener.Close()
		r.listener = nil
	}
	r.breakAll()
}

// Lead breaks all connections and leads new ones to another host:port.
func (r *Relay) Lead(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
	r.breakAll()
}

// Restore ends whatever trouble there is: new connections lead to the service again.
func (r *Relay) Restore(t testing.TB) {
	t.Helper()
	r.Lead(r.upstream)
	r.mu.Lock()
	down := r.listener == nil
	r.mu.Unlock()
	if down {
		r.Up(t)
	}
}

func (r *Relay) breakAll() {
	for c := range r.open {
		c.Close()
	}
	clear(r.open)
}

func (r *Relay) serve(client net.Conn) {
	r.mu.Lock()
	to, up := r.to, r.listener != nil
	r.mu.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil || !up {
		client.Close()
		return
	}
	r.mu.Lock()
	r.open[client], r.open[server] = true, true
	r.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{server, client}, {client, server}} {
		both.Go(func() {
			if _, err := io.Copy(way[0], way[1]); err != nil {
				way[0].(*net.TCPConn).SetLinger(0) // pass a reset on as a reset
			}
			way[0].Close()
			way[1].Close()
		})
	}
	both.Wait()
	r.mu.Lock()
	delete(r.open, client)
	delete(r.open, server)
	r.mu.Unlock()
}

// toxic leads the relay through toxiproxy, poisoned before the first connection: it may
// lock up when a toxic is added to one that is busy.
func (r *Relay) toxic(t testing.TB, toxic string) {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "relay", "127.0.0.1:0", r.upstream)
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		t.Fatal(err)
	}
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	r.Lead(proxy.Listen)
}
