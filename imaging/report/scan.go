package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"

	"medvault/imaging"
)

const maxScan = 64 << 20 // bytes

// beginScan takes any picture: whether it can be opened shows when it is redacted, in
// a process of its own.
func beginScan(r io.Reader) (imaging.Incoming, error) {
	head := make([]byte, 16)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if kind, ok := imaging.Sniff(head[:n]); !ok || kind != imaging.Scan {
		return nil, &imaging.Refusal{Code: "not-a-scan", Offset: 0, Advice: "this is no JPEG, PNG or TIFF"}
	}
	return &scan{io.MultiReader(bytes.NewReader(head[:n]), r)}, nil
}

// scan is a picture whose first bytes were read.
type scan struct{ body io.Reader }

// Identity is empty.
func (s *scan) Identity() imaging.Identity { return imaging.Identity{} }

// Scrub puts the whole original into the script and nothing into the content.
func (s *scan) Scrub(_ imaging.Pseudonyms, _ *imaging.Release, original imaging.Original, _, script io.Writer) (imaging.Scrubbed, error) {
	if err := imaging.KeepWhole(script, s.body, nil, maxScan, "scan-too-large", original); err != nil {
		return imaging.Scrubbed{}, err
	}
	nothing := sha256.Sum256(nil)
	return imaging.Scrubbed{
		Who:   json.RawMessage("{}"),
		Held:  imaging.Pending,
		Facts: imaging.Facts{SHA256: hex.EncodeToString(nothing[:]), Held: imaging.Pending},
	}, nil
}
