package vault_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

func troubleCalled(t *testing.T, name string) storetest.Trouble {
	t.Helper()
	all := storetest.Troubles()
	i := slices.IndexFunc(all, func(trouble storetest.Trouble) bool { return trouble.Name == name })
	if i < 0 {
		t.Fatalf("no trouble is called %q", name)
	}
	return all[i]
}

// A region that takes connections and says nothing, and nobody's patience is short: what
// would wait for it would wait for a minute and longer.
func TestASilentRegionHoldsNoUploadUp(t *testing.T) {
	t.Parallel()
	f := newFaulted(t, storetest.Servers(t), 0, storetest.Trouble{Name: "silent for ever", Begin: troubleCalled(t, "silent").Begin})
	f.act = "silent for ever"
	f.begin()
	var ids []record.ObjectID
	for range 4 {
		doc := f.document()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second) // less than the region is waited for
		r, err := f.h.Put(ctx, radiology, vault.Upload{Body: bytes.NewReader(doc)})
		cancel()
		if err != nil {
			t.Fatalf("Put = %v; want it acknowledged by the others", err)
		}
		f.docs[r.ID], ids = doc, append(ids, r.ID)
		f.opens(r.ID)
	}
	for _, id := range ids {
		if at := f.placed(id); len(at) != 2 {
			t.Errorf("%s counts as placed in %v; want the two that answer", id, at)
		}
	}
	f.heal()
	f.settle()
	f.end()
}

// crashLanes is where a child finds its regions: a gateway that stores documents and is
// killed in the midst of bringing them to a region that was full.
const crashLanes = "MEDVAULT_CRASH_LANES"

type lanesOfChild struct {
	Places    places
	Endpoints map[string]string // by region
}

func storeForLanes(dir, config string) error {
	var c lanesOfChild
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	h, err := vaulttest.Open(context.Background(), vaulttest.Options{Dir: dir, Poll: 50 * time.Millisecond,
		Bucket: func(region, bucket string) (storage.Store, error) {
			if c.Endpoints[region] == "" {
				return nil, nil
			}
			return c.Places.bucket(context.Background(), region, bucket, c.Endpoints[region], nil, true)
		}})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if i == lanesDocuments {
			select {} // until it is killed
		}
		r, err := h.Put(context.Background(), radiology, vault.Upload{Body: bytes.NewReader(laneDocument(i))})
		if err != nil {
			return err
		}
		fmt.Println("acknowledged", i, r.ID) // unbuffered: the parent sees it although we die
	}
}

const lanesDocuments = 12

func laneDocument(i int) []byte {
	return imagingtest.CT(imagingtest.NewPatient(300), imagingtest.Options{Study: 2, Series: 1, Instance: i + 1, Rows: 200, Columns: 200})
}

// TestAKilledGatewayLosesNoCopy: with SIGKILL while copies are under way.
func TestAKilledGatewayLosesNoCopy(t *testing.T) {
	t.Parallel()
	servers := storetest.Servers(t)
	f := newFaulted(t, servers, 1, troubleCalled(t, "full"))
	f.act = "killed"
	f.h.Stop()
	config, err := json.Marshal(lanesOfChild{f.places, map[string]string{ill: f.relay.URL(), "cn-east": servers[1].Endpoint, "cn-south": servers[2].Endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+f.options.Dir, crashPoint+"=0", crashLanes+"="+string(config))
	var stderr bytes.Buffer
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.begin()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []record.ObjectID
	for lines := bufio.NewScanner(out); len(ids) < lanesDocuments && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), fmt.Sprintf("acknowledged %d ", len(ids))); ok {
			f.docs[record.ObjectID(rest)] = laneDocument(len(ids))
			ids = append(ids, record.ObjectID(rest))
		}
	}
	f.heal()
	arrived := func() (n int) {
		for _, id := range ids {
			if _, err := f.past.Data.Head(t.Context(), id.Key("objects")); err == nil {
				n++
			}
		}
		return n
	}
	for arrived() == 0 && len(ids) == lanesDocuments && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	if len(ids) < lanesDocuments {
		t.Fatalf("only %d documents acknowledged: %s", len(ids), &stderr)
	}
	t.Logf("killed with %d of %d copies there", arrived(), lanesDocuments)
	// What the child had leased is due when the lease has run out.
	f.options.Now = func() time.Time { return time.Now().Add(5 * time.Minute) }
	f.open()
	f.settle()
	f.end()
}

// Bytes that come wrong once are told from bytes that lie there wrong.
func TestBytesThatCameWrongOnceAreNoDamage(t *testing.T) {
	t.Parallel()
	h, faulty := faultyHouse(t, vaulttest.Options{})
	id := put(t, h, ct(patient(), 1)).ID
	eventually(t, "three copies", func() bool { return len(holders(t, h, id)) == 3 })
	settled(t, h)
	faulty["cn-east/data"].Inject(storetest.Fault{Op: "get", Key: "objects/", After: 300, Damage: true, Times: 1})
	r := verify(t, h, vault.LevelRead)
	if len(r.Findings) > 0 || len(r.Notes) != 1 || r.Notes[0].Type != vault.NoteUnsteady || r.Notes[0].Region != "cn-east" || r.Notes[0].Object != string(id) {
		t.Errorf("findings %v, notes %+v; want no finding and a note of what came wrong in cn-east", named(r.Findings), r.Notes)
	}
}
