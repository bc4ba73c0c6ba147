package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/storage/aws"
	"medvault/storage/minio"
	"medvault/storage/s3"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// ill is the region behind the relay: the nearest one, which reads ask first.
const ill = "cn-north"

// TestFaultMatrix is a whole vault over three S3 services, one of them behind a relay in
// which every trouble begins and ends, during every act. MEDVAULT_TEST_FAULTS=all runs
// each cell; otherwise each trouble meets one of the acts, and each act some of the
// troubles. Under the race detector, where a cell takes ten times as long, it is four.
func TestFaultMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	servers := storetest.Servers(t)
	if len(servers) < 3 {
		t.Skip("set MEDVAULT_TEST_S3 to three servers (scripts/test starts them)")
	}
	all := os.Getenv("MEDVAULT_TEST_FAULTS") == "all"
	var running sync.WaitGroup
	room := make(chan struct{}, 6) // most of a trouble's time is waiting
	for i, trouble := range slices.Concat(storetest.Troubles(), storetest.ListingTroubles(), storetest.SmallTroubles()) {
		if raced && !all && i >= 4 {
			break
		}
		running.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			t.Run(trouble.Name, func(t *testing.T) {
				f := newFaulted(t, servers, i, trouble)
				for j, act := range troubledActs {
					if !all && i%len(troubledActs) != j {
						continue
					}
					f.act = act.name
					began := time.Now()
					act.run(f)
					t.Logf("%s: %v", act.name, time.Since(began).Round(time.Millisecond))
				}
				f.end()
			})
		})
	}
	running.Wait()
}

// troubledActs are what a trouble may fall into, in the order in which one vault does
// them. Each leaves all regions alike.
var troubledActs = []struct {
	name string
	run  func(*faulted)
}{
	{"start", (*faulted).start},
	{"put", (*faulted).put},
	{"copy", (*faulted).copy},
	{"read", (*faulted).read},
	{"verify", (*faulted).verify},
	{"repair", (*faulted).repair},
	{"rebuild", (*faulted).rebuild},
}

// faulted is a vault one region of which has a trouble now and then.
type faulted struct {
	*testing.T
	act       string
	trouble   storetest.Trouble
	number    int // of the trouble
	relay     *storetest.Relay
	places    places
	link      *link                               // to the ill region
	past      storage.Region                      // the ill region, past the trouble
	buckets   map[string]map[string]storage.Store // by region
	options   vaulttest.Options
	h         *vaulttest.House
	instances int
	large     bool // documents, for what happens in the midst of one
	docs      map[record.ObjectID][]byte
}

// newFaulted opens a vault on fresh buckets: through one driver or the other, with and
// without versions.
func newFaulted(t *testing.T, servers []storetest.Server, i int, trouble storetest.Trouble) *faulted {
	f := &faulted{T: t, trouble: trouble, number: i, relay: storetest.NewRelay(t, servers[0].Endpoint), docs: make(map[record.ObjectID][]byte)}
	f.link = newLink(trouble.Name == "silent")
	t.Cleanup(f.link.CloseIdleConnections)
	f.places = newPlaces(servers, i%2 == 0, i%4 < 2)
	past := f.places.open(t, ill, servers[0].Endpoint, nil, false)
	f.past = storage.Region{Name: ill, Data: past["data"], Keys: past["keys"]}
	behind := f.places.open(t, ill, f.relay.URL(), f.link, true)
	east, south := f.places.open(t, "cn-east", servers[1].Endpoint, nil, false), f.places.open(t, "cn-south", servers[2].Endpoint, nil, false)
	f.buckets = map[string]map[string]storage.Store{ill: behind, "cn-east": east, "cn-south": south}
	f.options = vaulttest.Options{Dir: t.TempDir(), Poll: 200 * time.Millisecond,
		Bucket: func(region, bucket string) (storage.Store, error) { return f.buckets[region][bucket], nil }}
	f.open()
	f.store() // what lies there before
	f.settle()
	return f
}

// places says how the buckets of a test's regions are reached.
type places struct {
	Name           string // begins the buckets' names
	AWS, Versions  bool
	Access, Secret string
}

