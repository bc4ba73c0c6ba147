package profile

import (
	_ "embed"
	"strings"
	"sync"
)

// SafeSHA256 is the digest of the embedded table E.3.10-1, see SafeDigest.
const SafeSHA256 = ""

//go:embed e3_10_1.tsv
var e3_10_1 string

// SafeRow is one row of table E.3.10-1.
type SafeRow struct {
	Creator string
	Group   uint16
	Element uint8  // within the creator's block
	VR      string // "" where the table does not say
}

// safe are the rows of table E.3.10-1 by creator and tag with block 00.
var safe = sync.OnceValue(func() map[safeKey]string {
	m := make(map[safeKey]string, 512)
	for _, f := range fields(e3_10_1) {
		m[safeKey{f[0], mustTag(f[1][:5] + "00" + f[1][7:])}] = f[2]
	}
	return m
})

type safeKey struct {
	creator string
	tag     uint32
}

// Private says whether a private element may stay: the profile retains safe private
// attributes and table E.3.10-1 lists this element of this creator. creator is the
// value of the private creator element that reserves the block, compared without
// padding but with its case; tag is as in the file, block included. vr is the
// table's, "" where it has none. UIDs and dates among them are still to be mapped
// and shifted.
func (p *Profile) Private(creator string, tag uint32) (vr string, safePrivate bool) {
	if !p.set.has(RetainSafePrivate) || tag&0xFFFF < 0x1000 {
		return "", false
	}
	vr, ok := safe()[safeKey{strings.Trim(creator, " \x00"), tag &^ 0xFF00}]
	return vr, ok
}
