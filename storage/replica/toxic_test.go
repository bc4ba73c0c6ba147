package replica_test

import (
	"bytes"
	"context"
	"io"
	"strings"
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
func TestRegionDiesMidObject(t *testing.T) {
	servers := storetest.Servers(t)
	proxy := proxied(t, servers[0].Endpoint)
	near, far := servers[0], servers[len(servers)-1]
	near.Endpoint = "http://" + proxy.Listen
	set, err := replica.New(replica.Config{
		Regions:  []storage.Region{region(t, "near", near), region(t, "far", far)},
		ReadIdle: 500 * time.Millisecond,
		BackOff:  time.Millisecond, // each row asks the near region first
	})
	if err != nil {
		t.Fatal(err)
	}
	b := storetest.Bytes(24 << 20) // more than the sockets between hold
	placed, err := set.Put(t.Context(), "objects/x", storetest.Body(b), replica.Placement{Quorum: 2})
	if err != nil {
		t.Fatalf("Put = %v, %v", placed, err)
	}

	for _, c := range []struct {
		name   string
		before string // a toxic there from the beginning
		during string // a toxic that comes after the first bytes
		stop   bool   // the region goes away altogether after the first bytes
	}{
		{name: "connection closed after 1 MB", before: `{"name":"t","type":"limit_data","stream":"downstream","attributes":{"bytes":1000000}}`},
		{name: "connection reset", during: `{"name":"t","type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`},
		{name: "silence", during: `{"name":"t","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`},
		{name: "region stops", stop: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.before != "" {
				poison(t, proxy, c.before)
			}
			o := set.Open("objects/x", int64(len(b)), nil)
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
			if c.during != "" {
				poison(t, proxy, c.during)
			}
			if c.stop {
				proxy.Stop()
				t.Cleanup(func() {
					if err := proxy.Start(); err != nil {
						t.Error(err)
					}
				})
			}
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

func proxied(t *testing.T, endpoint string) *toxiproxy.Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "near", "127.0.0.1:0", strings.TrimPrefix(endpoint, "http://"))
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}

// poison adds a toxic for the length of a subtest.
func poison(t *testing.T, proxy *toxiproxy.Proxy, toxic string) {
	t.Helper()
	if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Toxics.RemoveToxic(context.Background(), "t"); err != nil {
			t.Error(err)
		}
	})
}

func region(t *testing.T, name string, s storetest.Server) storage.Region {
	t.Helper()
	bucket := func() storage.Store {
		b, err := minio.New(t.Context(), minio.Config{
			Endpoint: s.Endpoint, AccessKey: s.Access, SecretKey: s.Secret, Region: "us-east-1",
			Bucket: storetest.BucketName(), Insecure: true, PathStyle: true, CreateBucket: true,
		})
		if err != nil {
			t.Fatalf("New = %v", err)
		}
		return b
	}
	return storage.Region{Name: name, Jurisdiction: "CN", Data: bucket(), Keys: bucket()}
}
