package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
)

// digest covers the tables as they are embedded, each by its own digest, and
// the names of the options.
func digest(s Set) string {
	h := sha256.New()
	for _, table := range []string{e1_1, outside, further, e3_10_1, iods, typeTable, strings.Join(s.Names(), ",")} {
		sum := sha256.Sum256([]byte(table))
		io.WriteString(h, hex.EncodeToString(sum[:]))
	}
	return hex.EncodeToString(h.Sum(nil))
}
