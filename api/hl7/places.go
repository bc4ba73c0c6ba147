package hl7

import (
	"net"
	"net/netip"
	"sync"
)

// places are a number of connections, of which one address has a part at most: whoever
// says nothing on many leaves room for the others.
type places struct {
	most, each int

	mu    sync.Mutex
	taken int
	of    map[string]int // by address
}

func newPlaces(most, each int) *places {
	return &places{most: most, each: each, of: make(map[string]int)}
}

// take takes a place, if there is one.
func (p *places) take(address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.most || p.of[address] >= p.each {
		return false
	}
	p.taken++
	p.of[address]++
	return true
}

// leave gives back a place that was taken.
func (p *places) leave(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.of[address]--; p.of[address] == 0 {
		delete(p.of, address)
	}
}

// addressOf is where a connection comes from; of IPv6 the first 64 bits.
func addressOf(conn net.Conn) string {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return "unknown"
	}
	at := from.Addr().Unmap().WithZone("")
	if network, err := at.Prefix(64); at.Is6() && err == nil {
		return network.String()
	}
	return at.String()
}