func newPlaces(servers []storetest.Server, aws, versions bool) places {
	return places{Name: storetest.BucketName(), AWS: aws, Versions: versions, Access: servers[0].Access, Secret: servers[0].Secret}
}

// open opens the two buckets of a region, and makes them unless they are known.
func (p places) open(t testing.TB, region, endpoint string, transport http.RoundTripper, known bool) map[string]storage.Store {
	t.Helper()
	buckets := make(map[string]storage.Store)
	for _, bucket := range []string{"data", "keys"} {
		s, err := p.bucket(t.Context(), region, bucket, endpoint, transport, known)
		if err != nil {
			t.Fatal(err)
		}
		buckets[bucket] = s
	}
	return buckets
}

func (p places) bucket(ctx context.Context, region, bucket, endpoint string, transport http.RoundTripper, known bool) (storage.Store, error) {
	name, versions := p.Name+"-"+region+"-"+bucket, p.Versions && bucket == "data"
	if p.AWS {
		return aws.New(ctx, aws.Config{Endpoint: endpoint, AccessKey: p.Access, SecretKey: p.Secret, Region: "us-east-1", Bucket: name,
			PathStyle: true, Insecure: true, CreateBucket: !known, Versioning: versions, Transport: transport, Limits: s3.Limits{Known: known}})
	}
	return minio.New(ctx, minio.Config{Endpoint: endpoint, AccessKey: p.Access, SecretKey: p.Secret, Region: "us-east-1", Bucket: name,
		PathStyle: true, Insecure: true, CreateBucket: !known, Versioning: versions, Transport: transport, Limits: s3.Limits{Known: known}})
}

func (f *faulted) open() {
	f.Helper()
	h, err := vaulttest.Open(f.Context(), f.options)
	if err != nil {
		f.Fatalf("%s: open: %v", f.act, err)
	}
	f.h = h
	f.Cleanup(h.Stop)
}

// during does something while the trouble lasts.
func (f *faulted) during(do func()) {
	f.begin()
	defer f.heal()
	do()
}

func (f *faulted) begin() {
	f.link.troubled.Store(true)
	f.trouble.Begin(f, f.relay)
	f.link.CloseIdleConnections() // which the trouble has broken
}

func (f *faulted) heal() {
	f.relay.Restore(f)
	f.link.troubled.Store(false)
	f.link.CloseIdleConnections()
}

// link is the transport to the ill region. Where that is silent nobody waits for it long,
// as long as the trouble lasts.
type link struct {
	*http.Transport
	hasty    *http.Transport // nil: there is no hurry
	troubled atomic.Bool
}

func newLink(hasty bool) *link {
	l := &link{Transport: s3.NewTransport(nil)}
	if hasty {
		l.hasty = s3.NewTransport(nil)
		l.hasty.ResponseHeaderTimeout = 300 * time.Millisecond
	}
	return l
}

func (l *link) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.hasty != nil && l.troubled.Load() {
		return l.hasty.RoundTrip(r)
	}
	return l.Transport.RoundTrip(r)
}

func (l *link) CloseIdleConnections() {
	l.Transport.CloseIdleConnections()
	if l.hasty != nil {
		l.hasty.CloseIdleConnections()
	}
}

// document is the next one: where the trouble is one of large objects, every second is.
func (f *faulted) document() []byte {
	f.instances++
	side := 64
	if f.large || f.instances%2 == 1 && strings.Contains(f.trouble.Name, "cut") {
		side = 400
	}
	return imagingtest.CT(imagingtest.NewPatient(300), imagingtest.Options{Study: 1, Series: 1, Instance: f.instances, Rows: side, Columns: side})
}

// store puts the next document, which must be acknowledged, and sees to it that it may be
// read.
func (f *faulted) store() record.ObjectID {
	f.Helper()
	doc := f.document()
	r, err := f.h.Put(f.Context(), radiology, vault.Upload{Body: bytes.NewReader(doc)})
	if err != nil {
		f.Fatalf("%s: put: %v", f.act, err)
	}
	if len(f.docs) == 0 {
		treat(f.T, f.h, r.Patient)
	}
	f.docs[r.ID] = doc
	return r.ID
}

