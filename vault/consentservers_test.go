package vault_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"medvault/keys"
	"medvault/keys/transit"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// The same as over directories, with the foreign region in a bucket with versions, under a
// transit engine of its own.
func TestConsentIsFollowedOnRealServers(t *testing.T) {
	t.Parallel()
	servers := storetest.Servers(t)
	service := transitOf(t, "sg")
	buckets := newPlaces(servers, false, true).open(t, vaulttest.Foreign, servers[0].Endpoint, nil, false)
	o := fast()
	o.Bucket = func(region, bucket string) (storage.Store, error) {
		if region == vaulttest.Foreign {
			return buckets[bucket], nil
		}
		return nil, nil
	}
	o.Wrapper = func(region string, w keys.Wrapper) keys.Wrapper {
		if region == vaulttest.Foreign {
			return service
		}
		return w
	}
	h := vaulttest.New(t, o)
	p := patient()
	doc := ct(p, 1)
	r, evidence := put(t, h, doc), written(t, h, p)
	treat(t, h, r.Patient)
	lies := func() (objects, wraps int) {
		for _, prefix := range []string{"objects/", "records/"} {
			for _, err := range buckets["data"].List(t.Context(), prefix, "") {
				if err != nil {
					t.Fatal(err)
				}
				objects++
			}
		}
		for _, err := range buckets["keys"].List(t.Context(), "wraps/", "") {
			if err != nil {
				t.Fatal(err)
			}
			wraps++
		}
		return objects, wraps
	}
	b := keys.Binding{Kind: keys.Identity, Token: string(r.Patient), Generation: 1}
	c := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: evidence.ID})
	await(t, "everything abroad", func() bool {
		objects, wraps := lies()
		return objects >= 3 && wraps == 2 && state(t, h, vaulttest.Foreign).Pending == 0
	})
	clean(t, h, vault.LevelDecrypt)
	stolen := wrapIn(t, buckets["keys"], service, b)
	if _, err := service.Unwrap(t.Context(), []keys.Bound{stolen}); err != nil {
		t.Fatalf("Unwrap of what lies abroad = %v", err)
	}
	withdraw(t, h, r.Patient, c.ID)
	await(t, "nothing abroad", func() bool {
		objects, wraps := lies()
		return objects+wraps == 0 && state(t, h, vaulttest.Foreign).Clearing == 0
	})
	if _, err := service.Unwrap(t.Context(), []keys.Bound{stolen}); err == nil {
		t.Error("a wrap that was copied abroad before the withdrawal opens still")
	}
	clean(t, h, vault.LevelDecrypt)
	if docs := open(t, h, clinician, vault.Ref{Document: r.ID}); !bytes.Equal(read(t, docs[0]), doc) {
		t.Error("the document does not come back at home")
	}
}

// wrapIn reads the wrap of a key from a region, as a thief would keep it.
func wrapIn(t *testing.T, s storage.Store, service keys.Wrapper, b keys.Binding) keys.Bound {
	t.Helper()
	version, _, err := service.Version(t.Context(), b.Kind, service.Shard(b))
	if err != nil {
		t.Fatal(err)
	}
	w := keys.Wrap{Shard: service.Shard(b), Version: version}
	body, err := s.Get(t.Context(), w.Key(b), 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var blob bytes.Buffer
	if _, err := blob.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	w.Blob = blob.String()
	return keys.Bound{Binding: b, Wrap: w}
}

// transitOf is a transit engine of the test's own, or skips the test.
func transitOf(t *testing.T, name string) keys.Wrapper {
	t.Helper()
	s, _ := transitAt(t, name)
	return s
}

// transitAt is transitOf, and where the engine is mounted.
func transitAt(t *testing.T, name string) (*transit.Service, string) {
	t.Helper()
	address, token := os.Getenv("MEDVAULT_TEST_TRANSIT"), os.Getenv("MEDVAULT_TEST_TRANSIT_TOKEN")
	if address == "" || token == "" {
		t.Skip("set MEDVAULT_TEST_TRANSIT and MEDVAULT_TEST_TRANSIT_TOKEN (scripts/test starts a server)")
	}
	c := transit.Config{Name: name, Address: address, Auth: transit.Auth{Token: transit.Fixed(token)}, Shards: 1, Mount: storetest.BucketName()}
	roles, err := transit.Provision(t.Context(), c, transit.Provisioning{Role: c.Mount})
	if err != nil {
		t.Fatal(err)
	}
	c.Rotation = &transit.Auth{RoleID: roles.Rotation.RoleID, SecretID: roles.Rotation.SecretID}
	s, err := transit.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		client, err := api.NewClient(&api.Config{Address: address})
		if err != nil {
			t.Fatal(err)
		}
		client.SetToken(token)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := client.Sys().UnmountWithContext(ctx, c.Mount); err != nil {
			t.Error(err)
		}
	})
	return s, c.Mount
}
