package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"medvault/storage"
)

// maxFailures is how often one region may fail in one read before it is given up.
const maxFailures = 2

// Object is one object as all its regions hold it. Safe for concurrent use.
type Object struct {
	set    *Set
	key    string
	size   int64
	prefer []string

	mu      sync.Mutex
	last    string          // the region that gave the last bytes
	damaged map[string]bool // regions whose bytes did not verify
}

// Open names an object of size bytes to read. Nothing is read yet. prefer says
// which regions to ask and in which order; nil is all, nearest first. Regions that
// failed lately are asked last.
func (s *Set) Open(key string, size int64, prefer []string) *Object {
	return &Object{set: s, key: key, size: size, prefer: prefer, damaged: map[string]bool{}}
}

// Get streams length bytes from offset; length < 0 is to the end. When a region
// fails, ends early or stalls, the reader goes on in another one at the same byte,
// and only fails when no region is left. ErrNotExist means that every region was
// asked and none has the object.
func (o *Object) Get(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	if length < 0 {
		length = o.size - offset
	}
	if offset < 0 || length < 0 || offset > o.size-length {
		return nil, fmt.Errorf("get %s: %d bytes from %d of %d: %w", o.key, length, offset, o.size, storage.ErrRange)
	}
	regions, err := o.set.pick(o.prefer)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", o.key, err)
	}
	r := &reader{ctx: ctx, object: o, regions: regions, at: offset, end: offset + length, failures: map[string]int{}, errs: map[string]error{}}
	// Connect now, so that an absent object is an answer and not a broken body.
	if err := r.connect(); err != nil {
		return nil, err
	}
	return r, nil
}

// Damaged tells that what Get gave last did not verify. The region it came from is
// not read again through this Object; its name is returned, for a repair. more
// tells whether another region is left to try.
func (o *Object) Damaged() (region string, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last != "" {
		o.damaged[o.last] = true
	}
	regions, err := o.set.pick(o.prefer)
	return o.last, err == nil && slices.ContainsFunc(regions, func(r storage.Region) bool { return !o.damaged[r.Name] })
}

func (o *Object) isDamaged(region string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.damaged[region]
}

func (o *Object) served(region string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = region
}

// reader is one read across regions.
type reader struct {
	ctx      context.Context
	object   *Object
	regions  []storage.Region // in the order preferred
	at, end  int64
	current  io.ReadCloser // nil between regions
	region   string        // of current
	failures map[string]int
	errs     map[string]error // each region's last
	err      error            // for good
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.err == nil {
		if r.at == r.end {
			return 0, io.EOF
		}
		if r.current == nil {
			if r.err = r.connect(); r.err != nil {
				break
			}
		}
		n, err := r.current.Read(p[:min(int64(len(p)), r.end-r.at)])
		r.at += int64(n)
		if err == io.EOF && r.at < r.end {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			r.lose(err)
		}
		if n > 0 {
			r.object.served(r.region)
			return n, nil
		}
	}
	return 0, r.err
}

// connect opens the rest of the range in the best region left.
func (r *reader) connect() error {
	for {
		if err := r.ctx.Err(); err != nil {
			return fmt.Errorf("get %s: %w", r.object.key, err)
		}
		region, ok := r.next()
		if !ok {
			return r.exhausted()
		}
		body, err := watchedStore{region.Data, r.object.set.cfg.ReadIdle}.Get(r.ctx, r.object.key, r.at, r.end-r.at)
		r.region = region.Name
		if err == nil {
			r.current = body
			return nil
		}
		r.lose(err)
	}
}

// next is the first healthy region that has not used up its failures, or the
// first unhealthy one.
func (r *reader) next() (found storage.Region, ok bool) {
	fewest := maxFailures
	well := false
	for _, region := range r.regions {
		failures, healthy := r.failures[region.Name], r.object.set.health.well(region.Name)
		if failures >= maxFailures || r.object.isDamaged(region.Name) {
			continue
		}
		if failures < fewest || failures == fewest && healthy && !well {
			found, ok, fewest, well = region, true, failures, healthy
		}
	}
	return found, ok
}

// lose notes why the current region is left.
func (r *reader) lose(err error) {
	if r.current != nil {
		r.current.Close() // it has failed already
		r.current = nil
	}
	if r.ctx.Err() != nil {
		return // the caller has left, the region is not to blame
	}
	r.errs[r.region] = err
	if !sick(err) {
		r.failures[r.region] = maxFailures // asking again would not help
		return
	}
	r.failures[r.region]++
	r.object.set.health.fail(r.region)
}

// exhausted says what each region answered. It is ErrNotExist only when all of
// them said so: an object that no healthy region has may lie in the sick one.
func (r *reader) exhausted() error {
	absent := true
	var errs []error
	for _, region := range r.regions {
		err := r.errs[region.Name]
		if err == nil {
			err = fmt.Errorf("not asked: %w", storage.ErrCorrupt) // its bytes did not verify
		}
		absent = absent && errors.Is(err, storage.ErrNotExist)
		errs = append(errs, fmt.Errorf("region %s: %w", region.Name, err))
	}
	if absent {
		return fmt.Errorf("get %s: %w", r.object.key, errors.Join(errs...))
	}
	return fmt.Errorf("get %s: no region left: %v", r.object.key, errors.Join(errs...)) // hides ErrNotExist
}

func (r *reader) Close() error {
	if r.err == nil {
		r.err = errors.New("read after close")
	}
	if r.current == nil {
		return nil
	}
	err := r.current.Close()
	r.current = nil
	return err
}
