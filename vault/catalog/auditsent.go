package catalog

import (
	"context"
	"database/sql"
	"errors"
)

// Sent is the number of the next leaf that a receiver outside is to be given.
func (t *Tx) Sent(ctx context.Context, receiver string) (next int64, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT next FROM audit_sent WHERE receiver = $1", receiver).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return next, attempt(err, "what was sent to %s", receiver)
}

// SetSent notes how far the log has been given to a receiver.
func (t *Tx) SetSent(ctx context.Context, receiver string, next int64) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO audit_sent (receiver, next) VALUES ($1, $2)
ON CONFLICT (receiver) DO UPDATE SET next = excluded.next`, receiver, next)
	return attempt(err, "what was sent to %s", receiver)
}

// SwapSetting notes the digest of what a gateway was configured with, and tells what it
// was before; "" where it was never noted.
func (t *Tx) SwapSetting(ctx context.Context, gateway, name, sha256 string) (before string, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT sha256 FROM audit_settings WHERE gateway = $1 AND name = $2", gateway, name).Scan(&before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", attempt(err, "setting %s", name)
	}
	_, err = t.tx.ExecContext(ctx, `INSERT INTO audit_settings (gateway, name, sha256) VALUES ($1, $2, $3)
ON CONFLICT (gateway, name) DO UPDATE SET sha256 = excluded.sha256`, gateway, name, sha256)
	return before, attempt(err, "setting %s", name)
}
