package replica_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"medvault/storage"
	"medvault/storage/minio"
	"medvault/storage/replica"
	"medvault/storage/storetest"
)

// TestRegionDiesMidObject reads through a proxy that breaks the connection to the
// first region in the middle of an object; the second region goes on at that byte.
// Every case has a proxy of its own that is poisoned before the first connection:
// toxiproxy may lock up when a toxic is added to a connection that is busy.
func TestRegionDiesMidObject(t *testing.T) {
	servers := storetest.Servers(t)
	near, far := newRegion(servers[0], "near"), newRegion(servers[len(servers)-1], "far")
	b := storetest.Bytes(24 << 20) // more than the sockets between hold
	set := newSet(t, near.open(t), far.open(t))
	if placed, err := set.Put(t.Context(), "objects/x", storetest.Body(b), replica.Placement{Quorum: 2}); err != nil {
		t.Fatalf("Put = %v, %v", placed, err)
	}

	for _, c := range []struct {
		name  string
		proxy func(t *testing.T, endpoint string) (address string, strike func()) // strike comes after the first bytes
	}{
		{"connection closed", poisoned(`{"name":"t","type":"limit_data","stream":"downstream","attributes":{"bytes":1000000}}`)},
		{"region stops", poisoned("")},
		{"connection reset", breaking(func(c *net.TCPConn) { c.SetLinger(0); c.Close() })},
		{"silence", breaking(func(*net.TCPConn) {})},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, strike := c.proxy(t, near.server.Endpoint)
			ill := near
			ill.server.Endpoint = "http://" + address
			o := newSet(t, ill.open(t), far.open(t)).Open("objects/x", int64(len(b)), nil)
			r, err := o.Get(t.Context(), 0, -1)
			if err != nil {
				t.Fatalf("Get = %v", err)
			}
			defer r.Close()
			got := make([]byte, 100_000, len(b))
			if _, err := io.ReadFull(r, got); err != nil {
				t.Fatalf("Read = %v", err)
			}
			if first, _ := o.Damaged(); first != "near" {
				t.Fatalf("the first bytes came from %s; want near", first)
			}
			strike()
			rest, err := io.ReadAll(r)
			if err != nil {
				t.Fatalf("Read = %v; want the far region to go on", err)
			}
			if got = append(got, rest...); !bytes.Equal(got, b) {
				t.Errorf("%d bytes came, not the right %d", len(got), len(b))
			}
			if last, _ := o.Damaged(); last != "far" {
				t.Errorf("the last bytes came from %s; want far", last)
			}
		})
	}
}

// poisoned is toxiproxy with one toxic, or none.
func poisoned(toxic string) func(t *testing.T, endpoint string) (string, func()) {
	return func(t *testing.T, endpoint string) (string, func()) {
		t.Helper()
		server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
		proxy := toxiproxy.NewProxy(server, "near", "127.0.0.1:0", strings.TrimPrefix(endpoint, "http://"))
		if toxic != "" {
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				t.Fatal(err)
			}
		}
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
		stop := sync.OnceFunc(proxy.Stop)
		t.Cleanup(stop)
		if toxic != "" {
			return proxy.Listen, func() {} // it strikes by itself
		}
		return proxy.Listen, stop
	}
}

// breaking is a proxy that passes on a megabyte of what the server sends over a
// connection and no more, and when it strikes does something to the client's side,
// as toxics do that cannot be there from the beginning.
func breaking(act func(client *net.TCPConn)) func(t *testing.T, endpoint string) (string, func()) {
	return func(t *testing.T, endpoint string) (string, func()) {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var conns sync.WaitGroup
		done, struck := make(chan struct{}), make(chan struct{})
		conns.Go(func() {
			for {
				client, err := l.Accept()
				if err != nil {
					return
				}
				server, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
				if err != nil {
					client.Close()
					continue
				}
				conns.Go(func() { <-done; client.Close(); server.Close() })
				conns.Go(func() { io.Copy(server, client) })
				conns.Go(func() {
					if n, _ := io.CopyN(client, server, 1_000_000); n < 1_000_000 {
						return
					}
					select {
					case <-struck:
						act(client.(*net.TCPConn))
					case <-done:
					}
				})
			}
		})
		t.Cleanup(func() { close(done); l.Close(); conns.Wait() })
		return l.Addr().String(), func() { close(struck) }
	}
}

func newSet(t *testing.T, regions ...storage.Region) *replica.Set {
	t.Helper()
	set, err := replica.New(replica.Config{Regions: regions, ReadIdle: 500 * time.Millisecond, BackOff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// bucketPair is a region of one server, reached by any address.
type bucketPair struct {
	name       string
	server     storetest.Server
	data, keys string
}

func newRegion(s storetest.Server, name string) bucketPair {
	return bucketPair{name: name, server: s, data: storetest.BucketName(), keys: storetest.BucketName()}
}

func (p bucketPair) open(t *testing.T) storage.Region {
	t.Helper()
	bucket := func(name string) storage.Store {
		b, err := minio.New(t.Context(), minio.Config{
			Endpoint: p.server.Endpoint, AccessKey: p.server.Access, SecretKey: p.server.Secret, Region: "us-east-1",
			Bucket: name, Insecure: true, PathStyle: true, CreateBucket: true,
		})
		if err != nil {
			t.Fatalf("New = %v", err)
		}
		return b
	}
	return storage.Region{Name: p.name, Jurisdiction: "CN", Data: bucket(p.data), Keys: bucket(p.keys)}
}
