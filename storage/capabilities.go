package storage

import (
	"context"
	"strings"
)

// Capabilities is what a store was seen to do when it was probed, not what its vendor
// says. The zero value is a store that can do nothing but put, get and delete.
type Capabilities struct {
	ConditionalPut      bool // If-None-Match: * refuses a second object under a key
	ConditionalReplace  bool // If-Match refuses to replace another object than named
	ConditionalComplete bool // If-None-Match: * holds for an object sent in parts, too
	ChecksumSHA256      bool // a body with another SHA-256 than announced is refused
	StoredSHA256        bool // the store tells that SHA-256 again: see OwnSum
	Versioning          bool // an overwritten object stays as an older version
	ObjectLock          bool // an object can be locked against deletion: see Locker
	UploadsListed       bool // uploads in parts that were cut off are found, and aborted
	ListAfter           bool // a listing can begin after a key (ListObjectsV2)
	Ranges              bool // a part of an object can be read
}

// String says each capability in words, and what is done without it, for the operator:
// one line.
func (c Capabilities) String() string {
	var b strings.Builder
	for i, line := range []struct {
		name    string
		has     bool
		without string
	}{
		{"conditional put", c.ConditionalPut, "looks first, puts, reads back"},
		{"conditional replace", c.ConditionalReplace, "looks first"},
		{"conditional complete", c.ConditionalComplete, "looks first, reads back"},
		{"sha256 checked", c.ChecksumSHA256, "hashes first, reads back"},
		{"sha256 told", c.StoredSHA256, "no verification by checksum"},
		{"versioning", c.Versioning, "damage is copied to quarantine"},
		{"object lock", c.ObjectLock, "no locks"},
		{"unfinished uploads found", c.UploadsListed, "a lifecycle rule must remove them"},
		{"list after a key", c.ListAfter, "lists as version 1"},
		{"range reads", c.Ranges, "refused"},
	} {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(line.name)
		if line.has {
			b.WriteString(" yes")
		} else {
			b.WriteString(" no (" + line.without + ")")
		}
	}
	return b.String()
}

// Prober is a Store that was or can be probed.
type Prober interface {
	// Probe tries what the store can do, once; later calls repeat what was seen.
	Probe(ctx context.Context) (Capabilities, error)
}

// Probe is s's Probe; a Store that is no Prober has no capabilities.
func Probe(ctx context.Context, s Store) (Capabilities, error) {
	if p, ok := s.(Prober); ok {
		return p.Probe(ctx)
	}
	return Capabilities{}, nil
}

// Summer is a Store that may keep a SHA-256 of its own.
type Summer interface {
	// OwnSum is the function OwnSum for this store.
	OwnSum(ctx context.Context, key string) (sum [32]byte, ok bool, err error)
}

// OwnSum is the SHA-256 that s itself took of the whole object when it was put, and
// never one that we wrote beside it. Not ok: the store cannot tell, which is neither a
// pass nor damage, and only reading the bytes helps; so it is for every object that was
// sent in parts. It proves what the store took in, not what its disks hold today.
func OwnSum(ctx context.Context, s Store, key string) (sum [32]byte, ok bool, err error) {
	if own, can := s.(Summer); can {
		return own.OwnSum(ctx, key)
	}
	return sum, false, nil
}
