package catalog

import (
	"context"
	"time"
)

// NoteAlarm notes that an alarm is raised, and says whether it is the first time: its key
// names what about and, where it is raised again and again, for which day.
func (t *Tx) NoteAlarm(ctx context.Context, key, kind, about string, at time.Time) (first bool, err error) {
	var b builder
	b.add("INSERT INTO alarms (id, kind, about, raised_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", key, kind, about, millis(at))
	n, err := t.exec(ctx, &b)
	return n > 0, attempt(err, "note an alarm")
}