// settle waits until every region has what it was promised, and looks past the trouble
// whether it is there.
func (f *faulted) settle() {
	f.Helper()
	f.await("every region caught up", func() bool {
		pending, err := f.h.Catalog.Pending(f.Context(), "copy")
		if err != nil {
			f.Fatal(err)
		}
		return pending == 0
	})
	for id := range f.docs {
		if err := f.there(f.past, id); err != nil {
			f.Errorf("%s: the region caught up, and there lies of %s: %v", f.act, id, err)
		}
	}
}

// await waits for two minutes: the machine may be busy.
func (f *faulted) await(what string, so func() bool) {
	f.Helper()
	for range 2400 {
		if so() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	f.Fatalf("%s: did not become so: %s; the region: %+v", f.act, what, f.state(ill))
}

func (f *faulted) state(region string) vault.RegionStatus { return state(f.T, f.h, region) }

// there looks whether a region has the right bytes of a document.
func (f *faulted) there(r storage.Region, id record.ObjectID) error {
	o := f.object(id)
	return storage.Verify(f.Context(), r.Data, o.Key(), o.Size, o.SHA256)
}

// opens opens a document and wants all of it.
func (f *faulted) opens(id record.ObjectID) {
	f.Helper()
	switch got, err := f.bytes(id); {
	case err != nil:
		f.Errorf("%s: open %s: %v", f.act, id, err)
	case !bytes.Equal(got, f.docs[id]):
		f.Errorf("%s: %s came back as %d other bytes; want %d", f.act, id, len(got), len(f.docs[id]))
	}
}

// bytes opens a document and reads it to its end, or to what breaks it off.
func (f *faulted) bytes(id record.ObjectID) ([]byte, error) {
	o, err := f.h.Open(f.Context(), clinician, vault.Ref{Document: id})
	if err != nil {
		return nil, err
	}
	r, err := o.Documents[0].Reader(f.Context())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (f *faulted) check(o vault.VerifyOptions) vault.Report {
	f.Helper()
	r, err := f.h.Verify(f.Context(), operator, o, nil)
	if err != nil {
		f.Fatalf("%s: verify %s: %v", f.act, o.Level, err)
	}
	return r
}

// clean wants a verification that reads everything to find nothing.
func (f *faulted) clean() {
	f.Helper()
	if got := named(f.check(vault.VerifyOptions{Level: vault.LevelRead}).Findings); len(got) > 0 {
		f.Errorf("%s: findings after the trouble: %v; want none", f.act, got)
	}
}

// end looks at the whole: the log, what opens, and what may lie abroad.
func (f *faulted) end() {
	f.act = "in the end"
	f.clean()
	for id := range f.docs {
		f.opens(id)
	}
	if report, err := f.h.AuditVerify(f.Context(), auditor); err != nil || !report.Intact {
		f.Errorf("AuditVerify = %+v, %v; want intact", report, err)
	}
	for _, path := range files(f.T, filepath.Join(f.options.Dir, "regions")) {
		if !strings.Contains(path, "/log/") && filepath.Base(path) != "~bucket" {
			f.Errorf("abroad lies %s; want nothing", path)
		}
	}
}

// start: a gateway begins in the trouble, and stores.
func (f *faulted) start() {
	f.h.Stop()
	f.during(func() {
		f.buckets[ill] = f.places.open(f, ill, f.relay.URL(), f.link, true)
		f.open()
		f.opens(f.store())
	})
	f.settle()
	f.clean()
}

// put: acknowledged by the others, or refused. Nothing else.
func (f *faulted) put() {
	var refused [][]byte
	f.during(func() {
		for range 2 {
			doc := f.document()
			r, err := f.h.Put(f.Context(), radiology, vault.Upload{Body: bytes.NewReader(doc)})
			switch {
			case err == nil && len(r.Regions) < 2:
				f.Errorf("put: acknowledged with %v", r.Regions)
				fallthrough
			case err == nil:
				f.docs[r.ID] = doc
				f.opens(r.ID)
			case errors.Is(err, record.ErrUnavailable):
				refused = append(refused, doc)
			default:
				f.Errorf("put = %v; want it acknowledged, or refused for now", err)
			}
		}
	})
	for _, doc := range refused {
		if r, err := f.h.Put(f.Context(), radiology, vault.Upload{Body: bytes.NewReader(doc)}); err != nil {
			f.Errorf("put again after the trouble = %v", err)
		} else {
			f.docs[r.ID] = doc
		}
	}
	f.settle()
	f.clean()
	for id := range f.docs {
		f.opens(id)
	}
}

// copy: what is promised to the region is tried in the trouble, and comes there after it.
func (f *faulted) copy() {
	f.relay.Down()
	first, second := f.store(), f.store()
	before := f.state(ill).Failures
	f.begin()
	if f.trouble.Name != "down" {
		f.relay.Up(f)
	}
	f.await("copies were tried", func() bool {
		s := f.state(ill)
		return s.Pending == 0 || s.Failures > before+1
	})
	for _, id := range []record.ObjectID{first, second} {
		if slices.Contains(f.placed(id), ill) {
			if err := f.there(f.past, id); err != nil {
				f.Errorf("copy: %s counts as placed, and there lies: %v", id, err)
			}
		}
	}
	f.heal()
	f.settle()
	f.clean()
}

// read: right whatever happens to one region, and where it is the only one right or
// broken off.
func (f *faulted) read() {
	f.large = true
	alone, shared := f.store(), f.store()
	f.large = false
	f.settle()
	for _, r := range f.h.Set.Regions() {
		if r.Name != ill && r.Name != vaulttest.Foreign {
			if err := r.Data.Delete(f.Context(), f.object(alone).Key()); err != nil {
				f.Fatal(err)
			}
		}
	}
	// Begun before the trouble, and ended in it.
	o, err := f.h.Open(f.Context(), clinician, vault.Ref{Document: shared})
	if err != nil {
		f.Fatal(err)
	}
	begun, err := o.Documents[0].Reader(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	defer begun.Close()
	got := make([]byte, 1000)
	if _, err := io.ReadFull(begun, got); err != nil {
		f.Fatal(err)
	}
	f.during(func() {
		rest, err := io.ReadAll(begun)
		if got = append(got, rest...); err != nil || !bytes.Equal(got, f.docs[shared]) {
			f.Errorf("read: what was begun before the trouble: %d bytes, %v; want %d", len(got), err, len(f.docs[shared]))
		}
		for id := range f.docs {
			if id != alone {
				f.opens(id)
			}
		}
		if got, err := f.bytes(alone); err == nil && !bytes.Equal(got, f.docs[alone]) || !bytes.HasPrefix(f.docs[alone], got) {
			f.Errorf("read: what only the region has came as %d bytes, %v; want the right ones or an error behind right ones", len(got), err)
		}
	})
	f.opens(alone)
	f.mend()
}

// object is what the catalog says of a document.
func (f *faulted) object(id record.ObjectID) catalog.Object {
	f.Helper()
	var o catalog.Object
	err := f.h.Catalog.View(f.Context(), func(tx *catalog.Tx) (err error) {
		o, err = tx.Object(f.Context(), id)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return o
}

// placed are the regions that count as holding a document.
func (f *faulted) placed(id record.ObjectID) (names []string) {
	f.Helper()
	err := f.h.Catalog.View(f.Context(), func(tx *catalog.Tx) error {
		placed, err := tx.Placements(f.Context(), id)
		for name, there := range placed {
			if there {
				names = append(names, name)
			}
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	return names
}

// damage replaces an object in a region with other bytes, past everything.
func (f *faulted) damage(r storage.Region, id record.ObjectID) string {
	f.Helper()
	o := f.object(id)
	if err := errors.Join(r.Data.Delete(f.Context(), o.Key()), r.Data.Put(f.Context(), o.Key(), storetest.Body(storetest.Bytes(int(o.Size))))); err != nil {
		f.Fatal(err)
	}
	return vault.FindingDamaged + " " + r.Name + " " + string(id)
}

// wreck damages what lies in the ill region past the trouble: bytes, a wrap, and one that
// is gone.
func (f *faulted) wreck(bad, gone record.ObjectID) (found []string) {
	f.Helper()
	found = append(found, f.damage(f.past, bad))
	if err := f.past.Data.Delete(f.Context(), f.object(gone).Key()); err != nil {
		f.Fatal(err)
	}
	found = append(found, vault.FindingMissing+" "+ill+" "+string(gone))
	for info, err := range f.past.Keys.List(f.Context(), "wraps/content/", "") {
		if err != nil {
			f.Fatal(err)
		}
		if err := errors.Join(f.past.Keys.Delete(f.Context(), info.Key), f.past.Keys.Put(f.Context(), info.Key, storetest.Body(storetest.Bytes(int(info.Size))))); err != nil {
			f.Fatal(err)
		}
		found = append(found, vault.FindingWrapDamaged+" "+ill+" "+info.Key)
		break
	}
	slices.Sort(found)
	return found
}

// verify: never clean while something is amiss or cannot be seen, and nothing but the
// truth after it.
func (f *faulted) verify() {
	bad, gone := f.store(), f.store()
	f.settle()
	exportLog(f.T, f.h)
	stray := "stuff/" + string(record.NewObjectID())
	if err := f.past.Data.Put(f.Context(), stray, storetest.Body([]byte("what is this"))); err != nil {
		f.Fatal(err)
	}
	var want []string
	f.during(func() {
		if r := f.check(vault.VerifyOptions{Level: vault.LevelList, Region: ill}); len(r.Findings) == 0 {
			f.Errorf("verify: clean while something lies there that nobody put there")
		}
		want = f.wreck(bad, gone)
		f.unclean(vault.LevelRead, want)
		f.unclean([]string{vault.LevelChecksum, vault.LevelDecrypt, vault.LevelLog}[f.number%3], want)
	})
	if err := f.past.Data.Delete(f.Context(), stray); err != nil {
		f.Fatal(err)
	}
	if got := named(f.check(vault.VerifyOptions{Level: vault.LevelRead}).Findings); !slices.Equal(got, want) {
		f.Errorf("verify: findings after the trouble:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	f.mend()
}

// unclean wants a verification in the trouble to find what is amiss, or to say that it
// could not look; and to accuse nobody else.
func (f *faulted) unclean(level string, amiss []string) {
	f.Helper()
	r := f.check(vault.VerifyOptions{Level: level})
	got := named(r.Findings)
	var blind bool
	for _, one := range r.Findings {
		blind = blind || one.Type == vault.FindingUnreachable && one.Region == ill || one.Type == vault.FindingLogMissing || one.Type == vault.FindingLogDamaged
		if one.Region != ill {
			f.Errorf("verify %s: accuses %s: %+v", level, one.Region, one)
		}
	}
	if len(got) == 0 {
		f.Errorf("verify %s: clean in the trouble", level)
	}
	if blind {
		if level != vault.LevelLog && slices.ContainsFunc(f.lastVerified(level), func(v vault.RegionVerified) bool { return v.Region == ill && !v.At.Before(r.Ended) }) {
			f.Errorf("verify %s: the region could not be looked at and counts as verified", level)
		}
		return
	}
	if level != vault.LevelRead && level != vault.LevelDecrypt { // the others say less of bytes
		return
	}
	for _, one := range amiss {
		if !slices.Contains(got, one) {
			f.Errorf("verify %s: did not find %s, only %v", level, one, got)
		}
	}
}

func (f *faulted) lastVerified(level string) (of []vault.RegionVerified) {
	all, err := f.h.LastVerified(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return slices.DeleteFunc(all, func(v vault.RegionVerified) bool { return v.Level != level })
}

// repair: whether the ill region is where the damage is or where the copies are, nothing
// good is lost, and after it a second look proves the rest.
func (f *faulted) repair() {
	bad, gone, other := f.store(), f.store(), f.store()
	f.settle()
	east, _ := f.h.Set.Region("cn-east")
	f.wreck(bad, gone)
	f.damage(east, other)
	good := f.good()
	f.during(func() {
		if r, err := f.h.Repair(f.Context(), operator, vault.RepairOptions{}, nil); err != nil {
			f.Errorf("repair = %v; want a report of what could be done", err)
		} else if slices.ContainsFunc(r.Steps, func(s vault.RepairStep) bool {
			return s.Region == "cn-east" && s.Outcome != vault.OutcomeRepaired
		}) {
			f.Errorf("repair: cn-south has what cn-east lacks, and it was not repaired: %+v", r.Steps)
		}
	})
	for where, err := range f.good() {
		if good[where] == nil && err != nil {
			f.Errorf("repair: %s was right before and is not: %v", where, err)
		}
	}
	f.mend()
}

// good tells of every document in every region whether its bytes are right.
func (f *faulted) good() map[string]error {
	where := make(map[string]error)
	for _, r := range append(f.h.Set.Regions()[1:3], f.past) {
		for id := range f.docs {
			where[r.Name+" "+string(id)] = f.there(r, id)
		}
	}
	return where
}

// mend repairs all there is after the trouble, and has it proven.
func (f *faulted) mend() {
	f.Helper()
	if r := mend(f.T, f.h, vault.RepairOptions{}); r.Left != 0 {
		f.Errorf("%s: the repair after the trouble leaves %d of %+v", f.act, r.Left, r.Steps)
	}
	f.clean()
	for where, err := range f.good() {
		if err != nil {
			f.Errorf("%s: after the repair, %s: %v", f.act, where, err)
		}
	}
}

// rebuild: from the region in its trouble, and from one whose trouble begins in the midst
// of it. After it the same call brings all back.
func (f *faulted) rebuild() {
	f.settle()
	exportLog(f.T, f.h)
	f.h.Stop()
	whole := f.rebuildPast()
	f.options.DSN = "sqlite:" + filepath.Join(f.options.Dir, "rebuilt-"+storetest.BucketName()+".db")
	f.during(func() {
		done, err := vaulttest.Rebuild(f.Context(), f.options, ill)
		f.accounted(done, err, whole)
	})
	var once sync.Once
	done, err := vaulttest.RebuildWith(f.Context(), f.options, ill, func(cfg *vault.RebuildConfig) error {
		cfg.Progress = func(p vault.RebuildProgress) {
			if p.Phase == "wraps" {
				once.Do(f.begin)
			}
		}
		return nil
	})
	f.accounted(done, err, whole)
	f.heal()
	if done, err = vaulttest.Rebuild(f.Context(), f.options, ill); err != nil {
		f.Fatalf("rebuild after the trouble = %v", err)
	}
	if tally(done) != tally(whole) || len(done.Findings) > 0 {
		f.Errorf("rebuild after the trouble: %s, findings %+v; want %s and none", tally(done), done.Findings, tally(whole))
	}
	f.open()
	for id := range f.docs {
		f.opens(id)
	}
	f.settle()
	f.clean()
}

// rebuildPast is what a rebuild from the region comes to when it is well.
func (f *faulted) rebuildPast() vault.Rebuilt {
	f.Helper()
	o := f.options
	o.DSN = "sqlite:" + filepath.Join(f.options.Dir, "past-"+storetest.BucketName()+".db")
	o.Bucket = func(region, bucket string) (storage.Store, error) {
		return map[string]storage.Store{"data": f.past.Data, "keys": f.past.Keys}[bucket], nil
	}
	whole, err := vaulttest.Rebuild(f.Context(), o, ill)
	if err != nil || len(whole.Findings) > 0 || whole.Documents != int64(len(f.docs)) {
		f.Fatalf("rebuild without trouble = %+v, %v; want %d documents", whole, err, len(f.docs))
	}
	return whole
}

// accounted wants a rebuild in the trouble to fail, or to name what it did not bring back.
func (f *faulted) accounted(done vault.Rebuilt, err error, whole vault.Rebuilt) {
	f.Helper()
	if err != nil {
		return
	}
	lacks := int64(0)
	for _, one := range done.Findings {
		if one.Lacks() {
			lacks++
		}
	}
	if done.Documents+done.Records+lacks < whole.Documents+whole.Records || done.Log.Size < whole.Log.Size && lacks == 0 {
		f.Errorf("rebuild in the trouble: %s and %d findings of what is lacking; want %s, or the rest named", tally(done), lacks, tally(whole))
	}
}

// tally is what two rebuilds from one region must agree on.
func tally(r vault.Rebuilt) string {
	return fmt.Sprintf("%d patients, %d documents, %d records, %d wraps, log of %d with root %s", r.Patients, r.Documents, r.Records, r.Wraps, r.Log.Size, r.Log.Root)
}
