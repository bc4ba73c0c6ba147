package catalog

import (
	"context"
	"time"
)

// TakeMessage notes that a message is acted upon, and forgets those older than keep.
// Known: ErrExist.
func (t *Tx) TakeMessage(ctx context.Context, id string, at time.Time, keep time.Duration) error {
	var old builder
	old.add("DELETE FROM care_messages WHERE at < ?", millis(at.Add(-keep)))
	if _, err := t.exec(ctx, &old); err != nil {
		return attempt(err, "forget messages")
	}
	var b builder
	b.add("INSERT INTO care_messages (id, at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", id, millis(at))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "take a message")
}
