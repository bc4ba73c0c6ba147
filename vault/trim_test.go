package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/keys"
	"medvault/keys/insecure"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

var admin = vaulttest.Actor(record.RoleAdmin)

// sharedService lets cn-east depend on the key service of cn-north, so that one service
// has two regions.
func sharedService(t testing.TB, dir string) func(region string, w keys.Wrapper) keys.Wrapper {
	var north keys.Wrapper
	return func(region string, w keys.Wrapper) keys.Wrapper {
		switch region {
		case "cn-north":
			north = w
		case "cn-east":
			if north == nil { // a rebuild from cn-east alone
				north = localKeys(t, dir, "cn-north")
			}
			return north
		}
		return w
	}
}

func localKeys(t testing.TB, dir, service string) *insecure.Service {
	t.Helper()
	s, err := insecure.New(insecure.Config{Name: service, Path: filepath.Join(dir, "keys", service+".json"), Shards: 8})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ward is a stopped vault with three patients whose keys lie in one shard, and what was
// known of their keys before anything was rotated.
type ward struct {
	dir      string
	shard    string
	patients []vault.Receipt
	docs     [][]byte
	deks     []keys.DEK   // content keys
	old      []keys.Bound // the wraps by the service of cn-north
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{dir: t.TempDir()}
	h := vaulttest.New(t, vaulttest.Options{Dir: w.dir, Wrapper: sharedService(t, w.dir)})
	byShard := make(map[string][]int)
	var stored []vault.Receipt
	var docs [][]byte
	for n := 0; ; n++ {
		doc := imagingtest.CT(imagingtest.NewPatient(uint64(7000+n)), imagingtest.Options{Study: 1, Rows: 16, Columns: 16})
		r := put(t, h, doc)
		stored, docs = append(stored, r), append(docs, doc)
		w.shard = keys.ShardOf(keys.Binding{Kind: keys.Content, Token: string(r.Patient)}, 8)
		byShard[w.shard] = append(byShard[w.shard], n)
		if len(byShard[w.shard]) == 3 {
			break
		}
	}
	eventually(t, "every region has its copies", func() bool {
		n, err := h.Catalog.Pending(t.Context(), "copy")
		return err == nil && n == 0
	})
	for _, n := range byShard[w.shard] {
		w.patients, w.docs = append(w.patients, stored[n]), append(w.docs, docs[n])
	}
	h.Stop()
	north := localKeys(t, w.dir, "cn-north")
	for _, p := range w.patients {
		bound := w.lying(t, "cn-north", keys.Content, string(p.Patient))
		deks, err := north.Unwrap(t.Context(), bound)
		if err != nil || len(deks) != 1 {
			t.Fatalf("keys of a new patient: %v, %v", deks, err)
		}
		w.deks, w.old = append(w.deks, deks[0]), append(w.old, bound[0])
	}
	return w
}

// lying reads the wraps of one key that lie in a region, of whatever version.
func (w *ward) lying(t testing.TB, region string, kind keys.Kind, token string) (found []keys.Bound) {
	t.Helper()
	root := os.DirFS(filepath.Join(w.dir, "regions", region))
	pattern := "wraps/" + string(kind) + "/*/*/" + token + ".1"
	if kind == keys.House {
		pattern = "house/" + token + "/*/1"
	}
	names, err := fs.Glob(root, pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		blob, err := fs.ReadFile(root, name)
		if err != nil {
			t.Fatal(err)
		}
		shard, version := keys.HouseShard, path.Base(path.Dir(name))
		if kind != keys.House {
			shard = strings.Split(name, "/")[2]
		}
		n, err := strconv.Atoi(version)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, keys.Bound{Binding: keys.Binding{Kind: kind, Token: token, Generation: 1},
			Wrap: keys.Wrap{Shard: shard, Version: n, Blob: string(bytes.TrimSpace(blob))}})
	}
	return found
}

