// Package replica is a set of regions that hold the same objects: quorum writes,
// failover reads, copies and repair. It knows no patient and no key; which regions
// may hold an object its caller says.
package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"medvault/storage"
)

// ErrQuorum means that fewer regions than asked for hold the object, read back.
var ErrQuorum = errors.New("too few regions")

// Config says which regions there are.
type Config struct {
	Regions []storage.Region // required; names distinct, nearest first

	Grace     time.Duration // how long Put waits for the rest once it has its quorum; default 250 ms
	ReadIdle  time.Duration // a read without a byte for so long goes on in another region; default 5 s
	WriteIdle time.Duration // a write a region takes nothing of for so long has failed; default 60 s
	BackOff   time.Duration // how long a region that failed is asked last; default 5 s
	Spool     string        // directory for ciphertext in transit between regions; default os.TempDir
}

// Set is a set of regions. Safe for concurrent use; it owns nothing that needs
// closing. Create with New.
type Set struct {
	cfg    Config
	health health
}

// Sum is what an object must be: its size and the SHA-256 of its bytes.
type Sum struct {
	Size   int64
	SHA256 [32]byte
}

// New checks the configuration.
func New(cfg Config) (*Set, error) {
	if len(cfg.Regions) == 0 {
		return nil, errors.New("replica: no regions")
	}
	seen := map[string]bool{}
	for _, r := range cfg.Regions {
		if r.Name == "" || r.Data == nil || r.Keys == nil {
			return nil, fmt.Errorf("replica: region %q: name, data and keys are required", r.Name)
		}
		if seen[r.Name] {
			return nil, fmt.Errorf("replica: region %q twice", r.Name)
		}
		seen[r.Name] = true
	}
	orDefault(&cfg.Grace, 250*time.Millisecond)
	orDefault(&cfg.ReadIdle, 5*time.Second)
	orDefault(&cfg.WriteIdle, time.Minute)
	orDefault(&cfg.BackOff, 5*time.Second)
	return &Set{cfg: cfg, health: health{backOff: cfg.BackOff, failed: map[string]time.Time{}, late: map[string]time.Time{}}}, nil
}

func orDefault(d *time.Duration, def time.Duration) {
	if *d <= 0 {
		*d = def
	}
}

// Regions returns all regions in the order of the configuration.
func (s *Set) Regions() []storage.Region {
	return append([]storage.Region(nil), s.cfg.Regions...)
}

// Region returns the region of that name.
func (s *Set) Region(name string) (storage.Region, bool) {
	for _, r := range s.cfg.Regions {
		if r.Name == name {
			return r, true
		}
	}
	return storage.Region{}, false
}

// pick returns the regions of these names; nil is all.
func (s *Set) pick(names []string) ([]storage.Region, error) {
	if names == nil {
		return s.Regions(), nil
	}
	var picked []storage.Region
	seen := map[string]bool{}
	for _, name := range names {
		r, ok := s.Region(name)
		if !ok {
			return nil, fmt.Errorf("no region %q", name)
		}
		if seen[name] {
			return nil, fmt.Errorf("region %q twice", name)
		}
		seen[name] = true
		picked = append(picked, r)
	}
	return picked, nil
}

// Delete removes an object from the data bucket of every region. When it fails
// the error names each region in which something may be left.
func (s *Set) Delete(ctx context.Context, key string) error {
	regions := s.cfg.Regions
	errs := make([]error, len(regions))
	var wg sync.WaitGroup
	for i, r := range regions {
		wg.Go(func() {
			if err := r.Data.Delete(ctx, key); err != nil {
				errs[i] = fmt.Errorf("region %s: %w", r.Name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// sick tells whether an error is a region's and not one object's.
func sick(err error) bool {
	for _, answer := range []error{storage.ErrNotExist, storage.ErrExist, storage.ErrCorrupt, storage.ErrRange, storage.ErrKey} {
		if errors.Is(err, answer) {
			return false
		}
	}
	return true
}

// health remembers which regions failed lately.
type health struct {
	backOff time.Duration

	mu     sync.Mutex
	failed map[string]time.Time // until when a region is asked last
	late   map[string]time.Time // until when a write does not wait for a region
}

func (h *health) fail(region string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed[region] = time.Now().Add(h.backOff)
}

func (h *health) lag(region string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late[region] = time.Now().Add(h.backOff)
}

func (h *health) well(region string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().After(h.failed[region])
}

// prompt tells whether a write should give the region its grace.
func (h *health) prompt(region string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	return now.After(h.failed[region]) && now.After(h.late[region])
}
