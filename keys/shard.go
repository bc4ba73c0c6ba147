package keys

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
)

// HouseShard is the one shard of all house keys.
const HouseShard = "house"

// ShardOf is Wrapper.Shard for a service with shards shards per kind (1 to 256).
// Patient tokens are "p" and lower-case base32 of keyed hash bits, so their first
// byte spreads evenly. A token of another form is hashed first.
func ShardOf(b Binding, shards int) string {
	if b.Kind == House {
		return HouseShard
	}
	var first byte
	if bits, err := tokenBits.DecodeString(strings.TrimPrefix(b.Token, "p")); err == nil && len(bits) > 0 {
		first = bits[0]
	} else {
		first = sha256.Sum256([]byte(b.Token))[0]
	}
	return fmt.Sprintf("%02x", int(first)%shards)
}

// ShardNames lists the shards of a kind in order.
func ShardNames(kind Kind, shards int) []string {
	if kind == House {
		return []string{HouseShard}
	}
	names := make([]string, shards)
	for i := range names {
		names[i] = fmt.Sprintf("%02x", i)
	}
	return names
}

var tokenBits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// KEKName is the name of a shard's key encryption key without a service's own
// prefix: "content-0a", "identity-ff", "house". Shards come out of wraps, which
// anyone who can write to a region can write; what is no shard is ErrNoKey, so
// that a name never leads anywhere else.
func KEKName(kind Kind, shard string) (string, error) {
	switch {
	case kind == House && shard == HouseShard:
		return HouseShard, nil
	case (kind == Content || kind == Identity) && len(shard) == 2 && isHex(shard[0]) && isHex(shard[1]):
		return string(kind) + "-" + shard, nil
	}
	return "", fmt.Errorf("shard %q of kind %q: %w", shard, kind, ErrNoKey)
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }
