package pdf

import (
	"context"
	"errors"

	"medvault/imaging"
	"medvault/imaging/mention"
)

// Redactor makes de-identified views of reports. It is safe for concurrent use.
type Redactor struct {
	c Config
}

var errNotYet = errors.New("pdf redactor: not built yet")

func newRedactor(c Config) (*Redactor, error) {
	if len(c.Worker) == 0 {
		return nil, errors.New("pdf redactor: no command for the process that opens PDFs")
	}
	return &Redactor{c: c}, nil
}

func (r *Redactor) redact(context.Context, []byte, *mention.Known, *imaging.Release) (Redacted, error) {
	return Redacted{}, errNotYet
}

func (r *Redactor) render(context.Context, []byte, int) ([]byte, error) { return nil, errNotYet }

func (r *Redactor) ready(context.Context) (Abilities, error) { return Abilities{}, errNotYet }
