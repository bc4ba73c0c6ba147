package vault_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// crashLoad makes the process of crash_test.go one that stores documents until it is
// killed; "all" acknowledges what all home regions hold.
const crashLoad = "MEDVAULT_CRASH_LOAD"

// survivor is the region that is left. It is the worst, so that much is acknowledged
// that it does not hold yet.
const survivor = "cn-south"

func loaded(i int) []byte {
	return imagingtest.CT(imagingtest.NewPatient(uint64(400+i%12)), imagingtest.Options{Study: 1, Series: 1, Instance: i + 1, Rows: 64, Columns: 64})
}

func loadForEver(dir string, all bool) error {
	o := vaulttest.Options{Dir: dir, LogExport: 300 * time.Millisecond,
		Store: func(region, bucket string, s storage.Store) storage.Store {
			if region == survivor && bucket == "data" {
				return slowStore{s, !all}
			}
			return s
		}}
	if all {
		o.Quorum = func(permitted int) int { return permitted }
	}
	h, err := vaulttest.Open(context.Background(), o)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		r, err := h.Put(context.Background(), radiology, vault.Upload{Body: bytes.NewReader(loaded(i))})
		if err != nil {
			return err
		}
		fmt.Println("acknowledged", i, r.ID) // unbuffered: the parent sees it although we die
	}
}

// slowStore takes its time with every object, and with the log none. Some it does not
// take at all.
type slowStore struct {
	storage.Store
	some bool // does not come by
}

func (s slowStore) Put(ctx context.Context, key string, body storage.Body) error {
	switch class, _, _ := strings.Cut(key, "/"); {
	case class == "log":
	case s.some && strings.ContainsAny(key[len(key)-1:], "0123"):
		return fmt.Errorf("put: %w", storage.ErrCorrupt)
	default:
		time.Sleep(20 * time.Millisecond)
	}
	return s.Store.Put(ctx, key, body)
}

func TestDisaster(t *testing.T) {
	for _, quorum := range []string{"majority", "all"} {
		t.Run(quorum, func(t *testing.T) { disaster(t, quorum) })
	}
}

// disaster: the gateway is killed under load; the catalog, two of three regions and the
// gateway's disk are lost.
func disaster(t *testing.T, quorum string) {
	root := t.TempDir()
	acknowledged := killUnderLoad(t, root, quorum, 30)
	dropCatalog(t, root)
	for _, region := range []string{"cn-north", "cn-east"} {
		loseRegion(t, root, region)
	}
	held := make(map[string]bool)
	for _, path := range files(t, filepath.Join(root, "regions", survivor, "objects")) {
		held[filepath.Base(path)] = true
	}
	var unconfirmed int
	inLog := make(map[record.ObjectID]bool)
	var done vault.Rebuilt
	done, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: root}, survivor)
	if err != nil {
		t.Fatal(err)
	}
	index, err := catalog.Open(t.Context(), catalog.Config{DSN: "sqlite:" + filepath.Join(root, "catalog.db")})
	if err != nil {
		t.Fatal(err)
	}
	for id := range acknowledged {
		if _, err := index.CommitLeaf(t.Context(), id); err == nil {
			inLog[id] = true
		} else if !errors.Is(err, catalog.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if err := index.Close(); err != nil {
		t.Fatal(err)
	}
	named := make(map[record.ObjectID]string)
	for _, f := range done.Findings {
		named[record.ObjectID(f.Object)] = f.Type
	}

	h := vaulttest.New(t, vaulttest.Options{Dir: root})
	back, lost := 0, 0
	for id, i := range acknowledged {
		switch {
		case held[string(id)]:
			if named[id] == vault.RebuildAdopted {
				unconfirmed++
			}
			original := loaded(i)
			treatOnce(t, h, id)
			handles := open(t, h, clinician, vault.Ref{Document: id})
			if got := read(t, handles[0]); !bytes.Equal(got, original) {
				t.Errorf("document %d comes back with %d other bytes", i, len(got))
			}
			back++
		case inLog[id] && named[id] != vault.RebuildLostHere:
			t.Errorf("document %d (%s) is in the log, not in the region, and named %q", i, id, named[id])
		default:
			lost++
		}
	}
	t.Logf("quorum %s: %d acknowledged, %d came back (%d of them unconfirmed), %d had not reached the survivor, %d named; its log known to leaf %d; %.2f minutes per 100,000 objects",
		quorum, len(acknowledged), back, unconfirmed, lost, done.Missing, done.Log.Size, done.MinutesPer100000)
	if quorum == "all" && lost > 0 {
		t.Errorf("%d acknowledged documents lost with quorum all", lost)
	}
	if back == 0 || quorum != "all" && done.Missing == 0 {
		t.Errorf("%d came back and %d are named: this has tried nothing", back, done.Missing)
	}
	settled(t, h)
	if r := verify(t, h, vault.LevelRead); len(r.Findings) > 0 {
		t.Errorf("verify after the copies = %+v", r.Findings)
	}
	a, err := h.AuditVerify(t.Context(), vaulttest.Actor(record.RoleAuditor))
	if err != nil {
		t.Fatal(err)
	}
	// A region abroad has checkpoints and no leaves: its newest may tell of leaves that are
	// lost with the catalog, and that stays a finding.
	for _, l := range a.Regions {
		if l.Finding && l.Region != vaulttest.Foreign {
			t.Errorf("AuditVerify = %+v", a)
		}
	}
}

// treatOnce makes the clinician treat whose document this is.
func treatOnce(t *testing.T, h *vaulttest.House, id record.ObjectID) {
	t.Helper()
	var of record.PatientToken
	treats := false
	err := h.Catalog.View(t.Context(), func(tx *catalog.Tx) error {
		d, err := tx.Document(t.Context(), id)
		if err != nil {
			return err
		}
		of = d.Patient
		treats, err = tx.Treats(t.Context(), clinician.ID, of, time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !treats {
		treat(t, h, of)
	}
}

// killUnderLoad runs a gateway that stores documents and kills it after so many were
// acknowledged. It returns these, with their numbers.
func killUnderLoad(t *testing.T, root, quorum string, after int) map[record.ObjectID]int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+root, crashPoint+"=0", crashLoad+"="+quorum)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := make(map[record.ObjectID]int)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 || fields[0] != "acknowledged" {
			continue
		}
		i, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		acknowledged[record.ObjectID(fields[2])] = i
		if len(acknowledged) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if len(acknowledged) < after {
		t.Fatalf("only %d documents acknowledged: %s", len(acknowledged), &stderr)
	}
	return acknowledged
}