// opens fails unless the patient's content key comes out of a region alone, by its own
// key service.
func (w *ward) opens(t testing.TB, n int, region string) {
	t.Helper()
	service := region
	if region == "cn-east" {
		service = "cn-north"
	}
	s := localKeys(t, w.dir, service)
	for _, b := range w.lying(t, region, keys.Content, string(w.patients[n].Patient)) {
		deks, err := s.Unwrap(context.Background(), []keys.Bound{b})
		if err == nil && bytes.Equal(deks[0].Bytes(), w.deks[n].Bytes()) {
			return
		}
	}
	t.Errorf("patient %d no longer opens from %s alone", n, region)
}

// erase does what destroying a patient will: the state, the wraps and the orders in one
// transaction, then what lies in the regions.
func (w *ward) erase(t testing.TB, h *vaulttest.House, n int) {
	t.Helper()
	token := w.patients[n].Patient
	err := h.Catalog.Update(context.Background(), func(tx *catalog.Tx) error {
		p, err := tx.LockPatient(context.Background(), token)
		if err != nil {
			return err
		}
		p.State = catalog.Erased
		if err := tx.UpdatePatient(context.Background(), p); err != nil {
			return err
		}
		rows, err := tx.Wraps(context.Background(), string(token), 1)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := tx.DeleteWrap(context.Background(), row.Binding, row.Service); err != nil {
				return err
			}
		}
		return tx.OrderRenewal(context.Background(), "cn-north", keys.Content, w.shard, "erasure")
	})
	if err != nil {
		t.Fatal(err)
	}
}

// mortal lets so many more calls of regions and key services through, each counted before
// and after it is done; then the process is dead.
type mortal struct {
	left atomic.Int64
	end  func()
}

var errDead = fmt.Errorf("%w: dead", storage.ErrAway)

func (d *mortal) step() error {
	if d.left.Add(-1) >= 0 {
		return nil
	}
	d.end()
	return errDead
}

func (d *mortal) around(do func() error) error {
	if err := d.step(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return d.step()
}

type mortalStore struct {
	storage.Store
	d *mortal
}

func (s mortalStore) Put(ctx context.Context, key string, body storage.Body) error {
	return s.d.around(func() error { return s.Store.Put(ctx, key, body) })
}

func (s mortalStore) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := s.d.step(); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key, offset, length)
}

func (s mortalStore) Head(ctx context.Context, key string) (storage.Info, error) {
	if err := s.d.step(); err != nil {
		return storage.Info{}, err
	}
	return s.Store.Head(ctx, key)
}

func (s mortalStore) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	if err := s.d.step(); err != nil {
		return func(yield func(storage.Info, error) bool) { yield(storage.Info{}, err) }
	}
	return s.Store.List(ctx, prefix, after)
}

func (s mortalStore) Delete(ctx context.Context, key string) error {
	return s.d.around(func() error { return s.Store.Delete(ctx, key) })
}

type mortalKeys struct {
	keys.Wrapper
	d *mortal
}

func (k mortalKeys) Rewrap(ctx context.Context, items []keys.Bound) (moved []keys.Wrap, err error) {
	err = k.d.around(func() error { moved, err = k.Wrapper.Rewrap(ctx, items); return err })
	return moved, deadKeys(err)
}

func (k mortalKeys) Rotate(ctx context.Context, kind keys.Kind, shard string) (version int, err error) {
	err = k.d.around(func() error { version, err = k.Wrapper.Rotate(ctx, kind, shard); return err })
	return version, deadKeys(err)
}

func (k mortalKeys) Trim(ctx context.Context, kind keys.Kind, shard string, version int) error {
	return deadKeys(k.d.around(func() error { return k.Wrapper.Trim(ctx, kind, shard, version) }))
}

func (k mortalKeys) Unwrap(ctx context.Context, items []keys.Bound) (deks []keys.DEK, err error) {
	err = k.d.around(func() error { deks, err = k.Wrapper.Unwrap(ctx, items); return err })
	return deks, deadKeys(err)
}

func deadKeys(err error) error {
	if errors.Is(err, errDead) {
		return fmt.Errorf("%w: dead", keys.ErrUnavailable)
	}
	return err
}

