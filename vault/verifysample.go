package vault

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
)

// sample says which objects are looked at more closely than by name and size. The zero
// sample is all of them.
type sample struct {
	group, groups int64 // group 1 of groups
	number        int64 // at random
}

func (s sample) all() bool { return s == sample{} }

var errSample = errors.New("neither a number nor n/t")

// parseSample reads "", "N" or "n/t".
func parseSample(text string) (s sample, err error) {
	if text == "" {
		return s, nil
	}
	n, t, grouped := strings.Cut(text, "/")
	number, err := strconv.ParseInt(n, 10, 64)
	if err != nil || number < 1 {
		return s, errSample
	}
	if !grouped {
		return sample{number: number}, nil
	}
	groups, err := strconv.ParseInt(t, 10, 64)
	if err != nil || number > groups {
		return s, errSample
	}
	return sample{group: number, groups: groups}, nil
}

// takes says whether an object belongs to the sample. The choice at random is Knuth's
// selection sampling, driven by a seed that no store knows, so that a verification that
// goes on makes the choice it would have made.
func (s sample) takes(seed, key string, r *regionState) bool {
	switch {
	case s.groups > 0:
		return hashOf("", key)%uint64(s.groups) == uint64(s.group-1)
	case s.number > 0:
		left := max(r.Total-r.Met, 1)
		return int64(hashOf(seed, key)%uint64(left)) < s.number-r.Taken
	}
	return true
}

func hashOf(seed, key string) uint64 {
	sum := sha256.Sum256([]byte(seed + key))
	return binary.BigEndian.Uint64(sum[:])
}

// Detection is the probability that a random sample of that size holds at least one
// damaged object when a share of all objects is damaged, but one at least: 1-(1-share)^n
// for many objects, exact (hypergeometric) for few.
func Detection(objects, sampled int64, share float64) float64 {
	damaged := max(1, int64(math.Round(share*float64(objects))))
	if objects < 1 || sampled < 1 {
		return 0
	}
	if sampled > objects-damaged {
		return 1
	}
	log := 0.0
	for i := range damaged {
		log += math.Log1p(-float64(sampled) / float64(objects-i))
	}
	return -math.Expm1(log)
}
