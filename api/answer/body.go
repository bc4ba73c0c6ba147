package answer

import (
	"encoding/json"
	"errors"
	"io"

	"medvault/vault/record"
)

const maxBody = 1 << 20

// Body reads a request's JSON into v: one value, of known fields, of at most 1 MiB.
// Anything else is told to send want.
func Body(r io.Reader, v any, want string) error {
	bad := record.Refuse(record.ErrInvalid, "bad-body", "send "+want)
	d := json.NewDecoder(io.LimitReader(r, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return bad
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return bad
	}
	return nil
}