// A gateway is killed between any two steps of a renewal, in which a patient is destroyed:
// at no time does another patient of the shard stop opening from every single region, and
// whoever comes next carries it out.
func TestKillAtAnyPointOfARenewal(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	const whole = 1 << 40
	steps := killRenewalAt(t, w, whole)
	if steps < 20 {
		t.Fatalf("the renewal took %d steps; it has more", steps)
	}
	for n := int64(0); n < steps; n += apart {
		t.Run(strconv.FormatInt(n, 10), func(t *testing.T) {
			t.Parallel()
			if seen := killRenewalAt(t, w, n); seen < n {
				t.Errorf("died after %d steps; want %d", seen, n)
			}
		})
	}
}

// killRenewalAt kills a renewal after n steps, or lets it end, and tells how many it took.
func killRenewalAt(t *testing.T, from *ward, n int64) (steps int64) {
	w := *from
	w.dir = t.TempDir()
	if err := os.CopyFS(w.dir, os.DirFS(from.dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cn-north", "cn-east", "cn-south", vaulttest.Foreign} { // a copy is open to all
		if err := os.Chmod(filepath.Join(w.dir, "keys", name+".json"), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	ctx, end := context.WithCancel(t.Context())
	d := &mortal{end: end}
	d.left.Store(1 << 40)
	share := sharedService(t, w.dir)
	h := vaulttest.New(t, vaulttest.Options{Dir: w.dir,
		Store: func(_, bucket string, s storage.Store) storage.Store {
			if bucket == "keys" {
				return mortalStore{s, d}
			}
			return s
		},
		Wrapper: func(region string, s keys.Wrapper) keys.Wrapper {
			if region != "cn-north" {
				return share(region, s)
			}
			return share(region, mortalKeys{s, d})
		}})
	w.erase(t, h, 2)
	d.left.Store(n)
	done, err := h.RenewKeys(ctx, admin)
	if died := ctx.Err() != nil; died == (err == nil && len(done) == 1 && done[0].Trimmed == 1) {
		t.Errorf("RenewKeys = %+v, %v; died: %v", done, err, died)
	}
	steps = n - d.left.Load()
	end()
	h.Stop()
	living := func() {
		for _, region := range []string{"cn-north", "cn-east", "cn-south"} {
			w.opens(t, 0, region)
			w.opens(t, 1, region)
		}
	}
	living()

	again := vaulttest.New(t, vaulttest.Options{Dir: w.dir, Wrapper: sharedService(t, w.dir)})
	if done, err := again.RenewKeys(t.Context(), admin); err != nil || len(done) == 1 && done[0].Trimmed != 1 {
		t.Fatalf("RenewKeys by the next = %+v, %v; want the shard trimmed", done, err)
	}
	again.Stop()
	living()
	w.trimmed(t, 2)
	return steps
}

// trimmed fails unless old copies of the wraps open nothing, nothing is left of the
// patient who was destroyed, and of the others one wrap in each region.
func (w *ward) trimmed(t *testing.T, destroyed int) {
	t.Helper()
	s := localKeys(t, w.dir, "cn-north")
	for n, old := range w.old {
		if _, err := s.Unwrap(t.Context(), []keys.Bound{old}); !errors.Is(err, keys.ErrRefused) {
			t.Errorf("an old wrap of patient %d from a backup: %v; want it refused", n, err)
		}
		want := 1
		if n == destroyed {
			want = 0
		}
		for _, region := range []string{"cn-north", "cn-east"} {
			if got := w.lying(t, region, keys.Content, string(w.patients[n].Patient)); len(got) != want {
				t.Errorf("%s: %d wraps of patient %d; want %d", region, len(got), n, want)
			}
		}
	}
}

// While a region that depends on the key service is down nothing is trimmed, whoever asks
// is told why, and once it is back the gateway goes on by itself.
func TestARegionThatIsDownHoldsTheTrimUp(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	var faulty []*storetest.Faulty
	h := vaulttest.New(t, vaulttest.Options{Dir: w.dir, Wrapper: sharedService(t, w.dir),
		Store: func(region, _ string, s storage.Store) storage.Store {
			if region != "cn-east" {
				return s
			}
			f := storetest.NewFaulty(s)
			faulty = append(faulty, f)
			return f
		}})
	for _, f := range faulty {
		f.Inject(storetest.Fault{Err: storage.ErrAway})
	}
	done, err := h.RotateKeys(t.Context(), admin)
	if err != nil {
		t.Fatalf("RotateKeys = %v", err)
	}
	for _, r := range done {
		away := len(r.Pending) == 1 && r.Pending[0].Region == "cn-east" && r.Pending[0].Reason == "away" && r.Trimmed == 0
		if shared := r.Service == "cn-north"; shared != away || !shared && r.Trimmed != r.Shards {
			t.Errorf("rotation = %+v; want cn-north's shards waiting for cn-east, all others trimmed", r)
		}
	}
	status, err := h.KeyStatus(t.Context(), vaulttest.Actor(record.RoleAuditor))
	if err != nil || len(status) == 0 {
		t.Fatalf("KeyStatus = %v, %v", status, err)
	}
	for _, s := range status {
		waits := len(s.Pending) == 1 && s.Pending[0].Region == "cn-east" && s.Pending[0].Shards == s.Shards && s.Pending[0].Since != nil && s.Oldest == 1
		if waits != (s.Service == "cn-north") {
			t.Errorf("status = %+v; want cn-north's shards waiting for cn-east", s)
		}
	}
	for n := range w.patients {
		for _, region := range []string{"cn-north", "cn-east", "cn-south"} {
			w.opens(t, n, region)
		}
	}
	for _, f := range faulty {
		f.Heal()
	}
	// What it holds opens, though it is not what the catalog has.
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("findings before the region is given its wraps = %+v; want none", f)
	}
	h.Stop()

	again := vaulttest.New(t, vaulttest.Options{Dir: w.dir, Wrapper: sharedService(t, w.dir)})
	await(t, "the orders are carried out", func() bool { return len(renewals(t, again)) == 0 })
	if f := verify(t, again, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
	again.Stop()
	for n := range w.patients {
		w.opens(t, n, "cn-east")
	}
	w.trimmed(t, -1)
	w.comesBack(t, "cn-east", 0)
}

func renewals(t testing.TB, h *vaulttest.House) (orders []catalog.Renewal) {
	t.Helper()
	err := h.Catalog.View(t.Context(), func(tx *catalog.Tx) (err error) {
		orders, err = tx.Renewals(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return orders
}

// comesBack reads a patient's document from a catalog that is made anew from one region.
func (w *ward) comesBack(t *testing.T, region string, n int) {
	t.Helper()
	o := vaulttest.Options{Dir: w.dir, DSN: "sqlite:" + filepath.Join(t.TempDir(), "catalog.db"), Wrapper: sharedService(t, w.dir)}
	done, err := vaulttest.Rebuild(t.Context(), o, region)
	if err != nil || done.Documents == 0 || done.Unreadable > 0 {
		t.Fatalf("Rebuild from %s = %+v, %v; want every document", region, done, err)
	}
	o.Wrapper = sharedService(t, w.dir)
	h := vaulttest.New(t, o)
	treat(t, h, w.patients[n].Patient)
	if got := read(t, open(t, h, clinician, vault.Ref{Document: w.patients[n].ID})[0]); !bytes.Equal(got, w.docs[n]) {
		t.Error("the document did not come back")
	}
	h.Stop()
}

// A catalog that was made anew from one region knows the wraps of its key service alone:
// rotating keeps those that the other regions hold.
func TestRotationAfterARebuildKeepsTheOtherRegionsWraps(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	o := vaulttest.Options{Dir: w.dir, DSN: "sqlite:" + filepath.Join(t.TempDir(), "catalog.db"), Wrapper: sharedService(t, w.dir)}
	if done, err := vaulttest.Rebuild(t.Context(), o, "cn-south"); err != nil || done.Wraps == 0 {
		t.Fatalf("Rebuild = %+v, %v", done, err)
	}
	o.Wrapper = sharedService(t, w.dir)
	h := vaulttest.New(t, o)
	rotated(t, h)
	h.Stop()
	for n := range w.patients {
		for _, region := range []string{"cn-north", "cn-east", "cn-south"} {
			w.opens(t, n, region)
		}
	}
	w.trimmed(t, -1)
}

func rotated(t *testing.T, h *vaulttest.House) {
	t.Helper()
	done, err := h.RotateKeys(t.Context(), admin)
	if err != nil {
		t.Fatalf("RotateKeys = %v", err)
	}
	for _, r := range done {
		if len(r.Pending) > 0 || r.Trimmed != r.Shards {
			t.Errorf("rotation = %+v; want every shard trimmed", r)
		}
	}
}

// A wrap that opens, of a patient the catalog has never heard of, is somebody's: it is not
// trimmed away.
func TestAWrapOfNobodyHoldsTheTrimUp(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	north := localKeys(t, w.dir, "cn-north")
	b := keys.Binding{Kind: keys.Content, Token: string(w.patients[0].Patient[:26]) + "a", Generation: 1}
	if _, err := record.ParsePatientToken(b.Token); err != nil || keys.ShardOf(b, 8) != w.shard || slices.ContainsFunc(w.patients, func(r vault.Receipt) bool { return string(r.Patient) == b.Token }) {
		b.Token = b.Token[:25] + "ba"
	}
	wraps, err := north.Wrap(t.Context(), []keys.Bound{{Binding: b, DEK: keys.NewDEK()}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(w.dir, "regions", "cn-east", filepath.FromSlash(wraps[0].Key(b)))
	if err := os.WriteFile(name, []byte(wraps[0].Blob), 0o600); err != nil {
		t.Fatal(err)
	}
	h := vaulttest.New(t, vaulttest.Options{Dir: w.dir, Wrapper: sharedService(t, w.dir)})
	done, err := h.RotateKeys(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, r := range done {
		for _, p := range r.Pending {
			if p.Region != "cn-east" || p.Reason != "unknown-wraps" || p.Shards != 1 || p.Wraps != 1 {
				t.Errorf("pending = %+v; want one unknown wrap in cn-east", p)
			}
			held++
		}
	}
	if held != 1 {
		t.Errorf("%d things hold the trims up; want 1", held)
	}
}

// rotationRefused is the credential of a gateway that may not rotate.
type rotationRefused struct{ keys.Wrapper }

func (rotationRefused) Rotate(context.Context, keys.Kind, string) (int, error) {
	return 0, fmt.Errorf("rotate: %w", keys.ErrRefused)
}

func (rotationRefused) Trim(context.Context, keys.Kind, string, int) error {
	return fmt.Errorf("trim: %w", keys.ErrRefused)
}

// Where the gateway's credential may not rotate, an order waits for one that may.
func TestAnOrderWaitsForTheCredentialThatMayRotate(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	share := sharedService(t, w.dir)
	gateway := vaulttest.New(t, vaulttest.Options{Dir: w.dir, Wrapper: func(region string, s keys.Wrapper) keys.Wrapper {
		return rotationRefused{share(region, s)}
	}})
	no := new(record.Refusal)
	if _, err := gateway.RotateKeys(t.Context(), admin); !errors.As(err, &no) || no.Code != "rotation-credential" {
		t.Fatalf("RotateKeys = %v; want rotation-credential", err)
	}
	if left := renewals(t, gateway); len(left) != 0 {
		t.Errorf("a refused rotation left the orders %+v", left)
	}
	w.erase(t, gateway, 2)
	done, err := gateway.RenewKeys(t.Context(), admin)
	if err != nil || len(done) != 1 || len(done[0].Pending) != 1 || done[0].Pending[0].Reason != "rotation-credential" {
		t.Fatalf("RenewKeys by the gateway = %+v, %v; want rotation-credential pending", done, err)
	}
	status, err := gateway.KeyStatus(t.Context(), admin)
	if err != nil || len(status[0].Pending) != 1 || status[0].Pending[0].Reason != "rotation-credential" {
		t.Errorf("KeyStatus = %+v, %v; want rotation-credential pending", status, err)
	}
	gateway.Stop()
	timer := vaulttest.New(t, vaulttest.Options{Dir: w.dir, Wrapper: sharedService(t, w.dir)})
	done, err = timer.RenewKeys(t.Context(), admin)
	if err != nil || len(renewals(t, timer)) != 0 {
		t.Fatalf("RenewKeys = %+v, %v; want it done", done, err)
	}
	timer.Stop()
	w.trimmed(t, 2)
	w.opens(t, 0, "cn-east")
}

// Two gateways rotate at once while patients are stored: everything opens afterwards, from
// every region.
func TestTwoGatewaysRotateAtOnce(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	services := make(map[string]keys.Wrapper) // one process has a key file
	share := sharedService(t, w.dir)
	o := vaulttest.Options{Dir: w.dir, Wrapper: func(region string, s keys.Wrapper) keys.Wrapper {
		if services[region] == nil {
			services[region] = share(region, s)
		}
		return services[region]
	}}
	a, b := vaulttest.New(t, o), vaulttest.New(t, o)
	ended := make(chan error, 2)
	for _, h := range []*vaulttest.House{a, b} {
		go func() {
			_, err := h.RotateKeys(context.WithoutCancel(t.Context()), admin)
			ended <- err
		}()
	}
	var fresh []vault.Receipt
	for rotating, seed := 2, uint64(8000); rotating > 0; seed++ {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("RotateKeys = %v", err)
			}
			rotating--
		default:
			r, err := a.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.CT(imagingtest.NewPatient(seed), imagingtest.Options{Study: 1, Rows: 16, Columns: 16}))})
			if err == nil {
				fresh = append(fresh, r)
			} else if !errors.Is(err, record.ErrUnavailable) {
				t.Fatalf("store during the rotation = %v", err)
			}
		}
	}
	t.Logf("%d patients stored meanwhile", len(fresh))
	for _, h := range []*vaulttest.House{a, b} {
		if done, err := h.RenewKeys(t.Context(), admin); err != nil {
			t.Errorf("RenewKeys = %+v, %v", done, err)
		}
	}
	eventually(t, "every region has its copies", func() bool {
		n, err := a.Catalog.Pending(t.Context(), "copy")
		return err == nil && n == 0
	})
	if left := renewals(t, a); len(left) != 0 {
		t.Errorf("orders left = %+v", left)
	}
	if f := verify(t, b, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
	a.Stop()
	b.Stop()
	for n := range w.patients {
		for _, region := range []string{"cn-north", "cn-east", "cn-south"} {
			w.opens(t, n, region)
		}
	}
	for _, region := range []string{"cn-north", "cn-east", "cn-south"} {
		service := region
		if region == "cn-east" {
			service = "cn-north"
		}
		s := localKeys(t, w.dir, service)
		for _, r := range fresh {
			if _, err := s.Unwrap(t.Context(), w.lying(t, region, keys.Identity, string(r.Patient))); err != nil {
				t.Errorf("a patient stored meanwhile does not open from %s alone: %v", region, err)
			}
		}
	}
	w.trimmed(t, -1)
	w.comesBack(t, "cn-south", 1)
}

// A gateway that does not know a region yet trims nothing that the region may hold: one
// that knows it goes on.
func TestAGatewayDoesNotTrimForARegionThatOnlyAnotherKnows(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	services := make(map[string]keys.Wrapper) // one process has a key file
	share := sharedService(t, w.dir)
	o := vaulttest.Options{Dir: w.dir, Poll: 20 * time.Millisecond, Wrapper: func(region string, s keys.Wrapper) keys.Wrapper {
		if services[region] == nil {
			services[region] = share(region, s)
		}
		return services[region]
	}}
	a := vaulttest.New(t, o)
	o.Without = []string{"cn-east"}
	b := vaulttest.New(t, o)
	done, err := b.RotateKeys(t.Context(), admin)
	if err != nil {
		t.Fatalf("RotateKeys = %v", err)
	}
	for _, r := range done {
		if r.Trimmed > 0 || len(r.Pending) != 1 || r.Pending[0].Region != "cn-east" || r.Pending[0].Reason != "not-configured" {
			t.Errorf("rotation by a gateway that lacks a region = %+v; want it to wait for one that knows cn-east", r)
		}
	}
	if done, err := a.RenewKeys(t.Context(), admin); err != nil {
		t.Errorf("RenewKeys = %+v, %v", done, err)
	}
	await(t, "no order is left", func() bool { return len(renewals(t, a)) == 0 })
	a.Stop()
	b.Stop()
	for n := range w.patients {
		for _, region := range []string{"cn-north", "cn-east", "cn-south"} {
			w.opens(t, n, region)
		}
	}
	w.trimmed(t, -1)
}
