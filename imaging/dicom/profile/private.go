package profile

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
)

// SafeSHA256 is the digest of the embedded table E.3.10-1, see SafeDigest.
const SafeSHA256 = "bf2400c939e525629605cd7ebc8ab69c2590f333081604126d884961efd932d2"

//go:embed e3_10_1.tsv
var e3_10_1 string

// SafeRow is one row of table E.3.10-1.
type SafeRow struct {
	Creator string
	Group   uint16
	Element uint8  // within the creator's block
	VR      string // "" where the table does not say
}

// SafeRows reads table E.3.10-1 in the order of the standard.
func SafeRows() []SafeRow {
	var rows []SafeRow
	for _, f := range fields(e3_10_1) {
		tag := mustTag(f[1][:5] + "00" + f[1][7:]) // 0019,xx9E
		rows = append(rows, SafeRow{Creator: f[0], Group: uint16(tag >> 16), Element: uint8(tag), VR: f[2]})
	}
	return rows
}

// SafeDigest is the SHA-256 of the rows, a line each: creator, group, element and VR
// with tabs between them.
func SafeDigest(rows []SafeRow) string {
	h := sha256.New()
	for _, r := range rows {
		fmt.Fprintf(h, "%s\t%04X\t%02X\t%s\n", r.Creator, r.Group, r.Element, r.VR)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// safe holds the VRs of the rows.
var safe = sync.OnceValue(func() map[safeKey]string {
	m := make(map[safeKey]string, 512)
	for _, r := range SafeRows() {
		m[safeKey{r.Creator, uint32(r.Group)<<16 | uint32(r.Element)}] = r.VR
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
