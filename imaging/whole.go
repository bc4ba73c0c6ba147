package imaging

import (
	"fmt"
	"io"
)

// KeepWhole reads r to its end, of at most most bytes, into a restore script that puts
// it back whole. also, which may be nil, is given the same bytes. More than most is a
// *Refusal with the given code.
func KeepWhole(script io.Writer, r io.Reader, also io.Writer, most int64, code string, original Original) error {
	patch := NewScriptWriter(script)
	to := io.Writer(patch)
	if also != nil {
		to = io.MultiWriter(patch, also)
	}
	from := untold{r: r}
	n, err := io.Copy(to, io.LimitReader(&from, most+1))
	switch {
	case from.err != nil:
		return from.err
	case err != nil:
		return fmt.Errorf("write restore script: %w", err)
	case n > most:
		return &Refusal{Code: code, Offset: most, Advice: fmt.Sprintf("the vault takes such documents of up to %d MiB; send it in parts", most>>20)}
	}
	return patch.End(original())
}

// untold remembers the error of a reader, so that it is not taken for the writer's.
type untold struct {
	r   io.Reader
	err error
}

func (u *untold) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err != nil && err != io.EOF {
		u.err = err
	}
	return n, err
}
