package keys_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"medvault/keys"
)

// secret is easy to find in any notation.
var secret = [32]byte(bytes.Repeat([]byte{0xA7}, 32))

// leaks says whether out shows the key: as text, hex in either case, or as a
// list of decimal, octal or binary numbers.
func leaks(out string) bool {
	for _, sign := range []string{"\xA7\xA7", "a7a7", "A7A7", "167 167", "167,167", "167, 167", "0xa7", "0xA7", "247 247", "10100111 ", "a7 a7", "A7 A7", "p6en"} {
		if strings.Contains(out, sign) {
			return true
		}
	}
	return false
}

type holder struct {
	Public  keys.DEK
	private keys.DEK
	Pointer *keys.DEK
	List    []keys.DEK
	Named   map[string]keys.DEK
	Any     any
	Bound   keys.Bound
}

func newHolder() holder {
	d := keys.DEKFrom(secret)
	return holder{d, d, &d, []keys.DEK{d}, map[string]keys.DEK{"k": d}, &d, keys.Bound{DEK: d}}
}

func TestLeaksCanFail(t *testing.T) {
	for _, out := range []string{fmt.Sprintf("%v", secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), string(secret[:]),
		fmt.Sprintf("%o", secret), fmt.Sprintf("%b", secret), fmt.Sprintf("%#v", secret), fmt.Sprintf("% x", secret)} {
		if !leaks(out) {
			t.Errorf("leaks(%q) = false; want true", out)
		}
	}
}

func TestDEKHidesFromEveryVerb(t *testing.T) {
	d := keys.DEKFrom(secret)
	h := newHolder()
	for _, verb := range "vTtbcdoOqxXUeEfFgGsp" {
		for _, flags := range []string{"", "+", "#", "+#", "040", "-", " ", "[1]"} {
			format := "%" + flags + string(verb)
			for _, value := range []any{d, &d, h, &h, []keys.DEK{d}, h.Named, h.Bound, &h.Bound} {
				if out := fmt.Sprintf(format, value); leaks(out) {
					t.Errorf("Sprintf(%q, %T) shows the key: %s", format, value, out)
				}
			}
		}
	}
	if got := fmt.Sprintf("%v %s %d %x", d, d, d, d); got != strings.TrimSpace(strings.Repeat("[redacted] ", 4)) {
		t.Errorf("Sprintf of a key = %q; want it redacted", got)
	}
}

func TestDEKCannotBeMarshalled(t *testing.T) {
	d := keys.DEKFrom(secret)
	h := newHolder()
	for _, value := range []any{d, &d, h, &h, h.Bound, map[string]any{"k": d}} {
		out, err := json.Marshal(value)
		if err == nil || leaks(string(out)) {
			t.Errorf("json.Marshal(%T) = %s, %v; want an error", value, out, err)
		}
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(d); err == nil || leaks(buf.String()) {
		t.Errorf("gob of a key = %q, %v; want an error", buf.String(), err)
	}
}

func TestDEKHidesFromLogs(t *testing.T) {
	d := keys.DEKFrom(secret)
	h := newHolder()
	var buf bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&buf, nil), slog.NewJSONHandler(&buf, nil)} {
		log := slog.New(handler)
		log.Info("key", "alone", d, "pointer", &d, "struct", h, "struct pointer", &h, "bound", h.Bound, slog.Group("g", "k", d))
	}
	if leaks(buf.String()) {
		t.Errorf("the log shows the key: %s", buf.String())
	}
	if !strings.Contains(buf.String(), "alone=[redacted]") || !strings.Contains(buf.String(), `"alone":"[redacted]"`) {
		t.Errorf("log = %s; want the key redacted", buf.String())
	}
}

func TestDEKKeepsItsBytes(t *testing.T) {
	if got := keys.DEKFrom(secret).Bytes(); !bytes.Equal(got, secret[:]) {
		t.Errorf("Bytes = %s; want what went in", hex.EncodeToString(got))
	}
	if keys.NewDEK().IsZero() || bytes.Equal(keys.NewDEK().Bytes(), keys.NewDEK().Bytes()) {
		t.Error("NewDEK gave no key, or the same one twice")
	}
	if !(keys.DEK{}).IsZero() {
		t.Error("the zero DEK holds a key")
	}
}

func TestBindingsDiffer(t *testing.T) {
	seen := map[string]keys.Binding{}
	for _, b := range []keys.Binding{
		{Kind: keys.Content, Token: "pa", Generation: 1}, {Kind: keys.Identity, Token: "pa", Generation: 1},
		{Kind: keys.Content, Token: "pb", Generation: 1}, {Kind: keys.Content, Token: "pa", Generation: 11},
		{Kind: keys.House, Token: "records", Generation: 1},
	} {
		if other, twice := seen[string(b.Context())]; twice {
			t.Errorf("%v and %v have one context", b, other)
		}
		seen[string(b.Context())] = b
	}
}

func TestShardIsTheFirstByteOfTheToken(t *testing.T) {
	rows := []struct {
		token  string
		shards int
		want   string
	}{
		{"paaaaaaaaaaaaaaaaaaaaaaaaaa", 256, "00"}, // bits 00000000
		{"p77aaaaaaaaaaaaaaaaaaaaaaaa", 256, "ff"}, // bits 11111111
		{"p77aaaaaaaaaaaaaaaaaaaaaaaa", 8, "07"},
		{"pcaaaaaaaaaaaaaaaaaaaaaaaaa", 256, "10"}, // bits 00010000
		{"pcaaaaaaaaaaaaaaaaaaaaaaaaa", 1, "00"},
	}
	for _, row := range rows {
		b := keys.Binding{Kind: keys.Content, Token: row.token, Generation: 1}
		if got := keys.ShardOf(b, row.shards); got != row.want {
			t.Errorf("ShardOf(%s, %d) = %s; want %s", row.token, row.shards, got, row.want)
		}
	}
	if got := keys.ShardOf(keys.Binding{Kind: keys.House, Token: "records"}, 256); got != keys.HouseShard {
		t.Errorf("ShardOf(house) = %s; want %s", got, keys.HouseShard)
	}
	if got := keys.ShardNames(keys.Content, 256); len(got) != 256 || got[0] != "00" || got[255] != "ff" {
		t.Errorf("ShardNames(256) = %v", got)
	}
}

func TestKEKNameLeadsNowhereElse(t *testing.T) {
	for _, row := range []struct {
		kind        keys.Kind
		shard, want string
	}{
		{keys.Content, "0a", "content-0a"}, {keys.Identity, "ff", "identity-ff"}, {keys.House, "house", "house"},
		{keys.Content, "", ""}, {keys.Content, "0A", ""}, {keys.Content, "house", ""}, {keys.House, "00", ""},
		{keys.Content, "../", ""}, {keys.Content, "..", ""}, {"other", "00", ""}, {"", "", ""}, {keys.Content, "000", ""},
	} {
		got, err := keys.KEKName(row.kind, row.shard)
		if got != row.want || (row.want == "") != errors.Is(err, keys.ErrNoKey) {
			t.Errorf("KEKName(%q, %q) = %q, %v; want %q", row.kind, row.shard, got, err, row.want)
		}
	}
}
